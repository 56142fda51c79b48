"""What the segmentation forks added: Interp, Upsample, Unpooling and their batch normalisations.

DeepLab and PSPNet (Interp), SegNet and ENet (Upsample), DeconvNet (Unpooling). "BN" is one layer in SegNet, ENet and
DeconvNet (two blobs: scale and shift) and another in PSPNet (four: slope, bias, mean, variance); a layer says which by
the fields of its ``bn_param``. All blobs of both are 1 x C x 1 x 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine, fillers
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import need
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import ExpressionLayer, Layer
from deconv_legacy.layers.expression import sizes_of

at = aesara.tensor

__all__: list[str] = []

_ONES = partial(fillers.constant, value=1)
_SEGNET_EPS = np.float32(1e-9)


@layer_type("Interp")
def _interp(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    param, where = spec.interp_param, f"{spec.name} ({spec.type})"
    if param.pad_beg > 0 or param.pad_end > 0:
        raise SizeError(f"pad_beg {param.pad_beg}, pad_end {param.pad_end}: only cropping is served", where=where)
    if param.zoom_factor < 1 or param.shrink_factor < 1:
        raise SizeError("zoom_factor and shrink_factor must be positive", where=where)

    def interp(x: Any) -> Any:
        sizes = [n + param.pad_beg + param.pad_end for n in sizes_of(x)[2:]]
        if param.pad_beg or param.pad_end:
            x = engine.crop(x, sizes, offsets=-param.pad_beg)
        out: list[Any] = [param.height, param.width]
        if not param.HasField("height"):
            shrunk = [(n - 1) // param.shrink_factor + 1 for n in sizes]
            out = [n + (n - 1) * (param.zoom_factor - 1) for n in shrunk]
        return engine.linear_resize(x, out, "align_corners")

    return ExpressionLayer(bottoms, interp, spec.name)


def _unpool(spec: Any, bottoms: Sequence[Layer], sizes: Sequence[Any]) -> Layer:
    return ExpressionLayer(bottoms, lambda x, mask: engine.unpool(x, mask, sizes), spec.name)


@layer_type("Upsample")
def _upsample(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    param = spec.upsample_param
    rows, columns = sizes_of(bottoms[0].output)[2:]
    if param.HasField("upsample_h") and param.HasField("upsample_w"):
        return _unpool(spec, bottoms, (param.upsample_h, param.upsample_w))
    scale_h, scale_w = (
        getattr(param, name) if param.HasField(name) else param.scale for name in ("scale_h", "scale_w")
    )
    return _unpool(spec, bottoms, (rows * scale_h - int(param.pad_out_h), columns * scale_w - int(param.pad_out_w)))


@layer_type("Unpooling")
def _unpooling(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    param = spec.unpooling_param
    if param.unpool != 0 or len(bottoms) != 2:
        raise MismatchError(f"layer {spec.name!r} (Unpooling): only MAX with a mask as second bottom is served")
    sizes = []
    for axis, suffix in enumerate("hw", 2):
        given = next((n for n in ("unpool_size", f"unpool_{suffix}") if param.HasField(n)), None)
        if given:
            sizes.append(getattr(param, given))
            continue
        kernel, stride, pad = (
            getattr(param, one) or getattr(param, f"{short}_{suffix}")
            for one, short in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad"))
        )
        sizes.append((sizes_of(bottoms[0].output)[axis] - 1) * stride + kernel - 2 * pad)
    return _unpool(spec, bottoms, sizes)


class _Bn(Layer):
    keeps_coordinates = True

    def __init__(self, spec: Any, bottoms: Sequence[Layer], build: Any):
        super().__init__(bottoms, spec.name)
        param, x = spec.bn_param, self.input
        self.need_rank(4)
        shape = (1, self.input_shape[1], 1, 1)
        if shape[1] is None:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=self.where)

        def blob(index: int, field: str, default: Any) -> Any:
            filler = build.filler(getattr(param, field)) if field and param.HasField(field) else default
            return self.add_param(build.shared(spec, index), shape, field or f"blob{index}", filler, build.rng)

        pspnet = any(param.HasField(name) for name in ("slope_filler", "bias_filler", "momentum", "eps", "frozen"))
        names = ("slope_filler", "bias_filler") if pspnet else ("scale_filler", "shift_filler")
        scale, shift = blob(0, names[0], _ONES), blob(1, names[1], fillers.constant)
        spread = lambda p: at.specify_broadcastable(p, 0, 2, 3)  # noqa: E731
        axes = [0, 2, 3]
        mean = x.mean(axis=axes, keepdims=True)
        variance = at.square(x - mean).mean(axis=axes, keepdims=True)
        eps = np.float32(param.eps) if pspnet else _SEGNET_EPS
        if pspnet:
            of_mean, of_variance = blob(2, "", fillers.constant), blob(3, "", _ONES)
            if build.train and not param.frozen:
                kept, fresh = np.float32(param.momentum), np.float32(1 - param.momentum)
                self.updates = [
                    (of_mean, kept * of_mean + fresh * mean),
                    (of_variance, kept * of_variance + fresh * variance),
                ]
            else:
                mean, variance = spread(of_mean), spread(of_variance)
        if pspnet or param.bn_mode == 0:
            x = (x - mean) / at.sqrt(variance + eps)
        self.outputs = [x * spread(scale) + spread(shift)]

    @property
    def trainable_params(self) -> list[Any]:
        return self.params[:2]


@layer_type("BN")
def _bn(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    if not hasattr(spec, "bn_param"):
        raise MismatchError(f"layer {spec.name!r} (BN): a fork's layer; read its net with forks=True")
    return _Bn(spec, bottoms, build)
