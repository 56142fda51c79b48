"""Pooling by the rules of Caffe, Theano and TensorFlow 1, over the last one to three axes.

What they differ in are arguments: how many windows there are (`rounding`), which of several equal maxima takes the
gradient (`ties`), by which cells an average divides (`divisor`). No window takes a value from outside the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from deconv_legacy.engine import _windows
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, as_size_vector, common_dtype, static_sizes
from deconv_legacy.engine._windows import Windows
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply
DisconnectedType = aesara.gradient.DisconnectedType

__all__ = [
    "AveragePool",
    "AveragePoolGradient",
    "MaxPool",
    "MaxPoolGather",
    "MaxPoolGradient",
    "average_pool",
    "max_pool",
    "max_pool_with_mask",
]

TIES = ("first", "all")
DIVISORS = ("padded", "real", "one")

# Caffe's loops start here, in float64 too; what is not above it never wins.
LOWEST = float(np.finfo(np.float32).min)


class _PoolOp(EngineOp):
    c_files = ("ask.h", "pooling.h")
    windows: Windows
    choice: ClassVar[tuple[str, tuple[str, ...]]]
    """The property, besides the windows, that C is told about, and its values."""

    def numbers(self) -> list[int]:
        name, values = self.choice
        return [self.windows.ndim, values.index(getattr(self, name)), *self.windows.numbers()]

    def __str__(self) -> str:
        return f"{type(self).__name__}{{{self.windows}, {self.choice[0]}={getattr(self, self.choice[0])!r}}}"

    def _tensors(self, *tensors: Any) -> list[Any]:
        """The inputs as tensors of one dtype and enough axes."""
        variables = [at.as_tensor_variable(tensor) for tensor in tensors]
        for variable in variables:
            if variable.ndim < self.windows.ndim:
                raise SizeError(
                    f"an input of {variable.ndim} axes, at least {self.windows.ndim} are needed", where=str(self)
                )
        if len({variable.ndim for variable in variables}) > 1:
            raise SizeError(f"inputs of {[variable.ndim for variable in variables]} axes", where=str(self))
        dtype = common_dtype(str(self), *variables)
        return [at.cast(variable, dtype) for variable in variables]

    def _out_shape(self, variable: Any) -> tuple[int | None, ...]:
        try:
            return self.windows.out_shape(variable.type.shape)
        except SizeError as error:
            raise error.at(str(self)) from None

    def _plan(self, images: Sequence[np.ndarray], outputs: Sequence[np.ndarray] = ()) -> tuple[int, ...]:
        return _windows.plan(tuple(self.numbers()), tuple(x.shape for x in images), tuple(y.shape for y in outputs))


class _MaxOp(_PoolOp):
    choice = ("ties", TIES)

    def __init__(self, windows: Windows, ties: str = "first"):
        if ties not in TIES:
            raise ValueError(f"ties is one of {TIES}, not {ties!r}")
        self.windows, self.ties = windows, ties


class MaxPool(_MaxOp):
    """x ``(..., *in)`` to its maxima ``(..., *out)`` and, with `mask`, their row-major places in the plane (int64)."""

    __props__ = ("windows", "ties", "mask")
    c_function = "max_pool"

    def __init__(self, windows: Windows, ties: str = "first", mask: bool = False):
        super().__init__(windows, ties)
        self.mask = bool(mask)

    def make_node(self, x):
        (x,) = self._tensors(x)
        shape = self._out_shape(x)
        dtypes = (x.dtype, "int64") if self.mask else (x.dtype,)
        return Apply(self, [x], [at.TensorType(dtype, shape=shape)() for dtype in dtypes])

    def perform(self, node, inputs, output_storage, params=None):
        (x,) = inputs
        ndim, plan = self.windows.ndim, self._plan([x])
        image, _ = _windows.padded(x, ndim, plan, -np.inf)
        start = LOWEST if self.ties == "first" else -np.inf
        best = np.full((*x.shape[:-ndim], *plan[-ndim:]), start, x.dtype)
        cells = np.arange(np.prod(x.shape[-ndim:], dtype=np.int64)).reshape(x.shape[-ndim:])
        index, _ = _windows.padded(cells, ndim, plan, -1)
        mask = np.full(best.shape, -1, np.int64)
        for window, _ in _windows.taps(ndim, plan):
            better = image[window] > best
            np.copyto(best, image[window], where=better)
            if self.mask:
                np.copyto(mask, index[window], where=better)
        output_storage[0][0] = best
        if self.mask:
            output_storage[1][0] = mask

    def infer_shape(self, fgraph, node, shapes):
        return [self.windows.infer_shape(shapes[0])] * len(node.outputs)

    def connection_pattern(self, node):
        return [[True, False][: len(node.outputs)]]

    def L_op(self, inputs, outputs, gradients):
        return [MaxPoolGradient(self.windows, self.ties)(inputs[0], outputs[0], gradients[0])]

    def R_op(self, inputs, eval_points):
        if eval_points[0] is None:
            return [None] * (1 + self.mask)
        maxima = MaxPool(self.windows, self.ties)(inputs[0])
        return [MaxPoolGather(self.windows, self.ties)(inputs[0], maxima, eval_points[0]), None][: 1 + self.mask]


class MaxPoolGradient(_MaxOp):
    """From x ``(..., *in)``, its maxima y and their gradient g, both ``(..., *out)``: the gradient of x."""

    __props__ = ("windows", "ties")
    c_function = "max_pool_gradient"

    def make_node(self, x, y, g):
        x, y, g = self._tensors(x, y, g)
        return Apply(self, [x, y, g], [x.type()])

    def perform(self, node, inputs, output_storage, params=None):
        x, y, g = inputs
        ndim, plan = self.windows.ndim, self._plan([x], [y, g])
        image, inside = _windows.padded(x, ndim, plan, np.nan)
        sums = np.zeros_like(image)
        left = g if self.ties == "all" else np.where(y > LOWEST, g, 0)
        for window, _ in _windows.taps(ndim, plan):
            hit = image[window] == y
            sums[window] += np.where(hit, left, 0)
            if self.ties == "first":
                left = np.where(hit, 0, left)
        output_storage[0][0] = _from_padded(sums, inside, x.shape)

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]

    def L_op(self, inputs, outputs, gradients):
        # x and y only choose: as functions of them the result is constant, piece by piece
        x, y, _ = inputs
        gather = MaxPoolGather(self.windows, self.ties)(x, y, gradients[0])
        return [at.zeros_like(x), at.zeros_like(y), gather]


class MaxPoolGather(_MaxOp):
    """The transpose of `MaxPoolGradient` in g: from x, its maxima y and v like x, the v at each window's maximum."""

    __props__ = ("windows", "ties")
    c_function = "max_pool_gather"

    def make_node(self, x, y, v):
        x, y, v = self._tensors(x, y, v)
        return Apply(self, [x, y, v], [y.type()])

    def perform(self, node, inputs, output_storage, params=None):
        x, y, v = inputs
        ndim, plan = self.windows.ndim, self._plan([x, v], [y])
        image, _ = _windows.padded(x, ndim, plan, np.nan)
        values, _ = _windows.padded(v, ndim, plan, 0)
        open_ = np.full(y.shape, True) if self.ties == "all" else y > LOWEST
        result = np.zeros_like(y)
        for window, _ in _windows.taps(ndim, plan):
            hit = (image[window] == y) & open_
            result += np.where(hit, values[window], 0)
            if self.ties == "first":
                open_ &= ~hit
        output_storage[0][0] = result

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[1]]

    def L_op(self, inputs, outputs, gradients):
        x, y, _ = inputs
        scatter = MaxPoolGradient(self.windows, self.ties)(x, y, gradients[0])
        return [at.zeros_like(x), at.zeros_like(y), scatter]


class _AverageOp(_PoolOp):
    __props__ = ("windows", "divisor")
    choice = ("divisor", DIVISORS)

    def __init__(self, windows: Windows, divisor: str = "padded"):
        if divisor not in DIVISORS:
            raise ValueError(f"divisor is one of {DIVISORS}, not {divisor!r}")
        self.windows, self.divisor = windows, divisor

    def _divisors(self, sizes: tuple[int, ...], plan: tuple[int, ...]) -> np.ndarray:
        """What each window divides by."""
        ndim = self.windows.ndim
        result = np.ones((), np.int64)
        for n, k, s, before, after, o in zip(sizes, *(plan[i - ndim : i] for i in range(3, 16, 3)), strict=True):
            start = np.arange(o) * s - before
            if self.divisor == "padded":
                count = np.minimum(start + k, n + after) - start
            else:
                count = np.maximum(np.minimum(start + k, n) - np.maximum(start, 0), 0)
            result = np.multiply.outer(result, count)
        return np.ones_like(result) if self.divisor == "one" else result


class AveragePool(_AverageOp):
    """x ``(..., *in)`` to the sum under each window over its divisor, ``(..., *out)``."""

    c_function = "average_pool"

    def make_node(self, x):
        (x,) = self._tensors(x)
        return Apply(self, [x], [at.TensorType(x.dtype, shape=self._out_shape(x))()])

    def perform(self, node, inputs, output_storage, params=None):
        (x,) = inputs
        ndim, plan = self.windows.ndim, self._plan([x])
        image, _ = _windows.padded(x, ndim, plan, 0)
        sums = np.zeros((*x.shape[:-ndim], *plan[-ndim:]), x.dtype)
        for window, _ in _windows.taps(ndim, plan):
            sums += image[window]
        with np.errstate(invalid="ignore"):  # Caffe's 0 / 0, see average_pool
            sums /= self._divisors(x.shape[-ndim:], plan).astype(x.dtype)
        output_storage[0][0] = sums

    def infer_shape(self, fgraph, node, shapes):
        return [self.windows.infer_shape(shapes[0])]

    def L_op(self, inputs, outputs, gradients):
        (x,) = inputs
        sizes = [n if n is not None else x.shape[i] for i, n in enumerate(x.type.shape)]
        return [AveragePoolGradient(self.windows, self.divisor)(gradients[0], sizes[x.ndim - self.windows.ndim :])]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0])]


class AveragePoolGradient(_AverageOp):
    """The transpose of `AveragePool`: g ``(..., *out)`` and the sizes of the image to ``(..., *sizes)``."""

    c_function = "average_pool_gradient"

    def make_node(self, g, sizes):
        (g,) = self._tensors(g)
        ndim = self.windows.ndim
        sizes = as_size_vector(str(self), "sizes", sizes, ndim)
        shape = (*g.type.shape[: g.ndim - ndim], *static_sizes(sizes, ndim))
        image = at.TensorType(g.dtype, shape=shape)()
        for axis, (n, there) in enumerate(zip(self._out_shape(image), g.type.shape, strict=True)):
            if n is not None and there is not None and n != there:
                raise SizeError(
                    f"the windows of an image {shape} give size {n} on axis {axis}, not {there}",
                    axis=axis,
                    actual=there,
                    computed=n,
                    where=str(self),
                )
        return Apply(self, [g, sizes], [image])

    def perform(self, node, inputs, output_storage, params=None):
        g, sizes = inputs
        ndim = self.windows.ndim
        if len(sizes) != ndim:
            _windows.wrong_length(tuple(self.numbers()), len(sizes))
        shape = (*g.shape[:-ndim], *(int(n) for n in sizes))
        plan = _windows.plan(tuple(self.numbers()), (shape,), (g.shape,))
        sums, inside = _windows.padded(np.zeros(shape, g.dtype), ndim, plan, 0)
        # a divisor of 0 belongs to a window without cells, which gives nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            part = g / self._divisors(shape[-ndim:], plan).astype(g.dtype)
        for window, _ in _windows.taps(ndim, plan):
            sums[window] += part
        output_storage[0][0] = _from_padded(sums, inside, shape)

    def infer_shape(self, fgraph, node, shapes):
        ndim = self.windows.ndim
        return [(*shapes[0][:-ndim], *(node.inputs[1][i] for i in range(ndim)))]

    def connection_pattern(self, node):
        return [[True], [False]]

    def L_op(self, inputs, outputs, gradients):
        return [AveragePool(self.windows, self.divisor)(gradients[0]), DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [None if eval_points[0] is None else self(eval_points[0], inputs[1])]


def _from_padded(sums: np.ndarray, inside: tuple, shape: tuple[int, ...]) -> np.ndarray:
    """The image out of its padding; cells that no window reaches are 0."""
    part = sums[inside]
    result = np.zeros(shape, sums.dtype)
    result[tuple(slice(n) for n in part.shape)] = part
    return result


def _windows_of(x: Any, kernel: Any, stride: Any, pad: Any, rounding: str, where: str) -> Windows:
    ndim = len(kernel) if np.ndim(kernel) else x.ndim - 2
    try:
        return Windows.of(ndim, kernel, stride, pad, rounding)
    except SizeError as error:
        raise error.at(where) from None


def max_pool(
    x: Any, kernel: Any, stride: Any = None, pad: Any = 0, rounding: str = "floor", ties: str = "first"
) -> Any:
    """The maximum of each window of `x` ``(N, C, *in)``: ``(N, C, *out)``, ``out`` by `geometry.pool_output_shape`.

    Parameters
    ----------
    kernel
        A number, one per axis, or None: the whole image. With one per axis the pooled axes are the last
        ``len(kernel)`` of `x`, whose other axes may be any; else all but the first two.
    stride
        A number or one per axis; None is the kernel.
    pad
        A number, one per axis, a pair ``(before, after)`` per axis, or a border mode's name: ``"same"`` is
        TensorFlow's, ``"valid"`` none. Padding is never a maximum.
    rounding
        How windows are counted, a name of `geometry.POOL_ROUNDINGS`: ``"caffe"``; ``"floor"`` (TensorFlow, Theano's
        ``ignore_border=True``, Caffe's FLOOR); ``"theano"`` (``ignore_border=False``); ``"ceil"`` (torch).
    ties
        Which of several equal maxima takes the gradient: the ``"first"`` in row-major order (Caffe, TensorFlow, torch)
        or ``"all"``, each of them the whole gradient (Theano).

    NaN is never a maximum, since no comparison with it holds. A window with nothing else, or with nothing in the
    image, gives -FLT_MAX with ``ties="first"`` (as Caffe; its mask is -1 and it has no gradient), -inf with ``"all"``.

    Raises
    ------
    SizeError
        For a window that does not fit, a pad as large as the window, and illegal arguments: now where sizes are
        known, else at the call.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(15, dtype="float32").reshape(1, 1, 3, 5)
    >>> max_pool(x, 2, rounding="caffe").eval()
    array([[[[ 6.,  8.,  9.],
             [11., 13., 14.]]]], dtype=float32)
    """
    x = at.as_tensor_variable(x)
    return MaxPool(_windows_of(x, kernel, stride, pad, rounding, "max_pool"), ties)(x)


def max_pool_with_mask(x: Any, kernel: Any, stride: Any = None, pad: Any = 0, rounding: str = "floor") -> list[Any]:
    """`max_pool` and its mask, int64 ``(N, C, *out)``: the row-major place in the plane of each first maximum.

    In two dimensions ``h * W + w``, as in Caffe's second top (which holds floats), DeconvNet and SegNet;
    `unpooling.unpool` takes it. TensorFlow's ``max_pool_with_argmax`` counts channels too.

    Examples
    --------
    >>> import numpy as np
    >>> maxima, mask = max_pool_with_mask(np.array([[[[1, 3, 2], [3, 0, 9]]]], "float32"), 2, rounding="caffe")
    >>> mask.eval()
    array([[[[1, 5]]]])
    """
    x = at.as_tensor_variable(x)
    return MaxPool(_windows_of(x, kernel, stride, pad, rounding, "max_pool_with_mask"), "first", mask=True)(x)


def average_pool(
    x: Any, kernel: Any, stride: Any = None, pad: Any = 0, rounding: str = "floor", divisor: str = "padded"
) -> Any:
    """The sum of each window of `x` over a divisor; the other arguments are those of `max_pool`.

    Parameters
    ----------
    divisor
        ``"padded"``: the window's cells before the end of the padding (Caffe, Theano's ``average_inc_pad``), so padding
        counts and what hangs over beyond it does not; ``"real"``: those in the image (TensorFlow, Theano's
        ``average_exc_pad``); ``"one"``: the bare sum (Theano's ``sum``).

    A window without any cell (a stride above the kernel, Caffe's rounding) is 0 / 0 where it begins at the
    image's end, as in Caffe.

    Examples
    --------
    >>> import numpy as np
    >>> average_pool(np.array([[[3, 6, 6, 8]]], "float32"), 3, 2, 1, rounding="caffe").eval()
    array([[[3.       , 6.6666665, 4.       ]]], dtype=float32)
    """
    x = at.as_tensor_variable(x)
    return AveragePool(_windows_of(x, kernel, stride, pad, rounding, "average_pool"), divisor)(x)
