"""Fully convolutional networks for segmentation (Long, Shelhamer & Darrell 2015): FCN-32s, 16s, 8s and FCN-AlexNet.

The names of layers are those of the authors' prototxts, so that their caffemodels fit. The crop offsets are derived
from the layers between (`CropLayer`), nowhere written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    ConvolutionLayer,
    CropLayer,
    DropoutLayer,
    EltwiseLayer,
    InputLayer,
    Layer,
    LRNLayer,
    Network,
    PoolLayer,
    ReluLayer,
    ScaleLayer,
    UpscoreLayer,
)

__all__ = ["fcn8s", "fcn16s", "fcn32s", "fcn_alexnet"]

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG-16's convolutions, stage by stage; each stage ends in a 2x2 pooling."""


class _Builder:
    """Makes layers with the options that one network's layers share."""

    def __init__(self, input: Any, width: float, train: bool, rng: Any):
        self.top: Layer = input if isinstance(input, Layer) else InputLayer((None, 3, None, None), input)
        if self.top.output_shape[1] is None:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=self.top.where)
        self.width, self.train = width, train
        self.rng = np.random.default_rng(rng)  # one sequence for all layers: a seed anew would make them alike

    def channels(self, n: int) -> int:
        return max(1, round(n * self.width))

    def conv(
        self,
        name: str,
        outputs: int,
        kernel: int,
        pad: int = 0,
        stride: int = 1,
        groups: int = 1,
        input: Layer | None = None,
    ):
        source = self.top if input is None else input
        shape = (outputs, source.output_shape[1] // groups, kernel, kernel)
        layer = ConvolutionLayer(
            source,
            shape,
            stride,
            pad,
            name,
            groups=groups,
            filter_flip=False,
            b=True,
            filler=fillers.msra,
            rng=self.rng,
        )
        if input is None:
            self.top = layer
        return layer

    def relu(self, name: str) -> None:
        self.top = ReluLayer(self.top, name=name)

    def pool(self, name: str, kernel: int = 2, stride: int = 2) -> Layer:
        self.top = PoolLayer(self.top, kernel, stride, name=name, rounding="caffe")
        return self.top

    def head(self, kernel: int, n_classes: int) -> Layer:
        """fc6, fc7 and the scores: the classifier as convolutions."""
        for i, size in ((6, kernel), (7, 1)):
            self.conv(f"fc{i}", self.channels(4096), size)
            self.relu(f"relu{i}")
            seed = int(self.rng.integers(2**31))
            self.top = DropoutLayer(self.top, 0.5, f"drop{i}", train=self.train, seed=seed)
        return self.conv("score_fr", n_classes, 1)


def _vgg16(input: Any, n_classes: int, width: float, train: bool, rng: Any, stages: Sequence[Sequence[int]]):
    """The convolutional VGG-16 down to the scores; its first convolution has pad 100. Also pool3 and pool4."""
    net = _Builder(input, width, train, rng)
    data, pools = net.top, {}
    for stage, widths in enumerate(stages, 1):
        for i, n in enumerate(widths, 1):
            net.conv(f"conv{stage}_{i}", net.channels(n), 3, 100 if (stage, i) == (1, 1) else 1)
            net.relu(f"relu{stage}_{i}")
        pools[stage] = net.pool(f"pool{stage}")
    net.head(7, n_classes)
    return net, data, pools


def _skip(net: _Builder, scores: Layer, pool: Layer, name: str, up: str, n_classes: int, scale: float | None) -> Layer:
    """Enlarge the scores twice, score a finer pooling, crop it to them, and add."""
    upscored = UpscoreLayer(scores, 2, up)
    if scale is not None:
        constant = partial(fillers.constant, value=scale)
        pool = ScaleLayer(pool, filler=constant, name=f"scale_{name}", frozen=True)
    scored = net.conv(f"score_{name}", n_classes, 1, input=pool)
    cropped = CropLayer(scored, upscored, name=f"score_{name}c")
    return EltwiseLayer([upscored, cropped], name=f"fuse_{name}")


def fcn32s(
    n_classes: int = 21,
    width: float = 1.0,
    input: Any = None,
    *,
    train: bool = False,
    rng: Any = None,
    stages: Sequence[Sequence[int]] = VGG16,
) -> Network:
    """FCN-32s: VGG-16 with pad 100, scores, one upscore by 32, a crop to the data.

    Parameters
    ----------
    n_classes
        Classes with the background.
    width
        Factor on every number of channels but the classes'.
    input
        A layer or variable ``(N, 3, rows, columns)``; by default an `InputLayer` named ``data``.
    train
        Whether dropout is on.
    rng
        Seed or generator for the initial weights and the dropout.
    stages
        Channels of the convolutions between poolings.

    Returns
    -------
    Network
        Its output ``score`` is ``(N, n_classes, rows, columns)``: the size of the data, whatever it is.

    Examples
    --------
    >>> net = fcn32s(width=1 / 16)
    >>> net["score"].output_shape, net["score"].offset
    ((None, 21, None, None), (19, 19))

    References
    ----------
    Long, Shelhamer & Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015;
    ``voc-fcn32s`` of the authors' repository.
    """
    net, data, _ = _vgg16(input, n_classes, width, train, rng, stages)
    return Network(CropLayer(UpscoreLayer(net.top, 32, "upscore"), data, name="score"))


def fcn16s(
    n_classes: int = 21,
    width: float = 1.0,
    input: Any = None,
    *,
    train: bool = False,
    rng: Any = None,
    stages: Sequence[Sequence[int]] = VGG16,
) -> Network:
    """FCN-16s: as `fcn32s`, with the scores of pool4 added before an upscore by 16; crop offsets 5 and 27.

    Examples
    --------
    >>> net = fcn16s(width=1 / 16)
    >>> net["score_pool4c"].offset, net["score"].offset
    ((5, 5), (27, 27))
    """
    net, data, pools = _vgg16(input, n_classes, width, train, rng, stages)
    fused = _skip(net, net.top, pools[4], "pool4", "upscore2", n_classes, None)
    return Network(CropLayer(UpscoreLayer(fused, 16, "upscore16"), data, name="score"))


def fcn8s(
    n_classes: int = 21,
    width: float = 1.0,
    input: Any = None,
    *,
    at_once: bool = False,
    train: bool = False,
    rng: Any = None,
    stages: Sequence[Sequence[int]] = VGG16,
) -> Network:
    """FCN-8s: the scores of pool4 and of pool3 are added on the way up; crop offsets 5, 9 and 31.

    Parameters are those of `fcn32s`, and

    at_once
        The variant that is trained in one go: pool4 and pool3 are scaled by 0.01 and 0.0001 before they are scored.

    Examples
    --------
    >>> net = fcn8s(width=1 / 16)
    >>> [net[name].offset[0] for name in ("score_pool4c", "score_pool3c", "score")]
    [5, 9, 31]
    """
    net, data, pools = _vgg16(input, n_classes, width, train, rng, stages)
    fused = _skip(net, net.top, pools[4], "pool4", "upscore2", n_classes, 0.01 if at_once else None)
    fused = _skip(net, fused, pools[3], "pool3", "upscore_pool4", n_classes, 0.0001 if at_once else None)
    return Network(CropLayer(UpscoreLayer(fused, 8, "upscore8"), data, name="score"))


def fcn_alexnet(
    n_classes: int = 21, width: float = 1.0, input: Any = None, *, train: bool = False, rng: Any = None
) -> Network:
    """FCN-AlexNet: convolutions with groups, LRN, an upscore with kernel 63 and stride 32; crop offset 18.

    Parameters are those of `fcn32s`; channels are kept even for the two groups.

    Examples
    --------
    >>> fcn_alexnet(width=1 / 16)["score"].offset
    (18, 18)
    """
    net = _Builder(input, width, train, rng)
    data = net.top
    for i, (n, kernel, pad, stride, groups) in enumerate(
        ((96, 11, 100, 4, 1), (256, 5, 2, 1, 2), (384, 3, 1, 1, 1), (384, 3, 1, 1, 2), (256, 3, 1, 1, 2)), 1
    ):
        net.conv(f"conv{i}", 2 * max(1, net.channels(n) // 2), kernel, pad, stride, groups)
        net.relu(f"relu{i}")
        if i in (1, 2, 5):
            net.pool(f"pool{i}", 3, 2)
        if i in (1, 2):
            net.top = LRNLayer(net.top, size=5, alpha=1e-4, beta=0.75, name=f"norm{i}")
    net.head(6, n_classes)
    return Network(CropLayer(UpscoreLayer(net.top, 32, "upscore", kernel=63), data, name="score"))
