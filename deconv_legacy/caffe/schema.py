"""The messages of ``caffe.proto``, built at run time from a table: no protoc, no generated code.

``messages()`` is the counterpart of ``caffe.proto.caffe_pb2``: a namespace of message classes
(``messages().NetParameter``), with the enum of the package and its values (``Phase``, ``TRAIN``, ``TEST``).
It works with protobuf 4.25 to 7, in a descriptor pool of its own, so that it never collides with a real
``caffe_pb2`` in the same process.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterator
from typing import Any

from deconv_legacy.caffe import _schema_table
from deconv_legacy.caffe._text_writing import format_message
from deconv_legacy.errors import MissingExtraError

__all__ = ["is_fork", "messages"]

_SCALARS = ("double", "float", "int64", "int32", "uint64", "uint32", "bool", "string", "bytes")
_FIELD = re.compile(r"(\d+) (\w+) (\w+)([*+!]?)(?: = ?(.*))?")


def messages(forks: bool = False) -> Any:
    """The message classes of Caffe.

    Parameters
    ----------
    forks
        Also know the fields and enum values which HED, DeconvNet, SegNet, ENet, DeepLab and PSPNet added
        (``hole``, ``bn_param``, ``upsample_param``, V1's ``CROP`` = 40, ...). The classes are then others:
        the two sets do not mix.

    Returns
    -------
    types.SimpleNamespace
        Attributes named as in ``caffe_pb2``. ``str(message)`` is the text format as C++ prints it.

    Raises
    ------
    MissingExtraError
        protobuf is not installed.

    Examples
    --------
    >>> pb = messages()
    >>> layer = pb.LayerParameter(name="up", type="Deconvolution", bottom=["score"], top=["up"])
    >>> layer.convolution_param.stride.append(32)
    >>> print(layer)
    name: "up"
    type: "Deconvolution"
    bottom: "score"
    top: "up"
    convolution_param {
      stride: 32
    }
    <BLANKLINE>
    """
    return _build(forks)


@functools.cache
def _build(forks: bool) -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        from google.protobuf.internal import enum_type_wrapper
    except ImportError as error:
        raise MissingExtraError("protobuf", "caffe", "reading and writing Caffe's files") from error

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for table in (_schema_table.BVLC, _schema_table.FORKS) if forks else (_schema_table.BVLC,):
        _extend(file, table)
    _resolve(file)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    names: dict[str, Any] = {"DESCRIPTOR": pool.FindFileByName(file.name)}
    for message in file.message_type:
        cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{message.name}"))
        cls.__str__ = format_message  # protobuf's own differ: floats in pure Python, non-ASCII in upb
        names[message.name] = cls
    for enum in file.enum_type:
        names[enum.name] = enum_type_wrapper.EnumTypeWrapper(pool.FindEnumTypeByName(f"caffe.{enum.name}"))
        names.update((value.name, value.number) for value in enum.value)
    return types.SimpleNamespace(**names)


def is_fork(message: str, field: str, value: str | None = None) -> bool:
    """Whether a field of one of Caffe's messages, or a value of the field's enum, is an addition of the forks.

    >>> is_fork("ConvolutionParameter", "hole"), is_fork("ConvolutionParameter", "dilation")
    (True, False)
    >>> is_fork("V1LayerParameter", "type", "CROP")
    True
    """
    original = getattr(messages(), message, None)
    if original is None:  # a message that is theirs altogether
        return False
    ours = original.DESCRIPTOR.fields_by_name.get(field)
    theirs = getattr(messages(forks=True), message).DESCRIPTOR.fields_by_name.get(field)
    if value is None or ours is None or theirs is None:
        return ours is None and theirs is not None
    return value in theirs.enum_type.values_by_name and value not in ours.enum_type.values_by_name


def _paragraphs(table: str) -> Iterator[tuple[str, list[str]]]:
    """(heading, statements) of each message or enum of a table."""
    heading = ""
    body: list[str] = []
    for line in table.splitlines():
        text = line.partition("#")[0].rstrip()
        if text and not text.startswith(" "):
            if heading:
                yield heading, body
            heading, body = text, []
        elif text:
            body += [part.strip() for part in text.split(";") if part.strip()]
    yield heading, body


def _extend(file: Any, table: str) -> None:
    """Add the messages of a table to a FileDescriptorProto; those that are there get the new fields."""
    there = {message.name: message for message in file.message_type}
    for heading, body in _paragraphs(table):
        if heading.startswith("enum "):
            _add_enum(file.enum_type, heading)
            continue
        message = there.get(heading) or file.message_type.add(name=heading)
        for statement in body:
            if statement.startswith("enum "):
                _add_enum(message.enum_type, statement)
                continue
            match = _FIELD.fullmatch(statement)
            assert match is not None, statement
            number, name, kind, label, default = match.groups()
            field = message.field.add(name=name, number=int(number))
            field.label = {"": field.LABEL_OPTIONAL, "!": field.LABEL_REQUIRED}.get(label, field.LABEL_REPEATED)
            if label == "+":
                field.options.packed = True
            if default is not None:
                field.default_value = default
            if kind in _SCALARS:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
            else:
                field.type_name = kind


def _add_enum(enums: Any, statement: str) -> None:
    _, name, *values = statement.split()
    enum = next((enum for enum in enums if enum.name == name), None) or enums.add(name=name)
    for value in values:
        label, _, number = value.partition("=")
        enum.value.add(name=label, number=int(number))


def _resolve(file: Any) -> None:
    """Give fields of message and enum types their full type names, innermost scope first, as protoc does."""
    enums = {enum.name for enum in file.enum_type}
    for message in file.message_type:
        nested = {enum.name for enum in message.enum_type}
        for field in message.field:
            if not field.type_name:
                continue
            scope = f"{message.name}." if field.type_name in nested else ""
            is_enum = field.type_name in nested or field.type_name in enums
            field.type = field.TYPE_ENUM if is_enum else field.TYPE_MESSAGE
            field.type_name = f".caffe.{scope}{field.type_name}"
