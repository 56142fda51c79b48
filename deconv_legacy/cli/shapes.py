"""List the layers of a net: what each makes of the sizes it is given.

Columns: the layer's output size (N x C x rows x columns); its receptive field, that is how many rows x columns of the
input one cell of the output sees (padding and all ways through the net counted; behind a deconvolution, whose cells
differ, the one that sees most); its stride, the distance in the input between neighbouring cells; parameters;
multiply-adds of one pass. A note marks poolings where rounding up, as Caffe does, and rounding down differ.

A train net's data layers do not tell their sizes: give them, as in --input data=1,3,500,500 --input label=1,1,500,500.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.caffe import BuiltNet, build_net, read_net
from deconv_legacy.cli._common import add_json, add_net, phase_number, print_json, print_table
from deconv_legacy.layers import DeconvolutionLayer, Layer, PoolLayer, all_layers, maps_from_ancestors

__all__ = ["Fields", "add_arguments", "describe", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_net(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    net = build_net(
        read_net(args.net, allow_unknown=args.forks),
        phase_number(args.phase),
        input_shapes=dict(args.input),
        free=False,
        path=args.net,
    )
    rows = describe(net)
    parameters = {variable: math.prod(variable.type.shape) for own in net.params().values() for variable in own}
    total = {"parameters": sum(parameters.values()), "multiply_adds": sum(row["multiply_adds"] for row in rows)}
    if args.json:
        print_json({"layers": rows, "total": total})
        return
    header = ("layer", "type", "size", "field", "stride", "parameters", "multiply-adds", "note")
    lines = [
        (
            row["name"],
            row["type"],
            "  ".join(_by(size) or "scalar" for size in row["sizes"]),
            _axes(row["receptive_field"]),
            _axes(row["stride"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['multiply_adds']:,}" if row["multiply_adds"] else "",
            row["note"],
        )
        for row in rows
    ]
    last = ("total", "", "", "", "", f"{total['parameters']:,}", f"{total['multiply_adds']:,}", "")
    print_table(header, [*lines, last], "<<>>>>><")


def describe(net: BuiltNet) -> list[dict[str, Any]]:
    """A dict for each layer of the net, in its order; sizes must be known (``build_net(free=False)``)."""
    rows = []
    fields = Fields()
    for spec in net.spec.layer:
        layer = net.layers.get(spec.name)
        # a layer that only brings data has a layer of its own for each top
        tops = [net.blobs[top] for top in spec.top] if layer is None else [layer.top(i) for i in range(len(spec.top))]
        field, stride = fields.of(tops[0], net.input_layers)
        rows.append(
            {
                "name": spec.name,
                "type": spec.type,
                "tops": list(spec.top),
                "sizes": [list(top.output_shape) for top in tops],
                "receptive_field": field,
                "stride": stride,
                "parameters": sum(math.prod(variable.type.shape) for variable in layer.params) if layer else 0,
                "multiply_adds": _multiply_adds(layer),
                "note": _pooling_note(layer) if isinstance(layer, PoolLayer) else "",
            }
        )
    return rows


def _multiply_adds(layer: Layer | None) -> int:
    """Every weight meets every cell of the smaller side: of a convolution's output, of a deconvolution's input."""
    if layer is None or not hasattr(layer, "W"):
        return 0
    batch, _, *sizes = layer.input_shape if isinstance(layer, DeconvolutionLayer) else layer.output_shape
    return math.prod(layer.W.type.shape) * batch * math.prod(sizes)


def _pooling_note(layer: PoolLayer) -> str:
    up, down = (
        geometry.pool_output_shape(layer.input_shape[2:], layer.kernel, layer.stride, layer.padding, rounding)
        for rounding in ("caffe", "floor")
    )
    return "" if up == down else f"rounded up {_by(up)}, rounded down {_by(down)}"


class Fields:
    """Receptive fields over all ways through a net, deconvolutions included."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Layer, int], tuple[str, geometry.ReceptiveField] | None] = {}

    def of(self, layer: Layer, inputs: Sequence[Layer]) -> tuple[list[int] | None, list[Any] | None]:
        """Size and stride on each spatial axis, in cells of the first input that the layer sees; None without one."""
        sizes, strides = [], []
        for axis in range(2, len(layer.output_shape)):
            maps = maps_from_ancestors(layer, axis)
            source = next((source for source in inputs if source in maps), None)
            if source is None:
                return None, None
            stride = 1 / maps[source].scale
            strides.append(int(stride) if stride.denominator == 1 else str(stride))
            order = all_layers(layer)[::-1]
            # cells as far apart as the deconvolutions' strides see the same
            period = math.prod(node.stride[axis - 2] for node in order if isinstance(node, DeconvolutionLayer))
            sizes.append(max(self._size(order, source, axis, cell) for cell in range(period)))
        return (sizes, strides) if sizes else (None, None)

    def _size(self, order: Sequence[Layer], source: Layer, axis: int, cell: int) -> int:
        """How many cells of `source` one cell of the first layer of `order`, which runs backward, sees."""
        first, last = self.span(order, source, axis, cell) or (0, -1)
        return last - first + 1

    def span(self, order: Sequence[Layer], source: Layer, axis: int, cell: int) -> tuple[int, int] | None:
        """The first and the last of these cells, those of padding included."""
        spans = {order[0]: (cell, cell)}
        for node in order:
            if node is source or node not in spans:
                continue
            span = self._before(node, axis, *spans[node])
            if span is None:
                continue
            for parent in node.input_layers:
                if parent is not None:
                    other = spans.get(parent, span)
                    spans[parent] = min(span[0], other[0]), max(span[1], other[1])
        return spans.get(source)

    def _before(self, node: Layer, axis: int, first: int, last: int) -> tuple[int, int] | None:
        """The first and the last cell before `node` that its cells from `first` to `last` see."""
        if (node, axis) not in self._steps:
            step = node.step(axis)
            if step is not None:
                mirrored = replace(step, kind="conv", output_size=None) if step.kind == "deconv" else step
                self._steps[node, axis] = step.kind, geometry.receptive_field([mirrored])
            else:
                self._steps[node, axis] = None
        known = self._steps[node, axis]
        if known is None:
            return None
        kind, field = known
        if kind != "deconv":
            return field.span(first)[0], field.span(last)[1]
        # a cell before a deconvolution reaches as far as a cell after the convolution that it mirrors sees
        low, high = field.span(0)
        first, last = math.ceil(Fraction(first - high, field.jump)), (last - low) // field.jump
        return (first, last) if first <= last else None


def _by(sizes: Sequence[Any]) -> str:
    return "x".join(map(str, sizes))


def _axes(values: Sequence[Any] | None) -> str:
    """One number where all axes agree."""
    return _by(values[:1] if len(set(values)) == 1 else values) if values else ""
