"""Linear algebra, sorting and Fourier transforms in JAX, as far as Aesara has no translation of its own that works."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from aesara.tensor import fft, nlinalg, slinalg

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import concrete, register, sizes_of

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

at = aesara.tensor
sorting: Any = importlib.import_module("aesara.tensor.sort")  # the attribute of that name is a function


@register(nlinalg.MatrixPinv)
def pseudo_inverse(op, node):
    return lambda x: jnp.linalg.pinv(x, hermitian=op.hermitian)


@register(nlinalg.EighGrad)
def eigh_gradient(op, node):
    def gradient(x, w, v, gw, gv):
        # as Aesara: only one triangle of x is read
        between = w[:, None] - w[None, :] + np.eye(w.shape[0])
        inner = jnp.where(np.eye(w.shape[0], dtype=bool), jnp.diag(gw), gv.T @ v / between)
        g = v @ inner @ v.T
        lower, upper = (jnp.tril, jnp.triu) if op.UPLO == "L" else (jnp.triu, jnp.tril)
        return lower(g) + upper(g, 1 if op.UPLO == "L" else -1).T

    return gradient


@register(nlinalg.TensorInv)
def tensor_inverse(op, node):
    return lambda x: jnp.linalg.tensorinv(x, op.ind)


@register(nlinalg.TensorSolve)
def tensor_solve(op, node):
    return lambda a, b: jnp.linalg.tensorsolve(a, b, op.axes)


@register(slinalg.CholeskySolve)
def cholesky_solve(op, node):
    return lambda c, b: jax.scipy.linalg.cho_solve((c, op.lower), b)


@register(slinalg.Expm)
def exponential(op, node):
    return jax.scipy.linalg.expm


@register(slinalg.ExpmGrad)
def exponential_gradient(op, node):
    return lambda x, g: jax.vjp(jax.scipy.linalg.expm, x)[1](g)[0]


# Sorting


def _axis(value: Any) -> int | None:
    return None if value is None else int(concrete(value, "the axis", 1))


@register(sorting.SortOp)
def sort(op, node):
    return lambda x, axis: jnp.sort(x, _axis(axis))


@register(sorting.ArgSortOp)
def argsort(op, node):
    return lambda x, axis: jnp.argsort(x, _axis(axis))


@register(sorting.TopKOp)
def largest(op, node):
    """The k largest, or -k smallest; in ascending order, where Aesara says nothing of an order."""

    def choose(x, k):
        k = int(concrete(k, "the count", 1))
        size = x.shape[op.axis]
        if not 0 < abs(k) <= size:
            raise ValueError(f"topk: {k} of {size}")
        places = lax.slice_in_dim(jnp.argsort(x, op.axis), *((size - k, size) if k > 0 else (0, -k)), axis=op.axis)
        values = jnp.take_along_axis(x, places, op.axis)
        results = [r for r, wanted in ((values, op.return_values), (places, op.return_indices)) if wanted]
        return results if len(results) > 1 else results[0]

    return choose


@register(at.extra_ops.SearchsortedOp)
def searchsorted(op, node):
    return lambda x, values, *sorter: jnp.searchsorted(x, values, op.side, sorter=sorter[0] if sorter else None)


@register(at.basic.PermuteRowElements)
def permute_rows(op, node):
    def permute(x, order, inverse):
        x, order = jnp.broadcast_arrays(x, order)
        return jnp.take_along_axis(x, jnp.argsort(order) if concrete(inverse, "whether back", 2) else order, -1)

    return permute


# Fourier transforms: real and imaginary parts on an axis of their own, as Aesara has them


@register(fft.RFFTOp)
def fourier(op, node):
    def transform(x, sizes):
        sizes = sizes_of(sizes, 1)
        z = jnp.fft.rfftn(x, sizes, range(x.ndim - len(sizes), x.ndim))
        return jnp.stack([z.real, z.imag], -1)

    return transform


@register(fft.IRFFTOp)
def fourier_back(op, node):
    def transform(x, sizes):
        sizes = sizes_of(sizes, 1)
        z = lax.complex(x[..., 0], x[..., 1])
        return jnp.fft.irfftn(z, sizes, range(z.ndim - len(sizes), z.ndim)) * int(np.prod(sizes))

    return transform
