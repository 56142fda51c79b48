"""Activations and losses by number, in TensorFlow's formulas; any shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.tf._layout import Layout, tensor

at = aesara.tensor

__all__ = [
    "bias_add",
    "elu",
    "l2_loss",
    "leaky_relu",
    "relu",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "tanh",
]

# Klambauer et al., arXiv 1706.02515
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def relu(features: Any, name: str | None = None) -> Any:
    """``max(x, 0)``; the gradient at 0 is 0."""
    return engine.relu(tensor(features))


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
    """``x`` above zero, ``alpha x`` below."""
    return engine.relu(tensor(features), alpha)


def _elu(x: Any, scale: float, alpha: float) -> Any:
    numbers = [np.asarray(n, x.dtype) for n in (scale, scale * alpha)]
    # the minimum: beyond it expm1 is not wanted, and its infinite gradient would be NaN
    return at.switch(x >= 0, numbers[0] * x, numbers[1] * at.expm1(at.minimum(x, 0)))


def elu(features: Any, name: str | None = None) -> Any:
    """``x`` above zero, ``exp(x) - 1`` below.

    >>> from deconv_legacy import tf
    >>> tf.elu([-1.0, 1.0]).eval()
    array([-0.63212055,  1.        ], dtype=float32)
    """
    return _elu(tensor(features), 1.0, 1.0)


def selu(features: Any, name: str | None = None) -> Any:
    """``1.0507 x`` above zero, ``1.0507 * 1.67326 (exp(x) - 1)`` below (arXiv 1706.02515).

    >>> from deconv_legacy import tf
    >>> tf.selu([-1.0, 1.0]).eval()
    array([-1.1113307,  1.050701 ], dtype=float32)
    """
    return _elu(tensor(features), SELU_SCALE, SELU_ALPHA)


def sigmoid(x: Any, name: str | None = None) -> Any:
    """``1 / (1 + exp(-x))``."""
    return at.sigmoid(tensor(x))


def tanh(x: Any, name: str | None = None) -> Any:
    """``tanh(x)``."""
    return at.tanh(tensor(x))


def softmax(logits: Any, axis: int = -1, name: str | None = None) -> Any:
    """``exp(x) / sum exp(x)`` over `axis`."""
    return engine.softmax(tensor(logits), axis)


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
    """``value + bias`` with one number for each channel: the last axis, or axis 1 for ``"NCHW"``.

    As in TensorFlow these two names do for every number of axes.
    """
    x, b = tensor(value), tensor(bias)
    known_format = data_format in (None, "NHWC", "NCHW")
    first = data_format == "NCHW" if known_format else Layout.of(data_format, x.ndim - 2).channels_first
    axis = 1 if first else x.ndim - 1
    known = (x.type.shape[axis], b.type.shape[0] if b.ndim == 1 else None)
    if b.ndim != 1 or (None not in known and known[0] != known[1]):
        raise SizeError(f"a bias of shape {b.type.shape} for {known[0]} channels", axis=axis, where=name or "bias_add")
    return x + b.dimshuffle(*["x"] * axis, 0, *["x"] * (x.ndim - axis - 1))


def need_same(where: str, labels: Any, logits: Any, name: str = "logits") -> None:
    """Refuse labels of another shape, which would be broadcast."""
    a, b = labels.type.shape, logits.type.shape
    if len(a) != len(b) or any(None not in (n, m) and n != m for n, m in zip(a, b, strict=True)):
        raise SizeError(f"{name} and labels must have the same shape ({b} vs {a})", where=where)


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """``max(x, 0) - x z + log(1 + exp(-|x|))`` for logits x and labels z in 0 .. 1; of their shape, not summed.

    >>> from deconv_legacy import tf
    >>> tf.sigmoid_cross_entropy_with_logits(labels=[1.0, 0.0], logits=[0.0, 100.0]).eval()
    array([  0.6931472, 100.       ], dtype=float32)
    """
    z, x = tensor(labels), tensor(logits)
    need_same(name or "sigmoid_cross_entropy_with_logits", z, x)
    # switches on one condition, as TensorFlow has them: the gradient is sigmoid(x) - z at 0 too
    positive, size = at.switch(x >= 0, x, 0), at.switch(x >= 0, -x, x)
    return positive - x * z + at.log1p(at.exp(size))


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1, name: str | None = None) -> Any:
    """``-sum of labels log(softmax(logits))`` over `axis`.

    Its gradient for the logits is ``softmax(logits) - labels``, as TensorFlow has it, also where the labels do not sum
    to 1: a pixel whose labels are all 0 (``one_hot`` of 255) has no loss, but pulls at the logits.
    """
    z, x = tensor(labels), tensor(logits)
    need_same(name or "softmax_cross_entropy_with_logits", z, x)
    constant = aesara.gradient.disconnected_grad
    log_sum, missing = _log_sum(x, axis), constant(1 - z.sum(axis=axis))
    # what is added is 0, and so is its gradient where the labels sum to 1
    return -(z * _log_softmax(x, axis)).sum(axis=axis) + missing * (log_sum - constant(log_sum))


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """``-log(softmax(logits))`` of the label, an integer for each position; classes are the last axis.

    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> tf.nn.sparse_softmax_cross_entropy_with_logits([1], np.log([[1.0, 3.0]])).eval().round(6)
    array([0.287682])
    """
    x = tensor(logits)
    z = at.as_tensor_variable(labels)
    if z.ndim != x.ndim - 1 or not z.dtype.startswith(("int", "uint")):
        raise SizeError(
            f"labels are a {z.type}; integers with {x.ndim - 1} axes are needed",
            where=name or "sparse_softmax_cross_entropy_with_logits",
        )
    chosen = at.eq(z.dimshuffle(*range(z.ndim), "x"), at.arange(x.shape[-1]))
    return -at.switch(chosen, _log_softmax(x, -1), 0).sum(axis=-1)


def _log_softmax(x: Any, axis: int) -> Any:
    shifted = _shifted(x, axis)
    return shifted - at.log(at.exp(shifted).sum(axis=axis, keepdims=True))


def _log_sum(x: Any, axis: int) -> Any:
    """``log(sum(exp(x)))``, but for a constant."""
    return at.log(at.exp(_shifted(x, axis)).sum(axis=axis))


def _shifted(x: Any, axis: int) -> Any:
    """With the largest at 0."""
    return x - aesara.gradient.disconnected_grad(x.max(axis=axis, keepdims=True))


def l2_loss(t: Any, name: str | None = None) -> Any:
    """``sum(t^2) / 2``, a scalar."""
    return at.square(tensor(t)).sum() / 2
