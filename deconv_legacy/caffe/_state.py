"""What pycaffe keeps for the process: random seed, sum of losses, backend, log, and the warnings that were given."""

from __future__ import annotations

import os
import sys
import warnings
from datetime import datetime

import numpy as np

from deconv_legacy import engine

_rng = np.random.default_rng()
_warned: set[str] = set()
caffe_cpu_sum = False
backend: str | None = None
_device = 0


def set_caffe_cpu_sum(on: bool = True) -> None:
    """Whether the nets made from now on add losses as Caffe does on a CPU: in float32, one pixel after the other, for
    logs that equal Caffe's. By default sums are exact."""
    global caffe_cpu_sum
    caffe_cpu_sum = bool(on)


def set_backend(name: str | None) -> None:
    """What nets compute with from now on: a backend of `engine.compile`, such as ``"numpy"`` or ``"jax"``; None is
    compiled code."""
    global backend
    backend = engine.check_backend(name)


def set_mode_cpu() -> None:
    """Nets run in compiled code on the CPU."""
    set_backend(None)


def set_mode_gpu() -> None:
    """Nets run on a GPU by JAX, that of `set_device`; where JAX has none, a warning, once, and nothing changes."""
    found = engine.gpu_backend(_device)
    if found is None:
        warn_once(
            f"caffe.set_mode_gpu: no GPU {_device} for JAX here (deconv-legacy doctor says why); nets run on the CPU"
        )
    else:
        set_backend(found)


def set_device(device: int) -> None:
    """Which GPU `set_mode_gpu` takes, and takes now if nets run on one."""
    global _device
    _device = int(device)
    if backend is not None and backend.startswith("jax:gpu"):
        set_mode_gpu()


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


def log_line(text: str) -> str:
    """A line as Caffe's glog writes it: ``I0131 23:59:59.123456  1234 solver.cpp:1] text``."""
    return f"I{datetime.now():%m%d %H:%M:%S.%f} {os.getpid():5d} solver.cpp:1] {text}"


def log_info(text: str) -> None:
    """A line of the log, to stderr; ``GLOG_minloglevel=1`` and above silence it, as they did."""
    if os.environ.get("GLOG_minloglevel", "0") == "0":  # noqa: SIM112  (glog's own spelling)
        print(log_line(text), file=sys.stderr, flush=True)
