"""The command line: ``deconv-legacy COMMAND ...``, the same as ``python -m deconv_legacy``.

Each command is a module of this package, listed in `COMMANDS`, with two functions:

``add_arguments(parser)``
    declares its arguments;
``run(args)``
    does the work, and returns the exit status or None for 0.

Exit status: 0; 1 where a check found a difference; 2 after an error, which is one line on stderr
(``--debug`` shows the traceback); 130 after Ctrl-C. Nothing is left half-written.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from deconv_legacy._version import __version__
from deconv_legacy.errors import DeconvLegacyError, FileFormatError, MismatchError

__all__ = ["COMMANDS", "main", "one_line"]

PROGRAM = "deconv-legacy"

COMMANDS = {
    "segment": "label every pixel of photos with a Caffe segmentation net",
    "score": "score such a net, or label images, on photos whose labels are known",
    "shapes": "list a net's layers: size, receptive field, stride, parameters, multiply-adds",
    "offsets": "derive every crop offset of a net and compare it with the one written",
    "explain": "explain a deconvolution, a net, or a layer in another framework's words",
    "check": "try every layer of a net against the reference, and look for common mistakes",
    "record": "keep the numbers of a net: every blob, parameter digests, gradients",
    "compare": "compare two recordings, or a recording with a net as it is now",
    "bisect": "find the first layer that differs from a recording, and why",
    "upgrade": "bring an old net, caffemodel or solver to Caffe's last form",
    "convert": "convert weights between caffemodel, HDF5, npz and safetensors",
    "draw": "draw a net, as DOT text or as an image",
    "train": "train a Caffe net from a solver, with caffe's own flags",
    "time": "time a Caffe net's layers, forward and backward",
    "run": "run an old Theano or Caffe script unchanged, Python 2 included",
    "port": "rewrite a Theano-era script to plain Aesara, as a diff",
    "doctor": "show versions, compiler, BLAS and cache, and what is missing",
}
"""Command -> what it does; its code is the module of the same name."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{PROGRAM}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in words
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status = _run(words)
            sys.stdout.flush()
            return status
        except SystemExit as end:  # argparse's, after --help and wrong arguments
            return end.code if isinstance(end.code, int) else 0
        except KeyboardInterrupt:
            print(f"{PROGRAM}: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # as in `deconv-legacy shapes net.prototxt | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except Exception as error:
            if debug:
                traceback.print_exc()
            print(f"{PROGRAM}: error: {one_line(error)}", file=sys.stderr)
            return 2


def _run(words: Sequence[str]) -> int:
    if words and not words[0].startswith("-"):
        name = words[0]
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            _parser().error(f"no command is called {name!r}; {hint}")
        module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
        parser = _Parser(
            prog=f"{PROGRAM} {name}",
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(parser)
        parser.add_argument("--debug", action="store_true", help="after an error, show the traceback")
        return module.run(parser.parse_args(words[1:])) or 0
    parser = _parser()
    parser.parse_args(words)
    parser.print_help()
    return 2


def _parser() -> _Parser:
    commands = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND ...",
        description="Run the deconvolution nets of 2014-2017 today, with the same numbers.",
        epilog=f"commands:\n{commands}\n\n`{PROGRAM} COMMAND --help` tells the arguments of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def one_line(error: Exception) -> str:
    """An error in one line: what and where, without Python's own wrapping."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    first, *more = str(error).splitlines() or [""]
    # the number of problems follows the first one, then all of them: see `errors.listed`
    if isinstance(error, FileFormatError | MismatchError) and more:
        return f"{first} ({more[0].rstrip(':')}; --debug lists them)"
    if isinstance(error, DeconvLegacyError | OSError):
        return first
    return f"{type(error).__name__}: {first} (unexpected; --debug shows where)"


def _show_warning(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    print(f"{PROGRAM}: warning: {message}", file=sys.stderr)
