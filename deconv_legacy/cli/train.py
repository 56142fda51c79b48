"""Train as `caffe train` does, with its flags: -solver FILE, and -weights or -snapshot.

The log has Caffe's lines (tools/extra/parse_log.py reads them); a progress line shows loss, learning rate, speed and
the time that is left. Layers in Python are imported from the working directory, PYTHONPATH and the solver's folder,
Python 2 included; `import caffe` in them is ours.

A snapshot has everything that a run needs to go on: one that was killed and restored ends with the same weights, bit
for bit, as one that was not, where the solver has a random_seed. Ctrl-C takes a last snapshot and stops.
"""

from __future__ import annotations

import argparse
import glob
import re
import signal
import time
from pathlib import Path
from typing import Any

from deconv_legacy.cli._common import add_json, at_least_one, print_json
from deconv_legacy.cli._progress import Meter
from deconv_legacy.cli._solving import add_flags, both, python_layers, set_backend, stages
from deconv_legacy.errors import MismatchError

__all__ = ["add_arguments", "run"]

EFFECTS = ("stop", "snapshot", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(*both("solver"), metavar="FILE", required=True, help="the solver's prototxt")
    parser.add_argument(*both("weights"), metavar="FILES", default="", help="caffemodels to begin with, with commas")
    parser.add_argument(
        *both("snapshot"), metavar="FILE", default="", help="a .solverstate to go on from; `auto`: the newest, if any"
    )
    parser.add_argument(
        *both("iterations"),
        metavar="N",
        type=at_least_one,
        help="stop after that many, in place of the solver's max_iter",
    )
    parser.add_argument(*both("sigint_effect"), choices=EFFECTS, default="stop", help="of Ctrl-C (default stop)")
    parser.add_argument(*both("sighup_effect"), choices=EFFECTS, default="snapshot", help="default snapshot")
    add_flags(parser, ("model", "phase"))
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.caffe import read_solver

    if args.weights and args.snapshot and args.snapshot != "auto":
        raise MismatchError("give a snapshot to go on from or weights to begin with, not both")
    set_backend(args)
    param = read_solver(args.solver, allow_unknown=args.forks)
    if args.level:
        param.train_state.level = args.level
    param.train_state.stage.extend(stages(args.stage))
    snapshot = newest_snapshot(param.snapshot_prefix) if args.snapshot == "auto" else args.snapshot
    with python_layers(Path(args.solver).parent):
        return _train(args, param, snapshot)


def _train(args: argparse.Namespace, param: Any, snapshot: str | None) -> int:
    from deconv_legacy.caffe import get_solver
    from deconv_legacy.caffe._state import log_line

    start = time.monotonic()
    solver = get_solver(param, forks=args.forks, caffe_cpu_sum=args.caffe_cpu_sum or None)
    if snapshot:
        solver.restore(snapshot)
    elif args.weights:
        for part in args.weights.split(","):
            solver.net.copy_from(part.strip())
            for net in solver.test_nets:
                net.copy_from(part.strip())
    if args.iterations is not None:
        solver.param.max_iter = solver.iter + args.iterations
    signals = _Signals({signal.SIGINT: args.sigint_effect, signal.SIGHUP: args.sighup_effect})
    solver.action = signals.take
    meter = Meter("it", max(solver.param.max_iter, solver.iter), first=solver.iter)
    solver.log = lambda text: meter.write(log_line(text))
    first, losses = solver.iter, list[float]()

    def show(loss: float) -> None:
        meter.at(solver.iter, f"loss {loss:.4g}, lr {solver.lr:.3g}")

    solver.after_step += [losses.append, show]
    if snapshot:
        solver.log(f"Resuming from {snapshot}")
    solver.log("Starting Optimization")
    with signals, meter:
        solver.solve()
    if args.json:
        done = solver.iter - first
        print_json(
            {
                "iter": solver.iter,
                "iterations": done,
                "loss": losses[-1] if losses else None,
                "losses": losses,
                "seconds": time.monotonic() - start,
                "stopped": solver.iter < solver.param.max_iter,
                "parameters": {name: [blob.shape for blob in blobs] for name, blobs in solver.net.params.items()},
            }
        )
    return 0


def newest_snapshot(prefix: str) -> str | None:
    """The state of most iterations that was written under a prefix."""
    folder, stem = Path(prefix).parent, Path(prefix).name
    found = {}
    for path in folder.glob(f"{glob.escape(stem)}_iter_*.solverstate*"):
        match = re.fullmatch(re.escape(stem) + r"_iter_(\d+)\.solverstate(\.h5)?", path.name)
        if match:
            found[int(match[1])] = str(path)
    return found[max(found)] if found else None


class _Signals:
    """Signals become what the solver is asked to do, at its next iteration; a second Ctrl-C before it ends at once."""

    def __init__(self, effects: dict[int, str]):
        self.effects = effects
        self.asked: str | None = None
        self._before: dict[int, Any] = {}

    def take(self) -> str | None:
        asked, self.asked = self.asked, None
        return asked

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.asked == "stop":
            raise KeyboardInterrupt
        self.asked = self.effects[number]

    def __enter__(self) -> _Signals:
        for number, effect in self.effects.items():
            if effect != "none":
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *details: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
