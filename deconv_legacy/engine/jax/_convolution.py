"""The engine's convolutions in JAX.

The input gradient with strides is cut into its phases: a convolution of stride 1 with ``prod(stride)`` times the
channels, whose results are interleaved. XLA would spread the input with zeros instead and multiply by them: 1024 times
the work for FCN-32s's last layer. So is a convolution of such a stride, the transpose.

Where filters outnumber the cells of their results, as in FCN's fc6, a convolution is one matrix product with the
patches of the image: cuDNN's convolutions reach a third of its rate there.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.engine import _shapes, _taps
from deconv_legacy.engine.convolution import Conv, ConvInputGradient, ConvWeightGradient, FusedConv
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax._pointwise import rectify
from deconv_legacy.engine.jax.translate import register, sizes_of, trace
from deconv_legacy.engine.unshared import UnsharedConv, UnsharedConvInputGradient, UnsharedConvWeightGradient
from deconv_legacy.geometry import formulas

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

Ints = tuple[int, ...]

_UNROLLED = 64  # taps; for larger filters the program would become long
_COPIED = 2**24  # numbers: XLA copies the input for each tap, which saves no time for large images


def _layout(ndim: int) -> tuple[str, str, str]:
    axes = "DHW"[3 - ndim :]
    return "NC" + axes, "OI" + axes, "NC" + axes


def _sizes(size: Ints, kernel: Ints, stride: Ints, pads: Any, dilation: Ints) -> Ints:
    return tuple(
        formulas.conv(n, formulas.dilated(k, d), s, sum(p))
        for n, k, s, d, p in zip(size, kernel, stride, dilation, pads, strict=True)
    )


def _as_product(op: Any, batch: int, filters: int, kernel: Ints, out: Ints) -> bool:
    """Whether a convolution is one matrix product: the patches are then smaller than the filters."""
    return op.groups == 1 and 1 < math.prod(kernel) <= _UNROLLED and 0 < batch * math.prod(out) <= filters


def _convolve(op: Any, x: Any, w: Any, stride: Ints, pads: Any, dilation: Ints) -> Any:
    """A convolution that correlates, in the precision of the trace."""
    precision, dtype = trace().precision, x.dtype
    if precision == "bfloat16" and dtype == jnp.float32:
        x, w = x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)
    exact = lax.Precision.HIGH if precision == "tf32" else lax.Precision.HIGHEST
    out = _sizes(x.shape[2:], w.shape[2:], stride, pads, dilation)
    if _as_product(op, x.shape[0], w.shape[0], w.shape[2:], out):
        patches = _patches(x, w.shape[2:], out, stride, pads, dilation)
        result = jnp.einsum("mk,nkp->nmp", w.reshape(w.shape[0], -1), patches, precision=exact)
        return result.reshape(*result.shape[:2], *out).astype(dtype)
    result = lax.conv_general_dilated(
        x,
        w,
        stride,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=_layout(op.ndim),
        feature_group_count=op.groups,
        precision=exact,
    )
    return result.astype(dtype)


def _patches(x: Any, kernel: Ints, out: Ints, stride: Ints, pads: Any, dilation: Ints) -> Any:
    """What each cell sees: ``(N, C * taps, cells)``."""
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((b, a, 0) for b, a in pads)])
    windows = [x[window] for _, window in _taps.taps(kernel, out, stride, dilation, flip=False)]
    return jnp.stack(windows, 2).reshape(*x.shape[:1], -1, math.prod(out))


def _turned(op: Any, w: Any) -> Any:
    """The filters, turned if the Op convolves."""
    return jnp.flip(w, range(2, w.ndim)) if op.flip else w


def _pads(op: Any, size: Ints, kernel: Ints) -> Any:
    return geometry.resolve_all_pads(op.border_mode, size, kernel, op.stride, op.dilation)


def _steps_far(op: Any, kernel: Ints) -> bool:
    """Whether a convolution is the transpose of a deconvolution by phases: strides such as FCN's, which fit the
    kernel."""
    fits = all(k % s == 0 for k, s in zip(kernel, op.stride, strict=True))
    return fits and math.prod(op.stride) >= 16 and max(op.dilation) == 1


def _transpose(function: Any, shape: Ints, like: Any) -> Any:
    """The transpose of a linear function of an array of `shape`, at `like`."""
    (result,) = jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, like.dtype))(like)
    return result


def _forward(op: Any, x: Any, w: Any) -> Any:
    _shapes.check_shapes(op, x.shape, w.shape, None)
    size, kernel, w = x.shape[2:], w.shape[2:], _turned(op, w)
    pads = _pads(op, size, kernel)
    if not _steps_far(op, kernel):
        return _convolve(op, x, w, op.stride, pads, op.dilation)
    shape = (x.shape[0], w.shape[0], *_sizes(size, kernel, op.stride, pads, op.dilation))
    if 0 in shape or 0 in x.shape:
        return jnp.zeros(shape, x.dtype)
    return _transpose(lambda y: _by_phases(op, w, y, size, pads), shape, x)


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
        pads = _pads(op, size, w.shape[2:])
        w = _turned(op, w)
        if max(op.stride) > 1 and max(op.dilation) == 1:
            return _by_phases(op, w, y, size, pads)
        if _as_product(op, y.shape[0], w.shape[0], w.shape[2:], y.shape[2:]):
            return _transpose(lambda x: _convolve(op, x, w, op.stride, pads, op.dilation), shape, y)
        return _spread(op, w, y, size, pads)

    return deconvolve


def _swapped(op: Any, w: Any) -> Any:
    """Filters ``(M, C / groups, *kernel)`` with the roles of their channels changed and turned round: what a
    convolution from M to C channels takes."""
    m, c, *kernel = w.shape
    w = w.reshape(op.groups, m // op.groups, c, *kernel).swapaxes(1, 2).reshape(op.groups * c, m // op.groups, *kernel)
    return jnp.flip(w, range(2, w.ndim))


def _spread(op: Any, w: Any, y: Any, size: Ints, forward_pads: Any) -> Any:
    """A convolution of `y`, spread by the stride."""
    pads = []
    for axis, (n, (b, _)) in enumerate(zip(size, forward_pads, strict=True)):
        reach = (w.shape[axis + 2] - 1) * op.dilation[axis]
        spread = (y.shape[axis + 2] - 1) * op.stride[axis] + 1
        pads.append((reach - b, n + b - spread))
    zero, none = jnp.zeros((), y.dtype), (0, 0, 0)
    if max(op.stride) > 1:
        y = lax.pad(y, zero, [none, none, *((0, 0, s - 1) for s in op.stride)])
    if min(min(pad) for pad in pads) < 0:  # what no filter needs is cut off first
        y = lax.pad(y, zero, [none, none, *((min(b, 0), min(a, 0), 0) for b, a in pads)])
        pads = [(max(b, 0), max(a, 0)) for b, a in pads]
    return _convolve(op, y, _swapped(op, w), (1,) * op.ndim, pads, op.dilation)


def _by_phases(op: Any, w: Any, y: Any, size: Ints, pads: Any) -> Any:
    """Cell ``s q + r`` of the padded result takes only the taps ``r, r + s, ...``: those of phase r."""
    ndim, stride = op.ndim, op.stride
    m, c, *kernel = w.shape
    full = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]  # taps of a phase at most
    cells = [n + t - 1 for n, t in zip(y.shape[2:], full, strict=True)]
    w = jnp.pad(w, [(0, 0), (0, 0), *((0, t * s - k) for t, s, k in zip(full, stride, kernel, strict=True))])
    # (M, C', *kernel) -> (M, C', *phases, *taps)
    w = w.reshape(m, c, *(n for t, s in zip(full, stride, strict=True) for n in (t, s)))
    w = w.transpose(0, 1, *range(3, 2 + 2 * ndim, 2), *range(2, 2 + 2 * ndim, 2))
    # the first phases of an axis may have one tap more than the others: convolved apart, since a zero in its place
    # would make a NaN of another's
    groups = [
        [(first, last, taps) for first, last, taps in ((0, k % s, t), (k % s, s, k // s)) if first < last]
        for k, s, t in zip(kernel, stride, full, strict=True)
    ]

    def block(chosen: list[tuple[int, int, int]]) -> Any:
        """(N, C, *phases, *cells) of one group of each axis."""
        phases, taps = [last - first for first, last, _ in chosen], [t for _, _, t in chosen]
        shape = (y.shape[0], op.groups * c, *phases)
        if 0 in taps:
            return jnp.zeros((*shape, *cells), y.dtype)
        index = (..., *(slice(first, last) for first, last, _ in chosen), *(slice(t) for t in taps))
        part = w[index].reshape(m, c * math.prod(phases), *taps)
        z = _convolve(op, y, _swapped(op, part), (1,) * ndim, [(t - 1, t - 1) for t in taps], (1,) * ndim)
        ends = [(0, n - there) for n, there in zip(cells, z.shape[2:], strict=True)]
        return jnp.pad(z.reshape(*shape, *z.shape[2:]), [(0, 0)] * (2 + ndim) + ends)

    def join(chosen: list[tuple[int, int, int]]) -> Any:
        axis = len(chosen)
        if axis == ndim:
            return block(chosen)
        parts = [join([*chosen, group]) for group in groups[axis]]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, 2 + axis)

    # (N, C, *phases, *cells) -> (N, C, *(cells * stride))
    z = join([])
    z = z.transpose(0, 1, *(n for axis in range(ndim) for n in (2 + ndim + axis, 2 + axis)))
    z = z.reshape(*z.shape[:2], *(q * s for q, s in zip(cells, stride, strict=True)))
    ends = [(-b, n + b - q * s, 0) for n, (b, _), q, s in zip(size, pads, cells, stride, strict=True)]
    return lax.pad(z, jnp.zeros((), z.dtype), [(0, 0, 0), (0, 0, 0), *ends])


@register(ConvWeightGradient)
def conv_weight_gradient(op, node):
    def gradient(x, y, kernel):
        kernel = sizes_of(kernel, 2)
        _shapes.check_length(op, kernel)
        shape = (y.shape[1], x.shape[1] // op.groups, *kernel)
        _shapes.check_shapes(op, x.shape, shape, y.shape)
        if 0 in x.shape or 0 in y.shape:
            return jnp.zeros(shape, x.dtype)
        pads = _pads(op, x.shape[2:], kernel)
        if _steps_far(op, kernel):
            return _turned(op, _transpose(lambda w: _by_phases(op, w, y, x.shape[2:], pads), shape, x))
        x, y, pads = _seeing(op, kernel, pads, x, y)
        transposed = lambda x, y: _transpose(  # noqa: E731
            lambda w: _convolve(op, x, w, op.stride, pads, op.dilation), shape, y
        )
        taps = math.prod(kernel)
        if taps > _UNROLLED or taps * x.size > _COPIED or trace().precision == "bfloat16":
            return _turned(op, transposed(x, y))
        by_taps = functools.partial(_weights_by_taps, op, kernel, pads)
        return _turned(op, lax.platform_dependent(x, y, cpu=by_taps, default=transposed))

    return gradient


def _seeing(op: Any, kernel: Ints, pads: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """`x`, its pads and `y` without the cells that see padding alone.

    XLA takes a weight gradient for what it is, and not for a convolution with a filter of the image's size, if the pads
    are smaller than the filters (FCN's 100 is not) and there are no more cells than the image has: else `x` is padded
    beforehand.
    """
    cut = [
        formulas.seeing(n, formulas.dilated(k, d), s, *p)
        for n, k, s, d, p in zip(x.shape[2:], kernel, op.stride, op.dilation, pads, strict=True)
    ]
    seen: tuple[Any, ...] = (..., *(slice(first, first + cells) for first, cells, _, _ in cut))
    pads = [(before, after) for *_, before, after in cut]
    if any(cells > n for (_, cells, _, _), n in zip(cut, x.shape[2:], strict=True)):
        x, pads = jnp.pad(x, [(0, 0), (0, 0), *pads]), [(0, 0)] * op.ndim
    return x, y[seen], pads


def _weights_by_taps(op: Any, kernel: Ints, pads: Any, x: Any, y: Any) -> Any:
    """A matrix product for each tap: for small images half the time of XLA's convolution on a CPU."""
    batch, groups, out = x.shape[0], op.groups, y.shape[2:]
    x = jnp.pad(x, ((0, 0), (0, 0), *pads)).reshape(
        batch, groups, -1, *(n + sum(p) for n, p in zip(x.shape[2:], pads, strict=True))
    )
    y = y.reshape(batch, groups, -1, *out)
    cells = (0, *range(3, 3 + op.ndim))
    sums = []
    for _, window in _taps.taps(kernel, out, op.stride, op.dilation, flip=False):
        index = (slice(None), *window)  # the channels lie in groups
        part = x[index]
        sums.append(lax.dot_general(y, part, ((cells, cells), ((1,), (1,))), precision=lax.Precision.HIGHEST))
    # (groups, M / groups, C / groups) for each tap
    return jnp.stack(sums, -1).reshape(groups * y.shape[2], x.shape[2], *kernel)


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
        return _transpose(lambda x: _unshared(op, x, w), shape, y)

    return deconvolve


@register(UnsharedConvWeightGradient)
def unshared_weight_gradient(op, node):
    def gradient(x, y, kernel):
        shape = op._shape(x.shape, y.shape, op._as_sizes(sizes_of(kernel, 2)))
        op._check(x.shape, shape, y.shape)
        return _transpose(lambda w: _unshared(op, x, w), shape, y)

    return gradient
