"""What works cell by cell (activations, Scale, Eltwise, dropout), and the inner product, with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import SizeError
from ._arrays import Array, along_axis, float64

__all__ = [
    "dropout",
    "eltwise",
    "eltwise_grad",
    "elu",
    "elu_grad",
    "inner_product",
    "inner_product_grad",
    "power",
    "power_grad",
    "prelu",
    "prelu_grad",
    "relu",
    "relu_grad",
    "scale",
    "scale_grad",
    "selu",
    "sigmoid",
    "sigmoid_grad",
    "tanh",
    "tanh_grad",
]


def relu(x: ArrayLike, negative_slope: float = 0.0) -> Array:
    """``max(x, 0) + negative_slope * min(x, 0)``.

    >>> relu([-2, 0, 3], 0.5)
    array([-1.,  0.,  3.])
    """
    x = float64(x)
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)


def relu_grad(x: ArrayLike, g: ArrayLike, negative_slope: float = 0.0) -> Array:
    """Gradient of `relu`; at 0 it is that of the negative side."""
    return float64(g) * np.where(float64(x) > 0, 1, negative_slope)


def prelu(x: ArrayLike, slope: ArrayLike) -> Array:
    """`relu` with a negative slope of its own for each channel, ``slope`` (C,), or one for all, (1,).

    >>> prelu([[[-2, 3]]], [0.5])
    array([[[-1.,  3.]]])
    """
    x = float64(x)
    return np.maximum(x, 0) + along_axis(float64(slope), 1, x.ndim) * np.minimum(x, 0)


def prelu_grad(x: ArrayLike, g: ArrayLike, slope: ArrayLike) -> tuple[Array, Array]:
    """Gradients of `prelu` with respect to ``x`` and ``slope``."""
    x, g, slope = float64(x), float64(g), float64(slope)
    per_channel = (g * np.minimum(x, 0)).sum(axis=(0, *range(2, x.ndim)))
    g_slope = per_channel.sum(keepdims=True) if slope.size == 1 else per_channel
    return g * np.where(x > 0, 1, along_axis(slope, 1, x.ndim)), g_slope


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """``x`` above 0, ``alpha (exp(x) - 1)`` below.

    >>> elu([-1, 2]).round(5)
    array([-0.63212,  2.     ])
    """
    x = float64(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_grad(x: ArrayLike, g: ArrayLike, alpha: float = 1.0) -> Array:
    """Gradient of `elu`; at 0 it is that of the negative side, ``alpha``."""
    x = float64(x)
    return float64(g) * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def selu(x: ArrayLike) -> Array:
    """Klambauer et al. (arXiv 1706.02515): 1.0507 times `elu` with alpha 1.6733.

    >>> selu([-1, 1]).round(5)
    array([-1.11133,  1.0507 ])
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def sigmoid(x: ArrayLike) -> Array:
    """``1 / (1 + exp(-x))``.

    >>> sigmoid([0, np.log(3)])
    array([0.5 , 0.75])
    """
    return special.expit(float64(x))


def sigmoid_grad(x: ArrayLike, g: ArrayLike) -> Array:
    """Gradient of `sigmoid`."""
    return float64(g) * sigmoid(x) * sigmoid(-float64(x))


def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent.

    >>> tanh([0.0])
    array([0.])
    """
    return np.tanh(float64(x))


def tanh_grad(x: ArrayLike, g: ArrayLike) -> Array:
    """Gradient of `tanh`."""
    return float64(g) * (1 - tanh(x) ** 2)


def power(x: ArrayLike, power: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> Array:
    """Caffe's Power: ``(shift + scale x) ** power``.

    >>> power([3, 5], power=2, scale=0.5, shift=-1)
    array([0.25, 2.25])
    """
    return (shift + scale * float64(x)) ** power


def power_grad(x: ArrayLike, g: ArrayLike, power: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> Array:
    """Gradient of `power`."""
    return float64(g) * power * scale * (shift + scale * float64(x)) ** (power - 1)


def dropout(x: ArrayLike, keep: ArrayLike, ratio: float) -> Array:
    """Caffe's inverted dropout in TRAIN: ``x * keep / (1 - ratio)``, ``keep`` 0 or 1.

    The gradient is the same function of ``g``; in TEST dropout is the identity.

    >>> dropout([1, 2, 3], [1, 0, 1], ratio=0.5)
    array([2., 0., 6.])
    """
    return float64(x) * float64(keep) / (1 - ratio)


def scale(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike | None = None, axis: int = 1) -> Array:
    """Caffe's Scale and Bias: ``gamma * x + beta``, both broadcast from ``axis`` on.

    >>> scale([[[1, 2]], [[3, 4]]], gamma=[10], beta=[1])
    array([[[11., 21.]],
    <BLANKLINE>
           [[31., 41.]]])
    """
    x = float64(x)
    y = along_axis(float64(gamma), axis, x.ndim) * x
    return y if beta is None else y + along_axis(float64(beta), axis, x.ndim)


def scale_grad(x: ArrayLike, g: ArrayLike, gamma: ArrayLike, axis: int = 1) -> tuple[Array, Array, Array]:
    """Gradients of `scale` with respect to ``x``, ``gamma`` and ``beta``."""
    x, g, gamma = float64(x), float64(g), float64(gamma)
    others = tuple(a for a in range(x.ndim) if not axis <= a < axis + gamma.ndim)
    return along_axis(gamma, axis, x.ndim) * g, (g * x).sum(axis=others), g.sum(axis=others)


def _coefficients(inputs: Sequence[ArrayLike], operation: str, coeff: Sequence[float] | None) -> Sequence[float]:
    if operation not in ("SUM", "PROD", "MAX"):
        raise SizeError(f"operation is 'SUM', 'PROD' or 'MAX', not {operation!r}")
    if coeff and operation != "SUM":
        raise SizeError("coeff goes with SUM only")
    if coeff and len(coeff) != len(inputs):
        raise SizeError(f"{len(coeff)} coeff for {len(inputs)} inputs")
    return coeff or [1.0] * len(inputs)


def _winner(arrays: Sequence[Array]) -> np.ndarray:
    """Which input Caffe's MAX takes: the second of the first two if equal, a later one only if greater."""
    winner = np.where(arrays[0] > arrays[1], 0, 1)
    best = np.maximum(arrays[0], arrays[1])
    for i, array in enumerate(arrays[2:], start=2):
        winner = np.where(array > best, i, winner)
        best = np.maximum(array, best)
    return winner


def eltwise(inputs: Sequence[ArrayLike], operation: str = "SUM", coeff: Sequence[float] | None = None) -> Array:
    """Caffe's Eltwise of two or more arrays of one shape: SUM (with coefficients), PROD or MAX.

    >>> eltwise([[1, 2], [3, 5]], coeff=[0.5, -2])
    array([-5.5, -9. ])
    """
    coeff = _coefficients(inputs, operation, coeff)
    arrays = np.stack([float64(a) for a in inputs])
    if operation == "SUM":
        return np.tensordot(float64(coeff), arrays, axes=1)
    return arrays.prod(axis=0) if operation == "PROD" else arrays.max(axis=0)


def eltwise_grad(
    inputs: Sequence[ArrayLike], g: ArrayLike, operation: str = "SUM", coeff: Sequence[float] | None = None
) -> list[Array]:
    """Gradient of `eltwise` for each input; a tie of MAX goes to the second of the first two inputs.

    >>> eltwise_grad([[1, 2], [1, 0]], [10, 20], "MAX")
    [array([ 0., 20.]), array([10.,  0.])]
    """
    coeff = _coefficients(inputs, operation, coeff)
    arrays, g = [float64(a) for a in inputs], float64(g)
    if operation == "SUM":
        return [c * g for c in coeff]
    if operation == "MAX":
        return [g * (_winner(arrays) == i) for i in range(len(arrays))]
    return [g * np.prod([a for j, a in enumerate(arrays) if j != i], axis=0) for i in range(len(arrays))]


def inner_product(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, axis: int = 1) -> Array:
    """Caffe's InnerProduct: ``x`` flattened from ``axis`` on, times ``w.T`` (in, out), plus ``b`` (out,).

    >>> inner_product([[[1, 2], [3, 4]]], [[1, 10, 100, 1000]], b=[0.5])
    array([[4321.5]])
    """
    x, w = float64(x), float64(w)
    y = x.reshape(*x.shape[:axis], -1) @ w.T
    return y if b is None else y + float64(b)


def inner_product_grad(x: ArrayLike, g: ArrayLike, w: ArrayLike, axis: int = 1) -> tuple[Array, Array, Array]:
    """Gradients of `inner_product` with respect to ``x``, ``w`` and ``b``."""
    x, g, w = float64(x), float64(g), float64(w)
    rows = g.reshape(-1, w.shape[0])
    return (g @ w).reshape(x.shape), rows.T @ x.reshape(-1, w.shape[1]), rows.sum(axis=0)
