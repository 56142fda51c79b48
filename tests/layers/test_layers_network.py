"""Networks: layers by name, weights in and out, functions."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_close
from layer_helpers import BACKENDS, at

from deconv_legacy import engine
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    EltwiseLayer,
    InputLayer,
    Network,
    ReluLayer,
    SoftmaxLossLayer,
)


def make(tied=False):
    """Two inputs, two outputs, layers with one, two and no parameters."""
    data = InputLayer((None, 3, None, None))
    mask = InputLayer((None, 2, None, None), name="mask")
    code = ReluLayer(ConvolutionLayer(data, (4, 3, 3, 2), 2, 1, "code", b=True, rng=1))
    up = DeconvolutionLayer(code, (4, 2, 3, 2), 2, 1, "up", rng=2)
    crop = CropLayer(up, mask, 0)
    both = EltwiseLayer([crop, mask], name="both")
    score = ConvolutionLayer(both, (4, 2, 1, 1), 1, 0, "score", W=None, b=tied or None, rng=3)
    return Network([score, code])


DATA = np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype("float32")
MASK = np.random.default_rng(1).standard_normal((2, 2, 7, 6)).astype("float32")


def test_layers_by_name():
    net = make()
    assert list(net.layers) == ["data", "code", "relu", "up", "mask", "crop", "both", "score"]
    assert [i.name for i in net.inputs] == ["data", "mask"] and [o.name for o in net.outputs] == ["score", "relu"]
    assert {name: len(params) for name, params in net.params.items()} == {"code": 2, "up": 1, "score": 1}
    assert len(net.param_list()) == 4
    assert repr(net) == "<Network of 8 layers: data, mask -> score, relu>"
    with pytest.raises(MismatchError, match="no layer is called 'scores'; there are data, code"):
        net["scores"]


def test_a_name_belongs_to_one_layer():
    data = InputLayer((1, 3, 4, 5))
    a = ConvolutionLayer(data, (2, 3, 1, 1))
    with pytest.raises(MismatchError, match="two layers are called 'conv'"):
        Network(ConvolutionLayer(a, (2, 2, 1, 1)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_of_several_outputs(backend):
    net = make()
    everything = net.function(backend=backend)(DATA, MASK)
    assert [y.shape for y in everything] == [(2, 4, 7, 6), (2, 4, 5, 5)]
    named = net.function(["up", "score", "relu"], backend=backend)(DATA, MASK)
    np.testing.assert_array_equal(named[1], everything[0])
    np.testing.assert_array_equal(named[2], everything[1])
    alone = net.function("up", backend=backend)(DATA, MASK)  # reads one input only
    np.testing.assert_array_equal(alone, named[0])
    with pytest.raises(MismatchError, match="no layer is called 'upp'"):
        net.function(["up", "upp"])


def test_backends_are_equal():
    net = make()
    results = [net.function(list(net.layers), backend=backend)(DATA, MASK) for backend in BACKENDS]
    for name, *values in zip(net.layers, *results, strict=True):
        for value in values[1:]:
            assert_close(value, values[0], "float32", err_msg=name)


def test_plain_variables_are_inputs_too():
    """Layers may be built on variables and expressions; shared variables and constants are no inputs."""
    x, y = at.tensor4("x", dtype="float32"), at.tensor4("y", dtype="float32")
    data = InputLayer((None, 3, None, None))
    conv = ConvolutionLayer(at.sqrt(x), (2, 3, 1, 1), b=True, filter_flip=False)
    net = Network(
        EltwiseLayer([conv, EltwiseLayer([2 * y, ConvolutionLayer(data, (2, 3, 1, 1), name="c2")])], name="sum")
    )
    assert net.input_variables == [data.output, x, y]
    net.load({"conv": [np.full((2, 3, 1, 1), 2), [1, -1]], "c2": [np.zeros((2, 3, 1, 1))]})
    nine, ones = np.full((1, 3, 4, 5), 9, "float32"), np.ones((1, 2, 4, 5), "float32")
    result = net.function(backend="numpy")(nine, nine, ones)
    np.testing.assert_allclose(result[0, :, 2, 3], [2 * 9 + 1 + 2, 2 * 9 - 1 + 2])


def test_weights_are_copies_both_ways():
    net = make()
    first = net.weights()
    first["up"][0][:] = 5
    assert not (net["up"].W.get_value() == 5).any()
    mine = {name: [np.array(a) for a in arrays] for name, arrays in net.weights().items()}
    mine["up"][0].flags.writeable = False  # as a file mapped into memory would be
    net.load(mine)
    step = [(v, v + 1) for v in net.param_list()]
    engine.compile([], [], updates=step)()
    for name, arrays in net.weights().items():
        for mine_now, trained in zip(mine[name], arrays, strict=True):
            np.testing.assert_allclose(trained, mine_now + 1, rtol=1e-6)
    unaligned = np.frombuffer(b"\0" + np.arange(48, dtype="float32").tobytes(), np.uint8)[1:].view("float32")
    net.load({"up": [unaligned.reshape(4, 2, 3, 2)]}, missing=True)
    np.testing.assert_array_equal(net["up"].W.get_value().ravel(), np.arange(48))
    assert net["up"].W.get_value(borrow=True).flags.aligned


def test_wrong_weights_are_all_listed_and_change_nothing():
    net = make()
    before = net.weights()
    good = {name: [a + 1 for a in arrays] for name, arrays in before.items()}
    wrong = {
        "code": good["code"],
        "up": [np.ones((4, 2, 2, 3))],
        "score": good["score"] * 2,
        "fc8": [np.ones(2)],
        "no": [],
    }
    with pytest.raises(MismatchError) as error:
        net.load(wrong)
    text = str(error.value)
    for part in ("'fc8'", "up: an array of shape (4, 2, 2, 3) for", "(4, 2, 3, 2)", "score: 2 arrays for 1"):
        assert part in text
    assert "'no'" not in text and "code" not in text
    with pytest.raises(MismatchError, match="no weights for 'code', 'score'"):
        net.load({"up": good["up"]})
    for name, arrays in net.weights().items():
        for now, old in zip(arrays, before[name], strict=True):
            np.testing.assert_array_equal(now, old)
    net.load({"up": good["up"], "fc8": [np.ones(2)]}, missing=True, unknown=True)
    np.testing.assert_array_equal(net["up"].W.get_value(), good["up"][0])
    np.testing.assert_array_equal(net["code"].W.get_value(), before["code"][0])


def test_a_file_name_is_not_weights():
    with pytest.raises(MismatchError, match=r"by layer name, not str 'net\.caffemodel'.*build_net"):
        make().load("net.caffemodel")


def test_many_missing_names_are_counted():
    top = InputLayer((1, 1, 2, 2))
    for i in range(12):
        top = ConvolutionLayer(top, (1, 1, 1, 1), name=f"c{i}")
    with pytest.raises(MismatchError, match="'c7' and 4 more"):
        Network(top).load({})


def test_shared_parameters_are_one():
    data = InputLayer((None, 3, None, None))
    code = ConvolutionLayer(data, (4, 3, 3, 3), name="code")
    net = Network(DeconvolutionLayer(code, (4, 3, 3, 3), 1, name="back", W=code.W))
    assert net.param_list() == [code.W] and net.params == {"code": [code.W], "back": [code.W]}
    net.load({"code": [np.ones((4, 3, 3, 3))], "back": [np.full((4, 3, 3, 3), 2)]})
    assert (net.weights()["code"][0] == 2).all()


def test_updates_of_all_layers():
    bn = BatchNormLayer(BatchNormLayer(InputLayer((None, 3, None, None)), train=True), train=True, name="second")
    assert len(Network(bn).updates) == 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_is_a_layer(backend):
    data, label = InputLayer((None, 3, None, None)), InputLayer((None, 1, None, None), name="label", dtype="int64")
    net = Network(SoftmaxLossLayer(ReluLayer(data), label, ignore_label=255))
    function = net.function(backend=backend)
    labels = np.array([0, 2, 255, 1]).reshape(1, 1, 2, 2)
    assert np.isclose(function(np.zeros((1, 3, 2, 2), "float32"), labels), np.log(3))
    assert net.function("relu", backend=backend)(DATA, labels).shape == DATA.shape
