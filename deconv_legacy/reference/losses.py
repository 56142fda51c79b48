"""Softmax and Caffe's losses, with gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import MismatchError
from ._arrays import Array, float64

__all__ = [
    "euclidean_loss",
    "euclidean_loss_grad",
    "sigmoid_cross_entropy_loss",
    "sigmoid_cross_entropy_loss_grad",
    "softmax",
    "softmax_grad",
    "softmax_loss",
    "softmax_loss_grad",
]

Normalization = Literal["FULL", "VALID", "BATCH_SIZE", "NONE"]

FLT_MIN = float(np.finfo(np.float32).tiny)


def softmax(x: ArrayLike, axis: int = 1) -> Array:
    """``exp(x) / sum of exp(x) over axis``.

    >>> softmax([[0, np.log(3)]])
    array([[0.25, 0.75]])
    """
    return special.softmax(float64(x), axis=axis)


def softmax_grad(x: ArrayLike, g: ArrayLike, axis: int = 1) -> Array:
    """Gradient of `softmax`."""
    y, g = softmax(x, axis), float64(g)
    return y * (g - (g * y).sum(axis=axis, keepdims=True))


def _divisor(counted: np.ndarray, batch: int, normalization: Normalization) -> float:
    """What the sum of the losses is divided by; ``counted`` is False at ignored labels."""
    divisors = {"FULL": counted.size, "VALID": int(counted.sum()), "BATCH_SIZE": batch, "NONE": 1}
    return max(1.0, float(divisors[normalization]))


def _labels(
    scores: np.ndarray, labels: ArrayLike, ignore_label: int | None, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each cell, in the shape of ``scores`` with 1 at ``axis``, and where it counts."""
    shape = (*scores.shape[:axis], 1, *scores.shape[axis + 1 :])
    values = np.asarray(labels)
    if values.size != int(np.prod(shape)):
        raise MismatchError(f"{values.size} labels {values.shape} for {int(np.prod(shape))} predictions {shape}")
    classes = values.astype(np.int64).reshape(shape)  # Caffe truncates
    counted = np.full(shape, True) if ignore_label is None else classes != ignore_label
    wrong = classes[counted & ((classes < 0) | (classes >= scores.shape[axis]))]
    if wrong.size:
        raise MismatchError(f"label {wrong[0]} is none of the {scores.shape[axis]} classes")
    return np.where(counted, classes, 0), counted


def softmax_loss(
    scores: ArrayLike,
    labels: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "VALID",
    axis: int = 1,
    caffe_cpu_sum: bool = False,
) -> float:
    """Caffe's SoftmaxWithLoss: the sum of ``-log(max(p of the label, FLT_MIN))`` over a divisor.

    ``scores`` are (N, classes, *spatial), ``labels`` (N, 1, *spatial) or (N, *spatial). The divisor is at
    least 1: FULL all cells, VALID those not ignored, BATCH_SIZE the product of the axes before ``axis``, NONE
    1. Caffe's older ``normalize: false`` is BATCH_SIZE, ``normalize: true`` is VALID.

    ``caffe_cpu_sum`` computes in float32 and adds one cell at a time, as Caffe does on a CPU: the sum of a
    large image then carries a rounding error that is seen in the fourth digit of its logs.

    Raises `MismatchError` for a wrong number of labels and for a label that is no class.

    >>> round(softmax_loss([[0, np.log(3)], [0, 0]], [1, 9], ignore_label=9), 5)  # log(4 / 3)
    0.28768
    """
    dtype = np.float32 if caffe_cpu_sum else np.float64
    x = np.asarray(scores, dtype=dtype)
    classes, counted = _labels(x, labels, ignore_label, axis)
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    p = exponentials / exponentials.sum(axis=axis, keepdims=True)
    terms = -np.log(np.maximum(np.take_along_axis(p, classes, axis), dtype(FLT_MIN))) * counted
    total = np.add.accumulate(terms.ravel())[-1] if caffe_cpu_sum else terms.sum()
    return float(total / dtype(_divisor(counted, int(np.prod(x.shape[:axis])), normalization)))


def softmax_loss_grad(
    scores: ArrayLike,
    labels: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "VALID",
    axis: int = 1,
    loss_weight: float = 1.0,
) -> Array:
    """Gradient of ``loss_weight *`` `softmax_loss` with respect to the scores; 0 where the label is ignored.

    >>> softmax_loss_grad([[0, np.log(3)], [0, 0]], [1, 9], ignore_label=9)
    array([[ 0.25, -0.25],
           [ 0.  ,  0.  ]])
    """
    x = float64(scores)
    classes, counted = _labels(x, labels, ignore_label, axis)
    one_hot = np.zeros(x.shape)
    np.put_along_axis(one_hot, classes, 1.0, axis)
    divisor = _divisor(counted, int(np.prod(x.shape[:axis])), normalization)
    return loss_weight / divisor * np.where(counted, softmax(x, axis) - one_hot, 0)


def sigmoid_cross_entropy_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "BATCH_SIZE",
) -> float:
    """Caffe's SigmoidCrossEntropyLoss: sum of ``log(1 + exp(x)) - x t`` over the divisor of `softmax_loss`.

    ``targets`` have the shape of ``scores`` and lie in 0 .. 1; one that truncates to ``ignore_label`` does
    not count.

    >>> round(sigmoid_cross_entropy_loss([[0, 0], [0, 0]], [[0, 1], [1, 255]], ignore_label=255), 5)
    1.03972
    """
    x, t = float64(scores), float64(targets)
    counted = _counted(t, ignore_label)
    terms = np.where(counted, np.logaddexp(0, x) - x * t, 0)
    return float(terms.sum() / _divisor(counted, x.shape[0], normalization))


def sigmoid_cross_entropy_loss_grad(
    scores: ArrayLike,
    targets: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "BATCH_SIZE",
    loss_weight: float = 1.0,
) -> Array:
    """Gradient of ``loss_weight *`` `sigmoid_cross_entropy_loss` with respect to the scores."""
    x, t = float64(scores), float64(targets)
    counted = _counted(t, ignore_label)
    divisor = _divisor(counted, x.shape[0], normalization)
    return loss_weight / divisor * np.where(counted, special.expit(x) - t, 0)


def _counted(targets: Array, ignore_label: int | None) -> np.ndarray:
    return np.full(targets.shape, True) if ignore_label is None else np.trunc(targets) != ignore_label


def euclidean_loss(a: ArrayLike, b: ArrayLike) -> float:
    """Caffe's EuclideanLoss: the sum of ``(a - b) ** 2`` over twice the batch size.

    >>> euclidean_loss([[1, 2]], [[3, 5]])
    6.5
    """
    difference = float64(a) - float64(b)
    return float((difference**2).sum() / (2 * difference.shape[0]))


def euclidean_loss_grad(a: ArrayLike, b: ArrayLike, loss_weight: float = 1.0) -> tuple[Array, Array]:
    """Gradients of ``loss_weight *`` `euclidean_loss` with respect to ``a`` and ``b``."""
    g = loss_weight * (float64(a) - float64(b)) / np.shape(a)[0]
    return g, -g
