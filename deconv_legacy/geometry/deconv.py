"""Output sizes of a deconvolution: which are legal, and which one each framework takes by default.

A deconvolution (transposed convolution, gradient of a convolution with respect to its input) undoes the
*size* of a convolution. That convolution rounds down, so it takes `stride` different sizes to the same `n`;
from `n` alone nobody can tell which one it was. This is why Theano wants ``input_shape`` and TensorFlow
``output_shape`` although the padding is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import formulas
from deconv_legacy.geometry._arguments import (
    as_int,
    as_items,
    as_size,
    axis_border,
    axis_numbers,
    normalize_border_mode,
    on_axis,
    per_axis,
)
from deconv_legacy.geometry.sizes import dilated_kernel, resolve_pads

__all__ = [
    "DECONV_CONVENTIONS",
    "check_deconv_output_size",
    "deconv_default_size",
    "deconv_output_shape",
    "deconv_output_size",
    "deconv_output_sizes",
    "onnx_deconv_pads",
]


def deconv_output_sizes(
    n: int,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    *,
    axis: int | None = None,
) -> range:
    """The legal output sizes of one axis of a deconvolution, smallest first: those whose forward size is `n`.

    There are exactly `stride` of them: ``s(n-1)+k-pads .. +s-1`` with explicit pads, ``s(n-1)+1 .. sn`` with
    'same' and 'same_lower' (``k`` is the dilated kernel). Sizes below 1 are no sizes and are left out, so
    pads that eat the whole output leave fewer, down to an empty range.

    Parameters
    ----------
    n
        Input size of the deconvolution, at least 1.
    kernel, stride, dilation
        Of this axis, at least 1.
    border_mode
        Of the forward convolution: a name of :data:`BORDER_MODES`, one pad for both sides, or (before, after).
    axis
        What the caller calls this axis; for errors only.

    Raises
    ------
    SizeError
        For illegal arguments; an `n` of 0 is one, there is nothing to spread.

    >>> list(deconv_output_sizes(4, 3, 2, "same")), list(deconv_output_sizes(1, 5, 4))
    ([7, 8], [5, 6, 7, 8])
    """
    n = as_int(n, "deconvolution input size", 1, axis=axis)
    s, k = as_int(stride, "stride", 1), dilated_kernel(kernel, dilation)
    mode = axis_border(border_mode)
    if mode in ("same", "same_lower"):
        first, last = formulas.same_deconv_smallest(n, s), formulas.same_deconv_largest(n, s)
    else:
        pads = resolve_pads(mode, None, kernel, s, dilation)
        assert pads is not None
        first, last = (
            formulas.deconv_smallest(n, k, s, sum(pads)),
            formulas.deconv_largest(n, k, s, sum(pads)),
        )
    return range(max(first, 1), max(last, 0) + 1)


def check_deconv_output_size(
    output_size: int,
    n: int,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    *,
    axis: int | None = None,
) -> int:
    """`output_size` as a plain int, if a deconvolution of `n` cells can have it.

    The parameters are those of :func:`deconv_output_sizes`.

    Raises
    ------
    SizeError
        With `axis`, `actual` (= n), `computed` (the forward size of `output_size`, 0 if the kernel does not
        fit) and `legal`.

    >>> check_deconv_output_size(7, 4, 3, 2, "same")
    7
    >>> check_deconv_output_size(4, 4, 3, 2, "same", axis=1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    deconv_legacy.errors.SizeError: axis 1: output size 4 is impossible: ... legal sizes: 7, 8 ...
    """
    legal = deconv_output_sizes(n, kernel, stride, border_mode, dilation, axis=axis)
    n = as_int(n, "deconvolution input size", 1)
    wanted = as_int(output_size, "deconvolution output size", axis=axis)
    if wanted in legal:
        return wanted
    computed = _forward_size(wanted, kernel, stride, border_mode, dilation)
    raise SizeError(
        f"{on_axis(axis)}output size {wanted} is impossible: the deconvolution's input has size {n} (actual), "
        f"but the forward convolution ({_describe(kernel, stride, border_mode, dilation)}) takes {wanted} to "
        f"{computed} (computed); " + _legal_text(legal, n, as_int(stride, "stride", 1)),
        axis=axis,
        actual=n,
        computed=computed,
        legal=legal,
    )


def deconv_output_size(
    n: int | None,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    output_size: int | None = None,
    *,
    axis: int | None = None,
) -> int | None:
    """Output size of one axis of a deconvolution: `output_size` if it is legal, by default the smallest.

    An `n` of None is not known: then `output_size` is believed, to be checked when `n` is there.

    Raises
    ------
    SizeError
        As :func:`check_deconv_output_size`; also if the pads leave nothing of the smallest size.

    >>> deconv_output_size(16, 64, 32), deconv_output_size(4, 3, 2, "half", output_size=8)
    (544, 8)
    """
    if n is None:
        resolve_pads(border_mode, None, kernel, stride, dilation)  # refuses illegal arguments
        return as_size(output_size, "deconvolution output size", axis=axis)
    if output_size is not None:
        return check_deconv_output_size(output_size, n, kernel, stride, border_mode, dilation, axis=axis)
    legal = deconv_output_sizes(n, kernel, stride, border_mode, dilation, axis=axis)
    if len(legal) < stride:
        # The formula's smallest is below 1. To take the next would be a guess, and no framework makes it.
        raise SizeError(
            f"{on_axis(axis)}nothing is left of a deconvolution of {n} cells "
            f"({_describe(kernel, stride, border_mode, dilation)}): its pads crop all"
            + (f", unless you ask for one of the sizes {', '.join(map(str, legal))}" if legal else ""),
            axis=axis,
            actual=n,
            legal=legal,
        )
    return legal[0]


def deconv_output_shape(
    sizes: Sequence[int | None],
    kernel: Any,
    stride: Any = 1,
    border_mode: Any = "valid",
    dilation: Any = 1,
    output_sizes: Any = None,
    *,
    axes: Sequence[int] | None = None,
) -> tuple[int | None, ...]:
    """:func:`deconv_output_size` for every spatial axis; arguments for all axes at once or one for each.

    An output size of None takes the smallest. `axes` are the numbers by which errors name the axes,
    e.g. (1, 2) for the rows and columns of NHWC.

    >>> deconv_output_shape((7, 9), (2, 3), 2)
    (14, 19)
    >>> deconv_output_shape((4, 5), 3, 2, "same", output_sizes=(8, None))
    (8, 9)
    """
    ndim = len(sizes)
    wanted = as_items(output_sizes)
    wanted = [output_sizes] * ndim if wanted is None else wanted
    if len(wanted) != ndim:
        raise SizeError(f"`output_sizes` (={output_sizes!r}) must have {ndim} values")
    return tuple(
        deconv_output_size(*arguments, axis=axis)
        for *arguments, axis in zip(
            sizes,
            per_axis(kernel, ndim, "kernel", 1),
            per_axis(stride, ndim, "stride", 1),
            normalize_border_mode(border_mode, ndim),
            per_axis(dilation, ndim, "dilation", 1),
            wanted,
            axis_numbers(axes, ndim),
            strict=True,
        )
    )


DECONV_CONVENTIONS = {
    "smallest": "the smallest legal size (Theano, Lasagne, Caffe; TensorFlow names every size itself)",
    "tf": "tf.contrib.layers, tf.layers, Keras without output_padding: SAME s n, VALID s n + max(k - s, 0)",
    "keras": "Keras with output_padding op: s(n-1) + k - 2 pad + op, where SAME pads k // 2",
    "torch": "s(n-1) + k - pads + op, with op less than the stride or the dilation",
    "onnx": "as torch; with auto_pad SAME_UPPER or SAME_LOWER s n",
}
"""How frameworks choose the output size of a deconvolution, for :func:`deconv_default_size`."""


def deconv_default_size(
    n: int | None,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    *,
    convention: str = "smallest",
    output_padding: int = 0,
    axis: int | None = None,
) -> int | None:
    """The output size that a framework gives one axis of a deconvolution when nobody names one.

    Parameters
    ----------
    n, kernel, stride, border_mode, dilation, axis
        As in :func:`deconv_output_sizes`; an `n` of None gives None.
    convention
        A name of :data:`DECONV_CONVENTIONS`.
    output_padding
        Cells added at the end; for 'keras', 'torch' and 'onnx' only.

    Raises
    ------
    SizeError
        Where the framework itself refuses, and where its formula gives a size whose forward size is not `n`
        (Keras SAME with an even kernel and output_padding 0; torch with output_padding >= stride).

    >>> [deconv_default_size(5, 3, 2, "same", convention=name) for name in ("smallest", "tf", "keras")]
    [9, 10, 9]
    >>> deconv_default_size(4, 3, 2, 1, convention="torch", output_padding=1)
    8
    """
    if convention not in DECONV_CONVENTIONS:
        raise SizeError(
            f"`convention` (={convention!r}) is unknown; legal are {', '.join(map(repr, DECONV_CONVENTIONS))}"
        )
    op = as_int(output_padding, "output_padding", 0)
    mode = axis_border(border_mode)
    s, d, k = as_int(stride, "stride", 1), as_int(dilation, "dilation", 1), dilated_kernel(kernel, dilation)
    n = as_size(n, "deconvolution input size", axis=axis)
    if op and convention in ("smallest", "tf"):
        raise SizeError(f"`output_padding` (={op}) means nothing in the convention {convention!r}", axis=axis)
    if op >= s and (convention == "keras" or op >= d):
        other = "" if convention == "keras" else f" or the dilation (={d})"
        raise SizeError(f"`output_padding` (={op}) must be smaller than the stride (={s}){other}", axis=axis)
    if n is None:
        return None
    if convention == "smallest":
        return deconv_output_size(n, kernel, s, mode, d, axis=axis)
    same = mode in ("same", "same_lower")
    if same and convention in ("tf", "onnx"):
        size = formulas.same_deconv_largest(n, s)
    elif same and convention == "keras":
        size = formulas.deconv_smallest(n, k, s, 2 * (k // 2)) + op
    else:
        pads = resolve_pads(mode, formulas.same_deconv_smallest(n, s), kernel, s, d)
        assert pads is not None
        size = formulas.deconv_smallest(n, k, s, sum(pads)) + op
        if convention == "tf" and mode == "valid":
            size += max(s - k, 0)  # s n + max(k - s, 0) keeps the tail of zeros behind a kernel below the stride
    return check_deconv_output_size(size, n, kernel, s, mode, d, axis=axis)


def onnx_deconv_pads(
    n: int,
    output_size: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    *,
    output_padding: int = 0,
    auto_pad: str = "NOTSET",
) -> tuple[int, int]:
    """Pads (before, after) of one axis of ONNX ConvTranspose when the node states its ``output_shape``.

    ``total = s(n-1) + k + output_padding - output_size``; half of it, rounded down, comes before with
    SAME_UPPER; otherwise, also with NOTSET, it comes after.

    >>> onnx_deconv_pads(5, 10, 4, 2, auto_pad="SAME_UPPER"), onnx_deconv_pads(5, 10, 3, 2)
    ((1, 1), (1, 0))
    """
    k, s = dilated_kernel(kernel, dilation), as_int(stride, "stride", 1)
    n = as_int(n, "deconvolution input size", 1)
    wanted = as_int(output_size, "deconvolution output size", 1)
    total = formulas.deconv_smallest(n, k, s, 0) + as_int(output_padding, "output_padding", 0) - wanted
    total = max(total, 0)
    less = total // 2
    return (less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less)


def _forward_size(size: int, kernel: int, stride: int, border_mode: Any, dilation: int) -> int:
    """What the forward convolution makes of `size`, 0 where there is nothing to convolve."""
    if size < 1:
        return 0
    pads = resolve_pads(border_mode, size, kernel, stride, dilation)
    assert pads is not None
    return max(formulas.conv(size, dilated_kernel(kernel, dilation), as_int(stride, "stride", 1), sum(pads)), 0)


def _describe(kernel: int, stride: int, border_mode: Any, dilation: int) -> str:
    mode = axis_border(border_mode)
    padding = f"padding {mode!r}" if isinstance(mode, str) else f"pads {mode[0]} and {mode[1]}"
    holes = "" if dilation == 1 else f", dilation {dilation}"
    return f"kernel {kernel}, stride {stride}, {padding}{holes}"


def _legal_text(legal: range, n: int, stride: int) -> str:
    if not legal:
        return f"there is no legal size: the pads crop all of a deconvolution of {n} cells"
    listed = ", ".join(map(str, legal)) if len(legal) <= 4 else f"{legal[0]} to {legal[-1]}"
    if stride == 1:
        return f"the only legal size is {listed}"
    return (
        f"legal sizes: {listed} (a convolution of stride {stride} rounds down and takes {stride} neighbouring"
        f" sizes to {n}; say which one you want)"
    )
