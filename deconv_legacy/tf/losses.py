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
    w = _spread(w, losses)
    return (losses * w).sum() / at.cast(at.maximum(at.neq(w, 0).sum(), 1), losses.dtype)


def _spread(w: Any, losses: Any) -> Any:
    """`w` of the shape of `losses`; an axis of 1 is repeated, also one whose size is only known when it runs."""
    if w.ndim == 0:
        return at.full_like(losses, w) if losses.ndim else w
    for axis, (given, known) in enumerate(zip(w.type.shape, losses.type.shape, strict=True)):
        if given not in (None, 1) and known not in (None, given):
            raise SizeError(f"weights of {given} for losses of {known}: as many, or 1, are legal", axis=axis)
        size = losses.shape[axis]
        if given is None:
            cells = at.arange(at.maximum(size, w.shape[axis]))  # another size than 1 and `size`: an IndexError
            w = at.take(w, at.switch(at.eq(w.shape[axis], 1), 0, cells), axis=axis)
    return w + at.zeros_like(losses)


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
