"""Cropping as in Caffe: from an offset on, to given sizes; a view, nothing is copied."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import as_size_vector, static_sizes
from deconv_legacy.engine.where import HandsOn
from deconv_legacy.errors import SizeError

at = aesara.tensor
Op: Any = aesara.graph.op.Op
Apply = aesara.graph.basic.Apply
DisconnectedType = aesara.gradient.DisconnectedType

__all__ = ["Crop", "CropGradient", "crop"]


class _CropOp(HandsOn, Op):
    # No C code: a crop only moves a pointer, and its transpose is one assignment.
    __props__: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def _ranges(self, sizes, targets, offsets) -> tuple[slice, ...]:
        """What is kept of the axes from `axis` on; an axis of which something is None goes unchecked."""
        ranges = [slice(None)] * self.axis
        for axis, numbers in enumerate(zip(sizes, targets, offsets, strict=True), self.axis):
            if None in numbers:
                continue
            try:
                ranges.append(slice(*geometry.crop_range(*(int(n) for n in numbers), axis=axis)))
            except SizeError as error:
                raise error.at(type(self).__name__) from None
        return tuple(ranges)

    def _vectors(self, ndim, sizes, offsets):
        count = ndim - self.axis
        sizes, offsets = as_size_vector(type(self).__name__, "sizes", sizes, count), _offsets(offsets, count)
        return sizes, offsets, static_sizes(sizes, count), static_sizes(offsets, count)

    def connection_pattern(self, node):
        return [[True], [False], [False]]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0], *inputs[1:])]


class Crop(_CropOp):
    """x, the sizes that the axes from `axis` on take, and the offsets there, to a view of x."""

    view_map: ClassVar[dict[int, list[int]]] = {0: [0]}

    def make_node(self, x, sizes, offsets):
        x = at.as_tensor_variable(x)
        sizes, offsets, targets, starts = self._vectors(x.ndim, sizes, offsets)
        self._ranges(x.type.shape[self.axis :], targets, starts)
        shape = (*x.type.shape[: self.axis], *targets)
        return Apply(self, [x, sizes, offsets], [at.TensorType(x.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        x, sizes, offsets = inputs
        output_storage[0][0] = x[self._ranges(x.shape[self.axis :], sizes, offsets)]

    def infer_shape(self, fgraph, node, shapes):
        count = len(shapes[0]) - self.axis
        return [(*shapes[0][: self.axis], *(node.inputs[1][i] for i in range(count)))]

    def L_op(self, inputs, outputs, gradients):
        x, _, offsets = inputs
        sizes = [x.shape[i] if n is None else n for i, n in enumerate(x.type.shape)][self.axis :]
        disconnected = DisconnectedType()
        return [CropGradient(self.axis)(gradients[0], sizes, offsets), disconnected(), disconnected()]


class CropGradient(_CropOp):
    """The transpose of `Crop`: g amid zeros, in the sizes that the axes had before."""

    def make_node(self, g, sizes, offsets):
        g = at.as_tensor_variable(g)
        sizes, offsets, before, starts = self._vectors(g.ndim, sizes, offsets)
        self._ranges(before, g.type.shape[self.axis :], starts)
        shape = (*g.type.shape[: self.axis], *before)
        return Apply(self, [g, sizes, offsets], [at.TensorType(g.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        g, sizes, offsets = inputs
        result = np.zeros((*g.shape[: self.axis], *sizes), g.dtype)
        result[self._ranges(sizes, g.shape[self.axis :], offsets)] = g
        output_storage[0][0] = result

    infer_shape = Crop.infer_shape

    def L_op(self, inputs, outputs, gradients):
        g, _, offsets = inputs
        sizes = [g.shape[i] if n is None else n for i, n in enumerate(g.type.shape)][self.axis :]
        disconnected = DisconnectedType()
        return [Crop(self.axis)(gradients[0], sizes, offsets), disconnected(), disconnected()]


def _offsets(offsets: Any, count: int) -> Any:
    """One offset for each of `count` axes, from one or as many, as an int64 vector; offsets may be 0."""
    if isinstance(offsets, at.Variable):
        return at.cast(offsets if offsets.ndim else at.stack([offsets] * count), "int64")
    if np.ndim(offsets) and any(isinstance(offset, at.Variable) for offset in offsets):
        return at.stack([at.cast(at.as_tensor_variable(offset), "int64") for offset in offsets])
    try:
        return at.constant(np.asarray(geometry.per_axis(offsets, count, "offsets", 0), np.int64))
    except SizeError as error:
        raise error.at("Crop") from None


def crop(x: Any, sizes: Any, axis: int = 2, offsets: Any = 0) -> Any:
    """Crop the axes of `x` from `axis` on to `sizes`, beginning at `offsets`: Caffe's Crop, a view of `x`.

    Parameters
    ----------
    sizes
        One for each axis from `axis` on: ints, symbolic scalars or an integer vector.
    offsets
        The first cells kept: one number for all these axes (0: the first; Caffe does not centre), or one for each,
        symbolic or not.

    Raises
    ------
    SizeError
        With axis, offset and sizes, where the crop does not lie inside: now where sizes are known, else at the call.

    Examples
    --------
    >>> import numpy as np
    >>> crop(np.arange(12.0).reshape(1, 1, 3, 4), (1, 2), offsets=(2, 1)).eval()
    array([[[[ 9., 10.]]]])
    """
    x = at.as_tensor_variable(x)
    if not -x.ndim <= axis < x.ndim:
        raise SizeError(f"axis {axis} of an input of {x.ndim} axes", where="crop")
    axis %= x.ndim
    return Crop(axis)(x, sizes, offsets)
