"""What the deconvolutions of all the systems have in common, with each system's own layout; traps of other systems."""

import numpy as np
import pytest

from deconv_legacy import caffe, engine, fillers, geometry, reference, tf
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import BatchNormLayer, DeconvolutionLayer, InputLayer
from deconv_legacy.networks import fcn32s
from deconv_legacy.theano.old import abstract_conv
from deconv_legacy.training import sgd

at = aesara.tensor
DTYPES = ("float32", "float64")


def eighths(*shape, dtype="float32", seed=0):
    """Numbers whose products and sums are exact in float32 too."""
    return np.random.default_rng(seed).integers(-16, 17, shape).astype(dtype) / 8


def numbers(outputs):
    return engine.compile([], outputs, backend="numpy")()


# 0. The rules that everything reduces to


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_deconvolution_is_full_cut_to_its_output(dtype):
    """full[i s + j] += x[i] w[j]; SAME begins at half of max((n-1)s + k - o, 0); zeros beyond `full`."""
    n, ours, wanted = 4, [], []
    x = eighths(n, dtype=dtype)
    for k, s in ((1, 2), (2, 2), (3, 2), (4, 2), (5, 3), (2, 3), (1, 4)):
        w = eighths(k, dtype=dtype, seed=k)
        full = np.zeros((n - 1) * s + k, dtype)
        for i in range(n):
            full[i * s : i * s + k] += x[i] * w
        legal = {"SAME": range((n - 1) * s + 1, n * s + 1), "VALID": range(len(full), len(full) + s)}
        for padding, sizes in legal.items():
            for o in sizes:
                before = max(len(full) - o, 0) // 2 if padding == "SAME" else 0
                padded = np.append(full, np.zeros(s, dtype))
                wanted.append(padded[before : before + o])
                y = tf.conv2d_transpose(x.reshape(1, 1, n, 1), w.reshape(1, k, 1, 1), [1, 1, o, 1], [1, s], padding)
                ours.append(y.flatten())
    for value, expected in zip(numbers(ours), wanted, strict=True):
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, expected)


def caffe_deconvolution(w, x, stride, pad, group):
    """`w` ``[in, out / group, k, k]``; by a prototxt."""
    net = caffe.Net(
        caffe.parse_net(
            f'input: "x" input_shape {{ dim: {list(x.shape)} }} layer {{ name: "up" type: "Deconvolution" bottom: "x" '
            f'top: "y" convolution_param {{ num_output: {w.shape[1] * group} bias_term: false kernel_size: '
            f"{w.shape[2]} stride: {stride} pad: {pad} group: {group} }} }}"
        ),
        caffe.TEST,
    )
    net.params["up"][0].data[...] = w
    return net.forward(x=x)["y"]


def test_one_deconvolution_in_every_systems_layout():
    """TensorFlow's filters are [kh, kw, OUT, IN], Caffe's [in, out, kh, kw]; Theano's too, and it alone flips them."""
    x, w = eighths(2, 4, 3, 5), eighths(4, 3, 4, 4, seed=1)
    expected = caffe_deconvolution(w, x, 2, 1, 1)
    assert expected.shape == (2, 3, 6, 10)
    last, turned = x.transpose(0, 2, 3, 1), w[:, :, ::-1, ::-1]
    image, rule = InputLayer(x.shape), dict(stride=2, padding=1)
    theano_rule = dict(input_shape=(None, None, 6, 10), subsample=(2, 2), border_mode=(1, 1))
    layers = [DeconvolutionLayer(image, w.shape, **rule, W=turned)]
    layers.append(DeconvolutionLayer(image, w.shape, **rule, W=w, filter_flip=False))
    tf_filters = w.transpose(2, 3, 1, 0)
    keras = tf.keras.layers.Conv2DTranspose(3, 4, 2, "same", kernel_initializer=tf_filters)
    outputs = [
        tf.conv2d_transpose(last, tf_filters, [2, 6, 10, 3], 2, "SAME").dimshuffle(0, 3, 1, 2),
        keras(last).dimshuffle(0, 3, 1, 2),
        abstract_conv.conv2d_grad_wrt_inputs(at.constant(x), at.constant(turned), **theano_rule),
        engine.conv_input_gradient(w, x, (6, 10), stride=2, border_mode=1),
        *(layer.output for layer in layers),
    ]
    for value in engine.compile([image.output], outputs, backend="numpy")(x):
        np.testing.assert_array_equal(value, expected)
    assert not np.array_equal(caffe_deconvolution(turned, x, 2, 1, 1), expected)


# 4. Batch normalisation of torch and of Caffe


def test_batch_norm_defaults_of_torch():
    """momentum 0.1, epsilon 1e-5, a gamma and a beta."""
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 5)) / 200
    data = InputLayer((None, 2, None, None), dtype="float64")
    layer = BatchNormLayer(data, train=True, unbiased=True)
    y = engine.compile([data.output], layer.output, updates=layer.updates, backend="numpy")(x)
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-10)
    np.testing.assert_allclose(layer.mean.get_value(), 0.1 * mean.ravel(), rtol=1e-10)
    np.testing.assert_allclose(layer.variance.get_value(), 0.9 + 0.1 * variance.ravel() * 60 / 59, rtol=1e-10)
    assert len(layer.trainable_params) == 2


def test_batch_norm_defaults_of_caffe():
    """moving_average_fraction 0.999, eps 1e-5; the third blob counts what the sums are to be divided by."""
    net = caffe.Net(
        caffe.parse_net("""input: "x" input_shape { dim: [2, 3, 4, 5] }
        layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }"""),
        caffe.TRAIN,
    )
    assert len(net.params["bn"]) == 3
    rng, sums, count = np.random.default_rng(0), np.zeros((2, 3)), 0.0
    for _ in range(2):
        x = (rng.standard_normal((2, 3, 4, 5)) / 200).astype("float32")
        mean, variance = x.mean((0, 2, 3), dtype="float64"), x.var((0, 2, 3), dtype="float64")
        y = net.forward(x=x)["y"]
        wanted = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
        np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)
        sums, count = 0.999 * sums + [mean, variance * 40 / 39], 0.999 * count + 1
    for blob, expected in zip(net.params["bn"], (*sums, [count]), strict=True):
        np.testing.assert_allclose(blob.data, expected, rtol=1e-4, atol=1e-9)


# 5. FCN-32s: what is frozen stays, to the bit


def test_the_frozen_upscore_of_fcn32s_is_the_same_after_training():
    net = fcn32s(3, 1 / 64, stages=((4,), (5,), (6,), (7,), (8,)), rng=1)
    x = np.random.default_rng(0).standard_normal((1, 3, 2, 3)).astype("float32")
    before = net.weights()
    loss = net["score"].output.sum()
    step = engine.compile(
        [net["data"].output], loss, updates=sgd(loss, net.param_list(trainable=True), 0.01), backend="numpy"
    )
    step(x)
    after = net.weights()
    (w,), (kept,) = before["upscore"], after["upscore"]
    assert w.shape == (3, 3, 64, 64)
    np.testing.assert_array_equal(w, fillers.bilinear((3, 3, 64, 64), kind="diagonal"))
    assert w.tobytes() == kept.tobytes()
    assert not np.array_equal(before["score_fr"][0], after["score_fr"][0])


# 6. Laws of Dumoulin & Visin, arXiv 1603.07285


@pytest.mark.parametrize("k", range(1, 6))
def test_relations_8_to_13_are_cases_of_14(k):
    """14 is i = s(n - 1) + a + k - 2p, of the stretched input with a zeros behind and p' = k - p - 1."""
    for n in range(k, k + 6):
        unit = {8: ("valid", n + k - 1), 9: (1, n + k - 3), 11: ("full", n - k + 1)}
        if k % 2:
            unit[10] = ("half", n)
        for mode, size in unit.values():
            if size > 0:
                assert list(geometry.deconv_output_sizes(n, k, 1, mode)) == [size]
        for s in (2, 3):
            for p in range(min(k, 3)):
                # 12 has p = 0, 13 any p, both without a remainder
                without = geometry.equivalent_convolution(n, k, s, p)
                assert (without.output_size, without.extra) == (s * (n - 1) + k - 2 * p, 0)
                for a in range(s):
                    found = geometry.equivalent_convolution(n, k, s, p, output_size=s * (n - 1) + a + k - 2 * p)
                    assert found.stretched == n + (n - 1) * (s - 1) and found.extra == a
                    assert found.pads == (k - p - 1, k - p - 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "rule",
    [
        dict(stride=(2, 1), border_mode=((1, 0), (0, 2)), flip=False),
        dict(stride=(2, 3), border_mode="same", groups=2, flip=True),
        dict(stride=1, border_mode="half", dilation=(2, 1), flip=False),
    ],
    ids=["pads", "same, groups", "dilation"],
)
def test_gradients_of_a_deconvolution(rule, dtype):
    """With respect to its input a convolution, to its filter the filter's gradient with the roles swapped. Exact."""
    groups = rule.get("groups", 1)
    image, w = eighths(2, 2 * groups, 7, 8, dtype=dtype), eighths(4, 2, 3, 2, dtype=dtype, seed=1)
    x, w = (
        at.as_tensor_variable(eighths(*engine.conv(image, w, **rule).type.shape, dtype=dtype, seed=2)),
        at.constant(w),
    )
    cost = (engine.conv_input_gradient(w, x, (7, 8), **rule) * image).sum()
    of_x, of_w, convolution, filter_gradient = numbers(
        [
            *aesara.grad(cost, [x, w]),
            engine.conv(image, w, **rule),
            engine.conv_weight_gradient(image, x, (3, 2), **rule),
        ]
    )
    assert of_x.dtype == of_w.dtype == dtype
    np.testing.assert_array_equal(of_x, convolution)
    np.testing.assert_array_equal(of_w, filter_gradient)


# 7. Traps in other people's code


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_grouped_deconvolution_is_one_for_each_group(dtype):
    """Where ONNX's ReferenceEvaluator is wrong."""
    x, w = eighths(2, 6, 3, 4, dtype=dtype), eighths(6, 2, 4, 4, dtype=dtype, seed=1)
    cut = [np.s_[2 * i : 2 * i + 2] for i in range(3)]
    whole, *parts = numbers(
        [
            engine.conv_input_gradient(w, x, (6, 8), stride=2, border_mode=1, groups=3),
            *(engine.conv_input_gradient(w[c], x[:, c], (6, 8), stride=2, border_mode=1) for c in cut),
        ]
    )
    assert whole.shape == (2, 6, 6, 8) and whole.dtype == dtype
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    np.testing.assert_array_equal(whole, reference.conv_input_grad(w, x, (6, 8), 2, 1, groups=3))
    if dtype == "float32":
        np.testing.assert_array_equal(caffe_deconvolution(w, x, 2, 1, 3), whole)


@pytest.mark.parametrize("system", ["theano", "caffe", "layers", "tf 3d"])
def test_stride_0_is_refused_by_every_system(system):
    x, w = np.zeros((1, 2, 3, 3), "float32"), np.zeros((2, 1, 3, 3), "float32")
    volume, filter = np.zeros((1, 3, 3, 3, 2), "float32"), np.zeros((3, 3, 3, 1, 2), "float32")
    build = {
        "theano": lambda: abstract_conv.conv2d_grad_wrt_inputs(
            at.constant(x), at.constant(w), (1, 1, 5, 5), subsample=(0, 1)
        ),
        "caffe": lambda: caffe_deconvolution(w, x, 0, 0, 1),
        "layers": lambda: DeconvolutionLayer(InputLayer(x.shape), w.shape, (1, 0)),
        "tf 3d": lambda: tf.conv3d_transpose(volume, filter, [1, 5, 5, 5, 1], [1, 1, 0, 1, 1]),
    }[system]
    with pytest.raises(SizeError, match=r"stride|subsample"):
        build()


def test_wrong_channels_of_a_volume_are_refused():
    value, filter = np.zeros((1, 2, 3, 4, 5), "float32"), np.zeros((3, 3, 3, 2, 5), "float32")
    assert tf.conv3d_transpose(value, filter, [1, 4, 6, 8, 2], 2).type.shape == (1, 4, 6, 8, 2)
    for shape, axis, actual in (((1, 4, 6, 8, 3), 4, 3), ((1, 4, 6, 9, 2), 3, 4), ((2, 4, 6, 8, 2), 0, 1)):
        with pytest.raises(SizeError) as caught:
            tf.conv3d_transpose(value, filter, shape, 2)
        assert (caught.value.axis, caught.value.actual) == (axis, actual)
    with pytest.raises(SizeError) as caught:
        tf.conv3d_transpose(value[..., :4], filter, [1, 4, 6, 8, 2], 2)
    assert (caught.value.axis, caught.value.actual, caught.value.legal) == (4, 4, (5,))


def test_output_padding_of_torch():
    """Below the stride or the dilation; below the dilation alone torch gives a size from which no way leads back."""

    def size(op, stride, dilation=1):
        return geometry.deconv_default_size(4, 3, stride, 1, dilation, convention="torch", output_padding=op)

    assert [size(op, 3) for op in range(3)] == [10, 11, 12]
    with pytest.raises(SizeError, match=r"`output_padding` \(=3\) must be smaller than the stride \(=3\)"):
        size(3, 3)
    assert size(0, 1, 2) == 6
    with pytest.raises(SizeError) as caught:
        size(1, 1, 2)
    assert (caught.value.actual, caught.value.computed, caught.value.legal) == (4, 5, (6,))
