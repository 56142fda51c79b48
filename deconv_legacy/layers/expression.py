"""Layers without a theory of their own: any expression, an inner product, a learned slope, a learned bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from deconv_legacy import fillers
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers.base import Layer

at = aesara.tensor

__all__ = ["BiasLayer", "DenseLayer", "ExpressionLayer", "PReluLayer", "known_shape", "sizes_of"]


def sizes_of(variable: Any) -> list[Any]:
    """The sizes of a variable: ints where they are known when the graph is built, else symbolic scalars."""
    return [variable.shape[i] if n is None else n for i, n in enumerate(variable.type.shape)]


def known_shape(variable: Any, shape: Sequence[Any]) -> Any:
    """`variable`, whose type says what `shape` (ints, None or symbolic scalars) knows and Aesara does not derive."""
    static = tuple(n if isinstance(n, int) else None for n in shape)
    missing = any(n is not None and m is None for n, m in zip(static, variable.type.shape, strict=True))
    return at.specify_shape(variable, static) if missing else variable


class ExpressionLayer(Layer):
    """What a function makes of its inputs.

    Parameters
    ----------
    inputs
        A layer or variable, or a list of them.
    function
        Takes the inputs' variables, returns one variable or a list of them: the layer's outputs.
    keeps_coordinates
        Whether output cell i stands for input cell i.

    Examples
    --------
    >>> from deconv_legacy.layers import ExpressionLayer, InputLayer
    >>> ExpressionLayer(InputLayer((1, 2, 3, 4)), lambda x: x.sum(axis=(2, 3))).output_shape
    (1, 2)
    """

    def __init__(
        self, inputs: Any, function: Callable[..., Any], name: str = "expression", *, keeps_coordinates: bool = False
    ):
        super().__init__(inputs if isinstance(inputs, (list, tuple)) else [inputs], name)
        self.keeps_coordinates = keeps_coordinates
        made = self.located(lambda: function(*self.inputs))
        self.outputs = list(made) if isinstance(made, (list, tuple)) else [made]


class DenseLayer(Layer):
    """Inner products: ``x W' + b`` over all numbers of the axes from `axis` on.

    Parameters
    ----------
    units
        How many outputs; the output is ``(*sizes before axis, units)``.
    transpose
        Whether `W` is ``(inputs, units)`` and not Caffe's ``(units, inputs)``.
    W, b
        Arrays or shared variables; `b` True starts with `bias_filler`, None has none.

    The number of inputs must be known, from the input's type or from `W`.

    Examples
    --------
    >>> from deconv_legacy.layers import DenseLayer, InputLayer
    >>> DenseLayer(InputLayer((2, 3, 4, 5)), 7).output_shape
    (2, 7)
    """

    def __init__(
        self,
        input: Any,
        units: int,
        name: str = "dense",
        *,
        axis: int = 1,
        transpose: bool = False,
        W: Any = None,
        b: Any = True,
        filler: Callable[..., Any] = fillers.constant,
        bias_filler: Callable[..., Any] = fillers.constant,
        rng: Any = None,
        frozen: bool = False,
    ):
        super().__init__([input], name, frozen=frozen)
        if units < 1:
            raise SizeError(f"units={units} must be at least 1", where=self.where)
        x = self.input
        axis = self.need_axis(axis)
        sizes = sizes_of(x)
        inputs = self.input_shape[axis:]
        if None not in inputs:
            count = math.prod(inputs)
        elif W is not None:
            count = W.type.shape[not transpose] if isinstance(W, at.Variable) else W.shape[not transpose]
        else:
            raise SizeError(f"an input of shape {self.input_shape} has sizes that must be known", where=self.where)
        self.W = self.add_param(W, (count, units) if transpose else (units, count), "W", filler, rng)
        rows = math.prod(sizes[:axis]) if axis else 1
        y = at.dot(x.reshape((rows, count)), self.W if transpose else self.W.T)
        self.b = None
        if b is not None and b is not False:
            self.b = self.add_param(None if b is True else b, (units,), "b", bias_filler, rng)
            y = y + self.b
        self.outputs = [known_shape(y.reshape((*sizes[:axis], units)), (*sizes[:axis], units))]


class PReluLayer(Layer):
    """``x`` above zero, ``slope x`` elsewhere, with a learned slope for each channel (axis 1) or one for all.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, PReluLayer
    >>> PReluLayer(InputLayer((1, 3, 4, 5))).slope.get_value()
    array([0.25, 0.25, 0.25], dtype=float32)

    References
    ----------
    He et al., arXiv 1502.01852.
    """

    keeps_coordinates = True

    def __init__(
        self,
        input: Any,
        name: str = "prelu",
        *,
        slope: Any = None,
        shared: bool = False,
        filler: Callable[..., Any] | None = None,
        rng: Any = None,
    ):
        super().__init__([input], name)
        x, channels = self.input, self.input_shape[1]
        if channels is None and not shared:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=self.where)
        quarter = lambda shape, rng, dtype: fillers.constant(shape, rng, dtype, value=0.25)  # noqa: E731
        self.slope = self.add_param(slope, () if shared else (channels,), "slope", filler or quarter, rng)
        pattern = ["x"] * x.ndim if shared else ["x", 0] + ["x"] * (x.ndim - 2)
        self.outputs = [at.switch(x > 0, x, x * self.slope.dimshuffle(pattern))]


class BiasLayer(Layer):
    """Add a parameter that has the sizes of axes ``axis .. axis + num_axes - 1`` (-1: all that follow)."""

    keeps_coordinates = True

    def __init__(
        self,
        input: Any,
        axis: int = 1,
        num_axes: int = 1,
        bias: Any = None,
        name: str = "bias",
        *,
        filler: Callable[..., Any] = fillers.constant,
        rng: Any = None,
    ):
        super().__init__([input], name)
        x, axis = self.input, self.need_axis(axis)
        stop = x.ndim if num_axes == -1 else axis + num_axes
        shape = self.input_shape[axis:stop]
        if not axis <= stop <= x.ndim or None in shape:
            raise SizeError(f"axes {axis} to {stop - 1} of {self.input_shape} must be known", where=self.where)
        self.b = self.add_param(bias, shape, "bias", filler, rng)
        self.outputs = [x + self.b.dimshuffle(["x"] * axis + list(range(len(shape))) + ["x"] * (x.ndim - stop))]
