"""Find the first layer of a net whose output differs when it is fed the recorded numbers, and say why.

    deconv-legacy bisect golden.npz deploy.prototxt net.caffemodel

Each layer runs alone on the recorded blobs. Where one differs, the known causes are tried on it: filter flip, channel
order, kernel layout, ceil or floor pooling, crop offset, bilinear filler, pad side, mean and scale, dropout scaling,
batch-norm variance, bias shape. The one that makes the difference vanish is named, with the error before and after.

Exit status 1 if a layer differs.
"""

from __future__ import annotations

import argparse

from deconv_legacy.cli._common import add_backend, add_json, print_json
from deconv_legacy.cli._subjects import add_net_files, load_net

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recorded", metavar="RECORDED.npz", help="what is right: a recording, or an npz of activations")
    add_net_files(parser)
    parser.add_argument("--rtol", type=float, help="one tolerance for all blobs, over each one's largest magnitude")
    parser.add_argument("--everything", action="store_true", help="go on behind the first difference")
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.testing import bisect, read_recording

    subject = load_net(args, backend=args.backend)
    recorded = read_recording(args.recorded, subject.inputs)
    found = bisect(recorded, subject, everything=args.everything, rtol=args.rtol)
    if args.json:
        print_json(found.as_dict())
    else:
        print(found.text())
    return int(not found.ok)
