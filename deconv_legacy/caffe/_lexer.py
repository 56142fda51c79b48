"""The words of protobuf's text format, and where in the text they stand."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Place", "Token", "places", "tokens", "type_places"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\v\f]+|\#[^\n]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>\.?[0-9](?:[eE][+-]|[A-Za-z0-9_.])*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<symbol>[{}<>\[\]:;,-])""",
    re.VERBOSE,
)
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_FLOAT = re.compile(r"(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?")

Place = tuple[int, int]
"""Line and column, counted from 1."""


class Token(NamedTuple):
    kind: str  # "name", "integer", "float", "string", "symbol", "end" or "error" (text says what is wrong)
    text: str
    position: int


def tokens(text: str) -> Iterator[Token]:
    """All of them, up to "end"; after an "error" nothing else is read."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            yield Token("error", _lexical_error(text[position]), position)
            break
        kind, found = match.lastgroup or "", match.group()
        if kind == "number":
            kind = "integer" if _INTEGER.fullmatch(found) else "float" if _FLOAT.fullmatch(found) else "error"
            if kind == "error":
                found = f"{found!r} is no number"
        if kind != "space":
            yield Token(kind, found, position)
        position = match.end()
    yield Token("end", "", len(text))


def _lexical_error(character: str) -> str:
    if character in "\"'":
        return "the string does not end on its line"
    return f"unexpected character {character!r}"


def places(text: str) -> Callable[[int], Place]:
    """From a position in the text to its place."""
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(position: int) -> Place:
        line = bisect.bisect_right(line_starts, position)
        return line, position - line_starts[line - 1] + 1

    return place


def type_places(text: str) -> dict[tuple[str, str], list[Place]]:
    """Where each block says its type: ``(name, type)``, as they are written, to the places of its type.

    >>> type_places('layer { type: "ReLU" name: "a" }')
    {('a', 'ReLU'): [(1, 15)]}
    """
    place, found = places(text), dict[tuple[str, str], list[Place]]()
    blocks: list[dict[str, Token]] = [{}]
    words = list(tokens(text))
    for index, token in enumerate(words):
        if token.kind == "symbol" and token.text in "{<":
            blocks.append({})
        elif token.kind == "symbol" and token.text in "}>" and len(blocks) > 1:
            block = blocks.pop()
            if "type" in block:
                name = block["name"].text[1:-1] if "name" in block else ""
                found.setdefault((name, block["type"].text[1:-1]), []).append(place(block["type"].position))
        elif token.kind == "string" and [word.text for word in words[index - 1 : index]] == [":"]:
            blocks[-1][words[index - 2].text] = token
    return found
