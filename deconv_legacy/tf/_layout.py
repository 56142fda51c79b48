"""TensorFlow's arguments become the engine's: axis orders, strides, paddings, shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError

at = aesara.tensor

__all__ = ["Layout", "constant_of", "filters_to_engine", "shape_entries", "tensor"]

_LETTERS = {0: "", 1: "W", 2: "HW", 3: "DHW"}


def tensor(value: Any) -> Any:
    """A tensor variable; plain Python numbers are float32, as in TensorFlow."""
    if isinstance(value, (at.Variable, np.ndarray, np.generic)):
        return at.as_tensor_variable(value)
    return at.as_tensor_variable(np.asarray(value, np.float32))


def constant_of(value: Any) -> int | None:
    """A size as an int where it is known when the graph is built, else None."""
    if not isinstance(value, at.Variable):
        return geometry.as_int(value, "size")
    try:
        return int(at.get_scalar_constant_value(value, only_process_constants=False, max_recur=10))
    except at.exceptions.NotScalarConstantError:
        return None


def shape_entries(shape: Any, length: int, name: str) -> list[Any]:
    """The entries of a shape: each an int where it is known, else a symbolic scalar.

    It may be a list of ints and symbolic scalars, an array, or a symbolic vector such as ``x.shape``.
    """
    if isinstance(shape, at.Variable):
        if shape.ndim != 1 or not shape.dtype.startswith(("int", "uint")):
            raise SizeError(f"`{name}` is a {shape.type}; a vector of {length} integers is needed")
        known = shape.type.shape[0]
        if known not in (None, length):
            raise SizeError(f"`{name}` has {known} entries, {length} are needed")
        if shape.owner is not None and isinstance(shape.owner.op, at.basic.MakeVector):
            entries = list(shape.owner.inputs)
        else:
            entries = [shape[i] for i in range(length)]
    else:
        entries = list(shape)
    if len(entries) != length:
        raise SizeError(f"`{name}` has {len(entries)} entries, {length} are needed")
    known_entries = [constant_of(entry) for entry in entries]
    for entry in known_entries:
        if entry is not None and entry < 0:
            raise SizeError(f"`{name}` (={known_entries}) has a negative entry")
    return [e if n is None else n for e, n in zip(entries, known_entries, strict=True)]


def filters_to_engine(filters: Any) -> Any:
    """``[*kernel, a, b]`` to ``(b, a, *kernel)``.

    For a convolution a and b are in and out, for a deconvolution OUT and IN: the engine's filters of the forward
    convolution either way.
    """
    last = filters.ndim - 1
    return filters.dimshuffle(last, last - 1, *range(last - 1))


@dataclass(frozen=True)
class Layout:
    """An axis order of TensorFlow's for `ndim` spatial axes; its methods know the engine's, ``(N, C, *spatial)``."""

    ndim: int
    channels_first: bool = False

    @classmethod
    def of(cls, data_format: str | None, ndim: int) -> Layout:
        """From ``"NHWC"`` or ``"NCHW"`` (and their kin for other ranks), Keras' names, or None for the first."""
        letters = _LETTERS[ndim]
        legal = {f"N{letters}C": False, f"NC{letters}": True, "channels_last": False, "channels_first": True}
        if data_format is not None and data_format not in legal:
            raise SizeError(f"`data_format` (={data_format!r}) is unknown; legal are {', '.join(map(repr, legal))}")
        return cls(ndim, data_format is not None and legal[data_format])

    @property
    def channel_axis(self) -> int:
        return 1 if self.channels_first else self.ndim + 1

    @property
    def axes(self) -> range:
        """The spatial axes, as the caller counts them."""
        return range(2, self.ndim + 2) if self.channels_first else range(1, self.ndim + 1)

    @property
    def letters(self) -> str:
        return f"NC{_LETTERS[self.ndim]}" if self.channels_first else f"N{_LETTERS[self.ndim]}C"

    def to_engine(self, x: Any) -> Any:
        return x if self.channels_first else x.dimshuffle(0, self.ndim + 1, *range(1, self.ndim + 1))

    def from_engine(self, y: Any) -> Any:
        return y if self.channels_first else y.dimshuffle(0, *range(2, self.ndim + 2), 1)

    def spatial(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(shape[axis] for axis in self.axes)

    def need_rank(self, x: Any, name: str) -> Any:
        if x.ndim != self.ndim + 2:
            raise SizeError(f"`{name}` has {x.ndim} axes; {self.ndim + 2} are needed: {self.letters}")
        return x

    def numbers(self, value: Any, name: str) -> tuple[int, ...]:
        """Strides, kernel sizes or dilations: one number, one for each spatial axis, or one for every axis, where
        those of batch and channels must be 1."""
        if isinstance(value, Sequence | np.ndarray) and len(value) == self.ndim + 2:
            every = geometry.per_axis(value, self.ndim + 2, name, 1)
            if every[0] != 1 or every[self.channel_axis] != 1:
                raise SizeError(f"`{name}` (={list(every)}) must be 1 in the batch and depth dimensions")
            return self.spatial(every)
        if isinstance(value, Sequence | np.ndarray) and len(value) == 1:
            value = value[0]
        if isinstance(value, Sequence | np.ndarray) and len(value) != self.ndim:
            raise SizeError(
                f"`{name}` (={value!r}) has {len(value)} values; 1, {self.ndim} or {self.ndim + 2} are legal"
            )
        return geometry.per_axis(value, self.ndim, name, 1)

    def padding(self, value: Any, *, explicit: bool = True) -> Any:
        """``"SAME"``, ``"VALID"``, or pairs for every axis, as the engine's border mode."""
        if isinstance(value, str):
            if value not in ("SAME", "VALID"):
                also = f", pairs of zeros for the {self.ndim + 2} axes {self.letters}" if explicit else ""
                raise SizeError(f"`padding` (={value!r}) is unknown; legal are 'SAME', 'VALID'{also}")
            return value.lower()
        if not explicit:
            raise SizeError(f"`padding` (={value!r}): 'SAME' and 'VALID' are legal here")
        pairs = [tuple(np.atleast_1d(pair)) for pair in value] if isinstance(value, Sequence | np.ndarray) else []
        if len(pairs) != self.ndim + 2 or any(len(pair) != 2 for pair in pairs):
            raise SizeError(
                f"`padding` (={value!r}): a pair (before, after) for each of the axes {self.letters} is needed"
            )
        pads = geometry.normalize_pads(pairs, self.ndim + 2, "padding")
        if pads[0] != (0, 0) or pads[self.channel_axis] != (0, 0):
            raise SizeError(f"`padding` (={value!r}) must be 0 in the batch and depth dimensions")
        return self.spatial(pads)
