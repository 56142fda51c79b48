"""Split layers and the rules of phases, levels and stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deconv_legacy.caffe.filter import filter_net
from deconv_legacy.caffe.prototxt import parse_net, read_net
from deconv_legacy.caffe.splits import insert_splits
from deconv_legacy.errors import MismatchError

FCN8S = Path(__file__).parents[1] / "data" / "caffe" / "nets" / "fcn8s"
STRUCTURE = json.loads((FCN8S / "structure.json").read_text())
TRAIN, TEST = 0, 1


def layers(net):
    return [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.layer]


@pytest.mark.parametrize("kind", ["deploy", "train"])
def test_splits_of_fcn8s_are_caffes(kind):
    original = read_net(FCN8S / f"{kind}.prototxt")
    net = insert_splits(filter_net(original, phase=TEST))
    truth = STRUCTURE[kind]
    assert [[layer.name, layer.type] for layer in net.layer] == truth["layers"]
    assert {layer.name: list(layer.bottom) for layer in net.layer} == dict(truth["bottoms"])
    assert {layer.name: list(layer.top) for layer in net.layer} == dict(truth["tops"])
    assert original == read_net(FCN8S / f"{kind}.prototxt")


def test_in_place_makes_a_new_version():
    net = parse_net("""
        layer { name: "in" top: "x" }
        layer { name: "before" bottom: "x" top: "a" }
        layer { name: "relu" bottom: "x" top: "x" }
        layer { name: "b1" bottom: "x" top: "b" } layer { name: "b2" bottom: "x" bottom: "x" top: "c" }""")
    assert layers(insert_splits(net)) == [
        ("in", [], ["x"]),
        ("x_in_0_split", ["x"], ["x_in_0_split_0", "x_in_0_split_1"]),
        ("before", ["x_in_0_split_0"], ["a"]),
        ("relu", ["x_in_0_split_1"], ["x"]),
        ("x_relu_0_split", ["x"], ["x_relu_0_split_0", "x_relu_0_split_1", "x_relu_0_split_2"]),
        ("b1", ["x_relu_0_split_0"], ["b"]),
        ("b2", ["x_relu_0_split_1", "x_relu_0_split_2"], ["c"]),
    ]


def test_a_loss_weight_is_a_consumer():
    net = parse_net("""
        layer { name: "in" top: "x" top: "y" }
        layer { name: "loss" bottom: "x" bottom: "y" top: "l" top: "m" loss_weight: 0.5 loss_weight: 0 }
        layer { name: "use" bottom: "l" bottom: "m" top: "z" }""")
    split = insert_splits(net)
    assert layers(split)[1:] == [
        ("loss", ["x", "y"], ["l", "m"]),
        ("l_loss_0_split", ["l"], ["l_loss_0_split_0", "l_loss_0_split_1"]),
        ("use", ["l_loss_0_split_1", "m"], ["z"]),
    ]
    assert list(split.layer[1].loss_weight) == []
    assert list(split.layer[2].loss_weight) == [0.5, 0]


def test_no_split_without_sharing():
    net = parse_net('layer { name: "a" top: "x" } layer { name: "b" bottom: "x" top: "y" loss_weight: 2 }')
    assert insert_splits(net) == net


def test_unknown_bottom():
    net = parse_net('layer { name: "a" top: "score" } layer { name: "b" bottom: "scores" }')
    with pytest.raises(MismatchError, match=r"'scores' \(layer 'b', bottom 0\); near names: score"):
        insert_splits(net)


RULES = parse_net("""
    state { stage: "always" }
    layer { name: "plain" }
    layer { name: "train" include { phase: TRAIN } }
    layer { name: "not_test" exclude { phase: TEST } }
    layer { name: "levels" include { min_level: 2 max_level: 3 } }
    layer { name: "both" include { stage: "a" stage: "b" } }
    layer { name: "either" include { stage: "a" } include { stage: "b" } }
    layer { name: "not_c" include { phase: TEST not_stage: "c" } }
    layer { name: "out" exclude { stage: "a" min_level: 1 } exclude { stage: "always" stage: "c" } }
""")


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ({}, "plain not_c out"),  # a NetState's phase is TEST by default
        ({"phase": TRAIN}, "plain train not_test out"),
        ({"phase": TEST, "level": 2}, "plain levels not_c out"),
        ({"level": 3, "stages": ["a"]}, "plain levels either not_c"),
        ({"level": 4, "stages": ["b", "a", "c"]}, "plain both either"),
        ({"stages": ["b"]}, "plain either not_c out"),
        ({"phase": TRAIN, "stages": ["c"]}, "plain train not_test"),
    ],
)
def test_rules(state, names):
    net = filter_net(RULES, **state)
    assert [layer.name for layer in net.layer] == names.split()
    assert list(net.state.stage) == ["always", *state.get("stages", [])]
    assert len(RULES.layer) == 8


def test_include_and_exclude_together():
    net = parse_net('layer { name: "x" include { phase: TRAIN } exclude { stage: "a" } }')
    with pytest.raises(MismatchError, match="layer 'x': specify either include rules or exclude rules"):
        filter_net(net)
