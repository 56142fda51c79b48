"""Random numbers in JAX: draws by a key, and MRG's own numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import concrete, register, sizes_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Aesara, that it is old
    from aesara.sandbox.multinomial import ChoiceFromUniform, MultinomialFromUniform
    from aesara.sandbox.rng_mrg import mrg_uniform

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

at = aesara.tensor
# By a key


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


# MRG31k3p, as Aesara's C code computes it

_M1, _M2 = np.int32(2**31 - 1), np.int32(2**31 - 21069)
_NORM: dict[str, Any] = {"float32": np.float32(4.6566126e-10), "float64": np.float64(2.0**-31)}


def _below(x: Any, modulus: Any) -> Any:
    """A sum of two numbers below `modulus`, or what an overflow made of it, below `modulus` again."""
    return jnp.where((x < 0) | (x >= modulus), x - modulus, x)


def _twice_shifted(x: Any) -> Any:
    return _below(((x & 65535) << 15) + 21069 * (x >> 16), _M2)


def _next(state: Any) -> tuple[Any, Any]:
    """The state of each stream after one step, and its number, a whole one."""
    a, b, c, d, e, f = state.T
    new = _below(((b & 511) << 22) + (b >> 9) + ((c & 16777215) << 7) + (c >> 24), _M1)
    new = _below(new + c, _M1)
    other = _below(_below(_twice_shifted(f) + f, _M2) + _twice_shifted(d), _M2)
    number = new - other
    return jnp.stack([new, a, b, other, d, e], 1), jnp.where(number <= 0, number + _M1, number)


@register(mrg_uniform)
def mrg(op, node):
    dtype = op.output_type.dtype
    if dtype not in _NORM:
        raise NotImplementedError(f"the JAX backend draws {', '.join(_NORM)} by MRG, not {dtype}")

    def draw(state, size):
        shape = sizes_of(size, 1)
        streams = state.shape[0]
        # number i comes from stream i % streams
        steps, rest = divmod(int(np.prod(shape)), streams)
        state, numbers = lax.scan(lambda state, _: _next(state), jnp.asarray(state), length=steps)
        numbers = numbers.ravel()
        if rest:
            some, last = _next(state[:rest])
            state, numbers = state.at[:rest].set(some), jnp.concatenate([numbers, last])
        kind = jax.dtypes.canonicalize_dtype(dtype)
        return state, (numbers.astype(kind) * _NORM[dtype].astype(kind)).reshape(shape)

    return draw


def _rows(p: Any, u: Any, count: Any) -> Any:
    """The uniform numbers for each draw and row of probabilities."""
    count = int(concrete(count, "the number of draws", 2))
    if u.shape[0] != p.shape[0] * count:
        raise ValueError(f"unis.shape[0] != pvals.shape[0] * n ({u.shape[0]} != {p.shape[0]} * {count})")
    return u.reshape(count, p.shape[0])


def _hits(p: Any, u: Any) -> Any:
    """Where the sum of the probabilities so far exceeds `u`."""
    return jnp.cumsum(p, 1, dtype=jax.dtypes.canonicalize_dtype("float64")) > u[:, None]


@register(MultinomialFromUniform)
def multinomial(op, node):
    def count(p, u, n):
        hits = jnp.stack([_hits(p, row) for row in _rows(p, u, n)])
        return (hits & (jnp.cumsum(hits, 2) == 1)).sum(0)

    return count


@register(ChoiceFromUniform)
def choice(op, node):
    def choose(p, u, n):
        chosen, rows = [], _rows(p, u, n)
        if len(rows) > p.shape[1]:
            raise ValueError("Cannot sample without replacement n samples bigger than the size of the distribution.")
        for row in rows:
            chosen.append(jnp.argmax(_hits(p, row), 1))
            if not op.replace:
                p = jnp.where(jnp.arange(p.shape[1]) == chosen[-1][:, None], 0, p)
                p = p / p.sum(1, keepdims=True)
        return jnp.stack(chosen, 1)

    return choose
