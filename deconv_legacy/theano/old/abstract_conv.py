"""``theano.tensor.nnet.abstract_conv``: Aesara's abstract convolutions behind checked arguments.

The graph nodes are Aesara's own, which the engine's rewrites replace. What is added: sizes may be NumPy integers, and
what cannot be is said when the graph is built, with the argument's name, its value and what is legal.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy.engine import aesara
from deconv_legacy.engine.rewrites import engine_op
from deconv_legacy.errors import SizeError

__all__ = [
    "AbstractConv",
    "AbstractConv2d",
    "AbstractConv2d_gradInputs",
    "AbstractConv2d_gradWeights",
    "AbstractConv3d",
    "AbstractConv3d_gradInputs",
    "AbstractConv3d_gradWeights",
    "AbstractConv_gradInputs",
    "AbstractConv_gradWeights",
    "conv2d",
    "conv2d_grad_wrt_inputs",
    "conv2d_grad_wrt_weights",
    "conv2d_transpose",
    "conv3d",
    "conv3d_grad_wrt_inputs",
    "conv3d_grad_wrt_weights",
    "imported_scipy_signal",
]

at = aesara.tensor
base = at.nnet.abstract_conv
imported_scipy_signal = True
_INTEGERS = (int, np.integer)


def _size(name: str, value: Any, symbolic: bool, unknown: bool) -> Any:
    """One entry of a shape: an int, a constant, None where it may be unknown, a variable where it may be symbolic."""
    if isinstance(value, (np.ndarray, np.generic)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if value is None and unknown:
        return None
    allowed = at.Variable if symbolic else at.TensorConstant
    if isinstance(value, allowed) and value.ndim == 0 and np.dtype(value.dtype).kind in "iu":
        return value
    legal = ["an int", *(["a symbolic integer scalar"] if symbolic else ["a constant"]), *(["None"] if unknown else [])]
    kind = f" ({type(value).__name__})" if value is not None else ""
    hint = (
        "" if unknown or value is not None else "; several sizes of the input give the same output, so it must be said"
    )
    raise ValueError(f"{name} is {value!r}{kind}: {', '.join(legal[:-1])} or {legal[-1]} is legal{hint}")


def _shape(
    name: str, shape: Any, length: int, symbolic: Sequence[int] = (), unknown: Sequence[int] | None = None
) -> Any:
    """A whole shape, checked entry by entry; None stays None."""
    if shape is None:
        return None
    if isinstance(shape, at.Variable):
        raise ValueError(f"{name} is a variable ({shape.type}); a tuple of {length} entries is legal")
    shape = tuple(shape)
    if len(shape) != length:
        raise SizeError(f"`{name}` has {len(shape)} entries, {shape}; {length} are needed")
    known = range(length) if unknown is None else unknown
    return tuple(_size(f"{name}[{i}]", n, i in symbolic, i in known) for i, n in enumerate(shape))


def _steps(name: str, value: Any, ndim: int) -> tuple[int, ...]:
    """A stride or dilation: one int of at least 1 for each axis."""
    if isinstance(value, _INTEGERS):
        value = (value,) * ndim
    value = tuple(value)
    if len(value) != ndim:
        raise ValueError(f"{name} must have {ndim} elements, not {len(value)}: {value}")
    for axis, step in enumerate(value):
        if not isinstance(step, _INTEGERS) or isinstance(step, bool) or step < 1:
            raise SizeError(f"`{name}` (={value}) must be integers of at least 1", axis=axis)
    return tuple(int(step) for step in value)


def _border_mode(mode: Any, ndim: int) -> Any:
    """Theano's border mode with NumPy integers made ints; what is no border mode raises ValueError."""
    if isinstance(mode, _INTEGERS):
        mode = int(mode)
    elif isinstance(mode, tuple):
        mode = tuple(
            tuple(int(n) if isinstance(n, _INTEGERS) else n for n in part)
            if isinstance(part, tuple)
            else int(part)
            if isinstance(part, _INTEGERS)
            else part
            for part in mode
        )
    elif not isinstance(mode, str) or mode not in ("valid", "full", "half"):
        hint = ""
        if isinstance(mode, list):
            hint = f"; write it as a tuple: {tuple(mode)}"
        elif mode == "same":
            hint = "; with odd filters 'half' is what other libraries call 'same'"
        raise ValueError(
            f"invalid border_mode {mode!r}, which must be either 'valid', 'full', 'half', an integer or a tuple of "
            f"length {ndim} of integers or pairs{hint}"
        )
    return mode


def _options(ndim: int, options: dict[str, Any]) -> dict[str, Any]:
    """The checked options of an abstract convolution of `ndim` axes."""
    options = dict(options)
    for name in ("subsample", "filter_dilation"):
        if options.get(name) is not None:
            options[name] = _steps(name, options[name], ndim)
    if "border_mode" in options:
        options["border_mode"] = _border_mode(options["border_mode"], ndim)
    groups = options.get("num_groups", 1)
    if not isinstance(groups, _INTEGERS) or groups < 1:
        raise ValueError(f"num_groups is {groups!r}: an integer greater than zero is legal")
    options["num_groups"] = int(groups)
    length = 2 + 2 * ndim if options.get("unshared") else 2 + ndim
    for name, count in (("imshp", 2 + ndim), ("kshp", length)):
        value = options.get(name)
        # an empty shape means none
        options[name] = None if isinstance(value, (tuple, list)) and not value else _shape(name, value, count)
    return options


class _Checked(type):
    """Classes that check their arguments and then give an Op of Aesara's class `op`.

    ``isinstance`` and ``issubclass`` mean that class, so that code which looks for these Ops in a graph finds them,
    also those that a gradient made.
    """

    op: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        options = dict(inspect.signature(cls.op).bind(*args, **kwargs).arguments)
        if "convdim" in options and options["convdim"] not in (2, 3):
            raise ValueError(f"convolution dimension {options['convdim']} is not supported; 2 and 3 are")
        ndim = options.get("convdim") or (3 if "3d" in cls.__name__ else 2)
        return cls.op(**_options(ndim, options))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.op)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.op) or super().__subclasscheck__(other)


class AbstractConv(metaclass=_Checked):
    """The forward convolution of `convdim` axes: ``op(img, kern)``."""

    op = base.AbstractConv


class AbstractConv2d(metaclass=_Checked):
    """The forward convolution: ``op(img, kern)``."""

    op = base.AbstractConv2d


class AbstractConv3d(metaclass=_Checked):
    """The forward convolution of volumes: ``op(img, kern)``."""

    op = base.AbstractConv3d


class AbstractConv_gradInputs(metaclass=_Checked):
    """The input gradient in `convdim` axes: ``op(kern, topgrad, shape)``."""

    op = base.AbstractConv_gradInputs


class AbstractConv2d_gradInputs(metaclass=_Checked):
    """The input gradient, which is the deconvolution: ``op(kern, topgrad, shape)`` with the two sizes of the result."""

    op = base.AbstractConv2d_gradInputs


class AbstractConv3d_gradInputs(metaclass=_Checked):
    """The input gradient of volumes: ``op(kern, topgrad, shape)`` with the three sizes of the result."""

    op = base.AbstractConv3d_gradInputs


class AbstractConv_gradWeights(metaclass=_Checked):
    """The weight gradient in `convdim` axes: ``op(img, topgrad, shape)``."""

    op = base.AbstractConv_gradWeights


class AbstractConv2d_gradWeights(metaclass=_Checked):
    """The weight gradient: ``op(img, topgrad, shape)`` with the two sizes of the filters."""

    op = base.AbstractConv2d_gradWeights


class AbstractConv3d_gradWeights(metaclass=_Checked):
    """The weight gradient of volumes: ``op(img, topgrad, shape)`` with the three sizes of the filters."""

    op = base.AbstractConv3d_gradWeights


def _checked(output: Any) -> Any:
    """`output`, after what is known of the shapes has been checked."""
    engine_op(output.owner.op)(*output.owner.inputs)
    return output


def _agree(name: str, said: Any, variable: Any) -> None:
    """A shape that was announced is the variable's, as far as either is known; Theano passed over it."""
    for axis, (a, b) in enumerate(zip(said or (), variable.type.shape, strict=False)):
        if isinstance(a, int) and b is not None and a != b:
            raise SizeError(
                f"`{name}` is {tuple(said)}, but what is given has the shape {variable.type.shape}", axis=axis
            )


def conv(ndim: int, input: Any, filters: Any, input_shape: Any, filter_shape: Any, **options: Any) -> Any:
    """The forward convolution, of one reading for all of Theano's functions."""
    length = 2 + 2 * ndim if options.get("unshared") else 2 + ndim
    input, filters = at.as_tensor_variable(input), at.as_tensor_variable(filters)
    input_shape = _shape("input_shape", input_shape, 2 + ndim)
    filter_shape = _shape("filter_shape", filter_shape, length)
    _agree("input_shape", input_shape, input)
    _agree("filter_shape", filter_shape, filters)
    kind: Any = AbstractConv2d if ndim == 2 else AbstractConv3d
    op = kind(imshp=input_shape, kshp=filter_shape, **options)
    return _checked(op(input, filters))


def _spatial(ndim: int) -> range:
    return range(2, 2 + ndim)


def _gradient(ndim: int, kind: Any, first: Any, second: Any, imshp: Any, kshp: Any, shape: Any, options: Any) -> Any:
    first, second = at.as_tensor_variable(first), at.as_tensor_variable(second)
    if first.dtype != second.dtype:
        sentence = f"a convolution's gradient from {second.dtype} and {first.dtype}: its dtype is {first.dtype}"
        warnings.warn(f"{sentence}, as in Theano", stacklevel=4)

    def number(n: Any) -> Any:
        return None if isinstance(n, at.Variable) and not isinstance(n, at.TensorConstant) else n

    op = kind(
        imshp=None if imshp is None else tuple(map(number, imshp)),
        kshp=None if kshp is None else tuple(map(number, kshp)),
        **options,
    )
    return _checked(op(first, second, shape[-ndim:]))


def _grad_wrt_inputs(
    ndim: int, output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any, options: Any
) -> Any:
    length = 2 + 2 * ndim if options.get("unshared") else 2 + ndim
    input_shape = _shape("input_shape", input_shape, 2 + ndim, symbolic=_spatial(ndim), unknown=(0, 1))
    filter_shape = _shape("filter_shape", filter_shape, length)
    _agree("filter_shape", filter_shape, at.as_tensor_variable(filters))
    kind = AbstractConv2d_gradInputs if ndim == 2 else AbstractConv3d_gradInputs
    return _gradient(ndim, kind, filters, output_grad, input_shape, filter_shape, input_shape, options)


def _grad_wrt_weights(
    ndim: int, input: Any, output_grad: Any, filter_shape: Any, input_shape: Any, options: Any
) -> Any:
    length = 2 + 2 * ndim if options.get("unshared") else 2 + ndim
    last = range(length - ndim, length)
    filter_shape = _shape("filter_shape", filter_shape, length, symbolic=last, unknown=range(length - ndim))
    input_shape = _shape("input_shape", input_shape, 2 + ndim)
    _agree("input_shape", input_shape, at.as_tensor_variable(input))
    kind = AbstractConv2d_gradWeights if ndim == 2 else AbstractConv3d_gradWeights
    return _gradient(ndim, kind, input, output_grad, input_shape, filter_shape, filter_shape, options)


def conv2d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """Convolve `input` ``(N, C, H, W)`` with `filters` ``(M, C / num_groups, kh, kw)`` into ``(N, M, *out)``.

    Parameters
    ----------
    input_shape, filter_shape
        What is known of the shapes; None, also entry by entry, where nothing is.
    border_mode
        ``"valid"``, ``"full"``, ``"half"``, a number of zeros, one per axis, or a pair (before, after) for an axis.
    subsample, filter_dilation
        The stride and the dilation, integers of at least 1.
    filter_flip
        True convolves (Theano's default), False correlates.
    unshared
        `filters` are ``(M, out_h, out_w, C / num_groups, kh, kw)``, others at every place.
    """
    options = dict(
        border_mode=border_mode, subsample=subsample, filter_flip=filter_flip, filter_dilation=filter_dilation
    )
    return conv(2, input, filters, input_shape, filter_shape, num_groups=num_groups, unshared=unshared, **options)


def conv3d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
) -> Any:
    """`conv2d` for volumes ``(N, C, D, H, W)``."""
    options = dict(
        border_mode=border_mode, subsample=subsample, filter_flip=filter_flip, filter_dilation=filter_dilation
    )
    return conv(3, input, filters, input_shape, filter_shape, num_groups=num_groups, **options)


def conv2d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The deconvolution: the gradient of `conv2d` in its input, ``(N, C, H, W)``, from `output_grad` ``(N, M, *out)``.

    `input_shape` is ``(N, C, H, W)`` of the result: N and C may be None, H and W are ints (NumPy's too) or symbolic
    integers, of which the forward convolution makes the size of `output_grad`. The other arguments are `conv2d`'s.

    Raises
    ------
    ValueError
        For sizes that cannot be, now where they are known (`SizeError` names the legal ones), else at the call.
    """
    options = dict(
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=filter_flip,
        filter_dilation=filter_dilation,
        num_groups=num_groups,
        unshared=unshared,
    )
    return _grad_wrt_inputs(2, output_grad, filters, input_shape, filter_shape, options)


def conv3d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
) -> Any:
    """`conv2d_grad_wrt_inputs` for volumes; `input_shape` is ``(N, C, D, H, W)``."""
    options = dict(
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=filter_flip,
        filter_dilation=filter_dilation,
        num_groups=num_groups,
    )
    return _grad_wrt_inputs(3, output_grad, filters, input_shape, filter_shape, options)


def conv2d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Any,
    input_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The gradient of `conv2d` in its filters, whose shape is `filter_shape`; of that the last two must be given."""
    options = dict(
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=filter_flip,
        filter_dilation=filter_dilation,
        num_groups=num_groups,
        unshared=unshared,
    )
    return _grad_wrt_weights(2, input, output_grad, filter_shape, input_shape, options)


def conv3d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Any,
    input_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
) -> Any:
    """`conv2d_grad_wrt_weights` for volumes; of `filter_shape` the last three must be given."""
    options = dict(
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=filter_flip,
        filter_dilation=filter_dilation,
        num_groups=num_groups,
    )
    return _grad_wrt_weights(3, input, output_grad, filter_shape, input_shape, options)


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    input_dilation: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """`conv2d_grad_wrt_inputs` as a layer: `input_dilation` is its stride, `filters` are ``(C_in, C_out, kh, kw)``."""
    return conv2d_grad_wrt_inputs(
        input,
        filters,
        output_shape,
        filter_shape,
        border_mode,
        input_dilation,
        filter_flip,
        filter_dilation,
        num_groups,
        unshared,
    )
