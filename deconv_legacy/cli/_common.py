"""What several commands share: arguments and tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "add_backend",
    "add_forks",
    "add_json",
    "add_net",
    "at_least_one",
    "input_shape",
    "phase_number",
    "print_json",
    "print_table",
]


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        type=_backend,
        help="c: compiled code (default); numpy: NumPy alone; jax: JAX, on a GPU where there is one; more exactly "
        "jax:cpu, jax:gpu:1, jax:tf32, jax:bfloat16, jax:deterministic, also together",
    )


def _backend(text: str) -> str:
    from deconv_legacy import engine

    try:
        engine.check_backend(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_forks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--forks",
        action="store_true",
        help="read what forks of Caffe added (HED, SegNet, DeepLab, ...); unknown fields are listed and skipped",
    )


def add_net(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command that reads a net: the file, shapes of its inputs, the phase."""
    parser.add_argument("net", metavar="NET.prototxt", help="a net of any age (V0, V1, V2), train or deploy")
    parser.add_argument(
        "--input",
        metavar="BLOB=N,C,H,W",
        type=input_shape,
        action="append",
        default=[],
        help="shape of an input blob, in place of the file's; may be repeated",
    )
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TEST", help="whose layers (default TEST)")
    add_forks(parser)


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``data=1,3,500,500`` -> ``("data", (1, 3, 500, 500))``."""
    name, _, numbers = text.partition("=")
    try:
        shape = tuple(int(number) for number in numbers.split(","))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form data=1,3,500,500")
    return name, shape


def at_least_one(text: str) -> int:
    """A number of things of which there must be some."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return number


def phase_number(name: str) -> int:
    """TRAIN and TEST as caffe.proto numbers them."""
    return {"TRAIN": 0, "TEST": 1}[name]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]], align: str) -> None:
    """Columns under their names, if they have any; `align` has ``<`` (left) or ``>`` (right) for each."""
    lines = [*([list(header)] if any(header) else []), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(line, align, widths, strict=True))
        print("  ".join(cells).rstrip())
