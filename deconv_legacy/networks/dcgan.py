"""DCGAN (Radford, Metz & Chintala 2015): generator and discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    DeconvolutionLayer,
    InputLayer,
    Layer,
    Network,
    ReluLayer,
    TanhLayer,
)

__all__ = ["dcgan_discriminator", "dcgan_generator"]

_NORMAL = partial(fillers.gaussian, std=0.02)
SLOPE = 0.2  # of the discriminator's leaky rectifiers


def _norm(top: Layer, name: str, train: bool, twin: Network | None = None) -> Layer:
    # the authors' numbers; gamma starts at one
    names = ("gamma", "beta", "mean", "variance")
    shared = {} if twin is None else {key: getattr(twin[name], key) for key in names}
    return BatchNormLayer(top, 1e-5, 0.9, name=name, train=train, **shared)


def dcgan_generator(
    channels: Sequence[int] = (1024, 512, 256, 128, 3),
    code: int = 100,
    start: int = 4,
    kernel: int = 5,
    input: Any = None,
    *,
    train: bool = False,
    rng: Any = None,
) -> Network:
    """Codes ``(N, code, 1, 1)`` to images ``(N, channels[-1], rows, columns)`` in -1 .. 1.

    A projection to ``start x start``, then deconvolutions of stride 2 with padding SAME, each doubling the size: rows
    and columns are ``start * 2 ** (len(channels) - 1)``, 64 by default. Batch normalisation and rectifiers between,
    a hyperbolic tangent at the end.

    Parameters
    ----------
    channels
        Of the projection and of each deconvolution.
    code
        Numbers of a code.
    kernel
        Of the deconvolutions. 5 with stride 2 reaches some cells more often than others (a checkerboard); 4 does not.
    input
        A layer or variable; by default an `InputLayer` named ``code``.
    train
        Whether batch normalisation takes the batch's mean and variance, and has updates.
    rng
        Seed or generator for the initial weights.

    Examples
    --------
    >>> dcgan_generator((16, 8, 4, 3))["image"].output_shape
    (None, 3, 32, 32)

    References
    ----------
    Radford, Metz & Chintala, arXiv 1511.06434.
    """
    generator = np.random.default_rng(rng)
    options: dict[str, Any] = {"filter_flip": False, "filler": _NORMAL, "rng": generator}
    top: Layer = input if isinstance(input, Layer) else InputLayer((None, code, 1, 1), input, name="code")
    # a dense layer: from one cell, a deconvolution reaches each of its kernel's
    top = DeconvolutionLayer(top, (code, channels[0], start, start), 1, name="project", **options)
    for i, (before, after) in enumerate(pairwise(channels), 1):
        top = ReluLayer(_norm(top, f"bn{i}", train), name=f"relu{i}")
        last = i == len(channels) - 1
        top = DeconvolutionLayer(
            top,
            (before, after, kernel, kernel),
            2,
            "same",
            f"deconv{i}",
            output_size=start * 2**i,
            b=last,  # before a batch normalisation it would do nothing
            **options,
        )
    return Network(TanhLayer(top, name="image"))


def dcgan_discriminator(
    channels: Sequence[int] = (64, 128, 256, 512),
    in_channels: int = 3,
    size: int = 64,
    kernel: int = 5,
    input: Any = None,
    *,
    twin: Network | None = None,
    train: bool = False,
    rng: Any = None,
) -> Network:
    """Images ``(N, in_channels, size, size)`` to ``score`` ``(N, 1, 1, 1)``: logits of being real.

    Convolutions of stride 2 with padding SAME, leaky rectifiers, batch normalisation but for the first, and at the end
    a convolution over all that is left. Parameters are those of `dcgan_generator`; `size` must be ``2 **
    len(channels)`` times a whole number; and

    twin
        Another discriminator, whose parameters this one uses: one reads real images, the other the generator's.

    Examples
    --------
    >>> dcgan_discriminator((4, 8), 1, 16)["score"].output_shape
    (None, 1, 1, 1)
    """
    if size % 2 ** len(channels):
        raise ValueError(f"size {size} cannot be halved {len(channels)} times")
    generator = np.random.default_rng(rng)
    options: dict[str, Any] = {"filter_flip": False, "filler": _NORMAL, "rng": generator}
    top: Layer = input if isinstance(input, Layer) else InputLayer((None, in_channels, size, size), input, name="image")

    def conv(top: Layer, n: int, kernel: int, name: str, biased: bool, stride: Any, padding: Any) -> Layer:
        shape = (n, top.output_shape[1], kernel, kernel)
        W, b = (None, biased) if twin is None else (*twin[name].params, None)[:2]
        return ConvolutionLayer(top, shape, stride, padding, name, W=W, b=b, **options)

    for i, n in enumerate(channels, 1):
        top = conv(top, n, kernel, f"d_conv{i}", i == 1, 2, "same")
        if i > 1:
            top = _norm(top, f"d_bn{i}", train, twin)
        top = ReluLayer(top, SLOPE, name=f"d_relu{i}")
    return Network(conv(top, 1, size // 2 ** len(channels), "score", True, 1, 0))
