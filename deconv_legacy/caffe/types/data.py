"""Layers that bring data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import ExpressionLayer, Layer

__all__: list[str] = []


@layer_type("Input")
def _input(spec: Any, bottoms: Sequence[Layer], build: Any) -> list[Layer]:
    shapes = list(spec.input_param.shape)
    if len(shapes) not in (1, len(spec.top)):
        raise MismatchError(f"layer {spec.name!r} (Input): {len(shapes)} shapes for {len(spec.top)} tops")
    shapes = shapes * len(spec.top) if len(shapes) == 1 else shapes
    return [build.input(top, tuple(shape.dim)) for top, shape in zip(spec.top, shapes, strict=True)]


@layer_type(
    *("Python", "ImageData", "HDF5Data", "MemoryData"),
    *("Data", "DenseImageData", "ImageLabelmapData", "ImageSegData", "WindowData", "WindowSegData"),
)
def _data(spec: Any, bottoms: Sequence[Layer], build: Any) -> list[Layer]:
    """A layer that brings data: its tops are fed instead."""
    if bottoms:
        raise MismatchError(
            f"layer {spec.name!r} ({spec.type}): layers written in Python that read blobs need pycaffe's Net"
        )
    return [build.input(top, None) for top in spec.top]


@layer_type("HDF5Output")
def _output(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    """It keeps what it reads in a file; where only the graph counts, nothing."""
    return ExpressionLayer(bottoms, lambda *_: [], spec.name)


def dummy_shapes(spec: Any) -> list[tuple[int, ...]]:
    """The shape of each top of a DummyData layer: ``shape``, or the older num, channels, height and width."""
    param, tops = spec.dummy_data_param, len(spec.top)
    if param.shape:
        shapes = [tuple(shape.dim) for shape in param.shape]
    else:
        shapes = list(zip(param.num, param.channels, param.height, param.width, strict=False))
    if len(shapes) not in (1, tops) or len(param.data_filler) not in (0, 1, tops):
        raise MismatchError(
            f"layer {spec.name!r} (DummyData): {len(shapes)} shapes and {len(param.data_filler)} fillers for "
            f"{tops} tops; one, or one for each, is legal"
        )
    return shapes * tops if len(shapes) == 1 else shapes


@layer_type("DummyData")
def _dummy_data(spec: Any, bottoms: Sequence[Layer], build: Any) -> list[Layer]:
    return [build.input(top, shape) for top, shape in zip(spec.top, dummy_shapes(spec), strict=True)]
