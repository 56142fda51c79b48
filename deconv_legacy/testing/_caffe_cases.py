"""Small inputs for Caffe's layers that do not take any numbers of any sizes: labels, masks, logarithms, slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy.caffe.types._common import ignored
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import Layer
from deconv_legacy.testing.rebuild import rebuild

__all__: list[str] = []

Shape = tuple[int, ...]
PART = 0.25
"""Added to labels and places, which are truncated: so a small step to either side leaves them what they are."""


def labels_shape(scores: Shape, axis: int, ndim: int) -> Shape:
    """Of the labels of scores, with `ndim` axes."""
    before, after = scores[:axis], scores[axis + 1 :]
    if ndim == len(scores):
        return (*before, 1, *after)
    return (*before, *after) if ndim == len(scores) - 1 else (math.prod((*before, *after)), *[1] * (ndim - 1))


def labels(rng: np.random.Generator, classes: int, shape: Shape, ignore: int | None) -> np.ndarray:
    """Classes, and one or two of those that do not count."""
    made = rng.integers(0, classes, shape).astype(np.float64)
    if ignore is not None:
        made.flat[: 1 + (made.size > 4)] = ignore
    return made + PART


def shapes_for(layer: Layer, shapes: Sequence[Shape]) -> list[Shape]:
    """`shapes` of the inputs (any that their types allow), made to fit the layer."""
    kind = None if layer.spec is None else layer.spec.type
    return _SHAPES[kind](layer.spec, layer, list(shapes)) if kind in _SHAPES else list(shapes)


def values_for(layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """`inputs` (numbers of -1 .. 1), made to suit the layer."""
    kind = None if layer.spec is None else layer.spec.type
    return _VALUES[kind](layer.spec, layer, inputs, rng) if kind in _VALUES else inputs


# Sizes


def _scored(axis_of: Callable[[Any], int]) -> Callable[[Any, Layer, list[Shape]], list[Shape]]:
    def fit(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
        scores = shapes[0]
        axis = axis_of(spec) % len(scores)
        matrix = [(*[1] * (len(shape) - 2), scores[axis], scores[axis]) for shape in shapes[2:]]  # infogain's
        return [scores, labels_shape(scores, axis, len(shapes[1])), *matrix]

    return fit


def _hinge_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    return [shapes[0], (shapes[0][0], *[1] * (len(shapes[1]) - 1))]


def _same_count(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    if len(shapes) > 1 and math.prod(shapes[0]) != math.prod(shapes[1]):
        shapes[1] = shapes[0] if len(shapes[0]) == len(shapes[1]) else (math.prod(shapes[0]), *[1] * len(shapes[1][1:]))
    return shapes


def _second_within(field: str) -> Callable[[Any, Layer, list[Shape]], list[Shape]]:
    """The second input lies on axes of the first; a size that it knows, a parameter may have too."""

    def fit(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
        if len(shapes) > 1 and shapes[1]:
            axis, first = getattr(spec, field).axis % len(shapes[0]), list(shapes[0])
            for i, n in enumerate(layer.inputs[1].type.shape, axis):
                first[i] = first[i] if n is None else n
            shapes = [tuple(first), tuple(first[axis : axis + len(shapes[1])])]
        return shapes

    return fit


def _masked_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    return [(*shapes[0][:2], 2, 3)] * 2


def _interp_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    cut = spec.interp_param.pad_beg + spec.interp_param.pad_end  # negative
    return [(*shapes[0][:2], *(n - cut for n in shapes[0][2:]))]


def _slice_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    param, shape = spec.slice_param, list(shapes[0])
    axis = (param.slice_dim if param.HasField("slice_dim") else param.axis) % len(shape)
    known = layer.input_shape[axis]
    shape[axis] = known or (param.slice_point[-1] + 2 if param.slice_point else 2 * len(spec.top))
    return [tuple(shape)]


def _reshape_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    """As the net has it where that is known; else what the dims that are written divide."""
    whole = math.prod(dim for dim in spec.reshape_param.shape.dim if dim > 0)
    return [tuple(whole if n is None and axis > 0 else n or 2 for axis, n in enumerate(layer.input_shape))]


def _argmax_shapes(spec: Any, layer: Layer, shapes: list[Shape]) -> list[Shape]:
    param, shape = spec.argmax_param, list(shapes[0])
    if param.HasField("axis"):
        shape[param.axis] = max(shape[param.axis], param.top_k)
    return [tuple(shape)]


_SHAPES: dict[str | None, Callable[[Any, Layer, list[Shape]], list[Shape]]] = {
    "Accuracy": _scored(lambda spec: spec.accuracy_param.axis),
    "ArgMax": _argmax_shapes,
    "Bias": _second_within("bias_param"),
    "EltwiseAccuracy": _scored(lambda spec: 1),
    "EuclideanLoss": _same_count,
    "HingeLoss": _hinge_shapes,
    "InfogainLoss": _scored(lambda spec: spec.infogain_loss_param.axis),
    "Interp": _interp_shapes,
    "Reshape": _reshape_shapes,
    "Scale": _second_within("scale_param"),
    "SigmoidCrossEntropyLoss": _same_count,
    "Slice": _slice_shapes,
    "Unpooling": _masked_shapes,
    "Upsample": _masked_shapes,
}


# Values

Values = Callable[[Any, Layer, list[np.ndarray], np.random.Generator], list[np.ndarray]]


def _labelled(axis_of: Callable[[Any], int], ignore_of: Callable[[Any], int | None]) -> Values:
    def fill(spec: Any, layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        classes = inputs[0].shape[axis_of(spec) % inputs[0].ndim]
        return [inputs[0], labels(rng, classes, inputs[1].shape, ignore_of(spec)), *inputs[2:]]

    return fill


def _hinge_values(spec: Any, layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    return [inputs[0], labels(rng, inputs[0][0].size, inputs[1].shape, None)]


def _targets(spec: Any, layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Of 0 .. 1, and some that do not count."""
    made = (inputs[-1] + 1) / 2
    unseen = ignored(spec.loss_param)
    if unseen is not None:
        made.flat[:2] = unseen + PART
    return [*inputs[:-1], made]


def _mask(spec: Any, layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Places of the output, each once in a plane."""
    x = inputs[0]
    size = rebuild(layer, [x, x]).output_shape[2:]
    if math.prod(size) < x[0, 0].size:
        raise SizeError(f"an output of {size} has no places for the smallest input that is tried", where=layer.where)
    planes = [rng.permutation(math.prod(size))[: x[0, 0].size] for _ in range(x.shape[0] * x.shape[1])]
    return [x, np.reshape(planes, x.shape) + PART]


def _positive(field: str) -> Values:
    """So that ``shift + scale x`` lies in 0.5 .. 1.5, where logarithms and powers are smooth."""

    def fill(spec: Any, layer: Layer, inputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        param = getattr(spec, field)
        if param.scale == 0:
            return inputs
        return [(1 + inputs[0] / 2 - param.shift) / param.scale]

    return fill


_VALUES: dict[str | None, Values] = {
    "Accuracy": _labelled(lambda spec: spec.accuracy_param.axis, lambda spec: ignored(spec.accuracy_param)),
    "EltwiseAccuracy": _labelled(lambda spec: 1, lambda spec: ignored(spec.eltwise_accuracy_param)),
    "HingeLoss": _hinge_values,
    "InfogainLoss": _labelled(lambda spec: spec.infogain_loss_param.axis, lambda spec: ignored(spec.loss_param)),
    "Log": _positive("log_param"),
    "Power": _positive("power_param"),
    "SigmoidCrossEntropyLoss": _targets,
    "Unpooling": _mask,
    "Upsample": _mask,
}
