"""The three convolutions in NumPy, tap by tap: what the Ops do where there is no compiler.

One matrix product per filter tap, so that memory stays near that of input and output. Layouts as in
``convolution.py``; `pads` are resolved pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["conv", "conv_input_gradient", "conv_weight_gradient", "taps"]

Pairs = tuple[tuple[int, int], ...]
Ints = tuple[int, ...]


def taps(kernel: Ints, out: Ints, stride: Ints, dilation: Ints, flip: bool) -> Iterator[tuple[tuple, tuple]]:
    """For each tap: its index in the filter, and the slices of the padded input that it meets."""
    for tap in np.ndindex(*kernel):
        window = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, out, stride, dilation, strict=True)
        )
        index = tuple(k - 1 - t for k, t in zip(kernel, tap, strict=True)) if flip else tap
        yield (..., *index), (slice(None), slice(None), *window)


def conv(
    x: np.ndarray,
    w: np.ndarray,
    out: Ints,
    pads: Pairs,
    stride: Ints,
    dilation: Ints,
    groups: int,
    flip: bool,
):
    """y (N, M, *out) from x (N, C, *in) and w (M, C/groups, *kernel)."""
    batch, channels, filters = x.shape[0], w.shape[1], w.shape[0] // groups
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    cells = math.prod(out)
    y = np.zeros((batch, groups, filters, cells), x.dtype)
    matrices = w.reshape(groups, filters, *w.shape[1:])
    for tap, window in taps(w.shape[2:], out, stride, dilation, flip):
        y += np.matmul(matrices[tap], padded[window].reshape(batch, groups, channels, cells))
    return y.reshape(batch, groups * filters, *out)


def conv_input_gradient(
    w: np.ndarray,
    y: np.ndarray,
    size: Ints,
    pads: Pairs,
    stride: Ints,
    dilation: Ints,
    groups: int,
    flip: bool,
):
    """x (N, C, *size) from w (M, C/groups, *kernel) and y (N, M, *out)."""
    batch, channels, filters, out = y.shape[0], w.shape[1], w.shape[0] // groups, y.shape[2:]
    extent = tuple(n + before + after for n, (before, after) in zip(size, pads, strict=True))
    padded = np.zeros((batch, groups * channels, *extent), y.dtype)
    matrices = np.swapaxes(w.reshape(groups, filters, *w.shape[1:]), 1, 2)
    flat = y.reshape(batch, groups, filters, math.prod(out))
    for tap, window in taps(w.shape[2:], out, stride, dilation, flip):
        padded[window] += np.matmul(matrices[tap], flat).reshape(batch, groups * channels, *out)
    inside: tuple[Any, ...] = (..., *(slice(before, before + n) for n, (before, _) in zip(size, pads, strict=True)))
    return np.ascontiguousarray(padded[inside])


def conv_weight_gradient(
    x: np.ndarray,
    y: np.ndarray,
    kernel: Ints,
    pads: Pairs,
    stride: Ints,
    dilation: Ints,
    groups: int,
    flip: bool,
):
    """w (M, C/groups, *kernel) from x (N, C, *in) and y (N, M, *out)."""
    batch, channels, filters, out = x.shape[0], x.shape[1] // groups, y.shape[1] // groups, y.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    w = np.zeros((groups, filters, channels, *kernel), x.dtype)
    cells = math.prod(out)
    flat = y.reshape(batch, groups, filters, cells)
    for tap, window in taps(kernel, out, stride, dilation, flip):
        columns = padded[window].reshape(batch, groups, channels, cells)
        w[tap] = np.matmul(flat, np.swapaxes(columns, 2, 3)).sum(axis=0)
    return w.reshape(groups * filters, channels, *kernel)
