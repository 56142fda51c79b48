"""protobuf's binary format, field by field over a buffer: for files too large to be parsed into messages.

A caffemodel is mostly floats. Walking its fields gives them as views of the mapped file, without protobuf's
limit of 2 GB, and says where and in which layer a damaged file breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "BYTES",
    "VARINT",
    "Field",
    "WireError",
    "field",
    "fields",
    "numbers",
    "signed",
    "varint",
    "varints",
    "without",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {FIXED64: 8, FIXED32: 4}
_RUN = 1 << 20


class WireError(Exception):
    """Bytes that are no protobuf; ``inside`` is the (field number, start) of a field cut short by the end."""

    def __init__(self, cause: str, position: int, inside: tuple[int, int] | None = None):
        super().__init__(f"{cause} (at byte {position:,})")
        self.inside = inside


class Field(NamedTuple):
    """One field: ``buffer[start:end]`` is its content, ``buffer[key:end]`` all of it.

    A run of ``length`` unpacked numbers of one field comes as one, from the first key to the last value.
    """

    number: int
    kind: int
    key: int
    start: int
    end: int
    value: int = 0  # of a VARINT, unsigned
    length: int = 1


def fields(buffer: Any, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``buffer[start:end]``."""
    position = start
    while position < end:
        key = position
        tag, position = _read_varint(buffer, position, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("field number 0", key)
        if kind == VARINT:
            value, stop = _read_varint(buffer, position, end)
            yield Field(number, kind, key, position, stop, value)
        elif kind == BYTES:
            size, position = _read_varint(buffer, position, end)
            stop = position + size
            if stop > end:
                raise WireError(
                    f"field {number} needs {size:,} bytes, {end - position:,} are left",
                    key,
                    (number, position),
                )
            yield Field(number, kind, key, position, stop)
        elif kind in _FIXED_SIZE:
            size = _FIXED_SIZE[kind]
            if position + size > end:
                raise WireError(f"field {number} needs {size} bytes, {end - position} are left", key)
            count = _run_length(buffer, key, end, size + 1) if position == key + 1 else 1
            stop = position + size + (count - 1) * (size + 1)
            yield Field(number, kind, key, position, stop, length=count)
        else:
            raise WireError(f"wire type {kind}", key)
        position = stop


def numbers(buffer: Any, field: Field, dtype: str) -> np.ndarray:
    """The floats of a field, packed or a run of unpacked ones; a view of the buffer."""
    item = np.dtype(dtype)
    if field.kind == BYTES:
        size = field.end - field.start
        if size % item.itemsize:
            raise WireError(f"{size:,} bytes are no whole number of {item.itemsize}-byte floats", field.key)
        return np.frombuffer(buffer, item, size // item.itemsize, field.start)
    if _FIXED_SIZE.get(field.kind) != item.itemsize:
        raise WireError(f"field {field.number} has wire type {field.kind}, not floats", field.key)
    if field.length == 1:
        return np.frombuffer(buffer, item, 1, field.start)
    record = np.dtype({"names": ["value"], "formats": [item], "offsets": [1], "itemsize": item.itemsize + 1})
    return np.frombuffer(buffer, record, field.length, field.key)["value"]


def signed(value: int) -> int:
    """An int32 or int64 from its varint."""
    return value - (1 << 64) if value >> 63 else value


def varints(buffer: Any, field: Field, most: int) -> list[int]:
    """The integers of a field, packed or a single unpacked one; a few more than ``most`` at the most."""
    if field.kind == VARINT:
        return [signed(field.value)]
    if field.kind != BYTES:
        raise WireError(f"field {field.number} has wire type {field.kind}, not integers", field.key)
    result: list[int] = []
    position = field.start
    while position < field.end and len(result) <= most:
        value, position = _read_varint(buffer, position, field.end)
        result.append(signed(value))
    return result


def without(buffer: Any, start: int, end: int, tree: Mapping[int, Any]) -> bytes:
    """A copy of the message in ``buffer[start:end]`` without some fields.

    ``tree`` maps a field number to None (leave the field out) or to the tree of the message in it.
    """
    result = bytearray()
    for part in fields(buffer, start, end):
        inner = tree.get(part.number, {})
        if inner is None:
            continue
        if inner and part.kind == BYTES:
            result += field(part.number, without(buffer, part.start, part.end, inner))
        else:
            result += buffer[part.key : part.end]
    return bytes(result)


def varint(value: int) -> bytes:
    """A number of 0 to 2**64 - 1 as a varint."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def _read_varint(buffer: Any, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise WireError("a number is cut short", position)
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, position
    raise WireError("a number of more than ten bytes", position)


def _run_length(buffer: Any, key: int, end: int, stride: int) -> int:
    """How many whole records of ``stride`` bytes follow one another, each led by the byte at ``key``."""
    total = (end - key) // stride
    done = 0
    step = 1
    while done < total:
        count = min(step, total - done)
        records = np.frombuffer(buffer, np.uint8, count * stride, key + done * stride)[::stride]
        same = records == buffer[key]
        if not same.all():
            return done + int(same.argmin())
        done += count
        step = min(2 * step, _RUN)
    return total
