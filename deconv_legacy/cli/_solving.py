"""What `train` and `time` share: caffe's own flags, and where modules of layers in Python are found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deconv_legacy.cli._common import add_backend, add_forks
from deconv_legacy.cli._imports import serve_caffe
from deconv_legacy.errors import DeconvLegacyError

__all__ = ["add_flags", "both", "python_layers", "set_backend", "stages", "warn"]


def both(*names: str) -> list[str]:
    """A flag as Caffe's gflags take it: with one dash or two."""
    return [dashes + name for name in names for dashes in ("-", "--")]


def add_flags(parser: argparse.ArgumentParser, ignored: tuple[str, ...]) -> None:
    """Flags of both commands, and those of `caffe` that mean nothing here."""
    parser.add_argument(
        *both("gpu"), metavar="ID", help="a GPU for JAX, or `all`: the first; without one a warning, and the CPU"
    )
    add_backend(parser)
    add_forks(parser)
    parser.add_argument(*both("level"), type=int, default=0, help="the net's level, for include and exclude rules")
    parser.add_argument(
        *both("stage"), default="", metavar="A,B", help="the net's stages, for include and exclude rules"
    )
    parser.add_argument(
        *both("caffe_cpu_sum"),
        action="store_true",
        help="add losses in float32, one pixel after the other, as Caffe on a CPU does, for logs that equal its",
    )
    for name in (*ignored, "log_dir", "logtostderr", "alsologtostderr", "minloglevel", "v"):
        parser.add_argument(*both(name), nargs="?", dest="ignored", action="append", help=argparse.SUPPRESS)


def set_backend(args: argparse.Namespace) -> None:
    """What --backend says, else what -gpu does, for the nets that follow."""
    from deconv_legacy import caffe, engine

    if args.backend is not None:
        caffe.set_backend(args.backend)
    elif args.gpu is not None:
        first = args.gpu.split(",")[0]
        if not (first.isdigit() or first == "all"):
            raise DeconvLegacyError(f"-gpu {args.gpu}: give the number of a GPU, several with commas, or all")
        backend = engine.gpu_backend(int(first) if first.isdigit() else 0)
        if backend is None:
            warn(f"-gpu {args.gpu}: everything runs on the CPU, for JAX has no such GPU here (see `doctor`)")
        caffe.set_backend(backend)


def stages(text: str) -> list[str]:
    return [stage for stage in text.split(",") if stage]


def warn(text: str) -> None:
    print(f"deconv-legacy: warning: {text}", file=sys.stderr)


@contextmanager
def python_layers(folder: Path) -> Iterator[None]:
    """While it lasts, layers in Python are imported from the working directory, then from `folder`, Python 2
    included, and ``import caffe`` is ours."""
    from deconv_legacy.theano.drift import Bridges

    def report(text: str) -> None:
        print(f"deconv-legacy: {text}", file=sys.stderr)

    paths, bridges = sys.path[:], Bridges(report=report)
    undo = serve_caffe(report)
    sys.path[:0] = [os.getcwd(), str(folder.resolve())]
    bridges.build(Path.cwd())
    try:
        yield
    finally:
        bridges.remove()
        undo()
        sys.path[:] = paths
