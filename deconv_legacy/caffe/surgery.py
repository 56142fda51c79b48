"""Net surgery, as the FCN repository's ``surgery.py`` does it: weights from one net into another.

Inner products become convolutions of the same numbers (`transplant`), deconvolutions interpolate (`interp`), a score
layer grows (`expand_score`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

from deconv_legacy.caffe.net import Net
from deconv_legacy.errors import SizeError

__all__ = ["expand_score", "interp", "transplant", "upsample_filt"]


def transplant(new_net: Net, net: Net, suffix: str = "") -> None:
    """Copy parameters by name of the layer and by memory order, whatever the shapes: fc6 as an inner product
    (4096, 25088) into fc6 as a convolution (4096, 512, 7, 7).

    Parameters
    ----------
    new_net, net
        Where to, and where from.
    suffix
        What the names in `new_net` have at their end.

    Layers that `new_net` does not have are told and left out. Where it has fewer parameters, those that it has are
    copied.

    Raises
    ------
    SizeError
        The counts of a parameter differ.
    """
    for name, blobs in net.params.items():
        target = name + suffix
        if target not in new_net.params:
            _say(f"dropping {name}")
            continue
        for index, (new, old) in enumerate(zip(new_net.params[target], blobs, strict=False)):
            if new.count != old.count:
                raise SizeError(
                    f"parameter {index} of shape {old.dims} has {old.count} numbers, that of {target!r}, {new.dims}, "
                    f"{new.count}",
                    where=name,
                )
            if new.dims != old.dims:
                _say(f"coercing {name} {index} from {old.dims} to {new.dims}")
            new.data.flat = old.data.flat


def upsample_filt(size: int) -> np.ndarray:
    """The bilinear kernel of a `size`, (size, size), float64.

    >>> upsample_filt(4)[1]
    array([0.1875, 0.5625, 0.5625, 0.1875])
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 == 1 else factor - 0.5
    line = 1 - abs(np.arange(size) - centre) / factor
    return np.outer(line, line)


def interp(net: Net, layers: Iterable[str]) -> None:
    """Make deconvolutions interpolate each channel by itself: the bilinear kernel from each input to its output,
    zeros elsewhere.

    Raises
    ------
    SizeError
        A layer has not as many inputs as outputs (and is not grouped by channel), or its kernel is not square.
    """
    for name in layers:
        data = net.params[name][0].data
        inputs, outputs, rows, columns = data.shape
        if inputs != outputs and outputs != 1:
            raise SizeError(f"input and output channels need to be the same, or grouped: {data.shape}", where=name)
        if rows != columns:
            raise SizeError(f"filters need to be square: {data.shape}", where=name)
        data[range(inputs), range(outputs) if outputs > 1 else 0, :, :] = upsample_filt(rows)


def expand_score(new_net: Net, new_layer: str, net: Net, layer: str) -> None:
    """Copy a score layer into one with more classes; the new classes keep what they have."""
    old = net.params[layer]
    count = old[0].num
    new_net.params[new_layer][0].data[:count][...] = old[0].data
    if len(old) > 1:
        new_net.params[new_layer][1].data[:count] = old[1].data


def _say(text: str) -> None:
    print(text, file=sys.stderr)
