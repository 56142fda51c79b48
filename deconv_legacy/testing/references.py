"""The NumPy and SciPy specification of a layer: `reference_of` finds it.

The functions are those of `deconv_legacy.reference`; only the settings are read from the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy import geometry, layers, reference
from deconv_legacy.layers import Layer
from deconv_legacy.testing.caffe_references import BY_TYPE, WITHOUT
from deconv_legacy.testing.rebuild import arguments_of

__all__ = ["Reference", "reference_of"]

Array = np.ndarray
Reference = Callable[[Sequence[Array], Sequence[Array]], list[Array]]
"""From the inputs (references of which only the sizes count included) and the parameters to the outputs."""


def reference_of(layer: Layer) -> Reference:
    """What `layer` ought to compute, in float64.

    Raises
    ------
    NotImplementedError
        Saying why the specification does not have it; calling the result may raise it too.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, ReluLayer
    >>> relu = reference_of(ReluLayer(InputLayer((1, 2)), 0.5))
    >>> relu([np.array([[-2.0, 3.0]])], [])
    [array([[-1.,  3.]])]
    """
    for cls, make in _BY_CLASS.items():
        if isinstance(layer, cls):
            return make(layer)
    if layer.spec is not None and layer.spec.type in BY_TYPE:
        return BY_TYPE[layer.spec.type](layer.spec, layer)
    kind = type(layer).__name__ if layer.spec is None else layer.spec.type
    raise NotImplementedError(WITHOUT.get(kind, f"there is no reference for {kind}"))


def _with_bias(y: Array, params: Sequence[Array]) -> Array:
    return reference.scale(y, np.ones(y.shape[1]), params[1]) if len(params) > 1 else y


def _convolution(layer: Any) -> Reference:
    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        pads: Any = geometry.resolve_all_pads(
            layer.padding, x[0].shape[2:], p[0].shape[2:], layer.stride, layer.dilation
        )
        settings = (layer.stride, pads, layer.dilation, layer.groups, layer.filter_flip)
        return [_with_bias(reference.conv(x[0], p[0], *settings), p)]

    return run


def _deconvolution(layer: Any) -> Reference:
    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        kernel = p[0].shape[2:]
        if len(x) > 1:
            size: Sequence[Any] = x[1].shape[2:]
        else:
            asked = layer.output_shape[2:] if layer._sized else (None,) * len(kernel)
            rules = zip(x[0].shape[2:], kernel, layer.stride, layer.padding, layer.dilation, asked, strict=True)
            size = [geometry.deconv_output_size(*rule) for rule in rules]
        pads: Any = geometry.resolve_all_pads(layer.padding, size, kernel, layer.stride, layer.dilation)
        settings = (layer.stride, pads, layer.dilation, layer.groups, layer.filter_flip)
        return [_with_bias(reference.conv_input_grad(p[0], x[0], size, *settings), p)]

    return run


def _pooling(layer: Any) -> Reference:
    if layer.rounding not in ("caffe", "floor", "theano"):
        raise NotImplementedError(f"pooling with rounding {layer.rounding!r}")

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        kernel = layer.kernel or x[0].shape[2:]
        stride = layer.stride or kernel
        pairs = geometry.resolve_all_pads(layer.padding, x[0].shape[2:], kernel, stride)
        if any(pair is None or pair[0] != pair[1] for pair in pairs):
            raise NotImplementedError("pads that differ on the two sides")
        pads = [pair[0] for pair in pairs if pair is not None]
        if layer.rounding != "theano" and layer.mode in ("max", "average"):
            mode = "CEIL" if layer.rounding == "caffe" else "FLOOR"
            if layer.mode == "average":
                return [reference.caffe_ave_pool(x[0], kernel, stride, pads, mode)]
            return list(reference.caffe_max_pool(x[0], kernel, stride, pads, mode))
        if layer.rounding == "caffe":
            raise NotImplementedError(f"mode {layer.mode} with Caffe's windows")
        rule: Any = "average_inc_pad" if layer.mode == "average" else layer.mode
        return [reference.theano_pool(x[0], kernel, layer.rounding == "floor", stride, pads, rule)]

    return run


def _crop(layer: Any) -> Reference:
    return lambda x, p: [reference.crop(x[0], x[-1].shape, layer.offset, layer.axis)]


def _eltwise(layer: Any) -> Reference:
    given = arguments_of(layer)
    return lambda x, p: [reference.eltwise(_each(layer, x), given["operation"].upper(), given["coeff"])]


def _each(layer: Layer, x: Sequence[Array]) -> list[Array]:
    """One array for each input, also where two of them are the same."""
    distinct: dict[int, Array] = {}
    left = iter(x)
    if len(x) == len(layer.inputs):
        return list(x)
    return [distinct[id(v)] if id(v) in distinct else distinct.setdefault(id(v), next(left)) for v in layer.inputs]


def _concat(layer: Any) -> Reference:
    axis = arguments_of(layer)["axis"]
    return lambda x, p: [np.concatenate([np.asarray(part, np.float64) for part in _each(layer, x)], axis)]


def _scale(layer: Any) -> Reference:
    axis = arguments_of(layer)["axis"]
    return lambda x, p: [reference.scale(x[0], p[0], p[1] if len(p) > 1 else None, axis % x[0].ndim)]


def _bias(layer: Any) -> Reference:
    axis = arguments_of(layer)["axis"]
    return lambda x, p: [reference.scale(x[0], np.ones(p[0].shape), p[0], axis % x[0].ndim)]


def _dense(layer: Any) -> Reference:
    given = arguments_of(layer)

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        w = p[0].T if given["transpose"] else p[0]
        return [reference.inner_product(x[0], w, p[1] if len(p) > 1 else None, given["axis"] % x[0].ndim)]

    return run


def _lrn(layer: Any) -> Reference:
    a = arguments_of(layer)
    if a["region"] == "across_channels":
        return lambda x, p: [reference.lrn_across(x[0], a["size"], a["alpha"], a["beta"], a["k"])]
    return lambda x, p: [reference.lrn_within(x[0], a["size"], a["alpha"], a["beta"])]


def _batch_norm(layer: Any) -> Reference:
    given = arguments_of(layer)

    def run(x: Sequence[Array], p: Sequence[Array]) -> list[Array]:
        by_name = dict(zip(map(id, layer.params), p, strict=True))
        mean, variance = by_name[id(layer.mean)], by_name[id(layer.variance)]
        if given["train"]:
            mean, variance = reference.batch_moments(x[0])
        y = reference.batch_norm(x[0], mean, variance, given["epsilon"])
        gamma = by_name[id(layer.gamma)] if layer.gamma is not None else np.ones(y.shape[1])
        beta = by_name[id(layer.beta)] if layer.beta is not None else None
        return [reference.scale(y, gamma, beta)]

    return run


def _softmax_loss(layer: Any) -> Reference:
    a = arguments_of(layer)
    rule = a["normalization"].upper()
    return lambda x, p: [
        np.asarray(reference.softmax_loss(x[0], x[1], a["ignore_label"], rule, a["axis"])),
        reference.softmax(x[0], a["axis"]),
    ]


def _dropout(layer: Any) -> Reference:
    if layer.p and arguments_of(layer)["train"]:
        raise NotImplementedError("in training its masks are random")
    return lambda x, p: [np.asarray(x[0], np.float64)]


_BY_CLASS: dict[Any, Callable[[Any], Reference]] = {
    layers.ConvolutionLayer: _convolution,
    layers.DeconvolutionLayer: _deconvolution,
    layers.PoolLayer: _pooling,
    layers.CropLayer: _crop,
    layers.EltwiseLayer: _eltwise,
    layers.ConcatLayer: _concat,
    layers.ScaleLayer: _scale,
    layers.BiasLayer: _bias,
    layers.DenseLayer: _dense,
    layers.LRNLayer: _lrn,
    layers.BatchNormLayer: _batch_norm,
    layers.SoftmaxLossLayer: _softmax_loss,
    layers.ReluLayer: lambda layer: lambda x, p: [reference.relu(x[0], arguments_of(layer)["negative_slope"])],
    layers.PReluLayer: lambda layer: lambda x, p: [reference.prelu(x[0], np.atleast_1d(p[0]))],
    layers.SigmoidLayer: lambda layer: lambda x, p: [reference.sigmoid(x[0])],
    layers.TanhLayer: lambda layer: lambda x, p: [reference.tanh(x[0])],
    layers.SoftmaxLayer: lambda layer: lambda x, p: [reference.softmax(x[0], arguments_of(layer)["axis"])],
    layers.DropoutLayer: _dropout,
}
