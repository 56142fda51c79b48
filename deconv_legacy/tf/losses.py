"""``tf.losses``: scalars, the mean over all elements whose weight is not 0."""

from __future__ import annotations

from typing import Any

from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.tf import activations
from deconv_legacy.tf._layout import tensor

at = aesara.tensor

__all__ = [
    "absolute_difference",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


def _mean(losses: Any, weights: Any) -> Any:
    """``SUM_BY_NONZERO_WEIGHTS``, TensorFlow's default."""
    if isinstance(weights, (int, float)) and weights == 1:
        return losses.mean()
    w = at.cast(tensor(weights), losses.dtype)
    if w.ndim not in (0, losses.ndim):
        raise SizeError(f"weights with {w.ndim} axes for losses with {losses.ndim}: as many, or none, are legal")
    count = (at.ones_like(losses) * at.neq(w, 0)).sum()
    return (losses * w).sum() / at.maximum(count, 1)


def mean_squared_error(labels: Any, predictions: Any, weights: Any = 1.0) -> Any:
    """The mean of ``(predictions - labels)^2``."""
    return _mean(at.square(_difference("mean_squared_error", labels, predictions)), weights)


def absolute_difference(labels: Any, predictions: Any, weights: Any = 1.0) -> Any:
    """The mean of ``|predictions - labels|``."""
    return _mean(abs(_difference("absolute_difference", labels, predictions)), weights)


def _difference(where: str, labels: Any, predictions: Any) -> Any:
    labels, predictions = tensor(labels), tensor(predictions)
    activations.need_same(where, labels, predictions, "predictions")
    return predictions - labels


def sigmoid_cross_entropy(multi_class_labels: Any, logits: Any, weights: Any = 1.0) -> Any:
    """The mean of `tf.sigmoid_cross_entropy_with_logits`."""
    return _mean(activations.sigmoid_cross_entropy_with_logits(multi_class_labels, logits), weights)


def softmax_cross_entropy(onehot_labels: Any, logits: Any, weights: Any = 1.0) -> Any:
    """The mean of `tf.nn.softmax_cross_entropy_with_logits`."""
    return _mean(activations.softmax_cross_entropy_with_logits(onehot_labels, logits), weights)


def sparse_softmax_cross_entropy(labels: Any, logits: Any, weights: Any = 1.0) -> Any:
    """The mean of `tf.nn.sparse_softmax_cross_entropy_with_logits`."""
    return _mean(activations.sparse_softmax_cross_entropy_with_logits(labels, logits), weights)
