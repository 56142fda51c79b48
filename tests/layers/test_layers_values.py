"""Every layer's value and gradients, compiled and in NumPy, against the reference and against slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from agreement import assert_close
from layer_helpers import BACKENDS, inputs_for, value_and_gradients

from deconv_legacy import engine, geometry
from deconv_legacy import reference as ref
from deconv_legacy.layers import (
    BatchNormLayer,
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    Deconvolution3DLayer,
    DeconvolutionLayer,
    DropoutLayer,
    EltwiseLayer,
    InputLayer,
    LRNLayer,
    PoolLayer,
    ReluLayer,
    ScaleLayer,
    SigmoidLayer,
    SoftmaxLayer,
    TanhLayer,
    UnpoolLayer,
    UpscoreLayer,
)


@dataclass
class Case:
    """Shapes of inputs and parameters; how to build the layer of them; what the reference makes of arrays and g:
    the value, then the gradients of inputs and parameters. g is None when only the value is wanted."""

    inputs: list[tuple[int, ...]]
    params: list[tuple[int, ...]]
    build: Any
    expected: Any


def filter_case(layer, x_shape, w_shape, size=None, **how):
    """A convolution, or a deconvolution to `size`, with a bias."""
    down = layer is ConvolutionLayer
    keywords = {"filter_flip": True, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, **how}
    ask = {} if size is None else {"output_size": size}
    axes = (keywords["stride"], keywords["dilation"])
    if not down and size is None:
        size = geometry.deconv_output_shape(x_shape[2:], w_shape[2:], axes[0], keywords["padding"], axes[1])
    pads = geometry.resolve_all_pads(keywords["padding"], x_shape[2:] if down else size, w_shape[2:], *axes)
    rule = dict(stride=axes[0], pads=pads, dilation=axes[1], groups=keywords["groups"], flip=keywords["filter_flip"])

    def expected(x, w, b, g):
        y = ref.conv(x, w, **rule) if down else ref.conv_input_grad(w, x, size, **rule)
        yield y + b.reshape(1, -1, *(1,) * (y.ndim - 2))
        if down:
            yield ref.conv_input_grad(w, g, x.shape[2:], **rule)
            yield ref.conv_weight_grad(x, g, w.shape[2:], **rule)
        else:
            yield ref.conv(g, w, **rule)
            yield ref.conv_weight_grad(g, x, w.shape[2:], **rule)
        yield g.sum(axis=(0, *range(2, g.ndim)))

    bias = w_shape[0] if down else w_shape[1] * keywords["groups"]
    return Case([x_shape], [w_shape, (bias,)], lambda x, w, b: layer(x, w_shape, W=w, b=b, **keywords, **ask), expected)


def elementwise(build, value, gradient, shape=(2, 3, 4, 5)):
    def expected(x, g):
        yield value(x)
        yield gradient(x, g)

    return Case([shape], [], build, expected)


def joined(build, value, gradients, *shapes):
    def expected(*arrays):
        yield value(arrays[:-1])
        yield from gradients(arrays[:-1], arrays[-1])

    return Case(list(shapes), [], lambda *inputs: build(inputs), expected)


def parts(arrays, g, axis):
    return np.split(g, np.cumsum([a.shape[axis] for a in arrays])[:-1], axis)


def scale(x, gamma, beta, g):
    yield ref.scale(x, gamma, beta, 1)
    yield from ref.scale_grad(x, g, gamma, 1)


def normalized(train, epsilon=1e-3):
    def expected(x, gamma, beta, g):
        mean, variance = ref.batch_moments(x) if train else (MEAN, VARIANCE)
        plain = ref.batch_norm(x, mean, variance, epsilon)
        yield ref.scale(plain, gamma, beta)
        of_plain, *of_params = ref.scale_grad(plain, g, gamma)
        yield ref.batch_norm_grad(x, of_plain, mean, variance, epsilon, train)
        yield from of_params

    def build(x, gamma, beta):
        return BatchNormLayer(x, epsilon, gamma=gamma, beta=beta, mean=MEAN, variance=VARIANCE, train=train)

    return Case([(4, 3, 5, 2)], [(3,), (3,)], build, expected)


MEAN, VARIANCE = np.array([0.5, -1.0, 2.0]), np.array([0.25, 3.0, 1.5])
WINDOW = dict(kernel=(3, 2), stride=(2, 3), padding=(1, 0))
WINDOWS = tuple(WINDOW.values())


def unpooled(x, g):
    """Pooled, then put back by the mask: the maxima where they were."""
    maxima, mask = ref.caffe_max_pool(x, 2, 2)
    yield ref.unpool(maxima, mask, x.shape[2:])
    yield ref.max_pool_grad(mask, ref.unpool_grad(mask, g), x.shape[2:])


def pool_and_unpool(x):
    pool = PoolLayer(x, 2, rounding="caffe", with_mask=True)
    return UnpoolLayer(pool, pool=pool)


def upscored(kind):
    def expected(x, w, g):
        how = dict(stride=3, groups=3 if kind == "grouped" else 1)
        size = [3 * (n - 1) + 6 for n in x.shape[2:]]
        yield ref.conv_input_grad(w, x, size, **how)
        yield ref.conv(g, w, **how)
        yield ref.conv_weight_grad(g, x, w.shape[2:], **how)

    def build(x, w):
        return UpscoreLayer(x, 3, W=w, grouped=kind == "grouped", frozen=False)

    return Case([(2, 3, 2, 4)], [(3, 1 if kind == "grouped" else 3, 6, 6)], build, expected)


CASES = {
    "conv": filter_case(
        ConvolutionLayer, (2, 6, 7, 9), (4, 3, 3, 2), stride=(2, 3), padding=((1, 0), (2, 1)), dilation=(1, 2), groups=2
    ),
    "conv, correlated": filter_case(ConvolutionLayer, (2, 3, 6, 7), (4, 3, 2, 3), padding="half", filter_flip=False),
    "conv 1-D": filter_case(ConvolutionLayer, (2, 3, 8), (2, 3, 3), stride=2, padding="same"),
    "conv 3-D": filter_case(ConvolutionLayer, (2, 2, 4, 5, 6), (3, 2, 2, 3, 1), stride=(1, 2, 3), padding="full"),
    "deconv": filter_case(DeconvolutionLayer, (2, 3, 4, 5), (3, 2, 3, 4), stride=(2, 3)),
    "deconv to a size": filter_case(
        DeconvolutionLayer,
        (2, 6, 3, 2),
        (6, 2, 3, 2),
        (9, 7),
        stride=(2, 3),
        padding=((1, 0), (0, 1)),
        dilation=(2, 3),
        groups=3,
        filter_flip=False,
    ),
    "deconv same": filter_case(DeconvolutionLayer, (2, 3, 4, 3), (3, 4, 3, 5), (8, 7), stride=(2, 3), padding="same"),
    "deconv 1-D": filter_case(DeconvolutionLayer, (3, 2, 4), (2, 3, 5), stride=3),
    "deconv 3-D": filter_case(Deconvolution3DLayer, (2, 3, 2, 1, 3), (3, 2, 2, 3, 1), (5, 4, 3), stride=(3, 2, 1)),
    "upscore": upscored("diagonal"),
    "upscore, grouped": upscored("grouped"),
    "relu": elementwise(ReluLayer, ref.relu, ref.relu_grad),
    "relu with a slope": elementwise(
        lambda x: ReluLayer(x, 0.25), lambda x: ref.relu(x, 0.25), lambda x, g: ref.relu_grad(x, g, 0.25)
    ),
    "sigmoid": elementwise(SigmoidLayer, ref.sigmoid, ref.sigmoid_grad),
    "tanh": elementwise(TanhLayer, ref.tanh, ref.tanh_grad),
    "dropout, not in training": elementwise(lambda x: DropoutLayer(x, 0.7), lambda x: x, lambda x, g: g),
    "softmax": elementwise(SoftmaxLayer, ref.softmax, ref.softmax_grad),
    "softmax of rows": elementwise(
        lambda x: SoftmaxLayer(x, -2), lambda x: ref.softmax(x, 2), lambda x, g: ref.softmax_grad(x, g, 2)
    ),
    "lrn across": elementwise(
        lambda x: LRNLayer(x, 3, 0.5, 0.75, 2.0),
        lambda x: ref.lrn_across(x, 3, 0.5, 0.75, 2.0),
        lambda x, g: ref.lrn_across_grad(x, g, 3, 0.5, 0.75, 2.0),
    ),
    "lrn within": elementwise(
        lambda x: LRNLayer(x, 3, 0.5, 0.75, region="within_channel"),
        lambda x: ref.lrn_within(x, 3, 0.5, 0.75),
        lambda x, g: ref.lrn_within_grad(x, g, 3, 0.5, 0.75),
    ),
    "max pool": elementwise(
        lambda x: PoolLayer(x, **WINDOW, rounding="caffe"),
        lambda x: ref.caffe_max_pool(x, *WINDOWS)[0],
        lambda x, g: ref.max_pool_grad(ref.caffe_max_pool(x, *WINDOWS)[1], g, x.shape[2:]),
        (2, 3, 6, 7),
    ),
    "max pool, theano": elementwise(
        lambda x: PoolLayer(x, (2, 3), rounding="theano", ties="all"),
        lambda x: ref.theano_pool(x, (2, 3), False),
        lambda x, g: ref.theano_pool_grad(x, g, (2, 3), False),
        (2, 3, 7, 4),
    ),
    "average pool, caffe": elementwise(
        lambda x: PoolLayer(x, **WINDOW, mode="average", rounding="caffe"),
        lambda x: ref.caffe_ave_pool(x, *WINDOWS),
        lambda x, g: ref.caffe_ave_pool_grad(g, x.shape[2:], *WINDOWS),
        (2, 3, 6, 7),
    ),
    "average pool, tensorflow": elementwise(
        lambda x: PoolLayer(x, (3, 2), (2, 3), "same", "average_exc_pad"),
        lambda x: ref.tf_avg_pool(x, (3, 2), (2, 3), "SAME"),
        lambda x, g: ref.tf_avg_pool_grad(g, x.shape[2:], (3, 2), (2, 3), "SAME"),
        (2, 3, 6, 8),
    ),
    "sum pool": elementwise(
        lambda x: PoolLayer(x, (3, 2), mode="sum"),
        lambda x: ref.theano_pool(x, (3, 2), True, mode="sum"),
        lambda x, g: ref.theano_pool_grad(x, g, (3, 2), True, mode="sum"),
        (2, 3, 6, 7),
    ),
    "unpool by mask": Case([(2, 3, 5, 7)], [], pool_and_unpool, unpooled),
    "unpool by repetition": elementwise(
        lambda x: UnpoolLayer(x, (2, 3)),
        lambda x: ref.repeat(x, (2, 3)),
        lambda x, g: g.reshape(2, 3, 4, 2, 5, 3).sum(axis=(3, 5)),
    ),
    "crop": elementwise(
        lambda x: CropLayer(x, InputLayer((2, 3, 3, 2)), (1, 2)),
        lambda x: ref.crop(x, (2, 3, 3, 2), (1, 2)),
        lambda x, g: ref.crop_grad(g, x.shape, (1, 2)),
        (2, 3, 5, 6),
    ),
    "eltwise sum": joined(EltwiseLayer, ref.eltwise, ref.eltwise_grad, *[(2, 3, 4, 5)] * 2),
    "eltwise sum with coefficients": joined(
        lambda x: EltwiseLayer(x, coeff=(0.5, -2, 1)),
        lambda x: ref.eltwise(x, coeff=(0.5, -2, 1)),
        lambda x, g: ref.eltwise_grad(x, g, coeff=(0.5, -2, 1)),
        *[(2, 3, 4, 5)] * 3,
    ),
    "eltwise product": joined(
        lambda x: EltwiseLayer(x, "prod"),
        lambda x: ref.eltwise(x, "PROD"),
        lambda x, g: ref.eltwise_grad(x, g, "PROD"),
        *[(2, 3, 4)] * 3,
    ),
    "eltwise maximum": joined(
        lambda x: EltwiseLayer(x, "max"),
        lambda x: ref.eltwise(x, "MAX"),
        lambda x, g: ref.eltwise_grad(x, g, "MAX"),
        *[(2, 3, 4)] * 3,
    ),
    "concat": joined(ConcatLayer, lambda x: np.concatenate(x, 1), lambda x, g: parts(x, g, 1), (2, 3, 4), (2, 1, 4)),
    "concat of rows": joined(
        lambda x: ConcatLayer(x, -2),
        lambda x: np.concatenate(x, 2),
        lambda x, g: parts(x, g, 2),
        (2, 3, 4, 2),
        (2, 3, 1, 2),
        (2, 3, 3, 2),
    ),
    "scale": Case([(2, 3, 4, 5)], [(3,), (3,)], lambda x, w, b: ScaleLayer(x, scale=w, bias=b), scale),
    "batch norm in training": normalized(True),
    "batch norm": normalized(False),
}


def arrays_of(case, dtype="float64"):
    """Inputs and parameters away from kinks, and a weight for the output."""
    rng = np.random.default_rng(5)
    values = [rng.permutation(np.linspace(-2, 2, int(np.prod(s)))).reshape(s) for s in case.inputs]
    values = [v + rng.uniform(-0.001, 0.001) for v in values]
    return [v.astype(dtype) for v in values], [rng.standard_normal(s).astype(dtype) for s in case.params]


def made(case, dtype, backend):
    x, p = arrays_of(case, dtype)
    inputs = inputs_for(x)
    layer = case.build(*inputs, *p)
    y = next(iter(case.expected(*(a.astype("float64") for a in x + p), None)))
    g = np.random.default_rng(6).standard_normal(y.shape).astype(dtype)
    return layer, x, p, g, value_and_gradients(layer, inputs, g, backend)


# Expressions of many Ops of Aesara's, each with C code of its own: once is enough there
EXPRESSIONS = {"softmax", "softmax of rows", "batch norm in training", "lrn within", "eltwise maximum"}


@pytest.mark.parametrize(
    ("name", "dtype", "backend"),
    [
        (name, dtype, backend)
        for name in CASES
        for dtype in ("float64", "float32")
        for backend in BACKENDS
        if (dtype, backend) != ("float64", "c") or name not in EXPRESSIONS
    ],
)
def test_value_and_gradients(name, dtype, backend):
    case = CASES[name]
    layer, x, p, g, function = made(case, dtype, backend)
    results = function(*x, g)
    expected = list(case.expected(*(a.astype("float64") for a in [*x, *p, g])))
    assert len(results) == len(expected) == 1 + len(x) + len(p)
    for result, wanted in zip(results, expected, strict=True):
        assert_close(result, wanted, dtype)
    known = [n for n, m in zip(layer.output_shape, results[0].shape, strict=True) if n not in (None, m)]
    assert not known, (layer.output_shape, results[0].shape)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_slopes(name):
    """Along a random direction through all inputs and parameters at once."""
    layer, x, p, g, function = made(CASES[name], "float64", "numpy")
    rng = np.random.default_rng(9)
    along = [rng.standard_normal(a.shape) for a in x + p]

    def value(h):
        moved = [a + h * d for a, d in zip(x + p, along, strict=True)]
        for parameter, array in zip(layer.trainable_params, moved[len(x) :], strict=True):
            parameter.set_value(array)
        return (function(*moved[: len(x)], g)[0] * g).sum()

    h = 1e-5
    slope = (value(h) - value(-h)) / (2 * h)
    value(0)
    gradients = function(*x, g)[1:]
    predicted = sum((a * d).sum() for a, d in zip(gradients, along, strict=True))
    assert abs(slope - predicted) <= 1e-6 * max(1, abs(slope))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [name for name in CASES if "training" not in name])
def test_an_empty_batch_gives_an_empty_output(name, backend):
    case = CASES[name]
    x, p = arrays_of(case, "float32")
    inputs = inputs_for(x)
    layer = case.build(*inputs, *p)
    function = engine.compile([i.output for i in inputs], layer.output, backend=backend)
    full = function(*x).shape
    assert function(*(a[:0] for a in x)).shape == (0, *full[1:])


@pytest.mark.parametrize("name", CASES)
def test_known_sizes_are_known_before_it_runs(name):
    """From inputs of known sizes, every size of the output; it is that of the reference's."""
    case = CASES[name]
    x, p = arrays_of(case)
    layer = case.build(*(InputLayer(a.shape, name=f"in{i}") for i, a in enumerate(x)), *p)
    assert layer.output_shape == next(iter(case.expected(*x, *p, None))).shape
