"""Layers that work number by number, or join several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine, fillers
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers.base import Layer

at = aesara.tensor

Filler = Callable[..., Any]
_ONES = partial(fillers.constant, value=1)

__all__ = ["ConcatLayer", "DropoutLayer", "EltwiseLayer", "ReluLayer", "ScaleLayer", "SigmoidLayer", "TanhLayer"]


class ReluLayer(Layer):
    """``max(x, 0)``, or ``negative_slope x`` below zero; the gradient at 0 is 0, as in Caffe.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, ReluLayer
    >>> ReluLayer(InputLayer((1, 3, 4, 5))).output_shape
    (1, 3, 4, 5)
    """

    keeps_coordinates = True

    def __init__(self, input: Any, negative_slope: float = 0.0, name: str = "relu"):
        super().__init__([input], name)
        self.outputs = [engine.relu(self.input, negative_slope)]


class SigmoidLayer(Layer):
    """``1 / (1 + exp(-x))``."""

    keeps_coordinates = True

    def __init__(self, input: Any, name: str = "sigmoid"):
        super().__init__([input], name)
        self.outputs = [at.sigmoid(self.input)]


class TanhLayer(Layer):
    """``tanh(x)``."""

    keeps_coordinates = True

    def __init__(self, input: Any, name: str = "tanh"):
        super().__init__([input], name)
        self.outputs = [at.tanh(self.input)]


class DropoutLayer(Layer):
    """Inverted dropout: in training ``x mask / (1 - p)`` with a fresh mask at each call, else x itself.

    Parameters
    ----------
    p
        Share of the numbers set to zero, at least 0 and below 1.
    train
        Whether this graph is for training.
    seed
        Of the masks; the same seed gives the same sequence.
    """

    keeps_coordinates = True

    def __init__(
        self, input: Any, p: float = 0.5, name: str = "dropout", *, train: bool = False, seed: int | None = None
    ):
        super().__init__([input], name)
        if not 0 <= p < 1:
            raise SizeError(f"p={p} must be at least 0 and below 1", where=self.where)
        self.p = float(p)
        x = self.input
        if train and p > 0:
            stream = at.random.utils.RandomStream(seed)
            mask = stream.bernoulli(1 - self.p, size=x.shape)
            x = x * at.cast(mask, x.dtype) * np.asarray(1 / (1 - self.p), x.dtype)
        self.outputs = [x]


class EltwiseLayer(Layer):
    """Sum (with coefficients), product or maximum of inputs of one shape: FCN's skip fusion.

    Parameters
    ----------
    inputs
        At least two layers or variables.
    operation
        ``"sum"``, ``"prod"`` or ``"max"``. At a tie the gradient of ``max`` goes to the second of the first two
        inputs, and to a later one only if it is greater, as in Caffe.
    coeff
        One number for each input, for ``"sum"`` only.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, EltwiseLayer
    >>> a, b = InputLayer((1, 2, 3, 4)), InputLayer((1, 2, 3, 4))
    >>> EltwiseLayer([a, b], coeff=(0.5, 0.5)).output_shape
    (1, 2, 3, 4)
    """

    keeps_coordinates = True

    def __init__(
        self, inputs: Sequence[Any], operation: str = "sum", coeff: Sequence[float] | None = None, name: str = "eltwise"
    ):
        super().__init__(inputs, name)
        if len(self.inputs) < 2:
            raise SizeError(f"{len(self.inputs)} inputs, at least two are needed", where=self.where)
        if operation not in ("sum", "prod", "max"):
            raise SizeError(f"operation {operation!r} is unknown; legal are 'sum', 'prod', 'max'", where=self.where)
        if coeff is not None and (operation != "sum" or len(coeff) != len(self.inputs)):
            raise SizeError(
                f"{len(coeff)} coefficients for {operation!r} of {len(self.inputs)} inputs; 'sum' takes one for each",
                where=self.where,
            )
        terms = [self.inputs[0]]
        terms += [self.located(lambda y=other: engine.same_sizes(terms[0], y)) for other in self.inputs[1:]]
        if coeff is not None:
            terms = [x if c == 1 else x * np.asarray(c, x.dtype) for x, c in zip(terms, coeff, strict=True)]
        result = terms[0]
        for index, term in enumerate(terms[1:], 1):
            if operation == "sum":
                result = result + term
            elif operation == "prod":
                result = result * term
            elif index == 1:
                result = at.switch(result > term, result, term)
            else:
                result = at.switch(term > result, term, result)
        self.outputs = [result]


class ConcatLayer(Layer):
    """Inputs behind one another along `axis` (1: channels); all other sizes must agree.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, ConcatLayer
    >>> ConcatLayer([InputLayer((1, 2, 5, 6)), InputLayer((1, 3, 5, 6))]).output_shape
    (1, 5, 5, 6)
    """

    def __init__(self, inputs: Sequence[Any], axis: int = 1, name: str = "concat"):
        super().__init__(inputs, name)
        if not self.inputs:
            raise SizeError("no inputs, at least one is needed", where=self.where)
        axis = self.need_axis(axis)
        parts = [self.inputs[0]]
        parts += [self.located(lambda y=other: engine.same_sizes(parts[0], y, axis)) for other in self.inputs[1:]]
        self.keeps_coordinates = axis < 2
        if len(parts) == 1:
            self.outputs = parts
            return
        shapes = [part.type.shape for part in parts]
        shape = [next((n for n in sizes if n is not None), None) for sizes in zip(*shapes, strict=True)]
        shape[axis] = None if None in (sizes := [s[axis] for s in shapes]) else sum(sizes)
        # Aesara's own result would not say its sizes
        self.outputs = [at.specify_shape(at.concatenate(parts, axis=axis), shape)]


class ScaleLayer(Layer):
    """Multiply by a parameter, and add another: ``x gamma + beta``, broadcast from `axis` on.

    Parameters
    ----------
    axis, num_axes
        The parameters have the sizes of axes ``axis .. axis + num_axes - 1`` of the input (channels by default;
        -1 axes: all that follow); these must be known.
    scale, bias
        Arrays or shared variables; `scale` None starts with `filler` (ones), `bias` True with `bias_filler` (zeros),
        None has none.
    """

    keeps_coordinates = True

    def __init__(
        self,
        input: Any,
        axis: int = 1,
        num_axes: int = 1,
        scale: Any = None,
        bias: Any = None,
        name: str = "scale",
        *,
        filler: Filler | None = None,
        bias_filler: Filler = fillers.constant,
        rng: Any = None,
        frozen: bool = False,
    ):
        super().__init__([input], name, frozen=frozen)
        x = self.input
        axis = self.need_axis(axis)
        stop = x.ndim if num_axes == -1 else axis + num_axes
        if not axis <= stop <= x.ndim:
            raise SizeError(f"num_axes {num_axes} from axis {axis} of {x.ndim} on", where=self.where)
        shape = self.input_shape[axis:stop]
        if None in shape:
            raise SizeError(
                f"axes {axis} to {stop - 1} of an input of shape {self.input_shape} must be known", where=self.where
            )
        pattern = ["x"] * axis + list(range(len(shape))) + ["x"] * (x.ndim - stop)
        self.W = self.add_param(scale, shape, "scale", filler or _ONES, rng)
        y = x * self.W.dimshuffle(pattern)
        self.b = None
        if bias is not None and bias is not False:
            self.b = self.add_param(None if bias is True else bias, shape, "bias", bias_filler, rng)
            y = y + self.b.dimshuffle(pattern)
        self.outputs = [y]
