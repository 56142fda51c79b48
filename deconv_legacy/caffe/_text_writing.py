"""protobuf's text format for any message, written byte for byte as C++ prints it."""

from __future__ import annotations

import ctypes
from typing import Any

from deconv_legacy.caffe._fields import Field, fields_of

__all__ = ["check_strings", "format_message"]


def format_message(message: Any, indent: str = "") -> str:
    """A message in text format, byte for byte as C++ prints it: fields in the order of their numbers, floats
    with 6 digits or, where these give another value, 9, enums by name, strings with C escapes.

    >>> from deconv_legacy.caffe.schema import messages
    >>> format_message(messages().ParamSpec(lr_mult=0.1, decay_mult=1e-5, name="it's"))
    'name: "it\\\\\\'s"\\nlr_mult: 0.1\\ndecay_mult: 1e-05\\n'
    """
    lines: list[str] = []
    fields, _ = fields_of(message.DESCRIPTOR)
    for descriptor, holder in message.ListFields():
        field = fields[descriptor.name]
        for value in holder if field.repeated else (holder,):
            if field.kind == "message":
                lines.append(f"{indent}{field.name} {{\n{format_message(value, indent + '  ')}{indent}}}\n")
            else:
                lines.append(f"{indent}{field.name}: {_format_value(field, value)}\n")
    return "".join(lines)


def check_strings(message: Any) -> None:
    """Raise UnicodeDecodeError for a string that is no text; protobuf reads such ones from binary as bytes."""
    fields, _ = fields_of(message.DESCRIPTOR)
    for descriptor, holder in message.ListFields():
        field = fields[descriptor.name]
        for value in holder if field.repeated else (holder,):
            if field.kind == "message":
                check_strings(value)
            elif field.kind == "string" and isinstance(value, bytes):
                value.decode()


def _format_value(field: Field, value: Any) -> str:
    if field.kind == "float":
        short = f"{value:.6g}"
        return short if ctypes.c_float(float(short)).value == value else f"{value:.9g}"
    if field.kind == "double":
        short = f"{value:.15g}"
        return short if float(short) == value else f"{value:.17g}"
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "enum":
        known = field.descriptor.enum_type.values_by_number.get(value)
        return str(value) if known is None else known.name
    if field.kind in ("string", "bytes"):
        raw = value.encode() if isinstance(value, str) else value
        return '"' + "".join(_ESCAPED[byte] for byte in raw) + '"'
    return str(value)


_ESCAPED = [chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in range(256)]
for _byte, _written in (
    (b"\n", "\\n"),
    (b"\r", "\\r"),
    (b"\t", "\\t"),
    (b'"', '\\"'),
    (b"'", "\\'"),
    (b"\\", "\\\\"),
):
    _ESCAPED[_byte[0]] = _written
