"""Derivatives of second order, and of third where they are not the same again, against differences of first ones."""

import numpy as np
import pytest
from engine_helpers import aesara, run

from deconv_legacy import engine

RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 5, 4))
W = RNG.standard_normal((4, 3, 2, 3))
LABELS = RNG.integers(0, 3, (2, 5, 4))
MASK = np.array(RNG.permuted(np.tile(np.arange(63), (6, 1)), axis=1)[:, :20]).reshape(2, 3, 5, 4)
TARGETS = RNG.uniform(size=X.shape)
STEP = 1e-5

OPS = {
    "conv": lambda x: engine.conv(x, W, border_mode=((1, 0), (0, 2)), stride=(2, 1)),
    "conv filters": lambda x: engine.conv(W[:, :2], x[:, :2, :2, :3], flip=True),
    "deconvolution": lambda x: engine.conv_input_gradient(W.transpose(1, 0, 2, 3), x, (6, 12), stride=(1, 3)),
    "deconvolution filters": lambda x: engine.conv_input_gradient(x, W[:1, :2], (6, 6)),
    "weight gradient": lambda x: engine.conv_weight_gradient(x, x[:, :2, 1:, 2:], (2, 3)),
    "max pooling": lambda x: engine.max_pool(x, (2, 3), 2, 1, "caffe"),
    "max pooling, all": lambda x: engine.max_pool(x, (2, 3), (1, 2), ties="all"),
    **{
        f"average pooling, {divisor}": lambda x, d=divisor: engine.average_pool(x, (3, 2), 2, 1, "caffe", d)
        for divisor in ("padded", "real", "one")
    },
    "relu": engine.relu,
    "leaky relu": lambda x: engine.relu(x, 0.1),
    "lrn across": lambda x: engine.lrn_across(x, 3, 2.0),
    "lrn within": lambda x: engine.lrn_within(x, 3, 2.0),
    "crop": lambda x: engine.crop(x, (3, 2), 2, (1, 2)),
    "linear resize": lambda x: engine.linear_resize(x, (7, 3)),
    "nearest resize": lambda x: engine.nearest_resize(x, (7, 3)),
    "unpool": lambda x: engine.unpool(x, MASK, (7, 9)),
    "repeat": lambda x: engine.repeat(x, (2, 3)),
    "zero insert": lambda x: engine.zero_insert(x, (2, 3)),
    "same sizes": lambda x: engine.same_sizes(x[:, :1], x, 1),
    "softmax": lambda x: engine.softmax(x, 1),
    **{
        f"softmax loss, {name}": lambda x, n=name, i=ignored: engine.softmax_loss(x, LABELS, 1, i, n)
        for name, ignored in (("valid", 2), ("full", None), ("batch_size", 0), ("none", 1))
    },
    "softmax loss, last axis": lambda x: engine.softmax_loss(
        x, LABELS[:, :, :1].repeat(3, 2).transpose(0, 2, 1), -1, 2
    ),
    "sigmoid loss": lambda x: engine.sigmoid_cross_entropy_loss(x, TARGETS),
}


def directional(function, x, v):
    """The derivative of a function of x along v."""
    return aesara.grad((function(x) * v).sum(), x)


@pytest.mark.parametrize("name", OPS)
def test_second_derivatives(name):
    """Of ``sum(op(x)^3)``, so that linear Ops have one too, and softmax a third."""

    def first(x):
        return aesara.grad((OPS[name](x) ** 3).sum(), x)

    orders = [first]
    if name.startswith(("softmax", "sigmoid", "lrn")):
        v = np.cos(np.arange(X.size)).reshape(X.shape)
        orders.append(lambda x: directional(first, x, v))
    for order in orders:
        direction = RNG.standard_normal(X.shape)
        above, below, found = run(
            "python", lambda x, v, order=order: [order(x + STEP * v), order(x - STEP * v), directional(order, x, v)],
            X, direction,
        )  # fmt: skip
        # a symmetric matrix: the derivative of its product with v is its row sums along v
        expected = (above - below) / (2 * STEP)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def test_softmax_loss_along_a_direction():
    """Aesara's R-operator: forward mode of the loss and of its gradient."""

    def build(x, v):
        loss = OPS["softmax loss, valid"](x) ** 2
        gradient = aesara.grad(loss, x)
        tangents = [aesara.gradient.Rop(y, x, v) for y in (loss, gradient)]
        return [*tangents, (gradient * v).sum(), aesara.grad((gradient * v).sum(), x)]

    tangent, second, expected, expected_second = run("python", build, X, np.sin(X))
    np.testing.assert_allclose(tangent, expected, rtol=1e-12)
    np.testing.assert_allclose(second, expected_second, rtol=0, atol=1e-12 * np.abs(expected_second).max())
