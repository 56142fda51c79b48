"""The Caffe front end: prototxt and caffemodel files, and the nets that they describe.

>>> from deconv_legacy.caffe import parse_net, build_net
>>> net = build_net(parse_net('''
...     input: "data" input_dim: [1, 3, 20, 30]
...     layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
...             convolution_param { num_output: 2 kernel_size: 3 pad: 100 } }'''), free=False)
>>> net.blobs["conv"].output_shape
(1, 2, 218, 228)

Beside these it is pycaffe: ``from deconv_legacy import caffe``, then ``caffe.Net``, ``caffe.Layer``, ``caffe.NetSpec``
and so on as ever; `install` makes ``import caffe`` mean it.
"""

import time

from deconv_legacy._version import __version__
from deconv_legacy.caffe import coord_map, draw, io, net_spec, proto
from deconv_legacy.caffe._install import install, uninstall
from deconv_legacy.caffe._state import (
    log_info,
    set_backend,
    set_caffe_cpu_sum,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_random_seed,
)
from deconv_legacy.caffe.build import BuiltNet, build_net
from deconv_legacy.caffe.caffemodel import read_layers, read_mean, read_weights, write_mean, write_weights
from deconv_legacy.caffe.classifier import Classifier
from deconv_legacy.caffe.detector import Detector
from deconv_legacy.caffe.layer import Layer
from deconv_legacy.caffe.net import Net
from deconv_legacy.caffe.net_spec import NetSpec, assign_proto, layers, params, to_proto
from deconv_legacy.caffe.prototxt import parse_net, parse_solver, read_net, read_solver, write_net
from deconv_legacy.caffe.registry import LAYERS, layer_type
from deconv_legacy.caffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "LAYERS",
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "BuiltNet",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "__version__",
    "assign_proto",
    "build_net",
    "coord_map",
    "draw",
    "get_solver",
    "has_nccl",
    "init_log",
    "install",
    "io",
    "layer_type",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "parse_net",
    "parse_solver",
    "proto",
    "read_layers",
    "read_mean",
    "read_net",
    "read_solver",
    "read_weights",
    "set_backend",
    "set_caffe_cpu_sum",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
    "uninstall",
    "write_mean",
    "write_net",
    "write_weights",
]

TRAIN, TEST = 0, 1


def layer_type_list() -> list[str]:
    """The layer types that there are."""
    return sorted(LAYERS)


def init_log(level: int = 0, stderr: bool = False) -> None:
    """Nothing: there is no glog to set up."""


def log(text: str) -> None:
    """Print a line to stderr, as Caffe's log does."""
    log_info(text)


def has_nccl() -> bool:
    """False: one process trains."""
    return False


def solver_count() -> int:
    """1: one process trains."""
    return 1


def solver_rank() -> int:
    """0: one process trains."""
    return 0


def set_solver_count(count: int) -> None:
    """Refuses more than one solver."""
    _need_one("solver count", count, 1)


def set_solver_rank(rank: int) -> None:
    """Refuses any rank but 0."""
    _need_one("solver rank", rank, 0)


def set_multiprocess(multiprocess: bool) -> None:
    """Refuses several processes."""
    _need_one("multiprocess", multiprocess, False)


def _need_one(what: str, value: object, legal: object) -> None:
    if value != legal:
        raise NotImplementedError(f"{what} {value}: one process trains, so {legal} is legal")


class NCCL:
    """Refuses: one process trains."""

    def __init__(self, solver: object = None, uid: object = None):
        raise NotImplementedError("NCCL: one process trains; there are no others to talk to")

    @staticmethod
    def new_uid() -> bytes:
        """Refuses, as making one."""
        raise NotImplementedError("NCCL: one process trains; there are no others to talk to")


class Timer:
    """A stopwatch: ``start()``, ``stop()``, and ``ms``, the milliseconds between."""

    def __init__(self) -> None:
        self._start = self._end = time.perf_counter()

    def start(self) -> None:
        self._start = time.perf_counter()

    def stop(self) -> None:
        self._end = time.perf_counter()

    @property
    def ms(self) -> float:
        return 1000 * (self._end - self._start)
