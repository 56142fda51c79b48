"""Derive the offset of every Crop of a net, and compare it with the one that is written.

The offset follows from the layers on the two ways from the cropped blob and from the blob that gives the size back to
the one both come from: kernel, stride and pad of each move and scale the coordinates (Caffe's coord_map, exact). It
holds for every image size, so train nets, whose data layers tell no sizes, will do as well.

--chain shows the two ways, layer by layer: y = scale * x + shift takes the coordinates before a layer to those after
it. The last column is the least pad of the net's first convolution with which the crop fits for every image size.

Exit status 1 if an offset differs or cannot be derived.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.caffe import BuiltNet, build_net, read_net
from deconv_legacy.caffe.build import assumed_inputs
from deconv_legacy.caffe.filter import filter_net
from deconv_legacy.cli._common import add_json, add_net, phase_number, print_json, print_table
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import CropLayer, Layer, crop_offsets, maps_from_ancestors, path_between

__all__ = ["add_arguments", "describe", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_net(parser)
    parser.add_argument("--chain", action="store_true", help="show scale and shift of each layer on the way")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    spec = read_net(args.net, allow_unknown=args.forks)
    phase = phase_number(args.phase)
    # sizes stay free: an offset that does not fit one size is to be compared, not refused
    given = {blob: (None, *shape[1:2], *(None,) * len(shape[2:])) for blob, shape in args.input}
    shapes = {**assumed_inputs(filter_net(spec, phase)), **given}
    net = build_net(spec, phase, input_shapes=shapes, path=args.net)
    crops = [describe(layer, net) for layer in net.spec.layer if layer.type == "Crop"]
    if args.json:
        print_json(crops)
    else:
        _print(crops, args.chain)
    return int(any(crop["status"] != "OK" for crop in crops))


def describe(spec: Any, net: BuiltNet) -> dict[str, Any]:
    """A crop of a net with free sizes: its offset, derived and written, the least pad, and the ways behind it."""
    crop = net.layers[spec.name]
    assert isinstance(crop, CropLayer)
    source, like = crop.input_layers[0], crop.references[0]
    assert source is not None
    axes = range(2, len(crop.output_shape))
    written = [crop.offset[axis - crop.axis] if axis >= crop.axis else None for axis in axes]
    derived, problem = None, None
    try:
        derived = list(crop_offsets(source, like, len(axes)))
        same = all(is_ in (None, ought) for is_, ought in zip(written, derived, strict=True))
        status = "OK" if same else "DIFFERS"
    except SizeError as error:
        status, problem = "UNDERIVED", error.cause
    return {
        "crop": crop.name,
        "blob": spec.bottom[0],
        "like": spec.bottom[1],
        "derived": derived,
        "written": written,
        "status": status,
        "problem": problem,
        "least_pad": _least_pad(source, like, net.input_layers) if derived else None,
        "chains": [_chains(source, like, axis) for axis in axes],
    }


def _chains(source: Layer, like: Layer, axis: int) -> dict[str, Any]:
    """The ways from the nearest common layer to both, as (layer, scale, shift)."""
    sources, targets = maps_from_ancestors(source, axis), maps_from_ancestors(like, axis)
    common = next((layer for layer in sources if layer in targets), None)
    result: dict[str, Any] = {"axis": axis, "from": None if common is None else common.name}
    for end, layer in (("blob", source), ("like", like)):
        steps = path_between(common, layer, axis) if common is not None else None
        maps = [(step.name, geometry.coord_map(step)) for step in steps or ()]
        result[end] = [[name, str(map.scale), str(map.shift)] for name, map in maps]
    return result


def _least_pad(source: Layer, like: Layer, inputs: Sequence[Layer]) -> list[Any] | None:
    """On each axis (layer, pad, least pad) of the first convolution; None where there is no such pad."""
    found = []
    for axis in range(2, len(source.output_shape)):
        ways = _uncropped_way(source, inputs, axis), _uncropped_way(like, inputs, axis)
        if None in ways:
            return None
        steps = [list(itertools.dropwhile(lambda step: step.kind == "identity", way or ())) for way in ways]
        try:
            least = geometry.least_pad(*steps)
        except SizeError:
            return None
        first = steps[0][0]
        found.append([first.name, first.pads()[0], least])
    return found


def _uncropped_way(layer: Layer, inputs: Sequence[Layer], axis: int) -> list[geometry.Step] | None:
    """The steps from an input to `layer` around all crops, which take their sizes from that way."""
    steps: list[geometry.Step] = []
    while layer not in inputs:
        step = layer.step(axis)
        before = next((p for p in layer.input_layers if p is not None and not isinstance(p, CropLayer)), None)
        if step is None or before is None:
            return None
        steps.insert(0, step)
        layer = before
    return steps


def _print(crops: Sequence[dict[str, Any]], chain: bool) -> None:
    if not crops:
        print("the net has no Crop layer")
        return
    rows = []
    for crop in crops:
        pads = {f"{name}: {least} (has {pad})" for name, pad, least in crop["least_pad"] or ()}
        derived = _axes(crop["derived"]) if crop["derived"] else "none"
        names = crop["crop"], crop["blob"], crop["like"]
        rows.append((*names, derived, _axes(crop["written"]), crop["status"], ", ".join(sorted(pads))))
    print_table(("crop", "cropped", "like", "derived", "written", "", "least pad"), rows, "<<<>><<")
    for crop in crops:
        if crop["problem"]:
            print(f"\n{crop['crop']}: {crop['problem']}")
        if chain:
            _print_chain(crop)


def _print_chain(crop: dict[str, Any]) -> None:
    # one table where all axes agree
    distinct = {str({**chains, "axis": 0}): chains for chains in crop["chains"]}
    for chains in distinct.values():
        which = f", axis {chains['axis']}" if len(distinct) > 1 else ""
        print(f"\n{crop['crop']}{which}: from {chains['from']}")
        rows = [(crop[end], *step) for end in ("blob", "like") for step in chains[end]]
        print_table(("to", "layer", "scale", "shift"), rows, "<<>>")


def _axes(values: Sequence[Any]) -> str:
    texts = ["-" if value is None else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)
