"""Names of ``theano.sandbox.linalg``: old homes of linear algebra, and hints that nothing reads any more."""

from __future__ import annotations

from typing import Any

from aesara.tensor.nlinalg import det, matrix_inverse, trace

from deconv_legacy.theano.old.tensor import AllocDiag, ExtractDiag, alloc_diag, diag, extract_diag

__all__ = [
    "AllocDiag",
    "ExtractDiag",
    "alloc_diag",
    "det",
    "diag",
    "extract_diag",
    "hints",
    "matrix_inverse",
    "psd",
    "trace",
]


def hints(variable: Any) -> dict[str, bool]:
    return {}


def psd(v: Any) -> Any:
    """The matrix as it is; that it is positive semi-definite is not used."""
    return v
