"""Crop offsets of nets written with `net_spec`: where the cells of one top lie in another.

``crop(n.upscore, n.data)`` is the Crop layer that puts the cells of both on one another. The maps are those of
`deconv_legacy.geometry`, exact in fractions, and the same for every image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.caffe.net_spec import Top, layers
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.geometry import CoordMap, Step

__all__ = [
    "AxisMismatchException",
    "CropError",
    "UnconnectedError",
    "UndefinedMapException",
    "compose",
    "coord_map",
    "coord_map_from_to",
    "crop",
    "inverse",
]

PASS_THROUGH_LAYERS = (
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Exp",
    "LRN",
    "Log",
    "MVN",
    "Power",
    "PReLU",
    "ReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
)

Map = tuple[Any, Any, Any]
"""``(axis, a, b)``: the first spatial axis less one (None: any), scales and shifts, one for each axis or for all."""


class UndefinedMapException(MismatchError):
    """A layer whose coordinates have no map, such as an inner product."""


class AxisMismatchException(MismatchError):
    """Two layers work on different axes."""


class UnconnectedError(MismatchError, RuntimeError):
    """Two tops have no spatial layers in common."""


class CropError(SizeError, AssertionError):
    """Scales that differ, an offset that is negative or no integer."""


def coord_map(fn: Any) -> Map:
    """The map of one layer, from the coordinates of its bottom to those of its top.

    >>> data = layers.Input()
    >>> axis, a, b = coord_map(layers.Convolution(data, kernel_size=3, stride=2, pad=1).fn)
    >>> axis, a, b
    (1, array([0.5]), array([0.]))
    """
    axis, maps = _maps(fn)
    return axis, _numbers(m.scale for m in maps), _numbers(m.shift for m in maps)


def _maps(fn: Any) -> tuple[int | None, tuple[CoordMap, ...]]:
    kind = fn.type_name
    if kind in PASS_THROUGH_LAYERS:
        return None, (CoordMap(),)
    if kind in ("Convolution", "Pooling", "Im2col", "Deconvolution"):
        param = fn.params.get("pooling_param" if kind == "Pooling" else "convolution_param", fn.params)
        kernel, stride, pad, dilation = _aligned(
            _values(param, "kernel_size", "kernel", None),
            _values(param, "stride", "stride", 1),
            _values(param, "pad", "pad", 0),
            _values(param, "dilation", "dilation", 1),
        )
        step = {"Pooling": "pool", "Deconvolution": "deconv"}.get(kind, "conv")
        return param.get("axis", 1), tuple(
            geometry.coord_map(Step(step, k, s, p, d)) for k, s, p, d in zip(kernel, stride, pad, dilation, strict=True)
        )
    if kind == "Crop":
        param = fn.params.get("crop_param", fn.params)
        offsets = param.get("offset", 0)
        offsets = list(offsets) if isinstance(offsets, (list, tuple)) else [offsets]
        return param.get("axis", 2) - 1, tuple(geometry.coord_map(Step("crop", offset=o)) for o in offsets)
    raise UndefinedMapException(f"a layer of type {kind} has no map of coordinates")


def _values(param: Any, name: str, short: str, default: int | None) -> list[int]:
    if f"{short}_h" in param:
        return [param[f"{short}_h"], param[f"{short}_w"]]
    value = param.get(name, default)
    if value is None:
        raise UndefinedMapException(f"no {name} is given, so there is no map of coordinates")
    return [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]


def _aligned(*parts: Sequence[Any]) -> list[list[Any]]:
    """Lists of one length, those of one entry repeated."""
    count = max(len(part) for part in parts)
    if any(len(part) not in (1, count) for part in parts):
        raise AxisMismatchException(f"{[len(part) for part in parts]} values for the axes of one layer")
    return [list(part) * (count if len(part) == 1 else 1) for part in parts]


def _numbers(fractions: Any) -> np.ndarray:
    return np.array([float(f) for f in fractions])


def compose(base_map: Map, next_map: Map) -> Map:
    """First `next_map`, then `base_map`."""
    (ax1, a1, b1), (ax2, a2, b2) = base_map, next_map
    return _axis(ax1, ax2), a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """The map back."""
    ax, a, b = coord_map
    return ax, 1 / a, -b / a


def _axis(first: int | None, second: int | None) -> int | None:
    if first is None or second is None or first == second:
        return second if first is None else first
    raise AxisMismatchException(f"layers over axes {first} and {second}")


Path = tuple[int | None, tuple[CoordMap, ...]]


def _composed(outer: Path, inner: Path) -> Path:
    a, b = _aligned(outer[1], inner[1])
    return _axis(outer[0], inner[0]), tuple(f @ g for f, g in zip(a, b, strict=True))


def _behind(top: Top) -> dict[Top, Path]:
    """Every top that `top` is computed from, nearest first, with the map from it."""
    found: dict[Top, Path] = {top: (None, (CoordMap(),))}
    waiting = [top]
    for node in waiting:
        if not node.fn.inputs:
            continue
        try:
            step = _maps(node.fn)
        except UndefinedMapException:
            continue
        # a crop lies on its first bottom; of the other it takes the size
        for bottom in node.fn.inputs[:1] if node.fn.type_name == "Crop" else node.fn.inputs:
            if bottom not in found:
                found[bottom] = _composed(found[node], step)
                waiting.append(bottom)
    return found


def _between(top_from: Top, top_to: Top) -> Path:
    sources, targets = _behind(top_from), _behind(top_to)
    common = next((top for top in targets if top in sources), None)
    if common is None:
        raise UnconnectedError("could not compute a map between these tops: no spatial layers connect them")
    axis, maps = sources[common]
    return _composed(targets[common], (axis, tuple(m.inverse() for m in maps)))


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from the coordinates of one top to those of another.

    Raises
    ------
    UnconnectedError
        (a RuntimeError) They are not computed from a common top by spatial layers.
    """
    axis, maps = _between(top_from, top_to)
    return axis, _numbers(m.scale for m in maps), _numbers(m.shift for m in maps)


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer of `top_from` to the size of `top_to`, with the offset that aligns them.

    Raises
    ------
    CropError
        (an AssertionError) There is no such offset.

    >>> data = layers.Input()
    >>> up = layers.Deconvolution(layers.Convolution(data, kernel_size=4, stride=2, pad=100), kernel_size=4, stride=2)
    >>> crop(up, data).fn.params
    {'crop_param': {'axis': 2, 'offset': [100]}}
    """
    axis, maps = _between(top_from, top_to)
    offsets = []
    for index, between in enumerate(maps):
        if between.scale != 1 or between.shift > 0 or Fraction(between.shift).denominator != 1:
            what = (
                f"scale mismatch on crop: {between.scale}"
                if between.scale != 1
                else f"cannot crop to a negative offset, {-between.shift}"
                if between.shift > 0
                else f"cannot crop noninteger offset {-between.shift}"
            )
            raise CropError(what, axis=None if axis is None else axis + 1 + index)
        offsets.append(int(-between.shift))
    if axis is None:
        raise CropError("no layer on the way says which axes are spatial")
    return layers.Crop(top_from, top_to, crop_param=dict(axis=axis + 1, offset=offsets))
