"""Run a script of 2014-2017 unchanged: `import theano` gives Theano's names over Aesara, `import caffe` pycaffe's.

Python and NumPy have changed since, too; each change that old code meets has a bridge, which says on stderr once what
it bridged and where:

{bridges}

Source code is bridged in the script, in modules beside it or on PYTHONPATH, and in the packages named by --package; no
file is changed. The working directory stays as it is, as with python. Where the FCN repository's surgery.py and
score.py are imported and not found, ours stand in. THEANO_FLAGS and .theanorc count. Everything after the script's
name is the script's own. Exit status: the script's, 1 after an exception of it.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback

from deconv_legacy.errors import MismatchError
from deconv_legacy.theano.drift import BRIDGES

__all__ = ["add_arguments", "run"]

__doc__ = __doc__.format(bridges="\n".join(f"  {name:12} {text}" for name, text in BRIDGES.items()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module, as in python -m"
    )
    parser.add_argument(
        "--without", metavar="BRIDGE", action="append", default=[], choices=list(BRIDGES), help="leave a bridge out"
    )
    parser.add_argument("--no-bridges", action="store_true", help="leave all bridges out")
    parser.add_argument(
        "--package", metavar="NAME", action="append", default=[], help="bridge the source of an installed package, too"
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="tell scripts that ask that there is a GPU with cuDNN; what computes follows THEANO_FLAGS=device=cuda",
    )
    parser.add_argument(
        "--caffe-cpu-sum",
        action="store_true",
        help="Caffe nets add losses in float32, one by one, as Caffe on a CPU did",
    )
    parser.add_argument("script", metavar="SCRIPT", help="a Python file")
    parser.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="the script's own arguments")


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.cli._imports import serve_caffe
    from deconv_legacy.theano.run import aesara_flags_for_start, run_module, run_script, to_stderr

    flags = aesara_flags_for_start()
    if flags is not None:  # Aesara is imported by now: start again with them
        os.environ["AESARA_FLAGS"] = flags
        os.execv(sys.executable, [sys.executable, "-m", "deconv_legacy", *sys.argv[1:]])
    bridges = [] if args.no_bridges else [name for name in BRIDGES if name not in args.without]
    start = run_module if args.module else run_script
    if args.caffe_cpu_sum:
        from deconv_legacy.caffe import set_caffe_cpu_sum

        set_caffe_cpu_sum()
    undo = serve_caffe(to_stderr)
    try:
        start(args.script, args.arguments, bridges=bridges, packages=args.package, gpu=args.gpu)
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception as error:
        if args.module and isinstance(error, ImportError) and _last_file(error) in ("<frozen runpy>", runpy.__file__):
            raise MismatchError(f"run -m {args.script}: {error}") from None
        trace = error.__traceback__
        while trace is not None and not args.module and trace.tb_frame.f_code.co_filename != args.script:
            trace = trace.tb_next
        if trace is None:  # ours: the file cannot be read, there is a real Theano, ...
            raise
        traceback.print_exception(type(error), error, trace)
        return 1
    finally:
        undo()
    return 0


def _last_file(error: Exception) -> str:
    """Where an exception was raised."""
    return traceback.extract_tb(error.__traceback__)[-1].filename
