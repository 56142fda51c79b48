"""The engine's rectifier, normalisation, losses, crops and interpolation in JAX."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy.engine import unpooling
from deconv_legacy.engine.crop import Crop, CropGradient
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import Check, register, sizes_of, trace
from deconv_legacy.engine.labels import Labels
from deconv_legacy.engine.lrn import LRN, LRNGradient, refuse_shapes
from deconv_legacy.engine.relu import Relu
from deconv_legacy.engine.resize import Resize, ResizeGradient
from deconv_legacy.engine.same import SameSizes
from deconv_legacy.engine.softmax import FLT_MIN, SoftmaxLoss, SoftmaxLossGradient, check_labels, refuse_label
from deconv_legacy.engine.unpooling import Unpool, UnpoolGather
from deconv_legacy.engine.update import Update, check_update

jnp, lax = jax.numpy, jax.lax

__all__ = ["rectify"]


@jax.custom_jvp
def rectify(x: Any) -> Any:
    """``max(x, 0)``, with gradient 0 at 0."""
    return jnp.maximum(x, 0)


@rectify.defjvp
def _(primals, tangents):
    y = rectify(*primals)
    return y, jnp.where(y > 0, tangents[0], 0)


@register(Relu)
def relu(op, node):
    return rectify


# Local response normalisation


def _around(op: Any, a: Any) -> Any:
    half, channels = op.size // 2, a.shape[1]
    padded = jnp.pad(a, [(0, 0), (half, half), *[(0, 0)] * (a.ndim - 2)])
    return sum(padded[:, i : i + channels] for i in range(op.size))


@register(LRN)
def lrn(op, node):
    return lambda x: x * (op.k + op.alpha / op.size * _around(op, x * x)) ** -op.beta


@register(LRNGradient)
def lrn_gradient(op, node):
    def gradient(x, g):
        if x.shape != g.shape:
            refuse_shapes(x.shape, g.shape)
        scale = op.k + op.alpha / op.size * _around(op, x * x)
        direct = g * scale**-op.beta
        return direct - 2 * op.alpha * op.beta / op.size * x * _around(op, direct * x / scale)

    return gradient


# Labels


@register(Labels)
def labels(op, node):
    def first_of_the_highest(scores):
        op.check(scores.shape)
        return jax.lax.argmax(scores, 1, np.uint8)

    return first_of_the_highest


# Crop


@register(SameSizes)
def same_sizes(op, node):
    def check(x, y):
        op._check(x.shape, y.shape)
        return y

    return check


@register(Crop)
def crop(op, node):
    def take(x, sizes, offsets):
        return x[op._ranges(x.shape[op.axis :], sizes_of(sizes, 1), sizes_of(offsets, 2))]

    return take


@register(CropGradient)
def crop_gradient(op, node):
    def put(g, sizes, offsets):
        sizes = sizes_of(sizes, 1)
        ranges = op._ranges(sizes, g.shape[op.axis :], sizes_of(offsets, 2))
        return jnp.zeros((*g.shape[: op.axis], *sizes), g.dtype).at[ranges].set(g)

    return put


# Interpolation


def _resize(op: Any, x: Any, out: tuple[int, ...]) -> Any:
    for axis, table in enumerate(op._tables(x.shape[2:], out), 2):
        if table is None:
            continue
        low, weight = table
        n = x.shape[axis]
        weight = weight.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        lower = jnp.take(x, low, axis)
        if not weight.any():
            x = lower
            continue
        # without weight the next cell is not looked at: there may be none, or a NaN
        upper = jnp.where(weight != 0, jnp.take(x, np.minimum(low + 1, n - 1), axis), 0)
        x = (1 - weight) * lower + weight * upper
    return x


@register(Resize)
def resize(op, node):
    return lambda x, sizes: _resize(op, x, sizes_of(sizes, 1))


@register(ResizeGradient)
def resize_gradient(op, node):
    def gradient(g, sizes):
        sizes = sizes_of(sizes, 1)
        op._tables(sizes, g.shape[2:])
        x = jax.ShapeDtypeStruct((*g.shape[:2], *sizes), g.dtype)
        (x,) = jax.linear_transpose(lambda x: _resize(op, x, g.shape[2:]), x)(g)
        return x

    return gradient


# Softmax loss


def _labels(op: Any, scores: Any, labels: Any) -> Any:
    """Labels in the shape of the scores with 1 class, checked."""
    check_labels(scores.shape, labels.shape, op.axis)
    shape, count = scores.shape, scores.shape[op.axis]
    classes = jnp.asarray(labels).astype(jnp.int32).reshape(*shape[: op.axis], 1, *shape[op.axis + 1 :])
    wrong = _counted(op, classes) & ((classes < 0) | (classes >= count))
    if jnp.issubdtype(labels.dtype, jnp.floating):
        wrong |= jnp.isnan(labels).reshape(classes.shape)  # which XLA makes 0
    if wrong.size:
        first = jnp.argmax(wrong.ravel())
        form = np.shape(labels)

        def explain(index, label):
            array = np.zeros(form, np.asarray(label).dtype)
            array.reshape(-1)[int(index)] = label
            refuse_label(array, int(index), count)

        trace().checks.append(Check(wrong.any(), (first, jnp.asarray(labels).ravel()[first]), explain))
    return classes


def _counted(op: Any, classes: Any) -> Any:
    return jnp.ones_like(classes, bool) if op.ignore_label is None else classes != op.ignore_label


def _classes(op: Any, scores: Any, classes: Any) -> tuple[Any, Any, Any]:
    """As in NumPy: labels (0 where they do not count), where they count, the divisor."""
    counted = _counted(op, classes)
    batch = int(np.prod(scores.shape[: op.axis]))
    divisors = {"valid": counted.sum(), "full": counted.size, "batch_size": batch, "none": 1}
    divisor = jnp.maximum(1, divisors[op.normalization]).astype(scores.dtype)
    return jnp.clip(jnp.where(counted, classes, 0), 0, scores.shape[op.axis] - 1), counted, divisor


def _loss(op: Any, scores: Any, labels: Any) -> Any:
    classes, counted, divisor = _classes(op, scores, labels)
    x = scores.astype(jnp.float32) if op.caffe_cpu_sum else scores
    x = x - x.max(op.axis, keepdims=True) if x.size else x
    of_label = jnp.take_along_axis(x, classes, op.axis)
    if op.caffe_cpu_sum:
        # Caffe's steps, all of them float32, one position after the other
        p = jnp.exp(of_label) / jnp.exp(x).sum(op.axis, keepdims=True)
        terms = jnp.where(counted, -jnp.log(jnp.maximum(p, np.float32(FLT_MIN))), np.float32(0)).ravel()
        total, _ = lax.scan(lambda sum_, term: (sum_ + term, None), np.float32(0), terms)
        return (total / divisor.astype(jnp.float32)).astype(scores.dtype)
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    sums = jnp.exp(x).sum(op.axis, keepdims=True, dtype=wide)
    terms = jnp.minimum(jnp.log(sums) - of_label, -np.log(FLT_MIN))
    return (jnp.where(counted, terms, 0).sum() / divisor).astype(scores.dtype)


def _loss_gradient(op: Any, scores: Any, labels: Any, g: Any) -> Any:
    classes, counted, divisor = _classes(op, scores, labels)
    if not scores.size:
        return scores
    p = jax.nn.softmax(scores, op.axis)
    shape = tuple(-1 if axis == op.axis else 1 for axis in range(scores.ndim))
    hit = jnp.arange(scores.shape[op.axis]).reshape(shape) == classes
    return jnp.where(counted, (p - hit) * (g / divisor), 0)


@register(SoftmaxLoss)
def softmax_loss(op, node):
    @jax.custom_jvp
    def loss(scores, labels):
        return _loss(op, scores, labels)

    @loss.defjvp
    def _(primals, tangents):
        scores, labels = primals
        gradient = _loss_gradient(op, scores, labels, jnp.ones((), scores.dtype))
        return loss(scores, labels), jnp.sum(gradient * tangents[0])

    return lambda scores, labels: loss(scores, _labels(op, scores, labels))


@register(SoftmaxLossGradient)
def softmax_loss_gradient(op, node):
    return lambda scores, labels, g: _loss_gradient(op, scores, _labels(op, scores, labels), g)


# Un-pooling by a mask


def _cells(op: Any, mask: Any, cells: int) -> Any:
    """The mask as indices into the flattened image."""
    mask = jnp.asarray(mask)
    index = mask.astype(jax.dtypes.canonicalize_dtype(np.int64))
    wrong = (index < 0) | (index >= cells)
    if wrong.size:
        first = jnp.argmax(wrong.ravel())
        form = mask.shape

        def explain(position, value):
            array = np.zeros(form, np.asarray(value).dtype)
            array.reshape(-1)[int(position)] = value
            unpooling.refuse_index(array, int(position), cells)

        trace().checks.append(Check(wrong.any(), (first, mask.ravel()[first]), explain))
    leading = mask.shape[: -op.ndim]
    plane = np.arange(np.prod(leading, dtype=np.int64)).reshape(*leading, *(1,) * op.ndim)
    return (jnp.clip(index, 0, max(cells - 1, 0)) + plane * cells).ravel()


@register(Unpool)
def unpool(op, node):
    def put(x, mask, sizes):
        sizes = sizes_of(sizes, 2)
        shape = unpooling.image_shape(op.ndim, x.shape, mask.shape, sizes)
        index, count = _cells(op, mask, int(np.prod(sizes))), int(np.prod(shape))

        def add(values, index):
            return jnp.zeros(count, values.dtype).at[index].add(values.ravel()).reshape(shape)

        @jax.custom_jvp
        def last(values, index):
            # of several values of one cell the last: a scatter alone may take any
            place = jnp.full(count, -1).at[index].max(jnp.arange(index.size))
            taken = values.ravel()[jnp.maximum(place, 0)] if index.size else jnp.zeros(count, values.dtype)
            return jnp.where(place >= 0, taken, 0).reshape(shape)

        @last.defjvp
        def _(primals, tangents):
            return last(*primals), add(tangents[0], primals[1])

        return (add if op.adds else last)(x, index)

    return put


@register(UnpoolGather)
def unpool_gather(op, node):
    def take(image, mask):
        unpooling.image_shape(op.ndim, mask.shape, mask.shape, image.shape)
        index = _cells(op, mask, int(np.prod(image.shape[-op.ndim :])))
        return image.ravel()[index].reshape(mask.shape)

    return take


# Training


@register(Update)
def update(op, node):
    def step(*inputs):
        for a in inputs[1 : op.kept + 2]:
            check_update(inputs[0].shape, a.shape)
        made = op.formula(jnp, *map(jnp.asarray, inputs))
        return made if op.kept else made[0]

    return step
