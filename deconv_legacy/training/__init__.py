"""Training: a compiled step, update rules, segmentation scores. Losses are layers."""

from deconv_legacy.training.function import training_function
from deconv_legacy.training.metrics import Scores, confusion, scores
from deconv_legacy.training.updates import adadelta, adagrad, adam, momentum, nesterov_momentum, rmsprop, sgd

__all__ = [
    "Scores",
    "adadelta",
    "adagrad",
    "adam",
    "confusion",
    "momentum",
    "nesterov_momentum",
    "rmsprop",
    "scores",
    "sgd",
    "training_function",
]
