"""Graph rewrites: arithmetic of sizes, a sum of two numbers, and what only views an array anew, run in Python.

Aesara would compile a C module for each kind of sum and quotient of a few integers, a second each on an empty cache,
and other ones for each net; in Python each takes some microseconds of a call. `engine.compile` asks for it; plain
``aesara.function`` does not.
"""

from __future__ import annotations

import copy
import functools
import importlib
from typing import Any

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp

__all__ = ["NAME", "register"]

NAME = "deconv_legacy_sizes"

COp: Any = aesara.link.c.op.COp
copy_stack_trace = aesara.graph.rewriting.basic.copy_stack_trace
node_rewriter, in2out = aesara.graph.rewriting.basic.node_rewriter, aesara.graph.rewriting.basic.in2out
_basic = aesara.tensor.rewriting.basic

_FEW = 8
_SIMPLE = (aesara.scalar.Add, aesara.scalar.Sub, aesara.scalar.Mul, aesara.scalar.Cast)
_OPERANDS = 31  # what NumPy 1 can make a ufunc of; fused arithmetic of a scan's sizes may have more
_shape: Any = importlib.import_module("aesara.tensor.shape")  # the attribute of that name is a function
_VIEWS = (
    *(_shape.Shape, _shape.Shape_i, _shape.Reshape, _shape.SpecifyShape),
    *(aesara.tensor.elemwise.DimShuffle, aesara.tensor.subtensor.Subtensor, aesara.raise_op.CheckAndRaise),
)
"""Of arrays of any kind and size; they read or write no more than a few sizes."""


def _few_integers(variable: Any) -> bool:
    kind = variable.type
    if not getattr(kind, "dtype", "float").startswith(("int", "uint", "bool")):
        return False
    return kind.ndim == 0 or (kind.ndim == 1 and (kind.shape[0] or _FEW + 1) <= _FEW)


def _plain_numbers(node: Any) -> bool:
    """A sum, a product or a cast of single numbers: a counter, a rate. (Composites would round otherwise.)"""
    of_elements = isinstance(node.op, aesara.tensor.elemwise.Elemwise) and isinstance(node.op.scalar_op, _SIMPLE)
    return of_elements and not any(variable.ndim for variable in node.inputs)


def _thunk(op: Any, node: Any, storage_map: Any, compute_map: Any, no_recycling: Any, impl: Any = None) -> Any:
    return op.make_thunk(node, storage_map, compute_map, no_recycling, impl="py")


def _in_python(node: Any) -> Any:
    """The node with an Op that has no C code, if it views an array or computes a few integers from such; else None."""
    op = node.op
    if not isinstance(op, COp) or isinstance(op, EngineOp) or "make_thunk" in vars(op):
        return None
    integers = all(_few_integers(variable) for variable in (*node.inputs, *node.outputs))
    if not integers and not isinstance(op, _VIEWS) and not _plain_numbers(node):
        return None
    if len(node.inputs) + len(node.outputs) > _OPERANDS:
        return None
    same = copy.copy(op)
    same.make_thunk = functools.partial(_thunk, op)
    outputs = [variable.type() for variable in node.outputs]
    copy_stack_trace(node.outputs, outputs)
    return aesara.graph.basic.Apply(same, node.inputs, outputs)


@node_rewriter(None)
def without_c(fgraph, node):
    same = _in_python(node)
    return None if same is None else same.outputs


@node_rewriter(None)
def fold(fgraph, node):
    """Aesara's constant folding, which would compile what it folds."""
    same = _in_python(node) if all(isinstance(v, aesara.graph.basic.Constant) for v in node.inputs) else None
    return None if same is None else _basic.constant_folding.transform(fgraph, same)


def register(optdb: Any) -> None:
    """Add the rewrites to Aesara's database, for modes that include `NAME`."""
    for phase in ("canonicalize", "stabilize", "specialize", "uncanonicalize"):
        optdb[phase].register(f"{NAME}_folding", fold, NAME)
    # after all others, which would put Ops with C code in their place
    optdb.register(NAME, in2out(without_c, name=NAME), position=99)
