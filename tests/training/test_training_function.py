"""Training steps: what changes, what must not, and that a small FCN learns."""

from __future__ import annotations

import importlib.util
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from deconv_legacy import engine
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    DeconvolutionLayer,
    InputLayer,
    Network,
    ReluLayer,
    SoftmaxLossLayer,
    UpscoreLayer,
)
from deconv_legacy.networks import fcn8s
from deconv_legacy.training import adam, momentum, sgd, training_function

HAVE_JAX = importlib.util.find_spec("jax") is not None
BACKENDS = ["numpy", *(["c"] if engine.have_compiler() else []), *(["jax"] if HAVE_JAX else [])]
RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((2, 3, 8, 6)).astype("float32")
LABEL = RNG.integers(0, 4, (2, 1, 16, 12)).astype("float32")


def network(**batch_norm):
    data, label = InputLayer((None, 3, None, None)), InputLayer((None, 1, None, None), name="label")
    held = ConvolutionLayer(data, (5, 3, 3, 3), 1, 1, "held", b=np.ones(5), rng=1, frozen=True)
    bn = BatchNormLayer(held, train=True, name="bn", **batch_norm)
    score = ConvolutionLayer(ReluLayer(bn), (4, 5, 1, 1), name="score", b=True, rng=2)
    up = UpscoreLayer(score, 2, kernel=2)
    return Network([SoftmaxLossLayer(up, label), up])


@pytest.mark.parametrize(
    ("rule", "backend"),
    [*((partial(momentum, learning_rate=0.5), backend) for backend in BACKENDS), (adam, "numpy")],
    ids=[*(f"momentum-{backend}" for backend in BACKENDS), "adam-numpy"],
)
def test_frozen_parameters_stay_and_averages_move(rule, backend):
    net = network()
    before = net.weights()
    step = training_function(net, rule, "loss", backend=backend)
    losses = [float(step(IMAGE, LABEL)) for _ in range(4)]
    assert all(later < earlier for earlier, later in pairwise(losses))
    after = net.weights()
    for name in ("held", "upscore"):
        for old, new in zip(before[name], after[name], strict=True):
            assert old.tobytes() == new.tobytes()
    for name in ("bn", "score"):
        for old, new in zip(before[name], after[name], strict=True):
            assert not np.array_equal(old, new), name
    # four steps with one batch: averages end where the formula says
    x = net.function("held", backend="numpy")(IMAGE, LABEL)
    np.testing.assert_allclose(after["bn"][2], (1 - 0.9**4) * x.mean(axis=(0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(after["bn"][3], 0.9**4 + (1 - 0.9**4) * x.var(axis=(0, 2, 3)), rtol=1e-4)


def test_a_frozen_batch_norm_stays_too():
    net = network(frozen=True)
    before = net.weights()["bn"]
    training_function(net, partial(sgd, learning_rate=0.1), "loss", backend="numpy")(IMAGE, LABEL)
    for old, new in zip(before, net.weights()["bn"], strict=True):
        assert old.tobytes() == new.tobytes()


def test_a_deconvolution_that_learns_finds_the_filters():
    """The one that made the data, from noise: the layer trains, its bias too."""
    rng = np.random.default_rng(3)
    truth, bias = rng.standard_normal((2, 3, 3, 2)), rng.standard_normal(3)
    x = InputLayer((None, 2, None, None), dtype="float64")
    teacher = DeconvolutionLayer(x, truth.shape, (2, 1), W=truth, b=bias, name="teacher")
    images = rng.standard_normal((4, 2, 5, 6))
    wanted = engine.compile([x.output], teacher.output, backend="numpy")(images)
    pupil = DeconvolutionLayer(x, truth.shape, (2, 1), b=True, rng=1)
    loss = engine.aesara.tensor.square(pupil.output - wanted).mean()
    updates = momentum(loss, pupil.trainable_params, 0.4, 0.8)
    step = engine.compile([x.output], loss, updates=updates, backend="numpy")
    for _ in range(150):
        step(images)
    np.testing.assert_allclose(pupil.W.get_value(), truth, atol=1e-6)
    np.testing.assert_allclose(pupil.b.get_value(), bias, atol=1e-6)


def test_fcn8s_learns():
    """Narrow, from its initial weights, one image of three fields; the upscores stay as they are."""
    fcn = fcn8s(3, 1 / 64, rng=5, at_once=False)
    label = InputLayer((None, 1, None, None), name="label")
    net = Network(SoftmaxLossLayer(fcn["score"], label, ignore_label=255))
    image = np.random.default_rng(1).standard_normal((1, 3, 19, 34)).astype("float32")
    fields = np.zeros((1, 1, 19, 34), "float32")
    fields[..., 12:] = 1
    fields[:, :, 12:] = 2
    fields[:, :, :2, :5] = 255
    before = net.weights()
    step = training_function(net, partial(momentum, learning_rate=0.003), backend="numpy")
    losses = [float(step(image, fields)) for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0] and losses[-1] < 0.9 * losses[0]
    for name, arrays in net.weights().items():
        changed = any(not np.array_equal(a, b) for a, b in zip(arrays, before[name], strict=True))
        assert changed != name.startswith("upscore"), name


def test_what_is_no_training_is_refused():
    net = network()
    with pytest.raises(MismatchError, match="2 outputs; name the layer"):
        training_function(net, adam)
    with pytest.raises(SizeError, match=r"upscore \(UpscoreLayer\).*no axes.*4"):
        training_function(net, adam, "upscore")
    with pytest.raises(MismatchError, match="no layer is called 'los'"):
        training_function(net, adam, "los")
    data, label = InputLayer((None, 3, None, None)), InputLayer((None, 1, None, None), name="label")
    with pytest.raises(MismatchError, match=r"loss \(SoftmaxLossLayer\).*no parameter"):
        training_function(Network(SoftmaxLossLayer(data, label)), adam)
