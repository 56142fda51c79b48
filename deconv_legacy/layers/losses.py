"""Losses as layers: a scalar output."""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine
from deconv_legacy.layers.base import Layer

__all__ = ["SoftmaxLossLayer"]


class SoftmaxLossLayer(Layer):
    """Softmax over `axis` and the mean of ``-log p`` of the labels: Caffe's SoftmaxWithLoss.

    Parameters
    ----------
    input
        Scores ``(N, classes, rows, columns)``.
    labels
        A layer or variable ``(N, 1, rows, columns)`` or ``(N, rows, columns)``.
    ignore_label
        Label that counts nothing (255 in PASCAL VOC).
    normalization
        ``"valid"``, ``"full"``, ``"batch_size"`` or ``"none"``: what the sum is divided by.
    caffe_cpu_sum
        Add in float32 one by one, as Caffe on a CPU does, for identical logs; the gradient is the same.
    with_softmax
        Whether the probabilities are a second output.

    The output is a scalar; Caffe's rules are those of `deconv_legacy.engine.softmax_loss`.
    """

    def __init__(
        self,
        input: Any,
        labels: Any,
        name: str = "loss",
        *,
        axis: int = 1,
        ignore_label: int | None = None,
        normalization: str = "valid",
        caffe_cpu_sum: bool = False,
        with_softmax: bool = False,
    ):
        super().__init__([input, labels], name)
        scores, truth = self.inputs
        rule = axis, ignore_label, normalization, caffe_cpu_sum
        loss = self.located(lambda: engine.softmax_loss(scores, truth, *rule))
        self.outputs = [loss, engine.softmax(scores, axis)] if with_softmax else [loss]
