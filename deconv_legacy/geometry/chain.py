"""A path through a net as a list of steps, one axis at a time, and the sizes along it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry._arguments import as_int, as_size, axis_border
from deconv_legacy.geometry.deconv import deconv_output_size
from deconv_legacy.geometry.sizes import conv_output_size, crop_range, pool_output_size, resolve_pads

__all__ = ["STEP_KINDS", "Step", "chain_sizes", "mirror_output_sizes"]

STEP_KINDS = ("conv", "pool", "deconv", "crop", "identity")
"""What a step can be; 'identity' is every layer that works cell by cell (ReLU, Dropout, Eltwise, ...)."""

_OF_SOME_KINDS = (
    # field, the kinds of step it belongs to, its value elsewhere
    ("dilation", ("conv", "deconv"), 1),
    ("rounding", ("pool",), "floor"),
    ("offset", ("crop",), 0),
    ("output_size", ("deconv", "crop"), None),
)


@dataclass(frozen=True)
class Step:
    """One layer of a path, seen along one axis.

    Parameters
    ----------
    kind
        One of :data:`STEP_KINDS`.
    kernel, stride, dilation
        Along this axis.
    border_mode
        As everywhere in this package: a name, one pad for both sides, or (before, after).
    name
        Of the layer, for errors.
    rounding
        Of a pool: a name of :data:`POOL_ROUNDINGS`.
    offset
        Of a crop: the first cell it keeps.
    output_size
        Of a deconvolution: the size wanted, None for the smallest. Of a crop: the size it crops to.

    >>> Step("conv", 3, border_mode=100).size_after(500)
    698
    """

    kind: str
    kernel: int = 1
    stride: int = 1
    border_mode: Any = 0
    dilation: int = 1
    name: str = ""
    rounding: str = "floor"
    offset: int = 0
    output_size: int | None = None

    def __post_init__(self) -> None:
        try:
            if self.kind not in STEP_KINDS:
                raise SizeError(f"`kind` (={self.kind!r}) is unknown; legal are {', '.join(STEP_KINDS)}")
            for field, minimum in (("kernel", 1), ("stride", 1), ("dilation", 1), ("offset", 0)):
                object.__setattr__(self, field, as_int(getattr(self, field), field, minimum))
            object.__setattr__(self, "border_mode", axis_border(self.border_mode))
            object.__setattr__(self, "output_size", as_size(self.output_size, "output_size"))
            for field, kinds, unused in _OF_SOME_KINDS:
                if self.kind not in kinds and getattr(self, field) != unused:
                    raise SizeError(f"`{field}` (={getattr(self, field)!r}) belongs to {' and '.join(kinds)} only")
        except SizeError as error:
            raise error.at(self.label) from error
        self.size_after(None)  # what no size can mend, such as a pool's pad as large as its window

    @property
    def label(self) -> str:
        """Name and kind, as errors have it."""
        return f"{self.name} ({self.kind})" if self.name else self.kind

    def size_after(self, size: int | None) -> int | None:
        """Size after this step of an axis that has `size` before it.

        None if it is not known: if `size` is None, or after a crop that does not say its `output_size`.

        Raises
        ------
        SizeError
            Naming the step, where it cannot be done.
        """
        try:
            if self.kind == "conv":
                return conv_output_size(size, self.kernel, self.stride, self.border_mode, self.dilation)
            if self.kind == "pool":
                return pool_output_size(size, self.kernel, self.stride, self.border_mode, self.rounding)
            if self.kind == "deconv":
                return deconv_output_size(
                    size, self.kernel, self.stride, self.border_mode, self.dilation, self.output_size
                )
            if self.kind == "crop":
                if size is not None and self.output_size is not None:
                    crop_range(size, self.output_size, self.offset)
                return self.output_size
            return as_size(size, "size")
        except SizeError as error:
            raise error.at(self.label) from error

    def pads(self, size: int | None = None) -> tuple[int, int]:
        """Pads (before, after) of this step when it has `size` cells before it.

        Raises
        ------
        SizeError
            If they depend on the size, as with 'same', and `size` is None.
        """
        forward_input = self.size_after(size) if self.kind == "deconv" else size
        pads = resolve_pads(self.border_mode, forward_input, self.kernel, self.stride, self.dilation)
        if pads is None:
            raise SizeError(
                f"the pads of {self.border_mode!r} depend on the size of the input, which is not known; "
                "give the size, or the pads as numbers"
            ).at(self.label)
        return pads


def chain_sizes(size: int | None, steps: Iterable[Step]) -> tuple[int | None, ...]:
    """The size before the first step and after each of `steps`.

    >>> chain_sizes(112, [Step("conv", 3, 2, "same")] * 5)
    (112, 56, 28, 14, 7, 4)
    """
    sizes = [as_size(size, "size")]
    for step in steps:
        sizes.append(step.size_after(sizes[-1]))
    return tuple(sizes)


def mirror_output_sizes(size: int | None, steps: Iterable[Step]) -> tuple[int | None, ...]:
    """The output sizes of the deconvolutions that mirror `steps`, last step first, back to `size`.

    Doubling does not lead back: 4 doubles to 8, but the encoder came from 7.

    >>> mirror_output_sizes(112, [Step("conv", 3, 2, "same")] * 5)
    (7, 14, 28, 56, 112)
    """
    return chain_sizes(size, steps)[-2::-1]
