"""The three convolutions in the forms that XLA is fast at. Filters are applied as they are (correlated).

Input gradient with strides
    By phases: a convolution of stride 1 with ``prod(stride)`` times the channels, whose results are interleaved. XLA
    would spread the input with zeros instead and multiply by them: 1024 times the work for FCN-32s's last layer.
Strides as large as FCN's
    The transpose of that: the image's phases become channels, and the stride 1.
Few cells, many filters, as FCN's fc6
    One matrix product with what each cell sees. cuDNN's convolution reaches a third of its rate there.
Few filters, many channels, as the phases above
    One matrix product for all taps, whose results are shifted and added.
Weight gradients
    A matrix product for each tap where there are few, or, on a CPU, the image is small; on a GPU one product with what
    each cell sees where that is less than the result; else XLA's, of the cells that see some of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deconv_legacy.engine import _taps
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.translate import trace
from deconv_legacy.geometry import formulas

jnp, lax = jax.numpy, jax.lax

__all__ = ["Form", "conv", "input_gradient", "transpose", "weight_gradient"]

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

_UNROLLED = 64  # taps; for larger filters the program would become long
_ADDED, _SMALL = 256, 256  # cells, and numbers of a matrix: see `_weights_by_taps`
_FEW = 4  # taps, which are worth a copy of the image each
_COPIED = 2**24  # numbers: more copies save no time on a CPU
_FAR = 16  # cells from one step to the next


@dataclass(frozen=True)
class Form:
    """What a convolution is like, for each axis."""

    groups: int
    stride: Ints
    pads: Pairs
    dilation: Ints

    def out(self, size: Ints, kernel: Ints) -> Ints:
        axes = zip(size, kernel, self.stride, self.pads, self.dilation, strict=True)
        return tuple(formulas.conv(n, formulas.dilated(k, d), s, sum(p)) for n, k, s, p, d in axes)

    def dense(self, pads: Pairs | None = None) -> Form:
        """Without strides and dilation, and without pads unless they are given."""
        ones = (1,) * len(self.stride)
        return Form(self.groups, ones, pads or ((0, 0),) * len(ones), ones)

    def steps_far(self, kernel: Ints) -> bool:
        fits = all(k % s == 0 for k, s in zip(kernel, self.stride, strict=True))
        return fits and math.prod(self.stride) >= _FAR and max(self.dilation) == 1

    def sees_all(self, filters: int, batch: int, kernel: Ints, out: Ints) -> bool:
        """Whether one product takes what each cell sees, which is then less than the filters."""
        return self.groups == 1 and 1 < math.prod(kernel) <= _UNROLLED and batch * math.prod(out) <= filters

    def shifts(self, filters: int, channels: int, kernel: Ints) -> bool:
        """Whether results are shifted, which are then less than the image."""
        taps = math.prod(kernel)
        return self.groups == 1 and 1 < taps <= _UNROLLED and taps * filters <= channels


def transpose(function: Callable[[Any], Any], shape: Ints, like: Any) -> Any:
    """The transpose of a linear function of an array of `shape`, at `like`."""
    (result,) = jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, like.dtype))(like)
    return result


def _in_precision(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, and the precision of their products, as the trace wants them."""
    precision = trace().precision
    if precision == "bfloat16":
        arrays = tuple(a.astype(jnp.bfloat16) if a.dtype == jnp.float32 else a for a in arrays)
    return *arrays, lax.Precision.HIGH if precision == "tf32" else lax.Precision.HIGHEST


def _padded(x: Any, pads: Any) -> Any:
    """With zeros around; negative pads cut off."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((b, a, 0) for b, a in pads)])


def conv(x: Any, w: Any, form: Form) -> Any:
    """``(N, M, *out)`` from x ``(N, C, *size)`` and w ``(M, C / groups, *kernel)``."""
    dtype, kernel, out = x.dtype, w.shape[2:], form.out(x.shape[2:], w.shape[2:])
    if 0 in (*x.shape, *w.shape, *out):
        return jnp.zeros((x.shape[0], w.shape[0], *out), dtype)
    if form.steps_far(kernel):
        taps = tuple(k // s for k, s in zip(kernel, form.stride, strict=True))
        filters = _filter_phases(w, form.stride, taps)
        return conv(_image_phases(x, out, taps, form), filters.reshape(w.shape[0], -1, *taps), form.dense())
    x, w, exact = _in_precision(x, w)
    if form.sees_all(w.shape[0], x.shape[0], kernel, out):
        patches = _patches(_padded(x, form.pads), kernel, out, form)
        y = jnp.einsum("mk,nkp->nmp", w.reshape(w.shape[0], -1), patches, precision=exact)
        return y.reshape(*y.shape[:2], *out).astype(dtype)
    if form.shifts(w.shape[0], x.shape[1], kernel):
        flat = w.reshape(*w.shape[:2], -1)
        z = jnp.einsum("mct,nc...->tnm...", flat, _padded(x, form.pads), precision=exact)
        return sum(part[window] for part, window in zip(z, _windows(kernel, out, form), strict=True)).astype(dtype)
    axes = "DHW"[3 - len(kernel) :]
    y = lax.conv_general_dilated(
        x,
        w,
        form.stride,
        form.pads,
        rhs_dilation=form.dilation,
        dimension_numbers=("NC" + axes, "OI" + axes, "NC" + axes),
        feature_group_count=form.groups,
        precision=exact,
    )
    return y.astype(dtype)


def _windows(kernel: Ints, out: Ints, form: Form) -> list[tuple[slice, ...]]:
    """What each tap meets of a padded image."""
    return [window for _, window in _taps.taps(kernel, out, form.stride, form.dilation, flip=False)]


def _patches(image: Any, kernel: Ints, out: Ints, form: Form) -> Any:
    """What each cell sees of a padded image, ``(N, C * taps, cells)``."""
    parts = jnp.stack([image[window] for window in _windows(kernel, out, form)], 2)
    return parts.reshape(image.shape[0], -1, math.prod(out))


# Phases: cell ``s q + r`` of an axis is cell q of phase r


def _filter_phases(w: Any, stride: Ints, taps: Ints) -> Any:
    """``(M, C', *phases, *taps)`` from ``(M, C', *kernel)``, with zeros where the stride does not fit the kernel."""
    return _apart(_padded(w, [(0, t * s - k) for t, s, k in zip(taps, stride, w.shape[2:], strict=True)]), stride)


def _apart(x: Any, phases: Ints) -> Any:
    """``(N, C, *phases, *cells)`` from ``(N, C, *(cells * phases))``."""
    pairs = [(n // s, s) for n, s in zip(x.shape[2:], phases, strict=True)]
    x = x.reshape(*x.shape[:2], *(n for pair in pairs for n in pair))
    return x.transpose(0, 1, *range(3, x.ndim, 2), *range(2, x.ndim, 2))


def _interleaved(z: Any, ndim: int) -> Any:
    """``(N, C, *(cells * phases))`` from ``(N, C, *phases, *cells)``: the way back from `_apart`."""
    phases, cells = z.shape[2 : 2 + ndim], z.shape[2 + ndim :]
    z = z.transpose(0, 1, *(n for axis in range(ndim) for n in (2 + ndim + axis, 2 + axis)))
    return z.reshape(*z.shape[:2], *(q * s for q, s in zip(cells, phases, strict=True)))


def _image_phases(x: Any, out: Ints, taps: Ints, form: Form) -> Any:
    """``(N, C * phases, *cells)``: as many cells as `out` and the taps need."""
    cells = [o + t - 1 for o, t in zip(out, taps, strict=True)]
    axes = zip(x.shape[2:], form.pads, cells, form.stride, strict=True)
    x = _apart(_padded(x, [(b, q * s - n - b) for n, (b, _), q, s in axes]), form.stride)
    return x.reshape(x.shape[0], -1, *cells)


def input_gradient(w: Any, y: Any, size: Ints, form: Form) -> Any:
    """``(N, C, *size)`` from w ``(M, C / groups, *kernel)`` and y ``(N, M, *out)``."""
    if max(form.stride) > 1 and max(form.dilation) == 1:
        return _by_phases(w, y, size, form)
    kernel, out = w.shape[2:], y.shape[2:]
    if form.sees_all(w.shape[0], y.shape[0], kernel, out):
        shape = (y.shape[0], w.shape[1], *size)
        return transpose(lambda x: conv(x, w, form), shape, y)
    # a convolution of y, spread by the stride
    pads = []
    for n, m, k, s, (b, _), d in zip(size, out, kernel, form.stride, form.pads, form.dilation, strict=True):
        reach = formulas.dilated(k, d) - 1
        pads.append((reach - b, n + b - (m - 1) * s - 1))
    if max(form.stride) > 1:
        y = lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), (0, 0, 0), *((0, 0, s - 1) for s in form.stride)])
    if min(min(pad) for pad in pads) < 0:  # what no filter needs is cut off first
        y = _padded(y, [(min(b, 0), min(a, 0)) for b, a in pads])
        pads = [(max(b, 0), max(a, 0)) for b, a in pads]
    return conv(y, _swapped(w, form.groups), Form(form.groups, (1,) * len(size), tuple(pads), form.dilation))


def _swapped(w: Any, groups: int) -> Any:
    """Filters ``(M, C / groups, *kernel)`` with the roles of their channels changed and turned round: what a
    convolution from M to C channels takes."""
    m, c, *kernel = w.shape
    w = w.reshape(groups, m // groups, c, *kernel).swapaxes(1, 2).reshape(groups * c, m // groups, *kernel)
    return jnp.flip(w, range(2, w.ndim))


def _by_phases(w: Any, y: Any, size: Ints, form: Form) -> Any:
    """A phase r of the padded result takes only the taps ``r, r + s, ...``."""
    ndim, stride = len(size), form.stride
    m, c, *kernel = w.shape
    full = tuple(-(-k // s) for k, s in zip(kernel, stride, strict=True))  # taps of a phase at most
    cells = [n + t - 1 for n, t in zip(y.shape[2:], full, strict=True)]
    w = _filter_phases(w, stride, full)
    # the first phases of an axis may have one tap more than the others: convolved apart, since a zero in its place
    # would make a NaN of another's
    groups = [
        [(first, last, taps) for first, last, taps in ((0, k % s, t), (k % s, s, k // s)) if first < last]
        for k, s, t in zip(kernel, stride, full, strict=True)
    ]

    def block(chosen: list[tuple[int, int, int]]) -> Any:
        """(N, C, *phases, *cells) of one group of each axis."""
        phases, taps = [last - first for first, last, _ in chosen], [t for _, _, t in chosen]
        shape = (y.shape[0], form.groups * c, *phases)
        if 0 in taps:
            return jnp.zeros((*shape, *cells), y.dtype)
        index = (..., *(slice(first, last) for first, last, _ in chosen), *(slice(t) for t in taps))
        part = w[index].reshape(m, c * math.prod(phases), *taps)
        z = conv(y, _swapped(part, form.groups), form.dense(tuple((t - 1, t - 1) for t in taps)))
        ends = [(0, n - there) for n, there in zip(cells, z.shape[2:], strict=True)]
        return jnp.pad(z.reshape(*shape, *z.shape[2:]), [(0, 0)] * (2 + ndim) + ends)

    def join(chosen: list[tuple[int, int, int]]) -> Any:
        axis = len(chosen)
        if axis == ndim:
            return block(chosen)
        parts = [join([*chosen, group]) for group in groups[axis]]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, 2 + axis)

    z = _interleaved(join([]), ndim)
    return _padded(z, [(-b, n + b - there) for n, (b, _), there in zip(size, form.pads, z.shape[2:], strict=True)])


def weight_gradient(x: Any, y: Any, kernel: Ints, form: Form) -> Any:
    """``(M, C / groups, *kernel)`` from x ``(N, C, *size)`` and y ``(N, M, *out)``."""
    if form.steps_far(kernel):
        of_phase = tuple(k // s for k, s in zip(kernel, form.stride, strict=True))
        w = weight_gradient(_image_phases(x, y.shape[2:], of_phase, form), y, of_phase, form.dense())
        return _interleaved(w.reshape(w.shape[0], -1, *form.stride, *of_phase), len(kernel))
    x, y, form = _seeing(x, y, kernel, form)
    taps = math.prod(kernel)
    if taps <= _FEW:
        return _weights_by_taps(x, y, kernel, form)

    def whole(x: Any, y: Any) -> Any:
        return transpose(lambda w: conv(x, w, form), (y.shape[1], x.shape[1] // form.groups, *kernel), y)

    if taps > _UNROLLED or taps * x.size > _COPIED or trace().precision == "bfloat16":
        return whole(x, y)
    few = form.groups == 1 and taps * x.shape[1] <= y.shape[1]
    return lax.platform_dependent(
        x,
        y,
        cpu=lambda x, y: _weights_by_taps(x, y, kernel, form),
        default=(lambda x, y: _weights_at_once(x, y, kernel, form)) if few else whole,
    )


def _seeing(x: Any, y: Any, kernel: Ints, form: Form) -> tuple[Any, Any, Form]:
    """`y` without the cells that see padding alone, and `x` padded beforehand where there are more cells than it has.

    For then XLA exchanges the two on a GPU, and calls a convolution with a filter of the image's size: 10 ms where 0.2
    are enough (FCN's first layer, H100). The barrier keeps it from taking the pads back.
    """
    axes = zip(x.shape[2:], kernel, form.stride, form.pads, form.dilation, strict=True)
    cut = [formulas.seeing(n, formulas.dilated(k, d), s, *p) for n, k, s, p, d in axes]
    seen: tuple[Any, ...] = (..., *(slice(first, first + cells) for first, cells, _, _ in cut))
    pads: Pairs = tuple((before, after) for *_, before, after in cut)
    if any(cells > n for (_, cells, _, _), n in zip(cut, x.shape[2:], strict=True)):
        x, pads = lax.optimization_barrier(_padded(x, pads)), ((0, 0),) * len(pads)
    return x, y[seen], Form(form.groups, form.stride, pads, form.dilation)


def _weights_at_once(x: Any, y: Any, kernel: Ints, form: Form) -> Any:
    """One matrix product with what each cell sees, which is less than `y`."""
    dtype, channels = x.dtype, x.shape[1]
    x, y, exact = _in_precision(_padded(x, form.pads), y)
    patches = _patches(x, kernel, y.shape[2:], form)
    products = jnp.einsum("nmp,nkp->nmk", y.reshape(*y.shape[:2], -1), patches, precision=exact)
    return products.sum(0).reshape(-1, channels, *kernel).astype(dtype)


def _weights_by_taps(x: Any, y: Any, kernel: Ints, form: Form) -> Any:
    """A matrix product for each tap: for small images half the time of XLA's convolution on a CPU."""
    dtype, batch, groups, out = x.dtype, x.shape[0], form.groups, y.shape[2:]
    x, y, exact = _in_precision(_padded(x, form.pads), y)
    filters, channels = y.shape[1] // groups, x.shape[1] // groups
    # the cells that one product adds up: XLA's loop for small matrices adds one after the other, and rounds each sum
    cells = math.prod(out)
    small = filters * channels < _SMALL
    block = min(cells, _ADDED) if small else cells
    missing = [(0, 0)] * 3 + [(0, -cells % block)]

    def blocks(values: Any) -> Any:
        """(N, groups, channels, blocks, cells)."""
        values = values.reshape(batch, groups, -1, cells)
        return jnp.pad(values, missing).reshape(*values.shape[:3], -1, block)

    y = blocks(y)
    dimensions = (((4,), (4,)), ((1, 0, 3), (1, 0, 3))) if small else (((0, 3, 4), (0, 3, 4)), ((1,), (1,)))
    parts = [blocks(x[window]) for window in _windows(kernel, out, form)]
    products = [lax.dot_general(y, part, dimensions, precision=exact) for part in parts]
    if small:
        products = [product.sum((1, 2)) for product in products]
    # (groups, M / groups, C / groups) for each tap
    return jnp.stack(products, -1).reshape(-1, channels, *kernel).astype(dtype)
