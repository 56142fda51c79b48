"""Bring an old net, caffemodel or solver to Caffe's last form (V2).

V0 (`layers { layer { type: "conv" } }`) and V1 (`layers { type: CONVOLUTION }`) become V2 (`layer { type:
"Convolution" }`), `input` fields an Input layer, an enum solver_type a type. What IN is is told by its content; text
stays text, a caffemodel one. OUT may be IN; `-` prints text. Fields that the form of today does not have are listed.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from deconv_legacy.caffe import upgrade
from deconv_legacy.caffe._files import is_hdf5, read_text
from deconv_legacy.caffe.caffemodel import read_layers, read_model_net, write_weights
from deconv_legacy.caffe.prototxt import format_message, parse_net, parse_solver, write_net
from deconv_legacy.cli._common import add_forks
from deconv_legacy.errors import FileFormatError

__all__ = ["add_arguments", "run"]

# Fields at the margin that a solver has, and a net has not
_OF_SOLVER = re.compile(
    r"^(?:base_lr|lr_policy|max_iter|momentum|net|train_net|solver_type|snapshot|display)\s*:", re.M
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="a net or solver prototxt, or a caffemodel, of any age")
    parser.add_argument("target", metavar="OUT", help="the file to write, or - to print text")
    add_forks(parser)


def run(args: argparse.Namespace) -> None:
    with open(args.source, "rb") as file:
        binary = b"\0" in file.read(1 << 16)
    if binary:
        _upgrade_weights(args)
    else:
        _upgrade_text(args)


def _upgrade_text(args: argparse.Namespace) -> None:
    text = read_text(args.source)
    if _OF_SOLVER.search(text):
        message = parse_solver(text, path=args.source, allow_unknown=args.forks)
        done = ["solver_type"] if re.search(r"^solver_type\s*:", text, re.M) else []
    else:
        old = parse_net(text, path=args.source, allow_unknown=args.forks, upgraded=False)
        message, done = upgrade.upgrade_net(old, path=args.source), upgrade.upgrades_needed(old)
    if args.target == "-":
        sys.stdout.write(format_message(message))
    else:
        write_net(args.target, message)
    _tell(args, done)


def _upgrade_weights(args: argparse.Namespace) -> None:
    if is_hdf5(args.source):
        raise FileFormatError("HDF5 weights have one form only: there is nothing to upgrade", path=args.source)
    if args.target == "-":
        raise FileFormatError("a caffemodel is not printed: name a file to write", path=args.source)
    old: Any = read_model_net(args.source, allow_unknown=args.forks, upgraded=False)
    net = upgrade.upgrade_net(old, path=args.source)
    layers: dict[str, Any] = {layer.name: layer.blobs for layer in read_layers(args.source) if layer.blobs}
    write_weights(args.target, layers, net)
    _tell(args, upgrade.upgrades_needed(old))


def _tell(args: argparse.Namespace, done: list[str]) -> None:
    what = f"upgraded its {', '.join(done)}" if done else "it is of today already"
    print(f"{args.source}: {what}", file=sys.stderr)
