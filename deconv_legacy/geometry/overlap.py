"""How many taps fall on each output cell of a deconvolution: where checkerboards come from.

See Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
"""

from __future__ import annotations

from typing import Any

from deconv_legacy.geometry._arguments import as_int
from deconv_legacy.geometry.deconv import deconv_output_size
from deconv_legacy.geometry.receptive import deconv_taps

__all__ = ["overlap_counts", "overlap_pattern", "overlaps_evenly"]


def overlap_counts(
    n: int,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    output_size: int | None = None,
) -> tuple[int, ...]:
    """The number of taps on every output cell of one axis, borders included.

    On several axes the counts multiply. The parameters are those of :func:`deconv_output_size`.

    >>> overlap_counts(3, 3, 2), overlap_counts(3, 4, 2)
    ((1, 1, 2, 1, 2, 1, 1), (1, 1, 2, 2, 2, 2, 1, 1))
    """
    size = deconv_output_size(as_int(n, "n", 1), kernel, stride, border_mode, dilation, output_size)
    assert size is not None
    return tuple(len(deconv_taps(position, n, kernel, stride, border_mode, dilation, size)) for position in range(size))


def overlap_pattern(kernel: int, stride: int, dilation: int = 1) -> tuple[int, ...]:
    """The number of taps on output cells away from the border, which repeats every `stride` cells.

    Entry ``r`` is that of the cells with ``(cell + pad before) % stride == r``.

    >>> overlap_pattern(3, 2), overlap_pattern(4, 2), overlap_pattern(4, 2, dilation=2)
    ((2, 1), (2, 2), (4, 0))
    """
    kernel, stride = as_int(kernel, "kernel", 1), as_int(stride, "stride", 1)
    dilation = as_int(dilation, "dilation", 1)
    falls = [tap * dilation % stride for tap in range(kernel)]
    return tuple(falls.count(phase) for phase in range(stride))


def overlaps_evenly(kernel: int, stride: int, dilation: int = 1) -> bool:
    """Whether all output cells away from the border get equally many taps (no checkerboard by size).

    >>> overlaps_evenly(64, 32), overlaps_evenly(63, 32)
    (True, False)
    """
    return len(set(overlap_pattern(kernel, stride, dilation))) == 1
