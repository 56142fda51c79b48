"""TensorFlow's many ways to say one thing, and what is said to nonsense."""

import re
import subprocess
import sys

import numpy as np
import pytest
from tf_helpers import draw, numbers

from deconv_legacy import tf
from deconv_legacy.engine import aesara, compile
from deconv_legacy.errors import SizeError

at = aesara.tensor
X, W = draw(2, 7, 8, 3), draw(2, 3, 3, 4, seed=1)


def test_strides_as_one_number_two_or_four():
    same = [tf.conv2d(X, W, s, "SAME") for s in (2, [2], (2, 2), [1, 2, 2, 1], np.array([1, 2, 2, 1]))]
    values = numbers(same)
    for value in values[1:]:
        np.testing.assert_array_equal(value, values[0])
    rows, columns = numbers([tf.conv2d(X, W, (1, 3), "VALID"), tf.conv2d(X, W, [1, 1, 3, 1], "VALID")])
    assert rows.shape == (2, 6, 2, 4)
    np.testing.assert_array_equal(rows, columns)


@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [1, 0], [2, 1], [0, 0]]])
def test_nchw_is_nhwc_with_its_axes_moved(padding):
    first = X.transpose(0, 3, 1, 2)
    other = padding if isinstance(padding, str) else [padding[i] for i in (0, 3, 1, 2)]
    g = draw(*tf.conv2d(X, W, (2, 3), padding).type.shape, seed=2)
    last = [tf.conv2d(X, W, (2, 3), padding), tf.conv2d_transpose(g, W, X.shape, (2, 3), padding)]
    moved = [
        tf.conv2d(first, W, [1, 1, 2, 3], other, data_format="NCHW"),
        tf.conv2d_transpose(g.transpose(0, 3, 1, 2), W, first.shape, [1, 1, 2, 3], other, data_format="NCHW"),
    ]
    for a, b in zip(numbers(last), numbers(moved), strict=True):
        np.testing.assert_array_equal(a, b.transpose(0, 2, 3, 1))


def test_output_shape_as_a_list_an_array_or_a_vector():
    g = draw(2, 4, 4, 4, seed=2)
    n = at.as_tensor_variable(np.int64(2))
    shapes = [
        [2, 7, 8, 3],
        np.array(X.shape),
        at.as_tensor_variable(X).shape,
        at.stack([n, 7, 2 * n + 4, 3]),
        [n, 7, 8, 3],
    ]
    values = numbers([tf.conv2d_transpose(g, W, shape, 2) for shape in shapes])
    for value in values[1:]:
        np.testing.assert_array_equal(value, values[0])
    v = at.lvector("shape")
    unknown = tf.conv2d_transpose(g, W, v, 2)
    np.testing.assert_array_equal(unknown.eval({v: [2, 7, 8, 3]}), values[0])


def test_known_sizes_stay_known():
    z = tf.placeholder("float32", [None, 4, None, 4])
    y = tf.conv2d_transpose(z, W.astype("float32"), [tf.shape(z)[0], 7, 2 * tf.shape(z)[2], 3], 2)
    assert y.type.shape == (None, 7, None, 3)


def test_python_numbers_are_float32():
    assert tf.relu([1.5, -1]).dtype == "float32"
    assert tf.conv2d([[[[1.0]]]], [[[[2.0]]]], 1, "SAME").dtype == "float32"
    assert tf.Variable(3).dtype == "float32"


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: tf.conv2d(X, W, 1, "same"), "`padding` (='same') is unknown; legal are 'SAME', 'VALID'"),
        (lambda: tf.conv2d(X, W, [1, 2, 2, 2], "SAME"), "must be 1 in the batch and depth dimensions"),
        (lambda: tf.conv2d(X, W, [1, 2, 2], "SAME"), "has 3 values; 1, 2 or 4 are legal"),
        (lambda: tf.conv2d(X, W, 1.5, "SAME"), "`strides` (=1.5) must be an integer"),
        (lambda: tf.conv2d(X, W, 1, "SAME", 0), "`dilations` (=0) must be an integer of at least 1"),
        (lambda: tf.conv2d(X, W, 1, [[0, 0], [1, 1]]), "a pair (before, after) for each of the axes NHWC"),
        (lambda: tf.conv2d(X, W, 1, [[0, 0], [0, 0], [0, 0], [1, 0]]), "must be 0 in the batch and depth"),
        (lambda: tf.conv2d(X, W, 1, [[0, 0], [-1, 0], [0, 0], [0, 0]]), "at least 0"),
        (lambda: tf.conv2d(X[0], W, 1, "SAME"), "`input` has 3 axes; 4 are needed: NHWC"),
        (lambda: tf.conv2d(X, W, 1, "SAME", data_format="HWCN"), "legal are 'NHWC', 'NCHW'"),
        (lambda: tf.conv2d(X[:, :1], W, 1, "VALID"), "axis 1"),
        (lambda: tf.conv2d_transpose(X, W, [2, 7, 8], 1), "`output_shape` has 3 entries, 4 are needed"),
        (lambda: tf.conv2d_transpose(X, W, [2, -1, 8, 3], 1), "negative"),
        (lambda: tf.conv2d_transpose(X, W, at.dvector(), 1), "a vector of 4 integers is needed"),
        (lambda: tf.max_pool(X, 2, 2, [[0, 0]] * 4), "'SAME' and 'VALID' are legal here"),
        (lambda: tf.nn.bias_add(X, np.ones(4)), "3 channels"),
        (lambda: tf.losses.mean_squared_error(X, X, weights=np.ones((2, 1, 7, 3))), "weights of 7 for losses of 8"),
        (lambda: tf.sigmoid_cross_entropy_with_logits(labels=X, logits=X[:1]), "must have the same shape"),
        (lambda: tf.keras.layers.Conv2D(3, 0)(X), "`kernel_size` (=0)"),
        (lambda: tf.keras.layers.Conv2DTranspose(3, 2)(tf.placeholder(shape=[None] * 4)), "channels must be known"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(build, message):
    with pytest.raises(SizeError, match=re.escape(message)):
        build()


def test_errors_carry_the_name_of_the_layer():
    for build in (
        lambda: tf.conv2d(X, W[:, :, :2], 1, "SAME", name="conv1"),
        lambda: tf.layers.conv2d_transpose(X, 3, 4, 2, "same", output_padding=0, name="conv1"),
        lambda: tf.keras.layers.Conv2DTranspose(3, 3, 2, "same", name="conv1")(X, output_shape=(7, 16)),
    ):
        with pytest.raises(SizeError) as caught:
            build()
        assert caught.value.where.startswith("conv1 (") and caught.value.axis is not None


@pytest.mark.parametrize("ndim", range(2, 6))
def test_biases_of_any_number_of_axes(ndim):
    """TensorFlow says NHWC and NCHW for all of them."""
    x = np.random.default_rng(ndim).standard_normal((2, 3, 4, 5, 6)[:ndim])
    for name, axis in ((None, -1), ("NHWC", -1), ("NCHW", 1)):
        bias = np.arange(1.0, x.shape[axis] + 1)
        expected = np.moveaxis(np.moveaxis(x, axis, -1) + bias, -1, axis)
        np.testing.assert_array_equal(numbers(tf.nn.bias_add(x, bias, name)), expected)


def test_labels_that_do_not_sum_to_one():
    """``one_hot(255)`` is all zeros: no loss, and TensorFlow's gradient ``softmax - labels`` all the same."""
    rng = np.random.default_rng(3)
    x, g = at.as_tensor_variable(rng.standard_normal((2, 3, 4))), rng.standard_normal((2, 4))
    z = rng.random((2, 3, 4))
    z[0, :, 1] = 0
    z = at.as_tensor_variable(z)
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=z, logits=x, axis=1)
    value, dx, dz = numbers([loss, *aesara.grad((loss * g).sum(), [x, z])])
    p = np.exp(x.data) / np.exp(x.data).sum(1, keepdims=True)
    np.testing.assert_allclose(value, -(z.data * np.log(p)).sum(1), rtol=1e-12)
    assert value[0, 1] == 0
    np.testing.assert_allclose(dx, (p - z.data) * g[:, None], rtol=1e-12)
    np.testing.assert_allclose(dz, -np.log(p) * g[:, None], rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 1, 4), (1, 2, 1), (3, 2, 4), (1, 1, 1), ()], ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["known", "free"])
def test_weights_of_losses_are_repeated(shape, known):
    """Also where an axis of 1 is seen only when the function runs: it counts as often as it is used."""
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 3, 2, 4))
    weights = np.array(rng.random(shape) * rng.integers(0, 2, shape))
    if weights.ndim:
        weights[0] = 0.5
    inputs = [at.TensorType("float64", v.shape if known else (None,) * v.ndim)() for v in (a, b, weights)]
    loss = tf.losses.mean_squared_error(*inputs)
    assert tf.losses.mean_squared_error(*(at.cast(v, "float32") for v in inputs)).dtype == "float32"
    every = np.broadcast_to(weights, a.shape)
    expected = ((a - b) ** 2 * every).sum() / max(np.count_nonzero(every), 1)
    found = compile(inputs, loss, backend="numpy")(a, b, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_layer_object_uses_its_variables_again():
    layer = tf.keras.layers.Conv2D(4, 3, padding="same", rng=0)
    a, b = layer(X), layer(X[:, :5])
    assert tf.trainable_variables([a, b]) == layer.trainable_weights and len(layer.weights) == 2
    layer.set_weights([np.ones((3, 3, 3, 4)), np.arange(4)])
    np.testing.assert_allclose(numbers(b)[:, 2, 2, 1], X[:, 1:4, 1:4].sum((1, 2, 3)) + 1)
    with pytest.raises(SizeError):
        layer.set_weights([np.ones((3, 3, 4, 3)), np.arange(4)])
    before = layer.get_weights()[0]
    before[:] = 7
    assert not (layer.kernel.get_value() == 7).any()


def test_the_variables_of_a_graph():
    x = tf.placeholder(shape=[None, 6, 6, 2])
    h = tf.contrib.layers.conv2d(x, 4, 3, normalizer_fn=tf.contrib.layers.batch_norm, scope="c")
    frozen = tf.layers.conv2d(h, 3, 1, trainable=False, name="f")
    assert {v.name for v in tf.trainable_variables(frozen)} == {"c/kernel", "BatchNorm.beta"}
    names = {"c/kernel", "BatchNorm.beta", "BatchNorm.mean", "BatchNorm.variance", "f/kernel", "f/bias"}
    assert {v.name for v in tf.global_variables(frozen)} == names


def test_import_changes_nothing_of_others():
    code = (
        "import sys; import deconv_legacy; before = set(sys.modules); import deconv_legacy.tf;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "assert not new & {'tensorflow', 'keras', 'matplotlib', 'sklearn'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
