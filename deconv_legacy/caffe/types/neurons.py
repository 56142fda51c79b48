"""Layers that work number by number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import need
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import DropoutLayer, ExpressionLayer, Layer, PReluLayer, ReluLayer

at = aesara.tensor

__all__: list[str] = []


@layer_type("ReLU")
def _relu(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    return ReluLayer(bottoms[0], spec.relu_param.negative_slope, spec.name)


@layer_type("Dropout")
def _dropout(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    seed = int(build.rng.integers(2**31)) if build.train else None
    return DropoutLayer(bottoms[0], spec.dropout_param.dropout_ratio, spec.name, train=build.train, seed=seed)


def pointwise(*names: str) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """Decorator: this function of the layer's parameters and x is what layers of these types do to each number."""

    def register(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        @layer_type(*names)
        def _build(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
            need(spec, bottoms, 1)
            return ExpressionLayer(bottoms, partial(function, spec), spec.name, keeps_coordinates=True)

        return function

    return register


@pointwise("Sigmoid")
def _sigmoid(spec: Any, x: Any) -> Any:
    return at.sigmoid(x)


@pointwise("TanH")
def _tanh(spec: Any, x: Any) -> Any:
    return at.tanh(x)


@pointwise("AbsVal")
def _absolute(spec: Any, x: Any) -> Any:
    return abs(x)


@pointwise("ELU")
def _elu(spec: Any, x: Any) -> Any:
    return at.switch(x > 0, x, _float(spec.elu_param.alpha) * (at.exp(at.minimum(x, 0)) - 1))


@pointwise("BNLL")
def _bnll(spec: Any, x: Any) -> Any:
    return at.softplus(x)


@pointwise("Swish")
def _swish(spec: Any, x: Any) -> Any:
    return x * at.sigmoid(_float(spec.swish_param.beta) * x)


@pointwise("Clip")
def _clip(spec: Any, x: Any) -> Any:
    return at.clip(x, _float(spec.clip_param.min), _float(spec.clip_param.max))


@pointwise("Threshold")
def _threshold(spec: Any, x: Any) -> Any:
    return at.cast(x > _float(spec.threshold_param.threshold), x.dtype)


@pointwise("Power")
def _power(spec: Any, x: Any) -> Any:
    param = spec.power_param
    base = _affine(param, x)
    if param.power == 0:
        return at.ones_like(x)
    return base if param.power == 1 else base ** _float(param.power)


@pointwise("Exp")
def _exp(spec: Any, x: Any) -> Any:
    return at.exp(_affine(spec.exp_param, x) * np.asarray(_log_of_base(spec, spec.exp_param), x.dtype))


@pointwise("Log")
def _log(spec: Any, x: Any) -> Any:
    if spec.log_param.base == 1:
        raise MismatchError(f"layer {spec.name!r}: there is no logarithm of base 1")
    return at.log(_affine(spec.log_param, x)) / np.asarray(_log_of_base(spec, spec.log_param), x.dtype)


def _affine(param: Any, x: Any) -> Any:
    """``shift + scale x``."""
    return x * _float(param.scale) + _float(param.shift)


def _log_of_base(spec: Any, param: Any) -> float:
    if param.base != -1 and not param.base > 0:
        raise MismatchError(f"layer {spec.name!r}: base must be strictly positive, or -1 for e")
    return 1.0 if param.base == -1 else math.log(param.base)


def _float(number: float) -> Any:
    """A number of the file, which has it as float32: so it leaves float32 float32."""
    return np.float32(number)


@layer_type("PReLU")
def _prelu(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.prelu_param
    return PReluLayer(
        bottoms[0],
        spec.name,
        slope=build.shared(spec, 0),
        shared=param.channel_shared,
        filler=build.filler(param.filler) if param.HasField("filler") else None,
        rng=build.rng,
    )
