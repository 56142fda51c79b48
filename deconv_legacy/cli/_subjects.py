"""Nets, recordings and inputs as words of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.cli._common import add_forks, input_shape
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError

__all__ = ["add_net_files", "input_arrays", "is_recording", "load_net", "need_net"]


class _Once(argparse.Action):
    """Keeps a value that may come by position or by flag, from one of them."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        earlier = getattr(namespace, self.dest)
        if earlier is not None:
            what, flag = {"net": ("net is", "--model"), "weights": ("weights are", "--weights")}[self.dest]
            parser.error(f"the {what} given twice, as {earlier} and {values}: by position, or with {flag}")
        setattr(namespace, self.dest, values)


def add_net_files(
    parser: argparse.ArgumentParser,
    name: str = "NET",
    what: str = "NET.prototxt, or FILE.py:NAME, a net or a function that makes one",
) -> None:
    """``args.net`` and ``args.weights``, by position, or as `segment` takes them, with --model and --weights; and
    ``args.forks``."""
    net = parser.add_argument("net", metavar=name, action=_Once, help=what)
    net.required = False  # and not nargs="?", which would be done with once RECORDED.npz has been read
    files = "caffemodel or HDF5 file of a prototxt"
    parser.add_argument("weights", metavar="WEIGHTS", action=_Once, nargs="?", default=argparse.SUPPRESS, help=files)
    parser.add_argument("--model", dest="net", metavar=name, action=_Once, help=f"{name}, if not by position")
    parser.add_argument("--weights", metavar="WEIGHTS", action=_Once, help="WEIGHTS, if not by position")
    add_forks(parser)


def need_net(net: str | None) -> str:
    """The net's file, which argparse lets be absent."""
    if net is None:
        raise MismatchError("no net is given: by position, or with --model")
    return net


def load_net(args: argparse.Namespace, *, weights: bool = True, backend: str | None = None) -> Any:
    """The net of `add_net_files`, with the weights named or with its fillers'."""
    from deconv_legacy.testing import subject_from_file

    stored = args.weights if weights else None
    return subject_from_file(need_net(args.net), stored, backend=backend, allow_unknown=args.forks)


def is_recording(path: str) -> bool:
    return Path(path).suffix == ".npz"


def _array(path: str) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FileFormatError(f"this is no array: {error}", path=path) from None


def input_arrays(words: list[str], subject: Any, seed: int, scale: float) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays of ``BLOB=WHAT`` words: an ``.npy`` file, a picture (BGR, less Caffe's mean), or a shape, which like
    every input not named is filled with normal numbers; and whether any was."""
    from deconv_legacy.cli._segmenter import CAFFE_MEAN
    from deconv_legacy.testing import seeded_inputs

    given: dict[str, np.ndarray] = {}
    shapes = {}
    for word in words:
        name, equals, what = word.partition("=")
        if name not in subject.inputs or not equals:
            raise MismatchError(
                f"{word!r} is no BLOB=WHAT, such as {subject.inputs[0]}=photo.jpg: the net reads "
                f"{', '.join(subject.inputs)}"
            )
        if what.endswith(".npy"):
            given[name] = _array(what)
        elif what[:1].isdigit():
            try:
                shapes[name] = input_shape(word)[1]
            except argparse.ArgumentTypeError as error:
                raise MismatchError(f"--input {error}") from None
        else:
            from deconv_legacy.cli._images import blob_of, read_photo

            given[name] = blob_of(read_photo(what), np.array(CAFFE_MEAN))
    shapes.update((name, array.shape) for name, array in given.items())
    for name, shape in shapes.items():
        known = subject.variables[name].type.shape
        if len(shape) != len(known) or any(n not in (None, m) for n, m in zip(known, shape, strict=True)):
            raise SizeError(f"input {name!r} of shape {shape}: the net reads {known}, where None is free")
    made = seeded_inputs(subject, shapes, seed, scale)
    return {**made, **given}, len(given) < len(made)
