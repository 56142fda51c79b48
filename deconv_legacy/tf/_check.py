"""Shapes of a convolution that must go together: one check, at graph build and when the function runs.

The engine has its own checks, which count axes in its own order; these speak of the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deconv_legacy import geometry
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.tf._layout import Layout

at = aesara.tensor

__all__ = ["ConvolutionCheck", "checked"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ConvolutionCheck:
    """Do x, the forward convolution's input, y, its output, and filters ``[*kernel, x's channels, y's]`` fit?

    `names` are what the caller calls x, the filters and y.
    """

    where: str
    names: tuple[str, str, str]
    direction: str  # "forward", "transpose" or "filter": which of y, x and the filters is computed
    layout: Layout
    stride: tuple[int, ...]
    padding: Any
    dilation: tuple[int, ...]

    def __call__(self, x: Shape, w: Shape, y: Shape) -> None:
        """Raise a SizeError that says what does not fit; None stands for what is not known."""
        try:
            self._channels_and_batch(x, w, y)
            for axis, *sizes in zip(
                self.layout.axes,
                self.layout.spatial(x),
                self.layout.spatial(y),
                w[: self.layout.ndim],
                self.stride,
                geometry.normalize_border_mode(self.padding, self.layout.ndim),
                self.dilation,
                strict=True,
            ):
                self._axis(axis, *sizes)
        except SizeError as error:
            raise error.at(self.where) from None

    def _channels_and_batch(self, x: Shape, w: Shape, y: Shape) -> None:
        axis = self.layout.channel_axis
        for name, shape, filter_axis in ((self.names[0], x, -2), (self.names[2], y, -1)):
            channels, taken = shape[axis], w[filter_axis]
            if channels is not None and taken is not None and channels != taken:
                raise SizeError(
                    f"axis {axis}: `{name}` has {channels} channels, but `{self.names[1]}` of shape {_text(w)} "
                    f"has {taken} there (its axis {filter_axis})",
                    axis=axis,
                    actual=channels,
                    computed=taken,
                    legal=(taken,),
                )
        if None not in (x[0], y[0]) and x[0] != y[0]:
            raise SizeError(
                f"axis 0: `{self.names[0]}` has a batch of {x[0]}, `{self.names[2]}` one of {y[0]}",
                axis=0,
                actual=y[0],
                computed=x[0],
            )

    def _axis(self, axis: int, x: int | None, y: int | None, k: int | None, s: int, mode: Any, d: int) -> None:
        if k is None or x is None:
            return
        if self.direction == "transpose":
            if y is not None:
                geometry.check_deconv_output_size(x, y, k, s, mode, d, axis=axis)
            return
        computed = geometry.conv_output_size(x, k, s, mode, d, axis=axis)
        if y is not None and computed is not None and y != computed:
            raise SizeError(
                f"axis {axis}: `{self.names[2]}` has size {y} (actual), but a convolution of `{self.names[0]}` of size "
                f"{x} gives {computed} (computed)",
                axis=axis,
                actual=y,
                computed=computed,
                legal=(computed,),
            )


def _text(shape: Shape) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


class _Checked(aesara.graph.op.Op):
    """Its first input, after the check of the other three: the shapes of x, filters and y."""

    __props__ = ("check",)
    view_map = {0: [0]}  # noqa: RUF012 - Aesara's own way to say so

    def __init__(self, check: ConvolutionCheck):
        self.check = check

    def __str__(self) -> str:
        return f"Checked{{{self.check.where}}}"

    def make_node(self, tensor, *shapes):
        return aesara.graph.basic.Apply(self, [tensor, *shapes], [tensor.type()])

    def perform(self, node, inputs, output_storage, params=None):
        # -1 stands for None: numbers cannot be missing from a vector
        self.check(*(tuple(None if n == -1 else int(n) for n in shape) for shape in inputs[1:]))
        output_storage[0][0] = inputs[0]

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]

    def connection_pattern(self, node):
        return [[True], *[[False]] * (len(node.inputs) - 1)]

    def L_op(self, inputs, outputs, gradients):
        return [gradients[0], *(aesara.gradient.DisconnectedType()() for _ in inputs[1:])]

    def R_op(self, inputs, eval_points):
        return [eval_points[0]]


def checked(check: ConvolutionCheck, tensor: Any, x: list[Any], w: list[Any], y: list[Any] | None) -> Any:
    """`tensor`, with `check` done now for the ints among the sizes and, where there are others, again at each call.

    `x`, `w` and `y` are lists of ints and symbolic scalars; `y` is None where the convolution makes it.
    """
    if y is None:  # nothing to compare, the batch neither
        x, y = [None, *x[1:]], [None] * len(x)
    entries = [*x, *w, *y]
    check(*(tuple(n if isinstance(n, int) else None for n in shape) for shape in (x, w, y)))
    if not any(isinstance(n, at.Variable) for n in entries):
        return tensor
    return _Checked(check)(tensor, *(_vector(shape) for shape in (x, w, y)))


def _vector(shape: list[Any]) -> Any:
    return at.stack([at.cast(at.as_tensor_variable(-1 if n is None else n), "int64") for n in shape])
