"""FCN: sizes of every image, crop offsets, values against real Caffe and against NumPy and SciPy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from agreement import assert_close

from deconv_legacy import engine, reference
from deconv_legacy.caffe import read_weights
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import ConvolutionLayer, CropLayer, InputLayer, PoolLayer, UpscoreLayer
from deconv_legacy.networks import fcn8s, fcn16s, fcn32s, fcn_alexnet

CAFFE = Path(__file__).parents[1] / "data" / "caffe" / "nets"
NARROW = ((4,), (5,), (6, 6), (7,), (8,))  # one or two convolutions a stage, for speed
HAVE_JAX = importlib.util.find_spec("jax") is not None
BACKENDS = ["numpy", *(["c"] if engine.have_compiler() else []), *(["jax"] if HAVE_JAX else [])]


def offsets(net):
    return {layer.name: layer.offset for layer in net.layers.values() if isinstance(layer, CropLayer)}


def test_crop_offsets_are_derived():
    expected = {
        fcn32s: {"score": 19},
        fcn16s: {"score_pool4c": 5, "score": 27},
        fcn8s: {"score_pool4c": 5, "score_pool3c": 9, "score": 31},
        fcn_alexnet: {"score": 18},
    }
    for build, wanted in expected.items():
        assert offsets(build(width=1 / 64)) == {name: (n, n) for name, n in wanted.items()}
    assert offsets(fcn8s(width=1 / 64, at_once=True)) == offsets(fcn8s(width=1 / 64))


@pytest.mark.parametrize(("size", "score", "upscore"), [(500, 16, 544), (224, 8, 288), (1, 1, 64)])
def test_sizes_of_the_paper(size, score, upscore):
    net = fcn32s(21, 1 / 64, InputLayer((1, 3, size, 33)), stages=NARROW)
    assert [net[name].output_shape[2] for name in ("score_fr", "upscore", "score")] == [score, upscore, size]
    assert net["score"].offset[0] == 19 and 19 + size - 1 == {500: 518, 224: 242, 1: 19}[size]


def sizes_by_hand(n):
    """pool3, pool4, pool5, score: five poolings by two that round up, after 100 zeros on both sides."""
    n += 198
    pools = [n := -(-n // 2) for _ in range(5)]
    return [*pools[2:], n - 6]


@pytest.fixture(scope="module")
def narrow_fcn32s():
    net = fcn32s(3, 1 / 64, stages=NARROW, rng=1)
    return net.function(["pool3", "pool4", "pool5", "score_fr", "upscore", "score"])


@pytest.mark.parametrize("size", [(1, 224), (2, 33), (31, 1), (32, 2), (33, 31), (224, 32)])
def test_images_of_every_size_fit(narrow_fcn32s, size):
    *values, upscore, score = narrow_fcn32s(np.ones((1, 3, *size), "float32"))
    for value, rows, columns in zip(values, *map(sizes_by_hand, size), strict=True):
        assert value.shape[2:] == (rows, columns)
    assert upscore.shape[2:] == tuple(32 * (n - 1) + 64 for n in values[-1].shape[2:])
    assert score.shape == (1, 3, *size)
    np.testing.assert_array_equal(score, upscore[:, :, 19 : 19 + size[0], 19 : 19 + size[1]])


def crop_fits(size, pad):
    """Whether the last crop of an FCN-32s with this first pad lies inside, for an image of `size` rows."""
    data = InputLayer((1, 1, size, 1))
    top = ConvolutionLayer(data, (1, 1, 3, 3), 1, (pad, 100), name="first")
    for i in range(5):
        top = PoolLayer(top, 2, rounding="caffe", name=f"pool{i}")
    try:
        top = ConvolutionLayer(top, (1, 1, 7, 7), name="fc6")
        CropLayer(UpscoreLayer(top, 32), data)
    except SizeError:
        return False
    return True


def test_97_is_the_least_pad_that_fits_every_image_and_100_fits():
    assert all(crop_fits(size, pad) for pad in (97, 100) for size in range(1, 35))
    assert not all(crop_fits(size, 96) for size in range(1, 35))


def conv(x, weights, pad=0, stride=1, groups=1):
    w, b = weights
    return reference.conv(x, w, stride, pad, groups=groups) + b.reshape(1, -1, 1, 1)


def upscored(x, factor, kernel=None):
    """By SciPy, row by row and column by column, with the interpolation written out."""
    k = 2 * factor if kernel is None else kernel
    half = (k + 1) // 2
    line = 1 - np.abs(np.arange(k) - (half - 1 if k % 2 else half - 0.5)) / half
    for axis in (2, 3):
        x = scipy.signal.upfirdn(line, x, up=factor, axis=axis)
    return x


def cropped(x, like, offset):
    return reference.crop(x, like.shape, offset)


def head(x, weights):
    for name in ("fc6", "fc7"):
        x = reference.relu(conv(x, weights[name]))
    return conv(x, weights["score_fr"])


def vgg_by_hand(data, weights, stages):
    x, pools = data, {}
    for stage, convolutions in enumerate(stages, 1):
        for i in range(1, len(convolutions) + 1):
            pad = 100 if (stage, i) == (1, 1) else 1
            x = reference.relu(conv(x, weights[f"conv{stage}_{i}"], pad))
        pools[stage] = x = reference.caffe_max_pool(x, 2, 2)[0]
    return head(x, weights), pools


def fcn32s_by_hand(data, weights, stages):
    score, _ = vgg_by_hand(data, weights, stages)
    return cropped(upscored(score, 32), data, 19)


def fcn16s_by_hand(data, weights, stages):
    score, pools = vgg_by_hand(data, weights, stages)
    score = upscored(score, 2)
    score = score + cropped(conv(pools[4], weights["score_pool4"]), score, 5)
    return cropped(upscored(score, 16), data, 27)


def fcn8s_by_hand(data, weights, stages, scales=(1, 1)):
    score, pools = vgg_by_hand(data, weights, stages)
    for pool, offset, scale in ((4, 5, scales[0]), (3, 9, scales[1])):
        score = upscored(score, 2)
        score = score + cropped(conv(scale * pools[pool], weights[f"score_pool{pool}"]), score, offset)
    return cropped(upscored(score, 8), data, 31)


def at_once_by_hand(data, weights, stages):
    return fcn8s_by_hand(data, weights, stages, (0.01, 0.0001))


def alexnet_by_hand(data, weights):
    x = data
    for i, (pad, stride, groups) in enumerate([(100, 4, 1), (2, 1, 2), (1, 1, 1), (1, 1, 2), (1, 1, 2)], 1):
        x = reference.relu(conv(x, weights[f"conv{i}"], pad, stride, groups))
        if i in (1, 2, 5):
            x = reference.caffe_max_pool(x, 3, 2)[0]
        if i in (1, 2):
            x = reference.lrn_across(x, 5, 1e-4, 0.75)
    return cropped(upscored(head(x, weights), 32, 63), data, 18)


@pytest.mark.parametrize(
    ("build", "by_hand", "keywords"),
    [
        (fcn32s, fcn32s_by_hand, {}),
        (fcn16s, fcn16s_by_hand, {}),
        (fcn8s, fcn8s_by_hand, {}),
        (fcn8s, at_once_by_hand, {"at_once": True}),
    ],
)
def test_values(build, by_hand, keywords):
    data = InputLayer((None, 3, None, None), dtype="float64")
    net = build(4, 1 / 128, data, stages=tuple(tuple(128 * n for n in s) for s in NARROW), rng=2, **keywords)
    image = np.random.default_rng(0).standard_normal((2, 3, 21, 38))
    expected = by_hand(image, net.weights(), NARROW)
    for backend in BACKENDS:
        score = net.function(backend=backend)(image)
        assert_close(score, expected)


def test_values_of_alexnet():
    net = fcn_alexnet(5, 1 / 32, InputLayer((None, 3, None, None), dtype="float64"), rng=3)
    image = np.random.default_rng(0).standard_normal((1, 3, 9, 40))
    expected = alexnet_by_hand(image, net.weights())
    score = net.function()(image)
    assert score.shape == (1, 5, 9, 40)
    assert_close(score, expected)


@pytest.mark.parametrize(("build", "name"), [(fcn8s, "fcn8s"), (fcn32s, "fcn32s")])
def test_caffes_weights_fit_and_give_caffes_scores(build, name):
    """By the names of the authors' prototxts."""
    stages = ((4, 4), (8, 8), (16, 16, 16), (32, 32, 32), (32, 32, 32))
    net = build(4, 1 / 128, stages=tuple(tuple(128 * n for n in stage) for stage in stages))
    net.load(read_weights(CAFFE / name / "weights.caffemodel"))
    with np.load(CAFFE / name / "io_97x131.npz") as z:
        score = net.function()(z["in/data"])
        assert np.abs(score - z["out/score"]).max() <= 2e-5 * np.abs(z["out/score"]).max()
        np.testing.assert_array_equal(score[0].argmax(axis=0), z["argmax"])


def test_channels_classes_and_seeds():
    net = fcn32s(5, 1 / 32, rng=7)
    shapes = {name: params[0].get_value().shape for name, params in net.params.items()}
    assert shapes["conv1_1"] == (2, 3, 3, 3) and shapes["conv4_1"] == (16, 8, 3, 3)
    assert shapes["fc6"] == (128, 16, 7, 7) and shapes["score_fr"] == (5, 128, 1, 1)
    assert shapes["upscore"] == (5, 5, 64, 64)
    weights, again = net.weights(), fcn32s(5, 1 / 32, rng=7).weights()
    assert all(np.array_equal(a, b) for name in weights for a, b in zip(weights[name], again[name], strict=True))
    # one seed, but no two layers alike
    assert not np.array_equal(weights["conv5_2"][0], weights["conv5_3"][0])
    assert not np.array_equal(weights["conv5_2"][0], fcn32s(5, 1 / 32, rng=8).weights()["conv5_2"][0])


def test_frozen_layers_are_those_that_interpolate_or_scale():
    net = fcn8s(4, 1 / 64, at_once=True)
    frozen = [name for name, layer in net.layers.items() if layer.frozen]
    assert sorted(frozen) == ["scale_pool3", "scale_pool4", "upscore2", "upscore8", "upscore_pool4"]
    assert (net["scale_pool4"].W.get_value() == np.float32(0.01)).all()
    assert (net["scale_pool3"].W.get_value() == np.float32(0.0001)).all()


def test_what_a_network_is_built_on():
    at = engine.aesara.tensor
    four = fcn32s(3, 1 / 64, InputLayer((None, 4, None, None)), stages=NARROW)
    assert four["conv1_1"].filter_shape[1] == 4
    assert fcn32s(3, 1 / 64, at.tensor4("x", dtype="float32"), stages=NARROW)["score"].output_shape == (
        None,
        3,
        None,
        None,
    )
    with pytest.raises(SizeError, match=r"data \(InputLayer\).*channels"):
        fcn32s(3, 1 / 64, InputLayer((None,) * 4))
    with pytest.raises(SizeError, match="2 axes, 4 are needed"):
        fcn32s(3, 1 / 64, at.matrix())
    with pytest.raises(SizeError, match=r"score_fr .*filter_shape.*0"):
        fcn32s(0, 1 / 64, stages=NARROW)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_only_in_training(backend):
    net = fcn32s(3, 1 / 64, stages=NARROW, train=True, rng=1)
    names = ["relu6", "drop6"]
    before, after = net.function(names, backend=backend)(np.ones((1, 3, 5, 6), "float32"))
    assert set(np.unique(after[before > 0] / before[before > 0])) == {0, 2}
    plain = fcn32s(3, 1 / 64, stages=NARROW, rng=1)
    before, after = plain.function(names, backend=backend)(np.ones((1, 3, 5, 6), "float32"))
    np.testing.assert_array_equal(before, after)
