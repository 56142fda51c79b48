"""``aesara.tensor.nnet`` in JAX: softmax, cross entropies of classes, windows of images as rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.tensor.nnet.neighbours import Images2Neibs

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import Check, concrete, register, trace

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

at = aesara.tensor
basic = at.nnet.basic

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


@register(basic.SoftmaxWithBias)
def softmax_with_bias(op, node):
    return lambda x, b: jax.nn.softmax(_biased(x, b), 1)


def _biased(x: Any, b: Any) -> Any:
    if b.shape[0] != x.shape[1]:
        raise ValueError("b must have same number of columns as x")
    return x + b


# Cross entropies: a row of scores or probabilities, and a class, for each example


def _classes(rows: Any, classes: Any) -> Any:
    """The classes as a column; one that is none is reported after the call."""
    if classes.shape[0] != rows.shape[0]:
        raise ValueError("y_idx must have same number of rows as x")

    def explain():
        raise ValueError("y_i value out of bounds")

    classes = jnp.asarray(classes).astype(jax.dtypes.canonicalize_dtype(np.int64))
    trace().checks.append(Check(((classes < 0) | (classes >= rows.shape[1])).any(), (), explain))
    return jnp.clip(classes, 0, rows.shape[1] - 1)[:, None]


def _hit(rows: Any, classes: Any) -> Any:
    return jnp.arange(rows.shape[1]) == classes


@register(basic.CrossentropySoftmaxArgmax1HotWithBias)
def softmax_cross_entropy(op, node):
    def entropy(x, b, classes):
        x = _biased(x, b)
        logs = jax.nn.log_softmax(x, 1)
        return -jnp.take_along_axis(logs, _classes(x, classes), 1)[:, 0], jnp.exp(logs), jnp.argmax(x, 1)

    return entropy


@register(basic.CrossentropySoftmax1HotWithBiasDx)
def softmax_cross_entropy_gradient(op, node):
    def gradient(g, p, classes):
        return (p - _hit(p, _classes(p, classes))) * (g if g.ndim == 0 else g[:, None])

    return gradient


@register(basic.CrossentropyCategorical1Hot)
def cross_entropy(op, node):
    return lambda p, classes: -jnp.log(jnp.take_along_axis(p, _classes(p, classes), 1)[:, 0])


@register(basic.CrossentropyCategorical1HotGrad)
def cross_entropy_gradient(op, node):
    def gradient(g, p, classes):
        hit = _hit(p, _classes(p, classes))
        return jnp.where(hit, -g[:, None] / jnp.where(hit, p, 1), 0)

    return gradient


# Windows of images


@register(Images2Neibs)
def images_to_neighbours(op, node):
    def gather(images, shape, step):
        sizes = [concrete(shape, "a size", 1), concrete(step, "a step", 2)]
        # where each number comes from: Aesara's own code moves the places; 0 stays for what lies outside
        places = np.arange(1, images.size + 1, dtype="float64").reshape(images.shape)
        cell: list[Any] = [None]
        op.perform(_OfFloats, [places, *sizes], [cell], None)
        index = np.nan_to_num(cell[0]).astype("int64")
        return jnp.concatenate([jnp.zeros(1, images.dtype), images.ravel()])[index]

    return gather


class _OfFloats:
    """As much of a node as `Images2Neibs.perform` reads."""

    outputs = (at.dmatrix(),)
