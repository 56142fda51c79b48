"""Coordinate maps and the crop offsets that follow from them.

The centre of a cell in one blob lies at some coordinate of another: an affine map, exact in fractions and the
same for every image size. Following both branches to a blob they have in common gives the offset of a crop
(Caffe's ``coord_map.py``; Long, Shelhamer, Darrell, arXiv 1411.4038). So no offset needs to be written by
hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry.chain import Step, chain_sizes
from deconv_legacy.geometry.sizes import dilated_kernel

__all__ = ["CoordMap", "coord_map", "crop_offset", "least_pad"]


@dataclass(frozen=True)
class CoordMap:
    """``y = scale * x + shift``: where the cell at coordinate `x` of one blob lies in another.

    Call it on a coordinate; ``outer @ inner`` is their composition, first `inner`. Both are Caffe's: its
    ``compose(outer, inner)`` and its pairs (a, b) are the same numbers.

    >>> down, up = CoordMap(Fraction(1, 2), Fraction(-1, 4)), CoordMap(Fraction(2), Fraction(3, 2))
    >>> up @ down
    CoordMap(scale=Fraction(1, 1), shift=Fraction(1, 1))
    >>> (up @ down)(5)
    Fraction(6, 1)
    """

    scale: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", Fraction(self.scale))
        object.__setattr__(self, "shift", Fraction(self.shift))
        if self.scale <= 0:
            raise SizeError(f"`scale` (={self.scale}) of a coordinate map must be positive")

    def __call__(self, coordinate: int | Fraction) -> Fraction:
        return self.scale * coordinate + self.shift

    def __matmul__(self, inner: CoordMap) -> CoordMap:
        return CoordMap(self.scale * inner.scale, self.scale * inner.shift + self.shift)

    def inverse(self) -> CoordMap:
        """The map back.

        >>> CoordMap(Fraction(2), Fraction(3)).inverse()
        CoordMap(scale=Fraction(1, 2), shift=Fraction(-3, 2))
        """
        return CoordMap(1 / self.scale, -self.shift / self.scale)


def coord_map(steps: Step | Iterable[Step], size: int | None = None) -> CoordMap:
    """The map from the coordinates before `steps` to those after them.

    With ``k`` the dilated kernel and ``p`` the pad before: conv and pool ``(x + p - (k-1)/2) / s``, deconv
    ``s x + (k-1)/2 - p``, crop ``x - offset``, identity ``x``.

    Parameters
    ----------
    steps
        One step, or those of a path in the order in which data take them.
    size
        Size before the first step. Only paths with size-dependent pads ('same') need it.

    Raises
    ------
    SizeError
        If the pads depend on a size that is not known.

    >>> coord_map([Step("conv", 3, border_mode=100), Step("pool", 2, 2), Step("deconv", 4, 2)])
    CoordMap(scale=Fraction(1, 1), shift=Fraction(100, 1))
    """
    result = CoordMap()
    for step in (steps,) if isinstance(steps, Step) else steps:
        result = _step_map(step, size) @ result
        size = None if size is None else step.size_after(size)
    return result


def _step_map(step: Step, size: int | None) -> CoordMap:
    if step.kind == "identity":
        return CoordMap()
    if step.kind == "crop":
        return CoordMap(shift=Fraction(-step.offset))
    centre = Fraction(dilated_kernel(step.kernel, step.dilation) - 1, 2) - step.pads(size)[0]
    spread = CoordMap(Fraction(step.stride), centre)
    return spread if step.kind == "deconv" else spread.inverse()


def crop_offset(
    source: CoordMap | Step | Iterable[Step],
    target: CoordMap | Step | Iterable[Step] = (),
    *,
    source_name: str = "the cropped blob",
    target_name: str = "the reference",
    axis: int | None = None,
) -> int:
    """The offset by which `source` is cropped so that its cells lie on those of `target`.

    Parameters
    ----------
    source, target
        The paths from a blob that both have in common (the data, say) to the blob that is cropped and to the
        one that gives the size; each as steps or as their :class:`CoordMap`. No steps are the common blob
        itself.
    source_name, target_name, axis
        What the caller calls them; for errors only.

    Raises
    ------
    SizeError
        If the two differ in scale, if the offset is no integer, or if it is negative.

    >>> crop_offset([Step("conv", 3, border_mode=100), Step("pool", 2, 2), Step("deconv", 4, 2)])
    100
    """
    offset = _signed_offset(source, target, source_name, target_name, axis)
    if offset < 0:
        raise SizeError(
            f"cannot crop {source_name} to {target_name}: the offset is {offset}, so {source_name} begins "
            f"{-offset} cells inside {target_name}, and a crop adds none; more padding before would",
            axis=axis,
        )
    return offset


def _signed_offset(
    source: CoordMap | Step | Iterable[Step],
    target: CoordMap | Step | Iterable[Step],
    source_name: str,
    target_name: str,
    axis: int | None,
) -> int:
    source_map = source if isinstance(source, CoordMap) else coord_map(source)
    target_map = target if isinstance(target, CoordMap) else coord_map(target)
    between = target_map @ source_map.inverse()
    what = f"cannot crop {source_name} to {target_name}: "
    if between.scale != 1:
        raise SizeError(
            f"{what}a step of one cell in {source_name} is {between.scale} cells of {target_name}; the strides "
            "of the convolutions, poolings and deconvolutions on the two paths must cancel",
            axis=axis,
        )
    if between.shift.denominator != 1:
        raise SizeError(
            f"{what}the offset would be {-between.shift}, so no cell of one lies on a cell of the other; "
            "a kernel with one tap more or less moves it by half a cell",
            axis=axis,
        )
    return -between.shift.numerator


def least_pad(source: Iterable[Step], target: Iterable[Step] = ()) -> int:
    """The least pad of the first convolution with which the crop fits for every input size from 1 up.

    Both paths begin with the same first step, whose pad is replaced and is what is asked for; no `target`
    steps are the input itself. FCN-32s needs 97 (and has 100, Long et al.'s round number).

    When the input grows by the product of all strides, so do the sizes that are compared; checking that many
    input sizes proves it for all. Every cell of pad moves the offset by one but adds two to the
    size, so the search ends, unless both paths pass the padded step and the crop fits with no pad at all.

    Raises
    ------
    SizeError
        If there is no offset for any pad (see :func:`crop_offset`), if no pad helps, or if a step's size is
        not periodic: a crop, a fixed output size, Theano's pooling of partial windows.

    >>> least_pad([Step("conv", 3), Step("pool", 2, 2), Step("deconv", 4, 2)])
    2
    >>> least_pad([Step("conv", 5), Step("pool", 2, 2), Step("conv", 3), Step("deconv", 4, 2)])
    5
    """
    source, target = tuple(source), tuple(target)
    if not source or source[0].kind != "conv":
        raise SizeError("the cropped path must begin with the convolution whose pad is asked for")
    if target and target[0] != source[0]:
        raise SizeError("both paths must begin with the convolution whose pad is asked for")
    for step in source + target:
        if step.kind == "crop" or step.output_size is not None or step.rounding == "theano":
            raise SizeError("no least pad: the size after this step is not periodic").at(step.label)

    def padded(steps: tuple[Step, ...], pad: int) -> tuple[Step, ...]:
        return (replace(steps[0], border_mode=pad), *steps[1:]) if steps else ()

    def signed_offset(pad: int) -> int:
        return _signed_offset(padded(source, pad), padded(target, pad), "the path", "its reference", None)

    def fits(pad: int, offset: int) -> bool | None:
        """Whether the crop fits for every input size; None if some size cannot pass the paths at all."""
        try:
            return all(
                offset + last(padded(target, pad), size) <= last(padded(source, pad), size)
                for size in range(1, period + 1)
            )
        except SizeError:
            return None

    def last(steps: tuple[Step, ...], size: int) -> int:
        after = chain_sizes(size, steps)[-1]
        assert after is not None
        return after

    period = math.prod(step.stride for step in source + target if step.kind in ("conv", "pool"))
    offset = signed_offset(0)
    moves = signed_offset(1) - offset
    pad = max(0, -offset) if moves else 0
    while (fit := fits(pad, offset + moves * pad)) is not True:
        if not moves and (fit is False or offset < 0):
            raise SizeError(
                f"no pad of {source[0].label} makes this crop fit: it moves both paths alike, "
                f"and the offset is {offset}"
            )
        pad += 1
    return pad
