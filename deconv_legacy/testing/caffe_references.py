"""The NumPy and SciPy specification of Caffe's layer types whose layers are expressions, or classes of the Caffe front
end; the classes of `deconv_legacy.layers` are in `deconv_legacy.testing.references`.

A layer that was built from a file has its LayerParameter (`Layer.spec`): the settings are read from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy import reference
from deconv_legacy.caffe.caffemodel import read_mean
from deconv_legacy.caffe.types._common import ignored, normalization
from deconv_legacy.caffe.types.forks import is_pspnet
from deconv_legacy.layers import Layer

__all__ = ["BY_TYPE", "WITHOUT"]

Array = np.ndarray
Reference = Callable[[Sequence[Array], Sequence[Array]], list[Array]]

_DATA: tuple[str, ...] = ("Input", "Python", "ImageData", "HDF5Data", "MemoryData", "Data", "DummyData")
_DATA += ("DenseImageData", "ImageLabelmapData", "ImageSegData", "WindowData", "WindowSegData")
WITHOUT = {
    **dict.fromkeys(_DATA, "it brings data and computes nothing"),
    **dict.fromkeys(("Silence", "HDF5Output"), "it has no outputs"),
}
"""Layer types that need no specification, with the reason."""


def _float64(x: Any) -> Array:
    return np.asarray(x, np.float64)


def _pointwise(function: Callable[[Any, Array], Array]) -> Callable[[Any, Layer], Reference]:
    return lambda spec, layer: lambda x, p: [function(spec, _float64(x[0]))]


def _power_of_base(param: Any, exponent: Array) -> Array:
    return np.exp(exponent) if param.base == -1 else param.base**exponent


def _log_of_base(param: Any, x: Array) -> Array:
    return np.log(x) if param.base == -1 else np.log(x) / np.log(param.base)


def _rule(spec: Any, default: str) -> tuple[Any, Any]:
    return ignored(spec.loss_param), normalization(spec, default).upper()


def _sigmoid_cross_entropy(spec: Any, layer: Layer) -> Reference:
    rule = _rule(spec, "batch_size")
    return lambda x, p: [
        np.asarray(reference.sigmoid_cross_entropy_loss(x[0], np.reshape(x[-1], np.shape(x[0])), *rule))
    ]


def _euclidean(spec: Any, layer: Layer) -> Reference:
    return lambda x, p: [np.asarray(reference.euclidean_loss(x[0], np.reshape(x[-1], np.shape(x[0]))))]


def _hinge(spec: Any, layer: Layer) -> Reference:
    return lambda x, p: [np.asarray(reference.hinge_loss(x[0], x[1], spec.hinge_loss_param.norm))]


def _infogain(spec: Any, layer: Layer) -> Reference:
    param, rule = spec.infogain_loss_param, _rule(spec, "valid")

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        axis = param.axis % x[0].ndim
        matrix = x[2] if len(x) > 2 else read_mean(param.source)
        loss = reference.infogain_loss(x[0], x[1], matrix, *rule, axis)
        return [np.asarray(loss), reference.softmax(x[0], axis)]

    return run


def _accuracy(spec: Any, layer: Layer) -> Reference:
    param = spec.accuracy_param
    return lambda x, p: [
        np.asarray(part) for part in reference.accuracy(x[0], x[1], param.top_k, param.axis % x[0].ndim, ignored(param))
    ]


def _eltwise_accuracy(spec: Any, layer: Layer) -> Reference:
    param = spec.eltwise_accuracy_param
    return lambda x, p: [np.full((1, 1, 1, 1), reference.eltwise_accuracy(x[0], x[1], param.top_k, ignored(param)))]


def _interp(spec: Any, layer: Layer) -> Reference:
    param = spec.interp_param
    size = (param.height, param.width) if param.HasField("height") and param.HasField("width") else None
    zoom = param.zoom_factor if param.HasField("zoom_factor") else None
    shrink = param.shrink_factor if param.HasField("shrink_factor") else None
    return lambda x, p: [reference.interp(x[0], size, zoom, shrink, param.pad_beg, param.pad_end)]


def _unpool(x: Sequence[Array], size: Sequence[int]) -> list[Array]:
    return [reference.unpool(x[0], np.asarray(x[1]).astype(np.int64), size)]


def _upsample(spec: Any, layer: Layer) -> Reference:
    param = spec.upsample_param

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        if param.HasField("upsample_h") and param.HasField("upsample_w"):
            return _unpool(x, (param.upsample_h, param.upsample_w))
        scales = (param.scale_h, param.scale_w) if param.HasField("scale_h") else (param.scale, param.scale)
        less = param.pad_out_h, param.pad_out_w
        return _unpool(x, [n * s - int(cut) for n, s, cut in zip(x[0].shape[2:], scales, less, strict=True)])

    return run


def _unpooling(spec: Any, layer: Layer) -> Reference:
    param = spec.unpooling_param
    one = param.HasField("unpool_size")
    return lambda x, p: _unpool(x, (param.unpool_size,) * 2 if one else (param.unpool_h, param.unpool_w))


def _bn(spec: Any, layer: Layer) -> Reference:
    param = spec.bn_param
    if is_pspnet(param):
        train = bool(layer.updates)
        return lambda x, p: [reference.bn_pspnet(x[0], p, train, param.momentum, param.eps)[0]]

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        moments = [moment[None, :, None, None] for moment in reference.batch_moments(x[0])]
        return [reference.bn_segnet(x[0], p[0], p[1], param.bn_mode == 1), *moments]

    return run


def _batch_norm(spec: Any, layer: Layer) -> Reference:
    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        wide = _float64(x[0])
        wide = wide[:, None] if wide.ndim == 1 else wide  # one axis: one channel
        moments = reference.batch_moments(wide) if layer.updates else reference.caffe_batch_norm_moments(p)
        return [reference.batch_norm(wide, *moments, spec.batch_norm_param.eps).reshape(np.shape(x[0]))]

    return run


def _scale(spec: Any, layer: Layer) -> Reference:
    axis = spec.scale_param.axis
    return lambda x, p: [reference.scale(x[0], x[-1], p[0] if p else None, axis % x[0].ndim if x[-1].ndim else 0)]


def _bias(spec: Any, layer: Layer) -> Reference:
    axis = spec.bias_param.axis
    return lambda x, p: [reference.scale(x[0], np.ones(x[-1].shape), x[-1], axis % x[0].ndim if x[-1].ndim else 0)]


def _mvn(spec: Any, layer: Layer) -> Reference:
    param = spec.mvn_param
    return lambda x, p: [reference.mvn(x[0], param.normalize_variance, param.across_channels, param.eps)]


def _slice(spec: Any, layer: Layer) -> Reference:
    param, count = spec.slice_param, len(spec.top)
    axis = param.slice_dim if param.HasField("slice_dim") else param.axis
    return lambda x, p: np.split(_float64(x[0]), list(param.slice_point) or count, axis)


def _flatten(spec: Any, layer: Layer) -> Reference:
    param = spec.flatten_param

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        shape, ndim = x[0].shape, x[0].ndim
        start, stop = param.axis % ndim, param.end_axis % ndim + 1
        return [_float64(x[0]).reshape(*shape[:start], math.prod(shape[start:stop]), *shape[stop:])]

    return run


def _reshape(spec: Any, layer: Layer) -> Reference:
    param = spec.reshape_param

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        shape, ndim = x[0].shape, x[0].ndim
        start = param.axis if param.axis >= 0 else param.axis + ndim + 1
        stop = ndim if param.num_axes == -1 else start + param.num_axes
        dims = [n or shape[start + i] for i, n in enumerate(param.shape.dim)]
        return [_float64(x[0]).reshape(*shape[:start], *dims, *shape[stop:])]

    return run


def _tile(spec: Any, layer: Layer) -> Reference:
    param = spec.tile_param
    return lambda x, p: [np.concatenate([_float64(x[0])] * param.tiles, param.axis)]


def _reduction(spec: Any, layer: Layer) -> Reference:
    param = spec.reduction_param
    name: Any = param.ReductionOp.Name(param.operation)
    return lambda x, p: [reference.reduction(x[0], name, param.axis, param.coeff)]


def _arg_max(spec: Any, layer: Layer) -> Reference:
    param = spec.argmax_param
    axis = param.axis if param.HasField("axis") else None
    return lambda x, p: [reference.arg_max(x[0], param.top_k, axis, param.out_max_val)]


def _split(spec: Any, layer: Layer) -> Reference:
    return lambda x, p: [_float64(x[0])] * len(layer.outputs)


BY_TYPE: dict[str, Callable[[Any, Any], Reference]] = {
    "AbsVal": _pointwise(lambda spec, x: np.abs(x)),
    "Accuracy": _accuracy,
    "ArgMax": _arg_max,
    "BN": _bn,
    "BNLL": _pointwise(lambda spec, x: np.logaddexp(0, x)),
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Clip": _pointwise(lambda spec, x: np.clip(x, spec.clip_param.min, spec.clip_param.max)),
    "ELU": _pointwise(lambda spec, x: reference.elu(x, spec.elu_param.alpha)),
    "EltwiseAccuracy": _eltwise_accuracy,
    "EuclideanLoss": _euclidean,
    "Exp": _pointwise(lambda spec, x: _power_of_base(spec.exp_param, _affine(spec.exp_param, x))),
    "Flatten": _flatten,
    "HingeLoss": _hinge,
    "InfogainLoss": _infogain,
    "Interp": _interp,
    "Log": _pointwise(lambda spec, x: _log_of_base(spec.log_param, _affine(spec.log_param, x))),
    "MVN": _mvn,
    "Power": _pointwise(lambda spec, x: reference.power(x, *_numbers(spec.power_param, "power", "scale", "shift"))),
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _pointwise(lambda spec, x: reference.sigmoid(x)),
    "SigmoidCrossEntropyLoss": _sigmoid_cross_entropy,
    "Slice": _slice,
    "Split": _split,
    "Swish": _pointwise(lambda spec, x: x * reference.sigmoid(spec.swish_param.beta * x)),
    "TanH": _pointwise(lambda spec, x: reference.tanh(x)),
    "Threshold": _pointwise(lambda spec, x: _float64(x > spec.threshold_param.threshold)),
    "Tile": _tile,
    "Unpooling": _unpooling,
    "Upsample": _upsample,
}
"""Layer type -> from the LayerParameter and the layer to its specification."""


def _affine(param: Any, x: Array) -> Array:
    return param.shift + param.scale * x


def _numbers(param: Any, *names: str) -> list[float]:
    return [getattr(param, name) for name in names]
