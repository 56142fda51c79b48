"""Names of ``theano.scalar`` that Aesara renamed."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy.engine import aesara

__all__ = [
    "IntDiv",
    "Inv",
    "Maximum",
    "Minimum",
    "Scalar",
    "Sqr",
    "TrueDiv",
    "abs_",
    "div_proxy",
    "int_div",
    "int_or_true_div",
    "inv",
    "maximum",
    "minimum",
    "sqr",
    "true_div",
]

basic = aesara.scalar.basic

Scalar = basic.ScalarType
abs_ = basic.abs
inv, sqr, true_div, int_div = basic.reciprocal, basic.sqr, basic.true_divide, basic.floor_divide
maximum, minimum = basic.scalar_maximum, basic.scalar_minimum
Maximum, Minimum = type(maximum), type(minimum)
Inv, Sqr, TrueDiv, IntDiv = type(inv), type(sqr), type(true_div), type(int_div)


def int_or_true_div(x_discrete: bool, y_discrete: bool) -> Any:
    """The division that Python 2's ``/`` meant: of two integers the floor."""
    return int_div if x_discrete and y_discrete else true_div


def div_proxy(x: Any, y: Any) -> Any:
    """``x / y`` of Python 2 for scalars."""
    x, y = basic.as_scalar(x), basic.as_scalar(y)
    discrete = [np.dtype(v.type.dtype).kind in "iub" for v in (x, y)]
    return int_or_true_div(*discrete)(x, y)
