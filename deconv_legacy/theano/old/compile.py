"""Names of ``theano.compile``: Param, Rebroadcast, and what it brought in from elsewhere."""

from __future__ import annotations

import warnings
from typing import Any

from aesara.gradient import DisconnectedType
from aesara.graph.null_type import NullType
from aesara.scan.utils import ScanProfileStats

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old.tensor import Rebroadcast

__all__ = [
    "DisconnectedType",
    "NullType",
    "Param",
    "Rebroadcast",
    "ScanProfileStats",
    "check_equal",
    "generic_constructor",
    "register_checker",
]


def Param(
    variable: Any,
    default: Any = None,
    name: str | None = None,
    mutable: bool = False,
    strict: bool = False,
    allow_downcast: bool | None = None,
    implicit: bool | None = None,
    borrow: bool | None = None,
) -> Any:
    """The old name of ``theano.In``, with ``default`` for its ``value``."""
    return aesara.compile.In(
        variable,
        name=name,
        value=default,
        mutable=mutable,
        strict=strict,
        allow_downcast=allow_downcast,
        implicit=implicit,
        borrow=borrow,
    )


def generic_constructor(value: Any, name: str | None = None, strict: bool = False, allow_downcast: Any = None) -> Any:
    """A shared variable of any Python object."""
    return aesara.compile.SharedVariable(
        type=aesara.link.c.type.generic, value=value, name=name, strict=strict, allow_downcast=allow_downcast
    )


def check_equal(x: Any, y: Any) -> bool:
    """Whether two values are equal, element by element; false where they cannot be compared."""
    import numpy as np

    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return type(x) is type(y) and x.dtype == y.dtype and x.shape == y.shape and bool(np.all(abs(x - y) < 1e-10))
    return x == y


def register_checker(checker: Any) -> None:
    warnings.warn("register_checker has no effect: Aesara compares values by itself", stacklevel=2)
