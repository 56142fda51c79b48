"""One deconvolution explained: sizes, who reaches whom, overlap. All numbers come from `deconv_legacy.geometry`."""

from __future__ import annotations

from typing import Any

from deconv_legacy import geometry
from deconv_legacy.cli._scene import Scene
from deconv_legacy.errors import SizeError

__all__ = ["describe", "draw", "text"]

SHADES = " .:-=+*#%@"
SHOWN = 64
"""Cells of an axis that are written out; what follows repeats."""
DRAWN = 256
"""Cells of an axis that are drawn at most."""


def describe(n: int, kernel: int, stride: int, pads: Any, dilation: int, size: int | None) -> dict[str, Any]:
    """Everything about one axis as plain numbers.

    >>> describe(4, 3, 2, 1, 1, None)["legal_sizes"]
    [7, 8]
    """
    rule = (kernel, stride, pads, dilation)
    legal = [legal for legal in geometry.deconv_output_sizes(n, *rule) if legal > 0]
    out = geometry.deconv_output_size(n, *rule, size)
    assert out is not None
    before, after = geometry.resolve_pads(pads, out, kernel, stride, dilation) or (0, 0)
    taps = [geometry.deconv_taps(position, n, *rule, out) for position in range(out)]
    return {
        "input": n,
        "kernel": kernel,
        "stride": stride,
        "pads": [before, after],
        "dilation": dilation,
        "size": out,
        "legal_sizes": legal,
        "taps": [[list(pair) for pair in pairs] for pairs in taps],
        "overlap": list(geometry.overlap_counts(n, *rule, out)),
        "pattern": list(geometry.overlap_pattern(kernel, stride, dilation)),
        "even": geometry.overlaps_evenly(kernel, stride, dilation),
    }


def text(facts: dict[str, Any]) -> str:
    """As lines to read."""
    n, kernel, stride, dilation = (facts[key] for key in ("input", "kernel", "stride", "dilation"))
    (before, after), legal, size = facts["pads"], facts["legal_sizes"], facts["size"]
    lines = [
        "size = stride (input - 1) + dilation (kernel - 1) + 1 - before - after + a",
        f"     = {stride} * {n - 1} + {dilation} * {kernel - 1} + 1 - {before} - {after} + a, "
        f"a = {_list(size - legal[0] for size in legal)}",
        f"legal sizes: {_list(legal)}; here {size}",
    ]
    if len(legal) > 1:
        lines.append(
            f"  a convolution of stride {stride} takes each of them to {n}: nothing in the input tells which one it was"
        )
    lines += ["", "which inputs reach each output (the number is the tap of the kernel, counted from 0):", ""]
    width = max(len(str(size - 1)), len(str(kernel - 1)))
    shown = facts["taps"][:SHOWN]
    overlap = facts["overlap"][:SHOWN]
    head = " ".join(f"{position:>{width}}" for position in range(len(shown)))
    lines.append(f"{'output':>10}  {head}")
    for source in sorted({source for taps in shown for source, _ in taps}):
        cells = [next((str(tap) for i, tap in taps if i == source), ".") for taps in shown]
        lines.append(f"{f'input {source}':>10}  " + " ".join(f"{cell:>{width}}" for cell in cells))
    counts = " ".join(f"{count:>{width}}" for count in overlap)
    lines += [f"{'taps':>10}  {counts}", *([f"(the first {SHOWN} of {size} outputs)"] if size > SHOWN else []), ""]
    pattern = _list(facts["pattern"])
    if facts["even"]:
        lines.append(f"overlap: {pattern} taps, repeated every {stride}: even, no checkerboard")
    else:
        lines.append(f"overlap: {pattern} taps, repeated every {stride}: uneven, a checkerboard (in two axes:)")
        top = max(facts["overlap"]) ** 2
        for a in overlap:
            row = (SHADES[round(a * b / top * (len(SHADES) - 1))] * 2 for b in overlap)
            lines.append("  " + "".join(row).rstrip())
        lines.append(f"  a kernel that is a multiple of the stride ({stride}, {2 * stride}, ...) overlaps evenly")
    empty = [position for position, count in enumerate(facts["overlap"]) if not count]
    if empty:
        lines.append(f"no input reaches output {_list(empty)}: zero, or the bias alone")
    return "\n".join(lines)


def draw(facts: dict[str, Any]) -> Scene:
    """Inputs below, outputs above with lines between them, and the overlap in two axes."""
    n, stride, size, overlap = (facts[key] for key in ("input", "stride", "size", "overlap"))
    if size > DRAWN:
        raise SizeError(f"an output of {size} cells is too large to draw; up to {DRAWN} are, with a smaller --input")
    before = facts["pads"][0]
    cell, left = 26, 70
    cells = size
    map_size = 8 * size
    scene = Scene(left + cell * (cells + 1) + map_size + 40, max(190, map_size + 60))
    top, bottom = 40, 130

    step = geometry.Step("deconv", facts["kernel"], stride, tuple(facts["pads"]), facts["dilation"])
    place = geometry.coord_map(step)

    def x_of_input(i: int) -> float:
        """Below the middle of the outputs that it reaches, those that the pads cut off counted."""
        return left + cell * float(place.scale * i + place.shift)

    for position, taps in enumerate(facts["taps"]):
        for source, _ in taps:
            scene.line(x_of_input(source) + cell / 2, bottom, left + cell * position + cell / 2, top + cell)
    largest = max(overlap) or 1
    for position, count in enumerate(overlap):
        scene.rectangle(left + cell * position, top, cell, cell, _shade(count / largest))
        scene.words(left + cell * (position + 0.5), top + cell / 2, str(count), "#ffffff" if count else "#222222")
        scene.words(left + cell * (position + 0.5), top - 10, str(position), "#888888")
    for i in range(n):
        scene.rectangle(x_of_input(i), bottom, cell, cell, "#dd6b20")
        scene.words(x_of_input(i) + cell / 2, bottom + cell / 2, str(i), "#ffffff")
    scene.words(left / 2, top + cell / 2, "output")
    scene.words(left / 2, bottom + cell / 2, "input")
    start = left + cell * (cells + 1)
    for row, a in enumerate(overlap):
        for column, b in enumerate(overlap):
            scene.rectangle(start + 8 * column, top + 8 * row, 8, 8, _shade(a * b / largest**2))
    scene.words(start + map_size / 2, top - 14, "overlap")
    rule = f"kernel {facts['kernel']}, stride {stride}, pads {before} and {facts['pads'][1]}, size {size}"
    scene.words(left + cell * cells / 2, bottom + cell + 20, rule)
    return scene


def _shade(level: float) -> str:
    """From light to dark blue."""
    light, dark = (226, 236, 247), (30, 74, 130)
    return "#" + "".join(f"{round(a + (b - a) * level):02x}" for a, b in zip(light, dark, strict=True))


def _list(values: Any) -> str:
    return ", ".join(map(str, values))
