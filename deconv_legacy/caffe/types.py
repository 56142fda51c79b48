"""The layer types of FCN: each function translates a LayerParameter into a layer of `deconv_legacy.layers`.

A convolution in Caffe correlates (``filter_flip=False``); its parameters are read here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from deconv_legacy import fillers
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import (
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    DropoutLayer,
    EltwiseLayer,
    Layer,
    LRNLayer,
    PoolLayer,
    ReluLayer,
    ScaleLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
)

__all__: list[str] = []


def need(spec: Any, bottoms: Sequence[Layer], count: int, most: int | None = None) -> None:
    """Refuse a wrong number of bottoms, in Caffe's words."""
    most = count if most is None else most
    if not count <= len(bottoms) <= most:
        wanted = str(count) if count == most else f"{count} to {most}"
        raise MismatchError(
            f"layer {spec.name!r}: {spec.type} layer takes {wanted} bottom blob(s) as input, {len(bottoms)} are given"
        )


def _axes(
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


@layer_type("Convolution", "Deconvolution")
def _convolution(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source = spec.convolution_param, bottoms[0]
    ndim = len(source.output_shape) - 2
    channels = source.output_shape[1]
    where = f"{spec.name} ({spec.type})"
    if param.axis not in (1, 1 - (ndim + 2)):
        raise SizeError(f"axis {param.axis}: convolutions over channels (axis 1) are served", where=where)
    if channels is None:
        raise SizeError("the number of channels of its input must be known", axis=1, where=where)
    if not param.num_output:
        raise SizeError("num_output is required and must be positive", where=where)
    kernel = _axes(param, "kernel_size", ("kernel_h", "kernel_w"), None, ndim, spec)
    stride = _axes(param, "stride", ("stride_h", "stride_w"), 1, ndim, spec)
    pad = _axes(param, "pad", ("pad_h", "pad_w"), 0, ndim, spec)
    dilation = tuple(param.dilation) or (1,)
    dilation = dilation * ndim if len(dilation) == 1 else dilation
    group = param.group
    if group < 1 or channels % group or param.num_output % group:
        raise SizeError(
            f"group {group} must divide the {channels} input channels and the {param.num_output} outputs", where=where
        )
    down = spec.type == "Convolution"
    first, second = (param.num_output, channels // group) if down else (channels, param.num_output // group)
    bias = build.shared(spec, 1) if param.bias_term else None
    layer = (ConvolutionLayer if down else DeconvolutionLayer)(
        source,
        (first, second, *kernel),
        stride,
        pad,
        spec.name,
        dilation=dilation,
        groups=group,
        filter_flip=False,
        W=build.shared(spec, 0),
        b=(True if bias is None else bias) if param.bias_term else None,
        filler=build.filler(param.weight_filler),
        rng=build.rng,
    )
    if param.bias_term and bias is None and param.HasField("bias_filler"):
        values = build.filler(param.bias_filler)((param.num_output,), build.rng, layer.b.dtype)
        layer.b.set_value(values, borrow=True)
    return layer


@layer_type("ReLU")
def _relu(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    return ReluLayer(bottoms[0], spec.relu_param.negative_slope, spec.name)


@layer_type("Pooling")
def _pooling(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source = spec.pooling_param, bottoms[0]
    if param.pool not in (0, 1):
        raise MismatchError(f"layer {spec.name!r}: stochastic pooling is not served")
    ndim = len(source.output_shape) - 2
    if ndim != 2:
        raise SizeError(f"Pooling needs (N, C, rows, columns), not {ndim + 2} axes", where=f"{spec.name} (Pooling)")
    if param.global_pooling:
        kernel: Any = source.output_shape[2:]
        if None in kernel:
            raise SizeError("global pooling needs a known image size", where=f"{spec.name} (Pooling)")
        stride: Any = 1
        pad: Any = 0
    else:
        kernel = _axes(param, "kernel_size", ("kernel_h", "kernel_w"), None, ndim, spec)
        stride = _axes(param, "stride", ("stride_h", "stride_w"), 1, ndim, spec)
        pad = _axes(param, "pad", ("pad_h", "pad_w"), 0, ndim, spec)
    return PoolLayer(
        source,
        kernel,
        stride,
        pad,
        "max" if param.pool == 0 else "average",
        spec.name,
        rounding="caffe" if param.round_mode == 0 else "floor",
        with_mask=len(spec.top) > 1,
    )


@layer_type("Crop")
def _crop(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    source, like = bottoms
    axis, ndim = spec.crop_param.axis, len(source.output_shape)
    count = ndim - axis % ndim
    offsets = list(spec.crop_param.offset) or [0]
    if len(offsets) not in (1, count):
        raise SizeError(f"{len(offsets)} offsets for {count} cropped axes; one or {count}", where=f"{spec.name} (Crop)")
    return CropLayer(source, like, offsets[0] if len(offsets) == 1 else offsets, spec.name, axis=axis)


@layer_type("Dropout")
def _dropout(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    seed = int(build.rng.integers(2**31)) if build.train else None
    return DropoutLayer(bottoms[0], spec.dropout_param.dropout_ratio, spec.name, train=build.train, seed=seed)


@layer_type("Eltwise")
def _eltwise(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2, 1 << 30)
    param = spec.eltwise_param
    return EltwiseLayer(bottoms, ("prod", "sum", "max")[param.operation], list(param.coeff) or None, spec.name)


@layer_type("Concat")
def _concat(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1, 1 << 30)
    param = spec.concat_param
    if param.HasField("concat_dim") and param.HasField("axis"):
        raise MismatchError(f"layer {spec.name!r}: give axis or concat_dim, not both")
    return ConcatLayer(bottoms, param.concat_dim if param.HasField("concat_dim") else param.axis, spec.name)


@layer_type("LRN")
def _lrn(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.lrn_param
    region = ("across_channels", "within_channel")[param.norm_region]
    return LRNLayer(bottoms[0], param.local_size, param.alpha, param.beta, param.k, spec.name, region=region)


@layer_type("Scale")
def _scale(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param = spec.scale_param
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


@layer_type("SoftmaxWithLoss")
def _softmax_with_loss(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    param = spec.loss_param
    if param.HasField("normalization"):
        normalization = ("full", "valid", "batch_size", "none")[param.normalization]
    elif param.HasField("normalize"):
        normalization = "valid" if param.normalize else "batch_size"
    else:
        normalization = "valid"
    return SoftmaxLossLayer(
        bottoms[0],
        bottoms[1],
        spec.name,
        axis=spec.softmax_param.axis,
        ignore_label=param.ignore_label if param.HasField("ignore_label") else None,
        normalization=normalization,
    )


@layer_type("Input")
def _input(spec: Any, bottoms: Sequence[Layer], build: Any) -> list[Layer]:
    shapes = list(spec.input_param.shape)
    if len(shapes) not in (1, len(spec.top)):
        raise MismatchError(f"layer {spec.name!r} (Input): {len(shapes)} shapes for {len(spec.top)} tops")
    shapes = shapes * len(spec.top) if len(shapes) == 1 else shapes
    return [build.input(top, tuple(shape.dim)) for top, shape in zip(spec.top, shapes, strict=True)]


@layer_type("Python", "Data", "ImageData", "HDF5Data", "MemoryData")
def _data(spec: Any, bottoms: Sequence[Layer], build: Any) -> list[Layer]:
    """A layer that brings data: its tops are fed instead."""
    if bottoms:
        raise MismatchError(
            f"layer {spec.name!r} ({spec.type}): layers written in Python that read blobs need pycaffe's Net"
        )
    return [build.input(top, None) for top in spec.top]
