"""`install`: makes ``import caffe`` mean this package, on request."""

from __future__ import annotations

import importlib
import sys

from deconv_legacy.errors import MismatchError

__all__ = ["install", "uninstall"]

_NAME = "deconv_legacy.caffe"
_MODULES = ("classifier", "coord_map", "detector", "draw", "io", "net_spec", "proto", "proto.caffe_pb2")
_PACKAGE = ("pycaffe", "_caffe")  # modules of pycaffe whose names are all the package's


def install() -> None:
    """Make ``import caffe``, ``from caffe import layers as L``, ``caffe.proto.caffe_pb2``, ... mean ours.

    Raises
    ------
    MismatchError
        Another caffe is imported already.
    """
    ours = importlib.import_module(_NAME)
    there = sys.modules.get("caffe")
    if there is not None and there is not ours:
        raise MismatchError(f"another caffe is imported already, from {getattr(there, '__file__', None)}")
    sys.modules["caffe"] = ours
    for name in _MODULES:
        sys.modules[f"caffe.{name}"] = importlib.import_module(f"{_NAME}.{name}")
    for name in _PACKAGE:
        sys.modules[f"caffe.{name}"] = ours


def uninstall() -> None:
    """Undo `install`."""
    ours = importlib.import_module(_NAME)
    if sys.modules.get("caffe") is ours:
        for name in ("caffe", *(f"caffe.{name}" for name in (*_MODULES, *_PACKAGE))):
            sys.modules.pop(name, None)
