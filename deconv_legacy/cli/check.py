"""Try every layer of a net against the NumPy and SciPy specification: values in float32 and float64, compiled and on
NumPy, gradients against finite differences; each layer alone, on a small input. And look for what is commonly wrong:
weights that are unset, all zero or NaN, upscoring that does not interpolate, crop offsets that do not follow from the
layers, names that only one of the two files has. Filters of nets made in Python are tried both ways, as a convolution
and as a correlation.

    deconv-legacy check deploy.prototxt net.caffemodel

Exit status 1 if a layer is wrong or something serious was found.
"""

from __future__ import annotations

import argparse

from deconv_legacy.cli._common import add_json, print_json, print_table
from deconv_legacy.cli._subjects import add_net_files, input_arrays, load_net, need_net

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_net_files(parser)
    parser.add_argument("--no-gradients", action="store_true", help="values only")
    parser.add_argument(
        "--run", metavar="BLOB=WHAT", action="append", help="also run the net on this input, as for `record`"
    )
    parser.add_argument("--backend", choices=("c", "numpy"), action="append", help="only this one (default both)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.testing import check, check_files

    options = {"gradients": not args.no_gradients, "backends": args.backend}
    if args.run:
        options["inputs"] = input_arrays(args.run, load_net(args, weights=False), 0, 1.0)[0]
    if args.weights is not None:
        found = check_files(need_net(args.net), args.weights, allow_unknown=args.forks, **options)
    else:
        # a prototxt says how its filters are turned, Python does not
        found = check(load_net(args, weights=False), **options, both_flips=".py:" in args.net)
    if args.json:
        print_json(found.as_dict())
        return int(not found.ok)
    rows = [
        (layer.name, layer.type, _worst(layer.values), _worst(layer.gradients), layer.flip, layer.note)
        for layer in found.layers
    ]
    print_table(("layer", "type", "value", "gradient", "filters", "note"), rows, "<<>><<")
    if found.problems:
        print()
        kinds = [("problem" if p.serious else "note", p.layer, p.kind, p.text) for p in found.problems]
        print_table(("", "", "", ""), kinds, "<<<<")
    print(f"\n{found.summary()}")
    return int(not found.ok)


def _worst(results: list) -> str:
    """The largest error over its tolerance, in words where that is below 1."""
    if not results:
        return ""
    worst = max(results, key=lambda r: r.error / r.tolerance if r.tolerance else r.error)
    return (
        f"{worst.error:.0e}" if worst.ok else f"WRONG {worst.error:.0e} ({worst.what}, {worst.dtype} {worst.backend})"
    )
