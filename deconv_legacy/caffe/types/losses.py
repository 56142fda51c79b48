"""Losses and scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.caffe.caffemodel import read_mean
from deconv_legacy.caffe.registry import layer_type
from deconv_legacy.caffe.types._common import axis_of, ignored, need, normalization
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import ExpressionLayer, Layer, SoftmaxLossLayer
from deconv_legacy.layers.expression import sizes_of

__all__: list[str] = []


at = aesara.tensor

_FLOOR = float(np.log(1e-20))  # Caffe's kLOG_THRESHOLD


@layer_type("SoftmaxWithLoss")
def _softmax_with_loss(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    return SoftmaxLossLayer(
        bottoms[0],
        bottoms[1],
        spec.name,
        axis=spec.softmax_param.axis,
        ignore_label=ignored(spec.loss_param),
        normalization=normalization(spec, "valid"),
        caffe_cpu_sum=build.caffe_cpu_sum,
        with_softmax=len(spec.top) > 1,
    )


@layer_type("SigmoidCrossEntropyLoss")
def _sigmoid_cross_entropy(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    rule = ignored(spec.loss_param), normalization(spec, "batch_size")

    def loss(scores: Any, targets: Any) -> Any:
        same_count(spec, scores, targets)
        return engine.sigmoid_cross_entropy_loss(scores, targets.reshape(scores.shape, ndim=scores.ndim), *rule)

    return ExpressionLayer(bottoms, loss, spec.name)


@layer_type("EuclideanLoss")
def _euclidean(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)

    def loss(a: Any, b: Any) -> Any:
        same_count(spec, a, b)
        difference = a - b.reshape(a.shape, ndim=a.ndim)
        return at.sum(at.square(difference)) / at.cast(2 * a.shape[0], a.dtype)

    return ExpressionLayer(bottoms, loss, spec.name)


@layer_type("HingeLoss")
def _hinge(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)

    def loss(scores: Any, labels: Any) -> Any:
        sizes = sizes_of(scores)
        x = scores.reshape((sizes[0], math.prod(sizes[1:])))
        one_each(spec, x, labels, 1)
        truth = classes(spec, labels.ravel(), x.shape[1])
        margin = 1 + at.switch(at.eq(at.arange(x.shape[1])[None], truth[:, None]), -x, x)
        margin = at.switch(margin > 0, margin, 0)
        total = at.sum(at.square(margin)) if spec.hinge_loss_param.norm == 2 else at.sum(margin)
        return total / at.cast(scores.shape[0], x.dtype)

    return ExpressionLayer(bottoms, loss, spec.name)


@layer_type("InfogainLoss")
def _infogain(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2, 3)
    axis = axis_of(spec, bottoms[0], spec.infogain_loss_param.axis)
    if spec.loss_param.HasField("normalize"):
        raise MismatchError(f'layer {spec.name!r}: normalize is deprecated. use "normalization"')
    stored = None
    if len(bottoms) < 3:
        source = spec.infogain_loss_param.source
        if not source:
            raise MismatchError(f"layer {spec.name!r}: Infogain matrix source must be specified.")
        stored = at.constant(np.array(read_mean(source)))  # the file's is not aligned
    rule, unseen = normalization(spec, "valid"), ignored(spec.loss_param)

    def loss(scores: Any, labels: Any, infogain: Any = stored) -> list[Any]:
        count = sizes_of(scores)[axis]
        one_each(spec, scores, labels, axis)
        matrix = math.prod(sizes_of(infogain))
        if isinstance(matrix, int) and isinstance(count, int) and matrix != count * count:
            raise SizeError(
                f"an infogain matrix of {matrix} numbers; {count} classes need {count * count}",
                where=f"{spec.name} ({spec.type})",
            )
        x = at.moveaxis(scores, axis, -1).reshape((-1, count))
        shifted = x - x.max(axis=1, keepdims=True)
        log_p = shifted - at.log(at.sum(at.exp(shifted), axis=1, keepdims=True))
        truth = labels.ravel()
        counted = at.ones_like(truth, dtype="bool") if unseen is None else at.neq(at.trunc(truth), unseen)
        rows = infogain.reshape((count, count))[classes(spec, at.switch(counted, truth, 0), count)]
        # Caffe bounds the logarithm, and differentiates as if it did not
        bounded = log_p + aesara.gradient.disconnected_grad(at.maximum(log_p, np.float32(_FLOOR)) - log_p)
        total = -at.sum(at.switch(counted, at.sum(rows * bounded, axis=1), 0))
        divisor = {
            "valid": counted.sum(),
            "full": truth.size,
            "batch_size": math.prod(sizes_of(scores)[:axis]),
            "none": 1,
        }[rule]
        prob = engine.softmax(scores, axis)
        return [total / at.cast(at.maximum(divisor, 1), x.dtype), prob][: max(len(spec.top), 1)]

    return ExpressionLayer(bottoms, loss, spec.name)


@layer_type("Accuracy")
def _accuracy(spec: Any, bottoms: Sequence[Layer], build: Any) -> Layer:
    need(spec, bottoms, 2)
    param = spec.accuracy_param
    axis, unseen = axis_of(spec, bottoms[0], param.axis), ignored(param)
    known = bottoms[0].output_shape[axis]
    if known is not None and param.top_k > known:
        raise SizeError(
            f"top_k {param.top_k} must be less than or equal to the number of classes, {known}",
            where=f"{spec.name} ({spec.type})",
        )

    def accuracy(scores: Any, labels: Any) -> list[Any]:
        count = scores.shape[axis]
        one_each(spec, scores, labels, axis)
        x = at.moveaxis(scores, axis, -1).reshape((-1, count))
        truth = labels.ravel()
        counted = at.ones_like(truth, dtype="bool") if unseen is None else at.neq(at.trunc(truth), unseen)
        truth = classes(spec, at.switch(counted, truth, 0), count)
        is_true = at.eq(at.arange(count)[None], truth[:, None]) & counted[:, None]
        of_truth = at.sum(at.switch(is_true, x, 0), axis=1, keepdims=True)
        # a tie counts as better, as in Caffe
        better = at.sum(x >= of_truth, axis=1) - 1
        hit = at.switch(counted, better < param.top_k, 0)
        each = share(at.sum(is_true * hit[:, None], axis=0), at.maximum(at.sum(is_true, axis=0), 1), x.dtype)
        total = share(hit.sum(), at.maximum(counted.sum(), 1), x.dtype)
        return [total, each][: len(spec.top)]

    return ExpressionLayer(bottoms, accuracy, spec.name)


def share(part: Any, whole: Any, dtype: str) -> Any:
    """A quotient of counts, which has no gradient (Aesara would fail to find one for integers)."""
    return aesara.gradient.disconnected_grad(at.cast(part / whole, dtype))


def same_count(spec: Any, a: Any, b: Any) -> None:
    """Refuse blobs of different counts, where these are known; a reshape refuses the others when it runs."""
    if None not in (*a.type.shape, *b.type.shape) and math.prod(a.type.shape) != math.prod(b.type.shape):
        raise SizeError(
            f"inputs must have the same count: shapes {a.type.shape} and {b.type.shape}",
            where=f"{spec.name} ({spec.type})",
        )


def one_each(spec: Any, scores: Any, labels: Any, axis: int) -> None:
    """Refuse another number of labels than of predictions, where both are known."""
    sizes = [n for i, n in enumerate(scores.type.shape) if i != axis]
    if None not in (*sizes, *labels.type.shape) and math.prod(sizes) != math.prod(labels.type.shape):
        raise SizeError(
            f"number of labels must match number of predictions: labels {labels.type.shape} for predictions "
            f"{scores.type.shape} along axis {axis}",
            where=f"{spec.name} ({spec.type})",
        )


def classes(spec: Any, labels: Any, count: Any) -> Any:
    """Labels as integers, cut as Caffe casts them; one that is no class is an error when the net runs."""
    indices = at.cast(at.trunc(labels), "int64")
    check = aesara.raise_op.CheckAndRaise(SizeError, f"{spec.name} ({spec.type}): a label is none of the classes")
    return check(indices, at.all(indices >= 0), at.all(indices < count))
