"""Indexing in JAX: slices, arrays of indices, masks; reading, writing, adding."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import (
    Check,
    DataDependentError,
    concrete,
    known,
    no_way,
    register,
    sizes_of,
    trace,
)

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

at = aesara.tensor
subtensor = at.subtensor


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


def _checked(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index; JAX takes a number beyond the end for the last one, NumPy for an error."""
    for axis, (entry, n) in enumerate(zip(index, shape, strict=False)):
        if isinstance(entry, int) and not -n <= entry < n:
            raise IndexError(f"index {entry} is out of bounds for axis {axis} with size {n}")
    return index


@register(subtensor.Subtensor)
def take_slices(op, node):
    def take(x, *values):
        index = _checked(tuple(_plain(i) for i in _indices(op, values, 1)), np.shape(x))
        return (np.asarray(x) if known(x) and all(known(v) for v in values) else jnp.asarray(x))[index]

    return take


def _spread(y: Any, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """`y` where ``x[index]`` lies in an x of `shape`, amid zeros."""
    spans = [
        range(n)[i : i + 1 or None] if isinstance(i, int) else range(n)[i] for i, n in zip(index, shape, strict=True)
    ]
    region = [len(span) for span, i in zip(spans, index, strict=True) if not isinstance(i, int)]
    y = jnp.broadcast_to(y, region).reshape([len(span) for span in spans])
    y = jnp.flip(y, [axis for axis, span in enumerate(spans) if span.step < 0])
    edges = []
    for n, span in zip(shape, spans, strict=True):
        ends = (min(span), n - 1 - max(span)) if span else (0, n)
        edges.append((*ends, abs(span.step) - 1))
    return lax.pad(y, jnp.zeros((), y.dtype), edges)


@register(subtensor.IncSubtensor)
def put_slices(op, node):
    def put(x, y, *values):
        x = jnp.asarray(x)
        index = _checked(tuple(_plain(i) for i in _indices(op, values, 2)), x.shape)
        if op.set_instead_of_inc or not all(isinstance(i, (int, slice)) for i in index):
            return x.at[index].set(y) if op.set_instead_of_inc else x.at[index].add(y)
        # a sum in place of a scatter: faster, and one that covers all of x, turned, crashes XLA of JAX 0.12
        return x + _spread(y, x.shape, (*index, *[slice(None)] * (x.ndim - len(index)))).astype(x.dtype)

    return put


class _Places:
    """What `nonzero` gives of a mask that is not known: fit to write one number there, and for nothing else."""

    def __init__(self, mask: Any, variable: Any):
        self.mask, self.variable = mask, variable

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise DataDependentError(
            "nonzero: how many numbers differ from 0 is known only when it runs; JAX can but set or increase them all "
            "by one number: multiply by the mask or take a switch, or use backend 'c' or 'numpy'",
            self.variable,
        )

    __jax_array__ = __array__


@register(at.basic.Nonzero)
def nonzero(op, node):
    def places(x):
        place = _Places(x != 0, node.inputs[0])
        return [place] * x.ndim if x.ndim > 1 else place

    return places


def _mask(values: Any) -> Any:
    """The mask that not known places come from, if that is what the indices are; else None."""
    first = values[0]
    if isinstance(first, _Places):
        return first.mask if all(v is first for v in values) and len(values) == first.mask.ndim else None
    alone = len(values) == 1 and str(getattr(first, "dtype", None)) == "bool" and not known(first)
    return first if alone else None


def _lookup(values: Any, first: int) -> tuple[Any, ...]:
    """Arrays, slices and None as they come; a mask must be known."""
    index = []
    for position, value in enumerate(values, first):
        if isinstance(value, _Places) or str(getattr(value, "dtype", None)) == "bool":
            value = concrete(value, "a mask", position)
        index.append(value)
    return tuple(index)


@register(subtensor.AdvancedSubtensor, subtensor.AdvancedSubtensor1)
def gather(op, node):
    return lambda x, *values: jnp.asarray(x)[_lookup(values, 1)]


@register(subtensor.AdvancedIncSubtensor, subtensor.AdvancedIncSubtensor1)
def scatter(op, node):
    def put(x, y, *values):
        x, mask = jnp.asarray(x), _mask(values)
        if mask is not None and np.size(y) == 1:
            y = jnp.reshape(y, ()).astype(x.dtype)
            mask = jnp.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
            return jnp.where(mask, y if op.set_instead_of_inc else x + y, x)
        index = _lookup(values, 2)
        if op.set_instead_of_inc:
            return x.at[index].set(y)
        # each of several increments at one place, or the last one alone
        return x.at[index].set(x[index] + y) if getattr(op, "ignore_duplicates", False) else x.at[index].add(y)

    return put


@register(at.extra_ops.FillDiagonalOffset)
def fill_diagonal(op, node):
    def fill(x, value, offset):
        return jnp.where(np.eye(x.shape[0], x.shape[1], k=int(concrete(offset, "the offset", 2)), dtype=bool), value, x)

    return fill


@register(at.extra_ops.Unique)
def unique(op, node):
    raise NotImplementedError(f"{no_way(op)}: how many there are is known only when it runs")


@register(at.extra_ops.RavelMultiIndex)
def ravel_multi_index(op, node):
    def ravel(*values):
        *indices, dims = values
        dims = sizes_of(dims, len(indices))
        if op.mode == "raise":
            outside = [(i < 0) | (i >= n) for i, n in zip(indices, dims, strict=True)]

            def explain():
                raise ValueError("invalid entry in coordinates array")

            trace().checks.append(Check(functools.reduce(operator.or_, outside).any(), (), explain))
        mode = "clip" if op.mode == "raise" else op.mode
        return jnp.ravel_multi_index(tuple(map(jnp.asarray, indices)), dims, mode, op.order)

    return ravel


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
