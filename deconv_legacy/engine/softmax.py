"""Softmax, Caffe's softmax loss and its sigmoid cross entropy loss.

Softmax and the sigmoid loss are expressions. The softmax loss is an Op of its own: in Aesara's
expressions it would hold the probabilities of all classes several times over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, common_dtype
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply

__all__ = [
    "NORMALIZATIONS",
    "SoftmaxLoss",
    "SoftmaxLossGradient",
    "sigmoid_cross_entropy_loss",
    "softmax",
    "softmax_loss",
]

NORMALIZATIONS = {
    "valid": "the positions whose label is not ignored",
    "full": "all positions",
    "batch_size": "the product of the axes before `axis`",
    "none": "1",
}
"""What a loss is divided by (at least 1), by Caffe's names."""

FLT_MIN = float(np.finfo(np.float32).tiny)


def check_labels(scores: tuple[int, ...], labels: tuple[int, ...], axis: int) -> None:
    """Raise unless labels of one shape are one for each position of scores of the other. Called from C as well."""
    wanted = (*scores[:axis], *scores[axis + 1 :])
    if [n for n in labels if n != 1] != [n for n in wanted if n != 1]:
        with_one = (*scores[:axis], 1, *scores[axis + 1 :])
        raise SizeError(
            f"labels of shape {labels} for scores of shape {scores} with the classes on axis {axis}: legal are "
            f"{wanted} and {with_one}",
            where="softmax_loss",
        )
    if scores[axis] == 0:
        raise SizeError(f"scores of shape {scores} have no class on axis {axis}", axis=axis, where="softmax_loss")


def refuse_label(labels: np.ndarray, index: int, classes: int) -> None:
    """Say which label is no class. Called from C as well."""
    position = tuple(int(i) for i in np.unravel_index(index, labels.shape))
    raise SizeError(
        f"label {labels[position]} at {position} is none of the {classes} classes 0 .. {classes - 1}; "
        "give `ignore_label` if it marks positions that do not count",
        where="softmax_loss",
    )


class _SoftmaxLossOp(EngineOp):
    __props__ = ("axis", "ignore_label", "normalization", "caffe_cpu_sum")
    c_files = ("ask.h", "softmax.h")

    def __init__(
        self, axis: int = 1, ignore_label: int | None = None, normalization: str = "valid", caffe_cpu_sum: bool = False
    ):
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization is one of {', '.join(NORMALIZATIONS)}; not {normalization!r}")
        self.axis = axis
        self.ignore_label = None if ignore_label is None else int(ignore_label)
        self.normalization = normalization
        self.caffe_cpu_sum = bool(caffe_cpu_sum)

    def numbers(self) -> list[int]:
        normalization = list(NORMALIZATIONS).index(self.normalization)
        label = self.ignore_label
        return [self.axis, label is not None, 0 if label is None else label, normalization, self.caffe_cpu_sum]

    def _tensors(self, scores, labels):
        scores, labels = at.as_tensor_variable(scores), at.as_tensor_variable(labels)
        dtype = common_dtype(str(self), scores)
        if not 0 <= self.axis < scores.ndim:
            raise SizeError(f"axis {self.axis} of scores of {scores.ndim} axes", where=str(self))
        shapes = scores.type.shape, labels.type.shape
        if all(n is not None for shape in shapes for n in shape):
            check_labels(*shapes, self.axis)
        return dtype, scores, labels

    def _classes(self, scores, labels):
        """Labels in the shape of the scores with 1 class (0 where they do not count), where they count, the divisor."""
        check_labels(scores.shape, labels.shape, self.axis)
        with np.errstate(invalid="ignore"):
            classes = labels.astype(np.int64).reshape(*scores.shape[: self.axis], 1, *scores.shape[self.axis + 1 :])
        counted = np.full(classes.shape, True) if self.ignore_label is None else classes != self.ignore_label
        wrong = counted & ((classes < 0) | (classes >= scores.shape[self.axis]))
        if wrong.any():
            refuse_label(labels, int(wrong.argmax()), scores.shape[self.axis])
        batch = int(np.prod(scores.shape[: self.axis]))
        divisors = {"valid": counted.sum(), "full": counted.size, "batch_size": batch, "none": 1}
        return np.where(counted, classes, 0), counted, max(1.0, float(divisors[self.normalization]))


class SoftmaxLoss(_SoftmaxLossOp):
    """Scores and labels to the loss, a scalar: see `softmax_loss`."""

    c_function = "softmax_loss"

    def make_node(self, scores, labels):
        dtype, scores, labels = self._tensors(scores, labels)
        return Apply(self, [scores, labels], [at.TensorType(dtype, shape=())()])

    def perform(self, node, inputs, output_storage, params=None):
        scores, labels = inputs
        classes, counted, divisor = self._classes(scores, labels)
        x = scores.astype(np.float32) if self.caffe_cpu_sum else scores
        x = x - x.max(axis=self.axis, keepdims=True)
        of_label = np.take_along_axis(x, classes, self.axis)
        with np.errstate(divide="ignore"):
            if self.caffe_cpu_sum:
                # Caffe's steps, all of them float32, one position after the other
                p = np.exp(of_label) / np.exp(x).sum(axis=self.axis, keepdims=True)
                terms = np.where(counted, -np.log(np.maximum(p, np.float32(FLT_MIN))), np.float32(0))
                total = np.add.accumulate(terms.ravel(), dtype=np.float32)[-1:].sum() / np.float32(divisor)
            else:
                sums = np.exp(x).sum(axis=self.axis, keepdims=True, dtype=np.float64)
                terms = np.minimum(np.log(sums) - of_label, -np.log(FLT_MIN))
                total = terms[counted].sum() / divisor
        output_storage[0][0] = np.asarray(total, scores.dtype)

    def infer_shape(self, fgraph, node, shapes):
        return [()]

    def connection_pattern(self, node):
        return [[True], [False]]

    def _gradient(self, scores, labels, g):
        return SoftmaxLossGradient(**{name: getattr(self, name) for name in self.__props__})(scores, labels, g)

    def L_op(self, inputs, outputs, gradients):
        scores, labels = inputs
        return [self._gradient(scores, labels, gradients[0]), aesara.gradient.DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        (scores, labels), v = inputs, eval_points[0]
        return [None if v is None else at.sum(self._gradient(scores, labels, 1.0) * v)]


class SoftmaxLossGradient(_SoftmaxLossOp):
    """Scores, labels and the gradient of the loss to the gradient of the scores."""

    c_function = "softmax_loss_gradient"

    def make_node(self, scores, labels, g):
        dtype, scores, labels = self._tensors(scores, labels)
        g = at.cast(at.as_tensor_variable(g), dtype)
        if g.ndim:
            raise SizeError(f"the gradient of a loss has no axes, this one has {g.ndim}", where=str(self))
        return Apply(self, [scores, labels, g], [scores.type()])

    def perform(self, node, inputs, output_storage, params=None):
        scores, labels, g = inputs
        classes, counted, divisor = self._classes(scores, labels)
        result = np.exp(scores - scores.max(axis=self.axis, keepdims=True))
        result /= result.sum(axis=self.axis, keepdims=True)
        of_label = np.take_along_axis(result, classes, self.axis)
        np.put_along_axis(result, classes, of_label - 1, self.axis)
        result *= g / divisor
        output_storage[0][0] = np.where(counted, result, 0).astype(scores.dtype)

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]

    def connection_pattern(self, node):
        return [[True], [False], [True]]

    def _along(self, scores, labels, v):
        """The derivative, for g = 1, where the scores move along `v`; as a matrix of scores it is symmetric."""
        p = softmax(scores, self.axis)
        shape = [1 if axis == self.axis else scores.shape[axis] for axis in range(scores.ndim)]
        counted = at.ones(shape, scores.dtype)
        if self.ignore_label is not None:
            counted = at.cast(at.neq(at.trunc(labels), self.ignore_label).reshape(shape), scores.dtype)
        sizes = {"valid": counted.sum(), "full": counted.size, "batch_size": at.prod(scores.shape[: self.axis])}
        divisor = at.cast(at.maximum(sizes.get(self.normalization, 1), 1), scores.dtype)
        return counted / divisor * p * (v - (p * v).sum(axis=self.axis, keepdims=True))

    def L_op(self, inputs, outputs, gradients):
        scores, labels, g = inputs
        (v,) = gradients
        of_scores = g * self._along(scores, labels, v)
        return [of_scores, aesara.gradient.DisconnectedType()(), at.sum(self(scores, labels, 1.0) * v)]

    def R_op(self, inputs, eval_points):
        scores, labels, g = inputs
        terms = []
        if eval_points[0] is not None:
            terms.append(g * self._along(scores, labels, eval_points[0]))
        if eval_points[2] is not None:
            terms.append(self(scores, labels, eval_points[2]))
        return [sum(terms[1:], terms[0]) if terms else None]


def _axis(axis: int, ndim: int, where: str) -> int:
    if not -ndim <= axis < ndim:
        raise SizeError(f"axis {axis} of scores of {ndim} axes", where=where)
    return axis % ndim


def softmax(x: Any, axis: int = 1) -> Any:
    """``exp(x) / sum of exp(x) over axis``, for scores of any rank.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.log([[1.0, 3.0]])).eval()
    array([[0.25, 0.75]])
    """
    x = at.as_tensor_variable(x)
    axis = _axis(axis, x.ndim, "softmax")
    # Aesara's Softmax fails on an empty batch, and a quotient would be rewritten to it. The maximum, which only guards
    # against overflow, cancels out of value and gradient.
    shifted = x - aesara.gradient.disconnected_grad(x.max(axis=axis, keepdims=True))
    return at.exp(shifted - at.log(at.exp(shifted).sum(axis=axis, keepdims=True)))


def softmax_loss(
    scores: Any,
    labels: Any,
    axis: int = 1,
    ignore_label: int | None = None,
    normalization: str = "valid",
    caffe_cpu_sum: bool = False,
) -> Any:
    """Caffe's SoftmaxWithLoss: the sum of ``-log(max(p of the label, FLT_MIN))`` over a divisor, a scalar.

    Parameters
    ----------
    scores
        ``(N, classes, *spatial)``, or classes on another `axis`.
    labels
        One for each position, ``(N, 1, *spatial)`` or ``(N, *spatial)``; floats are truncated, as in Caffe.
    ignore_label
        Positions with this label count nothing and have gradient 0.
    normalization
        The divisor, a name of `NORMALIZATIONS`. Caffe's older ``normalize: false`` is ``"batch_size"``.
    caffe_cpu_sum
        False adds in float64. True adds one position after the other in float32, as Caffe does on a CPU: for logs
        that equal Caffe's (500x500 zero scores of 21 classes: 761513.5, exact 761130.6). The gradient is the same.

    Raises
    ------
    SizeError
        For labels of a wrong shape, and for a label that is no class, which Caffe does not notice.

    Examples
    --------
    >>> import numpy as np
    >>> print(softmax_loss(np.log([[1.0, 3.0], [1.0, 1.0]]), np.array([1, 255]), ignore_label=255).eval().round(6))
    0.287682
    """
    scores = at.as_tensor_variable(scores)
    op = SoftmaxLoss(_axis(axis, scores.ndim, "softmax_loss"), ignore_label, normalization, caffe_cpu_sum)
    return op(scores, labels)


def sigmoid_cross_entropy_loss(
    scores: Any, targets: Any, ignore_label: int | None = None, normalization: str = "batch_size"
) -> Any:
    """Caffe's SigmoidCrossEntropyLoss: the sum of ``log(1 + exp(x)) - x t`` over a divisor, a scalar.

    `targets` have the shape of `scores` and lie in 0 .. 1; where one truncates to `ignore_label` it does not
    count. `normalization` is as in `softmax_loss`, with the batch on axis 0.

    Examples
    --------
    >>> import numpy as np
    >>> print(sigmoid_cross_entropy_loss(np.zeros((1, 2)), np.array([[0.0, 1.0]])).eval().round(6))
    1.386294
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization is one of {', '.join(NORMALIZATIONS)}; not {normalization!r}")
    x = at.as_tensor_variable(scores)
    dtype = common_dtype("sigmoid_cross_entropy_loss", x)
    t = at.cast(at.as_tensor_variable(targets), dtype)
    if t.ndim != x.ndim:
        raise SizeError(f"targets of {t.ndim} axes for scores of {x.ndim}", where="sigmoid_cross_entropy_loss")
    # exact for targets of 0 and 1, however large the scores; the logarithm cancels nothing
    terms = t * at.softplus(-x) + (1 - t) * at.softplus(x)
    counted = at.ones_like(t, dtype="bool") if ignore_label is None else at.neq(at.trunc(t), int(ignore_label))
    if normalization == "none":
        divisor: Any = 1
    elif normalization == "valid" and ignore_label is not None:
        divisor = counted.sum()
    else:
        divisor = x.shape[0] if normalization == "batch_size" else x.size
    total = at.sum(at.switch(counted, terms, 0) if ignore_label is not None else terms)
    return total / at.cast(at.maximum(divisor, 1), dtype)
