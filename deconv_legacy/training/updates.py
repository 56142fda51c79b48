"""Update rules: what a training step does to parameters, given their gradients.

Every rule takes a loss (then it differentiates) or a list of gradients, the parameters, and its numbers, and returns a
list of (shared variable, new value) for `deconv_legacy.engine.compile`. Numbers may be shared scalars, so that a
schedule can change them without compiling again. The formulas are Lasagne's, which are those of the papers; Caffe's
solvers and TensorFlow's optimisers, which differ in details, are in their own rooms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError

at = aesara.tensor

__all__ = ["adadelta", "adagrad", "adam", "gradients", "momentum", "nesterov_momentum", "rmsprop", "sgd"]

Updates = list[tuple[Any, Any]]


def gradients(loss_or_gradients: Any, params: Sequence[Any]) -> list[Any]:
    """The gradients of a scalar loss, or the list that was given."""
    if isinstance(loss_or_gradients, (list, tuple)):
        if len(loss_or_gradients) != len(params):
            raise MismatchError(f"{len(loss_or_gradients)} gradients for {len(params)} parameters")
        return list(loss_or_gradients)
    return aesara.grad(loss_or_gradients, list(params))


def _state(param: Any, suffix: str) -> Any:
    """A shared variable like `param`, of zeros."""
    value = param.get_value(borrow=True)
    return aesara.shared(
        np.zeros_like(value), name=f"{param.name}.{suffix}", shape=tuple(param.type.shape), borrow=True
    )


def _as(number: Any, like: Any) -> Any:
    """A number in the dtype of a parameter, so that float32 stays float32."""
    return at.cast(number, like.dtype) if isinstance(number, at.Variable) else np.asarray(number, like.dtype)


def _pairs(loss_or_gradients: Any, params: Sequence[Any]):
    return zip(params, gradients(loss_or_gradients, params), strict=True)


def sgd(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any) -> Updates:
    """``p -= rate g``."""
    return [(p, p - _as(learning_rate, p) * g) for p, g in _pairs(loss_or_gradients, params)]


def momentum(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9) -> Updates:
    """``v = momentum v - rate g; p += v``."""
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        v = _state(p, "velocity")
        new = _as(momentum, p) * v - _as(learning_rate, p) * g
        updates += [(v, new), (p, p + new)]
    return updates


def nesterov_momentum(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9
) -> Updates:
    """``v = momentum v - rate g; p += momentum v - rate g``."""
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        v = _state(p, "velocity")
        step = _as(learning_rate, p) * g
        new = _as(momentum, p) * v - step
        updates += [(v, new), (p, p + _as(momentum, p) * new - step)]
    return updates


def adagrad(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, epsilon: float = 1e-6) -> Updates:
    """``s += g^2; p -= rate g / sqrt(s + epsilon)``."""
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        s = _state(p, "squares")
        new = s + at.square(g)
        updates += [(s, new), (p, p - _as(learning_rate, p) * g / at.sqrt(new + _as(epsilon, p)))]
    return updates


def rmsprop(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, rho: float = 0.9, epsilon: float = 1e-6
) -> Updates:
    """``s = rho s + (1 - rho) g^2; p -= rate g / sqrt(s + epsilon)``."""
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        s = _state(p, "squares")
        new = _as(rho, p) * s + _as(1 - rho, p) * at.square(g)
        updates += [(s, new), (p, p - _as(learning_rate, p) * g / at.sqrt(new + _as(epsilon, p)))]
    return updates


def adadelta(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any = 1.0, rho: float = 0.95, epsilon: float = 1e-6
) -> Updates:
    """``s = rho s + (1 - rho) g^2; d = g sqrt(t + epsilon) / sqrt(s + epsilon); p -= rate d;
    t = rho t + (1 - rho) d^2``."""
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        s, t = _state(p, "squares"), _state(p, "steps")
        new = _as(rho, p) * s + _as(1 - rho, p) * at.square(g)
        step = g * at.sqrt(t + _as(epsilon, p)) / at.sqrt(new + _as(epsilon, p))
        updates += [
            (s, new),
            (t, _as(rho, p) * t + _as(1 - rho, p) * at.square(step)),
            (p, p - _as(learning_rate, p) * step),
        ]
    return updates


def adam(
    loss_or_gradients: Any,
    params: Sequence[Any],
    learning_rate: Any = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Updates:
    """``m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    p -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)``."""
    count = aesara.shared(np.asarray(0, "float64"), name="adam.steps")
    t = count + 1
    rate = learning_rate * at.sqrt(1 - beta2**t) / (1 - beta1**t)
    updates: Updates = []
    for p, g in _pairs(loss_or_gradients, params):
        m, v = _state(p, "mean"), _state(p, "squares")
        new_m = _as(beta1, p) * m + _as(1 - beta1, p) * g
        new_v = _as(beta2, p) * v + _as(1 - beta2, p) * at.square(g)
        updates += [
            (m, new_m),
            (v, new_v),
            (p, p - at.cast(rate, p.dtype) * new_m / (at.sqrt(new_v) + _as(epsilon, p))),
        ]
    return [*updates, (count, t)]
