"""Rewrite a Theano-era script to plain Aesara and deconv_legacy, and print the change as a diff.

Notes on what could not be decided go to stderr, as FILE:LINE: text. Names that Aesara has not, or has otherwise, are
taken from deconv_legacy.theano.old, which needs no facade. Python 2 is converted first.

Exit status 1 if there are notes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deconv_legacy.caffe._files import replacing

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", metavar="SCRIPT.py", type=Path, help="the file to read; it is not changed")
    parser.add_argument(
        "-o", "--out", "--output", dest="out", metavar="FILE", type=Path, help="write the new script there"
    )


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.theano._python2 import decode, encode
    from deconv_legacy.theano.port import port_source

    ported = port_source(decode(args.script.read_bytes()), str(args.script))
    sys.stdout.write(ported.diff(str(args.script)))
    for note in ported.notes:
        print(f"{args.script}:{note.line}: {note.text}", file=sys.stderr)
    if args.out is not None:
        with replacing(args.out) as beside:
            beside.write_bytes(encode(ported.new))
    return int(bool(ported.notes))
