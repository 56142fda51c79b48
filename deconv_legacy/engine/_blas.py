"""Which BLAS does the work, and where its functions lie.

Aesara's own Ops link with ``config.blas__ldflags``; ours take function addresses from here when they are loaded, so
that compiled code neither names a library nor depends on a virtual environment. The order of search:

1. what the user wrote in ``AESARA_FLAGS`` or ``.aesararc``, whatever it is;
2. the OpenBLAS that scipy's wheel carries: always there with pip, fast, the same on every machine;
3. what Aesara detects (conda, MKL, a system's BLAS);
4. nothing: Aesara uses NumPy's BLAS through its C API, ours use scipy's ``cython_blas``.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._blas_flags import scipy_openblas

__all__ = ["Blas", "addresses", "find"]


@dataclass(frozen=True)
class Blas:
    """A BLAS library: its name, where it was found, and the addresses of what we call (0: it has none)."""

    name: str
    path: str
    sgemm: int
    dgemm: int
    get_threads: int
    set_threads: int


def _library_of(ldflags: str) -> str | None:
    """The file that ``-L... -l...`` flags name, as far as it has a gemm."""
    tokens = ldflags.split()
    folders = [token[2:] for token in tokens if token.startswith("-L")]
    for token in tokens:
        if not token.startswith("-l"):
            continue
        name = token[2:]
        files = [name[1:]] if name.startswith(":") else [f"lib{name}.so", f"lib{name}.dylib"]
        candidates = [str(Path(folder, file)) for folder in folders for file in files]
        found = ctypes.util.find_library(name.lstrip(":"))
        for candidate in [*candidates, *([found] if found else []), *files]:
            try:
                if hasattr(ctypes.CDLL(candidate), "sgemm_"):
                    return candidate
            except OSError:
                continue
    return None


def _address(library: ctypes.CDLL, *names: str) -> int:
    for name in names:
        if hasattr(library, name):
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    return 0


def _from_library(path: str) -> Blas | None:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return None
    sgemm, dgemm = (_address(library, f"{name}_", f"scipy_{name}_") for name in ("sgemm", "dgemm"))
    if not (sgemm and dgemm):
        return None
    prefixes = ("openblas_", "scipy_openblas_")
    return Blas(
        name="OpenBLAS" if "openblas" in Path(path).name.lower() else Path(path).name,
        path=path,
        sgemm=sgemm,
        dgemm=dgemm,
        get_threads=_address(library, *(f"{p}get_num_threads" for p in prefixes)),
        set_threads=_address(library, *(f"{p}set_num_threads" for p in prefixes)),
    )


def _from_cython() -> Blas:
    import scipy.linalg.cython_blas as cython_blas

    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    sgemm, dgemm = (
        get_pointer(capsule, get_name(capsule))
        for capsule in (cython_blas.__pyx_capi__[name] for name in ("sgemm", "dgemm"))
    )
    return Blas("scipy.linalg.cython_blas", cython_blas.__file__, sgemm, dgemm, 0, 0)


@functools.cache
def find() -> Blas:
    """The BLAS that the engine's Ops call."""
    path = _library_of(aesara.config.blas__ldflags)
    openblas = scipy_openblas() if path is None else None
    for candidate in (path, None if openblas is None else str(openblas)):
        if candidate and (blas := _from_library(candidate)):
            return blas
    return _from_cython()


# lock, users, threads before: shared by every compiled module of the process, see c/blas.h
_STATE = np.zeros(3, np.int64)


def addresses() -> tuple[int, int, int, int, int]:
    """What the compiled modules read when they are loaded: sgemm, dgemm, get_threads, set_threads, state."""
    blas = find()
    able = blas.get_threads and blas.set_threads
    return (
        blas.sgemm,
        blas.dgemm,
        blas.get_threads if able else 0,
        blas.set_threads if able else 0,
        _STATE.ctypes.data,
    )
