"""Aesara's own Ops in JAX: shapes, reductions, products."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from aesara.ifelse import IfElse
from aesara.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape, Unbroadcast

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import Check, concrete, known, no_way, register, sizes_of, trace

jnp, lax = jax.numpy, jax.lax
at, scalar = aesara.tensor, aesara.scalar

__all__: list[str] = []

# Views and marks


@register(aesara.compile.ops.ViewOp, aesara.compile.ops.DeepCopyOp, Unbroadcast, at.extra_ops.CpuContiguous)
def unchanged(op, node):
    return lambda x: x


@register(aesara.gradient.DisconnectedGrad, aesara.gradient.ZeroGrad, aesara.gradient.ConsiderConstant)
def without_gradient(op, node):
    return lax.stop_gradient


@register(aesara.raise_op.CheckAndRaise)
def check_and_raise(op, node):
    def explain(*_):
        raise op.exc_type(op.msg)

    def check(x, *conditions):
        for condition in conditions:
            if known(condition):
                if not np.all(condition):
                    explain()
            else:
                trace().checks.append(Check(~jnp.all(condition), (), explain))
        return x

    return check


# Shapes


@register(Shape)
def shape(op, node):
    return lambda x: np.asarray(np.shape(x), np.int64)


@register(Shape_i)
def shape_i(op, node):
    return lambda x: np.asarray(np.shape(x)[op.i], np.int64)


@register(SpecifyShape)
def specify_shape(op, node):
    def specify(x, *sizes):
        for axis, n in enumerate(sizes):
            # None where the size is free
            if n is None or (known(n) and np.asarray(n).dtype == object):
                continue
            if int(concrete(n, "a size", axis + 1)) != x.shape[axis]:
                raise AssertionError(f"SpecifyShape: axis {axis} has size {x.shape[axis]}, expected {int(n)}")
        return x

    return specify


@register(Reshape)
def reshape(op, node):
    return lambda x, sizes: jnp.reshape(x, sizes_of(sizes, 1))


@register(at.elemwise.DimShuffle)
def dimshuffle(op, node):
    kept = [axis for axis in op.new_order if axis != "x"]
    dropped = tuple(axis for axis in range(node.inputs[0].ndim) if axis not in kept)
    order = [sorted(kept).index(axis) for axis in kept]
    new = tuple(i for i, axis in enumerate(op.new_order) if axis == "x")
    return lambda x: jnp.expand_dims(jnp.transpose(jnp.squeeze(x, dropped), order), new)


@register(at.basic.Alloc)
def alloc(op, node):
    def fill(value, *sizes):
        return jnp.broadcast_to(value, tuple(int(concrete(n, "a size", i)) for i, n in enumerate(sizes, 1)))

    return fill


@register(at.basic.AllocEmpty)
def alloc_empty(op, node):
    def empty(*sizes):
        return jnp.zeros(tuple(int(concrete(n, "a size", i)) for i, n in enumerate(sizes)), op.dtype)

    return empty


@register(at.extra_ops.BroadcastTo)
def broadcast_to(op, node):
    def broadcast(x, *sizes):
        return jnp.broadcast_to(x, tuple(int(concrete(n, "a size", i)) for i, n in enumerate(sizes, 1)))

    return broadcast


@register(at.basic.ARange)
def arange(op, node):
    def count(*ends):
        return np.arange(*(concrete(n, "the range", i).item() for i, n in enumerate(ends)), dtype=op.dtype)

    return count


@register(at.basic.MakeVector)
def make_vector(op, node):
    return lambda *numbers: jnp.stack([jnp.asarray(n, op.dtype) for n in numbers])


@register(at.basic.Join)
def join(op, node):
    return lambda axis, *parts: jnp.concatenate(parts, int(concrete(axis, "the axis", 0)))


@register(at.basic.Split)
def split(op, node):
    def cut(x, axis, lengths):
        ends = np.cumsum(sizes_of(lengths, 2))[:-1]
        return jnp.split(x, ends, int(concrete(axis, "the axis", 1)))

    return cut


@register(at.extra_ops.Repeat)
def repeat(op, node):
    return lambda x, times: jnp.repeat(x, concrete(times, "the count", 1), op.axis)


@register(at.basic.Eye)
def eye(op, node):
    def make(*sizes):
        rows, columns, diagonal = (int(concrete(v, "a size", i)) for i, v in enumerate(sizes))
        return np.eye(rows, columns, diagonal, dtype=op.dtype)

    return make


# Reductions


def _axes(op: Any, x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if op.axis is None else tuple(op.axis)


def _product_without_zeros(x: Any, axes: tuple[int, ...], dtype: Any) -> Any:
    """Of the numbers that are not 0; of none 0."""
    product = jnp.prod(jnp.where(x == 0, 1, x), axes, dtype=dtype)
    return jnp.where(jnp.all(x == 0, axes), 0, product)


_REDUCTIONS = {
    scalar.Add: jnp.sum,
    scalar.Mul: jnp.prod,
    scalar.ScalarMaximum: jnp.max,
    scalar.ScalarMinimum: jnp.min,
    scalar.AND: jnp.all,
    scalar.OR: jnp.any,
    at.math.MulWithoutZeros: _product_without_zeros,
}


@register(at.elemwise.CAReduce)
def reduction(op, node):
    kind = next((f for cls, f in _REDUCTIONS.items() if isinstance(op.scalar_op, cls)), None)
    if kind is None:
        raise NotImplementedError(no_way(op))
    accumulator = getattr(op, "acc_dtype", None)

    def reduce(x):
        if accumulator is not None and kind not in (jnp.max, jnp.min, jnp.all, jnp.any):
            return kind(x, _axes(op, x), dtype=jax.dtypes.canonicalize_dtype(accumulator))
        return kind(x, _axes(op, x))

    return reduce


@register(at.math.Argmax)
def argmax(op, node):
    return lambda x: _argmax(op, x)


@register(at.math.MaxAndArgmax)
def max_and_argmax(op, node):
    return lambda x: (jnp.max(x, _axes(op, x)), _argmax(op, x))


def _argmax(op: Any, x: Any) -> Any:
    axes = _axes(op, x)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    flat = jnp.transpose(x, (*kept, *axes)).reshape(*(x.shape[axis] for axis in kept), -1)
    return jnp.argmax(flat, -1)


@register(at.extra_ops.CumOp)
def cumulate(op, node):
    function = {"add": jnp.cumsum, "mul": jnp.cumprod}[op.mode]
    return lambda x: function(x, op.axis)


# Products


def _precisely(function: Any) -> Any:
    """A product in the precision of the trace."""
    precision = trace().precision
    if precision == "bfloat16":

        def rounded(a, b):
            dtype = jnp.result_type(a, b)
            if dtype != jnp.float32:
                return function(a, b, precision=lax.Precision.HIGHEST)
            return function(a.astype(jnp.bfloat16), b.astype(jnp.bfloat16), preferred_element_type=jnp.float32)

        return rounded
    chosen = lax.Precision.HIGH if precision == "tf32" else lax.Precision.HIGHEST
    return functools.partial(function, precision=chosen)


@register(at.math.Dot)
def dot(op, node):
    return _precisely(jnp.dot)


@register(at.math.MatMul)
def matmul(op, node):
    return _precisely(jnp.matmul)


@register(at.blas.BatchedDot)
def batched_dot(op, node):
    product = _precisely(jnp.matmul)

    def each(a, b):
        left, right = a.ndim == 2, b.ndim == 2
        result = product(a[:, None, :] if left else a, b[:, :, None] if right else b)
        return result.squeeze(tuple(axis for axis, gone in ((1, left), (result.ndim - 1, right)) if gone))

    return each


# Branches


@register(IfElse)
def branch(op, node):
    def choose(condition, *values):
        n = op.n_outs
        if known(condition):
            return values[:n] if condition else values[n:]
        chosen = [jnp.where(condition != 0, a, b) for a, b in zip(values[:n], values[n:], strict=True)]
        return chosen if n > 1 else chosen[0]

    return choose
