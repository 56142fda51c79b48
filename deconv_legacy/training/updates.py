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

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError

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


def _updates(
    rule: str, loss_or_gradients: Any, params: Sequence[Any], suffixes: Sequence[str], *numbers: Any
) -> Updates:
    """For each parameter what the rule keeps, then the parameter itself."""
    updates: Updates = []
    for p, g in zip(params, gradients(loss_or_gradients, params), strict=True):
        kept = [_state(p, suffix) for suffix in suffixes]
        new, *kept_next = engine.update(rule, p, kept, g, *numbers)
        updates += [*zip(kept, kept_next, strict=True), (p, new)]
    return updates


def sgd(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any) -> Updates:
    """``p -= rate g``."""
    return _updates("sgd", loss_or_gradients, params, [], learning_rate)


def momentum(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9) -> Updates:
    """``v = momentum v - rate g; p += v``."""
    return _updates("momentum", loss_or_gradients, params, ["velocity"], learning_rate, momentum)


def nesterov_momentum(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9
) -> Updates:
    """``v = momentum v - rate g; p += momentum v - rate g``."""
    return _updates("nesterov_momentum", loss_or_gradients, params, ["velocity"], learning_rate, momentum)


def adagrad(loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, epsilon: float = 1e-6) -> Updates:
    """``s += g^2; p -= rate g / sqrt(s + epsilon)``."""
    return _updates("adagrad", loss_or_gradients, params, ["squares"], learning_rate, epsilon)


def rmsprop(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any, rho: float = 0.9, epsilon: float = 1e-6
) -> Updates:
    """``s = rho s + (1 - rho) g^2; p -= rate g / sqrt(s + epsilon)``."""
    return _updates("rmsprop", loss_or_gradients, params, ["squares"], learning_rate, rho, epsilon)


def adadelta(
    loss_or_gradients: Any, params: Sequence[Any], learning_rate: Any = 1.0, rho: float = 0.95, epsilon: float = 1e-6
) -> Updates:
    """``s = rho s + (1 - rho) g^2; d = g sqrt(t + epsilon) / sqrt(s + epsilon); p -= rate d;
    t = rho t + (1 - rho) d^2``."""
    return _updates("adadelta", loss_or_gradients, params, ["squares", "steps"], learning_rate, rho, epsilon)


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
    numbers = learning_rate, beta1, beta2, epsilon, count + 1
    updates = _updates("adam", loss_or_gradients, params, ["mean", "squares"], *numbers)
    return [*updates, (count, count + 1)]
