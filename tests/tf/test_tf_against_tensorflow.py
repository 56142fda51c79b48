"""The same numbers as TensorFlow 1.15: tests/data/tf/tf115.npz holds its inputs and results."""

import numpy as np
import pytest
from tf_helpers import golden, numbers

from deconv_legacy import tf
from deconv_legacy.engine import aesara, compile
from deconv_legacy.errors import SizeError
from deconv_legacy.tf.variables import trainable_variables, update_ops

at = aesara.tensor

CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # float32 sums of a few dozen products
# strides, padding, dilation, in the order of make_goldens.CONVOLUTIONS
RULES = [
    ((2, 3), "SAME", 1),
    ((2, 1), "SAME", 1),
    ((2, 3), "VALID", 1),
    ((1, 1), "SAME", 2),
    ((3, 2), [[0, 0], [1, 2], [0, 1], [0, 0]], 1),
    ((3, 4), "VALID", 1),
]


@pytest.mark.parametrize("i", range(len(RULES)))
def test_convolutions(i):
    stride, padding, dilation = RULES[i]
    data = golden(f"conv{i}")
    x, w = data["x"], data["w"]
    rule = {"strides": stride, "padding": padding, "dilations": dilation}
    np.testing.assert_allclose(numbers(tf.conv2d(x, w, **rule)), data["y"], **CLOSE)
    if dilation > 1:
        return
    g = data["g"]
    results = numbers(
        [
            tf.conv2d_backprop_input(x.shape, w, g, **rule),
            tf.conv2d_transpose(g, w, x.shape, **rule),
            tf.conv2d_backprop_filter(x, w.shape, g, **rule),
        ]
    )
    for result, key in zip(results, ("dx", "dx", "dw"), strict=True):
        np.testing.assert_allclose(result, data[key], **CLOSE)


def test_conv3d_transpose():
    data = golden("conv3d")
    y = tf.conv3d_transpose(data["value"], data["w"], [2, 3, 5, 7, 3], [1, 3, 3, 3, 1])
    np.testing.assert_allclose(numbers(y), data["y"], **CLOSE)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pools_and_their_gradients(kind, padding):
    data = golden(f"{kind}_{padding}")
    x = at.as_tensor_variable(data["x"])
    y = getattr(tf, f"{kind}_pool")(x, [1, 3, 2, 1], [1, 2, 2, 1], padding)
    value, gradient = numbers([y, aesara.grad((y * data["g"]).sum(), x)])
    np.testing.assert_allclose(value, data["y"], rtol=1e-6)
    np.testing.assert_allclose(gradient, data["dx"], rtol=1e-6, atol=1e-7)


def test_argmax():
    data = golden("argmax")
    y, places = numbers(list(tf.max_pool_with_argmax(data["x"], [1, 3, 2, 1], [1, 2, 2, 1], "VALID")))
    np.testing.assert_array_equal(y, data["y"])
    np.testing.assert_array_equal(places, data["places"])


@pytest.mark.parametrize(
    "key, resize",
    [
        ("nearest", lambda x, size: tf.image.resize_nearest_neighbor(x, size)),
        ("bilinear", lambda x, size: tf.image.resize_bilinear(x, size)),
        ("align", lambda x, size: tf.image.resize_bilinear(x, size, align_corners=True)),
        ("half", lambda x, size: tf.image.resize_bilinear(x, size, half_pixel_centers=True)),
    ],
)
def test_resizes(key, resize):
    data = golden("resize")
    np.testing.assert_allclose(numbers(resize(data["x"], [7, 11])), data[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["elu", "selu", "relu", "sigmoid"])
def test_activations_and_their_gradients(name):
    data = golden(name)
    x = at.as_tensor_variable(data["x"])
    y = getattr(tf, name)(x)
    value, gradient = numbers([y, aesara.grad(y.sum(), x)])
    np.testing.assert_allclose(value, data["y"], rtol=1e-6, atol=1e-35)
    np.testing.assert_allclose(gradient, data["dx"], rtol=2e-6, atol=1e-35)


def test_cross_entropy_and_its_gradient():
    data = golden("cross_entropy")
    x = at.as_tensor_variable(data["x"])
    y = tf.sigmoid_cross_entropy_with_logits(labels=data["z"], logits=x)
    value, gradient = numbers([y, aesara.grad(y.sum(), x)])
    np.testing.assert_allclose(value, data["y"], rtol=1e-6, atol=1e-35)  # TensorFlow flushes denormals
    np.testing.assert_allclose(gradient, data["dx"], rtol=1e-6, atol=1e-7)


def test_losses():
    data = golden("losses")
    a, b = data["a"], data["b"]
    ours = {
        "mse": tf.losses.mean_squared_error(a, b),
        "mse_weighted": tf.losses.mean_squared_error(a, b, weights=data["w"]),
        "mae": tf.losses.absolute_difference(a, b),
        "sigmoid": tf.losses.sigmoid_cross_entropy(a, b),
        "softmax": tf.losses.softmax_cross_entropy(a, b),
        "sparse": tf.losses.sparse_softmax_cross_entropy(data["classes"], b),
    }
    for key, value in zip(ours, numbers(list(ours.values())), strict=True):
        np.testing.assert_allclose(value, data[key], rtol=1e-6, err_msg=key)


OPTIMIZERS = {
    "sgd": tf.train.GradientDescentOptimizer,
    "momentum": lambda rate: tf.train.MomentumOptimizer(rate, 0.9),
    "nesterov": lambda rate: tf.train.MomentumOptimizer(rate, 0.9, use_nesterov=True),
    "adam": tf.train.AdamOptimizer,
    "rmsprop": lambda rate: tf.train.RMSPropOptimizer(rate, momentum=0.5),
    "centered": lambda rate: tf.train.RMSPropOptimizer(rate, centered=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_the_same_way(name):
    """Five steps with a learning rate that changes: where it stands in the formula matters."""
    data = golden("optimizers")
    rate, v = at.fscalar("rate"), tf.Variable(data["start"])
    step = tf.train.function([rate], (data["scale"] * v * v).sum(), OPTIMIZERS[name](rate), backend="numpy")
    for value, expected in zip(data["rates"], data[name], strict=True):
        step(value)
        np.testing.assert_allclose(v.get_value(), expected, rtol=3e-6)
    assert v.get_value().dtype == np.float32


BATCH_NORMS = {
    "contrib4": lambda x: tf.contrib.layers.batch_norm(x),
    "contrib2": lambda x: tf.contrib.layers.batch_norm(x, scale=True),
    "layers4": lambda x: tf.layers.batch_normalization(x, training=True),
    "layers4_unfused": lambda x: tf.layers.batch_normalization(x, training=True, fused=False),
    "layers2": lambda x: tf.layers.batch_normalization(x, training=True),
}


@pytest.mark.parametrize("name", BATCH_NORMS)
def test_batch_norms_and_their_moving_averages(name):
    data = golden(f"bn_{name}")
    x = at.as_tensor_variable(data["x"])
    y = BATCH_NORMS[name](x)
    averages = [v for v, _ in update_ops(y)]
    result = compile([], y, updates=update_ops(y), backend="numpy")()
    np.testing.assert_allclose(result, data["y"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(averages[0].get_value(), data["mean"], rtol=1e-4)
    # the two rules differ by 1/24 of a share of 0.001 to 0.01: 4e-5 and more
    np.testing.assert_allclose(averages[1].get_value(), data["variance"], rtol=3e-6)
    assert not set(averages) & set(trainable_variables(y))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_default_sizes_of_contrib(padding):
    sizes = golden("default")[padding]
    for (k, s, n), expected in np.ndenumerate(sizes):
        layer = tf.keras.layers.Conv2DTranspose(1, k + 1, s + 1, padding)
        assert layer.compute_output_shape((2, n + 1, None, 3)) == (2, expected, None, 1)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_sizes_of_keras_output_padding(padding):
    """Where Keras gives a size ours is the same, and where TensorFlow then refuses so do we."""
    for (k, s, op), expected in np.ndenumerate(golden("keras")[padding]):
        if op > s:
            continue
        arguments = (1, k + 1, s + 1, padding, op)
        if expected == -1:
            with pytest.raises(SizeError):
                tf.keras.layers.Conv2DTranspose(*arguments).compute_output_shape((1, 3, 3, 1))
        else:
            assert tf.keras.layers.Conv2DTranspose(*arguments).compute_output_shape((1, 3, 3, 1))[1] == expected
