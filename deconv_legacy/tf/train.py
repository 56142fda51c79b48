"""``tf.train``: optimisers with TensorFlow's formulas, and a training function that also runs the update ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy import engine, training
from deconv_legacy.engine import aesara
from deconv_legacy.tf.variables import trainable_variables, update_ops

at = aesara.tensor

__all__ = [
    "AdamOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "RMSPropOptimizer",
    "function",
]

Updates = list[tuple[Any, Any]]


class Optimizer:
    """Base of the optimisers; a subclass defines `apply`.

    `learning_rate` is a number or a scalar variable.
    """

    def __init__(self, learning_rate: Any):
        self.learning_rate = learning_rate

    def apply(self, gradients: list[Any], variables: list[Any]) -> Updates:
        """(variable, new value) for the variables and the state."""
        raise NotImplementedError(f"{type(self).__name__} defines no apply")

    def minimize(self, loss: Any, var_list: Sequence[Any] | None = None) -> Updates:
        """What one step changes: (variable, new value) for `engine.compile`'s ``updates``.

        As in TensorFlow the moving averages of batch normalisation are not among them; `function` adds them.
        """
        variables = trainable_variables(loss) if var_list is None else list(var_list)
        if not variables:
            raise ValueError("No variables to optimize.")
        return self.apply(aesara.grad(loss, variables), variables)


class GradientDescentOptimizer(Optimizer):
    """``v -= rate g``."""

    def apply(self, gradients: list[Any], variables: list[Any]) -> Updates:
        return training.sgd(gradients, variables, self.learning_rate)


class MomentumOptimizer(Optimizer):
    """``a = momentum a + g; v -= rate a``, or with `use_nesterov` ``v -= rate (g + momentum a)``.

    The rate is outside of the sum a, unlike in Lasagne and Caffe: it differs when the rate changes.
    """

    def __init__(self, learning_rate: Any, momentum: Any, use_nesterov: bool = False):
        super().__init__(learning_rate)
        self.momentum, self.use_nesterov = momentum, use_nesterov

    def apply(self, gradients: list[Any], variables: list[Any]) -> Updates:
        updates: Updates = []
        for v, g in zip(variables, gradients, strict=True):
            rate, kept = _number(self.learning_rate, v), _number(self.momentum, v)
            a = _slot(v, "momentum", 0)
            new = kept * a + g
            step = rate * (g + kept * new) if self.use_nesterov else rate * new
            updates += [(a, new), (v, v - step)]
        return updates


class AdamOptimizer(Optimizer):
    """``m += (1 - b1)(g - m); s += (1 - b2)(g^2 - s); v -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(s) + epsilon)``.

    Epsilon is the "epsilon hat" of the paper (arXiv 1412.6980), inside of TensorFlow's formula.
    """

    def __init__(self, learning_rate: Any = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        super().__init__(learning_rate)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def apply(self, gradients: list[Any], variables: list[Any]) -> Updates:
        return training.adam(gradients, variables, self.learning_rate, self.beta1, self.beta2, self.epsilon)


class RMSPropOptimizer(Optimizer):
    """``s += (1 - decay)(g^2 - s); b = momentum b + rate g / sqrt(s + epsilon); v -= b``, s beginning with ones.

    With `centered` the root is of ``s - a^2 + epsilon``, a being the moving average of g.
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: float = 1e-10,
        centered: bool = False,
    ):
        super().__init__(learning_rate)
        self.decay, self.momentum, self.epsilon, self.centered = decay, momentum, epsilon, centered

    def apply(self, gradients: list[Any], variables: list[Any]) -> Updates:
        updates: Updates = []
        for v, g in zip(variables, gradients, strict=True):
            rate, kept, epsilon = (_number(n, v) for n in (self.learning_rate, self.momentum, self.epsilon))
            fresh = _number(1 - self.decay, v)
            s, b = _slot(v, "rms", 1), _slot(v, "momentum", 0)
            squares = s + fresh * (at.square(g) - s)
            updates.append((s, squares))
            if self.centered:
                a = _slot(v, "mean", 0)
                mean = a + fresh * (g - a)
                updates.append((a, mean))
                squares = squares - at.square(mean)
            step = kept * b + rate * g / at.sqrt(squares + epsilon)
            updates += [(b, step), (v, v - step)]
        return updates


def _slot(v: Any, name: str, value: float) -> Any:
    """A shared variable like `v`, of one value."""
    start = np.full_like(v.get_value(borrow=True), value)
    slot = aesara.shared(start, name=f"{v.name}/{name}", shape=tuple(v.type.shape))
    slot.tag.trainable = False
    return slot


def _number(value: Any, like: Any) -> Any:
    """In the dtype of a variable, so that float32 stays float32."""
    return at.cast(value, like.dtype) if isinstance(value, at.Variable) else np.asarray(value, like.dtype)


def function(
    inputs: Sequence[Any],
    loss: Any,
    optimizer: Optimizer,
    *,
    var_list: Sequence[Any] | None = None,
    outputs: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """A training step: arrays for `inputs` in, the loss (before the step) and `outputs` out.

    It changes the variables by `optimizer` and always runs the update ops of what `loss` and `outputs` depend on: the
    moving averages, which ``optimizer.minimize`` alone leaves where they were, in TensorFlow too.

    Parameters
    ----------
    inputs
        Placeholders.
    loss
        A scalar.
    var_list
        The variables to train; by default `tf.trainable_variables` of the loss.
    options
        Those of `deconv_legacy.engine.compile`.

    Examples
    --------
    >>> from deconv_legacy import tf
    >>> v = tf.Variable([4.0])
    >>> step = tf.train.function([], (v**2).sum(), tf.train.GradientDescentOptimizer(0.25))
    >>> float(step()), v.get_value()
    (16.0, array([2.], dtype=float32))
    """
    updates = [*optimizer.minimize(loss, var_list), *update_ops([loss, *outputs])]
    results = [loss, *outputs] if outputs else loss
    return engine.compile(list(inputs), results, updates=updates, **options)
