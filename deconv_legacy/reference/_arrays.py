"""What all reference functions share: arguments made regular, and cells of arrays that are zero outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SizeError

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
PerAxis: TypeAlias = "int | Sequence[int]"
Pads: TypeAlias = "int | Sequence[int] | Sequence[tuple[int, int]]"


def float64(array: ArrayLike) -> Array:
    return np.asarray(array, dtype=np.float64)


def per_axis(value: PerAxis, axes: int, name: str, least: int = 1) -> tuple[int, ...]:
    """``value`` as one int per spatial axis, none below ``least``."""
    values = tuple(int(v) for v in value) if np.ndim(value) else (int(value),) * axes  # type: ignore[arg-type,union-attr]
    if len(values) != axes:
        raise SizeError(f"{name} {values} has {len(values)} values for {axes} spatial axes")
    if min(values) < least:
        raise SizeError(f"{name} {values} has a value below {least}")
    return values


def pad_pairs(pads: Pads, axes: int) -> tuple[tuple[int, int], ...]:
    """``pads`` as one pair (before, after) per spatial axis; a negative pad crops."""
    values: tuple[Any, ...] = tuple(pads) if np.ndim(pads) else (pads,) * axes  # type: ignore[arg-type]
    if len(values) != axes:
        raise SizeError(f"pads {values} has {len(values)} values for {axes} spatial axes")
    return tuple((int(p[0]), int(p[1])) if np.ndim(p) else (int(p), int(p)) for p in values)


def window(array: Array, starts: Sequence[int], sizes: Sequence[int]) -> Array:
    """The cells ``start .. start + size - 1`` of each trailing axis of an array that is zero outside."""
    source: tuple[Any, ...] = (...,)
    target: tuple[Any, ...] = (...,)
    for start, size, n in zip(starts, sizes, array.shape[-len(sizes) :], strict=True):
        first = max(start, 0)
        end = max(min(start + size, n), first)
        source += (slice(first, end),)
        target += (slice(first - start, end - start),)
    result = np.zeros((*array.shape[: -len(sizes)], *sizes))
    result[target] = array[source]
    return result


def every(steps: Sequence[int]) -> tuple[Any, ...]:
    """The index of every ``step``-th cell along each trailing axis."""
    return (...,) + tuple(slice(None, None, step) for step in steps)


def stretch(array: Array, steps: Sequence[int]) -> Array:
    """``array`` with ``step - 1`` zeros between neighbours along each trailing axis."""
    sizes = [step * (n - 1) + 1 for n, step in zip(array.shape[-len(steps) :], steps, strict=True)]
    result = np.zeros((*array.shape[: -len(steps)], *sizes))
    result[every(steps)] = array
    return result


def rotate(array: Array, axes: int) -> Array:
    """``array`` reversed along its last ``axes`` axes."""
    return array[every([-1] * axes)]


def along_axis(vector: Array, axis: int, ndim: int) -> Array:
    """``vector`` (of one or more axes), shaped to broadcast from ``axis`` on in an array of ``ndim`` axes."""
    return vector.reshape((1,) * axis + vector.shape + (1,) * (ndim - axis - vector.ndim))
