"""Convert weights between caffemodel, HDF5, npz and safetensors, bit for bit.

OUT's name says the format: .caffemodel, .h5 or .hdf5 (as Caffe writes them), .npz, .safetensors; IN's is told by its
content. In npz and safetensors the arrays are called LAYER/INDEX: conv1/0 is the weight, conv1/1 the bias. Old
caffemodels, which have four axes for every array, get today's shapes. --net stores a net in a caffemodel, for tools
that draw it; Caffe needs none.
"""

from __future__ import annotations

import argparse
import math

from deconv_legacy.caffe.convert import convert_weights
from deconv_legacy.caffe.prototxt import read_net
from deconv_legacy.cli._common import add_json, print_json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="a caffemodel, HDF5, npz or safetensors file")
    parser.add_argument("target", metavar="OUT", help="the file to write")
    parser.add_argument("--net", metavar="NET.prototxt", help="a net to store in a caffemodel")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    shapes = convert_weights(args.source, args.target, read_net(args.net) if args.net else None)
    if args.json:
        print_json({name: [list(shape) for shape in own] for name, own in shapes.items()})
        return
    arrays = [shape for own in shapes.values() for shape in own]
    print(f"{args.target}: {len(shapes)} layers, {len(arrays)} arrays, {sum(map(math.prod, arrays)):,} numbers")
