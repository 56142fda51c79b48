"""A layer on a small input: the same settings on few cells and, for filters, few channels, so that any layer of any
net can be tried against its specification in a moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    DenseLayer,
    Layer,
    PoolLayer,
    SoftmaxLossLayer,
)
from deconv_legacy.testing._caffe_cases import labels, labels_shape, shapes_for, values_for
from deconv_legacy.testing.rebuild import arguments_of, sources, variable_of

__all__ = ["Case", "case_of", "distinct_values"]

CHANNELS = 6
GROUPS = 3


@dataclass
class Case:
    """Small inputs and parameters for a layer.

    Attributes
    ----------
    inputs, params : list of array
        float64.
    """

    layer: Layer
    inputs: list[np.ndarray]
    params: list[np.ndarray]


def distinct_values(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Numbers of -1 .. 1 in random order, evenly apart and none of them 0: no ties, no kinks."""
    count = math.prod(shape)
    return rng.permutation((2 * np.arange(count) + 1.0) / max(count, 1) - 1 + 1e-3 / max(count, 1)).reshape(shape)


def case_of(layer: Layer, shapes: Sequence[Sequence[int]] | None = None, seed: int = 0) -> Case:
    """Small inputs for `layer`, and its parameters, narrowed to a few channels where they are filters.

    Parameters
    ----------
    shapes
        Of the inputs; by default just large enough for the layer's windows, rows and columns different.

    Raises
    ------
    SizeError
        If the number of channels of an input is not known.
    """
    rng = np.random.default_rng(seed)
    params = [np.asarray(v.get_value(borrow=True), np.float64) for v in layer.params]
    if shapes is None and isinstance(layer, (ConvolutionLayer, DeconvolutionLayer)):
        params = _narrow(layer)
    if shapes is None:
        shapes = _shapes(layer, params)
    inputs = [distinct_values(shape, rng) for shape in shapes]
    if isinstance(layer, SoftmaxLossLayer):
        given = arguments_of(layer)
        inputs[1] = labels(rng, shapes[0][given["axis"]], tuple(shapes[1]), given["ignore_label"])
    return Case(layer, values_for(layer, inputs, rng), params)


def _narrow(layer: Any) -> list[np.ndarray]:
    """A few groups, and of each a few channels."""
    w = layer.params[0].get_value(borrow=True)
    groups = min(layer.groups, GROUPS)
    each = w.reshape(layer.groups, w.shape[0] // layer.groups, *w.shape[1:])[:groups, :CHANNELS, :CHANNELS]
    params = [np.array(each.reshape(-1, *each.shape[2:]), np.float64)]
    if layer.b is not None:
        bias = layer.b.get_value(borrow=True).reshape(layer.groups, -1)
        wide = each.shape[1] if isinstance(layer, ConvolutionLayer) else each.shape[2]
        params.append(np.array(bias[:groups, :wide].ravel(), np.float64))
    return params


def _shapes(layer: Any, params: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    known = [tuple(variable_of(source).type.shape) for source in sources(layer)]
    if isinstance(layer, ConvolutionLayer):
        groups = min(layer.groups, GROUPS)
        return [(2, params[0].shape[1] * groups, *_window_sizes(layer, params[0].shape[2:]))]
    if isinstance(layer, DeconvolutionLayer):
        small = (3, 4, 2)[: len(layer.kernel)]
        if not layer._sized:
            return [(2, params[0].shape[0], *small)]
        sizes = []
        for axis, n in enumerate(small):
            rule = (layer.kernel[axis], layer.stride[axis], layer.padding[axis], layer.dilation[axis])
            sizes.append(geometry.deconv_output_sizes(n, *rule)[-1])
        if len(known) == 1:  # the output's size is written in the layer
            return [(2, params[0].shape[0], *(n for n in known[0][2:]))]
        return [(2, params[0].shape[0], *small), (2, 1, *sizes)]
    if isinstance(layer, PoolLayer):
        cells = _window_sizes(layer, layer.kernel) if layer.kernel else (5, 6, 3)[: len(known[0]) - 2]
        return [(2, min(_channels(layer, known[0]), CHANNELS), *cells)]
    if isinstance(layer, CropLayer):
        small, room = (3, 4, 2), (2, 3, 1)
        spatial = len(known[0]) - layer.axis
        lead = [n if n is not None else 2 for n in known[0][: layer.axis]]
        like = [n if n is not None else 2 for n in known[-1][: layer.axis]]
        target = [*like, *small[:spatial]]
        offsets = layer.offset
        source = [*lead, *(o + n + r for o, n, r in zip(offsets, small, room, strict=False))]
        return [tuple(source), tuple(target)][: len(known)]
    if isinstance(layer, DenseLayer) and None in known[0][1:]:
        raise SizeError("the sizes of its input must be known", where=layer.where)
    if isinstance(layer, SoftmaxLossLayer):
        scores = _filled(layer, known[0])
        return [scores, labels_shape(scores, arguments_of(layer)["axis"] % len(scores), len(known[1]))]
    return shapes_for(layer, [_filled(layer, shape) for shape in known])


def _window_sizes(layer: Any, kernel: Sequence[int]) -> tuple[int, ...]:
    """Sizes that two windows and a rest fill, padding included."""
    sizes = []
    dilation = getattr(layer, "dilation", (1,) * len(kernel))
    for axis, (k, s, d) in enumerate(zip(kernel, layer.stride, dilation, strict=True)):
        mode = layer.padding if isinstance(layer.padding, str) else layer.padding[axis]
        pads = geometry.resolve_pads(mode, None, k, s, d) or (0, 0)
        needed = geometry.dilated_kernel(k, d) + s * (1 + axis) + (s > 1)
        sizes.append(max(needed - sum(pads), 2 + axis, max(pads) + 1 if isinstance(layer, PoolLayer) else 0))
    return tuple(sizes)


def _channels(layer: Layer, shape: Sequence[int | None]) -> int:
    if len(shape) < 2 or shape[1] is None:
        raise SizeError("the number of channels (axis 1) must be known", axis=1, where=layer.where)
    return shape[1]


def _filled(layer: Layer, shape: Sequence[int | None]) -> tuple[int, ...]:
    if len(shape) > 1:
        _channels(layer, shape)
    # sizes that are known and large are those of an image
    spare = (2, 0, 4, 5, 3)
    return tuple(spare[i] if n is None or (i > 1 and n > 16) else n for i, n in enumerate(shape))
