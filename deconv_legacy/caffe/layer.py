"""`Layer`, the base of layers written in Python, with Caffe's four steps: ``setup``, ``reshape``, ``forward``,
``backward``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.caffe.blob import Blob, BlobVec

__all__ = ["Layer"]


class Layer:
    """Base of layers written in Python: subclass it, and name module and class in a layer of type "Python".

    Attributes
    ----------
    param_str : str
        As in the prototxt; set before ``setup``.
    phase : int
        ``caffe.TRAIN`` or ``caffe.TEST``.
    blobs : BlobVec
        Parameters; ``self.blobs.add_blob(*shape)`` in ``setup`` adds one.

    Examples
    --------
    >>> class Twice(Layer):
    ...     def setup(self, bottom, top): pass
    ...     def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)
    ...     def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
    ...     def backward(self, top, propagate_down, bottom): bottom[0].diff[...] = 2 * top[0].diff
    """

    type = "Python"

    def __init__(self, param: Any = None):
        self.blobs = BlobVec()
        self.layer_param = param
        self.param_str = param.python_param.param_str if param is not None else ""
        self.phase = param.phase if param is not None else 1

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Read ``param_str``, check the numbers of blobs, add parameters; called once."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give every top its shape; called before every forward."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Write ``top[i].data[...]``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Write ``bottom[i].diff[...]`` where ``propagate_down[i]``, and add to ``self.blobs[j].diff``."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")
