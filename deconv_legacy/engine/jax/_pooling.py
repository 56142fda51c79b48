"""The engine's pooling in JAX: the same taps as in NumPy, which XLA joins into one pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from deconv_legacy.engine import _windows
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import register, sizes_of
from deconv_legacy.engine.pooling import (
    LOWEST,
    AveragePool,
    AveragePoolGradient,
    MaxPool,
    MaxPoolGather,
    MaxPoolGradient,
)

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

_UNROLLED = 64  # taps; larger windows are a loop, so that the program stays small


class _Plan:
    """The windows of an image of `shape`, and how to walk them."""

    def __init__(self, op: Any, shape: tuple[int, ...]):
        self.ndim = n = op.windows.ndim
        self.numbers = _windows.plan(tuple(op.numbers()), (shape,), ())
        self.kernel, self.stride, self.before, _, self.out = (self.numbers[i - n : i] for i in range(3, 16, 3))
        self.sizes, self.leading = shape[-n:], shape[:-n]
        self.extent = tuple((o - 1) * s + k for k, s, o in zip(self.kernel, self.stride, self.out, strict=True))
        self.after = tuple(e - b - n for e, b, n in zip(self.extent, self.before, self.sizes, strict=True))
        self.taps = list(np.ndindex(*self.kernel))

    def padded(self, x: Any, fill: float) -> Any:
        """`x` amid `fill`, as far as windows reach."""
        edges = [(0, 0, 0)] * (x.ndim - self.ndim) + [(b, a, 0) for b, a in zip(self.before, self.after, strict=True)]
        return lax.pad(x, jnp.asarray(fill, x.dtype), edges)

    def from_padded(self, sums: Any) -> Any:
        """The image out of its padding; cells that no window reaches are 0."""
        edges = [(-b, -a, 0) for b, a in zip(self.before, self.after, strict=True)]
        return lax.pad(sums, jnp.zeros((), sums.dtype), [(0, 0, 0)] * (sums.ndim - self.ndim) + edges)

    def window(self, image: Any, tap: Any) -> Any:
        """What tap number `tap` of each window meets."""
        spans = [(o - 1) * s + 1 for o, s in zip(self.out, self.stride, strict=True)]
        first = image.ndim - self.ndim
        start = (0,) * first + self._start(tap)
        part = lax.dynamic_slice(image, start, (*image.shape[:first], *spans))
        every = (..., *(slice(None, None, s) for s in self.stride))
        return part[every]

    def add(self, sums: Any, tap: Any, part: Any) -> Any:
        """Add to `sums` where tap number `tap` of each window lies."""
        first = sums.ndim - self.ndim
        spread = lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0)] * first + [(0, 0, s - 1) for s in self.stride])
        if isinstance(tap, int):
            spans = spread.shape[first:]
            edges = [(t, e - t - n, 0) for t, e, n in zip(self.taps[tap], self.extent, spans, strict=True)]
            return sums + lax.pad(spread, jnp.zeros((), part.dtype), [(0, 0, 0)] * first + edges)
        start = (0,) * first + self._start(tap)
        there = lax.dynamic_slice(sums, start, spread.shape)
        return lax.dynamic_update_slice(sums, there + spread, start)

    def _start(self, tap: Any) -> tuple[Any, ...]:
        return self.taps[tap] if isinstance(tap, int) else tuple(jnp.asarray(np.asarray(self.taps))[tap])

    def walk(self, step: Callable[[Any, Any], Any], state: Any) -> Any:
        """``state = step(tap, state)`` for each tap in row-major order."""
        if len(self.taps) > _UNROLLED:
            return lax.fori_loop(0, len(self.taps), step, state)
        for tap in range(len(self.taps)):
            state = step(tap, state)
        return state


def _maximum(op: Any, x: Any) -> Any:
    plan = _Plan(op, x.shape)
    start = LOWEST if op.ties == "first" else -np.inf
    image = plan.padded(x, -np.inf)
    best = jnp.full((*plan.leading, *plan.out), start, x.dtype)

    def step(tap, best):
        values = plan.window(image, tap)
        return jnp.where(values > best, values, best)  # a NaN is never greater

    return plan.walk(step, best)


def _maximum_and_mask(op: Any, x: Any) -> tuple[Any, Any]:
    plan = _Plan(op, x.shape)
    start = LOWEST if op.ties == "first" else -np.inf
    image = plan.padded(x, -np.inf)
    wide = jax.dtypes.canonicalize_dtype(np.int64)
    cells = jnp.arange(np.prod(plan.sizes, dtype=np.int64), dtype=wide).reshape(plan.sizes)
    index = plan.padded(cells, -1)
    best = jnp.full((*plan.leading, *plan.out), start, x.dtype)

    def step(tap, state):
        best, mask = state
        values = plan.window(image, tap)
        better = values > best
        return jnp.where(better, values, best), jnp.where(better, plan.window(index, tap), mask)

    return plan.walk(step, (best, jnp.full(best.shape, -1, wide)))


def _open(op: Any, y: Any) -> Any:
    return jnp.ones(y.shape, bool) if op.ties == "all" else y > LOWEST


def _gather(op: Any, x: Any, y: Any, v: Any) -> Any:
    """The `v` at each window's maximum."""
    _windows.plan(tuple(op.numbers()), (x.shape, v.shape), (y.shape,))
    plan = _Plan(op, x.shape)
    image, values = plan.padded(x, np.nan), plan.padded(v, 0)
    if len(plan.taps) > _UNROLLED:
        return _gather_large(op, plan, image, y, values)

    def step(tap, state):
        open_, result = state
        hit = (plan.window(image, tap) == y) & open_
        result = result + jnp.where(hit, plan.window(values, tap), 0)
        return (open_ & ~hit if op.ties == "first" else open_), result

    return plan.walk(step, (_open(op, y), jnp.zeros(y.shape, v.dtype)))[1]


def _gather_large(op: Any, plan: _Plan, image: Any, y: Any, values: Any) -> Any:
    """The same for many taps, with no loop over `values`: JAX cannot transpose one that also finds the maxima."""
    taps = jnp.arange(len(plan.taps))
    if op.ties == "first":
        first = plan.walk(
            lambda tap, first: jnp.where((first < 0) & (plan.window(image, tap) == y), tap, first),
            jnp.full(y.shape, -1, taps.dtype),
        )
        hits = _open(op, y) & (first == taps.reshape(-1, *(1,) * y.ndim))
    else:
        hits = jax.vmap(lambda tap: plan.window(image, tap) == y)(taps)
    return jnp.where(hits, jax.vmap(lambda tap: plan.window(values, tap))(taps), 0).sum(0)


def _scatter(op: Any, x: Any, y: Any, g: Any) -> Any:
    """The transpose of `_gather`."""
    _windows.plan(tuple(op.numbers()), (x.shape,), (y.shape, g.shape))
    plan = _Plan(op, x.shape)
    image = plan.padded(x, np.nan)

    def step(tap, state):
        open_, sums = state
        hit = (plan.window(image, tap) == y) & open_
        return (open_ & ~hit if op.ties == "first" else open_), plan.add(sums, tap, jnp.where(hit, g, 0))

    _, sums = plan.walk(step, (_open(op, y), jnp.zeros(image.shape, g.dtype)))
    return plan.from_padded(sums)


@register(MaxPool)
def max_pool(op, node):
    @jax.custom_jvp
    def pool(x):
        return _maximum_and_mask(op, x) if op.mask else _maximum(op, x)

    @pool.defjvp
    def _(primals, tangents):
        (x,), (v,) = primals, tangents
        if not op.mask:
            y = pool(x)
            return y, _gather(op, x, y, v)
        y, mask = pool(x)
        return (y, mask), (_gather(op, x, y, v), np.zeros(mask.shape, jax.dtypes.float0))

    return pool


@register(MaxPoolGather)
def max_pool_gather(op, node):
    return functools.partial(_gather, op)


@register(MaxPoolGradient)
def max_pool_gradient(op, node):
    return functools.partial(_scatter, op)


@register(AveragePool)
def average_pool(op, node):
    def pool(x):
        plan = _Plan(op, x.shape)
        image = plan.padded(x, 0)
        sums = jnp.zeros((*plan.leading, *plan.out), x.dtype)
        sums = plan.walk(lambda tap, sums: sums + plan.window(image, tap), sums)
        return sums / op._divisors(plan.sizes, plan.numbers).astype(x.dtype)

    return pool


@register(AveragePoolGradient)
def average_pool_gradient(op, node):
    def spread(g, sizes):
        ndim, sizes = op.windows.ndim, sizes_of(sizes, 1)
        if len(sizes) != ndim:
            _windows.wrong_length(tuple(op.numbers()), len(sizes))
        shape = (*g.shape[:-ndim], *sizes)
        _windows.plan(tuple(op.numbers()), (shape,), (g.shape,))
        plan = _Plan(op, shape)
        part = g / op._divisors(plan.sizes, plan.numbers).astype(g.dtype)
        sums = jnp.zeros((*plan.leading, *plan.extent), g.dtype)
        return plan.from_padded(plan.walk(lambda tap, sums: plan.add(sums, tap, part), sums))

    return spread
