"""Run a net and keep its numbers in one file: every named blob (large ones as digests: SHA-256, statistics and a fixed
sample), digests of all parameters, versions, BLAS, the files' hashes.

    deconv-legacy record deploy.prototxt net.caffemodel --input data=photo.jpg --out golden.npz

An input is an .npy file, a picture (as BGR less Caffe's mean), or a shape; inputs that are not named are normal numbers
of --seed, in the shapes that the net tells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deconv_legacy.cli._common import add_backend, add_json, print_json, print_table
from deconv_legacy.cli._subjects import add_net_files, input_arrays, load_net

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_net_files(parser)
    parser.add_argument("--out", metavar="FILE.npz", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--input", metavar="BLOB=WHAT", action="append", default=[], help="x.npy, a picture, or 1,3,97,131"
    )
    parser.add_argument("--seed", type=int, default=0, help="of inputs that are not given (default 0)")
    parser.add_argument("--scale", type=float, default=1.0, help="their standard deviation (default 1)")
    parser.add_argument("--gradients", action="store_true", help="also keep those of parameters and inputs")
    parser.add_argument("--full", metavar="BYTES", type=int, help="keep blobs up to this size whole (default 1 MiB)")
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    from deconv_legacy.testing import FULL_BYTES, record

    subject = load_net(args, backend=args.backend)
    inputs, seeded = input_arrays(args.input, subject, args.seed, args.scale)
    recording = record(
        subject,
        inputs,
        gradients=args.gradients,
        seed=args.seed if seeded else None,
        full_bytes=FULL_BYTES if args.full is None else args.full,
    )
    recording.save(args.out)
    if args.json:
        print_json({"file": str(args.out), "bytes": args.out.stat().st_size, **recording.header})
        return
    rows = []
    for name, stored in {**recording.inputs, **recording.blobs}.items():
        stats = stored.digest.stats
        kept = "whole" if stored.values is not None else "digest"
        shape = "x".join(map(str, stored.shape)) or "scalar"
        rows.append((name, shape, kept, f"{stats['mean']:.4g}", f"{stats['std']:.4g}", f"{stats['size']:.4g}"))
    print_table(("blob", "shape", "kept", "mean", "deviation", "largest"), rows, "<><>>>")
    size = args.out.stat().st_size
    print(f"\n{args.out}: {len(recording.blobs)} blobs, {len(recording.params)} parameters, {size / 1e6:.1f} MB")
