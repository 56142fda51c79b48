"""The engine's convolutions in JAX: checked, turned, and computed by `_forms`."""

from __future__ import annotations

import functools
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.engine import _shapes
from deconv_legacy.engine.convolution import Conv, ConvInputGradient, ConvWeightGradient, FusedConv
from deconv_legacy.engine.jax import _forms
from deconv_legacy.engine.jax._forms import Form, transpose
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax._pointwise import rectify
from deconv_legacy.engine.jax.translate import register, sizes_of
from deconv_legacy.engine.unshared import UnsharedConv, UnsharedConvInputGradient, UnsharedConvWeightGradient

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

Ints = tuple[int, ...]


def _turned(op: Any, w: Any) -> Any:
    """The filters, turned if the Op convolves."""
    return jnp.flip(w, range(2, w.ndim)) if op.flip else w


def _pads(op: Any, size: Ints, kernel: Ints) -> Any:
    return geometry.resolve_all_pads(op.border_mode, size, kernel, op.stride, op.dilation)


def _form(op: Any, size: Ints, kernel: Ints) -> Form:
    return Form(op.groups, op.stride, _pads(op, size, kernel), op.dilation)


def _forward(op: Any, x: Any, w: Any) -> Any:
    _shapes.check_shapes(op, x.shape, w.shape, None)
    return _forms.conv(x, _turned(op, w), _form(op, x.shape[2:], w.shape[2:]))


@register(Conv)
def conv(op, node):
    return functools.partial(_forward, op)


@register(FusedConv)
def fused_conv(op, node):
    def convolve(x, w, b):
        _shapes.check_bias(op, w.shape, b.shape)
        y = _forward(op, x, w) + b.reshape(-1, *(1,) * op.ndim)
        return rectify(y) if op.relu else y

    return convolve


@register(ConvInputGradient)
def conv_input_gradient(op, node):
    def deconvolve(w, y, size):
        size = sizes_of(size, 2)
        _shapes.check_length(op, size)
        shape = (y.shape[0], w.shape[1] * op.groups, *size)
        _shapes.check_shapes(op, shape, w.shape, y.shape)
        if 0 in shape or 0 in y.shape:
            return jnp.zeros(shape, y.dtype)
        return _forms.input_gradient(_turned(op, w), y, size, _form(op, size, w.shape[2:]))

    return deconvolve


@register(ConvWeightGradient)
def conv_weight_gradient(op, node):
    def gradient(x, y, kernel):
        kernel = sizes_of(kernel, 2)
        _shapes.check_length(op, kernel)
        shape = (y.shape[1], x.shape[1] // op.groups, *kernel)
        _shapes.check_shapes(op, x.shape, shape, y.shape)
        if 0 in x.shape or 0 in y.shape:
            return jnp.zeros(shape, x.dtype)
        return _turned(op, _forms.weight_gradient(x, y, kernel, _form(op, x.shape[2:], kernel)))

    return gradient


# Filters of their own at every place


def _unshared(op: Any, x: Any, w: Any) -> Any:
    op._check(x.shape, w.shape, None)
    n = op.ndim
    out, kernel = w.shape[1 : 1 + n], w.shape[2 + n :]
    pads = _pads(op, x.shape[2:], kernel)
    image = op._grouped(jnp.pad(x, ((0, 0), (0, 0), *pads)), 1)
    filters = op._grouped(w, 0)
    y = jnp.zeros((x.shape[0], *filters.shape[:2], *out), x.dtype)
    for tap, window in op._taps(kernel, out):
        y += jnp.einsum("gm...c,ngc...->ngm...", filters[tap], image[window], precision=lax.Precision.HIGHEST)
    return y.reshape(x.shape[0], w.shape[0], *out)


@register(UnsharedConv)
def unshared_conv(op, node):
    return functools.partial(_unshared, op)


@register(UnsharedConvInputGradient)
def unshared_input_gradient(op, node):
    def deconvolve(w, y, size):
        shape = (*op._leading(w.shape, y.shape), *op._as_sizes(sizes_of(size, 2)))
        op._check(shape, w.shape, y.shape)
        return transpose(lambda x: _unshared(op, x, w), shape, y)

    return deconvolve


@register(UnsharedConvWeightGradient)
def unshared_weight_gradient(op, node):
    def gradient(x, y, kernel):
        shape = op._shape(x.shape, y.shape, op._as_sizes(sizes_of(kernel, 2)))
        op._check(x.shape, shape, y.shape)
        return transpose(lambda w: _unshared(op, x, w), shape, y)

    return gradient
