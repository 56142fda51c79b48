"""The convolution, its two gradients, and its matrix.

Per axis, with input size ``i``, kernel ``k``, stride ``s``, dilation ``d`` and pads ``b`` before and ``e``
after::

    o    = floor((i + b + e - d (k - 1) - 1) / s) + 1
    y[m] = sum over j of x[m s + j d - b] w[j]            correlation: flip=False (Caffe, TF, torch, ONNX)
    y[m] = sum over j of x[m s + j d - b] w[k - 1 - j]    convolution: flip=True  (Theano's default)

The deconvolution is the gradient with respect to ``x``: ``full[m s + j d] += g[m] w[j]``, of which the cells
``b .. b + size - 1`` are the result, zeros where they lie beyond ``full``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SizeError
from ._arrays import Array, Pads, PerAxis, float64, pad_pairs, per_axis, rotate, window

__all__ = ["conv", "conv_input_grad", "conv_matrix", "conv_weight_grad"]


class Settings(NamedTuple):
    """Everything about a convolution but its arrays, one value per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(cls, kernel: Sequence[int], stride: PerAxis, pads: Pads, dilation: PerAxis) -> Settings:
        axes = len(kernel)
        return cls(
            per_axis(kernel, axes, "kernel"),
            per_axis(stride, axes, "stride"),
            pad_pairs(pads, axes),
            per_axis(dilation, axes, "dilation"),
        )

    @property
    def extent(self) -> tuple[int, ...]:
        """Size of the dilated kernel."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def before(self) -> tuple[int, ...]:
        return tuple(b for b, _ in self.pads)

    def padded(self, sizes: Sequence[int]) -> tuple[int, ...]:
        return tuple(n + b + e for n, (b, e) in zip(sizes, self.pads, strict=True))

    def forward(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The output sizes of the convolution of an image of ``sizes``; 0 where the kernel does not fit."""
        return tuple(
            max((n - k) // s + 1, 0) for n, k, s in zip(self.padded(sizes), self.extent, self.stride, strict=True)
        )

    def taps(self, out: Sequence[int]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The index of each cell of the kernel, and that of the cells of the padded image that it meets."""
        for tap in np.ndindex(*self.kernel):
            cells = tuple(
                slice(j * d, j * d + s * (o - 1) + 1, s)
                for j, d, s, o in zip(tap, self.dilation, self.stride, out, strict=True)
            )
            yield (..., *tap), (..., *cells)


def check_channels(x_channels: int | None, w_shape: Sequence[int], groups: int, g_channels: int | None = None) -> None:
    """Raise unless the channels of the input and the output, where given, are those of the weights."""
    if groups < 1 or w_shape[0] % groups:
        raise SizeError(f"groups {groups} must divide the {w_shape[0]} output channels of the convolution")
    if x_channels is not None and x_channels != w_shape[1] * groups:
        raise SizeError(
            f"the input has {x_channels} channels, the weights {tuple(w_shape)} in {groups} groups take "
            f"{w_shape[1] * groups}",
            axis=1,
        )
    if g_channels is not None and g_channels != w_shape[0]:
        raise SizeError(f"the output has {g_channels} channels, the weights {tuple(w_shape)} give {w_shape[0]}", axis=1)


def check_output(sizes: Sequence[int], settings: Settings, actual: Sequence[int] | None = None) -> tuple[int, ...]:
    """The output sizes of the convolution of ``sizes``; they must exist and be the ``actual`` ones."""
    if len(sizes) != len(settings.kernel):
        raise SizeError(f"sizes {tuple(sizes)} and kernel {settings.kernel} have different numbers of axes")
    computed = settings.forward(sizes)
    for axis, (size, got) in enumerate(zip(sizes, computed, strict=True)):
        if actual is None and got < 1:
            raise SizeError(f"the kernel does not fit into size {size} and its pads on axis {axis + 2}", axis=axis + 2)
        if actual is not None and got != actual[axis]:
            raise SizeError(
                f"axis {axis + 2} has size {actual[axis]}, but the convolution of size {size} has size {got}",
                axis=axis + 2,
                actual=actual[axis],
                computed=got,
            )
    return computed


def _grouped(array: Array, groups: int) -> Array:
    """(N, groups * c, *spatial) -> (N, groups, c, cells)."""
    return array.reshape(array.shape[0], groups, array.shape[1] // groups, -1)


def conv(
    x: ArrayLike,
    w: ArrayLike,
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """Convolution of ``x`` (N, in, *sizes) with ``w`` (out, in / groups, *kernel): (N, out, *o).

    Raises `SizeError` for channels that do not match, a kernel that does not fit and settings below 1.

    >>> conv([[[1, 2, 3, 4]]], [[[1, 10]]], stride=2)
    array([[[21., 43.]]])
    >>> conv([[[1, 2, 3, 4]]], [[[1, 10]]], stride=2, flip=True)
    array([[[12., 34.]]])
    """
    x, w = float64(x), float64(w)
    settings = Settings.of(w.shape[2:], stride, pads, dilation)
    check_channels(x.shape[1], w.shape, groups)
    sizes = x.shape[2:]
    out = check_output(sizes, settings)
    if flip:
        w = rotate(w, len(sizes))
    padded = window(x, [-b for b in settings.before], settings.padded(sizes))
    w = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((x.shape[0], groups, w.shape[1], int(np.prod(out))))
    for tap, cells in settings.taps(out):
        y += w[tap] @ _grouped(padded[cells], groups)
    return y.reshape(x.shape[0], -1, *out)


def conv_input_grad(
    w: ArrayLike,
    g: ArrayLike,
    size: Sequence[int],
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """Deconvolution of ``g`` (N, out, *n) with ``w`` (out, in / groups, *kernel) to (N, in, *size).

    ``size`` must be one whose convolution has exactly the size of ``g``, else `SizeError` (actual, computed,
    axis).

    >>> conv_input_grad([[[1, 10, 100]]], [[[1, 2]]], size=[5], stride=2)
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    w, g = float64(w), float64(g)
    settings = Settings.of(w.shape[2:], stride, pads, dilation)
    check_channels(None, w.shape, groups, g.shape[1])
    n = check_output(size, settings, g.shape[2:])
    if flip:
        w = rotate(w, len(n))
    w = w.reshape(groups, -1, *w.shape[1:])
    channels = w.shape[2] * groups
    full_sizes = [s * (m - 1) + k for m, s, k in zip(n, settings.stride, settings.extent, strict=True)]
    full = np.zeros((g.shape[0], channels, *full_sizes))
    for tap, cells in settings.taps(n):
        w_tap = w[tap].transpose(0, 2, 1)
        full[cells] += (w_tap @ _grouped(g, groups)).reshape(g.shape[0], channels, *n)
    return window(full, settings.before, size)


def conv_weight_grad(
    x: ArrayLike,
    g: ArrayLike,
    kernel: Sequence[int],
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """Gradient of ``sum(g * conv(x, w))`` with respect to ``w``: (out, in / groups, *kernel).

    For a deconvolution of ``v`` to an output with gradient ``h`` the roles are swapped: ``conv_weight_grad(h,
    v, ...)``.

    >>> conv_weight_grad([[[1, 2, 3, 4]]], [[[1, 10]]], kernel=[2], stride=2)
    array([[[31., 42.]]])
    """
    x, g = float64(x), float64(g)
    settings = Settings.of(kernel, stride, pads, dilation)
    check_channels(x.shape[1], (g.shape[1], x.shape[1] // groups if groups > 0 else 0), groups)
    sizes = x.shape[2:]
    out = check_output(sizes, settings, g.shape[2:])
    padded = window(x, [-b for b in settings.before], settings.padded(sizes))
    w = np.zeros((groups, g.shape[1] // groups, x.shape[1] // groups, *settings.kernel))
    for tap, cells in settings.taps(out):
        per_image = _grouped(g, groups) @ _grouped(padded[cells], groups).swapaxes(-1, -2)
        w[tap] = per_image.sum(axis=0)
    w = w.reshape(g.shape[1], -1, *settings.kernel)
    return rotate(w, len(out)) if flip else w


def conv_matrix(
    w: ArrayLike,
    size: Sequence[int],
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """The matrix C: ``C @ x.ravel()`` is the convolution of one image, ``C.T @ g.ravel()`` the deconvolution.

    Built column by column: column ``q`` is the convolution of the image that is 1 at ``q`` and 0 elsewhere.

    >>> conv_matrix([[[1, 10]]], size=[4], stride=2)
    array([[ 1., 10.,  0.,  0.],
           [ 0.,  0.,  1., 10.]])
    """
    channels = float64(w).shape[1] * groups
    cells = channels * int(np.prod(size))
    units = np.eye(cells).reshape(cells, channels, *size)
    return conv(units, w, stride, pads, dilation, groups, flip).reshape(cells, -1).T
