"""Caffe's local response normalisation: across channels as Ops of its own, within a channel as an expression."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, common_dtype
from deconv_legacy.engine.pooling import average_pool
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply

__all__ = ["LRN", "LRNGradient", "lrn_across", "lrn_within"]


def _check_size(size: Any, where: str) -> int:
    try:
        size = geometry.as_int(size, "size", 1)
    except SizeError as error:
        raise error.at(where) from None
    if size % 2 == 0:
        raise SizeError(f"`size` (={size}) must be odd: as many neighbours on both sides", where=where)
    return size


def refuse_shapes(x: tuple[int, ...], g: tuple[int, ...]) -> None:
    """Called from C and NumPy where an input and its gradient differ."""
    raise SizeError(f"an input of shape {x} and a gradient of shape {g} must be of one shape", where="LRNGradient")


class _LRNOp(EngineOp):
    __props__ = ("size", "alpha", "beta", "k")
    c_files = ("ask.h", "lrn.h")

    def __init__(self, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0):
        self.size = _check_size(size, type(self).__name__)
        self.alpha, self.beta, self.k = float(alpha), float(beta), float(k)

    def numbers(self) -> list[int]:
        return [self.size, *(int(bits) for bits in np.array([self.alpha, self.beta, self.k]).view(np.int64))]

    def _tensors(self, *tensors):
        variables = [at.as_tensor_variable(tensor) for tensor in tensors]
        for variable in variables:
            if variable.ndim < 2 or variable.ndim != variables[0].ndim:
                raise SizeError(f"an input of {variable.ndim} axes, (N, C, *spatial) is needed", where=str(self))
        dtype = common_dtype(str(self), *variables)
        return [at.cast(variable, dtype) for variable in variables]

    def _around(self, a: np.ndarray) -> np.ndarray:
        """The sum over the channels around each, zeros beyond the first and last."""
        half, channels = self.size // 2, a.shape[1]
        padded = np.pad(a, [(0, 0), (half, half), *[(0, 0)] * (a.ndim - 2)])
        return np.sum([padded[:, i : i + channels] for i in range(self.size)], axis=0)

    def _scale(self, x: np.ndarray) -> np.ndarray:
        return self.k + self.alpha / self.size * self._around(x * x)

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]

    def _formula(self, x):
        """The same as an expression."""
        flat = at.shape_padaxis(x.flatten(3) if x.ndim > 2 else at.shape_padright(x), 1)
        sums = average_pool(flat * flat, (self.size, 1), 1, (self.size // 2, 0), divisor="one")
        return x * _power(self.k + self.alpha / self.size * sums.reshape(x.shape), -self.beta)


class LRN(_LRNOp):
    """x ``(N, C, *spatial)`` to ``x (k + alpha / size * sum of x^2 over size channels) ** -beta``."""

    c_function = "lrn"

    def make_node(self, x):
        (x,) = self._tensors(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage, params=None):
        (x,) = inputs
        output_storage[0][0] = (x * self._scale(x) ** -self.beta).astype(x.dtype)

    def L_op(self, inputs, outputs, gradients):
        return [LRNGradient(self.size, self.alpha, self.beta, self.k)(inputs[0], gradients[0])]


class LRNGradient(_LRNOp):
    """From x and the gradient g of its normalised values: the gradient of x."""

    c_function = "lrn_gradient"

    def make_node(self, x, g):
        x, g = self._tensors(x, g)
        return Apply(self, [x, g], [x.type()])

    def perform(self, node, inputs, output_storage, params=None):
        x, g = inputs
        if x.shape != g.shape:
            refuse_shapes(x.shape, g.shape)
        scale = self._scale(x)
        direct = g * scale**-self.beta
        through = self._around(direct * x / scale)
        output_storage[0][0] = (direct - 2 * self.alpha * self.beta / self.size * x * through).astype(x.dtype)

    def L_op(self, inputs, outputs, gradients):
        # Second derivatives are rare: they come from the expression, over variables of its own, since g may
        # depend on x.
        x, g, v = (variable.clone() for variable in (*inputs, gradients[0]))
        gx = aesara.grad(None, x, known_grads={self._formula(x): g})
        second = aesara.grad(None, [x, g], known_grads={gx: v})
        given = zip((x, g, v), (*inputs, gradients[0]), strict=True)
        return aesara.clone_replace(second, dict(given))


def _power(base: Any, exponent: float) -> Any:
    return at.power(base, np.asarray(exponent, base.dtype))


def lrn_across(x: Any, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0) -> Any:
    """Caffe's LRN, ACROSS_CHANNELS, of `x` ``(N, C, *spatial)``; also AlexNet's.

    ``x (k + alpha / size * sum of x^2 over size channels) ** -beta``, zeros beyond the first and last channel.
    Mind the division by `size`, which Theano's and TensorFlow's kindred functions leave out.

    Raises
    ------
    SizeError
        For an even `size`, and for an input without channels.

    Examples
    --------
    >>> import numpy as np
    >>> lrn_across(np.ones((1, 3, 1)), size=3, alpha=3, beta=1).eval().round(3).ravel()
    array([0.333, 0.25 , 0.333])
    """
    return LRN(size, alpha, beta, k)(x)


def lrn_within(x: Any, size: int = 5, alpha: float = 1.0, beta: float = 0.75) -> Any:
    """Caffe's LRN, WITHIN_CHANNEL, of `x` ``(N, C, *spatial)``: ``x (1 + alpha * mean of x^2) ** -beta``.

    The mean goes over ``size`` cells of each spatial axis around each cell; cells beyond the image count as zeros.
    Caffe ignores k here, so there is none.

    Examples
    --------
    >>> import numpy as np
    >>> lrn_within(np.ones((1, 1, 3)), size=3, alpha=3, beta=1).eval().round(3)
    array([[[0.333, 0.25 , 0.333]]])
    """
    size = _check_size(size, "lrn_within")
    x = at.as_tensor_variable(x)
    common_dtype("lrn_within", x)
    mean = average_pool(x * x, size, 1, size // 2)
    return x * _power(1 + np.asarray(alpha, x.dtype) * mean, -beta)
