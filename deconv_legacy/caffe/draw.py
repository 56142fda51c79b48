"""A net as a drawing: pycaffe's ``caffe.draw``, written as DOT text; graphviz's ``dot`` makes images of it.

Layers are boxes, coloured by their kind; blobs are octagons. A layer that works in place is green and stands beside
its blob.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from deconv_legacy.caffe._files import replacing
from deconv_legacy.errors import MismatchError

__all__ = ["NetGraph", "draw_net", "draw_net_to_file", "get_pydot_graph", "net_to_dot"]

_COLOURS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_OTHER, _IN_PLACE, _BLOB = "#6495ED", "#90EE90", "#E0E0E0"
_DIRECTIONS = ("LR", "TB", "BT", "RL")
_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")


def net_to_dot(
    net: Any, rankdir: str = "LR", label_edges: bool = True, phase: int | None = None, display_lrm: bool = False
) -> str:
    """A NetParameter as DOT text.

    Parameters
    ----------
    net
        As `deconv_legacy.caffe.read_net` gives it.
    rankdir
        Where it runs: LR (to the right), TB (down), BT (up) or RL.
    label_edges
        Write the number of outputs, or of a Data layer's images, beside the arrows.
    phase
        Leave the layers out that are not in this phase; None draws all.
    display_lrm
        Add the learning rate multipliers of layers that learn.

    Raises
    ------
    MismatchError
        Another direction, or a layer with include and exclude rules.

    Examples
    --------
    >>> from deconv_legacy.caffe import parse_net
    >>> print(net_to_dot(parse_net('''name: "one"
    ...     layer { name: "up" type: "Deconvolution" bottom: "x" top: "y"
    ...             convolution_param { num_output: 3 kernel_size: 4 stride: 2 } }''')))  # doctest: +ELLIPSIS
    digraph "one" {
      rankdir=LR;
      "layer up" [label="up\\n(Deconvolution)\\nkernel size: 4\\nstride: 2\\npad: 0", shape=box, ...];
      "blob x" [label="x", shape=octagon, style=filled, fillcolor="#E0E0E0"];
      "blob y" [label="y", shape=octagon, style=filled, fillcolor="#E0E0E0"];
      "blob x" -> "layer up";
      "layer up" -> "blob y" [label="3"];
    }
    <BLANKLINE>
    """
    if rankdir not in _DIRECTIONS:
        raise MismatchError(f"direction {rankdir!r}; there are {', '.join(_DIRECTIONS)}")
    nodes: dict[str, str] = {}
    edges: list[str] = []
    for index, layer in enumerate(net.layer):
        if phase is not None and not _is_in(layer, phase):
            continue
        name = f"layer {layer.name}"
        if name in nodes:  # Caffe takes two layers of one name
            name = f"{name} {index}"
        in_place = list(layer.bottom) == list(layer.top) and len(layer.top) == 1
        colour = _IN_PLACE if in_place else _COLOURS.get(layer.type, _OTHER)
        # a way down has room to the side, a way to the right has room below
        separator = " " if rankdir in ("TB", "BT") else "\\n"
        label = separator.join(_escaped(part) for part in _description(layer, display_lrm))
        nodes[name] = f'[label="{label}", shape=box, style=filled, fillcolor="{colour}"]'
        edge_label = _edge_label(layer) if label_edges else ""
        for blob in (*layer.bottom, *layer.top):
            nodes[f"blob {blob}"] = f'[label="{_escaped(blob)}", shape=octagon, style=filled, fillcolor="{_BLOB}"]'
        edges += [f"{_quoted(f'blob {blob}')} -> {_quoted(name)};" for blob in layer.bottom]
        note = f" [label={_quoted(edge_label)}]" if edge_label else ""
        edges += [f"{_quoted(name)} -> {_quoted(f'blob {blob}')}{note};" for blob in layer.top]
    lines = [f"rankdir={rankdir};", *(f"{_quoted(name)} {style};" for name, style in nodes.items()), *edges]
    return f"digraph {_quoted(net.name or 'Net')} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _is_in(layer: Any, phase: int) -> bool:
    if layer.include and layer.exclude:
        raise MismatchError(f"layer {layer.name!r}: specify either include rules or exclude rules, not both")
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return all(rule.phase != phase for rule in layer.exclude)


def _description(layer: Any, display_lrm: bool) -> list[str]:
    parts = [layer.name]
    if layer.type == "Pooling":
        param = layer.pooling_param
        kind = ("MAX", "AVE", "STOCHASTIC")[param.pool]
        parts += [f"({layer.type} {kind})", f"kernel size: {'all' if param.global_pooling else _size(param, 'kernel')}"]
        parts += [f"stride: {_size(param, 'stride')}", f"pad: {_size(param, 'pad')}"]
    elif layer.type in ("Convolution", "Deconvolution"):
        param = layer.convolution_param
        parts += [f"({layer.type})", f"kernel size: {_size(param, 'kernel')}"]
        parts += [f"stride: {_size(param, 'stride')}", f"pad: {_size(param, 'pad')}"]
    else:
        parts.append(f"({layer.type})")
    if display_lrm and layer.type in _LEARNING:
        rates = [layer.param[i].lr_mult if i < len(layer.param) else 1.0 for i in range(2)]
        if any(rates):
            parts.append(f"lr mult: {rates[0]:.1f}, {rates[1]:.1f}")
    return parts


def _size(param: Any, name: str) -> str:
    """A kernel, stride or pad: one number, or rows x columns."""
    two = [f"{name}_{axis}" for axis in "hw"]
    if any(param.HasField(field) for field in two):
        return "x".join(str(getattr(param, field)) for field in two)
    value = getattr(param, "kernel_size" if name == "kernel" else name)
    values = [value] if isinstance(value, int) else list(value) or [0 if name == "pad" else 1]
    return "x".join(map(str, values))


def _edge_label(layer: Any) -> str:
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


class NetGraph:
    """A drawn net: ``to_string()`` is its DOT text, ``create(format="png")`` the bytes of an image."""

    def __init__(self, text: str):
        self._text = text

    def to_string(self) -> str:
        return self._text

    def create(self, prog: str = "dot", format: str = "ps") -> bytes:
        """The drawing as an image; "dot" and "raw" are the text as it is.

        Raises
        ------
        MismatchError
            graphviz is not installed, or knows no such format.
        """
        if format in ("raw", "dot", "gv"):
            return self._text.encode()
        program = shutil.which(prog)
        if program is None:
            raise MismatchError(
                f"a drawing as {format!r} needs graphviz's program {prog!r}, which is not installed "
                "(apt-get install graphviz); its text needs nothing: ask for the format dot"
            )
        done = subprocess.run([program, f"-T{format}"], input=self._text.encode(), capture_output=True)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise MismatchError(f"graphviz's {prog} made no {format!r}: {lines[0] if lines else 'no reason given'}")
        return done.stdout


def get_pydot_graph(
    caffe_net: Any, rankdir: str, label_edges: bool = True, phase: int | None = None, display_lrm: bool = False
) -> NetGraph:
    """The drawing, under pycaffe's name; pydot itself is not needed."""
    return NetGraph(net_to_dot(caffe_net, rankdir, label_edges, phase, display_lrm))


def draw_net(
    caffe_net: Any, rankdir: str, ext: str = "png", phase: int | None = None, display_lrm: bool = False
) -> bytes:
    """The bytes of an image of the net; `ext` is its format: png, svg, pdf, ... or dot for the text."""
    return get_pydot_graph(caffe_net, rankdir, True, phase, display_lrm).create(format=ext)


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draw the net into a file, in the format that its name ends in (``.dot`` and ``.raw``: the text)."""
    ext = os.path.splitext(os.fspath(filename))[1].lstrip(".") or "dot"
    drawing = draw_net(caffe_net, rankdir, ext, phase, display_lrm)
    with replacing(filename) as beside:
        beside.write_bytes(drawing)
