"""Batch normalisation and the optimisers of the old systems, written out again in NumPy; gradients by hand."""

import numpy as np
import pytest
from tf_helpers import draw, numbers

from deconv_legacy import tf
from deconv_legacy.engine import aesara

at = aesara.tensor
DTYPES = ("float32", "float64")


def eighths(*shape, dtype, seed=0):
    """Numbers whose products and sums are exact in float32 too."""
    return np.random.default_rng(seed).integers(-16, 17, shape).astype(dtype) / 8


# 1. The autoencoder's activations by name


def test_an_activation_is_what_its_name_says():
    """The posts' 'selu' called elu."""
    x, w = draw(1, 4, 5, 2), draw(3, 3, 2, 3, seed=1)
    plain, *named = numbers(
        [
            tf.keras.layers.Conv2D(3, 3, activation=name, kernel_initializer=w)(x)
            for name in (None, "selu", "elu", "sigmoid", "relu")
        ]
    )
    negative = np.expm1(np.minimum(plain, 0))
    expected = (
        1.0507009873554805 * np.where(plain > 0, plain, 1.6732632423543772 * negative),
        np.where(plain > 0, plain, negative),
        1 / (1 + np.exp(-plain)),
        np.maximum(plain, 0),
    )
    assert (plain < 0).any() and (plain > 0).any()
    for value, wanted in zip(named, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12)


# 3. The gradients as convolutions


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_both_gradients_are_convolutions_of_the_stretched_gradient(stride, dtype):
    """As the post has it, without zeros or holes, they are so for stride 1 alone. Exact."""
    x, w = eighths(2, 9, 8, 3, dtype=dtype), eighths(3, 2, 3, 4, dtype=dtype, seed=1)
    out = tf.conv2d(x, w, stride, "VALID").type.shape
    g = eighths(*out, dtype=dtype, seed=2)
    rotated = w[::-1, ::-1].transpose(0, 1, 3, 2)

    def of_input(g):
        return tf.conv2d(np.pad(g, ((0, 0), (2, 2), (1, 1), (0, 0))), rotated, 1, "VALID")

    def of_filter(holes):
        y = tf.conv2d(x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), 1, "VALID", holes)
        return y.dimshuffle(1, 2, 0, 3)

    # what the last window left over is a tail of zeros
    stuffed = np.zeros((2, 9 - 3 + 1, 8 - 2 + 1, 4), dtype)
    stuffed[:, : stride * out[1] : stride, : stride * out[2] : stride] = g
    dx, dx_by_hand, dw, dw_by_hand = numbers(
        [
            tf.conv2d_backprop_input(x.shape, w, g, stride, "VALID"),
            of_input(stuffed),
            tf.conv2d_backprop_filter(x, w.shape, g, stride, "VALID"),
            of_filter(stride)[:3, :2],
        ]
    )
    assert dx.dtype == dw.dtype == dtype
    np.testing.assert_array_equal(dx_by_hand, dx)
    np.testing.assert_array_equal(dw_by_hand, dw)
    assert (of_input(g).type.shape == x.shape) == (of_filter(1).type.shape == w.shape) == (stride == 1)


# 4. Batch normalisation: whose rule, whose numbers


def test_whose_moving_variance_is_unbiased():
    unbiased = {"tf_fused", "tf_keras_float32", "torch", "caffe"}
    biased = {"tf_unfused", "keras3", "lasagne"}
    assert {name for name, rule in tf.VARIANCE_RULES.items() if rule} == unbiased
    assert set(tf.VARIANCE_RULES) == unbiased | biased
    with pytest.raises(ValueError, match="'mxnet' is unknown; there are tf_fused"):
        tf.layers.batch_normalization(draw(2, 3), training=True, variance_rule="mxnet")


@pytest.mark.parametrize(
    ("build", "decay", "has_gamma"),
    [
        (tf.contrib.layers.batch_norm, 0.999, False),
        (lambda x: tf.layers.batch_normalization(x, training=True), 0.99, True),
    ],
    ids=["contrib", "tf.layers"],
)
def test_defaults_of_tensorflow(build, decay, has_gamma):
    """float64 has no fused kernel: the biased variance. The numbers are small so that epsilon counts."""
    x = draw(3, 2, 4, 5) / 20
    y = build(x)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    (_, new_mean), (_, new_variance) = tf.update_ops(y)
    value, new_mean, new_variance = numbers([y, new_mean, new_variance])
    np.testing.assert_allclose(value, (x - mean) / np.sqrt(variance + 0.001), rtol=1e-10)
    np.testing.assert_allclose(new_mean, (1 - decay) * mean, rtol=1e-9)
    np.testing.assert_allclose(new_variance, decay + (1 - decay) * variance, rtol=1e-12)
    names = {v.name.split(".")[-1] for v in tf.trainable_variables(y)}
    assert names == ({"gamma", "beta"} if has_gamma else {"beta"})


def test_gamma_and_beta():
    x, gamma, beta = draw(4, 3), np.array([2.0, -1.0, 0.5]), np.array([1.0, 0.0, -3.0])
    y = tf.layers.batch_normalization(x, training=True, initial={"gamma": gamma, "beta": beta})
    np.testing.assert_allclose(numbers(y), gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + 0.001) + beta, rtol=1e-10)


# 4. The optimisers, by TensorFlow's formulas


def sgd(v, gradient, rates):
    for rate in rates:
        v = v - rate * gradient(v)
        yield v


def momentum(v, gradient, rates, kept=0.75, nesterov=False):
    a = np.zeros_like(v)
    for rate in rates:
        g = gradient(v)
        a = kept * a + g
        v = v - rate * (g + kept * a if nesterov else a)
        yield v


def adam(v, gradient, rates, b1=0.9, b2=0.999, epsilon=1e-8):
    m, s = np.zeros_like(v), np.zeros_like(v)
    for t, rate in enumerate(rates, 1):
        g = gradient(v)
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g * g
        v = v - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(s) + epsilon)
        yield v


def rmsprop(v, gradient, rates, decay=0.9, kept=0.5, epsilon=1e-10, centered=False):
    """The mean of squares begins with ones, epsilon is inside of the root."""
    s, mean, step = np.ones_like(v), np.zeros_like(v), np.zeros_like(v)
    for rate in rates:
        g = gradient(v)
        s = decay * s + (1 - decay) * g * g
        mean = decay * mean + (1 - decay) * g
        step = kept * step + rate * g / np.sqrt(s - centered * mean * mean + epsilon)
        v = v - step
        yield v


OPTIMIZERS = {
    "sgd": (tf.train.GradientDescentOptimizer, sgd, {}),
    "momentum": (lambda rate: tf.train.MomentumOptimizer(rate, 0.75), momentum, {}),
    "nesterov": (lambda rate: tf.train.MomentumOptimizer(rate, 0.75, use_nesterov=True), momentum, {"nesterov": True}),
    "adam": (tf.train.AdamOptimizer, adam, {}),
    "rmsprop": (lambda rate: tf.train.RMSPropOptimizer(rate, momentum=0.5), rmsprop, {}),
    "rmsprop centered": (
        lambda rate: tf.train.RMSPropOptimizer(rate, momentum=0.5, centered=True),
        rmsprop,
        {"centered": True},
    ),
}
RATES = (0.125, 0.125, 0.25, 0.0625, 0.125)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_their_formulas(name, dtype):
    """Five steps on the slope of x^4 / 4 + c x, with a rate that changes."""
    build, by_hand, numbers_of = OPTIMIZERS[name]
    start, c = draw(3, 4), draw(3, 4, seed=1)
    v, rate = tf.Variable(start.astype(dtype)), at.dscalar("rate")
    step = tf.train.function([rate], (v**4 / 4 + c.astype(dtype) * v).sum(), build(rate), backend="numpy")
    for value, wanted in zip(RATES, by_hand(start, lambda x: x**3 + c, RATES, **numbers_of), strict=True):
        step(value)
        assert v.get_value().dtype == dtype
        np.testing.assert_allclose(v.get_value(), wanted, rtol=0, atol=1e-13 if dtype == "float64" else 2e-6)
