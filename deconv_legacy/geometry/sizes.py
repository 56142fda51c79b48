"""Sizes after a convolution, a pooling, a crop, an interpolation: one axis each, and all axes at once.

A size that is not known is None, and so is what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import formulas
from deconv_legacy.geometry._arguments import (
    as_int,
    as_size,
    axis_border,
    axis_numbers,
    normalize_border_mode,
    on_axis,
    per_axis,
)

__all__ = [
    "POOL_ROUNDINGS",
    "conv_output_shape",
    "conv_output_size",
    "crop_range",
    "dilated_kernel",
    "interp_output_size",
    "pool_output_shape",
    "pool_output_size",
    "resolve_all_pads",
    "resolve_pads",
]

POOL_ROUNDINGS = {
    "floor": "whole windows only (Theano ignore_border=True, TensorFlow, torch, Caffe round_mode FLOOR)",
    "ceil": "a last, partial window if it starts before the padding that follows (torch ceil_mode=True)",
    "caffe": "as ceil, but without any padding even a window beyond the input counts (Caffe's default)",
    "theano": "a last, partial window, and always at least one; no padding (Theano ignore_border=False)",
}
"""The rules by which frameworks count pooling windows."""


def dilated_kernel(kernel: int, dilation: int = 1) -> int:
    """Cells that a kernel spans: ``(kernel - 1) * dilation + 1``.

    >>> dilated_kernel(3, 4)
    9
    """
    return formulas.dilated(as_int(kernel, "kernel", 1), as_int(dilation, "dilation", 1))


def resolve_pads(
    border_mode: Any, input_size: int | None, kernel: int, stride: int = 1, dilation: int = 1
) -> tuple[int, int] | None:
    """Pads (before, after) of one axis.

    Parameters
    ----------
    border_mode
        A name of :data:`BORDER_MODES`, one pad for both sides, or a pair (before, after).
    input_size
        Size of the *forward convolution's* input. For a deconvolution this is its output size: change it,
        and the pads of SAME change with it. Only 'same' and 'same_lower' look at it.
    kernel, stride, dilation
        Of this axis.

    Returns
    -------
    tuple or None
        None if the pads depend on an `input_size` that is None.

    Notes
    -----
    Pads of SAME are never negative, as in TensorFlow. ONNX Runtime crops where the kernel is shorter than the
    stride.

    >>> resolve_pads("same", 7, 3, 2), resolve_pads("same", 8, 3, 2), resolve_pads("half", None, 4)
    ((1, 1), (0, 1), (2, 2))
    """
    mode = axis_border(border_mode)
    k, s = dilated_kernel(kernel, dilation), as_int(stride, "stride", 1)
    if not isinstance(mode, str):
        return mode
    if mode == "valid":
        return 0, 0
    if mode == "half":
        return k // 2, k // 2
    if mode == "full":
        return k - 1, k - 1
    size = as_size(input_size, "input_size")
    if size is None:
        if s > 1:
            return None
        size = 1  # with stride 1 the pads are those of any size
    return formulas.same_pads(size, k, s, lower=mode == "same_lower")


def resolve_all_pads(
    border_mode: Any, input_sizes: Sequence[int | None], kernel: Any, stride: Any = 1, dilation: Any = 1
) -> tuple[tuple[int, int] | None, ...]:
    """:func:`resolve_pads` for every axis; arguments for all axes at once or one for each.

    >>> resolve_all_pads("same", (7, 8), (3, 5), 2)
    ((1, 1), (1, 2))
    """
    ndim = len(input_sizes)
    return tuple(
        resolve_pads(*arguments)
        for arguments in zip(
            normalize_border_mode(border_mode, ndim),
            input_sizes,
            per_axis(kernel, ndim, "kernel", 1),
            per_axis(stride, ndim, "stride", 1),
            per_axis(dilation, ndim, "dilation", 1),
            strict=True,
        )
    )


def conv_output_size(
    size: int | None,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    *,
    axis: int | None = None,
) -> int | None:
    """Size of one axis after a convolution.

    ``floor((size + before + after - k) / stride) + 1`` with ``k = (kernel - 1) * dilation + 1``;
    with 'same' and 'same_lower' ``ceil(size / stride)``.

    Parameters
    ----------
    size
        Size before, or None.
    kernel, stride, dilation
        Of this axis, at least 1.
    border_mode
        A name of :data:`BORDER_MODES`, one pad for both sides, or a pair (before, after).
    axis
        What the caller calls this axis; for errors only.

    Raises
    ------
    SizeError
        If the kernel is larger than the padded input, and for illegal arguments.

    >>> conv_output_size(500, 3, 1, 100), conv_output_size(7, 3, 2, "same")
    (698, 4)
    """
    size = as_size(size, "size", axis=axis)
    pads = resolve_pads(border_mode, size, kernel, stride, dilation)
    if size is None:
        return None
    assert pads is not None
    k = dilated_kernel(kernel, dilation)
    result = formulas.conv(size, k, as_int(stride, "stride", 1), sum(pads))
    if result < 1:
        raise _does_not_fit("kernel", k, kernel, size, pads, axis)
    return result


def conv_output_shape(
    sizes: Sequence[int | None],
    kernel: Any,
    stride: Any = 1,
    border_mode: Any = "valid",
    dilation: Any = 1,
    *,
    axes: Sequence[int] | None = None,
) -> tuple[int | None, ...]:
    """:func:`conv_output_size` for every spatial axis; arguments for all axes at once or one for each.

    `axes` are the numbers by which errors name the axes, e.g. (2, 3) for the rows and columns of NCHW.

    >>> conv_output_shape((112, None), 3, (2, 1), "same")
    (56, None)
    """
    ndim = len(sizes)
    return tuple(
        conv_output_size(*arguments, axis=axis)
        for *arguments, axis in zip(
            sizes,
            per_axis(kernel, ndim, "kernel", 1),
            per_axis(stride, ndim, "stride", 1),
            normalize_border_mode(border_mode, ndim),
            per_axis(dilation, ndim, "dilation", 1),
            axis_numbers(axes, ndim),
            strict=True,
        )
    )


def pool_output_size(
    size: int | None,
    kernel: int,
    stride: int | None = None,
    border_mode: Any = "valid",
    rounding: str = "floor",
    *,
    axis: int | None = None,
) -> int | None:
    """Size of one axis after a pooling.

    Parameters
    ----------
    size
        Size before, or None.
    kernel, stride
        Window and step; a stride of None is that of the window (Theano, torch).
    border_mode
        A name of :data:`BORDER_MODES`, one pad for both sides, or a pair (before, after); every pad is less
        than the window, as all frameworks demand.
    rounding
        The rule for the last window, a name of :data:`POOL_ROUNDINGS`.
    axis
        What the caller calls this axis; for errors only.

    Raises
    ------
    SizeError
        If no window fits, and for illegal arguments.

    >>> pool_output_size(7, 2), pool_output_size(7, 2, rounding="caffe"), pool_output_size(7, 2, 2, "same")
    (3, 4, 4)
    """
    if rounding not in POOL_ROUNDINGS:
        raise SizeError(f"`rounding` (={rounding!r}) is unknown; legal are {', '.join(map(repr, POOL_ROUNDINGS))}")
    size = as_size(size, "size", axis=axis)
    k = as_int(kernel, "kernel", 1)
    s = k if stride is None else as_int(stride, "stride", 1)
    pads = resolve_pads(border_mode, size, k, s)
    if pads is not None and max(pads) >= k:
        raise SizeError(f"pooling pads {pads} must be smaller than the window (={k})", axis=axis)
    if rounding == "theano" and pads != (0, 0):
        raise SizeError("Theano pools with padding only if ignore_border=True (rounding='floor')", axis=axis)
    if size is None:
        return None
    assert pads is not None
    if rounding == "floor":
        result = formulas.conv(size, k, s, sum(pads))
    elif rounding == "theano":
        result = formulas.pool_theano(size, k, s)
    else:
        result = formulas.pool_ceil(size, k, s, *pads, drop=rounding == "ceil" or pads != (0, 0))
    if result < 1:
        raise _does_not_fit("window", k, k, size, pads, axis)
    return result


def pool_output_shape(
    sizes: Sequence[int | None],
    kernel: Any,
    stride: Any = None,
    border_mode: Any = "valid",
    rounding: str = "floor",
    *,
    axes: Sequence[int] | None = None,
) -> tuple[int | None, ...]:
    """:func:`pool_output_size` for every spatial axis; arguments for all axes at once or one for each.

    With ``rounding="caffe"`` a pad on any axis makes every axis drop a last window beyond its input, as
    ``pooling_layer.cpp`` has it.

    >>> pool_output_shape((5, 5), 2, 4, rounding="caffe"), pool_output_shape((5, 6), 1, 3, rounding="caffe")
    ((2, 2), (3, 3))
    >>> pool_output_shape((5, 6), (1, 2), 3, (0, 1), rounding="caffe")
    (2, 3)
    """
    ndim = len(sizes)
    kernels = per_axis(kernel, ndim, "kernel", 1)
    strides = kernels if stride is None else per_axis(stride, ndim, "stride", 1)
    modes = normalize_border_mode(border_mode, ndim)
    if rounding == "caffe" and any(mode not in ("valid", (0, 0)) for mode in modes):
        rounding = "ceil"
    return tuple(
        pool_output_size(size, k, s, mode, rounding, axis=axis)
        for size, k, s, mode, axis in zip(sizes, kernels, strides, modes, axis_numbers(axes, ndim), strict=True)
    )


def crop_range(size: int, target: int, offset: int = 0, *, axis: int | None = None) -> tuple[int, int]:
    """First cell and the one after the last that a crop of one axis keeps: ``(offset, offset + target)``.

    Parameters
    ----------
    size
        Size of what is cropped.
    target
        Size that it is cropped to, that of the other bottom in Caffe.
    offset
        First cell kept; Caffe does not centre.
    axis
        What the caller calls this axis; for errors only.

    Raises
    ------
    SizeError
        If the crop does not lie inside.

    >>> crop_range(544, 500, 19)
    (19, 519)
    """
    size, target = as_int(size, "size", axis=axis), as_int(target, "target", axis=axis)
    offset = as_int(offset, "offset", 0, axis=axis)
    if min(size, target) < 1:
        raise SizeError(
            f"{on_axis(axis)}a crop of {size} cells to {target}: there must be at least 1; where layers give these "
            "sizes, the image is too small for them, or has too little padding",
            axis=axis,
        )
    if offset + target > size:
        raise SizeError(
            f"{on_axis(axis)}a crop to {target} cells from offset {offset} ends at {offset + target}, "
            f"beyond the {size} there are" + ("" if target > size else f"; offsets 0 to {size - target} are legal"),
            axis=axis,
        )
    return offset, offset + target


def interp_output_size(
    size: int | None, zoom: int = 1, shrink: int = 1, pads: Any = (0, 0), *, axis: int | None = None
) -> int | None:
    """Size of one axis after the Interp layer of DeepLab and PSPNet (bilinear, end cells aligned).

    ``m = (size + before + after - 1) // shrink + 1``, then ``m + (m - 1) * (zoom - 1)``. Its pads are zero or
    negative: they crop.

    >>> interp_output_size(41, zoom=8), interp_output_size(42, zoom=8, pads=(0, -1))
    (321, 321)
    """
    before, after = per_axis(pads, 2, "pads")
    if max(before, after) > 0:
        raise SizeError(f"`pads` (={pads!r}) of Interp crop: zero or negative values are legal", axis=axis)
    zoom, shrink = as_int(zoom, "zoom", 1), as_int(shrink, "shrink", 1)
    size = as_size(size, "size", axis=axis)
    if size is None:
        return None
    if size + before + after < 1:
        raise SizeError(f"{on_axis(axis)}pads {(before, after)} leave nothing of size {size}", axis=axis)
    return formulas.interp(size + before + after, zoom, shrink)


def _does_not_fit(what: str, k: int, kernel: int, size: int, pads: tuple[int, int], axis: int | None) -> SizeError:
    dilation = "" if k == kernel else f" ({kernel} taps, dilated)"
    padding = "" if pads == (0, 0) else f", {size + sum(pads)} with its pads {pads[0]} and {pads[1]}"
    return SizeError(
        f"{on_axis(axis)}a {what} of {k}{dilation} is larger than the input of size {size}{padding}", axis=axis
    )
