"""Explain a deconvolution, a net, or one layer in the words of another framework.

    deconv-legacy explain deconv --input 4 --kernel 3 --stride 2 --pad 1
        the size rule, the legal sizes, which inputs reach each output, overlap and checkerboard
    deconv-legacy explain deploy.prototxt --input data=1,3,500,500 --pixel 250,250 --photo photo.png --out field.png
        the walk of the sizes, why it pads, the chain behind each crop, what an output pixel sees
    deconv-legacy explain torch --input 4 --kernel 3 --stride 2 --pad 1 --size 8
        the same call in every framework (tf, keras, onnx, torch, theano, lasagne, caffe), checked by running those
        that are installed

--out writes the drawing, as .svg or .png.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.cli import _explain_deconv, _explain_frameworks
from deconv_legacy.cli._common import add_forks, add_json, input_shape, print_json
from deconv_legacy.cli._explain_frameworks import FRAMEWORKS, Call
from deconv_legacy.errors import MismatchError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = ", ".join(name for name in FRAMEWORKS if name != "ours")
    parser.add_argument("what", help=f"deconv, a prototxt, or a framework: {words}")
    parser.add_argument("--input", metavar="SIZE", help="size of the input; for a net data=1,3,500,500")
    parser.add_argument("--kernel", type=int, help="size of the kernel")
    parser.add_argument("--stride", type=int, default=1, help="default 1")
    parser.add_argument("--pad", help="of the forward convolution: one number or BEFORE,AFTER (default 0)")
    parser.add_argument("--padding", choices=("SAME", "VALID", "same", "valid"), help="in place of --pad")
    parser.add_argument("--dilation", type=int, default=1, help="default 1")
    parser.add_argument(
        "--size", type=int, help="of the output; by default the smallest legal one, with SAME input * stride"
    )
    parser.add_argument("--pixel", metavar="ROW,COLUMN", help="of a net's output (default in its middle)")
    parser.add_argument("--photo", metavar="FILE", help="to draw on what the pixel sees")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the drawing: .svg or .png")
    add_forks(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    _refuse(args, ("pixel", "photo") if args.what in ("deconv", *FRAMEWORKS) else ("kernel", "size", "padding"))
    if args.what == "deconv":
        return _deconv(args)
    if args.what in FRAMEWORKS:
        _refuse(args, ("out",))
        return _framework(args)
    if not args.what.endswith((".prototxt", ".pt", ".txt")) and not Path(args.what).exists():
        names = ", ".join(name for name in FRAMEWORKS if name != "ours")
        raise MismatchError(f"{args.what!r} is none of deconv, {names}, and no file")
    return _net(args)


def _refuse(args: argparse.Namespace, options: tuple[str, ...]) -> None:
    """Options that say nothing here."""
    given = [f"--{option}" for option in options if getattr(args, option) is not None]
    if given:
        raise MismatchError(f"explain {args.what}: {given[0]} has no meaning here (see the examples of --help)")


def _rule(args: argparse.Namespace) -> tuple[int, int, int, Any, int, int | None]:
    """input, kernel, stride, pads, dilation, size."""
    if args.kernel is None or args.input is None:
        raise MismatchError("--input and --kernel are needed, such as --input 4 --kernel 3 --stride 2 --pad 1")
    if args.pad is not None and args.padding is not None:
        raise MismatchError(f"--padding {args.padding} stands in place of --pad {args.pad}; give one of them")
    try:
        n = int(args.input)
        pads: Any = tuple(int(part) for part in (args.pad or "0").split(","))
    except ValueError:
        raise MismatchError(f"--input {args.input} and --pad {args.pad or 0} must be numbers") from None
    if len(pads) not in (1, 2):
        raise MismatchError(f"--pad {args.pad}: one number or BEFORE,AFTER")
    pads = pads[0] if len(pads) == 1 else pads
    size = args.size
    if args.padding:
        pads = args.padding.lower()
        if size is None and pads == "same":
            # as Keras and tf.layers: n times the stride
            size = geometry.deconv_default_size(n, args.kernel, args.stride, pads, args.dilation, convention="tf")
    return n, args.kernel, args.stride, pads, args.dilation, size


def _deconv(args: argparse.Namespace) -> int:
    facts = _explain_deconv.describe(*_rule(args))
    if args.out:
        _explain_deconv.draw(facts).save(args.out)
    if args.json:
        print_json(facts)
    else:
        print(_explain_deconv.text(facts))
    return 0


def _framework(args: argparse.Namespace) -> int:
    n, kernel, stride, pads, dilation, asked = _rule(args)
    size = geometry.deconv_output_size(n, kernel, stride, pads, dilation, asked)
    assert size is not None
    before, after = geometry.resolve_pads(pads, size, kernel, stride, dilation) or (0, 0)
    call = Call(n, kernel, stride, before, after, dilation, size)
    table = _explain_frameworks.translate(call)
    table.sort(key=lambda row: row["framework"] != args.what)
    checks = [_explain_frameworks.check(row["framework"], call) for row in table]
    wrong = [c for c in checks if c["error"] is not None and c["error"] > 1e-4]
    if args.json:
        for found in checks:
            found["error"] = None if found["error"] == float("inf") else found["error"]
        print_json({"size": size, "pads": [before, after], "calls": table, "checks": checks})
        return int(bool(wrong))
    print(
        f"input {n}, output {size}, kernel {kernel}, stride {stride}, pads {before} and {after}, dilation {dilation}\n"
    )
    for row, found in zip(table, checks, strict=True):
        print(f"{row['framework']}: {row['call']}")
        print(f"    filters {row['filters']}, {row['convention']}")
        if found["error"] is not None:
            verdict = "WRONG" if found in wrong else "agrees"
            print(f"    {verdict}: {found['note']}, error {found['error']:.0e} against the reference")
        elif row["framework"] in ("torch", "tf", "keras", "onnx"):
            print(f"    {found['note']}")
    return int(bool(wrong))


def _net(args: argparse.Namespace) -> int:
    from deconv_legacy.cli import _explain_net

    try:
        sizes = dict([input_shape(args.input)] if args.input else [])
        pixel: Any = tuple(int(part) for part in args.pixel.split(",")) if args.pixel else None
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise MismatchError(f"--input or --pixel: {error}") from None
    photo = None
    if args.photo:
        from deconv_legacy.cli._images import read_photo

        photo = read_photo(args.photo)
    if pixel is not None and len(pixel) != 2:
        raise MismatchError(f"--pixel {args.pixel} is not of the form ROW,COLUMN")
    size = None if photo is None else (photo.shape[0], photo.shape[1])
    facts = _explain_net.describe(args.what, sizes, pixel, args.forks, size)
    if args.out:
        from deconv_legacy.caffe._files import replacing

        if args.out.suffix != ".png":
            raise MismatchError(f"{args.out}: a receptive field is drawn as .png")
        with replacing(args.out) as beside:
            _explain_net.write(beside, _explain_net.draw(facts, photo))
    if args.json:
        print_json(facts)
    else:
        print(_explain_net.text(facts))
    return 0
