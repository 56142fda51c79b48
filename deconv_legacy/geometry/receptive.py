"""Receptive fields: which cells of the input a cell of the output sees, exactly, padding included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry._arguments import as_int
from deconv_legacy.geometry.chain import Step, chain_sizes
from deconv_legacy.geometry.deconv import deconv_output_size
from deconv_legacy.geometry.sizes import dilated_kernel, resolve_pads

__all__ = ["ReceptiveField", "deconv_taps", "inputs_reaching", "receptive_field"]


@dataclass(frozen=True)
class ReceptiveField:
    """What the cells after a path of convolutions and poolings see of its input.

    Parameters
    ----------
    size
        Cells from the first to the last one that an output cell sees.
    jump
        How far it moves from one output cell to the next: the product of the strides.
    start
        First cell that output cell 0 sees; negative inside the padding.
    """

    size: int
    jump: int
    start: int

    def span(self, position: int) -> tuple[int, int]:
        """First and last input cell that output cell `position` sees, cells of the padding included.

        >>> ReceptiveField(size=404, jump=32, start=-189).span(0)
        (-189, 214)
        """
        first = self.start + as_int(position, "position") * self.jump
        return first, first + self.size - 1

    def centre(self, position: int) -> Fraction:
        """Middle of the span: the inverse of the coordinate map.

        >>> ReceptiveField(size=404, jump=32, start=-189).centre(0)
        Fraction(25, 2)
        """
        first, last = self.span(position)
        return Fraction(first + last, 2)


def receptive_field(steps: Iterable[Step], size: int | None = None) -> ReceptiveField:
    """The receptive field of the cells after `steps`: convolutions, poolings, crops, cell-by-cell layers.

    ``size = 1 + sum (k - 1) * jump``, ``start = sum (offset - before) * jump``, with ``k`` the dilated kernel
    and ``jump`` the product of the strides before the step.

    Parameters
    ----------
    steps
        In the order in which data take them.
    size
        Size before the first step. Only paths with size-dependent pads ('same') need it.

    Raises
    ------
    SizeError
        For a deconvolution, whose cells do not all see equally much (:func:`inputs_reaching` answers for one
        cell), and for pads that depend on a size not known.

    >>> receptive_field([Step("conv", 3, border_mode=100), Step("pool", 2, 2), Step("conv", 3)])
    ReceptiveField(size=8, jump=2, start=-100)
    """
    seen, jump, start = 1, 1, 0
    for step in steps:
        if step.kind == "deconv":
            raise SizeError(
                "the cells of a deconvolution do not all see equally much; ask inputs_reaching for one cell"
            ).at(step.label)
        if step.kind == "crop":
            start += step.offset * jump
        elif step.kind != "identity":
            seen += (dilated_kernel(step.kernel, step.dilation) - 1) * jump
            start -= step.pads(size)[0] * jump
            jump *= step.stride
        size = None if size is None else step.size_after(size)
    return ReceptiveField(seen, jump, start)


def inputs_reaching(position: int, steps: Iterable[Step], size: int) -> tuple[int, ...]:
    """The input cells that reach output cell `position` through `steps`, deconvolutions included.

    Parameters
    ----------
    position
        Output cell, from 0.
    steps
        In the order in which data take them.
    size
        Size before the first step. Cells of the padding are not listed.

    Raises
    ------
    SizeError
        If there is no such output cell.

    >>> inputs_reaching(4, [Step("conv", 3, border_mode=1), Step("pool", 2, 2), Step("deconv", 4, 2)], 6)
    (1, 2, 3, 4, 5)
    """
    steps = tuple(steps)
    sizes = chain_sizes(as_int(size, "size", 1), steps)
    position = as_int(position, "position", 0)
    if sizes[-1] is not None and position >= sizes[-1]:
        raise SizeError(f"`position` (={position}) must be below the output size {sizes[-1]}")
    cells = {position}
    for step, before in zip(reversed(steps), reversed(sizes[:-1]), strict=True):
        if before is None:
            raise SizeError("the size before this step is not known").at(step.label)
        cells = {source for cell in cells for source in _sources(step, cell, before)}
    return tuple(sorted(cells))


def _sources(step: Step, cell: int, size: int) -> Iterable[int]:
    """The cells of the `size` before a step that its output `cell` is made of."""
    if step.kind == "identity":
        return (cell,)
    if step.kind == "crop":
        return (cell + step.offset,)
    before = step.pads(size)[0]
    if step.kind == "deconv":
        return (source for source, _ in _taps(cell, size, step.kernel, step.stride, before, step.dilation))
    seen = (cell * step.stride - before + tap * step.dilation for tap in range(step.kernel))
    return (source for source in seen if 0 <= source < size)


def deconv_taps(
    position: int,
    n: int,
    kernel: int,
    stride: int = 1,
    border_mode: Any = "valid",
    dilation: int = 1,
    output_size: int | None = None,
) -> tuple[tuple[int, int], ...]:
    """The pairs (input cell, tap of the kernel) that output cell `position` of a deconvolution is the sum of.

    Tap ``j`` of input cell ``i`` falls on output cell ``i * stride + j * dilation - before``. No pair at all
    is legal: such a cell is zero. The other parameters are those of :func:`deconv_output_size`.

    >>> deconv_taps(5, n=3, kernel=4, stride=2)
    ((1, 3), (2, 1))
    """
    size = deconv_output_size(as_int(n, "n", 1), kernel, stride, border_mode, dilation, output_size)
    pads = resolve_pads(border_mode, size, kernel, stride, dilation)
    assert size is not None and pads is not None
    position = as_int(position, "position", 0)
    if position >= size:
        raise SizeError(f"`position` (={position}) must be below the output size {size}")
    return tuple(sorted(_taps(position, n, kernel, stride, pads[0], dilation)))


def _taps(position: int, n: int, kernel: int, stride: int, before: int, dilation: int) -> Iterable[tuple[int, int]]:
    for tap in range(kernel):
        source, misses = divmod(position + before - tap * dilation, stride)
        if not misses and 0 <= source < n:
            yield source, tap
