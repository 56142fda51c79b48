"""What the tests of deconv_legacy.tf share."""

from functools import cache
from pathlib import Path

import numpy as np

from deconv_legacy import engine

GOLDENS = Path(__file__).parents[1] / "data" / "tf" / "tf115.npz"


@cache
def _file():
    return dict(np.load(GOLDENS))


def golden(name):
    """What TensorFlow 1.15 was given and computed under this name; see tests/data/tf/make_goldens.py."""
    return {key.split("/")[1]: value for key, value in _file().items() if key.split("/")[0] == name}


def numbers(outputs, backend="numpy"):
    """The values of variables without inputs; "numpy" needs no C compilation."""
    return engine.compile([], outputs, backend=backend)()


def draw(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
