"""The part of ``six`` that came with Theano as ``theano.compat.six``, for Python 3."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "PY2",
    "PY3",
    "BytesIO",
    "StringIO",
    "add_metaclass",
    "b",
    "binary_type",
    "class_types",
    "integer_types",
    "iteritems",
    "iterkeys",
    "itervalues",
    "next",
    "reraise",
    "string_types",
    "text_type",
    "u",
    "with_metaclass",
]

PY2, PY3 = False, True
string_types, integer_types, class_types = (str,), (int,), (type,)
text_type, binary_type = str, bytes
StringIO, BytesIO = io.StringIO, io.BytesIO
next = next


def iterkeys(mapping: Any) -> Iterator[Any]:
    return iter(mapping.keys())


def itervalues(mapping: Any) -> Iterator[Any]:
    return iter(mapping.values())


def iteritems(mapping: Any) -> Iterator[Any]:
    return iter(mapping.items())


def b(text: str) -> bytes:
    return text.encode("latin-1")


def u(text: str) -> str:
    return text


def reraise(kind: Any, value: BaseException | None, traceback: Any = None) -> None:
    raise (kind() if value is None else value).with_traceback(traceback)


def with_metaclass(meta: type, *bases: type) -> type:
    """A base class that gives its children the metaclass."""
    return meta("with_metaclass", bases or (object,), {})


def add_metaclass(metaclass: type) -> Callable[[type], type]:
    """A class decorator that gives the class the metaclass."""

    def decorate(cls: type) -> type:
        body = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
        return metaclass(cls.__name__, cls.__bases__, body)

    return decorate
