"""Local response normalisation and batch normalisation, with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SizeError
from ._arrays import Array, along_axis, float64
from .pooling import caffe_ave_pool, caffe_ave_pool_grad

__all__ = [
    "batch_moments",
    "batch_norm",
    "batch_norm_grad",
    "caffe_batch_norm_blobs",
    "caffe_batch_norm_moments",
    "lrn_across",
    "lrn_across_grad",
    "lrn_within",
    "lrn_within_grad",
]


def _check_odd(size: int) -> None:
    if size % 2 == 0:
        raise SizeError(f"local_size {size} must be odd")


def _channel_sums(a: Array, size: int) -> Array:
    """The sum of ``a`` over the ``size`` channels around each, zeros beyond the first and last."""
    half = size // 2
    channels = a.shape[1]
    return np.stack([a[:, max(c - half, 0) : c + half + 1].sum(axis=1) for c in range(channels)], axis=1)


def lrn_across(x: ArrayLike, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0) -> Array:
    """Caffe's LRN, ACROSS_CHANNELS: ``x (k + alpha / size * sum of x^2 over size channels) ** -beta``.

    >>> lrn_across(np.ones((1, 3, 1)), size=3, alpha=3, beta=1)
    array([[[0.33333333],
            [0.25      ],
            [0.33333333]]])
    """
    x = float64(x)
    _check_odd(size)
    return x * (k + alpha / size * _channel_sums(x**2, size)) ** -beta


def lrn_across_grad(
    x: ArrayLike, g: ArrayLike, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Gradient of `lrn_across`."""
    x, g = float64(x), float64(g)
    _check_odd(size)
    base = k + alpha / size * _channel_sums(x**2, size)
    return g * base**-beta - 2 * alpha * beta / size * x * _channel_sums(g * x * base ** (-beta - 1), size)


def lrn_within(x: ArrayLike, size: int = 5, alpha: float = 1.0, beta: float = 0.75) -> Array:
    """Caffe's LRN, WITHIN_CHANNEL: ``x (1 + alpha * mean of x^2) ** -beta``; Caffe ignores its k here.

    The mean over ``size`` cells of each axis is an AVE pooling, pad ``(size - 1) / 2``, which counts padding.

    >>> lrn_within([[[1, 1, 1]]], size=3, alpha=3, beta=1)
    array([[[0.33333333, 0.25      , 0.33333333]]])
    """
    x = float64(x)
    _check_odd(size)
    return x * (1 + alpha * caffe_ave_pool(x**2, size, pad=size // 2)) ** -beta


def lrn_within_grad(x: ArrayLike, g: ArrayLike, size: int = 5, alpha: float = 1.0, beta: float = 0.75) -> Array:
    """Gradient of `lrn_within`."""
    x, g = float64(x), float64(g)
    _check_odd(size)
    base = 1 + alpha * caffe_ave_pool(x**2, size, pad=size // 2)
    through_mean = caffe_ave_pool_grad(g * x * base ** (-beta - 1), x.shape[2:], size, pad=size // 2)
    return g * base**-beta - 2 * alpha * beta * x * through_mean


def batch_moments(x: ArrayLike) -> tuple[Array, Array]:
    """Mean and biased variance of each channel of ``x`` (N, C, *spatial): (C,) each.

    >>> batch_moments([[[1, 3]], [[1, 3]]])
    (array([2.]), array([1.]))
    """
    x = float64(x)
    axes = (0, *range(2, x.ndim))
    return x.mean(axis=axes), x.var(axis=axes)


def batch_norm(x: ArrayLike, mean: ArrayLike, var: ArrayLike, eps: float) -> Array:
    """``(x - mean) / sqrt(var + eps)``, ``mean`` and ``var`` (C,); gamma and beta are `scale`'s.

    >>> batch_norm([[[1, 3]]], *batch_moments([[[1, 3]]]), eps=0)
    array([[[-1.,  1.]]])
    """
    x = float64(x)
    mean, var = (along_axis(float64(m), 1, x.ndim) for m in (mean, var))
    return (x - mean) / np.sqrt(var + eps)


def batch_norm_grad(x: ArrayLike, g: ArrayLike, mean: ArrayLike, var: ArrayLike, eps: float, train: bool) -> Array:
    """Gradient of `batch_norm` for ``x``; with ``train``, ``mean`` and ``var`` are the moments of ``x``."""
    g = float64(g)
    scale = np.sqrt(along_axis(float64(var), 1, g.ndim) + eps)
    if not train:
        return g / scale
    y = batch_norm(x, mean, var, eps)
    axes = (0, *range(2, g.ndim))
    return (g - g.mean(axis=axes, keepdims=True) - y * (g * y).mean(axis=axes, keepdims=True)) / scale


def caffe_batch_norm_moments(blobs: Sequence[ArrayLike]) -> tuple[Array, Array]:
    """The mean and variance of Caffe's BatchNorm in TEST: blobs 0 and 1 divided by blob 2 (0 if that is 0).

    >>> caffe_batch_norm_moments([[4.0], [6.0], [2.0]])
    (array([2.]), array([3.]))
    """
    mean, var, count = (float64(blob) for blob in blobs)
    factor = 0.0 if count.item() == 0 else 1 / count.item()
    return mean * factor, var * factor


def caffe_batch_norm_blobs(x: ArrayLike, blobs: Sequence[ArrayLike], fraction: float = 0.999) -> list[Array]:
    """The three blobs of Caffe's BatchNorm after a forward pass in TRAIN; the variance times m / (m - 1).

    >>> caffe_batch_norm_blobs([[[1, 3]]], [[10.0], [10.0], [10.0]], fraction=0.5)
    [array([7.]), array([7.]), array([6.])]
    """
    x = float64(x)
    mean, var = batch_moments(x)
    m = x.size // x.shape[1]
    correction = m / (m - 1) if m > 1 else 1.0
    new = (mean, correction * var, np.ones(1))
    return [fraction * float64(blob) + term for blob, term in zip(blobs, new, strict=True)]
