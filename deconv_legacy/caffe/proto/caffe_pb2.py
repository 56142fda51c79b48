"""The messages of ``caffe.proto`` under the names of protoc's module; built when first asked for.

>>> from deconv_legacy.caffe.proto import caffe_pb2
>>> caffe_pb2.LayerParameter(name="up").name, caffe_pb2.TEST
('up', 1)
"""

from __future__ import annotations

from typing import Any

from deconv_legacy.caffe.schema import messages


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return getattr(messages(), name)
    except AttributeError:
        raise AttributeError(f"caffe.proto has no message or enum value {name!r}") from None


def __dir__() -> list[str]:
    return sorted(vars(messages()))
