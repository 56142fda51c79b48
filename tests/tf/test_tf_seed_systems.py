"""The TensorFlow systems that this package reproduces, number by number, and the mistakes in them that it does not."""

import numpy as np
import pytest
from scipy.signal import convolve2d
from tf_helpers import draw, numbers

from deconv_legacy import engine, tf
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError

at = aesara.tensor
BACKENDS = ("numpy", "c")
DTYPES = ("float32", "float64")


def zeros(*shape):
    return np.zeros(shape, "float32")


def refused(build, **expected):
    """The SizeError of `build`, whose attributes are `expected`."""
    with pytest.raises(SizeError) as caught:
        build()
    assert {name: getattr(caught.value, name) for name in expected} == expected
    return str(caught.value)


# 1. The stride-2 autoencoder of 112x112x3 images

CHANNELS = (3, 32, 64, 128, 256, 256)


def encoder_shapes(strides, size=112):
    """Shapes of the data and of each convolution's result, as the graph knows them."""
    x, shapes = tf.placeholder("float32", [None, size, size, 3]), []
    for before, after, stride in zip(CHANNELS[:-1], CHANNELS[1:], strides, strict=True):
        shapes.append(x.type.shape[1])
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, zeros(3, 3, before, after), stride, "SAME"), zeros(after)))
    return [*shapes, x.type.shape[1]]


def test_the_code_is_4_by_4_and_not_3_by_3():
    assert encoder_shapes((2, 2, 2, 2, 2)) == [112, 56, 28, 14, 7, 4]


def test_doubling_comes_back_from_4_to_64_and_the_cost_is_an_error_of_its_own():
    z = tf.placeholder("float32", [None, 4, 4, 256])
    for channels in (128, 64, 32, 3):
        n, h, w, _ = (tf.shape(z)[i] for i in range(4))
        z = tf.nn.conv2d_transpose(z, zeros(3, 3, channels, z.type.shape[3]), [n, 2 * h, 2 * w, channels], 2)
    assert z.type.shape[1:] == (64, 64, 3)
    message = refused(lambda: tf.losses.mean_squared_error(tf.placeholder("float32", [None, 112, 112, 3]), z))
    assert "112" in message and "64" in message and "conv2d_transpose" not in message


@pytest.mark.parametrize(
    "n, wanted, computed, legal", [(4, 4, 2, (7, 8)), (7, 7, 4, (13, 14))], ids=["4 for 4", "7 for 7"]
)
@pytest.mark.parametrize("known", [True, False])
def test_the_posts_size_is_refused_where_it_is_made(n, wanted, computed, legal, known):
    """While the graph is built if the size is known, else at the call."""
    w = zeros(3, 3, 2, 4)
    expected = {"axis": 1, "actual": n, "computed": computed, "legal": legal}
    if known:
        message = refused(
            lambda: tf.conv2d_transpose(zeros(1, n, n, 4), w, [1, wanted, wanted, 2], 2, name="deconv1"), **expected
        )
    else:
        z = tf.placeholder("float32", [None, None, None, 4])
        y = tf.conv2d_transpose(z, w, [tf.shape(z)[0], wanted, wanted, 2], [1, 2, 2, 1], name="deconv1")
        function = engine.compile([z], y, backend="numpy")
        message = refused(lambda: function(zeros(1, n, n, 4)), **expected)
    assert message.startswith("deconv1 (conv2d_transpose): axis 1: ")
    for number in (n, computed, *legal):
        assert str(number) in message


def test_a_rectangle_blames_the_axis_that_is_wrong():
    z, w = zeros(1, 7, 4, 4), zeros(3, 3, 2, 4)
    refused(lambda: tf.conv2d_transpose(z, w, [1, 14, 9, 2], 2), axis=2, actual=4, computed=5, legal=(7, 8))
    first = z.transpose(0, 3, 1, 2)
    refused(lambda: tf.conv2d_transpose(first, w, [1, 2, 14, 9], 2, data_format="NCHW"), axis=3, actual=4)


def test_the_posts_fix_and_a_mirror_of_the_encoder():
    assert encoder_shapes((2, 2, 2, 2, 1)) == [112, 56, 28, 14, 7, 7]  # z with stride 1: doubling 7 gives 112
    z = tf.placeholder("float32", [None, 4, 4, 1])
    for size in (7, 14, 28, 56, 112):  # z with stride 2: the encoder's sizes, recorded
        z = tf.conv2d_transpose(z, zeros(3, 3, 1, 1), [tf.shape(z)[0], size, size, 1], 2)
    assert z.type.shape[1:] == (112, 112, 1)


def test_symbolic_batch_rows_and_columns():
    """One compiled function for all sizes; its values are those of known sizes."""
    w = draw(3, 2, 3, 4, dtype="float32")
    z = tf.placeholder("float32", [None, None, None, 4])
    n, h, width, _ = (tf.shape(z)[i] for i in range(4))
    function = engine.compile([z], tf.conv2d_transpose(z, w, at.stack([n, 2 * h, 3 * width - 1, 3]), [2, 3]))
    for shape in ((2, 3, 4, 4), (1, 5, 2, 4)):
        value = draw(*shape, dtype="float32", seed=1)
        known = tf.conv2d_transpose(value, w, [shape[0], 2 * shape[1], 3 * shape[2] - 1, 3], [2, 3])
        np.testing.assert_array_equal(function(value), numbers(known, "c"))


def test_selu_is_not_elu():
    assert numbers(tf.elu([-1.0]))[0].round(5) == np.float32(-0.63212)
    assert (numbers(tf.selu([-1.0, 1.0])).round(5) == np.float32([-1.11133, 1.05070])).all()


# 2. conv3d_transpose and its output_shape

VALUE, FILTER = (10, 1, 1, 1, 10), (5, 5, 5, 20, 10)


def transposed(size, padding="VALID", kernel=5, stride=4):
    value, filter = np.ones(VALUE, "float32"), np.ones((kernel,) * 3 + FILTER[3:], "float32")
    return tf.conv3d_transpose(value, filter, [10, size, size, size, 20], stride, padding)


def test_the_legal_sizes_are_5_to_8():
    for size in range(5, 9):
        assert transposed(size).type.shape == (10, size, size, size, 20)
    for sizes, computed in ((range(1, 5), 0), (range(9, 12), 2)):
        for size in sizes:
            refused(lambda size=size: transposed(size), axis=1, actual=1, computed=computed, legal=(5, 6, 7, 8))


def test_same_takes_1_to_4():
    for size in range(1, 5):
        assert transposed(size, "SAME").type.shape[1] == size
        assert transposed(4, "SAME", kernel=size).type.shape[1] == 4
    refused(lambda: transposed(5, "SAME"), actual=1, computed=2, legal=(1, 2, 3, 4))
    assert transposed(4, "VALID", kernel=4).type.shape[1] == 4


def test_same_does_not_make_every_size_work():
    refused(lambda: transposed(3, "SAME", kernel=3, stride=1), actual=1, computed=3, legal=(1,))
    assert transposed(3, "VALID", kernel=3, stride=1).type.shape[1] == 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_value_is_one_block_of_the_filter_and_zeros(dtype, backend):
    """Exactly, for dyadic numbers; "17 is the blown-up size" and "zeros mess up the output" are false."""
    rng = np.random.default_rng(0)
    value, filter = (rng.integers(-8, 9, shape).astype(dtype) / 4 for shape in (VALUE, FILTER))
    expected = np.zeros((10, 8, 8, 8, 20), dtype)
    expected[:, :5, :5, :5] = np.einsum("nc,ijkoc->nijko", value[:, 0, 0, 0], filter)
    result = numbers(tf.conv3d_transpose(value, filter, expected.shape, 4, "VALID"), backend)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, expected)


# 3. conv2d, its two gradients, its transpose


def stretched(g, stride, size):
    """Zeros between the cells, and at the end up to a unit-stride convolution's output size."""
    result = np.zeros((g.shape[0], *size, g.shape[3]), g.dtype)
    result[:, : stride[0] * g.shape[1] : stride[0], : stride[1] * g.shape[2] : stride[1]] = g
    return result


def by_hand(x, w, g, stride, before):
    """d_x and d_w by SciPy's full convolutions: of the zero-stuffed gradient with the filter, and with the image."""
    (n, h, width, c), (kh, kw, _, m) = x.shape, w.shape
    size = [(o - 1) * s + 1 for o, s in zip(g.shape[1:3], stride, strict=True)]
    stuffed = stretched(g, stride, size)
    # room for the whole of `full`, cropped to the image: what the padding cut off, and the tail of zeros
    room = [max(before[i] + x.shape[i + 1], size[i] + w.shape[i] - 1) for i in range(2)]
    dx, dw = np.zeros((n, *room, c)), np.zeros(w.shape)
    padded = np.zeros((n, *room, c))
    padded[:, before[0] : before[0] + h, before[1] : before[1] + width] = x
    for i in range(n):
        for a in range(c):
            for b in range(m):
                full = convolve2d(stuffed[i, :, :, b], w[:, :, a, b])
                dx[i, : full.shape[0], : full.shape[1], a] += full
                window = padded[i, : size[0] + kh - 1, : size[1] + kw - 1, a]
                dw[:, :, a, b] += convolve2d(window, stuffed[i, ::-1, ::-1, b], "valid")
    return dx[:, before[0] : before[0] + h, before[1] : before[1] + width], dw


CASES = [
    # size, kernel, channels, strides, padding, zeros before
    ((28, 28), (7, 7), (1, 32), (1, 1), "SAME", (3, 3)),
    ((5, 7), (3, 2), (2, 3), (1, 1), "SAME", (1, 0)),
    ((5, 7), (3, 2), (2, 3), (2, 3), "SAME", (1, 0)),
    ((6, 9), (4, 2), (2, 3), (2, 3), "SAME", (1, 0)),
    ((9, 8), (3, 2), (2, 3), (2, 3), "VALID", (0, 0)),
    ((7, 8), (1, 2), (2, 3), (3, 4), "VALID", (0, 0)),
    ((7, 8), (2, 3), (2, 3), (3, 2), [[0, 0], [1, 2], [0, 1], [0, 0]], (1, 0)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_d_x_four_ways_and_d_w_three_ways_and_the_adjoint(case):
    size, kernel, (c, m), stride, padding, before = case
    x, w = draw(2, *size, c, seed=1), draw(*kernel, c, m, seed=2)
    image, filters = at.as_tensor_variable(x), at.as_tensor_variable(w)
    y = tf.conv2d(image, filters, stride, padding)
    g = draw(*y.type.shape, seed=3)
    cost = (y * g).sum()
    forward, dx, dx2, dx3, dw, dw2 = numbers(
        [
            y,
            aesara.grad(cost, image),
            tf.conv2d_backprop_input(x.shape, w, g, stride, padding),
            tf.conv2d_transpose(g, w, x.shape, stride, padding),
            aesara.grad(cost, filters),
            tf.conv2d_backprop_filter(x, w.shape, g, stride, padding),
        ]
    )
    dx4, dw3 = by_hand(x, w, g, stride, before)
    for other in (dx2, dx3, dx4):
        np.testing.assert_allclose(other, dx, rtol=1e-12, atol=1e-12)
    for other in (dw2, dw3):
        np.testing.assert_allclose(other, dw, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose((forward * g).sum(), (x * dx).sum(), rtol=1e-12)
    assert not np.allclose(dx, x, atol=0.1)  # the transpose is no inverse


def flipped_convolution(g, w):
    """The post's third way: an ordinary SAME convolution with the filter turned and its channels swapped."""
    return tf.conv2d(g, w[::-1, ::-1].transpose(0, 1, 3, 2), 1, "SAME")


def test_an_even_kernel_breaks_the_flipped_convolution():
    """SAME puts the odd zero after; the turned filter would need it before."""
    for kernel, equal in (((7, 7), True), ((3, 5), True), ((2, 3), False), ((4, 4), False)):
        w, g = draw(*kernel, 1, 3), draw(1, 8, 9, 3, seed=1)
        a, b = numbers([tf.conv2d_transpose(g, w, [1, 8, 9, 1], 1, "SAME"), flipped_convolution(g, w)])
        assert np.allclose(a, b) == equal, kernel
    # and the cells are there, one further
    np.testing.assert_allclose(a[:, 1:, 1:], b[:, :-1, :-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_6_by_6_matrix(dtype, backend):
    a = np.array([[0, 0, 1.5], [0, 1, 0], [0, 0, 0]], dtype).reshape(1, 3, 3, 1)
    w = np.array([[1, 2], [3, 4]], dtype).reshape(2, 2, 1, 1)
    expected = np.zeros((6, 6), dtype)
    expected[:2, 4:] = [[1.5, 3], [4.5, 6]]
    expected[2:4, 2:4] = [[1, 2], [3, 4]]
    for y in (
        tf.conv2d_transpose(a, w, [1, 6, 6, 1], [1, 2, 2, 1], "SAME"),
        tf.conv2d_backprop_input([1, 6, 6, 1], w, a, 2, "SAME"),
    ):
        result = numbers(y, backend)[0, :, :, 0]
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


def test_unet_up_sampling():
    layer = tf.keras.layers.Conv2DTranspose(64, (2, 2), strides=(2, 2))
    assert layer(tf.placeholder("float32", [None, 7, 9, 16])).type.shape == (None, 14, 18, 64)
    assert [v.type.shape for v in layer.weights] == [(2, 2, 64, 16), (64,)]
    ones = tf.keras.layers.Conv2DTranspose(1, 2, 2, kernel_initializer="ones", use_bias=False)
    x = np.arange(15.0).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(numbers(ones(x)), x.repeat(2, axis=1).repeat(2, axis=2))


def test_learned_and_frozen_bilinear_up_sampling():
    x, y = draw(1, 4, 5, 3, dtype="float32"), draw(1, 8, 10, 3, dtype="float32", seed=1)
    for trainable in (True, False):
        layer = tf.keras.layers.Conv2DTranspose(
            3, 4, 2, "same", kernel_initializer="bilinear", use_bias=False, trainable=trainable
        )
        before = tf.resize_bilinear(x, [8, 10], half_pixel_centers=True)
        result, expected = numbers([layer(x), before])
        np.testing.assert_allclose(result[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-6)
        kernel = layer.kernel.get_value()
        assert (layer.kernel in layer.trainable_weights) == trainable
        scale = tf.Variable(np.float32(1))
        loss = tf.losses.mean_squared_error(y, scale * layer(x))
        tf.train.function([], loss, tf.train.GradientDescentOptimizer(0.1), backend="numpy")()
        assert np.array_equal(kernel, layer.kernel.get_value()) != trainable


# 4. The contrib autoencoder, un-pooling, batch normalisation


@pytest.mark.parametrize(
    "k, crop",
    [(1, slice(None, -1)), (2, slice(None, -1)), (3, slice(1, None)), (4, slice(None, -1)), (5, slice(1, None))],
)
def test_9_to_5_comes_back_as_10_and_the_right_crop(k, crop):
    """Drop the first row and column for odd k >= 3, the last for even k and k = 1: SAME pads 10 and 9 differently."""
    z, w = draw(1, 5, 5, 2), draw(k, k, 3, 2, seed=1)
    ten, nine = (tf.conv2d_transpose(z, w, [1, n, n, 3], 2, "SAME") for n in (10, 9))
    contrib = tf.contrib.layers.conv2d_transpose(z, 3, k, 2, activation_fn=None, weights_initializer=w)
    assert contrib.type.shape == (1, 10, 10, 3)
    ten, nine, contrib = numbers([ten, nine, contrib])
    np.testing.assert_array_equal(contrib, ten)
    np.testing.assert_array_equal(ten[:, crop, crop], nine)
    other = slice(None, -1) if crop.start else slice(1, None)
    if k > 1:
        assert not np.allclose(ten[:, other, other], nine)


def test_the_9_5_9_autoencoder_trains():
    x = tf.placeholder("float32", [None, 9, 9, 1])
    code = tf.contrib.layers.conv2d(x, 8, 3, stride=2, rng=0)
    back = tf.contrib.layers.conv2d_transpose(code, 1, 3, stride=2, activation_fn=None, rng=1)[:, 1:, 1:]
    assert code.type.shape == (None, 5, 5, 8) and back.type.shape[3] == 1
    loss = tf.losses.mean_squared_error(x, back)
    step = tf.train.function([x], loss, tf.train.AdamOptimizer(0.01), backend="numpy")
    data = draw(16, 9, 9, 1, dtype="float32") + 1
    assert engine.compile([x], back, backend="numpy")(data).shape == data.shape
    losses = [float(step(data)) for _ in range(60)]
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_average_unpooling(dtype):
    x = draw(1, 4, 4, 3, dtype=dtype)
    repeated = x.repeat(2, axis=1).repeat(2, axis=2)
    each_channel = np.zeros((2, 2, 3, 3), dtype)
    each_channel[:, :, range(3), range(3)] = 1
    by_deconv = tf.conv2d_transpose(x, each_channel, [1, 8, 8, 3], 2)
    for up in (tf.resize_nearest_neighbor(x, [8, 8]), by_deconv):
        value, pooled = numbers([up, tf.avg_pool(up, 2, 2, "SAME")])
        assert value.shape == (1, 8, 8, 3)
        np.testing.assert_array_equal(value, repeated)
        np.testing.assert_array_equal(pooled, x)
    # the post's filter of ones mixes the channels
    mixed = numbers(tf.conv2d_transpose(x, np.ones_like(each_channel), [1, 8, 8, 3], 2))
    np.testing.assert_allclose(mixed, np.repeat(repeated.sum(-1, keepdims=True), 3, -1), rtol=1e-5)


def test_max_unpooling_with_switches():
    """TensorFlow has none; the engine's takes the mask. What comes back are the maxima in their places."""
    x = at.as_tensor_variable(draw(2, 3, 6, 8))
    maxima, mask = engine.max_pool_with_mask(x, 2)
    value, back, again = numbers([x, engine.unpool(maxima, mask, (6, 8)), maxima])
    kept = back != 0
    np.testing.assert_array_equal(back[kept], value[kept])
    assert (kept.reshape(2, 3, 3, 2, 4, 2).sum((3, 5)) == 1).all()
    np.testing.assert_array_equal(numbers(engine.max_pool(np.where(kept, back, -9), 2)), again)


def test_avg_pool_same_divides_by_the_real_cells():
    y = numbers(tf.avg_pool(np.ones((1, 5, 7, 2)), [3, 2], 2, "SAME"))
    np.testing.assert_array_equal(y, np.ones((1, 3, 4, 2)))


@pytest.mark.parametrize("rule, unbiased", list(tf.VARIANCE_RULES.items()))
def test_batch_norm_by_every_rule(rule, unbiased):
    x = draw(3, 2, 4, 5) * 3 + 1
    y = tf.layers.batch_normalization(x, 3, 0.9, 0.01, training=True, variance_rule=rule)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(numbers(y), (x - mean) / np.sqrt(variance + 0.01), rtol=1e-10)
    (moving_mean, new_mean), (moving_variance, new_variance) = tf.update_ops(y)
    new_mean, new_variance = numbers([new_mean, new_variance])
    np.testing.assert_allclose(new_mean, 0.1 * mean)
    np.testing.assert_allclose(new_variance, 0.9 + 0.1 * variance * (24 / 23 if unbiased else 1))
    assert not moving_mean.get_value().any() and (moving_variance.get_value() == 1).all()


def test_moving_averages_change_only_when_the_update_ops_run():
    x, training = tf.placeholder("float32", [None, 4]), at.bscalar("training")
    h = tf.layers.batch_normalization(x, training=training)
    loss = tf.losses.mean_squared_error(x[:, :1], (h * tf.Variable(np.ones(4, "float32"))).sum(axis=1, keepdims=True))
    averages = [v for v, _ in tf.update_ops(loss)]
    assert len(tf.trainable_variables(loss)) == 3  # beta, gamma, and ours
    start = [v.get_value() for v in averages]
    optimizer, data = tf.train.GradientDescentOptimizer(0.01), draw(8, 4, dtype="float32") + 2
    forgotten = engine.compile([x, training], loss, updates=optimizer.minimize(loss), backend="numpy")
    for _ in range(3):
        forgotten(data, 1)
    np.testing.assert_array_equal([v.get_value() for v in averages], start)
    step = tf.train.function([x, training], loss, optimizer, backend="numpy")
    step(data, 0)  # not in training: they stay
    np.testing.assert_array_equal([v.get_value() for v in averages], start)
    for _ in range(600):
        step(data, 1)
    np.testing.assert_allclose(averages[0].get_value(), data.mean(0), rtol=0.01)
    np.testing.assert_allclose(averages[1].get_value(), data.var(0), rtol=0.1)
    # with its moving averages the graph for tests now gives what the one for training does
    function = engine.compile([x, training], h, backend="numpy")
    np.testing.assert_allclose(function(data, 0), function(data, 1), atol=0.05)
    np.testing.assert_array_less(0.5, abs(function(data + 5, 0) - function(data + 5, 1)).max())


# 7. Traps: what TensorFlow lets pass, or dies of


def test_stride_0_is_refused():
    z, w = zeros(1, 4, 4, 4), zeros(3, 3, 2, 4)
    for strides in (0, [1, 0, 2, 1], (2, 0)):
        for build in (
            lambda s: tf.conv2d(zeros(1, 8, 8, 2), w, s, "SAME"),
            lambda s: tf.conv2d_transpose(z, w, [1, 8, 8, 2], s),
            lambda s: tf.conv2d_backprop_filter(zeros(1, 8, 8, 2), w.shape, z, s, "SAME"),
            lambda s: tf.max_pool(z, 2, s, "SAME"),
        ):
            assert "strides" in refused(lambda build=build, strides=strides: build(strides))


def test_wrong_channels_are_refused():
    """TensorFlow 1.15 takes some of these and computes with whatever lies in memory."""
    x, w, z = zeros(1, 8, 8, 2), zeros(3, 3, 2, 4), zeros(1, 4, 4, 4)
    refused(lambda: tf.conv2d(zeros(1, 8, 8, 6), w, 2, "SAME"), axis=3, actual=6, legal=(2,))
    refused(lambda: tf.conv2d_transpose(zeros(1, 4, 4, 8), w, [1, 8, 8, 2], 2), axis=3, actual=8, legal=(4,))
    refused(lambda: tf.conv2d_transpose(z, w, [1, 8, 8, 3], 2), axis=3, actual=3, legal=(2,))
    refused(lambda: tf.conv2d_backprop_input([1, 8, 8, 3], w, z, 2, "SAME"), axis=3, actual=3)
    refused(lambda: tf.conv2d_backprop_filter(x, [3, 3, 1, 4], z, 2, "SAME"), axis=3, actual=2, legal=(1,))
    refused(lambda: tf.conv2d_transpose(z, w, [2, 8, 8, 2], 2), axis=0, actual=1, computed=2)


def test_wrong_sizes_of_a_gradient_are_refused():
    refused(
        lambda: tf.conv2d_backprop_filter(zeros(1, 8, 9, 2), [3, 3, 2, 4], zeros(1, 4, 4, 4), 2, "SAME"),
        axis=2,
        actual=4,
        computed=5,
    )


def test_illegal_3d_sizes_are_refused_at_the_call_too():
    """TensorFlow 2 with oneDNN silently crops."""
    value = tf.placeholder("float32", [None, None, None, None, 2])
    y = tf.conv3d_transpose(value, zeros(3, 3, 3, 1, 2), [tf.shape(value)[0], 8, 6, 7, 1], 2)
    function = engine.compile([value], y, backend="numpy")
    assert function(zeros(2, 4, 3, 4, 2)).shape == (2, 8, 6, 7, 1)
    refused(lambda: function(zeros(2, 4, 3, 3, 2)), axis=3, actual=3, computed=4, legal=(5, 6))


def test_keras_same_with_an_even_kernel_and_no_output_padding_is_refused():
    x = zeros(1, 3, 3, 2)
    for symbolic in (x, tf.placeholder("float32", [None, None, None, 2])):
        with pytest.raises(SizeError):
            tf.keras.layers.Conv2DTranspose(1, 4, 2, "same", output_padding=0, name="up")(symbolic)
    with pytest.raises(SizeError, match="output_padding"):
        tf.keras.layers.Conv2DTranspose(1, 3, 2, "same", output_padding=2)(x)
