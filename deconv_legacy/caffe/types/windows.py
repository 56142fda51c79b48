"""Layers that slide a window or cut one out: Convolution, Deconvolution, Pooling, Crop.

A convolution in Caffe correlates (``filter_flip=False``); its parameters are read here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import axes, need
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import ConvolutionLayer, CropLayer, DeconvolutionLayer, Layer, PoolLayer

__all__: list[str] = []


@layer_type("Convolution", "Deconvolution")
def _convolution(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source = spec.convolution_param, bottoms[0]
    ndim, where = len(source.output_shape) - 2, f"{spec.name} ({spec.type})"
    if ndim < 1:
        raise SizeError(f"a blob of {ndim + 2} axes; (N, channels, rows, columns) is needed", where=where)
    channels = source.output_shape[1]
    if param.axis not in (1, 1 - (ndim + 2)):
        raise SizeError(f"axis {param.axis}: convolutions over channels (axis 1) are served", where=where)
    if channels is None:
        raise SizeError("the number of channels of its input must be known", axis=1, where=where)
    if not param.num_output:
        raise SizeError("num_output is required and must be positive", where=where)
    kernel = axes(param, "kernel_size", ("kernel_h", "kernel_w"), None, ndim, spec)
    stride = axes(param, "stride", ("stride_h", "stride_w"), 1, ndim, spec)
    pad = axes(param, "pad", ("pad_h", "pad_w"), 0, ndim, spec)
    dilation = tuple(param.dilation) or (1,)
    if "hole" in param.DESCRIPTOR.fields_by_name:  # DeepLab's name for it, before Caffe had it
        holes = axes(param, "hole", ("hole_h", "hole_w"), 1, ndim, spec)
        if param.dilation and set(holes) != {1}:
            raise MismatchError(f"layer {spec.name!r}: give hole or dilation, not both")
        dilation = dilation if param.dilation else holes
    dilation = dilation * ndim if len(dilation) == 1 else dilation
    if len(dilation) != ndim:
        raise SizeError(f"dilation has {len(dilation)} values for {ndim} spatial axes", where=where)
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
    if layer.b is not None and bias is None and param.HasField("bias_filler"):
        values = build.filler(param.bias_filler)((param.num_output,), build.rng, layer.b.dtype)
        layer.b.set_value(values, borrow=True)
    return layer


@layer_type("Pooling")
def _pooling(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, source = spec.pooling_param, bottoms[0]
    if param.pool not in (0, 1):
        raise MismatchError(f"layer {spec.name!r}: stochastic pooling is not served")
    ndim = len(source.output_shape) - 2
    if ndim != 2:
        raise SizeError(f"Pooling needs (N, C, rows, columns), not {ndim + 2} axes", where=f"{spec.name} (Pooling)")
    kernel: Any = None  # the whole image
    stride: Any = None
    pad: Any = 0
    if not param.global_pooling:
        kernel = axes(param, "kernel_size", ("kernel_h", "kernel_w"), None, ndim, spec)
        stride = axes(param, "stride", ("stride_h", "stride_w"), 1, ndim, spec)
        pad = axes(param, "pad", ("pad_h", "pad_w"), 0, ndim, spec)
    layer = PoolLayer(
        source,
        kernel,
        stride,
        pad,
        "max" if param.pool == 0 else "average",
        spec.name,
        rounding="caffe" if param.round_mode == 0 else "floor",
        with_mask=len(spec.top) > 1,
    )
    # Caffe's blobs are floats, masks too
    layer.outputs[1:] = [aesara.tensor.cast(mask, layer.output.dtype) for mask in layer.outputs[1:]]
    return layer


@layer_type("Crop")
def _crop(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    source, like = bottoms
    axis, ndim = spec.crop_param.axis, len(source.output_shape)
    count = ndim - axis % ndim
    offsets: Any = list(spec.crop_param.offset) or [0]
    if len(offsets) not in (1, count):
        raise SizeError(f"{len(offsets)} offsets for {count} cropped axes; one or {count}", where=f"{spec.name} (Crop)")
    offsets = offsets[0] if len(offsets) == 1 else offsets
    if not spec.HasField("crop_param") and "bn_param" in spec.DESCRIPTOR.fields_by_name:
        # HED, RCF and the first FCN: a crop that says nothing finds its offset
        offsets = build.memory.get(spec.name)
    layer = CropLayer(source, like, offsets, spec.name, axis=axis)
    build.memory[spec.name] = layer.offset
    return layer
