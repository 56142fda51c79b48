"""Update rules as Ops: a parameter, what a rule keeps of the steps before, and its gradient, to the next values.

An Op for each rule, so that a training step has one compiled module for all parameters, whatever their rank, and one
pass over memory for each; compiled, it works in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, common_dtype
from deconv_legacy.errors import SizeError

at = aesara.tensor
node_rewriter = aesara.graph.rewriting.basic.node_rewriter
copy_stack_trace = aesara.graph.rewriting.basic.copy_stack_trace

__all__ = ["RULES", "Update", "check_update", "update", "work_in_place"]


def _sgd(xp: Any, p: Any, g: Any, rate: Any) -> list[Any]:
    return [p - rate.astype(p.dtype) * g]


def _momentum(xp: Any, p: Any, v: Any, g: Any, rate: Any, kept: Any) -> list[Any]:
    v = kept.astype(p.dtype) * v - rate.astype(p.dtype) * g
    return [p + v, v]


def _nesterov_momentum(xp: Any, p: Any, v: Any, g: Any, rate: Any, kept: Any) -> list[Any]:
    step, kept = rate.astype(p.dtype) * g, kept.astype(p.dtype)
    v = kept * v - step
    return [p + kept * v - step, v]


def _adagrad(xp: Any, p: Any, s: Any, g: Any, rate: Any, epsilon: Any) -> list[Any]:
    s = s + xp.square(g)
    return [p - rate.astype(p.dtype) * g / xp.sqrt(s + epsilon.astype(p.dtype)), s]


def _mean(kept: Any, old: Any, new: Any) -> Any:
    return kept.astype(old.dtype) * old + (1 - kept).astype(old.dtype) * new


def _rmsprop(xp: Any, p: Any, s: Any, g: Any, rate: Any, rho: Any, epsilon: Any) -> list[Any]:
    s = _mean(rho, s, xp.square(g))
    return [p - rate.astype(p.dtype) * g / xp.sqrt(s + epsilon.astype(p.dtype)), s]


def _adadelta(xp: Any, p: Any, s: Any, t: Any, g: Any, rate: Any, rho: Any, epsilon: Any) -> list[Any]:
    epsilon = epsilon.astype(p.dtype)
    s = _mean(rho, s, xp.square(g))
    step = g * xp.sqrt(t + epsilon) / xp.sqrt(s + epsilon)
    return [p - rate.astype(p.dtype) * step, s, _mean(rho, t, xp.square(step))]


def _adam(
    xp: Any, p: Any, m: Any, v: Any, g: Any, rate: Any, beta1: Any, beta2: Any, epsilon: Any, count: Any
) -> list[Any]:
    rate = rate * xp.sqrt(1 - beta2**count) / (1 - beta1**count)
    m, v = _mean(beta1, m, g), _mean(beta2, v, xp.square(g))
    return [p - rate.astype(p.dtype) * m / (xp.sqrt(v) + epsilon.astype(p.dtype)), m, v]


RULES: dict[str, tuple[int, Callable[..., list[Any]]]] = {
    "sgd": (0, _sgd),
    "momentum": (1, _momentum),
    "nesterov_momentum": (1, _nesterov_momentum),
    "adagrad": (1, _adagrad),
    "rmsprop": (1, _rmsprop),
    "adadelta": (2, _adadelta),
    "adam": (2, _adam),
}
"""Name -> how many arrays it keeps for each parameter; and the next values of the parameter and of these, from both,
the gradient and its numbers, for arrays of NumPy, JAX (``xp``) or symbolic ones. C has the same in c/update.h."""


def check_update(p: Sequence[int | None], other: Sequence[int | None]) -> None:
    """Raise unless a parameter and its gradient, or what is kept for it, have the same sizes."""
    if len(p) != len(other) or any(None not in (n, m) and n != m for n, m in zip(p, other, strict=True)):
        raise SizeError(f"a parameter of shape {tuple(p)} and a gradient, or its like, of shape {tuple(other)}")


def _float64(number: Any) -> Any:
    if not isinstance(number, at.Variable):  # Aesara would shorten Python's floats to floatX
        return at.constant(np.asarray(number, np.float64))
    return number if number.dtype == "float64" else at.cast(number, "float64")


class Update(EngineOp):
    """A step of a rule: inputs p, what is kept, g, and the rule's numbers; outputs the new p and what is kept."""

    __props__ = ("rule", "inplace")
    c_files = ("update.h",)

    def __init__(self, rule: str, inplace: bool = False):
        self.rule, self.inplace = rule, bool(inplace)
        self.kept, self.formula = RULES[rule]
        self.c_function = f"update_{rule}"
        if inplace:
            self.destroy_map = {i: [i] for i in range(self.kept + 1)}

    def numbers(self):
        return (int(self.inplace),)

    def make_node(self, *inputs):
        arrays = [at.as_tensor_variable(v) for v in inputs[: self.kept + 2]]
        numbers = [_float64(number) for number in inputs[self.kept + 2 :]]
        p, dtype = arrays[0], common_dtype(f"update rule {self.rule}", *arrays)
        for a in arrays:
            check_update(p.type.shape, a.type.shape)
            if a.dtype != dtype:
                given = f"a parameter of dtype {p.dtype} and a gradient of {arrays[-1].dtype}"
                raise TypeError(f"update rule {self.rule}: {given}; cast one of them")
        if any(number.ndim for number in numbers):
            raise SizeError("a number of an update rule has no axes", where=f"update rule {self.rule}")
        return aesara.graph.basic.Apply(self, [*arrays, *numbers], [a.type() for a in arrays[:-1]])

    def perform(self, node, inputs, output_storage, params=None):
        arrays = inputs[: self.kept + 2]
        for a in arrays:
            check_update(arrays[0].shape, a.shape)
        for storage, value in zip(output_storage, self.formula(np, *inputs), strict=True):
            storage[0] = np.asarray(value, arrays[0].dtype)

    def infer_shape(self, fgraph, node, shapes):
        return shapes[: self.kept + 1]

    def connection_pattern(self, node):
        return [[True] * len(node.outputs) for _ in node.inputs]

    def L_op(self, inputs, outputs, gradients):
        # one sum: known gradients of all would hide the way from what is kept to the parameter
        terms = zip(self.formula(at, *inputs), gradients, strict=True)
        cost = sum((made * g).sum() for made, g in terms if not isinstance(g.type, aesara.gradient.DisconnectedType))
        return aesara.grad(cost, inputs, disconnected_inputs="ignore", return_disconnected="zero")


def update(rule: str, p: Any, kept: Sequence[Any], g: Any, *numbers: Any) -> list[Any]:
    """The next value of a parameter `p`, then those of what its rule keeps.

    Parameters
    ----------
    rule
        One of `RULES`.
    kept
        Variables like `p`.
    g
        Its gradient, of the same shape.
    numbers
        Of the rule: Python's or symbolic scalars; computed with in float64 before they meet `p`.

    Raises
    ------
    SizeError, TypeError
        For a gradient of another shape or dtype.

    Examples
    --------
    >>> p = aesara.shared(np.array([1.0, 2.0]))
    >>> (new,) = update("sgd", p, [], np.array([2.0, -2.0]), 0.5)
    >>> new.eval()
    array([0., 3.])
    """
    made = Update(rule)(p, *kept, g, *numbers)
    return made if isinstance(made, list) else [made]


@node_rewriter([Update])
def work_in_place(fgraph, node):
    """Compiled, a step changes its arrays where they lie."""
    if node.op.inplace:
        return None
    made = Update(node.op.rule, inplace=True)(*node.inputs, return_list=True)
    copy_stack_trace(node.outputs, made)
    return made
