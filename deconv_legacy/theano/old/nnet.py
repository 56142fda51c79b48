"""Names of ``theano.tensor.nnet``: Theano's softmax, the sigmoids, the Softmax Ops without an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.scalar.math import sigmoid as scalar_sigmoid
from aesara.scalar.math import softplus as scalar_softplus
from aesara.tensor.inplace import sigmoid_inplace
from aesara.tensor.math import sigmoid, softplus

from deconv_legacy.engine import aesara

__all__ = [
    "LogSoftmax",
    "ScalarSigmoid",
    "ScalarSoftplus",
    "Softmax",
    "SoftmaxGrad",
    "logsoftmax",
    "logsoftmax_op",
    "scalar_sigmoid",
    "scalar_softplus",
    "sigmoid",
    "sigmoid_inplace",
    "softmax",
    "softmax_graph",
    "softmax_op",
    "softplus",
]

at = aesara.tensor
ScalarSigmoid, ScalarSoftplus = type(scalar_sigmoid), type(scalar_softplus)


def _rows(x: Any) -> Any:
    """A matrix as it is, a vector as one row; nothing else has a softmax in Theano."""
    x = at.as_tensor_variable(x)
    if x.ndim not in (1, 2) or np.dtype(x.dtype).kind != "f":
        raise ValueError(f"x must be 1-d or 2-d tensor of floats. Got {x.type}")
    return x.dimshuffle("x", 0) if x.ndim == 1 else x


def softmax(c: Any) -> Any:
    """The softmax of each row. A vector becomes one row ``(1, n)``; other ranks raise ValueError."""
    return at.special.Softmax(axis=-1)(_rows(c))


def logsoftmax(c: Any) -> Any:
    """The logarithm of `softmax`, in one stable step."""
    return at.special.LogSoftmax(axis=-1)(_rows(c))


def softmax_graph(c: Any) -> Any:
    """`softmax` as elementary operations."""
    c = at.as_tensor_variable(c)
    return at.exp(c) / at.exp(c).sum(axis=-1, keepdims=True)


class _RowOp(type):
    """A class of Theano whose instances had no axis: a call gives the function, ``isinstance`` means Aesara's Op."""

    def __call__(cls) -> Any:  # type: ignore[override]
        return cls.function  # type: ignore[attr-defined]

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.op)  # type: ignore[attr-defined]


class Softmax(metaclass=_RowOp):
    """``Softmax()(x)``."""

    op = at.special.Softmax
    function = staticmethod(softmax)


class LogSoftmax(metaclass=_RowOp):
    """``LogSoftmax()(x)``."""

    op = at.special.LogSoftmax
    function = staticmethod(logsoftmax)


class SoftmaxGrad(metaclass=_RowOp):
    """``SoftmaxGrad()(dy, sm)``."""

    op = at.special.SoftmaxGrad

    @staticmethod
    def function(dy: Any, sm: Any) -> Any:
        return at.special.SoftmaxGrad(axis=-1)(dy, sm)


softmax_op, logsoftmax_op = softmax, logsoftmax
