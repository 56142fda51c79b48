"""A Caffe net explained: the walk of its sizes, why it pads, where its crops come from, what an output pixel sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe import BuiltNet, build_net, read_net
from deconv_legacy.cli import _images, offsets, shapes
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import all_layers

__all__ = ["describe", "draw", "text"]


def describe(
    path: str,
    sizes: dict[str, tuple[int, ...]],
    pixel: tuple[int, int] | None,
    forks: bool = False,
    photo: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Facts about a net, from its layers and `deconv_legacy.geometry` alone.

    Parameters
    ----------
    sizes
        Shapes of inputs in place of the file's.
    pixel
        Row and column of the output, by default in its middle.
    forks
        Whether the file may have what forks of Caffe added.
    photo
        Rows and columns of a photo, the size of the net's input where `sizes` has none.
    """
    spec = read_net(path, allow_unknown=forks)
    if photo is not None and not sizes:
        sizes = {layer.name: (1, 3, *photo) for layer in build_net(spec, 1, path=path).input_layers[:1]}
    net = build_net(spec, 1, input_shapes=sizes, free=False, path=path)
    rows = shapes.describe(net)
    free = build_net(spec, 1, input_shapes={n: (None, s[1], None, None) for n, s in sizes.items()}, path=path)
    crops = [offsets.describe(layer, free) for layer in free.spec.layer if layer.type == "Crop"]
    output = net.outputs[0]
    facts: dict[str, Any] = {
        "inputs": {layer.name: list(layer.output_shape) for layer in net.input_layers},
        "walk": [{key: row[key] for key in ("name", "type", "sizes")} for row in rows],
        "pad": _pads(free, crops),
        "crops": crops,
        "output": output,
    }
    shape = net.blobs[output].output_shape
    if len(shape) == 4:
        at = pixel or (shape[2] // 2, shape[3] // 2)
        if not all(0 <= p < n for p, n in zip(at, shape[2:], strict=True)):
            raise SizeError(f"pixel {at} is not in the output {output!r}, which has {shape[2]} x {shape[3]}")
        facts["pixel"], facts["sees"] = list(at), _sees(net, output, at)
    return facts


def _pads(net: BuiltNet, crops: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first convolution's pad, the least one that works, and with which it stops."""
    found = [pads for crop in crops for pads in crop["least_pad"] or ()]
    if not found:
        return None
    name, has, _ = found[0]
    return {"layer": name, "pad": has, "least": max(least for *_, least in found)}


def _sees(net: BuiltNet, output: str, at: tuple[int, int]) -> dict[str, Any] | None:
    layer = net.blobs[output]
    order = all_layers(layer)[::-1]
    source = next((i for i in net.input_layers if i in order), None)
    if source is None:
        return None
    fields = shapes.Fields()
    # a crop's reference gives sizes only: what is seen comes through the layers that are read
    spans = [fields.span(order, source, axis, cell) for axis, cell in enumerate(at, 2)]
    if any(span is None for span in spans):
        return None
    return {"input": source.name, "size": list(source.output_shape[2:]), "rows": spans[0], "columns": spans[1]}


def text(facts: dict[str, Any]) -> str:
    """As lines to read."""
    lines = ["the walk of the sizes:"]
    before = None
    for row in facts["walk"]:
        size = " ".join("x".join(map(str, one)) or "scalar" for one in row["sizes"])
        if size != before:
            lines.append(f"  {row['name']:<16} {row['type']:<14} {size}")
        before = size
    pad = facts["pad"]
    if pad:
        lines += [
            "",
            f"{pad['layer']} pads by {pad['pad']}: the least pad that works for every image is {pad['least']}",
        ]
        if pad["pad"] >= pad["least"]:
            lines.append(
                f"  with {pad['least'] - 1} the smallest images are too small for the windows, or the upscored map no "
                "longer covers the image"
            )
        else:
            lines.append("  so some images do not fit")
    for crop in facts["crops"]:
        derived = ", ".join(map(str, crop["derived"] or ["none"]))
        lines += ["", f"{crop['crop']} crops {crop['blob']} to {crop['like']}: offset {derived} ({crop['status']})"]
        chain = crop["chains"][0]
        for end, name in (("blob", crop["blob"]), ("like", crop["like"])):
            moves = [step for step in chain[end] if tuple(step[1:]) != ("1", "0")]
            steps = [f"{layer} x{scale} {_signed(shift)}" for layer, scale, shift in moves]
            if chain["from"] is not None:
                lines.append(f"  {chain['from']} -> {name}: {'; '.join(steps) or 'cell by cell'}")
    sees = facts.get("sees")
    if sees:
        (top, bottom), (left, right) = sees["rows"], sees["columns"]
        rows, columns = sees["size"]
        inside = f"rows {max(top, 0)} to {min(bottom, rows - 1)}, columns {max(left, 0)} to {min(right, columns - 1)}"
        lines += [
            "",
            f"pixel {tuple(facts['pixel'])} of {facts['output']} sees rows {top} to {bottom}, "
            f"columns {left} to {right} of {sees['input']}: {bottom - top + 1} x {right - left + 1} cells",
            f"  of these inside the image: {inside}",
        ]
    return "\n".join(lines)


def _signed(shift: str) -> str:
    return shift if shift.startswith("-") else f"+{shift}"


def draw(facts: dict[str, Any], photo: np.ndarray | None) -> np.ndarray:
    """The photo, dimmed outside of what the pixel sees, the padding around it grey, the pixel itself marked."""
    sees = facts.get("sees")
    if sees is None:
        raise MismatchError("the output is no map of an input: there is no receptive field to draw")
    rows, columns = sees["size"]
    if photo is None:
        photo = np.full((rows, columns, 3), 200, np.uint8)
    if photo.shape[:2] != (rows, columns):
        raise MismatchError(
            f"the photo is {photo.shape[0]} x {photo.shape[1]}, the net's input {rows} x {columns}; without --input, "
            "the photo's size is taken"
        )
    (top, bottom), (left, right) = sees["rows"], sees["columns"]
    up, down, west, east = max(-top, 0), max(bottom - rows + 1, 0), max(-left, 0), max(right - columns + 1, 0)
    picture = np.full((rows + up + down, columns + west + east, 3), 160, np.uint8)
    picture[up : up + rows, west : west + columns] = photo // 3 + 40
    first, last = max(top, 0), min(bottom, rows - 1) + 1
    start, end = max(left, 0), min(right, columns - 1) + 1
    picture[up + first : up + last, west + start : west + end] = photo[first:last, start:end]
    orange = np.array((221, 107, 32), np.uint8)
    for edge in (top + up, bottom + up):
        picture[edge, left + west : right + west + 1] = orange
    for edge in (left + west, right + west):
        picture[top + up : bottom + up + 1, edge] = orange
    row, column = facts["pixel"][0] + up, facts["pixel"][1] + west
    picture[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = (255, 0, 0)
    return picture


def write(path: Path, picture: np.ndarray) -> None:
    _images.write_picture(path, picture)
