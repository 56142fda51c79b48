"""protobuf's text format for any message, read with every problem placed; `_text_writing` writes it.

protobuf's own ``text_format`` stops at the first problem, prints floats and non-ASCII text differently from
C++ (and so from Caffe's own files), and both change with its version; hence this small reader.
The grammar, as C++ has it: ``name: value`` or ``name { ... }``, the colon optional before a block; ``< >``
for blocks; ``[a, b]`` for repeated fields; ``,`` and ``;`` after a field; ``#`` comments; adjacent strings join.
"""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from deconv_legacy.caffe._fields import Field, fields_of
from deconv_legacy.caffe._lexer import Token, places, tokens
from deconv_legacy.errors import FileFormatError

__all__ = ["parse_message"]

_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL)
_SIMPLE_ESCAPES = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"?": b"?", b"'": b"'", b'"': b'"',
}  # fmt: skip
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_CLOSING = {"{": "}", "<": ">"}
_FORK_HINT = "; forks of Caffe have it, and --forks reads it, in Python forks=True or read_net's allow_unknown=True"
_OTHER_KIND = {
    **{
        ("NetParameter", field): "; this is a solver, and its `net` or `train_net` names the net"
        for field in ("net", "train_net", "test_net", "base_lr", "lr_policy")
    },
    **{("SolverParameter", field): "; this is a net, not a solver" for field in ("layer", "layers", "input")},
}
"""(message, field) of what is taken for another kind of file -> what to say."""
_MAX_DEPTH = 100
_MAX_LISTED = 20
_MAX_PLACES = 4
_Entry = tuple[tuple[int, int], str]  # ((line, column), cause)


class _Problem(Exception):
    """A value that is wrong, at a token; the file can be read on after it."""

    def __init__(self, cause: str, token: Token):
        super().__init__(cause)
        self.token = token


class _SyntaxProblem(_Problem):
    """Nothing after this token can be understood."""


def parse_message(
    text: str,
    message: Any,
    *,
    path: object = None,
    allow_unknown: bool = False,
    is_foreign: Callable[..., bool] = lambda *names: False,
) -> Any:
    """Read text into a message, and return the message.

    Parameters
    ----------
    text
        The text; undecodable bytes of the file as surrogates (``errors="surrogateescape"``).
    message
        An empty message to fill.
    path
        The file, for errors.
    allow_unknown
        Skip unknown fields with one warning that lists them with line and column.
    is_foreign
        ``is_foreign(message name, field name[, enum value name])``: what a fork of the schema knows. It is
        named in that warning if the message has it, and in the error if not.

    Raises
    ------
    FileFormatError
        With line and column of the first problem; all problems are listed, up to the first one after which
        the text cannot be understood.
    """
    reader = _Reader(text, allow_unknown, is_foreign)
    reader.read(message)
    if reader.problems:
        listed = sorted(reader.problems)
        (line, column), cause = listed[0]
        if len(listed) > 1:
            cause = f"{cause}\n{len(listed)} problems in all:\n" + _listing(listed, path)
        raise FileFormatError(cause, path=path, line=line, column=column)
    if reader.foreign:
        file = "" if path is None else f"{path}: "
        warnings.warn(f"{file}not of BVLC Caffe:\n{_gathered(reader.foreign)}", stacklevel=4)
    return message


def _listing(entries: list[_Entry], path: object) -> str:
    prefix = "" if path is None else f"{path}:"
    lines = [f"  {prefix}{line}:{column}: {cause}" for (line, column), cause in entries[:_MAX_LISTED]]
    if len(entries) > _MAX_LISTED:
        lines.append(f"  and {len(entries) - _MAX_LISTED} more")
    return "\n".join(lines)


def _gathered(entries: list[_Entry]) -> str:
    """One line a cause, with its first places: a fork's field is in the file once a layer."""
    places: dict[str, list[str]] = {}
    for (line, column), cause in entries:
        places.setdefault(cause, []).append(f"{line}:{column}")
    return "\n".join(
        f"  {cause} at {', '.join(at[:_MAX_PLACES])}"
        + (f" and {len(at) - _MAX_PLACES} more" if len(at) > _MAX_PLACES else "")
        for cause, at in places.items()
    )


class _Reader:
    def __init__(self, text: str, allow_unknown: bool, is_foreign: Callable[..., bool]):
        self.text = text
        self.allow_unknown = allow_unknown
        self.is_foreign = is_foreign
        self.problems: list[_Entry] = []
        self.foreign: list[_Entry] = []
        self.tokens = list(tokens(text))
        self.place_of = places(text)
        self.index = 0
        self.depth = 0

    # Tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def place(self, token: Token) -> tuple[int, int]:
        return self.place_of(token.position)

    def take(self, *symbols: str) -> str | None:
        """Go past one of these symbols, if it is next."""
        kind, text, _ = self.token
        if kind == "symbol" and text in symbols:
            self.index += 1
            return text
        return None

    def unexpected(self, wanted: str) -> _SyntaxProblem:
        token = self.token
        if token.kind == "error":
            return _SyntaxProblem(token.text, token)
        found = "the end of the file" if token.kind == "end" else repr(token.text)
        return _SyntaxProblem(f"expected {wanted}, found {found}", token)

    def report(self, problem: _Problem) -> None:
        self.problems.append((self.place(problem.token), str(problem)))

    # Messages

    def read(self, message: Any) -> None:
        try:
            self.block(message, None, self.token)
        except _SyntaxProblem as problem:
            self.report(problem)

    def block(self, message: Any, closing: str | None, opening: Token) -> None:
        """The fields of a message up to its closing symbol, or to the end of the file."""
        fields, required = fields_of(message.DESCRIPTOR)
        seen: set[str] = set()
        while not (closing is not None and self.take(closing)):
            if self.token.kind == "end" and closing is None:
                break
            self.field(message, fields, seen, closing)
            self.take(";", ",")
        missing = [name for name in required if name not in seen]
        if missing:
            self.report(_Problem(f"{message.DESCRIPTOR.name} needs {' and '.join(missing)}", opening))

    def field(self, message: Any, fields: dict[str, Field], seen: set[str], closing: str | None) -> None:
        token = self.token
        if token.kind != "name":
            raise self.unexpected("a field name" if closing is None else f"a field name or {closing!r}")
        self.index += 1
        field = fields.get(token.text)
        if field is None:
            self.unknown_field(token, message.DESCRIPTOR, fields)
            return
        if self.is_foreign(message.DESCRIPTOR.name, field.name):
            self.foreign.append((self.place(token), f"{message.DESCRIPTOR.name}.{field.name} (of a fork; kept)"))
        if field.name in seen and not field.repeated:
            self.report(_Problem(f"{field.name!r} is given twice; it takes one value", token))
            message = type(message)()  # read the second value on, to find what else is wrong
        seen.add(field.name)

        if field.kind == "message":
            self.take(":")
        elif not self.take(":"):
            raise self.unexpected(f"':' after {field.name!r}")
        if field.repeated and self.take("["):
            while not self.take("]"):
                self.value(message, field)
                if not self.take(","):
                    if self.take("]"):
                        break
                    raise self.unexpected("',' or ']'")
        else:
            self.value(message, field)

    def value(self, message: Any, field: Field) -> None:
        opening = self.token
        if field.kind == "message":
            bracket = self.take(*_CLOSING)
            if bracket is None:
                raise self.unexpected(f"'{{' after {field.name!r}")
            holder = getattr(message, field.name)
            if field.repeated:
                child = holder.add()
            else:
                child = holder
                child.SetInParent()
            self.block(child, _CLOSING[bracket], opening)
            return
        start = self.index
        try:
            value = self.scalar(field)
        except _SyntaxProblem:
            raise
        except _Problem as problem:
            self.report(problem)
            self.index = start
            self.skip_value()
            return
        if field.repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    # Values

    def scalar(self, field: Field) -> Any:
        if field.kind in ("string", "bytes"):
            return self.string(field)
        if field.kind == "bool":
            return self.bool(field)
        if field.kind == "enum":
            return self.enum(field)
        first = self.token
        negative = self.take("-") is not None
        return (
            self.float(field, negative) if field.kind in ("float", "double") else self.integer(field, first, negative)
        )

    def integer(self, field: Field, first: Token, negative: bool) -> int:
        if self.token.kind != "integer":
            raise self.wrong(f"{field.name!r} takes an integer")
        if negative and field.low == 0:
            raise _Problem(f"{field.name!r} takes no negative number", first)
        value = _to_int(self.token.text) * (-1 if negative else 1)
        if not field.low <= value <= field.high:
            raise _Problem(f"{field.name!r} takes {field.low} to {field.high}, not {value}", first)
        self.index += 1
        return value

    def float(self, field: Field, negative: bool) -> float:
        kind, text, _ = self.token
        if kind == "float":
            value = float(text.rstrip("fF"))
        elif _DECIMAL.fullmatch(text) or text.lower() in ("inf", "infinity", "nan"):
            value = float(text)
        else:
            raise self.wrong(f"{field.name!r} takes a decimal number")
        self.index += 1
        value = -value if negative else value
        return ctypes.c_float(value).value if field.kind == "float" else value

    def bool(self, field: Field) -> bool:
        kind, text, _ = self.token
        value = _BOOLS.get(text) if kind == "name" else None
        if kind == "integer" and _to_int(text) in (0, 1):
            value = _to_int(text) == 1
        if value is None:
            raise self.wrong(f"{field.name!r} takes true or false")
        self.index += 1
        return value

    def enum(self, field: Field) -> int:
        enum = field.descriptor.enum_type
        message = field.descriptor.containing_type.name
        first = self.token
        if first.kind == "name":
            value = enum.values_by_name.get(first.text)
        else:
            negative = self.take("-") is not None
            if self.token.kind != "integer":
                raise self.wrong(f"{field.name!r} takes a value of {enum.name}")
            value = enum.values_by_number.get(_to_int(self.token.text) * (-1 if negative else 1))
        if value is None:
            text = self.token.text
            hint = _FORK_HINT if self.is_foreign(message, field.name, text) else _hint(text, enum.values_by_name)
            raise _Problem(f"{text!r} is no value of {enum.name}{hint}", first)
        if self.is_foreign(message, field.name, value.name):
            self.foreign.append((self.place(first), f"{enum.name} {value.name} (of a fork; kept)"))
        self.index += 1
        return value.number

    def string(self, field: Field) -> str | bytes:
        first = self.token
        if first.kind != "string":
            raise self.wrong(f"{field.name!r} takes a quoted string")
        parts = []
        while self.token.kind == "string":
            parts.append(_unescape(self.token))
            self.index += 1
        value = b"".join(parts)
        if field.kind == "bytes":
            return value
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise _Problem(f"{field.name!r}: the string is not UTF-8", first) from None

    def wrong(self, wanted: str) -> _Problem:
        """A value of the wrong kind; a missing value is a matter of syntax."""
        token = self.token
        if token.kind in ("end", "error") or (token.kind == "symbol" and token.text != "-"):
            return self.unexpected("a value")
        return _Problem(f"{wanted}, not {token.text}", token)

    # Unknown fields

    def unknown_field(self, token: Token, descriptor: Any, fields: Iterable[str]) -> None:
        cause = f"{descriptor.name} has no field {token.text!r}"
        if self.allow_unknown:
            self.foreign.append((self.place(token), f"{cause} (skipped)"))
        else:
            of_fork = self.is_foreign(descriptor.name, token.text)
            hint = (
                _FORK_HINT if of_fork else _OTHER_KIND.get((descriptor.name, token.text)) or _hint(token.text, fields)
            )
            self.report(_Problem(cause + hint, token))
        self.skip_field(token.text)

    def skip_field(self, name: str) -> None:
        """Past what follows a field's name."""
        colon = self.take(":")
        bracket = self.take(*_CLOSING)
        if bracket is not None:
            self.skip_block(_CLOSING[bracket])
        elif colon:
            self.skip_value()
        else:
            raise self.unexpected(f"':' or '{{' after {name!r}")

    def skip_block(self, closing: str) -> None:
        with self.deeper():
            while not self.take(closing):
                token = self.token
                if token.kind != "name":
                    raise self.unexpected(f"a field name or {closing!r}")
                self.index += 1
                self.skip_field(token.text)
                self.take(";", ",")

    def skip_list(self) -> None:
        with self.deeper():
            while not self.take("]"):
                bracket = self.take(*_CLOSING)
                if bracket is not None:
                    self.skip_block(_CLOSING[bracket])
                else:
                    self.skip_value()
                if not self.take(","):
                    if self.take("]"):
                        break
                    raise self.unexpected("',' or ']'")

    @contextlib.contextmanager
    def deeper(self) -> Iterator[None]:
        """Unknown fields nest without a schema to end it: stop before Python's stack does."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _SyntaxProblem(f"blocks are nested more than {_MAX_DEPTH} deep", self.token)
        yield
        self.depth -= 1

    def skip_value(self) -> None:
        if self.take("["):
            self.skip_list()
            return
        if self.token.kind == "string":
            while self.token.kind == "string":
                self.index += 1
            return
        self.take("-")
        if self.token.kind not in ("name", "integer", "float"):
            raise self.unexpected("a value")
        self.index += 1


def _to_int(text: str) -> int:
    if len(text) > 30:
        return 1 << 70  # beyond every field, and int() refuses very long decimals
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return int(text, 8 if text.startswith("0") else 10)


def _unescape(token: Token) -> bytes:
    def replace(match: re.Match[bytes]) -> bytes:
        octal, digits, short, long, other = match.groups()
        if octal is not None:
            return bytes([int(octal, 8) & 0xFF])
        if digits is not None:
            return bytes([int(digits, 16)])
        if other is not None:
            if other not in _SIMPLE_ESCAPES:
                raise _Problem(f"unknown escape {match.group().decode(errors='replace')!r} in a string", token)
            return _SIMPLE_ESCAPES[other]
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise _Problem(f"{match.group().decode()} is no character", token)
        return chr(code).encode()

    try:
        raw = token.text[1:-1].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _Problem("the string is not UTF-8", token) from None
    return _ESCAPE.sub(replace, raw)


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 3) or difflib.get_close_matches(name.upper(), known, 3)
    return f"; near names: {', '.join(near)}" if near else ""
