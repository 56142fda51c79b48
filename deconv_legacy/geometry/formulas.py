"""The size formulas themselves, bare: only ``+ - * //`` and a maximum, no checks.

Each formula of this package stands here and nowhere else. Because they use operators alone, they hold for
integers and for symbolic integers (Aesara variables) alike; for these, hand in the symbolic ``maximum``.
Everybody else calls the checked functions of :mod:`deconv_legacy.geometry`.

All sizes are of one axis: ``size`` before, ``n`` after the forward convolution; ``k`` is the *dilated*
kernel, ``s`` the stride, ``pads`` the sum of the pads before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "conv",
    "deconv_largest",
    "deconv_smallest",
    "dilated",
    "interp",
    "pool_ceil",
    "pool_theano",
    "same",
    "same_deconv_largest",
    "same_deconv_smallest",
    "same_pads",
    "seeing",
    "stretched",
]


def dilated(kernel: Any, dilation: Any) -> Any:
    """Cells from the first to the last tap of a kernel whose taps stand `dilation` apart.

    >>> dilated(3, 1), dilated(3, 2)
    (3, 5)
    """
    return (kernel - 1) * dilation + 1


def conv(size: Any, k: Any, s: Any, pads: Any) -> Any:
    """Forward size with explicit pads; zero or less where the kernel does not fit.

    >>> conv(7, 3, 2, 2)
    4
    """
    return (size + pads - k) // s + 1


def same(size: Any, s: Any) -> Any:
    """Forward size of SAME: ``ceil(size / s)``, whatever the kernel.

    >>> same(7, 2)
    4
    """
    return (size + s - 1) // s


def same_pads(
    size: Any, k: Any, s: Any, lower: bool = False, maximum: Callable[[Any, Any], Any] = max
) -> tuple[Any, Any]:
    """Pads (before, after) of SAME for a forward input of `size`; an odd one after, or before if `lower`.

    >>> same_pads(8, 3, 2), same_pads(8, 3, 2, lower=True)
    ((0, 1), (1, 0))
    """
    total = maximum((same(size, s) - 1) * s + k - size, 0)
    less = total // 2
    return (total - less, less) if lower else (less, total - less)


def seeing(size: int, k: int, s: int, before: int, after: int) -> tuple[int, int, int, int]:
    """The forward cells that see some of the image, not padding alone: the first, how many, and the pads (before,
    after) with which the image gives just these. Between them may be some that do not, where ``s > k``.

    >>> seeing(500, 3, 1, 100, 100)
    (98, 502, 2, 2)
    """
    last = conv(size, k, s, before + after) - 1
    first = min(max(-((k - 1 - before) // s), 0), before // s, last)
    last = min((before + size - 1) // s, last)
    before -= first * s
    return first, last - first + 1, before, min(after, max((last - first) * s + k - size - before, 0))


def deconv_smallest(n: Any, k: Any, s: Any, pads: Any) -> Any:
    """Smallest size whose forward size with explicit pads is `n`: the default of Theano, Caffe and torch.

    >>> deconv_smallest(16, 64, 32, 0)
    544
    """
    return (n - 1) * s + k - pads


def deconv_largest(n: Any, k: Any, s: Any, pads: Any) -> Any:
    """Largest size whose forward size with explicit pads is `n`.

    >>> deconv_largest(16, 64, 32, 0)
    575
    """
    return deconv_smallest(n, k, s, pads) + s - 1


def same_deconv_smallest(n: Any, s: Any) -> Any:
    """Smallest size that SAME takes to `n`.

    >>> same_deconv_smallest(4, 2)
    7
    """
    return (n - 1) * s + 1


def same_deconv_largest(n: Any, s: Any) -> Any:
    """Largest size that SAME takes to `n`: the default of TensorFlow's layers, Keras and ONNX.

    >>> same_deconv_largest(4, 2)
    8
    """
    return n * s


def stretched(n: Any, s: Any) -> Any:
    """Size of `n` cells with ``s - 1`` zeros between neighbours (Dumoulin & Visin, arXiv 1603.07285).

    >>> stretched(3, 2)
    5
    """
    return (n - 1) * s + 1


def pool_ceil(size: int, k: int, s: int, before: int, after: int, *, drop: bool) -> int:
    """Windows of a pooling that rounds up; `drop` the last if it starts beyond the input's last cell.

    Caffe divides in float32 (``pooling_layer.cpp``). Its rounded quotient has the same ceiling as the exact
    one while ``size + pads - k`` stays below 2**24: a quotient q/s that is no integer differs from the next
    integer below, m, by at least 1/s, and half a unit in the last place of m is at most m * 2**-24, which is
    less than 1/s because m * s < 2**24. So integers serve.

    >>> pool_ceil(112, 3, 2, 0, 0, drop=False), pool_ceil(5, 1, 3, 0, 0, drop=False)
    (56, 3)
    >>> pool_ceil(5, 1, 3, 0, 0, drop=True)
    2
    """
    windows = -((k - size - before - after) // s) + 1
    if drop and (windows - 1) * s >= size + before:
        windows -= 1
    return windows


def pool_theano(size: int, k: int, s: int) -> int:
    """Windows of Theano's pooling with ``ignore_border=False``: one for every start that sees new cells.

    >>> pool_theano(5, 2, 2), pool_theano(5, 3, 2), pool_theano(1, 3, 1)
    (3, 2, 1)
    """
    if s >= k:
        return (size - 1) // s + 1
    return max(0, (size - 1 - k + s) // s) + 1


def interp(size: int, zoom: int, shrink: int) -> int:
    """Size after DeepLab's and PSPNet's Interp layer: shrink, then zoom; both keep the end cells in place.

    >>> interp(41, 8, 1), interp(321, 1, 8), interp(9, 2, 4)
    (321, 41, 5)
    """
    shrunk = (size - 1) // shrink + 1
    return shrunk + (shrunk - 1) * (zoom - 1)
