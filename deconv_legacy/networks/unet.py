"""U-Net (Ronneberger, Fischer & Brox 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.layers import (
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    InputLayer,
    Layer,
    Network,
    PoolLayer,
    ReluLayer,
)

__all__ = ["unet"]

UP = ("deconv", "bilinear")


def unet(
    n_classes: int = 2,
    channels: Sequence[int] = (64, 128, 256, 512, 1024),
    input: Any = None,
    *,
    in_channels: int = 1,
    padding: str = "same",
    up: str = "deconv",
    rng: Any = None,
) -> Network:
    """U-Net: an encoder of two 3x3 convolutions and a 2x2 pooling a level, and a decoder that joins each level's skip.

    Parameters
    ----------
    n_classes
        Channels of the output ``score``.
    channels
        Of each level, the finest first.
    input
        A layer or variable ``(N, in_channels, rows, columns)``; by default an `InputLayer` named ``data``.
    padding
        ``"same"``: the output has the size of the input, whatever it is: an up-sampling takes the odd size of its
        skip. ``"valid"``, the paper's: 572 becomes 388, and skips are cropped to what lies over them.
    up
        ``"deconv"``: a learned 2x2 deconvolution of stride 2, which also halves the channels, as in the paper;
        ``"bilinear"``: frozen bilinear interpolation, then a 1x1 convolution.
    rng
        Seed or generator for the initial weights (He's).

    Returns
    -------
    Network
        Its output ``score`` is ``(N, n_classes, rows, columns)``.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer
    >>> unet(3, (4, 8, 16), InputLayer((None, 1, 27, 38)))["score"].output_shape
    (None, 3, 27, 38)
    >>> unet(2, input=InputLayer((1, 1, 572, 572)), padding="valid", channels=(2, 3, 4, 5, 6))["score"].output_shape
    (1, 2, 388, 388)

    References
    ----------
    Ronneberger, Fischer & Brox, arXiv 1505.04597.
    """
    if padding not in ("same", "valid"):
        raise ValueError(f"padding {padding!r} is unknown; legal are 'same' and 'valid'")
    if up not in UP:
        raise ValueError(f"up {up!r} is unknown; legal are {', '.join(map(repr, UP))}")
    generator = np.random.default_rng(rng)

    def conv(top: Layer, n: int, name: str, kernel: int = 3) -> Layer:
        return ConvolutionLayer(
            top,
            (n, top.output_shape[1], kernel, kernel),
            padding=padding,
            name=name,
            filter_flip=False,
            b=True,
            filler=fillers.msra,
            rng=generator,
        )

    def level(top: Layer, n: int, name: str) -> Layer:
        for i in (1, 2):
            top = ReluLayer(conv(top, n, f"{name}_conv{i}"), name=f"{name}_relu{i}")
        return top

    def enlarge(top: Layer, n: int, name: str, like: Layer | None) -> Layer:
        """Twice as large; where all is padded, of the very size of the skip."""
        inputs = top.output_shape[1]
        if up == "bilinear":
            top = DeconvolutionLayer(
                top,
                (inputs, 1, 4, 4),
                2,
                1,
                f"{name}_up",
                like=like,
                groups=inputs,
                filter_flip=False,
                filler=partial(fillers.bilinear, kind="grouped"),
                frozen=True,
            )
            return conv(top, n, f"{name}_mix", kernel=1)
        return DeconvolutionLayer(
            top,
            (inputs, n, 2, 2),
            2,
            name=f"{name}_up",
            like=like,
            filter_flip=False,
            b=True,
            filler=fillers.msra,
            rng=generator,
        )

    top: Layer = input if isinstance(input, Layer) else InputLayer((None, in_channels, None, None), input)
    skips = []
    for i, n in enumerate(channels[:-1], 1):
        skips.append(level(top, n, f"down{i}"))
        top = PoolLayer(skips[-1], 2, name=f"pool{i}")
    top = level(top, channels[-1], "bottom")
    for i, n in reversed(list(enumerate(channels[:-1], 1))):
        skip = skips[i - 1]
        top = enlarge(top, n, f"up{i}", skip if padding == "same" else None)
        if padding == "valid":
            skip = CropLayer(skip, top, name=f"up{i}_crop")
        top = level(ConcatLayer([skip, top], name=f"up{i}_join"), n, f"up{i}")
    return Network(conv(top, n_classes, "score", kernel=1))
