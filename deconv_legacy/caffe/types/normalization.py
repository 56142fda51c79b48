"""Layers that scale and shift, by parameters or by what they see, and the inner product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine, fillers
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import axis_of, need
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    BiasLayer,
    DenseLayer,
    ExpressionLayer,
    Layer,
    LRNLayer,
    ScaleLayer,
    SoftmaxLayer,
)
from deconv_legacy.layers.expression import sizes_of

at = aesara.tensor

__all__: list[str] = []


@layer_type("LRN")
def _lrn(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.lrn_param
    region = ("across_channels", "within_channel")[param.norm_region]
    return LRNLayer(bottoms[0], param.local_size, param.alpha, param.beta, param.k, spec.name, region=region)


@layer_type("Scale")
def _scale(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1, 2)
    param = spec.scale_param
    if len(bottoms) > 1:
        return _ScaleByBottom(spec, bottoms, build)
    ones = partial(fillers.constant, value=1)
    return ScaleLayer(
        bottoms[0],
        param.axis,
        param.num_axes,
        build.shared(spec, 0),
        (build.shared(spec, 1) if build.shared(spec, 1) is not None else True) if param.bias_term else None,
        spec.name,
        filler=build.filler(param.filler) if param.HasField("filler") else ones,
        bias_filler=build.filler(param.bias_filler),
        rng=build.rng,
    )


@layer_type("Softmax")
def _softmax(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    return SoftmaxLayer(bottoms[0], spec.softmax_param.axis, spec.name)


class _ScaleByBottom(Layer):
    """Scale by a second blob, whose axes lie on those of the first from ``axis`` on."""

    kind = "Scale"
    keeps_coordinates = True

    def __init__(self, spec: Any, bottoms: Sequence[Layer], build: Any):
        super().__init__(bottoms, spec.name)
        x, scale = self.inputs
        axis = axis_of(spec, bottoms[0], spec.scale_param.axis) if scale.ndim else 0
        y = x * self.located(lambda: _spread(x, scale, axis))
        if spec.scale_param.bias_term:
            given = build.shared(spec, 0)
            shape = tuple(scale.type.shape) if given is None else given.get_value(borrow=True).shape
            filler = build.filler(spec.scale_param.bias_filler)
            bias = self.add_param(given, shape, "bias", filler, build.rng)
            y = y + self.located(lambda: _spread(x, bias, axis))
        self.outputs = [y]


def _spread(x: Any, part: Any, axis: int) -> Any:
    """`part` with axes of size 1 around, so that it lies on axes ``axis ...`` of x."""
    part = engine.same_sizes(x, part, axis=axis)
    return part.dimshuffle(["x"] * axis + list(range(part.ndim)) + ["x"] * (x.ndim - axis - part.ndim))


@layer_type("Bias")
def _bias(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1, 2)
    param = spec.bias_param
    if len(bottoms) > 1:
        axis = axis_of(spec, bottoms[0], param.axis) if bottoms[1].output.ndim else 0
        return ExpressionLayer(bottoms, lambda x, bias: x + _spread(x, bias, axis), spec.name, keeps_coordinates=True)
    filler = build.filler(param.filler)
    bias = build.shared(spec, 0)
    return BiasLayer(bottoms[0], param.axis, param.num_axes, bias, spec.name, filler=filler, rng=build.rng)


@layer_type("InnerProduct")
def _inner_product(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.inner_product_param
    bias = build.shared(spec, 1)
    return DenseLayer(
        bottoms[0],
        param.num_output,
        spec.name,
        axis=param.axis,
        transpose=param.transpose,
        W=build.shared(spec, 0),
        b=(True if bias is None else bias) if param.bias_term else None,
        filler=build.filler(param.weight_filler),
        bias_filler=build.filler(param.bias_filler),
        rng=build.rng,
    )


class _BatchNorm(Layer):
    """Caffe's rule: three blobs, the sums of means and of variances and how many (decayed) batches they hold."""

    kind = "BatchNorm"
    keeps_coordinates = True
    trainable_params: list[Any] = []  # noqa: RUF012  (what is normalised by is not learned)

    def __init__(self, spec: Any, bottoms: Sequence[Layer], build: Any):
        super().__init__(bottoms, spec.name)
        param, x = spec.batch_norm_param, self.input
        channels = 1 if x.ndim == 1 else self.input_shape[1]
        if channels is None:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=self.where)
        names = ("mean", "variance", "count")
        mean, variance, count = (
            self.add_param(build.shared(spec, i), (channels if i < 2 else 1,), name, fillers.constant)
            for i, name in enumerate(names)
        )
        stored = param.use_global_stats if param.HasField("use_global_stats") else not build.train
        if stored:
            factor = at.switch(at.eq(count[0], 0), np.float32(0), 1 / count[0])
            m, v = mean * factor, variance * factor
        else:
            m, v = _moments(x)
            kept = np.float32(param.moving_average_fraction)
            numbers = at.cast(math.prod(sizes_of(x)) // channels, x.dtype)
            corrected = v * at.switch(numbers > 1, numbers / (numbers - 1), 1)
            self.updates = [
                (mean, kept * mean + m),
                (variance, kept * variance + corrected),
                (count, kept * count + np.float32(1)),
            ]
        spread = ["x"] if x.ndim == 1 else ["x", 0] + ["x"] * (x.ndim - 2)
        m, v = (part[0] if x.ndim == 1 else part.dimshuffle(spread) for part in (m, v))
        self.outputs = [(x - m) / at.sqrt(v + np.float32(param.eps))]


def _moments(x: Any) -> tuple[Any, Any]:
    """Mean and biased variance of each channel."""
    axes = [i for i in range(x.ndim) if i != 1 or x.ndim == 1]
    m = x.mean(axis=axes, keepdims=True)
    v = at.square(x - m).mean(axis=axes)
    m = x.mean(axis=axes)
    return (m[None], v[None]) if x.ndim == 1 else (m, v)


@layer_type("BatchNorm")
def _batch_norm(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    return _BatchNorm(spec, bottoms, build)


@layer_type("MVN")
def _mvn(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.mvn_param
    if bottoms[0].output.ndim > 4:
        raise SizeError(f"a blob of {bottoms[0].output.ndim} axes; up to 4 are served", where=f"{spec.name} (MVN)")

    def normalize(x: Any) -> Any:
        x = at.shape_padright(x, 4 - x.ndim)  # Caffe gives it all four
        axes = list(range(1 if param.across_channels else 2, x.ndim))
        y = x - x.mean(axis=axes, keepdims=True)
        if not param.normalize_variance:
            return y
        variance = at.square(y).mean(axis=axes, keepdims=True)
        constant = aesara.gradient.disconnected_grad
        deviation, eps = at.sqrt(variance), np.float32(param.eps)
        # the derivative of the root as Caffe takes it: finite for a constant plane too
        slope = 1 / (2 * (constant(deviation) + eps))
        deviation = constant(deviation) + (variance - constant(variance)) * slope
        return y / (deviation + eps)

    return ExpressionLayer(bottoms, normalize, spec.name, keeps_coordinates=True)
