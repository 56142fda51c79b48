"""Caffe's layers that are neither windows nor plain arithmetic: MVN, hinge and infogain losses, accuracy, arg max,
reduction, the sizes of Interp, and the batch normalisations of the forks.

Source: ``src/caffe/layers`` of BVLC/caffe, and of the forks PSPNet, SegNet and DeconvNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import MismatchError, SizeError
from ._arrays import Array, along_axis, float64
from .losses import Normalization, _divisor, _labels, softmax
from .normalization import batch_moments, batch_norm
from .resampling import linear_resize

__all__ = [
    "accuracy",
    "arg_max",
    "bn_pspnet",
    "bn_segnet",
    "eltwise_accuracy",
    "hinge_loss",
    "hinge_loss_grad",
    "infogain_loss",
    "infogain_loss_grad",
    "interp",
    "mvn",
    "mvn_grad",
    "reduction",
    "reduction_grad",
]

Operation = Literal["SUM", "ASUM", "SUMSQ", "MEAN"]

LOG_THRESHOLD = 1e-20


def mvn(x: ArrayLike, normalize_variance: bool = True, across_channels: bool = False, eps: float = 1e-9) -> Array:
    """``(x - mean) / (standard deviation + eps)`` of each plane, or of each item; always four axes.

    >>> mvn([[[[1, 3]]]], eps=1)
    array([[[[-0.5,  0.5]]]])
    """
    x = float64(x)
    x = x.reshape(*x.shape, *[1] * (4 - x.ndim))
    axes = (1, 2, 3) if across_channels else (2, 3)
    y = x - x.mean(axis=axes, keepdims=True)
    return y / (y.std(axis=axes, keepdims=True) + eps) if normalize_variance else y


def mvn_grad(
    x: ArrayLike, g: ArrayLike, normalize_variance: bool = True, across_channels: bool = False, eps: float = 1e-9
) -> Array:
    """Gradient of `mvn` as Caffe has it: the derivative of the deviation has ``+ eps`` too, so that it is finite."""
    x, g = float64(x), float64(g)
    axes = (1, 2, 3) if across_channels else (2, 3)
    centred = g - g.mean(axis=axes, keepdims=True)
    if normalize_variance:
        y = mvn(x, True, across_channels, eps)
        deviation = x.reshape(g.shape).std(axis=axes, keepdims=True) + eps
        centred = (centred - y * (y * g).mean(axis=axes, keepdims=True)) / deviation
    return centred.reshape(x.shape)


def _margins(scores: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """``max(0, 1 + x)``, with ``-x`` for the true class; and the sign."""
    x = float64(scores)
    x = x.reshape(len(x), -1)
    classes = np.asarray(labels).ravel().astype(np.int64)[: len(x)]
    if classes.min() < 0 or classes.max() >= x.shape[1]:
        raise MismatchError(f"a label is none of the {x.shape[1]} classes")
    sign = np.ones(x.shape)
    sign[np.arange(len(x)), classes] = -1
    return np.maximum(0, 1 + sign * x), sign


def hinge_loss(scores: ArrayLike, labels: ArrayLike, norm: int = 1) -> float:
    """Caffe's HingeLoss, one against all: the sum of the margins (of their squares for ``norm`` 2) over the batch size.

    >>> hinge_loss([[0.5, 3.0]], [1])
    1.5
    """
    margin, _ = _margins(scores, labels)
    return float((margin**norm).sum() / len(margin))


def hinge_loss_grad(scores: ArrayLike, labels: ArrayLike, norm: int = 1, loss_weight: float = 1.0) -> Array:
    """Gradient of ``loss_weight *`` `hinge_loss` with respect to the scores; 0 at a margin of 0."""
    margin, sign = _margins(scores, labels)
    slope = np.sign(margin) if norm == 1 else 2 * margin
    return (loss_weight / len(margin) * sign * slope).reshape(np.shape(scores))


def infogain_loss(
    scores: ArrayLike,
    labels: ArrayLike,
    matrix: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "VALID",
    axis: int = 1,
) -> float:
    """Caffe's InfogainLoss: ``-sum_k matrix[label, k] log(max(p_k, 1e-20))`` over the divisor of `softmax_loss`.

    >>> round(infogain_loss([[0, np.log(3)]], [1], [[1, 0], [0.5, 2]]), 5)  # 0.5 log 4 + 2 log(4 / 3)
    1.26851
    """
    p, h, classes, counted = _infogain(scores, labels, matrix, ignore_label, axis)
    terms = (h[classes[:, 0]] * np.log(np.maximum(p, LOG_THRESHOLD))).sum(axis=1)
    total = -terms[counted[:, 0]].sum()
    return float(total / _divisor(counted, int(np.prod(np.shape(scores)[:axis])), normalization))


def infogain_loss_grad(
    scores: ArrayLike,
    labels: ArrayLike,
    matrix: ArrayLike,
    ignore_label: int | None = None,
    normalization: Normalization = "VALID",
    axis: int = 1,
    loss_weight: float = 1.0,
) -> Array:
    """Gradient of ``loss_weight *`` `infogain_loss`; the bound of the logarithm is not differentiated."""
    p, h, classes, counted = _infogain(scores, labels, matrix, ignore_label, axis)
    rows = h[classes[:, 0]]
    found = np.where(counted, p * rows.sum(axis=1, keepdims=True) - rows, 0)
    found *= loss_weight / _divisor(counted, int(np.prod(np.shape(scores)[:axis])), normalization)
    moved = np.moveaxis(float64(scores), axis, -1)
    return np.moveaxis(found.reshape(moved.shape), -1, axis)


def _infogain(
    scores: ArrayLike, labels: ArrayLike, matrix: ArrayLike, ignore_label: int | None, axis: int
) -> tuple[Array, Array, np.ndarray, np.ndarray]:
    """A row for each prediction: probabilities; then the matrix, and for each row its class and whether it counts."""
    x, h = float64(scores), float64(matrix)
    count = x.shape[axis]
    if h.size != count * count:
        raise SizeError(f"a matrix of {h.size} numbers for {count} classes")
    classes, counted = _labels(x, labels, ignore_label, axis)
    p = np.moveaxis(softmax(x, axis), axis, -1).reshape(-1, count)
    flat = [np.moveaxis(part, axis, -1).reshape(-1, 1) for part in (classes, counted)]
    return p, h.reshape(count, count), flat[0], flat[1]


def accuracy(
    scores: ArrayLike, labels: ArrayLike, top_k: int = 1, axis: int = 1, ignore_label: int | None = None
) -> tuple[float, Array]:
    """Caffe's Accuracy, of all and of each class: the share whose true class has fewer than ``top_k`` others that are
    at least as good; 0 where nothing is counted.

    >>> accuracy([[1, 2], [3, 3]], [1, 0])  # a tie is lost
    (0.5, array([0., 1.]))
    """
    x = float64(scores)
    classes, counted = _labels(x, labels, ignore_label, axis)
    truth = np.take_along_axis(x, classes, axis)
    hit = ((x >= truth).sum(axis=axis, keepdims=True) - 1 < top_k) & counted
    each = np.zeros(x.shape[axis])
    for number in range(len(each)):
        own = counted & (classes == number)
        each[number] = hit[own].mean() if own.any() else 0
    return float(hit[counted].mean() if counted.any() else 0), each


def eltwise_accuracy(scores: ArrayLike, labels: ArrayLike, top_k: int = 1, ignore_label: int | None = None) -> float:
    """DeconvNet's EltwiseAccuracy: the share of cells whose true class is among the ``top_k`` best of axis 1; of equal
    scores the last class comes first. NaN where nothing is counted.

    >>> eltwise_accuracy([[3, 3], [1, 2]], [1, 0])
    0.5
    """
    x = float64(scores)
    classes, counted = _labels(x, labels, ignore_label, 1)
    best = arg_max(x, top_k, axis=1)
    hit = (best == classes).any(axis=1, keepdims=True)
    return float(hit[counted].mean()) if counted.any() else float("nan")


def arg_max(x: ArrayLike, top_k: int = 1, axis: int | None = None, out_max_val: bool = False) -> Array:
    """Caffe's ArgMax: the ``top_k`` largest along an axis, as indices or, with ``out_max_val``, values; of equal ones
    the last comes first. Without an axis over everything but the first: (N, 1 or 2, top_k), indices and then values.

    >>> arg_max([[5, 7, 7]], top_k=2)
    array([[[2., 1.]]])
    """
    x = float64(x)
    rows = np.moveaxis(x, axis, -1) if axis is not None else x.reshape(len(x), -1)
    order = rows.shape[-1] - 1 - np.argsort(-rows[..., ::-1], axis=-1, kind="stable")[..., :top_k]
    values = np.take_along_axis(rows, order, -1)
    if axis is not None:
        return np.moveaxis(values if out_max_val else order.astype(float), -1, axis)
    parts = [order.astype(float), values] if out_max_val else [order.astype(float)]
    return np.stack(parts, axis=1).reshape(len(x), len(parts), top_k, *[1] * max(x.ndim - 3, 0))


def reduction(x: ArrayLike, operation: Operation = "SUM", axis: int = 0, coeff: float = 1.0) -> Array:
    """Caffe's Reduction over all axes from `axis` on.

    >>> reduction([[1, -2], [3, 4]], "ASUM", axis=1, coeff=2)
    array([ 6., 14.])
    """
    x = float64(x)
    over = tuple(range(axis % x.ndim, x.ndim))
    taken = {"SUM": x, "ASUM": np.abs(x), "SUMSQ": x**2, "MEAN": x}[operation]
    return coeff * (taken.mean(axis=over) if operation == "MEAN" else taken.sum(axis=over))


def reduction_grad(
    x: ArrayLike, g: ArrayLike, operation: Operation = "SUM", axis: int = 0, coeff: float = 1.0
) -> Array:
    """Gradient of `reduction`."""
    x, g = float64(x), float64(g)
    count = x.size // max(g.size, 1)
    slope = {"SUM": np.ones(x.shape), "ASUM": np.sign(x), "SUMSQ": 2 * x, "MEAN": np.full(x.shape, 1 / count)}[
        operation
    ]
    return coeff * slope * g.reshape(*g.shape, *[1] * (x.ndim - g.ndim))


def interp(
    x: ArrayLike,
    size: Sequence[int] | None = None,
    zoom_factor: int | None = None,
    shrink_factor: int | None = None,
    pad_beg: int = 0,
    pad_end: int = 0,
) -> Array:
    """The Interp of DeepLab and PSPNet: cut by the (negative) pads, then bilinear, corners on corners.

    One of the factors wins over a size, a size over both; a shrink comes before a zoom.

    >>> interp([[[1, 2, 4]]], zoom_factor=2)
    array([[[1. , 1.5, 2. , 3. , 4. ]]])
    """
    x = float64(x)
    inside: tuple[Any, ...] = (..., *(slice(-pad_beg, n + pad_end) for n in x.shape[2:]))
    x = np.asarray(x[inside])
    if size is None or (zoom_factor is None) != (shrink_factor is None):
        shrunk = [(n - 1) // (shrink_factor or 1) + 1 for n in x.shape[2:]]
        size = [n + (n - 1) * ((zoom_factor or 1) - 1) for n in shrunk]
    return linear_resize(x, size, "align_corners")


def bn_segnet(x: ArrayLike, scale: ArrayLike, shift: ArrayLike, inference: bool = False) -> Array:
    """The BN of SegNet, ENet and DeconvNet: two blobs, the batch's own moments (eps 1e-9), or none in INFERENCE.

    >>> bn_segnet([[[1, 3]]], [2], [1])
    array([[[-1.,  3.]]])
    """
    x = float64(x)
    y = x if inference else batch_norm(x, *batch_moments(x), eps=1e-9)
    return y * along_axis(float64(scale).ravel(), 1, x.ndim) + along_axis(float64(shift).ravel(), 1, x.ndim)


def bn_pspnet(
    x: ArrayLike, blobs: Sequence[ArrayLike], train: bool = False, momentum: float = 0.9, eps: float = 1e-5
) -> tuple[Array, list[Array]]:
    """The BN of PSPNet: slope, bias, mean, variance; and the last two after the pass, which moves them in training.

    >>> y, (mean, variance) = bn_pspnet([[[1, 3]]], [[1], [0], [1], [4]], train=True, momentum=0.5)
    >>> y.round(3), mean, variance
    (array([[[-1.,  1.]]]), array([1.5]), array([2.5]))
    """
    x = float64(x)
    slope, bias, mean, variance = (float64(blob).ravel() for blob in blobs)
    kept = [mean, variance]
    if train:
        mean, variance = batch_moments(x)
        kept = [momentum * old + (1 - momentum) * new for old, new in zip(kept, (mean, variance), strict=True)]
    y = batch_norm(x, mean, variance, eps)
    return y * along_axis(slope, 1, x.ndim) + along_axis(bias, 1, x.ndim), kept
