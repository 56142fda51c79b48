"""The convolution and its two gradients once more, in SciPy's terms: a second witness beside `convolution`.

Each is one call of ``scipy.signal.correlate`` or ``convolve`` per image and pair of channels. The
deconvolution is written as Dumoulin and Visin do (arXiv 1603.07285, relation 14): a unit-stride convolution
of the input that is stretched with zeros, padded by ``k - p - 1``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal

from ._arrays import Array, Pads, PerAxis, float64, rotate, stretch, window
from .convolution import Settings, check_channels, check_output

__all__ = ["conv_by_scipy", "conv_input_grad_by_scipy", "conv_weight_grad_by_scipy"]


def _pairs(outputs: int, group_inputs: int, groups: int) -> Iterator[tuple[int, int, int]]:
    """(output channel, input channel, index of that input channel in the weights) for all connected pairs."""
    for o in range(outputs):
        group = o // (outputs // groups)
        for i in range(group_inputs):
            yield o, group * group_inputs + i, i


def conv_by_scipy(
    x: ArrayLike,
    w: ArrayLike,
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """The same as `conv`: SciPy's unit-stride result with the dilated kernel, every ``s``-th cell of it.

    >>> conv_by_scipy([[[1, 2, 3, 4]]], [[[1, 10]]], stride=2)
    array([[[21., 43.]]])
    """
    x, w = float64(x), float64(w)
    settings = Settings.of(w.shape[2:], stride, pads, dilation)
    check_channels(x.shape[1], w.shape, groups)
    sizes = x.shape[2:]
    y = np.zeros((x.shape[0], w.shape[0], *check_output(sizes, settings)))
    padded = window(x, [-b for b in settings.before], settings.padded(sizes))
    dilated = stretch(w, settings.dilation)
    subsample = tuple(slice(None, None, s) for s in settings.stride)
    operation = signal.convolve if flip else signal.correlate
    for n in range(x.shape[0]):
        for o, c, i in _pairs(w.shape[0], w.shape[1], groups):
            y[n, o] += operation(padded[n, c], dilated[o, i], mode="valid", method="direct")[subsample]
    return y


def conv_input_grad_by_scipy(
    w: ArrayLike,
    g: ArrayLike,
    size: Sequence[int],
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """The same as `conv_input_grad`, as a unit-stride convolution of the stretched and padded ``g``.

    >>> conv_input_grad_by_scipy([[[1, 10, 100]]], [[[1, 2]]], size=[5], stride=2)
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    w, g = float64(w), float64(g)
    settings = Settings.of(w.shape[2:], stride, pads, dilation)
    check_channels(None, w.shape, groups, g.shape[1])
    check_output(size, settings, g.shape[2:])
    x = np.zeros((g.shape[0], w.shape[1] * groups, *size))
    # k - p - 1 zeros before (a negative number cuts), and after as many as the size asks for.
    starts = [b - (k - 1) for b, k in zip(settings.before, settings.extent, strict=True)]
    stretched = window(
        stretch(g, settings.stride), starts, [n + k - 1 for n, k in zip(size, settings.extent, strict=True)]
    )
    dilated = stretch(w, settings.dilation)
    operation = signal.correlate if flip else signal.convolve
    for n in range(g.shape[0]):
        for o, c, i in _pairs(w.shape[0], w.shape[1], groups):
            x[n, c] += operation(stretched[n, o], dilated[o, i], mode="valid", method="direct")
    return x


def conv_weight_grad_by_scipy(
    x: ArrayLike,
    g: ArrayLike,
    kernel: Sequence[int],
    stride: PerAxis = 1,
    pads: Pads = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """The same as `conv_weight_grad`: padded ``x`` with stretched ``g``, every ``d``-th cell.

    >>> conv_weight_grad_by_scipy([[[1, 2, 3, 4]]], [[[1, 10]]], kernel=[2], stride=2)
    array([[[31., 42.]]])
    """
    x, g = float64(x), float64(g)
    settings = Settings.of(kernel, stride, pads, dilation)
    sizes, group_inputs = x.shape[2:], x.shape[1] // groups
    check_channels(x.shape[1], (g.shape[1], group_inputs), groups)
    check_output(sizes, settings, g.shape[2:])
    w = np.zeros((g.shape[1], group_inputs, *settings.kernel))
    padded = window(x, [-b for b in settings.before], settings.padded(sizes))
    stretched = stretch(g, settings.stride)
    # A remainder (i + b + e - k) mod s leaves more cells than the kernel has.
    cells = tuple(slice(0, k, d) for k, d in zip(settings.extent, settings.dilation, strict=True))
    for n in range(x.shape[0]):
        for o, c, i in _pairs(g.shape[1], group_inputs, groups):
            w[o, i] += signal.correlate(padded[n, c], stretched[n, o], mode="valid", method="direct")[cells]
    return rotate(w, len(sizes)) if flip else w
