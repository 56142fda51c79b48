"""The three convolutions in NumPy, tap by tap: what the Ops do where there is no compiler.

One matrix product per filter tap, so that memory stays near that of input and output. Long sums are added up in blocks,
over which float32's rounding adds up less. Layouts as in ``convolution.py``; `pads` are resolved pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["conv", "conv_input_gradient", "conv_weight_gradient", "taps"]

Pairs = tuple[tuple[int, int], ...]
Ints = tuple[int, ...]

_TAPS, _CELLS = 16, 512  # of a block


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
    matrices = w.reshape(groups, filters, *w.shape[1:])
    y = _sum(
        np.matmul(_for_blas(matrices[tap]), _for_blas(padded[window].reshape(batch, groups, channels, cells)))
        for tap, window in taps(w.shape[2:], out, stride, dilation, flip)
    )
    return y.reshape(batch, groups * filters, *out)


_for_blas = np.ascontiguousarray  # matrices with other strides NumPy multiplies by itself, slowly


def _sum(terms: Iterator[np.ndarray]) -> np.ndarray:
    """Of new arrays, in blocks."""
    total = None
    for part in terms:
        for term in islice(terms, _TAPS - 1):
            part += term
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


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
    matrices = np.swapaxes(w.reshape(groups, filters, *w.shape[1:]), 1, 2)
    flat = y.reshape(batch, groups, filters, math.prod(out))
    each = taps(w.shape[2:], out, stride, dilation, flip)
    padded = None
    # of a block, too, a cell meets _TAPS taps
    while block := list(islice(each, _TAPS * math.prod(stride))):
        part = np.zeros((batch, groups * channels, *extent), y.dtype)
        for tap, window in block:
            part[window] += np.matmul(_for_blas(matrices[tap]), flat).reshape(batch, groups * channels, *out)
        padded = part if padded is None else np.add(padded, part, out=padded)
    assert padded is not None
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
        w[tap] = _over_cells(flat, _for_blas(padded[window].reshape(batch, groups, channels, cells)))
    return w.reshape(groups * filters, channels, *kernel)


def _over_cells(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """For each group the product of (batch, groups, filters, cells) and (batch, groups, channels, cells), added up over
    cells and images: in blocks, and these in float64."""
    whole = y.shape[3] // _CELLS * _CELLS
    total = np.matmul(y[..., whole:], x[..., whole:].swapaxes(2, 3)).sum(axis=0, dtype=np.float64)
    if whole:
        y, x = (part[..., :whole].reshape(*part.shape[:3], -1, _CELLS).swapaxes(2, 3) for part in (y, x))
        total += np.matmul(y, x.swapaxes(3, 4)).sum(axis=(0, 2), dtype=np.float64)
    return total
