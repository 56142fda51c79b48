"""Names of ``theano.sparse`` that Aesara renamed."""

from __future__ import annotations

from typing import Any

import aesara.sparse
import aesara.sparse.type

__all__ = ["SparseType", "cast", "dot", "sqr"]

SparseType = aesara.sparse.type.SparseTensorType
sqr = aesara.sparse.sqr if hasattr(aesara.sparse, "sqr") else aesara.sparse.square


def cast(variable: Any, dtype: str) -> Any:
    return aesara.sparse.cast(variable, dtype)


def dot(x: Any, y: Any) -> Any:
    return aesara.sparse.dot(x, y)
