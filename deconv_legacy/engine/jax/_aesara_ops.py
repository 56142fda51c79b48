"""Aesara's own Ops in JAX: elementwise, reductions, shapes, indexing, products."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from aesara.ifelse import IfElse
from aesara.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape, Unbroadcast

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import Check, concrete, known, register, sizes_of, trace

jnp, lax = jax.numpy, jax.lax
at, scalar = aesara.tensor, aesara.scalar
subtensor = at.subtensor

__all__: list[str] = []

# Number by number


@functools.singledispatch
def number_function(op: Any) -> Any:
    """The function of JAX arrays that a scalar Op is: NumPy's name, where Aesara says it."""
    spec = getattr(op, "nfunc_spec", None)
    if spec is None:
        raise NotImplementedError(f"the JAX backend has no way to compute {op}; backend 'c' or 'numpy' has")
    function = functools.reduce(getattr, spec[0].split("."), jax if "." in spec[0] else jnp)
    if spec[1] == 2:  # Add and the like take more than two
        return lambda *values: functools.reduce(function, values)
    return function


@number_function.register(scalar.Cast)
def _(op):
    return lambda x: jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(op.o_type.dtype))


@number_function.register(scalar.Identity)
def _(op):
    return lambda x: x


@number_function.register(scalar.Second)
def _(op):
    return lambda x, y: jnp.broadcast_to(y, np.broadcast_shapes(np.shape(x), np.shape(y)))


@number_function.register(scalar.Switch)
def _(op):
    return lambda condition, x, y: jnp.where(jnp.asarray(condition) != 0, x, y)


@number_function.register(scalar.Clip)
def _(op):
    return lambda x, low, high: jnp.where(x < low, low, jnp.where(x > high, high, x))


@number_function.register(scalar.RoundHalfAwayFromZero)
def _(op):
    return lambda x: jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


@number_function.register(scalar.math.Sigmoid)
def _(op):
    return jax.nn.sigmoid


@number_function.register(scalar.math.Softplus)
def _(op):
    return lambda x: jnp.logaddexp(x, jnp.zeros_like(x))


@number_function.register(scalar.Composite)
def _(op):
    inner = op.fgraph

    def composite(*values):
        tokens = dict(zip(inner.inputs, values, strict=True))
        for node in inner.toposort():
            arguments = [tokens[v] if v.owner or v in inner.inputs else v.data for v in node.inputs]
            tokens[node.outputs[0]] = number_function(node.op)(*arguments)
        results = [tokens[v] for v in inner.outputs]
        return results if len(results) > 1 else results[0]

    return composite


@register(at.elemwise.Elemwise)
def elemwise(op, node):
    return number_function(op.scalar_op)


@register(scalar.ScalarOp)
def number(op, node):
    return number_function(op)


@register(at.basic.TensorFromScalar, at.basic.ScalarFromTensor)
def same(op, node):
    return lambda x: x


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


_REDUCTIONS = {
    scalar.Add: jnp.sum,
    scalar.Mul: jnp.prod,
    scalar.ScalarMaximum: jnp.max,
    scalar.ScalarMinimum: jnp.min,
    scalar.AND: jnp.all,
    scalar.OR: jnp.any,
}


@register(at.elemwise.CAReduce)
def reduction(op, node):
    kind = next((f for cls, f in _REDUCTIONS.items() if isinstance(op.scalar_op, cls)), None)
    if kind is None:
        raise NotImplementedError(f"the JAX backend has no way to compute {op}; backend 'c' or 'numpy' has")
    accumulator = getattr(op, "acc_dtype", None)

    def reduce(x):
        if kind in (jnp.sum, jnp.prod) and accumulator is not None:
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


# Indices


def _indices(op: Any, values: Any, first: int) -> tuple[Any, ...]:
    """Python's index from the Op's list and the numbers in the node's inputs from `first` on."""
    values = list(enumerate(values, first))

    def take(entry: Any) -> Any:
        if isinstance(entry, slice):
            return slice(*(None if part is None else bound(part) for part in (entry.start, entry.stop, entry.step)))
        if isinstance(entry, aesara.graph.type.Type):
            return values.pop(0)[1]
        return entry

    def bound(part: Any) -> int:
        if isinstance(part, aesara.graph.type.Type):
            position, value = values.pop(0)
            return int(concrete(value, "a bound of a slice", position))
        return int(part)

    return tuple(take(entry) for entry in op.idx_list)


def _plain(index: Any) -> Any:
    """An index that is known as one of Python's, so that JAX slices instead of gathering."""
    if isinstance(index, (np.ndarray, np.integer)) and np.ndim(index) == 0 and np.asarray(index).dtype != bool:
        return int(index)
    return index


@register(subtensor.Subtensor)
def take_slices(op, node):
    def take(x, *values):
        index = tuple(_plain(i) for i in _indices(op, values, 1))
        return (np.asarray(x) if known(x) and all(known(v) for v in values) else jnp.asarray(x))[index]

    return take


@register(subtensor.IncSubtensor)
def put_slices(op, node):
    def put(x, y, *values):
        at_index = jnp.asarray(x).at[tuple(_plain(i) for i in _indices(op, values, 2))]
        return at_index.set(y) if op.set_instead_of_inc else at_index.add(y)

    return put


def _lookup(values: Any, first: int) -> tuple[Any, ...]:
    """Arrays, slices and None as they come; a mask must be known."""
    index = []
    for position, value in enumerate(values, first):
        if str(getattr(value, "dtype", None)) == "bool":
            value = concrete(value, "a mask", position)
        index.append(value)
    return tuple(index)


@register(subtensor.AdvancedSubtensor, subtensor.AdvancedSubtensor1)
def gather(op, node):
    return lambda x, *values: jnp.asarray(x)[_lookup(values, 1)]


@register(subtensor.AdvancedIncSubtensor, subtensor.AdvancedIncSubtensor1)
def scatter(op, node):
    def put(x, y, *values):
        at_index = jnp.asarray(x).at[_lookup(values, 2)]
        return at_index.set(y) if op.set_instead_of_inc else at_index.add(y)

    return put


@register(at.type_other.MakeSlice)
def make_slice(op, node):
    def make(*parts):
        return slice(
            *(
                None if p is None or isinstance(i.type, at.type_other.NoneTypeT) else int(concrete(p, "a bound", n))
                for n, (p, i) in enumerate(zip(parts, node.inputs, strict=True))
            )
        )

    return make


# Softmax


@register(at.special.Softmax)
def softmax(op, node):
    return lambda x: jax.nn.softmax(x, op.axis)


@register(at.special.LogSoftmax)
def log_softmax(op, node):
    return lambda x: jax.nn.log_softmax(x, op.axis)


@register(at.special.SoftmaxGrad)
def softmax_gradient(op, node):
    def gradient(g, y):
        return g * y - jnp.sum(g * y, op.axis, keepdims=True) * y

    return gradient


# Branches and random numbers


@register(IfElse)
def branch(op, node):
    def choose(condition, *values):
        n = op.n_outs
        if known(condition):
            return values[:n] if condition else values[n:]
        chosen = [jnp.where(condition != 0, a, b) for a, b in zip(values[:n], values[n:], strict=True)]
        return chosen if n > 1 else chosen[0]

    return choose


def _uniform(key, shape, dtype, low, high):
    return low + (high - low) * jax.random.uniform(key, shape, dtype)


def _normal(key, shape, dtype, mean, deviation):
    return mean + deviation * jax.random.normal(key, shape, dtype)


def _bernoulli(key, shape, dtype, p):
    return jax.random.bernoulli(key, p, shape).astype(dtype)


def _integers(key, shape, dtype, low, high, *_):
    return jax.random.randint(key, shape, low, high, dtype)


_DRAWS: dict[str, Any] = {
    "uniform": _uniform,
    "normal": _normal,
    "bernoulli": _bernoulli,
    "integers": _integers,
    "randint": _integers,
}


@register(at.random.op.RandomVariable)
def random_variable(op, node):
    if op.name not in _DRAWS:
        raise NotImplementedError(f"the JAX backend draws {', '.join(_DRAWS)}, not {op.name!r}")

    def draw(key, size, dtype, *params):
        shape = sizes_of(size, 1) or np.broadcast_shapes(*(np.shape(p) for p in params))
        key, use = jax.random.split(key)
        return key, _DRAWS[op.name](use, shape, jax.dtypes.canonicalize_dtype(node.outputs[1].dtype), *params)

    return draw
