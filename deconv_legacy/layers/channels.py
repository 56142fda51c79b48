"""Layers that look across channels: local response normalisation, softmax."""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine
from deconv_legacy.layers.base import Layer

__all__ = ["LRNLayer", "SoftmaxLayer"]


class LRNLayer(Layer):
    """Local response normalisation.

    Across channels: ``x / (k + alpha / size * sum of squares over size channels) ** beta``; within a channel: the
    same with the average of squares over ``size x size`` cells and ``k = 1``.

    Parameters
    ----------
    size
        Odd number of channels, or of cells on each axis.
    region
        ``"across_channels"`` or ``"within_channel"``.

    References
    ----------
    Krizhevsky, Sutskever & Hinton 2012; Caffe ``lrn_layer.cpp``.
    """

    keeps_coordinates = True

    def __init__(
        self,
        input: Any,
        size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        k: float = 1.0,
        name: str = "lrn",
        *,
        region: str = "across_channels",
    ):
        super().__init__([input], name)
        if region == "across_channels":
            self.outputs = [self.located(lambda: engine.lrn_across(self.input, size, alpha, beta, k))]
        else:
            self.outputs = [self.located(lambda: engine.lrn_within(self.input, size, alpha, beta))]


class SoftmaxLayer(Layer):
    """``exp(x) / sum exp(x)`` over `axis` (1: channels).

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, SoftmaxLayer
    >>> SoftmaxLayer(InputLayer((1, 21, 5, 6))).output_shape
    (1, 21, 5, 6)
    """

    keeps_coordinates = True

    def __init__(self, input: Any, axis: int = 1, name: str = "softmax"):
        super().__init__([input], name)
        self.outputs = [self.located(lambda: engine.softmax(self.input, axis))]
