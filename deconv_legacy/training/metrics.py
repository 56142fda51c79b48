"""Segmentation scores from a confusion matrix: those of the FCN papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy.errors import MismatchError, SizeError

__all__ = ["Scores", "confusion", "scores"]


def confusion(labels: Any, predictions: Any, n_classes: int) -> np.ndarray:
    """Count pixels by true class (rows) and predicted class (columns): ``(n_classes, n_classes)`` of int64.

    Labels outside ``0 .. n_classes - 1`` (255: ignore) are left out, as ``score.py`` of the FCN repository does.

    >>> confusion([[0, 1], [1, 255]], [[0, 1], [0, 0]], 2)
    array([[1, 0],
           [1, 1]])
    """
    labels, predictions = np.asarray(labels).ravel(), np.asarray(predictions).ravel()
    if labels.shape != predictions.shape:
        raise SizeError(f"{labels.size} labels for {predictions.size} predictions")
    known = (labels >= 0) & (labels < n_classes)
    labels, predictions = labels[known].astype(np.int64), predictions[known].astype(np.int64)
    if predictions.size and (predictions.min() < 0 or predictions.max() >= n_classes):
        raise MismatchError(
            f"predictions lie in {predictions.min()} .. {predictions.max()}, legal are 0 .. {n_classes - 1}"
        )
    return np.bincount(n_classes * labels + predictions, minlength=n_classes**2).reshape(n_classes, n_classes)


@dataclass(frozen=True)
class Scores:
    """``pixel_accuracy``, ``mean_accuracy``, ``mean_iu`` and ``frequency_weighted_iu``, each 0 .. 1; ``accuracy`` and
    ``iu`` by class.

    Classes that do not occur in the labels are NaN in ``accuracy``, those that do not occur in the predictions either
    are NaN in ``iu``; means leave them out.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iu: float
    frequency_weighted_iu: float
    accuracy: tuple[float, ...]
    iu: tuple[float, ...]


def scores(histogram: np.ndarray) -> Scores:
    """The scores of a confusion matrix.

    >>> scores(np.array([[1, 0], [1, 1]])).mean_iu
    0.5
    """
    histogram = np.asarray(histogram, np.float64)
    hits, true, predicted = np.diag(histogram), histogram.sum(1), histogram.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy, iu = hits / true, hits / (true + predicted - hits)
    total = histogram.sum()
    frequent = true > 0
    return Scores(
        pixel_accuracy=float(hits.sum() / total) if total else float("nan"),
        mean_accuracy=_mean(accuracy),
        mean_iu=_mean(iu),
        frequency_weighted_iu=float((true[frequent] * iu[frequent]).sum() / total) if total else float("nan"),
        accuracy=tuple(float(v) for v in accuracy),
        iu=tuple(float(v) for v in iu),
    )


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
