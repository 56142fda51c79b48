"""Everything else: gradients by finite differences, tie and border rules, losses, documentation, imports."""

import ast
import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deconv_legacy import reference as ref
from deconv_legacy.errors import MismatchError, SizeError

RNG = np.random.default_rng(11)
X = RNG.standard_normal((2, 5, 3, 4))
Y, Z = RNG.standard_normal((2, *X.shape))
G = RNG.standard_normal(X.shape)
SLOPE, GAMMA = RNG.standard_normal((2, 5))
ROWS, WEIGHT = RNG.standard_normal((2, 7)), RNG.standard_normal((7, 60))
LABELS = RNG.integers(0, 5, (2, 1, 3, 4))
LABELS[0, 0, 1, 2] = 255
TARGETS = RNG.random(X.shape)
TARGETS[1, 2, 0, 3] = -1


def moments_then_norm(x):
    return ref.batch_norm(x, *ref.batch_moments(x), eps=0.1)


# name: (function of one array, the array, its gradient for the cotangent g)
GRADIENTS = {
    "relu": (lambda x: ref.relu(x, 0.3), X, lambda g: ref.relu_grad(X, g, 0.3)),
    "prelu x": (lambda x: ref.prelu(x, SLOPE), X, lambda g: ref.prelu_grad(X, g, SLOPE)[0]),
    "prelu slope": (lambda s: ref.prelu(X, s), SLOPE, lambda g: ref.prelu_grad(X, g, SLOPE)[1]),
    "prelu shared": (lambda s: ref.prelu(X, s), SLOPE[:1], lambda g: ref.prelu_grad(X, g, SLOPE[:1])[1]),
    "elu": (lambda x: ref.elu(x, 1.3), X, lambda g: ref.elu_grad(X, g, 1.3)),
    "sigmoid": (ref.sigmoid, X, lambda g: ref.sigmoid_grad(X, g)),
    "tanh": (ref.tanh, X, lambda g: ref.tanh_grad(X, g)),
    "power": (lambda x: ref.power(x, 3, 0.7, 2.0), X, lambda g: ref.power_grad(X, g, 3, 0.7, 2.0)),
    "scale x": (lambda x: ref.scale(x, GAMMA), X, lambda g: ref.scale_grad(X, g, GAMMA)[0]),
    "scale gamma": (lambda c: ref.scale(X, c, SLOPE), GAMMA, lambda g: ref.scale_grad(X, g, GAMMA)[1]),
    "scale beta": (lambda b: ref.scale(X, GAMMA, b), SLOPE, lambda g: ref.scale_grad(X, g, GAMMA)[2]),
    "scale axis 2": (lambda c: ref.scale(X, c, axis=2), X[0, 0], lambda g: ref.scale_grad(X, g, X[0, 0], axis=2)[1]),
    "eltwise sum": (
        lambda y: ref.eltwise([X, y, Z], "SUM", [1, 2, 3]),
        Y,
        lambda g: ref.eltwise_grad([X, Y, Z], g, "SUM", [1, 2, 3])[1],
    ),
    "eltwise prod": (lambda y: ref.eltwise([X, y, Z], "PROD"), Y, lambda g: ref.eltwise_grad([X, Y, Z], g, "PROD")[1]),
    "eltwise max": (lambda y: ref.eltwise([X, y, Z], "MAX"), Y, lambda g: ref.eltwise_grad([X, Y, Z], g, "MAX")[1]),
    "inner product x": (
        lambda x: ref.inner_product(x, WEIGHT),
        X,
        lambda g: ref.inner_product_grad(X, g, WEIGHT)[0],
    ),
    "inner product w": (lambda w: ref.inner_product(X, w), WEIGHT, lambda g: ref.inner_product_grad(X, g, WEIGHT)[1]),
    "inner product b": (
        lambda b: ref.inner_product(X, WEIGHT, b),
        ROWS[0],
        lambda g: ref.inner_product_grad(X, g, WEIGHT)[2],
    ),
    "inner product axis 2": (
        lambda w: ref.inner_product(X, w, axis=2),
        WEIGHT[:, :12],
        lambda g: ref.inner_product_grad(X, g, WEIGHT[:, :12], axis=2)[1],
    ),
    "softmax": (ref.softmax, X, lambda g: ref.softmax_grad(X, g)),
    "softmax axis 3": (lambda x: ref.softmax(x, 3), X, lambda g: ref.softmax_grad(X, g, 3)),
    "lrn across": (
        lambda x: ref.lrn_across(x, 3, 0.8, 0.6, 1.5),
        X,
        lambda g: ref.lrn_across_grad(X, g, 3, 0.8, 0.6, 1.5),
    ),
    "lrn within": (lambda x: ref.lrn_within(x, 3, 0.8, 0.6), X, lambda g: ref.lrn_within_grad(X, g, 3, 0.8, 0.6)),
    "batch norm": (
        lambda x: ref.batch_norm(x, GAMMA, SLOPE**2, 0.1),
        X,
        lambda g: ref.batch_norm_grad(X, g, GAMMA, SLOPE**2, 0.1, train=False),
    ),
    "batch norm train": (
        moments_then_norm,
        X,
        lambda g: ref.batch_norm_grad(X, g, *ref.batch_moments(X), 0.1, train=True),
    ),
    "softmax loss": (
        lambda x: ref.softmax_loss(x, LABELS, 255),
        X,
        lambda g: ref.softmax_loss_grad(X, LABELS, 255, loss_weight=g),
    ),
    "sigmoid loss": (
        lambda x: ref.sigmoid_cross_entropy_loss(x, TARGETS, -1),
        X,
        lambda g: ref.sigmoid_cross_entropy_loss_grad(X, TARGETS, -1, loss_weight=g),
    ),
    "euclidean a": (lambda a: ref.euclidean_loss(a, Y), X, lambda g: ref.euclidean_loss_grad(X, Y, g)[0]),
    "euclidean b": (lambda b: ref.euclidean_loss(X, b), Y, lambda g: ref.euclidean_loss_grad(X, Y, g)[1]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name):
    """<g, f(x + e d) - f(x - e d)> / 2e against <f_grad(g), d>, for three directions d."""
    function, x, gradient = GRADIENTS[name]
    rng = np.random.default_rng(12)
    g = rng.standard_normal(np.shape(function(x)))
    for _ in range(3):
        d = rng.standard_normal(x.shape)
        e = 1e-6
        expected = np.sum(g * (np.asarray(function(x + e * d)) - function(x - e * d))) / (2 * e)
        assert_allclose(np.vdot(gradient(g), d), expected, rtol=1e-6, atol=1e-8)


def test_values_at_zero():
    zero, one = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    assert ref.relu_grad(zero, one).item() == 0
    assert ref.prelu_grad(zero, one, [0.25])[0].item() == 0.25
    assert ref.elu_grad(zero, one, 1.5).item() == 1.5


def test_no_overflow():
    far = np.array([[-1000.0, 1000.0]])
    assert_array_equal(ref.elu(far), [[-1, 1000]])
    assert_array_equal(ref.elu_grad(far, [[1, 1]]), [[0, 1]])
    assert_array_equal(ref.softmax(far), [[0, 1]])
    assert ref.sigmoid_cross_entropy_loss(far, [[0, 1]]) == 0
    assert ref.sigmoid_cross_entropy_loss(far, [[1, 0]]) == 2000
    # A probability of 0 counts as FLT_MIN.
    assert_allclose(ref.softmax_loss(far, [0]), 126 * np.log(2))


def test_eltwise_max_ties():
    a, b, c = [3, 3, 1, 2], [3, 1, 3, 1], [3, 3, 3, 2]
    assert_array_equal(ref.eltwise([a, b, c], "MAX"), [3, 3, 3, 2])
    winners = np.array(ref.eltwise_grad([a, b, c], np.ones(4), "MAX")).argmax(axis=0)
    assert_array_equal(winners, [1, 0, 1, 0])
    for how, message in ((("MAX", [1, 2, 3]), "SUM only"), (("SUM", [1]), "1 coeff for 3"), (("MIN",), "'MIN'")):
        with pytest.raises(SizeError, match=message):
            ref.eltwise([a, b, c], *how)


def test_dropout_keeps_the_mean():
    keep = np.random.default_rng(13).random(X.shape) > 0.25
    assert_allclose(ref.dropout(X, keep, 0.25), np.where(keep, X / 0.75, 0))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_lrn_written_out(size):
    half = size // 2
    squares = np.pad(X**2, ((0, 0), (half, half), (half, half), (half, half)))
    across, within = np.zeros(X.shape), np.zeros(X.shape)
    for n, c, h, w in np.ndindex(X.shape):
        across[n, c, h, w] = squares[n, c : c + size, h + half, w + half].sum() / size
        within[n, c, h, w] = squares[n, c + half, h : h + size, w : w + size].sum() / size**2
    assert_allclose(ref.lrn_across(X, size, 0.3, 0.8, 2.0), X / (2 + 0.3 * across) ** 0.8)
    assert_allclose(ref.lrn_within(X, size, 0.3, 0.8), X / (1 + 0.3 * within) ** 0.8)
    with pytest.raises(SizeError, match="odd"):
        ref.lrn_across(X, size + 1)


def test_caffe_batch_norm_statistics():
    blobs = [np.zeros(5), np.zeros(5), np.zeros(1)]
    assert_array_equal(ref.caffe_batch_norm_moments(blobs), np.zeros((2, 5)))
    for x in (X, Y):
        blobs = ref.caffe_batch_norm_blobs(x, blobs, fraction=0.9)
    mean, var = ref.caffe_batch_norm_moments(blobs)
    means, variances = (getattr(np.stack([X, Y]), m)(axis=(1, 3, 4)) for m in ("mean", "var"))
    weights = np.array([0.9, 1]) / 1.9
    assert_allclose(mean, weights @ means)
    assert_allclose(var, weights @ variances * 24 / 23)


@pytest.mark.parametrize(("normalization", "divisor"), [("FULL", 24), ("VALID", 23), ("BATCH_SIZE", 2), ("NONE", 1)])
def test_normalizations(normalization, divisor):
    total = 0.0
    for n, h, w in np.ndindex(2, 3, 4):
        if LABELS[n, 0, h, w] != 255:
            column = X[n, :, h, w]
            total += np.log(np.exp(column).sum()) - column[LABELS[n, 0, h, w]]
    assert_allclose(ref.softmax_loss(X, LABELS, 255, normalization), total / divisor)
    assert_allclose(ref.softmax_loss(X, LABELS[:, 0] + 0.5, 255, normalization), total / divisor)  # truncated
    gradient = ref.softmax_loss_grad(X, LABELS, 255, normalization)
    assert_array_equal(gradient[0, :, 1, 2], 0)
    assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)
    sigmoid = ref.sigmoid_cross_entropy_loss(X, TARGETS, -1, normalization)
    cells = {"FULL": 120, "VALID": 119}.get(normalization, divisor)
    p = 1 / (1 + np.exp(-X))
    with np.errstate(invalid="ignore"):
        terms = -TARGETS * np.log(p) - (1 - TARGETS) * np.log(1 - p)
    assert_allclose(sigmoid, terms[TARGETS != -1].sum() / cells)


def test_sigmoid_targets_are_truncated_for_the_ignored_label():
    x, t = np.array([[0.0, 3.0]]), np.array([[0.0, -1.7]])
    assert_allclose(ref.sigmoid_cross_entropy_loss(x, t, ignore_label=-1), np.log(2))
    assert_array_equal(ref.sigmoid_cross_entropy_loss_grad(x, t, ignore_label=-1), [[0.5, 0]])


def test_all_ignored_divides_by_one():
    assert ref.softmax_loss(X, np.full((2, 1, 3, 4), 255), 255) == 0
    assert not ref.softmax_loss_grad(X, np.full((2, 1, 3, 4), 255), 255).any()


def test_sum_of_caffe_on_a_cpu():
    zeros, labels = np.zeros((1, 21, 500, 500), np.float32), np.zeros((1, 1, 500, 500))
    assert ref.softmax_loss(zeros, labels, normalization="NONE", caffe_cpu_sum=True) == 761513.5
    assert_allclose(ref.softmax_loss(zeros, labels, normalization="NONE"), 250000 * np.log(21))


def test_labels_are_checked():
    for wrong in (-1, 5):
        labels = LABELS.copy()
        labels[1, 0, 2, 3] = wrong
        with pytest.raises(MismatchError, match=f"label {wrong} is none of the 5 classes"):
            ref.softmax_loss(X, labels, 255)
    with pytest.raises(MismatchError, match="label 255"):
        ref.softmax_loss_grad(X, LABELS)
    with pytest.raises(MismatchError, match="12 labels"):
        ref.softmax_loss(X, LABELS[:1], 255)


MODULES = [
    "caffe_layers",
    "convolution",
    "elementwise",
    "losses",
    "normalization",
    "pooling",
    "resampling",
    "scipy_convolution",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"deconv_legacy.reference.{name}"))
    assert result.attempted and not result.failed


def test_all_is_the_union_of_the_modules():
    names = {name for m in MODULES for name in importlib.import_module(f"deconv_legacy.reference.{m}").__all__}
    assert set(ref.__all__) == names


def test_independent_of_the_rest():
    for path in Path(ref.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                assert (node.level, node.module) == (2, "errors"), path
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                assert not any(str(name).startswith("deconv_legacy") for name in names), path
