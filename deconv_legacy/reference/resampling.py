"""Enlarging without learning (un-pooling, interpolation, bilinear deconvolution), and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SizeError
from ._arrays import Array, PerAxis, every, float64, per_axis, window
from .convolution import conv_input_grad

__all__ = [
    "crop",
    "crop_grad",
    "linear_resize",
    "linear_resize_grad",
    "nearest_resize",
    "repeat",
    "unpool",
    "unpool_grad",
    "upsample_by_deconvolution",
    "zero_insert",
]

Coordinates = Literal["half_pixel", "align_corners", "corner"]


def unpool(x: ArrayLike, mask: np.ndarray, size: Sequence[int]) -> Array:
    """Maximum un-pooling with switches (SegNet Upsample, DeconvNet Unpooling) to (N, C, *size).

    ``mask`` holds row-major indices in the plane of ``size``, as `caffe_max_pool` gives them. Values are
    assigned, not added: of several with one index the last in row-major order stays.

    >>> unpool([[[7, 8]]], np.array([[[1, 2]]]), size=[4])
    array([[[0., 7., 8., 0.]]])
    """
    x = float64(x)
    cells = int(np.prod(size))
    if mask.min() < 0 or mask.max() >= cells:
        raise SizeError(f"the mask goes from {mask.min()} to {mask.max()}, its plane has {cells} cells")
    y = np.zeros((*x.shape[:2], cells))
    for n, c in np.ndindex(*x.shape[:2]):
        for index, value in zip(mask[n, c].ravel(), x[n, c].ravel(), strict=True):
            y[n, c, index] = value
    return y.reshape(*x.shape[:2], *size)


def unpool_grad(mask: np.ndarray, g: ArrayLike) -> Array:
    """Gradient of `unpool`: the values of ``g`` at the mask, as SegNet has it, also for overwritten values.

    >>> unpool_grad(np.array([[[1, 2]]]), [[[5, 6, 7, 8]]])
    array([[[6., 7.]]])
    """
    g = float64(g)
    planes = g.reshape(*g.shape[:2], -1)
    return np.take_along_axis(planes, mask.reshape(*g.shape[:2], -1), axis=-1).reshape(mask.shape)


def repeat(x: ArrayLike, rate: PerAxis) -> Array:
    """Average un-pooling: every cell ``rate`` times along each spatial axis; ``avg_pool(repeat(x)) == x``.

    >>> repeat([[[1, 2]]], 3)
    array([[[1., 1., 1., 2., 2., 2.]]])
    """
    x = float64(x)
    for axis, r in enumerate(per_axis(rate, x.ndim - 2, "rate")):
        x = x.repeat(r, axis=axis + 2)
    return x


def zero_insert(x: ArrayLike, rate: PerAxis) -> Array:
    """Un-pooling into the first cell of each block: (N, C, *(n * rate)), zeros elsewhere.

    >>> zero_insert([[[1, 2]]], 3)
    array([[[1., 0., 0., 2., 0., 0.]]])
    """
    x = float64(x)
    rates = per_axis(rate, x.ndim - 2, "rate")
    y = np.zeros((*x.shape[:2], *(n * r for n, r in zip(x.shape[2:], rates, strict=True))))
    y[every(rates)] = x
    return y


def upsample_by_deconvolution(x: ArrayLike, factor: PerAxis) -> Array:
    """Bilinear upsampling by whole factors ``f``, as FCN does it: (N, C, *(n * f)).

    A deconvolution of each channel by itself, kernel ``2 f - f % 2``, stride ``f``, pad ``ceil((f - 1) /
    2)``. Away from the border it is half-pixel interpolation; at the border it fades, since beyond the image
    are zeros.

    >>> upsample_by_deconvolution([[[4, 8, 8]]], 2)
    array([[[3., 5., 7., 8., 8., 6.]]])
    """
    x = float64(x)
    factors = per_axis(factor, x.ndim - 2, "factor")
    tent = np.ones(())
    for f in factors:
        k = 2 * f - f % 2
        tent = np.multiply.outer(tent, 1 - np.abs(np.arange(k) - (k - 1) / 2) / f)
    channels = x.shape[1]
    return conv_input_grad(
        np.broadcast_to(tent, (channels, 1, *tent.shape)),
        x,
        [n * f for n, f in zip(x.shape[2:], factors, strict=True)],
        stride=factors,
        pads=[(f // 2, f // 2) for f in factors],  # f // 2 == ceil((f - 1) / 2)
        groups=channels,
    )


def _source(n: int, o: int, coordinates: Coordinates) -> Array:
    """Where in an axis of ``n`` cells each of ``o`` output cells lies, from the centre of the first cell."""
    i = np.arange(o)
    if coordinates == "half_pixel":
        return (i + 0.5) * n / o - 0.5
    if coordinates == "align_corners":
        return i * (n - 1) / max(o - 1, 1)
    if coordinates == "corner":
        return i * n / o
    raise SizeError(f"coordinates are 'half_pixel', 'align_corners' or 'corner', not {coordinates!r}")


def _interpolation(n: int, o: int, coordinates: Coordinates) -> Array:
    """The (o, n) matrix of linear interpolation along one axis."""
    source = np.clip(_source(n, o, coordinates), 0, n - 1)
    return np.maximum(0, 1 - np.abs(source[:, None] - np.arange(n)))


def linear_resize(x: ArrayLike, size: Sequence[int], coordinates: Coordinates = "half_pixel") -> Array:
    """Linear (bilinear, trilinear) interpolation to (N, C, *size); beyond the border its cells go on.

    ``coordinates`` of output cell ``i`` in an axis that goes from ``n`` to ``o`` cells: ``half_pixel`` ``(i +
    1/2) n / o - 1/2`` (OpenCV, torch, TF 2); ``align_corners`` ``i (n - 1) / (o - 1)`` (DeepLab's and
    PSPNet's Interp, where ``o = n + (n - 1)(zoom - 1)``); ``corner`` ``i n / o`` (TF 1's default).

    >>> linear_resize([[[4, 8]]], [4])
    array([[[4., 5., 7., 8.]]])
    >>> linear_resize([[[4, 8]]], [3], "align_corners")
    array([[[4., 6., 8.]]])
    """
    x = float64(x)
    for axis, o in enumerate(size, start=2):
        matrix = _interpolation(x.shape[axis], o, coordinates)
        x = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    return x


def linear_resize_grad(g: ArrayLike, size: Sequence[int], coordinates: Coordinates = "half_pixel") -> Array:
    """Gradient of `linear_resize` with respect to its input of spatial ``size``."""
    g = float64(g)
    for axis, n in enumerate(size, start=2):
        matrix = _interpolation(n, g.shape[axis], coordinates)
        g = np.moveaxis(np.tensordot(matrix, g, axes=(0, axis)), 0, axis)
    return g


def nearest_resize(x: ArrayLike, size: Sequence[int]) -> Array:
    """TF 1's ``resize_nearest_neighbor``: output cell ``i`` of ``o`` is input cell ``floor(i n / o)``.

    >>> nearest_resize([[[1, 2, 3]]], [5])
    array([[[1., 1., 2., 2., 3.]]])
    """
    x = float64(x)
    for axis, o in enumerate(size, start=2):
        x = x.take(np.arange(o) * x.shape[axis] // o, axis=axis)
    return x


def _crop_start(shape: Sequence[int], like: Sequence[int], offset: PerAxis, axis: int) -> tuple[int, ...]:
    axis %= len(shape)
    offsets = per_axis(offset, len(shape) - axis, "offset", least=0)
    for a, start in enumerate(offsets, start=axis):
        if start + like[a] > shape[a]:
            raise SizeError(f"axis {a} has {shape[a]} cells, not {start + like[a]} (offset {start})", axis=a)
    return offsets


def crop(x: ArrayLike, like: Sequence[int], offset: PerAxis = 0, axis: int = 2) -> Array:
    """Caffe's Crop: from ``axis`` on, the sizes of the shape ``like``, beginning at ``offset``.

    >>> crop(np.arange(12).reshape(1, 1, 3, 4), (1, 1, 2, 2), offset=(0, 1))
    array([[[[1., 2.],
             [5., 6.]]]])
    """
    x = float64(x)
    starts = _crop_start(x.shape, like, offset, axis)
    return window(x, starts, like[-len(starts) :])


def crop_grad(g: ArrayLike, shape: Sequence[int], offset: PerAxis = 0, axis: int = 2) -> Array:
    """Gradient of `crop` with respect to its input of ``shape``: ``g`` where it was cut, zeros elsewhere."""
    g = float64(g)
    starts = _crop_start(shape, g.shape, offset, axis)
    return window(g, [-start for start in starts], shape[-len(starts) :])
