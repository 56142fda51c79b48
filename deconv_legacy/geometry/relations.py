"""A deconvolution as a convolution of stride 1 (Dumoulin & Visin, arXiv 1603.07285, relations 6 to 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deconv_legacy.geometry import formulas
from deconv_legacy.geometry._arguments import as_int
from deconv_legacy.geometry.deconv import deconv_output_size
from deconv_legacy.geometry.sizes import conv_output_size, dilated_kernel, resolve_pads

__all__ = ["StretchedConvolution", "equivalent_convolution", "size_remainder"]


def size_remainder(size: int, kernel: int, stride: int = 1, border_mode: Any = "valid", dilation: int = 1) -> int:
    """The cells that the last window of a convolution leaves over: ``(size + pads - k) mod s``.

    It is what the output size does not tell, the paper's ``a``: the deconvolution that leads back to `size`
    has to be told. Where 'same' pads nothing because the kernel is shorter than the stride, cells remain too.

    >>> size_remainder(7, 3, 2), size_remainder(8, 3, 2)
    (0, 1)
    """
    n = conv_output_size(as_int(size, "size", 1), kernel, stride, border_mode, dilation)
    pads = resolve_pads(border_mode, size, kernel, stride, dilation)
    assert n is not None and pads is not None
    return size - formulas.deconv_smallest(n, dilated_kernel(kernel, dilation), stride, sum(pads))


@dataclass(frozen=True)
class StretchedConvolution:
    """The convolution of stride 1, with the rotated kernel, that equals a deconvolution along one axis.

    Parameters
    ----------
    stretched
        Size of the input with ``stride - 1`` zeros between its cells.
    extra
        Zeros put behind it, the paper's ``a``.
    pads
        Zeros (before, after) around both, the paper's ``p' = k - p - 1``; a negative one crops, of which the
        paper does not speak. `extra` is not in them.
    output_size
        Size of the result.
    """

    stretched: int
    extra: int
    pads: tuple[int, int]
    output_size: int


def equivalent_convolution(
    n: int,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    output_size: int | None = None,
) -> StretchedConvolution:
    """How a deconvolution of `n` cells is written as a convolution of stride 1.

    The parameters are those of :func:`deconv_output_size`; the kernel keeps its dilation and is rotated.

    >>> equivalent_convolution(3, 3, 2, 1, output_size=6)
    StretchedConvolution(stretched=5, extra=1, pads=(1, 1), output_size=6)
    """
    size = deconv_output_size(as_int(n, "n", 1), kernel, stride, border_mode, dilation, output_size)
    pads = resolve_pads(border_mode, size, kernel, stride, dilation)
    assert size is not None and pads is not None
    k = dilated_kernel(kernel, dilation)
    return StretchedConvolution(
        stretched=formulas.stretched(n, stride),
        extra=size - formulas.deconv_smallest(n, k, stride, sum(pads)),
        pads=(k - 1 - pads[0], k - 1 - pads[1]),
        output_size=size,
    )
