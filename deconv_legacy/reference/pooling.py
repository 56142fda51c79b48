"""Pooling by the rules of Caffe, Theano and TensorFlow 1, with gradients.

They differ in three things: how many windows there are, which cells a window that leaves the image counts,
and which of several equal maxima takes the gradient. A window never takes a value from outside the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SizeError
from ._arrays import Array, PerAxis, float64, per_axis

__all__ = [
    "caffe_ave_pool",
    "caffe_ave_pool_grad",
    "caffe_max_pool",
    "caffe_pool_sizes",
    "max_pool_grad",
    "tf_avg_pool",
    "tf_avg_pool_grad",
    "tf_max_pool",
    "theano_pool",
    "theano_pool_grad",
]

TheanoMode = Literal["max", "sum", "average_inc_pad", "average_exc_pad"]


class _Window(NamedTuple):
    """One window: its output cell, the image cells under it, and two ways to count them."""

    out: tuple  # index (..., *cell)
    image: tuple  # index (..., *slices), clipped to the image
    real: int  # cells within the image
    padded: int  # cells before the end of the image and its padding


class _Pooling(NamedTuple):
    sizes: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]

    def __iter__(self) -> Iterator[_Window]:  # type: ignore[override]
        for cell in np.ndindex(*self.out):
            slices, padded = [], 1
            for i, n, k, s, (before, after) in zip(cell, self.sizes, self.kernel, self.stride, self.pad, strict=True):
                start = i * s - before
                padded *= min(start + k, n + after) - start
                slices.append(slice(min(max(start, 0), n), max(min(start + k, n), 0)))
            real = int(np.prod([max(s.stop - s.start, 0) for s in slices]))
            yield _Window((..., *cell), (..., *slices), real, padded)

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.out), 0))


def _sums(x: Array, pooling: _Pooling, divisor: Callable[[_Window], int]) -> Array:
    y = np.zeros((*x.shape[:2], *pooling.out))
    for window in pooling:
        # Caffe divides by 0 where a window of a stride above the kernel begins at the image's end.
        with np.errstate(invalid="ignore"):
            y[window.out] = x[window.image].sum(axis=pooling.axes) / np.float64(divisor(window))
    return y


def _sums_grad(g: Array, pooling: _Pooling, divisor: Callable[[_Window], int]) -> Array:
    gx = np.zeros((*g.shape[:2], *pooling.sizes))
    for window in pooling:
        if window.real:
            gx[window.image] += np.expand_dims(g[window.out] / divisor(window), pooling.axes)
    return gx


def _first_maxima(x: Array, pooling: _Pooling) -> tuple[Array, np.ndarray]:
    """The maximum of each window and its index in the plane, by Caffe's strict ``>`` from -FLT_MAX on."""
    lowest = float(np.finfo(np.float32).min)
    y = np.full((*x.shape[:2], *pooling.out), lowest)
    mask = np.full(y.shape, -1)
    index = np.arange(np.prod(pooling.sizes)).reshape(pooling.sizes)
    for window in pooling:
        if window.real:
            cells = x[window.image].reshape(*x.shape[:2], -1)
            cells = np.where(cells > lowest, cells, lowest)
            best = cells.argmax(axis=-1)
            y[window.out] = cells.max(axis=-1)
            mask[window.out] = np.where(y[window.out] > lowest, index[window.image].ravel()[best], -1)
    return y, mask


def _window_padded(window: _Window) -> int:
    return window.padded


def _window_real(window: _Window) -> int:
    return window.real


# Caffe


def caffe_pool_sizes(
    sizes: Sequence[int], kernel: PerAxis, stride: PerAxis = 1, pad: PerAxis = 0, round_mode: str = "CEIL"
) -> tuple[int, ...]:
    """Caffe's output sizes: ``ceil((n + 2 p - k) / s) + 1``.

    If any axis is padded, the last window of every axis is dropped where it begins at ``n + p`` or later.

    >>> caffe_pool_sizes([7, 8], 3, 2, 1), caffe_pool_sizes([7, 9], 2, 2)
    ((4, 5), (4, 5))
    """
    return _caffe(tuple(sizes), kernel, stride, pad, round_mode).out


def _caffe(sizes: tuple[int, ...], kernel: PerAxis, stride: PerAxis, pad: PerAxis, round_mode: str) -> _Pooling:
    axes = len(sizes)
    kernel, stride = per_axis(kernel, axes, "kernel"), per_axis(stride, axes, "stride")
    pad = per_axis(pad, axes, "pad", least=0)
    if round_mode not in ("CEIL", "FLOOR"):
        raise SizeError(f"round_mode is 'CEIL' or 'FLOOR', not {round_mode!r}")
    out = []
    for n, k, s, p in zip(sizes, kernel, stride, pad, strict=True):
        if p >= k:
            raise SizeError(f"pad {p} must be below kernel {k}")
        span = n + 2 * p - k
        o = (-(-span // s) if round_mode == "CEIL" else span // s) + 1
        if any(pad) and (o - 1) * s >= n + p:
            o -= 1
        if o < 1:
            raise SizeError(f"kernel {k}, stride {s} and pad {p} have no window in size {n}")
        out.append(o)
    return _Pooling(sizes, tuple(out), kernel, stride, tuple((p, p) for p in pad))


def caffe_max_pool(
    x: ArrayLike, kernel: PerAxis, stride: PerAxis = 1, pad: PerAxis = 0, round_mode: str = "CEIL"
) -> tuple[Array, np.ndarray]:
    """Caffe's MAX pooling of ``x`` (N, C, *sizes): the maxima and the mask, both (N, C, *out).

    The mask is the row-major index of the maximum in its plane (2-D: ``h * W + w``), the first of equal ones.
    A window that holds nothing (stride above kernel), or only NaN, gives -FLT_MAX and mask -1, as in Caffe.

    >>> y, mask = caffe_max_pool([[[[1, 3, 2], [3, 0, 9]]]], kernel=2, stride=2)
    >>> y, mask
    (array([[[[3., 9.]]]]), array([[[[1, 5]]]]))
    """
    x = float64(x)
    return _first_maxima(x, _caffe(x.shape[2:], kernel, stride, pad, round_mode))


def max_pool_grad(mask: np.ndarray, g: ArrayLike, size: Sequence[int]) -> Array:
    """Gradient of a maximum pooling (Caffe, TF) by its mask: each ``g`` is added to the cell that won.

    >>> max_pool_grad(np.array([[[1, 1, 3]]]), [[[10, 20, 30]]], size=[4])
    array([[[ 0., 30.,  0., 30.]]])
    """
    g = float64(g)
    gx = np.zeros((*g.shape[:2], int(np.prod(size))))
    for n, c in np.ndindex(*g.shape[:2]):
        won = mask[n, c] >= 0
        np.add.at(gx[n, c], mask[n, c][won], g[n, c][won])
    return gx.reshape(*g.shape[:2], *size)


def caffe_ave_pool(
    x: ArrayLike, kernel: PerAxis, stride: PerAxis = 1, pad: PerAxis = 0, round_mode: str = "CEIL"
) -> Array:
    """Caffe's AVE pooling: the sum over the window, divided by the cells that it has before ``n + p``.

    So padding counts, and what hangs over beyond the padding does not.

    >>> caffe_ave_pool([[[3, 6, 6, 8]]], kernel=3, stride=2, pad=1)
    array([[[3.        , 6.66666667, 4.        ]]])
    """
    x = float64(x)
    return _sums(x, _caffe(x.shape[2:], kernel, stride, pad, round_mode), _window_padded)


def caffe_ave_pool_grad(
    g: ArrayLike,
    size: Sequence[int],
    kernel: PerAxis,
    stride: PerAxis = 1,
    pad: PerAxis = 0,
    round_mode: str = "CEIL",
) -> Array:
    """Gradient of `caffe_ave_pool` with respect to its input of spatial ``size``."""
    return _sums_grad(float64(g), _caffe(tuple(size), kernel, stride, pad, round_mode), _window_padded)


# Theano


def _theano(
    sizes: tuple[int, ...], kernel: PerAxis, ignore_border: bool, stride: PerAxis | None, pad: PerAxis
) -> _Pooling:
    axes = len(sizes)
    kernel = per_axis(kernel, axes, "kernel")
    stride = kernel if stride is None else per_axis(stride, axes, "stride")
    pad = per_axis(pad, axes, "pad", least=0)
    if any(pad) and not ignore_border:
        raise SizeError("Theano pads only with ignore_border=True")
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise SizeError(f"pad {pad} must be below kernel {kernel}")
    out = []
    for n, k, s, p in zip(sizes, kernel, stride, pad, strict=True):
        if ignore_border:
            out.append(max((n + 2 * p - k) // s + 1, 0))
        elif s >= k:
            out.append((n - 1) // s + 1)
        else:
            out.append(max(0, (n - 1 - k) // s + 1) + 1)
    return _Pooling(sizes, tuple(out), kernel, stride, tuple((p, p) for p in pad))


_THEANO_DIVISORS: dict[str, Callable[[_Window], int]] = {
    "sum": lambda window: 1,
    "average_inc_pad": _window_padded,
    "average_exc_pad": _window_real,
}


def theano_pool(
    x: ArrayLike,
    kernel: PerAxis,
    ignore_border: bool,
    stride: PerAxis | None = None,
    pad: PerAxis = 0,
    mode: TheanoMode = "max",
) -> Array:
    """Theano's ``pool_2d`` and ``pool_3d`` over all spatial axes of ``x`` (N, C, *sizes).

    Only whole windows of the padded image count with ``ignore_border``; without it there is no padding, and
    windows go on until each cell is in one. ``stride`` is ``kernel`` by default.

    >>> theano_pool([[[1, 5, 2, 3, 4]]], 2, ignore_border=True)
    array([[[5., 3.]]])
    >>> theano_pool([[[1, 5, 2, 3, 4]]], 2, ignore_border=False, mode="sum")
    array([[[6., 5., 4.]]])
    """
    x = float64(x)
    pooling = _theano(x.shape[2:], kernel, ignore_border, stride, pad)
    if mode != "max":
        return _sums(x, pooling, _THEANO_DIVISORS[mode])
    y = np.zeros((*x.shape[:2], *pooling.out))
    for window in pooling:
        y[window.out] = x[window.image].max(axis=pooling.axes)
    return y


def theano_pool_grad(
    x: ArrayLike,
    g: ArrayLike,
    kernel: PerAxis,
    ignore_border: bool,
    stride: PerAxis | None = None,
    pad: PerAxis = 0,
    mode: TheanoMode = "max",
) -> Array:
    """Gradient of `theano_pool`; every one of several equal maxima takes the whole gradient.

    >>> theano_pool_grad([[[5, 5, 2, 3]]], [[[10, 20]]], 2, ignore_border=True)
    array([[[10., 10.,  0., 20.]]])
    """
    x, g = float64(x), float64(g)
    pooling = _theano(x.shape[2:], kernel, ignore_border, stride, pad)
    if mode != "max":
        return _sums_grad(g, pooling, _THEANO_DIVISORS[mode])
    gx = np.zeros(x.shape)
    for window in pooling:
        cells = x[window.image]
        is_maximum = cells == cells.max(axis=pooling.axes, keepdims=True)
        gx[window.image] += is_maximum * np.expand_dims(g[window.out], pooling.axes)
    return gx


# TensorFlow


def _tf(sizes: tuple[int, ...], kernel: PerAxis, stride: PerAxis, padding: str) -> _Pooling:
    axes = len(sizes)
    kernel, stride = per_axis(kernel, axes, "kernel"), per_axis(stride, axes, "stride")
    out, pads = [], []
    for n, k, s in zip(sizes, kernel, stride, strict=True):
        if padding == "SAME":
            out.append(-(-n // s))
            total = max((out[-1] - 1) * s + k - n, 0)
            pads.append((total // 2, total - total // 2))
        elif padding == "VALID":
            out.append(max((n - k) // s + 1, 0))
            pads.append((0, 0))
        else:
            raise SizeError(f"padding is 'SAME' or 'VALID', not {padding!r}")
    return _Pooling(sizes, tuple(out), kernel, stride, tuple(pads))


def tf_max_pool(x: ArrayLike, kernel: PerAxis, stride: PerAxis, padding: str) -> tuple[Array, np.ndarray]:
    """TF's ``max_pool`` (on channels-first arrays): maxima and mask as those of `caffe_max_pool`.

    >>> tf_max_pool([[[1, 5, 2, 3, 4]]], 2, 2, "SAME")
    (array([[[5., 3., 4.]]]), array([[[1, 3, 4]]]))
    """
    x = float64(x)
    return _first_maxima(x, _tf(x.shape[2:], kernel, stride, padding))


def tf_avg_pool(x: ArrayLike, kernel: PerAxis, stride: PerAxis, padding: str) -> Array:
    """TF's ``avg_pool`` (on channels-first arrays): the mean of the real cells under each window.

    >>> tf_avg_pool([[[1, 5, 2, 3, 4]]], 2, 2, "SAME")
    array([[[3. , 2.5, 4. ]]])
    """
    x = float64(x)
    return _sums(x, _tf(x.shape[2:], kernel, stride, padding), _window_real)


def tf_avg_pool_grad(g: ArrayLike, size: Sequence[int], kernel: PerAxis, stride: PerAxis, padding: str) -> Array:
    """Gradient of `tf_avg_pool` with respect to its input of spatial ``size``."""
    return _sums_grad(float64(g), _tf(tuple(size), kernel, stride, padding), _window_real)
