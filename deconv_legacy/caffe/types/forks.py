"""What the segmentation forks added: Interp, Upsample, Unpooling and their batch normalisations.

DeepLab and PSPNet (Interp), SegNet and ENet (Upsample), DeconvNet (Unpooling). "BN" is one layer in SegNet, ENet and
DeconvNet (two blobs: scale and shift) and another in PSPNet (four: slope, bias, mean, variance); a layer says which by
the fields of its ``bn_param``. All blobs of both are 1 x C x 1 x 1, and zeros where no filler is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine, fillers
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import ignored, need
from deconv_legacy.caffe.types.losses import classes, one_each, share
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.geometry import formulas
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
    zoom, shrink = param.HasField("zoom_factor"), param.HasField("shrink_factor")
    # one of the factors wins over a size, a size over both
    to_size = zoom == shrink and param.HasField("height") and param.HasField("width")
    if not (zoom or shrink or to_size):
        raise SizeError("give a zoom_factor, a shrink_factor, or height and width", where=where)
    if to_size and min(param.height, param.width) < 1:
        raise SizeError(f"height {param.height} and width {param.width} must be positive", where=where)

    def interp(x: Any) -> Any:
        sizes = [n + param.pad_beg + param.pad_end for n in sizes_of(x)[2:]]
        if any(isinstance(n, int) and n < 1 for n in sizes):
            raise SizeError(f"pad_beg {param.pad_beg} and pad_end {param.pad_end} leave {sizes}", where=where)
        if param.pad_beg or param.pad_end:
            x = engine.crop(x, sizes, offsets=-param.pad_beg)
        if to_size:
            return engine.linear_resize(x, [param.height, param.width], "align_corners")
        # corners on corners: as a convolution shrinks, and a deconvolution zooms, with a kernel of one cell
        shrunk = [formulas.conv(n, 1, param.shrink_factor, 0) for n in sizes]
        zoomed = [formulas.deconv_smallest(n, 1, param.zoom_factor, 0) for n in shrunk]
        return engine.linear_resize(x, zoomed, "align_corners")

    return ExpressionLayer(bottoms, interp, spec.name)


def _unpool(spec: Any, bottoms: Sequence[Layer], sizes: Callable[[Any], Sequence[Any]]) -> Layer:
    """`sizes` of the output, from the input's variable."""
    return ExpressionLayer(bottoms, lambda x, mask: engine.unpool(x, mask, sizes(x)), spec.name)


@layer_type("Upsample")
def _upsample(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    param, where = spec.upsample_param, f"{spec.name} ({spec.type})"
    if param.HasField("upsample_h") and param.HasField("upsample_w"):
        if min(param.upsample_h, param.upsample_w) < 2:
            raise SizeError(f"upsample_h {param.upsample_h} and upsample_w {param.upsample_w}: at least 2", where=where)
        return _unpool(spec, bottoms, lambda x: (param.upsample_h, param.upsample_w))
    two = param.HasField("scale_h"), param.HasField("scale_w")
    if two[0] != two[1] or (two[0] and param.HasField("scale")):
        raise SizeError("give upsample_h and upsample_w, or scale, or scale_h and scale_w", where=where)
    scale_h, scale_w = (param.scale_h, param.scale_w) if two[0] else (param.scale, param.scale)
    if min(scale_h, scale_w) < 2 or (param.pad_out_h and scale_h != 2) or (param.pad_out_w and scale_w != 2):
        raise SizeError(f"scale {scale_h} x {scale_w}: at least 2, and 2 where pad_out is set", where=where)

    def sizes(x: Any) -> Sequence[Any]:
        rows, columns = sizes_of(x)[2:]
        return rows * scale_h - int(param.pad_out_h), columns * scale_w - int(param.pad_out_w)

    return _unpool(spec, bottoms, sizes)


@layer_type("Unpooling")
def _unpooling(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    param = spec.unpooling_param
    if param.unpool != 0 or len(bottoms) != 2:
        raise MismatchError(f"layer {spec.name!r} (Unpooling): only MAX with a mask as second bottom is served")
    both = param.HasField("unpool_h") and param.HasField("unpool_w")
    if param.HasField("unpool_size") == both or param.pad or param.pad_h or param.pad_w:
        raise SizeError(
            "unpool_size, or unpool_h and unpool_w, are required; padding is not served",
            where=f"{spec.name} (Unpooling)",
        )
    sizes = (param.unpool_h, param.unpool_w) if both else (param.unpool_size, param.unpool_size)
    return _unpool(spec, bottoms, lambda x: sizes)


@layer_type("EltwiseAccuracy")
def _eltwise_accuracy(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    """DeconvNet's accuracy of pixels: of equal scores the last class comes first; NaN where no pixel counts."""
    need(spec, bottoms, 2)
    if not hasattr(spec, "eltwise_accuracy_param"):
        raise MismatchError(f"layer {spec.name!r} (EltwiseAccuracy): a fork's layer; read its net with forks=True")
    param, unseen = spec.eltwise_accuracy_param, ignored(spec.eltwise_accuracy_param)

    def accuracy(scores: Any, labels: Any) -> Any:
        one_each(spec, scores, labels, 1)
        count = scores.shape[1]
        x = at.moveaxis(scores, 1, -1).reshape((-1, count))
        truth = at.trunc(labels.ravel())
        counted = at.ones_like(truth, dtype="bool") if unseen is None else at.neq(truth, unseen)
        truth = classes(spec, at.switch(counted, truth, 0), count)[:, None]
        number = at.arange(count)[None]
        own = at.sum(at.switch(at.eq(number, truth), x, 0), axis=1, keepdims=True)
        before = at.sum((x > own) | (at.eq(x, own) & (number > truth)), axis=1)
        hit = at.sum(at.switch(counted, before < param.top_k, 0))
        return share(hit, counted.sum(), x.dtype).reshape((1, 1, 1, 1))

    return ExpressionLayer(bottoms, accuracy, spec.name)


def is_pspnet(param: Any) -> bool:
    """Whether a ``bn_param`` is that of PSPNet's BN, with four blobs, and not of SegNet's, with two."""
    return any(param.HasField(name) for name in ("slope_filler", "bias_filler", "momentum", "eps", "frozen"))


class _Bn(Layer):
    kind = "BN"
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

        pspnet = is_pspnet(param)
        names = ("slope_filler", "bias_filler") if pspnet else ("scale_filler", "shift_filler")
        scale, shift = (blob(index, name, fillers.constant) for index, name in enumerate(names))
        spread = lambda p: at.specify_shape(p, shape)  # noqa: E731
        axes = [0, 2, 3]
        mean = x.mean(axis=axes, keepdims=True)
        variance = at.square(x - mean).mean(axis=axes, keepdims=True)
        eps = np.float32(param.eps) if pspnet else _SEGNET_EPS
        if pspnet:
            of_mean = blob(2, "", fillers.constant)
            of_variance = blob(3, "", _ONES if param.frozen else fillers.constant)
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
        if len(spec.top) > 1 and not pspnet and param.bn_mode == 0:
            # DeconvNet keeps them for its tests; variables of their own, so that each has its own gradient
            self.outputs += [at.tensor_copy(mean), at.tensor_copy(variance)]
        self._learns = 0 if pspnet and param.frozen else 2

    @property
    def trainable_params(self) -> list[Any]:
        return self.params[: self._learns]


@layer_type("BN")
def _bn(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 1)
    if not hasattr(spec, "bn_param"):
        raise MismatchError(f"layer {spec.name!r} (BN): a fork's layer; read its net with forks=True")
    return _Bn(spec, bottoms, build)
