"""What protobuf's descriptors say about the fields of a message, for reading and writing text."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

__all__ = ["Field", "fields_of"]


class Field(NamedTuple):
    descriptor: Any
    name: str
    kind: str  # "message", "enum", "bool", "string", "bytes", "float" or "integer"
    repeated: bool
    low: int = 0
    high: int = 0


@functools.cache
def fields_of(descriptor: Any) -> tuple[dict[str, Field], tuple[str, ...]]:
    """(the fields by name, the names of the required ones) of a message."""
    fields, required = {}, []
    for field in descriptor.fields:
        if hasattr(field, "is_repeated"):
            repeated, needed = field.is_repeated, field.is_required
        else:  # protobuf before 6.31; `label` warns after it
            repeated, needed = field.label == field.LABEL_REPEATED, field.label == field.LABEL_REQUIRED
        low = high = 0
        if field.message_type is not None:
            kind = "message"
        elif field.enum_type is not None:
            kind = "enum"
        elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            kind = "string" if field.type == field.TYPE_STRING else "bytes"
        elif field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
            kind = "float" if field.type == field.TYPE_FLOAT else "double"
        elif field.type == field.TYPE_BOOL:
            kind = "bool"
        else:
            kind = "integer"
            bits = 32 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else 64
            signed = field.type in (field.TYPE_INT32, field.TYPE_INT64)
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        fields[field.name] = Field(field, field.name, kind, repeated, low, high)
        if needed:
            required.append(field.name)
    return fields, tuple(required)
