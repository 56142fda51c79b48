"""From a graph of Aesara to calls of JAX: each Op by a function that is registered for it.

`evaluate` walks the nodes. A value is a NumPy array while it is known at trace time, else JAX's: sizes of arrays are
known, so that all arithmetic on shapes is done by Aesara's own Ops in NumPy, at trace time, and costs nothing later.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax, without_side_effects
from deconv_legacy.engine.where import located
from deconv_legacy.errors import SizeError

__all__ = ["Check", "DataDependentError", "Trace", "concrete", "evaluate", "no_way", "register", "sizes_of"]

_FOLD = 64  # numbers; larger constants of floats are left to JAX


class DataDependentError(NotImplementedError):
    """A number that must be known at trace time depends on the numbers in an input."""

    def __init__(self, text: str, variable: Any):
        self.variable = variable
        super().__init__(text)


@dataclass
class Check:
    """Something that only the numbers tell: `wrong` is a boolean of JAX, `notes` what `explain` needs to raise."""

    wrong: Any
    notes: tuple[Any, ...]
    explain: Callable[..., None]


@dataclass
class Trace:
    """What holds while a graph is traced."""

    precision: str = "float32"
    checks: list[Check] = field(default_factory=list)
    node: Any = None


_trace: ContextVar[Trace] = ContextVar("trace")


def trace() -> Trace:
    """The trace that is going on."""
    return _trace.get()


@functools.singledispatch
def translation(op: Any, node: Any) -> Callable[..., Any]:
    """A function of JAX arrays that computes `op`: registered by `register`, else Aesara's own."""
    try:
        with without_side_effects():
            from aesara.link.jax.dispatch import jax_funcify
    except Exception:  # it needs what newer versions of JAX no longer have
        raise NotImplementedError(no_way(op)) from None
    try:
        return jax_funcify(op, node=node)
    except NotImplementedError:
        raise NotImplementedError(no_way(op)) from None


def no_way(op: Any) -> str:
    """What is said of an Op that has no translation."""
    return f"the JAX backend has no way to compute {op} ({type(op).__name__}); backend 'c' or 'numpy' has"


def register(*kinds: type) -> Callable[[Callable], Callable]:
    """Decorate ``f(op, node)``, which gives the function of JAX arrays that computes `op`, for Op classes."""

    def wrap(function: Callable) -> Callable:
        for kind in kinds:
            translation.register(kind)(function)
        return function

    return wrap


def known(value: Any) -> bool:
    """Whether a value is known at trace time."""
    return not isinstance(value, jax.Array)


def concrete(value: Any, what: str, position: int) -> np.ndarray:
    """Input `position` of the node at hand as an array of NumPy; it must be known at trace time."""
    if known(value):
        return np.asarray(value)
    if not isinstance(value, jax.core.Tracer):
        return np.asarray(value)
    node = trace().node
    raise DataDependentError(
        f"{node.op}: {what} depends on the numbers in an input, and JAX must know them before it runs; make it a "
        "number, the size of an array, or (in `as_jax`) a static argument, or use backend 'c' or 'numpy'",
        node.inputs[position],
    )


def sizes_of(value: Any, position: int) -> tuple[int, ...]:
    """Sizes in input `position` of the node at hand."""
    return tuple(int(n) for n in concrete(value, "a size", position).ravel())


def _perform(node: Any, values: Sequence[Any]) -> list[Any]:
    """What Aesara's NumPy code makes of known values."""
    if not hasattr(node.tag, "prepared_for_jax"):
        node.op.prepare_node(node, {}, {}, "py")
        node.tag.prepared_for_jax = True
    storage: list[list[Any]] = [[None] for _ in node.outputs]
    params = node.run_params()
    extra = () if params is aesara.graph.basic.NoParams else (node.params_type.filter(params),)
    arrays = [
        np.asarray(v) if isinstance(i.type, aesara.tensor.TensorType) else v
        for v, i in zip(values, node.inputs, strict=True)
    ]
    node.op.perform(node, arrays, storage, *extra)
    return [cell[0] for cell in storage]


def _foldable(node: Any, values: Sequence[Any]) -> bool:
    if not all(known(v) for v in values) or isinstance(node.op, _NEVER_FOLDED):
        return False
    if all(getattr(out.type, "dtype", "float").startswith(("int", "uint", "bool")) for out in node.outputs):
        return True
    return all(hasattr(out.type, "dtype") for out in node.outputs) and all(np.size(v) <= _FOLD for v in values)


_NEVER_FOLDED = (
    aesara.tensor.basic.Alloc,
    aesara.tensor.basic.AllocEmpty,
    aesara.tensor.random.op.RandomVariable,
    aesara.raise_op.CheckAndRaise,
)


def _of_type(value: Any, variable: Any) -> Any:
    """The value in the dtype that Aesara says (or what JAX has of it without 64 bits)."""
    dtype = getattr(variable.type, "dtype", None)
    if dtype is None or not hasattr(value, "dtype") or not isinstance(value, jax.Array):
        return value
    wanted = jax.dtypes.canonicalize_dtype(dtype)
    return value if value.dtype == wanted else value.astype(wanted)


def evaluate(fgraph: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a graph for values of its inputs, within the trace that is going on."""
    values = dict(zip(fgraph.inputs, inputs, strict=True))

    def value_of(variable: Any) -> Any:
        if variable not in values:
            values[variable] = variable.data  # a constant
        return values[variable]

    nodes = fgraph.toposort()
    last_use = _last_uses(nodes, fgraph.outputs)
    for index, node in enumerate(nodes):
        arguments = [value_of(v) for v in node.inputs]
        trace().node = node
        try:
            if _foldable(node, arguments):
                results = _perform(node, arguments)
            else:
                outputs = translation(node.op, node)(*arguments)
                results = list(outputs) if len(node.outputs) > 1 else [outputs]
        except SizeError as error:
            found = located(error, getattr(node.outputs[0].tag, "trace", ()))
            if found is not None:
                raise found from None
            # the numbers of the error stay: see SizeError
            raise SizeError(f"{error}\nApply node that caused the error: {node}") from None
        for variable, value in zip(node.outputs, results, strict=True):
            values[variable] = _of_type(value, variable)
        for variable in last_use.get(index, ()):
            values.pop(variable, None)
    return [value_of(v) for v in fgraph.outputs]


def _last_uses(nodes: Sequence[Any], outputs: Sequence[Any]) -> dict[int, list[Any]]:
    """Node number -> variables that nothing after it reads: arrays outside of jit are given back early."""
    last: dict[Any, int] = {}
    for index, node in enumerate(nodes):
        last.update((variable, index) for variable in node.inputs if variable.owner is not None)
    for variable in outputs:
        last.pop(variable, None)
    uses: dict[int, list[Any]] = {}
    for variable, index in last.items():
        uses.setdefault(index, []).append(variable)
    return uses


def run(fgraph: Any, inputs: Sequence[Any], precision: str = "float32") -> tuple[list[Any], list[Check]]:
    """`evaluate` in a trace of its own: the outputs, and the checks that were met."""
    this = Trace(precision)
    token = _trace.set(this)
    try:
        return evaluate(fgraph, inputs), this.checks
    finally:
        _trace.reset(token)
