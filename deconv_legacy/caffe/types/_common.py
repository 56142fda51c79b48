"""What the translations of several layer types share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import Layer

__all__: list[str] = []


def need(spec: Any, bottoms: Sequence[Layer], count: int, most: int | None = None) -> None:
    """Refuse a wrong number of bottoms, in Caffe's words."""
    most = count if most is None else most
    if not count <= len(bottoms) <= most:
        wanted = str(count) if count == most else f"{count} to {most}"
        raise MismatchError(
            f"layer {spec.name!r}: {spec.type} layer takes {wanted} bottom blob(s) as input, {len(bottoms)} are given"
        )


def axes(
    param: Any, repeated: str, singles: tuple[str, str], default: int | None, ndim: int, spec: Any
) -> tuple[int, ...]:
    """A size per axis from ``kernel_size`` (one value, or one per axis) or ``kernel_h`` and ``kernel_w``."""
    value = getattr(param, repeated)
    if isinstance(value, int):  # pooling has one value where convolution has a list
        values = [value] if param.HasField(repeated) else []
    else:
        values = list(value)
    given = [name for name in singles if param.HasField(name)]
    if given:
        if values or ndim != 2:
            raise MismatchError(f"layer {spec.name!r}: give {repeated} or {singles[0]} and {singles[1]}, not both")
        if default is None and len(given) < 2:
            raise MismatchError(f"layer {spec.name!r}: {singles[0]} and {singles[1]} go together")
        return tuple(getattr(param, name) if param.HasField(name) else default or 0 for name in singles)
    if not values:
        if default is None:
            raise MismatchError(f"layer {spec.name!r} ({spec.type}): {repeated} is required")
        values = [default]
    if len(values) not in (1, ndim):
        raise MismatchError(f"layer {spec.name!r}: {repeated} has {len(values)} values for {ndim} spatial axes")
    return tuple(values) * (ndim if len(values) == 1 else 1)


NORMALIZATIONS = ("full", "valid", "batch_size", "none")


def normalization(spec: Any, default: str) -> str:
    """What a loss is divided by: ``normalization``, else the older ``normalize``, else `default`."""
    param = spec.loss_param
    if param.HasField("normalization"):
        return NORMALIZATIONS[param.normalization]
    if param.HasField("normalize"):
        return "valid" if param.normalize else "batch_size"
    return default


def ignored(param: Any) -> int | None:
    """The label that does not count, if there is one."""
    return param.ignore_label if param.HasField("ignore_label") else None


def axis_of(spec: Any, source: Layer, axis: int) -> int:
    """An axis counted from 0; Caffe counts negative ones from the end."""
    ndim = source.output.ndim
    if not -ndim <= axis < ndim:
        raise SizeError(f"axis {axis} of a blob of {ndim} axes", where=f"{spec.name} ({spec.type})")
    return axis % ndim
