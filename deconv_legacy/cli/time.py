"""Time a net as `caffe time` does, with its flags: -model FILE, -iterations N, -phase TRAIN or TEST.

Each layer is timed by itself, forward and backward, over N iterations after a first one that does not count; the
backward of a layer by itself includes what it computes again of its forward. The last rows are the net as it is run:
joined layers, one compiled function, activations kept only where they are needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deconv_legacy.cli._common import add_json, at_least_one, phase_number, print_json, print_table
from deconv_legacy.cli._progress import progress
from deconv_legacy.cli._solving import add_flags, both, python_layers, set_backend, stages

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(*both("model"), metavar="FILE", required=True, help="the net's prototxt")
    parser.add_argument(*both("weights"), metavar="FILE", default="", help="a caffemodel; by default the fillers")
    parser.add_argument(*both("iterations"), metavar="N", type=at_least_one, default=50, help="default 50")
    parser.add_argument(*both("phase"), choices=("TRAIN", "TEST"), default="TRAIN", help="default TRAIN")
    add_flags(parser, ("solver", "snapshot", "sigint_effect", "sighup_effect"))
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    from deconv_legacy.caffe import Net
    from deconv_legacy.caffe.timing import time_layers

    set_backend(args)
    with python_layers(Path(args.model).parent):
        net = Net(
            args.model,
            phase_number(args.phase),
            args.level,
            stages(args.stage),
            args.weights or None,
            forks=args.forks,
            caffe_cpu_sum=args.caffe_cpu_sum or None,
        )
        found = time_layers(net, progress(range(args.iterations), "it"))
    layers = [
        {"name": t.name, "type": t.type, "forward_ms": t.forward, "backward_ms": t.backward} for t in found.layers
    ]
    sums = sum(t.forward for t in found.layers), sum(t.backward or 0 for t in found.layers)
    if args.json:
        print_json(
            {
                "layers": layers,
                "iterations": args.iterations,
                "forward_ms": found.forward,
                "forward_backward_ms": found.forward_backward,
            }
        )
        return
    rows = [
        (t.name, t.type, f"{t.forward:.3f}", "" if t.backward is None else f"{t.backward:.3f}") for t in found.layers
    ]
    rows += [
        ("sum of the layers", "", f"{sums[0]:.3f}", f"{sums[1]:.3f}"),
        ("the net, forward", "", f"{found.forward:.3f}", ""),
        ("the net, forward and backward", "", f"{found.forward_backward:.3f}", ""),
    ]
    print_table(("layer", "type", "forward ms", "backward ms"), rows, "<<>>")
