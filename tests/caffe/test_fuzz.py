"""Broken input of every kind ends in one clear error, or in a valid result."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fuzzing import MANY, run

from deconv_legacy import caffe
from deconv_legacy.caffe import _state, build_net, parse_net, read_layers
from deconv_legacy.caffe.caffemodel import read_model_net
from deconv_legacy.errors import DeconvLegacyError, FileFormatError, SizeError

LEGACY = Path(__file__).parents[1] / "data" / "caffe" / "legacy" / "v1_small"


@pytest.mark.parametrize("seed", range(5))
def test_mutated_nets_and_weights(seed):
    """`fuzzing` found nothing in 40,000 more; a share of them is neither all refused nor all taken."""
    ends = run(400, seed)
    for what in ("text", "file"):
        valid = ends[what, "valid"]
        assert 0 < valid < sum(count for (kind, _), count in ends.items() if kind == what)


def test_the_net_that_is_mutated_is_one():
    assert build_net(parse_net(MANY), free=False).outputs == ["a", "m", "o"]


def test_weights_cut_anywhere(tmp_path):
    """Every byte of the front, where sizes and names are, and every 97th behind: the file is named, and its layer."""
    whole, cut = (LEGACY / "v1.caffemodel").read_bytes(), tmp_path / "cut.caffemodel"
    names = [layer.name for layer in read_layers(LEGACY / "v1.caffemodel")]
    read = []
    for end in [*range(600), *range(600, len(whole), 97)]:
        cut.unlink(missing_ok=True)
        cut.write_bytes(whole[:end])
        try:
            found = [layer.name for layer in read_layers(cut)]
            read_model_net(cut)
        except FileFormatError as error:
            assert str(cut) in str(error)
            if end > 600:
                assert any(f"layer {name!r}" in str(error) for name in names), error
        else:  # cut between two layers: what is there is whole
            assert found == names[: len(found)]
            read.append(end)
    assert len(read) < 10


@pytest.mark.parametrize(
    "change, words",
    [
        (("kernel_size: 3 pad: 1 stride: 1 d", "kernel_size: 300000 pad: 1 stride: 1 d"), "c .*300000|c .*numbers"),
        (("num_output: 4 kernel_size", "num_output: 2000000000 kernel_size"), r"c \(Convolution\).*numbers"),
        (("input_dim: [1, 3, 12, 10]", "input_dim: [1, 3, 2147483647, 10]"), "'data' of shape"),
        (("tiles: 2", "tiles: 1000000000"), r"t \(Tile\)"),
        (("dim: [0, -1, 4]", "dim: [0, -1, 7]"), r"v \(Reshape\)"),
        (('top: "s1" top: "s2"', ""), "layer 's'"),
        (("group: 4", "group: 0"), r"u \(Deconvolution\)"),
        (('bottom: "s1" bottom: "s2"', 'bottom: "s1" bottom: "s3"'), "'j'.*'s3'"),
    ],
    ids=["kernel", "filters", "input", "tiles", "reshape", "tops", "group", "bottom"],
)
def test_absurd_sizes_are_refused_at_once(change, words):
    text = MANY.replace(*change)
    assert text != MANY
    for make in (lambda net: build_net(net, free=False), lambda net: caffe.Net(net, caffe.TEST)):
        with pytest.raises(DeconvLegacyError) as caught:
            make(parse_net(text))
        assert len(str(caught.value)) < 400
        if make.__code__.co_names[0] == "build_net":
            caught.match(words)


def test_a_label_out_of_range_names_its_layer_and_place(monkeypatch):
    monkeypatch.setattr(_state, "backend", "numpy")
    text = """
        layer { name: "in" type: "Input" top: "x" top: "t"
                input_param { shape { dim: [1, 3, 2, 2] } shape { dim: [1, 1, 2, 2] } } }
        layer { name: "the loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "loss" }"""
    net = caffe.Net(parse_net(text), caffe.TRAIN)
    net.blobs["t"].data[0, 0, 1, 0] = 3
    with pytest.raises(SizeError, match=r"the loss \(Softmax\w+\).*label 3.*\(0, 0, 1, 0\)") as caught:
        net.forward()
    assert "\n" not in str(caught.value)


def test_a_layer_in_python_that_raises_raises(monkeypatch):
    """What a user's own layer raises comes out as it is, from setup and from forward, and the net lives on."""

    class Moody(caffe.Layer):
        angry = ""

        def setup(self, bottom, top):
            if self.param_str:
                raise KeyError(self.param_str)

        def reshape(self, bottom, top):
            top[0].reshape(2, 3)

        def forward(self, bottom, top):
            if Moody.angry:
                raise ArithmeticError(Moody.angry)
            top[0].data[...] = 1

    module = types.ModuleType("moody_layers")
    module.Moody = Moody
    monkeypatch.setitem(sys.modules, "moody_layers", module)
    monkeypatch.setattr(_state, "backend", "numpy")
    text = """
        layer {{ name: "py" type: "Python" top: "x"
                 python_param {{ module: "moody_layers" layer: "Moody" param_str: "{}" }} }}
        layer {{ name: "twice" type: "Power" bottom: "x" top: "y" power_param {{ scale: 2 }} }}"""
    with pytest.raises(KeyError, match="no such thing"):
        caffe.Net(parse_net(text.format("no such thing")), caffe.TEST)
    net = caffe.Net(parse_net(text.format("")), caffe.TEST)
    Moody.angry = "not today"
    with pytest.raises(ArithmeticError, match=r"^not today$"):
        net.forward()
    Moody.angry = ""
    np.testing.assert_array_equal(net.forward()["y"], np.full((2, 3), 2))
