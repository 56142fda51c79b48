"""Interpolation to given sizes: linear with three conventions of coordinates, and TensorFlow 1's nearest neighbour.

All are separable, and along an axis each output cell is a mixture of two neighbours: `tables` says of which.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, as_float_tensor, as_size_vector, common_dtype, static_sizes
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply
DisconnectedType = aesara.gradient.DisconnectedType

__all__ = ["COORDINATES", "Resize", "ResizeGradient", "linear_resize", "nearest_resize"]

COORDINATES = {
    "half_pixel": "(i + 1/2) n / o - 1/2: OpenCV, torch, TensorFlow 2",
    "align_corners": "i (n - 1) / (o - 1): Interp of DeepLab and PSPNet",
    "corner": "i n / o: TensorFlow 1's default",
}
"""Where in an axis of n cells output cell i of o lies, in cells from the centre of the first."""

Ints = tuple[int, ...]


@functools.lru_cache(maxsize=256)
def tables(spec: Ints, sizes: Ints, out: Ints) -> tuple[tuple[np.ndarray, np.ndarray] | None, ...]:
    """For each axis the lower neighbour of each output cell (int64) and the next one's weight (float64), or None where
    the axis stays as it is. Called from C and NumPy."""
    ndim, coordinates, nearest = spec
    if len(sizes) != ndim or len(out) != ndim:
        raise SizeError(f"sizes {sizes} and {out} for {ndim} axes", where="resize")
    for axis, (n, o) in enumerate(zip(sizes, out, strict=True), 2):
        if n < 1 or o < 1:
            raise SizeError(
                f"axis {axis} cannot go from size {n} to {o}: both are at least 1", axis=axis, where="resize"
            )
    return tuple(
        None if n == o else _table(n, o, list(COORDINATES)[coordinates], bool(nearest))
        for n, o in zip(sizes, out, strict=True)
    )


def _table(n: int, o: int, coordinates: str, nearest: bool) -> tuple[np.ndarray, np.ndarray]:
    i = np.arange(o, dtype=np.int64)
    # as fractions: rounding moves no cell across a boundary
    numerator, denominator = {
        "half_pixel": ((2 * i + 1) * n - o, 2 * o),
        "align_corners": (i * (n - 1), max(o - 1, 1)),
        "corner": (i * n, o),
    }[coordinates]
    low, rest = np.divmod(np.clip(numerator, 0, (n - 1) * denominator), denominator)
    return low, np.zeros(o) if nearest else rest / denominator


class _ResizeOp(EngineOp):
    __props__ = ("ndim", "coordinates", "nearest")
    c_files = ("ask.h", "resize.h")
    transpose: ClassVar[type[_ResizeOp]]

    def __init__(self, ndim: int, coordinates: str = "half_pixel", nearest: bool = False):
        if ndim not in (1, 2, 3):
            raise SizeError(f"{ndim} spatial axes; 1, 2 or 3 are served", where=type(self).__name__)
        if coordinates not in COORDINATES:
            raise ValueError(f"coordinates is one of {', '.join(COORDINATES)}; not {coordinates!r}")
        self.ndim, self.coordinates, self.nearest = ndim, coordinates, bool(nearest)

    def numbers(self) -> list[int]:
        return [self.ndim, list(COORDINATES).index(self.coordinates), int(self.nearest)]

    def make_node(self, x, sizes):
        x = as_float_tensor(str(self), "the input", x, self.ndim + 2)
        x = at.cast(x, common_dtype(str(self), x))
        sizes = as_size_vector(str(self), "sizes", sizes, self.ndim)
        static = static_sizes(sizes, self.ndim)
        for axis, n in enumerate(x.type.shape[2:], 2):
            if n == 0:
                raise SizeError(f"axis {axis} has size 0", axis=axis, where=str(self))
        return Apply(self, [x, sizes], [at.TensorType(x.dtype, shape=(*x.type.shape[:2], *static))()])

    def _tables(self, sizes, out):
        return tables(tuple(self.numbers()), tuple(int(n) for n in sizes), tuple(int(n) for n in out))

    def infer_shape(self, fgraph, node, shapes):
        return [(*shapes[0][:2], *(node.inputs[1][i] for i in range(self.ndim)))]

    def connection_pattern(self, node):
        return [[True], [False]]

    def L_op(self, inputs, outputs, gradients):
        (x, _) = inputs
        sizes = [x.shape[i] if n is None else n for i, n in enumerate(x.type.shape)][2:]
        transpose = self.transpose(self.ndim, self.coordinates, self.nearest)
        return [transpose(gradients[0], sizes), DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0], inputs[1])]


class Resize(_ResizeOp):
    """x ``(N, C, *in)`` and the sizes to ``(N, C, *sizes)``."""

    c_function = "resize"

    def perform(self, node, inputs, output_storage, params=None):
        y, sizes = inputs
        for axis, table in enumerate(self._tables(y.shape[2:], sizes), 2):
            if table is not None:
                low, weight = table
                weight = _along(weight.astype(y.dtype), axis, y.ndim)
                # without weight the next cell is not looked at: there may be none, or a NaN
                next_ = np.where(weight, y.take(np.minimum(low + 1, y.shape[axis] - 1), axis), 0)
                y = (1 - weight) * y.take(low, axis) + weight * next_
        output_storage[0][0] = y.copy() if y is inputs[0] else y


class ResizeGradient(_ResizeOp):
    """The transpose of `Resize`: g ``(N, C, *out)`` and the sizes before to ``(N, C, *sizes)``."""

    c_function = "resize_gradient"

    def perform(self, node, inputs, output_storage, params=None):
        g, sizes = inputs
        for axis, table in enumerate(self._tables(sizes, g.shape[2:]), 2):
            if table is not None:
                low, weight = table
                weight = _along(weight.astype(g.dtype), axis, g.ndim)
                n = int(sizes[axis - 2])
                sums = np.zeros((n, *np.delete(g.shape, axis)), g.dtype)
                np.add.at(sums, low, np.moveaxis((1 - weight) * g, axis, 0))
                np.add.at(sums, np.minimum(low + 1, n - 1), np.moveaxis(weight * g, axis, 0))
                g = np.moveaxis(sums, 0, axis)
        output_storage[0][0] = g.copy() if g is inputs[0] else np.ascontiguousarray(g)


Resize.transpose, ResizeGradient.transpose = ResizeGradient, Resize


def _along(vector: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return vector.reshape((-1,) + (1,) * (ndim - axis - 1))


def linear_resize(x: Any, sizes: Any, coordinates: str = "half_pixel") -> Any:
    """Linear (bilinear, trilinear) interpolation of `x` ``(N, C, *in)`` to ``(N, C, *sizes)``.

    Parameters
    ----------
    sizes
        Ints, symbolic scalars or an integer vector.
    coordinates
        A name of `COORDINATES`: where output cells lie. Border cells are repeated beyond the border.

    Raises
    ------
    SizeError
        For a size of 0.

    Examples
    --------
    >>> import numpy as np
    >>> linear_resize(np.array([[[4.0, 8.0]]]), [4]).eval()
    array([[[4., 5., 7., 8.]]])
    >>> linear_resize(np.array([[[4.0, 8.0]]]), [3], "align_corners").eval()
    array([[[4., 6., 8.]]])
    """
    return _resize(x, sizes, coordinates, nearest=False)


def nearest_resize(x: Any, sizes: Any) -> Any:
    """TensorFlow 1's ``resize_nearest_neighbor`` of `x` ``(N, C, *in)``: cell ``floor(i n / o)`` for output cell i.

    The quotient is exact. TensorFlow's is a float32, which for some sizes, such as 2 to 82, picks the cell before.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_resize(np.array([[[1.0, 2.0, 3.0]]]), [5]).eval()
    array([[[1., 1., 2., 2., 3.]]])
    """
    return _resize(x, sizes, "corner", nearest=True)


def _resize(x: Any, sizes: Any, coordinates: str, nearest: bool) -> Any:
    x = at.as_tensor_variable(x)
    op = Resize(x.ndim - 2, coordinates, nearest)
    node = op.make_node(x, sizes)
    wanted = static_sizes(node.inputs[1], op.ndim)
    return node.inputs[0] if None not in wanted and wanted == x.type.shape[2:] else node.outputs[0]
