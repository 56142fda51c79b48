"""Names of ``theano.tensor`` that Aesara removed, renamed or gave another meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.graph.utils import MethodNotDefined
from aesara.tensor.blas import batched_dot, batched_tensordot
from aesara.tensor.exceptions import ShapeError
from aesara.tensor.extra_ops import Repeat
from aesara.tensor.shape import specify_broadcastable
from aesara.tensor.shape import unbroadcast as at_unbroadcast
from aesara.tensor.sort import argsort, argtopk, sort, topk, topk_and_argtopk
from aesara.tensor.var import TensorConstantSignature, TensorVariable, _tensor_py_operators

from deconv_legacy.engine import aesara

__all__ = [
    "AllocDiag",
    "AsTensorError",
    "DiffOp",
    "DimShuffle",
    "EmptyConstantError",
    "ExtractDiag",
    "Flatten",
    "MethodNotDefined",
    "QRIncomplete",
    "Rebroadcast",
    "RepeatOp",
    "ShapeError",
    "Tensor",
    "TensorConstantSignature",
    "TensorVariable",
    "Tile",
    "_shared",
    "_tensor_py_operators",
    "abs_",
    "addbroadcast",
    "alloc_diag",
    "argsort",
    "argtopk",
    "as_tensor",
    "batched_dot",
    "batched_tensordot",
    "check_and_normalize_axes",
    "check_equal_numpy",
    "constructor",
    "diag",
    "div_proxy",
    "dot",
    "equal_slices",
    "extract_diag",
    "flatten",
    "floor_div",
    "get_scalar_constant_value",
    "int_div",
    "inv",
    "join_",
    "largest",
    "load",
    "min_informative_str",
    "mod_check",
    "numpy_scalar",
    "patternbroadcast",
    "setdefault",
    "smallest",
    "sort",
    "sqr",
    "topk",
    "topk_and_argtopk",
    "transpose_inplace",
    "true_div",
    "unbroadcast",
    "unravel_index",
]

at = aesara.tensor

# --- other names of the same
abs_, inv, sqr, true_div, int_div, floor_div = (
    at.math.abs,
    at.math.reciprocal,
    at.math.square,
    at.math.true_divide,
    at.math.floor_divide,
    at.math.floor_divide,
)
join_ = at.basic.Join()
RepeatOp = Repeat
_shared = at.sharedvar.tensor_constructor
get_scalar_constant_value = at.basic.get_scalar_constant_value
mod_check, smallest, largest = at.math.mod_check, at.math.smallest, at.math.largest
as_tensor = at.basic.as_tensor_variable
constructor = at.basic.constant
min_informative_str = aesara.printing.min_informative_str
ExtractDiag, AllocDiag, extract_diag = at.basic.ExtractDiag, at.basic.AllocDiag, at.basic.diagonal


_NotScalarConstantError: Any = at.exceptions.NotScalarConstantError


class AsTensorError(TypeError):
    """Theano raised it for what cannot become a tensor; Aesara raises TypeError."""


class EmptyConstantError(_NotScalarConstantError):
    """The constant is empty."""


def Tensor(*args: Any, **kwargs: Any) -> Any:
    """The name of TensorType before Theano 0.6."""
    return at.TensorType(*args, **kwargs)


def dot(a: Any, b: Any) -> Any:
    """The product of two tensors."""
    return at.math.dot(a, b)


def flatten(x: Any, ndim: int | None = None, outdim: int | None = None) -> Any:
    """`x` with its last axes made one, so that `ndim` (once ``outdim``; 1) axes are left."""
    if ndim is not None and outdim is not None:
        raise ValueError("You should only specify ndim")
    return at.basic.flatten(x, outdim if ndim is None else ndim)


def addbroadcast(x: Any, *axes: int) -> Any:
    """`x`, whose given axes have length 1 and broadcast; checked when it runs, and now where the length is known."""
    x = at.as_tensor_variable(x)
    return specify_broadcastable(x, *(axis % x.ndim for axis in axes))


def unbroadcast(x: Any, *axes: int) -> Any:
    """`x`, whose given axes do not broadcast, whatever their length."""
    return at_unbroadcast(x, *axes)


def patternbroadcast(x: Any, broadcastable: Any) -> Any:
    """`x` with the given broadcast pattern: True where the length is 1."""
    x = at.as_tensor_variable(x)
    yes = [axis for axis, flag in enumerate(broadcastable) if flag]
    return at_unbroadcast(addbroadcast(x, *yes), *(i for i, flag in enumerate(broadcastable) if not flag))


class Rebroadcast:
    """Theano's Op of (axis, broadcastable) pairs, as a callable: Aesara has two Ops in its place."""

    def __init__(self, *axis: tuple[int, bool]):
        self.axis = dict(sorted(axis))

    def __call__(self, x: Any) -> Any:
        x = at.as_tensor_variable(x)
        return patternbroadcast(x, [self.axis.get(i, b) for i, b in enumerate(x.type.broadcastable)])


class Flatten:
    """Theano's Op, as a callable."""

    def __init__(self, outdim: int = 1):
        self.outdim = outdim

    def __call__(self, x: Any) -> Any:
        return flatten(x, self.outdim)


class Tile:
    """Theano's Op, as a callable."""

    def __init__(self, ndim: int):
        self.ndim = ndim

    def __call__(self, x: Any, reps: Any) -> Any:
        return at.tile(x, reps, self.ndim)


class DiffOp:
    """Theano's Op, as a callable."""

    def __init__(self, n: int = 1, axis: int = -1):
        self.n, self.axis = n, axis

    def __call__(self, x: Any) -> Any:
        return at.extra_ops.diff(x, self.n, self.axis)


class QRIncomplete:
    """Theano's Op for the factor R alone, as a callable."""

    def __init__(self, mode: str = "r"):
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        return at.nlinalg.qr(x, self.mode)


def DimShuffle(input_broadcastable: Any, new_order: Any, inplace: bool = True) -> Any:
    """Aesara's DimShuffle; it always works in place."""
    return at.elemwise.DimShuffle(input_broadcastable, new_order)


def alloc_diag(x: Any) -> Any:
    """A matrix with the vector `x` on its diagonal."""
    return at.basic.AllocDiag()(x)


def diag(v: Any, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix with a vector there."""
    return at.basic.diag(v, k)


def unravel_index(indices: Any, dims: Any, order: str = "C", ndim: int | None = None) -> Any:
    """Flat indices as one array for each axis; `ndim` is no longer needed."""
    return at.extra_ops.unravel_index(indices, dims, order)


def load(path: str, dtype: Any, broadcastable: Any, mmap_mode: Any = None) -> Any:
    """A tensor read from a .npy file whenever the function runs."""
    return at.io.load(path, dtype, broadcastable, mmap_mode)


def div_proxy(x: Any, y: Any) -> Any:
    """``x / y`` as Python 2 wrote it: of two integer tensors the floor."""
    x, y = at.as_tensor_variable(x), at.as_tensor_variable(y)
    both = all(np.dtype(v.dtype).kind in "iub" for v in (x, y))
    return (int_div if both else true_div)(x, y)


def setdefault(x: Any, default: Any) -> Any:
    """`x`, or a default where it is None."""
    return at.basic.default(x, default)


def numpy_scalar(data: Any) -> Any:
    """The one number of an array; an error where it has not one."""
    data = np.asarray(data)
    if data.ndim > 0 and (data.size == 0 or (data != data.flat[0]).any()):
        raise (EmptyConstantError if data.size == 0 else at.exceptions.NotScalarConstantError)(
            "v.data is no scalar", data
        )
    return data.flat[0]


def check_equal_numpy(x: Any, y: Any) -> bool:
    """Whether two values are equal; arrays also in dtype, and to 1e-10."""
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return x.dtype == y.dtype and x.shape == y.shape and bool(np.all(abs(x - y) < 1e-10))
    if isinstance(x, np.random.RandomState) and isinstance(y, np.random.RandomState):
        pairs = zip(x.__getstate__(), y.__getstate__(), strict=True)
        return all(np.all(a == b) for a, b in pairs)
    return x == y


def check_and_normalize_axes(x: Any, axis: Any) -> list[int]:
    """Axes as a list of non-negative numbers."""
    x = at.as_tensor_variable(x)
    if axis is None:
        return []
    axes = [axis] if isinstance(axis, (int, np.integer)) or np.ndim(getattr(axis, "data", axis)) == 0 else list(axis)
    axes = [int(getattr(a, "data", a)) for a in axes]
    if any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"Computation needs a valid axis number for {x.ndim}-D tensor. Got {axes}")
    return sorted({a % x.ndim for a in axes})


def equal_slices(s1: slice, s2: slice) -> bool:
    return (s1.start, s1.stop, s1.step) == (s2.start, s2.stop, s2.step)


def transpose_inplace(x: Any, **kwargs: Any) -> Any:
    return at.as_tensor_variable(x).T
