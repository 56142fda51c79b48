"""Aesara 2.9 on NumPy 2 and Python 3.13, which its last release knows nothing of.

`apply` gives the ``numpy`` module the few names back that Aesara reads and NumPy 2 dropped; C code gets a header with
those of NumPy 1. It runs only where NumPy 2 is found. Every library of the process sees the names: one that tells NumPy
1 from 2 by such a name, rather than by ``numpy.__version__``, would be misled.

Two Ops are left to Aesara's NumPy code: scan (its C extension is Cython for NumPy 1), and increments at a vector of
indices. Complex numbers in C code are not supported. Constants keep the dtypes that they have with NumPy 1: Aesara
compares a number with its float32, and NumPy 2 finds ``0.1 == np.float32(0.1)``.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CXXFLAGS", "NAMES", "apply", "found", "mend"]

_HEADER = Path(__file__).parent / "c" / "numpy2.h"

CXXFLAGS = f"-include {_HEADER} -DNPY_TARGET_VERSION=NPY_2_0_API_VERSION"
"""For g++: the names of NumPy 1, and fields of dtypes that NumPy shows only to code that names version 2."""


def found() -> bool:
    """Whether this is NumPy 2 or later."""
    return int(np.__version__.split(".")[0]) >= 2


class _Cast(dict):
    """``np.cast[dtype](x)``."""

    def __missing__(self, dtype: Any) -> Any:
        return lambda x: np.asarray(x).astype(getattr(dtype, "dtype", dtype))


def _obj2sctype(rep: Any, default: Any = None) -> Any:
    try:
        return np.dtype(rep).type
    except TypeError:
        return default


NAMES: dict[str, Any] = {
    "AxisError": np.exceptions.AxisError,
    "ComplexWarning": np.exceptions.ComplexWarning,
    "MAXDIMS": 64,
    "cast": _Cast(),
    "obj2sctype": _obj2sctype,
    "sctype2char": lambda dtype: np.dtype(dtype).char,
}
"""What Aesara reads of ``numpy``, and NumPy 2 dropped."""


def apply() -> None:
    """Give ``numpy`` the names, as far as it does not have them."""
    for name, value in NAMES.items():
        if name not in vars(np):
            setattr(np, name, value)


def _exact(config: Any, autocast: Any) -> Any:
    """`autocast`, Aesara's choice of a number's dtype, with exact comparison: a Python float takes the first dtype that
    holds it. NumPy 2 rounds it to the array's dtype before it compares, so that each would take the first of all."""

    def exact(self: Any, x: Any) -> np.ndarray:
        by_floatx = config.floatX != "float64" and config.floatX in self.dtypes
        if type(x) is not float or config.cast_policy != "custom" or by_floatx:
            return autocast(self, x)
        candidates = [np.asarray(x).astype(dtype) for dtype in self.dtypes if dtype != "float16"]
        return next((value for value in candidates if float(value) == x), candidates[-1])

    return exact


def _with_an_axis(c_code: Any) -> Any:
    """An Op's C code, which says "no axis" by NumPy 1's largest number of axes."""

    def checked(self: Any, *args: Any, **kwargs: Any) -> str:
        if self.axis is None:
            raise NotImplementedError("without an axis its C code is for NumPy 1")
        return c_code(self, *args, **kwargs)

    return checked


def _by_a_wide_mask(next_value: Any) -> Any:
    """MRG's step in Python, whose mask of 32 bits is no int32: NumPy 1 took the larger dtype, NumPy 2 refuses."""

    def step(rstate: Any, new_rstate: Any, NORM: Any, mask: int, offset: int) -> Any:
        return next_value(rstate, new_rstate, NORM, np.int64(mask), offset)

    return step


def mend(aesara: Any) -> None:
    """After Aesara's import: the old place of NumPy's core without its warning at each use, NumPy code where
    C code cannot be mended, MRG in Python, and flags for g++."""
    np.core = np._core  # type: ignore[attr-defined]

    def no_c_code(*args: Any, **kwargs: Any) -> str:
        raise NotImplementedError("its C code is for NumPy 1")

    aesara.tensor.subtensor.AdvancedIncSubtensor1.c_code = no_c_code
    for op in (aesara.tensor.extra_ops.CumOp, aesara.tensor.special.Softmax, aesara.tensor.special.SoftmaxGrad,
               aesara.tensor.special.LogSoftmax):  # fmt: skip
        op.c_code = _with_an_axis(op.c_code)
    aesara.scalar.basic.NumpyAutocaster.__call__ = _exact(aesara.config, aesara.scalar.basic.NumpyAutocaster.__call__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the module announces its end
        rng_mrg: Any = importlib.import_module("aesara.sandbox.rng_mrg")
    rng_mrg.mrg_next_value = _by_a_wide_mask(rng_mrg.mrg_next_value)
    sys.modules["aesara.scan.scan_perform_ext"] = None  # type: ignore[assignment] # scan takes it for not installed
    flags = aesara.config.gcc__cxxflags
    if CXXFLAGS not in flags:
        aesara.config.gcc__cxxflags = f"{flags} {CXXFLAGS}".strip()
