"""Compare a recording with another one, or with a net, which is run on the recorded inputs.

    deconv-legacy compare golden.npz deploy.prototxt net.caffemodel
    deconv-legacy compare golden.npz other.npz --html report.html

A recording is what `deconv-legacy record` wrote, or any npz of activations under the blobs' names (in/BLOB for inputs
and out/BLOB, or the names alone). The tolerance of each blob, in units of its largest magnitude, follows from dtype and
from how many products the net has added up; parameters must be the same bit for bit.

Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deconv_legacy.cli._common import add_backend, add_json, print_json
from deconv_legacy.cli._subjects import add_net_files, is_recording, load_net, need_net

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recorded", metavar="RECORDED.npz", help="what is right")
    add_net_files(parser, "OTHER", "another recording, NET.prototxt, or FILE.py:NAME")
    parser.add_argument("--rtol", type=float, help="one tolerance for all blobs, over each one's largest magnitude")
    parser.add_argument("--only", metavar="PART", action="append", help="blobs, gradients, params or settings")
    parser.add_argument("--all", action="store_true", help="show blobs that agree, too")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a report with pictures of the errors")
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from deconv_legacy.errors import MismatchError
    from deconv_legacy.testing import PARTS, compare, read_recording

    unknown = [part for part in args.only or () if part not in PARTS]
    if unknown:
        raise MismatchError(f"--only {unknown[0]}: there are {', '.join(PARTS)}")
    if is_recording(need_net(args.net)):
        other = read_recording(args.net)
        recorded = read_recording(args.recorded)
    else:
        other = load_net(args, backend=args.backend)
        recorded = read_recording(args.recorded, other.inputs)
    found = compare(recorded, other, rtol=args.rtol, parts=args.only or PARTS)
    if args.html:
        from deconv_legacy.testing.report import write_report

        write_report(found, args.html, f"{Path(args.recorded).name} and {Path(args.net).name}")
    if args.json:
        print_json(found.as_dict())
        return int(not found.ok)
    if args.all or not found.ok:
        rows = found.rows(args.all)
        if rows:
            print(found.table(args.all), end="\n\n")
    for text in (*found.settings, *found.unmatched):
        print(text)
    print(found.summary())
    return int(not found.ok)
