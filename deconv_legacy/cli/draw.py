"""Draw a net, as DOT text or, where graphviz is installed, as an image.

OUT's name says the format (.png, .svg, .pdf, ...; .dot is the text); without OUT the text is printed.
"""

from __future__ import annotations

import argparse

from deconv_legacy.caffe.draw import draw_net_to_file, net_to_dot
from deconv_legacy.caffe.prototxt import read_net
from deconv_legacy.cli._common import add_forks, phase_number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET.prototxt", help="a net of any age (V0, V1, V2)")
    parser.add_argument("target", metavar="OUT", nargs="?", help="the file to write")
    parser.add_argument("--rankdir", choices=("LR", "TB", "BT"), default="LR", help="where the net runs (default LR)")
    parser.add_argument("--phase", choices=("TRAIN", "TEST", "ALL"), default="ALL", help="whose layers (default ALL)")
    parser.add_argument("--display_lrm", action="store_true", help="write the learning rate multipliers, too")
    add_forks(parser)


def run(args: argparse.Namespace) -> None:
    net = read_net(args.net, allow_unknown=args.forks)
    phase = None if args.phase == "ALL" else phase_number(args.phase)
    if args.target is None:
        print(net_to_dot(net, args.rankdir, phase=phase, display_lrm=args.display_lrm), end="")
    else:
        draw_net_to_file(net, args.target, args.rankdir, phase, args.display_lrm)
