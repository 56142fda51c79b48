"""Nets and solvers as text: ``prototxt`` files, read with every problem placed, written as Caffe writes them.

>>> net = parse_net('name: "up" input: "x" input_dim: [1, 2, 5, 7]')
>>> net.layer[0].type, list(net.layer[0].input_param.shape[0].dim)
('Input', [1, 2, 5, 7])
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from deconv_legacy.caffe import schema, upgrade
from deconv_legacy.caffe._files import StrPath, read_text, replacing
from deconv_legacy.caffe._lexer import Place, places, tokens
from deconv_legacy.caffe._text import parse_message
from deconv_legacy.caffe._text_writing import format_message

__all__ = [
    "format_message",
    "parse_message",
    "parse_net",
    "parse_solver",
    "read_net",
    "read_solver",
    "write_net",
]


def parse_net(text: str, *, path: object = None, allow_unknown: bool = False, upgraded: bool = True) -> Any:
    """A net from its text.

    Parameters
    ----------
    text
        A NetParameter in text format, of any age (V0, V1, V2).
    path
        Where the text is from, for errors.
    allow_unknown
        Read a fork's net: its known fields are kept (see ``schema.messages(forks=True)``), the others
        skipped, and one warning lists them with line and column.
    upgraded
        Bring an old net to today's form, as Caffe does on reading.

    Returns
    -------
    NetParameter
        With ``layer`` (V2); inputs are an Input layer in front.

    Raises
    ------
    FileFormatError
        With line and column; all problems of the text are listed.
    """
    net = _parse(text, "NetParameter", path, allow_unknown)
    return upgrade.upgrade_net(net, path=path) if upgraded else net


def read_net(path: StrPath, *, allow_unknown: bool = False, upgraded: bool = True) -> Any:
    """A net from a prototxt file; see `parse_net`."""
    return parse_net(read_text(path), path=os.fspath(path), allow_unknown=allow_unknown, upgraded=upgraded)


def parse_solver(text: str, *, path: object = None, allow_unknown: bool = False) -> Any:
    """A SolverParameter from its text, with an enum ``solver_type`` turned into ``type``; see `parse_net`."""
    return upgrade.upgrade_solver(_parse(text, "SolverParameter", path, allow_unknown), path=path)


def read_solver(path: StrPath, *, allow_unknown: bool = False) -> Any:
    """A SolverParameter from a prototxt file.

    As in Caffe, a missing ``snapshot_prefix`` becomes the file's path without its extension, and one that is
    a folder gets the file's name appended.
    """
    solver = parse_solver(read_text(path), path=os.fspath(path), allow_unknown=allow_unknown)
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.fspath(Path(path).with_suffix(""))
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, Path(path).stem)
    return solver


def write_net(path: StrPath, net: Any) -> None:
    """Write a net (or any other message, e.g. a solver) as text, byte for byte as Caffe would; beside the
    file, then renamed."""
    with replacing(path) as beside:
        beside.write_text(format_message(net), encoding="ascii")


def _parse(text: str, kind: str, path: object, allow_unknown: bool) -> Any:
    message = getattr(schema.messages(forks=allow_unknown), kind)()
    parse_message(text, message, path=path, allow_unknown=allow_unknown, is_foreign=schema.is_fork)
    if allow_unknown and kind == "NetParameter":
        crops = [f"{line}:{column}" for line, column in _bare_crops(text)]
        if crops:
            file = "" if path is None else f"{path}: "
            warnings.warn(
                f"{file}Crop layers without crop_param at {', '.join(crops)}: each finds its offset by itself, as in "
                "HED and the first FCN (BVLC Caffe would cut at 0)",
                stacklevel=4,
            )
    return message


def _bare_crops(text: str) -> list[Place]:
    """Where a layer of type Crop begins that says nothing about its offset."""
    place, found = places(text), list[Place]()
    words = list(tokens(text))
    blocks: list[dict[str, str]] = [{}]
    starts = [0]
    for index, word in enumerate(words):
        if word.text in ("{", "<") and word.kind == "symbol":
            blocks.append({})
            before = index - 2 if words[index - 1].text == ":" else index - 1
            starts.append(words[before].position)
        elif word.text in ("}", ">") and word.kind == "symbol" and len(blocks) > 1:
            block, start = blocks.pop(), starts.pop()
            if block.get("type", "").strip("'\"") in ("Crop", "CROP", "40") and "crop_param" not in block:
                found.append(place(start))
        elif word.kind == "name":
            blocks[-1].setdefault(word.text, "".join(w.text for w in words[index + 2 : index + 3]))
    return found
