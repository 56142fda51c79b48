"""Arguments become tuples of plain integers here, once, and nowhere else."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from deconv_legacy.errors import SizeError

__all__ = [
    "BORDER_MODES",
    "AxisBorder",
    "as_int",
    "as_size",
    "axis_border",
    "normalize_border_mode",
    "normalize_pads",
    "per_axis",
]

AxisBorder = str | tuple[int, int]
"""The border mode of one axis in its normal form: a name, or the pads (before, after)."""

BORDER_MODES = {
    "valid": "no padding",
    "half": "dilated kernel // 2 on both sides (Theano)",
    "full": "dilated kernel - 1 on both sides (Theano)",
    "same": "forward output ceil(size / stride), the odd pad after (TensorFlow SAME, ONNX SAME_UPPER)",
    "same_lower": "forward output ceil(size / stride), the odd pad before (ONNX SAME_LOWER)",
}
"""The border modes that have a name, and what each pads."""


def _legal(minimum: int | None) -> str:
    return "an integer" if minimum is None else f"an integer of at least {minimum}"


def as_int(value: Any, name: str, minimum: int | None = None, *, axis: int | None = None) -> int:
    """`value` as a plain ``int``; any integer type will do, but no float, no bool, nothing below `minimum`.

    >>> as_int(3, "stride", 1)
    3

    Raises
    ------
    SizeError
        Naming `name`, the value, and what is legal.
    """
    try:
        # To operator.index a bool is an integer, NumPy's too, but a stride of True is a slip of the pen.
        is_bool = isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", None) == "b"
        number = None if is_bool else operator.index(value)
    except TypeError:
        number = None
    if number is None or (minimum is not None and number < minimum):
        raise SizeError(f"`{name}` (={value!r}) must be {_legal(minimum)}", axis=axis)
    return number


def as_size(value: Any, name: str, minimum: int = 1, *, axis: int | None = None) -> int | None:
    """`value` as a plain ``int`` as :func:`as_int` has it, or None, which means a size not known yet."""
    return None if value is None else as_int(value, name, minimum, axis=axis)


def per_axis(value: Any, ndim: int, name: str, minimum: int | None = None) -> tuple[int, ...]:
    """One integer for each of `ndim` axes, from a single integer or a sequence of them.

    Parameters
    ----------
    value
        An integer of any kind (``int``, ``numpy.int64``, ...), which stands for every axis, or a sequence of
        exactly `ndim` of them.
    ndim
        Number of axes.
    name
        What the value is called where the user wrote it; it is quoted in the error.
    minimum
        The least legal value: 1 for kernels, strides and dilations, 0 for pads; None for no limit.

    Raises
    ------
    SizeError
        For floats, bools, a wrong length, values below `minimum`.

    >>> per_axis(2, 3, "stride", 1)
    (2, 2, 2)
    >>> per_axis([1, 2], 2, "stride", 1)
    (1, 2)
    """
    items = as_items(value)
    if items is None:
        return (as_int(value, name, minimum),) * ndim
    if len(items) != ndim:
        raise SizeError(f"`{name}` (={value!r}) has {len(items)} values; one, or {ndim} in a sequence, are legal")
    for axis, item in enumerate(items):
        try:
            as_int(item, name, minimum)
        except SizeError as error:
            raise SizeError(f"`{name}` (={value!r}): every value must be {_legal(minimum)}", axis=axis) from error
    return tuple(operator.index(item) for item in items)


def as_items(value: Any) -> list[Any] | None:
    """The items of a sequence, or None for a scalar (0-d arrays count as scalars)."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return None
    return list(value)


def axis_border(value: Any, name: str = "border_mode") -> AxisBorder:
    """The border mode of one axis: a name of :data:`BORDER_MODES`, one pad for both sides, (before, after).

    >>> axis_border(1), axis_border((0, 1)), axis_border("half")
    ((1, 1), (0, 1), 'half')
    """
    if isinstance(value, str):
        if value not in BORDER_MODES:
            raise SizeError(
                f"`{name}` (={value!r}) is unknown; legal are pads and {', '.join(map(repr, BORDER_MODES))}"
            )
        return value
    items = as_items(value)
    before, after = per_axis(value if items is None else items, 2, name, 0)
    return before, after


def normalize_border_mode(border_mode: Any, ndim: int, name: str = "border_mode") -> tuple[AxisBorder, ...]:
    """The border mode of each of `ndim` axes.

    Parameters
    ----------
    border_mode
        A name or one pad, which stands for every axis; or a sequence with, for each axis, a name, one pad for
        both sides, or a pair (before, after). Two integers for two axes are thus one symmetric pad per axis,
        as in Theano, Caffe and torch.
    ndim
        Number of axes.
    name
        What the user calls it.

    >>> normalize_border_mode((1, (0, 2)), 2)
    ((1, 1), (0, 2))
    >>> normalize_border_mode("same", 2)
    ('same', 'same')
    """
    items = as_items(border_mode)
    if items is None:
        return (axis_border(border_mode, name),) * ndim
    if len(items) != ndim:
        raise SizeError(
            f"`{name}` (={border_mode!r}) has {len(items)} values; legal is one for every axis, or {ndim}, "
            "each a pad or a pair (before, after)"
        )
    return tuple(axis_border(item, name) for item in items)


def normalize_pads(pads: Any, ndim: int, name: str = "padding") -> tuple[tuple[int, int], ...]:
    """Explicit pads as ((before, after), ...), from an integer, one per axis, or pairs. No names.

    >>> normalize_pads(1, 2), normalize_pads((1, 2), 2), normalize_pads([(0, 1), (2, 3)], 2)
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((0, 1), (2, 3)))
    """
    pairs = []
    for axis, mode in enumerate(normalize_border_mode(pads, ndim, name)):
        if isinstance(mode, str):
            raise SizeError(f"`{name}` (={pads!r}): integers are legal here, not {mode!r}", axis=axis)
        pairs.append(mode)
    return tuple(pairs)


def axis_numbers(axes: Sequence[int] | None, ndim: int) -> Sequence[int]:
    """What the caller calls its spatial axes, for errors: `axes`, or 0, 1, ..."""
    if axes is None:
        return range(ndim)
    if len(axes) != ndim:
        raise SizeError(f"`axes` (={tuple(axes)!r}) must name {ndim} axes")
    return axes


def on_axis(axis: int | None) -> str:
    """How an error about one axis begins."""
    return "" if axis is None else f"axis {axis}: "
