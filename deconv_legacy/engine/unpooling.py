"""Un-pooling: by a mask (DeconvNet, SegNet), by repetition, by insertion of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, as_float_tensor, as_size_vector, common_dtype, static_sizes
from deconv_legacy.engine._windows import Windows
from deconv_legacy.engine.pooling import AveragePoolGradient
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply
DisconnectedType = aesara.gradient.DisconnectedType

__all__ = ["Unpool", "UnpoolGather", "repeat", "unpool", "zero_insert"]

Shape = tuple[Any, ...]  # of int, or None


def image_shape(ndim: int, values: Shape, mask: Shape, size: Shape) -> Shape:
    """The shape of the image that values and their mask make; None where unknown. Called from C as well.

    `size` are its last `ndim` sizes, or all of them, which are checked.
    """
    first = len(mask) - ndim
    if len(values) != len(mask) or any(differ(n, m) for n, m in zip(values, mask, strict=True)):
        raise SizeError(f"values of shape {values} and a mask of shape {mask} must be of one shape", where="unpool")
    if len(size) == len(mask):
        for axis in range(first):
            if differ(size[axis], mask[axis]):
                raise SizeError(
                    f"an image of shape {size} and a mask of shape {mask} differ on axis {axis}",
                    axis=axis,
                    where="unpool",
                )
        size = size[first:]
    if len(size) != ndim:
        raise SizeError(f"a size of {len(size)} entries for {ndim} axes", where="unpool")
    if any(n is not None and n < 0 for n in size):
        raise SizeError(f"a size {size} with a negative number", where="unpool")
    return (*mask[:first], *size)


def differ(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and a != b


def refuse_index(mask: np.ndarray, index: int, cells: int) -> None:
    """Say which index is no cell. Called from C as well."""
    position = tuple(int(i) for i in np.unravel_index(index, mask.shape))
    because = "; -1 is the mask of a window that held only NaN, or nothing" if mask[position] == -1 else ""
    raise SizeError(
        f"the mask's {mask[position]} at {position} is none of the {cells} cells 0 .. {cells - 1} of a plane{because}",
        where="unpool",
    )


def _flat(mask: np.ndarray, ndim: int, cells: int) -> np.ndarray:
    """The mask as indices into the flattened image."""
    with np.errstate(invalid="ignore"):
        index = mask.astype(np.int64)
    wrong = (index < 0) | (index >= cells)
    if wrong.any():
        refuse_index(mask, int(wrong.argmax()), cells)
    leading = mask.shape[:-ndim]
    plane = np.arange(np.prod(leading, dtype=np.int64)).reshape(*leading, *(1,) * ndim)
    return index + plane * cells


class _UnpoolOp(EngineOp):
    c_files = ("ask.h", "unpooling.h")

    def __init__(self, ndim: int):
        if ndim not in (1, 2, 3):
            raise SizeError(f"{ndim} spatial axes; 1, 2 or 3 are served", where=type(self).__name__)
        self.ndim = ndim

    def _tensors(self, values, mask):
        values = as_float_tensor(str(self), "the input", values, self.ndim + 2)
        mask = as_float_tensor(str(self), "the mask", mask, self.ndim + 2)
        return common_dtype(str(self), values), values, mask


class Unpool(_UnpoolOp):
    """x and mask ``(N, C, *in)`` and the sizes of the image to ``(N, C, *sizes)``.

    Of several values of one cell the last stays, or, with `adds`, their sum.
    """

    __props__ = ("ndim", "adds")
    c_function = "unpool"

    def __init__(self, ndim: int, adds: bool = False):
        super().__init__(ndim)
        self.adds = bool(adds)

    def numbers(self) -> list[int]:
        return [self.ndim, self.adds]

    def make_node(self, x, mask, sizes):
        dtype, x, mask = self._tensors(x, mask)
        sizes = as_size_vector(str(self), "sizes", sizes, self.ndim)
        shape = image_shape(self.ndim, x.type.shape, mask.type.shape, static_sizes(sizes, self.ndim))
        return Apply(self, [x, mask, sizes], [at.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        x, mask, sizes = inputs
        shape = image_shape(self.ndim, x.shape, mask.shape, tuple(int(n) for n in sizes))
        index = _flat(mask, self.ndim, int(np.prod(shape[-self.ndim :])))
        image = np.zeros(shape, x.dtype)
        if self.adds:
            np.add.at(image.reshape(-1), index, x)
        else:
            image.reshape(-1)[index.ravel()] = x.ravel()
        output_storage[0][0] = image

    def infer_shape(self, fgraph, node, shapes):
        return [(*shapes[0][: -self.ndim], *(node.inputs[2][i] for i in range(self.ndim)))]

    def connection_pattern(self, node):
        return [[True], [False], [False]]

    def L_op(self, inputs, outputs, gradients):
        gather = UnpoolGather(self.ndim)(gradients[0], inputs[1])
        return [gather, DisconnectedType()(), DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0], *inputs[1:])]


class UnpoolGather(_UnpoolOp):
    """An image ``(N, C, *sizes)`` and a mask ``(N, C, *in)`` to the image's values at the mask."""

    __props__ = ("ndim",)
    c_function = "unpool_gather"

    def numbers(self) -> list[int]:
        return [self.ndim]

    def make_node(self, image, mask):
        dtype, image, mask = self._tensors(image, mask)
        image_shape(self.ndim, mask.type.shape, mask.type.shape, image.type.shape)
        return Apply(self, [image, mask], [at.TensorType(dtype, shape=mask.type.shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        image, mask = inputs
        image_shape(self.ndim, mask.shape, mask.shape, image.shape)
        index = _flat(mask, self.ndim, int(np.prod(image.shape[-self.ndim :])))
        output_storage[0][0] = image.reshape(-1)[index]

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[True], [False]]

    def L_op(self, inputs, outputs, gradients):
        image, mask = inputs
        sizes = [image.shape[i] if n is None else n for i, n in enumerate(image.type.shape)][-self.ndim :]
        return [Unpool(self.ndim, adds=True)(gradients[0], mask, sizes), DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0], inputs[1])]


def unpool(x: Any, mask: Any, sizes: Any) -> Any:
    """Put each value of `x` ``(N, C, *in)`` into the cell that `mask` names: ``(N, C, *sizes)``, zeros elsewhere.

    Parameters
    ----------
    mask
        Of the shape of `x`: row-major indices in the plane (2-D: ``h * W + w``), as `max_pool_with_mask` gives
        them; also as floats, as Caffe's second top holds them.
    sizes
        The spatial sizes of the result: ints, symbolic scalars or an integer vector.

    Of several values of one cell the last stays (overlapping windows), as in SegNet's Upsample and DeconvNet's
    Unpooling; the gradient of each is that of its cell.

    Raises
    ------
    SizeError
        For a mask of another shape, and for an index beyond the plane, also when the function runs.

    Examples
    --------
    >>> import numpy as np
    >>> unpool(np.array([[[7.0, 8.0]]]), np.array([[[1, 2]]]), [4]).eval()
    array([[[0., 7., 8., 0.]]])
    """
    x = at.as_tensor_variable(x)
    return Unpool(x.ndim - 2)(x, mask, sizes)


def repeat(x: Any, rate: Any) -> Any:
    """Average un-pooling: each cell of `x` ``(N, C, *in)`` `rate` times along each axis, ``(N, C, *(in * rate))``.

    `rate` is a number or one per axis. ``average_pool(repeat(x, rate), rate) == x``; TensorFlow's
    ``resize_nearest_neighbor`` by a whole factor is the same.

    Examples
    --------
    >>> import numpy as np
    >>> repeat(np.array([[[1.0, 2.0]]]), 3).eval()
    array([[[1., 1., 1., 2., 2., 2.]]])
    """
    return _sum_pool_transpose(x, rate, rate, "repeat")


def zero_insert(x: Any, rate: Any) -> Any:
    """Put each cell of `x` ``(N, C, *in)`` first in a block of zeros of `rate` cells: ``(N, C, *(in * rate))``.

    Examples
    --------
    >>> import numpy as np
    >>> zero_insert(np.array([[[1.0, 2.0]]]), 3).eval()
    array([[[1., 0., 0., 2., 0., 0.]]])
    """
    return _sum_pool_transpose(x, 1, rate, "zero_insert")


def _sum_pool_transpose(x: Any, kernel: Any, rate: Any, where: str) -> Any:
    # Summing over windows has these as its transpose: nothing else is needed.
    x = at.as_tensor_variable(x)
    ndim = x.ndim - 2
    try:
        rates = geometry.per_axis(rate, ndim, "rate", 1)
        windows = Windows.of(ndim, kernel, rates, "valid", "floor")
    except SizeError as error:
        raise error.at(where) from None
    inside = [x.shape[i] if n is None else n for i, n in enumerate(x.type.shape)][2:]
    sizes = [geometry.formulas.same_deconv_largest(n, r) for n, r in zip(inside, rates, strict=True)]
    return AveragePoolGradient(windows, "one")(x, sizes)
