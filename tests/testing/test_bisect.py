"""Faults planted in a small FCN-8s and in a net with batch normalisation: the right layer and the right cause."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from kit_helpers import elsewhere, fcn8s, golden, image, normalized

from deconv_legacy import fillers
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError
from deconv_legacy.testing import CAUSES, Recording, bisect, record, subject_of

at = aesara.tensor

MEAN = np.array([104.00699, 116.66877, 122.67892]).reshape(1, 3, 1, 1)


@pytest.fixture(scope="module")
def net():
    return fcn8s()


@pytest.fixture(scope="module")
def small():
    return normalized()


def found(recording, subject):
    """Layer and cause, and that the difference vanishes with it."""
    result = bisect(recording, subject)
    assert not result.ok and len(result.findings) == 1
    first = result.first
    assert first.cause is not None, first.text()
    assert not first.before.ok
    assert first.after is None or first.after.ok
    return first.layer, first.cause.name


def test_the_untouched_nets_have_nothing(net, small):
    for recording, subject in ((golden(), net), (golden(normalized), small)):
        result = bisect(recording, subject, everything=True)
        assert result.ok and not result.skipped
        assert result.checked == len(recording.blobs) > 5
        assert "every layer does what the recording says" in result.text()


@pytest.fixture
def other_values(net):
    """Sets a parameter to a function of its values, and back when the test ends."""
    kept = []

    def change(name, function):
        variable = net.params[name]
        kept.append((variable, variable.get_value()))
        variable.set_value(np.ascontiguousarray(function(variable.get_value())).astype(variable.dtype))

    yield change
    for variable, values in kept:
        variable.set_value(values)


IN_WEIGHTS = [
    ("conv3_2.W", lambda w: w[:, :, ::-1, ::-1], "filter flip"),
    ("score_fr.W", lambda w: w[:, ::-1], "channel order"),
    ("conv1_1.W", lambda w: w[:, ::-1], "channel order"),
    ("conv4_2.W", lambda w: w.transpose(1, 0, 2, 3), "kernel layout"),
    ("conv2_2.W", lambda w: w.transpose(0, 1, 3, 2), "kernel layout"),
    # written as (rows, columns, in, out), read as (out, in, rows, columns)
    ("conv2_1.W", lambda w: w.transpose(2, 3, 1, 0).reshape(w.shape), "kernel layout"),
    ("upscore_pool4.W", lambda w: fillers.bilinear(w.shape, kind="every_pair"), "bilinear filler"),
    ("conv5_1.b", np.zeros_like, "bias shape"),
    ("fc7.b", lambda b: b[::-1], "bias shape"),
    ("fc6.W", lambda w: w * 1.0001, "other weights"),
]


@pytest.mark.parametrize(("name", "change", "cause"), IN_WEIGHTS, ids=[f"{n}-{c}" for n, _, c in IN_WEIGHTS])
def test_in_the_weights(net, other_values, name, change, cause):
    other_values(name, change)
    assert found(golden(), net) == (name.split(".")[0], cause)


IN_THE_TEXT = [
    ("pool3", 'top: "pool3"\n  pooling_param { pool: MAX', "round_mode: FLOOR", "ceil or floor pooling"),
    ("score_pool3c", "axis: 2 offset: 9", None, "crop offset"),
    ("score", "axis: 2 offset: 31", None, "crop offset"),
    ("conv3_1", 'top: "conv3_1"', "bias_term: false", "bias shape"),
]


@pytest.mark.parametrize(("layer", "at", "what", "cause"), IN_THE_TEXT, ids=[c[0] for c in IN_THE_TEXT])
def test_in_the_prototxt(layer, at, what, cause):
    def edit(text):
        assert text.count(at) == 1
        if what is None:
            return text.replace(at, at[:-1] + str(int(at[-1]) - 1))
        if what == "bias_term: false":
            before, after = text.split(at)
            return before + at + after.replace("kernel_size: 3", f"kernel_size: 3 {what}", 1)
        return text.replace(at, f"{at} {what}")

    recording = golden()
    if what == "bias_term: false":  # the biases are in the file: only the numbers from elsewhere have them
        subject = fcn8s()
        bare = elsewhere(subject, image(), {layer: lambda run, bottoms: run(bottoms, {1: np.zeros(16)})})
        assert found(bare, subject) == (layer, cause)
        return
    assert found(recording, fcn8s(edit)) == (layer, cause)


ELSEWHERE = [
    ("conv2_1", lambda run, b: run(b, padding=[(0, 2), (0, 2)]), "pad side"),
    ("conv5_3", lambda run, b: run(b, padding=[(2, 0), (2, 0)]), "pad side"),
    ("drop6", lambda run, b: [x * np.float32(0.5) for x in run(b)], "dropout scaling"),
    ("pool2", lambda run, b: run(b, rounding="floor"), "ceil or floor pooling"),
    ("conv4_1", lambda run, b: run(b, filter_flip=True), "filter flip"),
]


@pytest.mark.parametrize(("layer", "change", "cause"), ELSEWHERE, ids=[c[0] for c in ELSEWHERE])
def test_in_numbers_from_elsewhere(net, layer, change, cause):
    with_shapes_kept = layer != "pool2"
    if with_shapes_kept:
        recording = elsewhere(net, image(), {layer: change})
    else:  # the crops behind would not fit: only the blobs up to there
        recording = elsewhere(net, image())
        stage = net.stage(layer)
        (pooled,) = net.run_stage(stage, [recording[stage.bottoms[0]].values], rounding="floor")
        names = net.blobs[1 : net.blobs.index(layer)]
        blobs = {**{name: recording[name].values for name in names}, layer: pooled}
        recording = Recording.from_arrays(blobs, {"data": image()})
    assert found(recording, net) == (layer, cause)


@pytest.mark.parametrize(
    ("prepare", "cause"),
    [
        (lambda x: x - MEAN, "mean and scale"),
        (lambda x: x / 255, "mean and scale"),
        (lambda x: (x - 127.5) / 127.5, "mean and scale"),
        (lambda x: x[:, ::-1], "channel order"),
    ],
    ids=["mean", "scale", "both", "rgb"],
)
def test_in_the_preparation_of_the_input(small, prepare, cause):
    pixels = image(9, 11, batch=2)
    assert found(elsewhere(small, pixels, prepare=prepare), small) == ("conv", cause)


IN_NORMALIZATION = [
    ("bn.variance", np.sqrt, 3.0, "batch-norm variance"),
    ("bn.variance", lambda v: v + 1e-3 - 1e-5, 3.0, "batch-norm variance"),
    ("bn.count", np.ones_like, None, "batch-norm variance"),
    ("scale.bias", np.zeros_like, None, "bias shape"),
    ("up.b", lambda b: b[::-1], None, "bias shape"),
    ("up.W", lambda w: w[:, :, ::-1, ::-1], None, "filter flip"),
]


@pytest.mark.parametrize(
    ("name", "change", "count", "cause"), IN_NORMALIZATION, ids=[f"{i}-{c[0]}" for i, c in enumerate(IN_NORMALIZATION)]
)
def test_in_a_net_with_batch_normalisation(small, name, change, count, cause):
    variable = small.params[name]
    kept = variable.get_value()
    try:
        variable.set_value((change(kept / count) * count if count else change(kept)).astype("float32").copy())
        assert found(golden(normalized), small) == (name.split(".")[0], cause)
    finally:
        variable.set_value(kept)


def test_dropout_and_the_moments_of_the_batch(small):
    data = golden(normalized).input_arrays["data"]
    halved = elsewhere(small, data, {"drop": lambda run, b: [x * np.float32(0.6) for x in run(b)]})
    assert found(halved, small) == ("drop", "dropout scaling")

    def by_batch(run, bottoms):
        (x,) = bottoms
        mean, variance = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
        return [(x - mean) / np.sqrt(variance + np.float32(1e-5))]

    assert found(elsewhere(small, data, {"bn": by_batch}), small) == ("bn", "batch-norm variance")


def test_every_known_cause_is_planted_somewhere():
    planted = {c for *_, c in (*IN_WEIGHTS, *IN_THE_TEXT, *ELSEWHERE, *IN_NORMALIZATION)} | {"mean and scale"}
    assert planted - {"other weights"} == set(CAUSES)


def test_two_faults_are_found_one_after_the_other(net, other_values):
    other_values("conv2_1.W", lambda w: w[:, :, ::-1, ::-1])
    other_values("score_pool3.b", lambda b: 0 * b)
    result = bisect(golden(), net, everything=True)
    assert [(f.layer, f.cause.name) for f in result.findings] == [
        ("conv2_1", "filter flip"),
        ("score_pool3", "bias shape"),
    ]


def test_digests_are_enough_up_to_the_first_difference(net, other_values):
    recording = record(net, {"data": image()}, full_bytes=0)
    assert all(stored.values is None for stored in recording.blobs.values())
    assert bisect(recording, net, everything=True).ok
    other_values("conv3_2.W", lambda w: w[:, :, ::-1, ::-1])
    result = bisect(recording, net, everything=True)
    assert (result.first.layer, result.first.cause.name) == ("conv3_2", "filter flip")
    assert "conv3_3" in result.skipped and "score" in result.skipped
    assert "SHA-256 of the recorded parameter agrees" in result.first.cause.text


def test_in_a_plain_graph_with_names():
    """Theano's way: no layer classes, filters and biases are told by their shapes and names."""
    x = at.tensor4("x", dtype="float32")
    rng = np.random.default_rng(0)
    w = aesara.shared(rng.standard_normal((4, 3, 3, 2)).astype("float32"), name="w")
    b = aesara.shared(rng.standard_normal(4).astype("float32"), name="b")
    hidden = at.nnet.conv2d(x, w) + b.dimshuffle("x", 0, "x", "x")
    net = subject_of({"hidden": hidden, "y": at.tanh(hidden)}, backend="numpy")
    recording = record(net, {"x": rng.standard_normal((1, 3, 6, 7)).astype("float32")})
    assert bisect(recording, net).ok
    for variable, change, cause in (
        (w, lambda v: v[:, :, ::-1, ::-1], "filter flip"),
        (w, lambda v: v[:, ::-1], "channel order"),
        (w, lambda v: v.transpose(2, 3, 1, 0).reshape(v.shape), "kernel layout"),
        (b, lambda v: v[::-1], "bias shape"),
    ):
        kept = variable.get_value()
        variable.set_value(np.ascontiguousarray(change(kept)))
        assert found(recording, net) == ("hidden", cause)
        variable.set_value(kept)


def test_an_unknown_fault_is_named_as_such(net):
    def odd(run, bottoms):
        (y,) = run(bottoms)
        return [y + np.float32(0.3) * np.roll(y, 1, axis=1)]

    finding = bisect(elsewhere(net, image(), {"fuse_pool4": odd}), net).first
    assert (finding.layer, finding.cause) == ("fuse_pool4", None)
    assert "none of the known causes" in finding.text()


def test_nothing_in_common(net):
    with pytest.raises(MismatchError, match="no blob has the same name"):
        bisect(Recording.from_arrays({"x": np.ones(3)}, {"data": image()}), net)
    with pytest.raises(MismatchError, match="no values for input 'data'"):
        bisect(Recording.from_arrays({"score": np.ones(3)}), net)


FACADE = """
import deconv_legacy.theano
deconv_legacy.theano.install()
import numpy as np, theano, theano.tensor as T
from deconv_legacy.testing import bisect, record, subject_of
x, rng = T.tensor4("x", dtype="float32"), np.random.default_rng(0)
W = theano.shared(rng.standard_normal((4, 3, 3, 2)).astype("float32"), name="W")
h = T.nnet.conv2d(x, W, subsample=(2, 2), border_mode=1)
h.name = "h"
y = T.nnet.abstract_conv.conv2d_grad_wrt_inputs(
    h, W, input_shape=(1, 3, 8, 10), filter_shape=(4, 3, 3, 2), border_mode=(1, 1), subsample=(2, 2))
y.name = "y"
net = subject_of(y, backend="numpy")
golden = record(net, {"x": rng.standard_normal((1, 3, 8, 10)).astype("float32")}, gradients=True)
W.set_value(W.get_value()[:, :, ::-1, ::-1])
print([(f.layer, f.cause.name) for f in bisect(golden, net, everything=True).findings])
"""


def test_theano_code_under_the_facade():
    done = subprocess.run([sys.executable, "-c", FACADE], capture_output=True, text=True)
    assert done.stdout.strip() == "[('h', 'filter flip'), ('y', 'filter flip')]", done.stderr
