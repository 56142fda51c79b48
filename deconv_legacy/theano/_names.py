"""Names of Python 2.7's, NumPy 1's and SciPy 1.1's modules that are no more, and what they were; the same of arrays'
methods, and of modules that moved as a whole."""

from __future__ import annotations

import builtins
import collections.abc
import inspect
import time
import types
import warnings
from typing import Any

import numpy as np

from deconv_legacy.theano import _scipy_misc

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import scipy.misc

__all__ = ["METHODS", "MODULES", "NAMES"]

ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")


def _getargspec(function: Any) -> Any:
    """The first four fields of ``inspect.getfullargspec``, as Python 2 named them."""
    return ArgSpec(*inspect.getfullargspec(function)[:4])


def _asfarray(a: Any, dtype: Any = np.float64) -> np.ndarray:
    return np.asarray(a, dtype if np.issubdtype(dtype, np.inexact) else np.float64)


def _in1d(a: Any, b: Any, *args: Any, **options: Any) -> np.ndarray:
    return np.isin(np.ravel(a), b, *args, **options)


_NUMPY = {
    # until 1.24
    **{name: getattr(builtins, name) for name in ("bool", "int", "float", "complex", "object", "str")},
    "long": int,
    "unicode": str,
    "asscalar": lambda a: a.item(),
    # until 2
    **dict.fromkeys(("Inf", "Infinity", "PINF", "infty"), np.inf),
    **dict.fromkeys(("NaN", "NAN"), np.nan),
    "NINF": -np.inf,
    "float_": np.float64,
    "complex_": np.complex128,
    "string_": np.bytes_,
    "unicode_": np.str_,
    "alltrue": np.all,
    "asfarray": _asfarray,
    "cumproduct": np.cumprod,
    "in1d": _in1d,
    "mat": np.asmatrix,
    "msort": lambda a: np.sort(a, axis=0),
    "product": np.prod,
    "round_": np.round,
    "row_stack": np.vstack,
    "sometrue": np.any,
    "trapz": getattr(np, "trapezoid", None),
}

NAMES: dict[str, tuple[types.ModuleType, dict[str, Any]]] = {
    "collections": (collections, {name: getattr(collections.abc, name) for name in collections.abc.__all__}),
    "numpy": (np, _NUMPY),
    "inspect": (inspect, {"getargspec": _getargspec}),
    "time": (time, {"clock": time.perf_counter}),
    "scipy": (scipy.misc, _scipy_misc.NAMES),
}
"""By bridge: the module, and what stands in for each name that it may have lost."""


def _itemset(a: np.ndarray, *args: Any) -> None:
    *place, value = args
    if not place:
        a[...] = value
    elif len(place) == 1 and not isinstance(place[0], tuple):
        a.flat[place[0]] = value
    else:
        a[tuple(place) if len(place) > 1 else place[0]] = value


METHODS: dict[str, Any] = {
    "itemset": _itemset,
    "newbyteorder": lambda a, *order: a.view(a.dtype.newbyteorder(*order)),
    "ptp": np.ptp,
    "tostring": lambda a, order="C": a.tobytes(order),
}
"""Methods of arrays that NumPy 2 dropped."""

MODULES = {"sklearn.externals.joblib": "joblib", "sklearn.cross_validation": "sklearn.model_selection"}
"""Modules that are no more, and those that have their functions."""
