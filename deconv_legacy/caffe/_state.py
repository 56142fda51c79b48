"""What pycaffe keeps for the process: the random seed, how losses are added, and the warnings that were given."""

from __future__ import annotations

import warnings

import numpy as np

_rng = np.random.default_rng()
_warned: set[str] = set()
caffe_cpu_sum = False


def set_caffe_cpu_sum(on: bool = True) -> None:
    """Whether the nets made from now on add losses as Caffe does on a CPU: in float32, one pixel after the other, for
    logs that equal Caffe's. By default sums are exact."""
    global caffe_cpu_sum
    caffe_cpu_sum = bool(on)


def set_random_seed(seed: int) -> None:
    """Make fillers, dropout and random data of the nets made from now on the same in every run."""
    global _rng
    _rng = np.random.default_rng(seed)


def seed() -> int:
    """A seed for something new."""
    return int(_rng.integers(2**63))


def warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        warnings.warn(text, UserWarning, stacklevel=3)
