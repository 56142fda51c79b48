"""``conv3D``, ``convTransp3D`` and ``convGrad3D`` of Theano 0.6-0.9, with their channels-last layout.

V ``(batch, row, column, time, in)``, W ``(out, row, column, time, in)``, H ``(batch, row, column, time, out)``; the
filters are not flipped, d are the strides.
"""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine
from deconv_legacy.engine import aesara

__all__ = ["conv3D", "convGrad3D", "convTransp3D"]

at = aesara.tensor


def _first(x: Any) -> Any:
    """Channels from last place to the second."""
    return at.as_tensor_variable(x).dimshuffle(0, 4, 1, 2, 3)


def _last(x: Any) -> Any:
    return x.dimshuffle(0, 2, 3, 4, 1)


def _strides(d: Any) -> tuple[int, ...]:
    try:
        numbers = (
            at.get_scalar_constant_value(d) if at.as_tensor_variable(d).ndim == 0 else at.as_tensor_variable(d).data
        )
    except (AttributeError, at.exceptions.NotScalarConstantError):
        raise ValueError("the strides d of conv3D must be constants") from None
    return tuple(int(n) for n in numbers)


def conv3D(V: Any, W: Any, b: Any, d: Any) -> Any:
    """The convolution of V by W at steps d, plus the bias b ``(out,)``."""
    return _last(engine.conv(_first(V), _first(W), stride=_strides(d))) + at.as_tensor_variable(b)


def convTransp3D(W: Any, b: Any, d: Any, H: Any, RShape: Any = None) -> Any:
    """The transpose of `conv3D`, plus the bias b ``(in,)``; RShape are the three sizes, by default the smallest."""
    W, H, strides = _first(W), _first(H), _strides(d)
    if RShape is None:
        RShape = [(H.shape[i] - 1) * strides[i - 2] + W.shape[i] for i in (2, 3, 4)]
    return _last(engine.conv_input_gradient(W, H, RShape, stride=strides)) + at.as_tensor_variable(b)


def convGrad3D(V: Any, d: Any, WShape: Any, dCdH: Any) -> Any:
    """The gradient of `conv3D` in W, whose shape is WShape ``(out, row, column, time, in)``."""
    kernel = [WShape[i] for i in (1, 2, 3)]
    return _last(engine.conv_weight_gradient(_first(V), _first(dCdH), kernel, stride=_strides(d)))
