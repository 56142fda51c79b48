"""The windows of a pooling: which numbers describe them, and how many there are.

`geometry` knows the rules; `plan` puts its answers into the form that C and NumPy walk. C asks here at each call,
so that no rule about sizes is written down a second time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.errors import SizeError

at = aesara.tensor
Op: Any = aesara.graph.op.Op

__all__ = ["Windows", "padded", "plan", "taps", "wrong_length"]

_ROUNDINGS = tuple(geometry.POOL_ROUNDINGS)
_MODES = ("explicit", *geometry.BORDER_MODES)

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Kernel, stride and pads of a pooling over the last `ndim` axes. A kernel of None is the whole image."""

    ndim: int
    kernel: Ints | None
    stride: Ints
    border_mode: tuple
    rounding: str

    @classmethod
    def of(cls, ndim: int, kernel: Any, stride: Any, border_mode: Any, rounding: str) -> Windows:
        if ndim not in (1, 2, 3):
            raise SizeError(f"{ndim} spatial axes; 1, 2 or 3 are served")
        if rounding not in _ROUNDINGS:
            legal = ", ".join(map(repr, _ROUNDINGS))
            raise SizeError(f"`rounding` (={rounding!r}) is unknown; legal are {legal}")
        border_mode = geometry.normalize_border_mode(border_mode, ndim, "pad")
        if kernel is None:
            if stride is not None or any(mode not in ("valid", (0, 0)) for mode in border_mode):
                raise SizeError("a pooling over the whole image (kernel None) takes neither stride nor pads")
            return cls(ndim, None, (1,) * ndim, ((0, 0),) * ndim, "floor")
        kernel = geometry.per_axis(kernel, ndim, "kernel", 1)
        stride = kernel if stride is None else geometry.per_axis(stride, ndim, "stride", 1)
        windows = cls(ndim, kernel, stride, border_mode, rounding)
        windows.out_sizes((None,) * ndim)  # finds what is wrong whatever the sizes
        return windows

    def out_sizes(self, sizes: Sequence[int | None], axes: Sequence[int] | None = None) -> tuple[int | None, ...]:
        """Sizes after the pooling, None where not known."""
        if self.kernel is None:
            return (1,) * self.ndim
        return geometry.pool_output_shape(sizes, self.kernel, self.stride, self.border_mode, self.rounding, axes=axes)

    def out_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The whole shape after the pooling of an array of `shape`."""
        first = len(shape) - self.ndim
        return (*shape[:first], *self.out_sizes(shape[first:], range(first, len(shape))))

    def numbers(self) -> list[int]:
        """rounding, whether there is a kernel, then kernel, stride, mode, before, after of each axis."""
        numbers = [_ROUNDINGS.index(self.rounding), int(self.kernel is not None)]
        for k, s, mode in zip(self.kernel or self.stride, self.stride, self.border_mode, strict=True):
            named = isinstance(mode, str)
            numbers += [k, s, _MODES.index(mode if named else "explicit"), *((0, 0) if named else mode)]
        return numbers

    @classmethod
    def from_numbers(cls, ndim: int, numbers: Sequence[int]) -> Windows:
        rounding, kernel = _ROUNDINGS[numbers[0]], []
        stride, modes = [], []
        for k, s, mode, before, after in zip(*[iter(numbers[2:])] * 5, strict=True):
            kernel.append(k)
            stride.append(s)
            modes.append(_MODES[mode] if mode else (before, after))
        return cls(ndim, tuple(kernel) if numbers[1] else None, tuple(stride), tuple(modes), rounding)

    def __str__(self) -> str:
        if self.kernel is None:
            return "whole image"
        return f"kernel={self.kernel}, stride={self.stride}, pad={self.border_mode}, {self.rounding}"

    def infer_shape(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """The shape after the pooling of an array of the symbolic `shape`."""
        first = len(shape) - self.ndim
        out = _OutSizes(self)(at.stack([at.cast(n, "int64") for n in shape[first:]]))
        return (*shape[:first], *(out[axis] for axis in range(self.ndim)))


class _OutSizes(Op):
    """Sizes after a pooling, from the vector of sizes before: `geometry` itself, as a node of the graph."""

    __props__ = ("windows",)

    def __init__(self, windows: Windows):
        self.windows = windows

    def make_node(self, sizes):
        return aesara.graph.basic.Apply(self, [sizes], [at.TensorType("int64", shape=(self.windows.ndim,))()])

    def perform(self, node, inputs, output_storage):
        out = self.windows.out_sizes(tuple(int(n) for n in inputs[0]))
        output_storage[0][0] = np.asarray(out, np.int64)

    def infer_shape(self, fgraph, node, shapes):
        return [(self.windows.ndim,)]

    def grad(self, inputs, gradients):
        return [aesara.gradient.DisconnectedType()()]

    def connection_pattern(self, node):
        return [[False]]


@functools.lru_cache(maxsize=1024)
def plan(spec: Ints, images: tuple[Ints, ...], outputs: tuple[Ints, ...]) -> Ints:
    """Kernel, stride, before, after and output size, three numbers each: leading axes are 1 wide.

    Called from C (c/pooling.h) and NumPy with `Op.spec` (the number of axes, a number of the Op's own, and those of
    `Windows`) and the shapes of all arrays that are like the image, or like the output: they are checked here.
    """
    ndim = spec[0]
    windows = Windows.from_numbers(ndim, spec[2:])
    image = images[0]
    first = len(image) - ndim
    if any(other != image for other in images):
        raise SizeError(f"arrays of the shapes {images} must be of one shape")
    shape = windows.out_shape(image)
    for output in outputs:
        if output != shape:
            raise SizeError(f"windows ({windows}) on an image {image} give {shape}, not {output}")
    sizes = image[first:]
    kernel = sizes if windows.kernel is None else windows.kernel
    pads = geometry.resolve_all_pads(windows.border_mode, sizes, kernel, windows.stride)
    before, after = zip(*pads, strict=True)
    missing = 3 - ndim
    fields = ((kernel, 1), (windows.stride, 1), (before, 0), (after, 0), (shape[first:], 1))
    return tuple(n for values, neutral in fields for n in ((neutral,) * missing + tuple(values)))


def wrong_length(spec: Ints, length: int) -> None:
    """Called from C and NumPy with the length of a size vector that is wrong."""
    raise SizeError(f"a size of {length} entries for {spec[0]} axes")


# The same windows in NumPy


def taps(ndim: int, plan: Ints) -> Iterator[tuple[tuple, Ints]]:
    """For each tap in row-major order: the slices of the padded image that it meets, and its place in the window."""
    kernel, stride, _, _, out = (plan[i - ndim : i] for i in range(3, 16, 3))
    for tap in np.ndindex(*kernel):
        yield (..., *(slice(t, t + (o - 1) * s + 1, s) for t, o, s in zip(tap, out, stride, strict=True))), tap


def padded(x: np.ndarray, ndim: int, plan: Ints, fill: float) -> tuple[np.ndarray, tuple]:
    """`x` amid `fill`, as far as windows reach, and the index of the image in it (both cut where none reaches)."""
    kernel, stride, before, _, out = (plan[i - ndim : i] for i in range(3, 16, 3))
    extent = [(o - 1) * s + k for k, s, o in zip(kernel, stride, out, strict=True)]
    reach = [min(n, e - b) for n, e, b in zip(x.shape[-ndim:], extent, before, strict=True)]
    result = np.full((*x.shape[:-ndim], *extent), fill, x.dtype)
    inside: tuple = (..., *(slice(b, b + r) for b, r in zip(before, reach, strict=True)))
    reached: tuple = (..., *(slice(r) for r in reach))
    result[inside] = x[reached]
    return result, inside
