"""Nets of the forks: their fields, enum values, offset-less crops, doubled names; what is missing is told at once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from deconv_legacy import caffe
from deconv_legacy.caffe import _state, build_net, parse_net
from deconv_legacy.errors import FileFormatError, MismatchError

# HED: V1, a wide pad, crops of one name without an offset
HED = """input: "data" input_dim: 1 input_dim: 3 input_dim: 30 input_dim: 44
layers { bottom: "data" top: "c1" name: "c1" type: CONVOLUTION blobs_lr: 1 blobs_lr: 2
  convolution_param { engine: CAFFE num_output: 2 pad: 35 kernel_size: 3 } }
layers { bottom: "c1" top: "p1" name: "p1" type: POOLING pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { bottom: "p1" top: "d1" name: "d1" type: CONVOLUTION convolution_param { num_output: 1 kernel_size: 1 } }
layers { bottom: "d1" top: "u1" name: "u1" type: DECONVOLUTION
  convolution_param { kernel_size: 4 stride: 2 num_output: 1 } }
layers { bottom: "c1" top: "d0" name: "d0" type: CONVOLUTION convolution_param { num_output: 1 kernel_size: 1 } }
layers { type: CROP name: "crop" bottom: "d0" bottom: "data" top: "s0" }
layers { type: CROP name: "crop" bottom: "u1" bottom: "data" top: "s1" }
layers { type: SIGMOID name: "sigmoid" bottom: "s1" top: "out" odd_field: 3 }
"""


def test_a_net_like_heds():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = parse_net(HED, allow_unknown=True)
    said = [str(w.message) for w in caught]
    assert len(said) == 2
    assert "CROP (of a fork; kept) at 9:16, 10:16" in said[0] and "no field 'odd_field' (skipped) at 11:64" in said[0]
    assert "without crop_param at 9:1, 10:1" in said[1]
    built = build_net(net, free=False)
    assert [layer.name for layer in built.spec.layer][-3:] == ["crop", "crop (2)", "sigmoid"]
    assert [built.layers[name].offset for name in ("crop", "crop (2)")] == [(34, 34), (35, 35)]
    pycaffe = caffe.Net(net, caffe.TEST)
    assert pycaffe.blobs["out"].shape == [1, 1, 30, 44]
    assert pycaffe.top_names["crop (2)"] == ["s1"]
    with pytest.raises(FileFormatError, match="CROP"):
        parse_net(HED)


def test_automatic_crops_cut_where_they_say(monkeypatch):
    monkeypatch.setattr(_state, "backend", "numpy")
    text = HED.replace('"d0" type', '"d0" blobs_lr: 0 type')
    with pytest.warns(UserWarning):
        net = caffe.Net(parse_net(text, allow_unknown=True), caffe.TEST)
    rng = np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.data.shape)
    net.blobs["data"].data[...] = rng.standard_normal((1, 3, 30, 44))
    net.forward()
    np.testing.assert_array_equal(net.blobs["s0"].data, net.blobs["d0"].data[:, :, 34:64, 34:78])
    np.testing.assert_array_equal(net.blobs["s1"].data, net.blobs["u1"].data[:, :, 35:65, 35:79])


def test_a_net_without_forks_cuts_at_0():
    """BVLC's Crop without an offset: no warning, offset 0."""
    text = HED.replace(" odd_field: 3", "").replace("layers {", "layer {").replace("type: CROP", 'type: "Crop"')
    for old, new in (("CONVOLUTION", "Convolution"), ("POOLING", "Pooling"), ("DECONVOLUTION", "Deconvolution"),
                     ("SIGMOID", "Sigmoid")):  # fmt: skip
        text = text.replace(f"type: {old}", f'type: "{new}"')
    net = build_net(parse_net(text.replace("blobs_lr: 1 blobs_lr: 2", "")), free=False)
    assert net.layers["crop"].offset == (0, 0)


# DeconvNet: V1, masks, BN with its moments; SegNet and ENet: Upsample; DeepLab: hole, Interp
MASKS = """input: "data" input_dim: [1, 3, 12, 16]
layers { bottom: 'data' top: 'c' name: 'c' type: CONVOLUTION convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layers { bottom: 'c' top: 'c' top: 'm' top: 'v' name: 'bn' type: BN
         bn_param { scale_filler { type: 'constant' value: 1 } shift_filler { value: .001 } } }
layers { bottom: "c" top: "p" top: "mask" name: "p" type: POOLING pooling_param { kernel_size: 2 stride: 2 } }
layers { bottom: "p" bottom: "mask" top: "u" name: "u" type: UNPOOLING
         unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_h: 12 unpool_w: 16 } }
layers { bottom: 'u' top: 'u2' name: 'u2' type: BN bn_param { bn_mode: INFERENCE } }"""

DEEPLAB = """input: "data" input_shape { dim: [1, 3, 9, 13] }
layer { bottom: "data" top: "c" name: "c" type: "Convolution"
        convolution_param { num_output: 4 kernel_size: 3 pad: 2 hole: 2 } }
layer { bottom: "c" top: "bn" name: "bn" type: "BN" bn_param { slope_filler { value: 1 } momentum: .95 frozen: true } }
layer { bottom: "bn" top: "p" top: "mask" name: "p" type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { bottom: "p" bottom: "mask" top: "up" name: "up" type: "Upsample"
        upsample_param { scale: 2 pad_out_h: true pad_out_w: true } }
layer { bottom: "p" top: "i" name: "i" type: "Interp" interp_param { zoom_factor: 2 } }
layer { bottom: "i" top: "s" name: "s" type: "Interp" interp_param { height: 30 width: 20 } }"""


@pytest.mark.filterwarnings("ignore:not of BVLC Caffe")
def test_nets_like_deconvnets_and_deeplabs():
    net = build_net(parse_net(MASKS, allow_unknown=True), free=False)
    assert net.blobs["u2"].output_shape == (1, 4, 12, 16) and net.outputs == ["m", "u2", "v"]
    assert [v.type.shape for v in net.params()["bn"]] == [(1, 4, 1, 1)] * 2
    net = build_net(parse_net(DEEPLAB, allow_unknown=True), free=False)
    shapes = {name: net.blobs[name].output_shape[2:] for name in ("c", "p", "up", "i", "s")}
    assert shapes == {"c": (9, 13), "p": (5, 7), "up": (9, 13), "i": (9, 13), "s": (30, 20)}
    assert len(net.params()["bn"]) == 4


def test_everything_that_is_missing_is_told_at_once():
    text = """
        layer { name: "a" type: "Nothing" top: "x" }
        layer { name: "b" type: "RedAccuracy" bottom: "x" top: "y" }
        layer { name: "c" type: "Nothing" bottom: "y" top: "z" }"""
    with pytest.raises(FileFormatError) as caught:
        build_net(parse_net(text))
    for words in ("'Nothing' of layer 'a'", "'RedAccuracy' of layer 'b'", "'Nothing' of layer 'c'"):
        assert words in str(caught.value)
    text = """
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 } } }
        layer { name: "a" type: "Python" bottom: "x" top: "y" python_param { module: "m" layer: "A" } }
        layer { name: "b" type: "Python" bottom: "y" top: "z" python_param { module: "m" layer: "B" } }"""
    with pytest.raises(MismatchError, match=r"pycaffe's Net: 'a' \(A\), 'b' \(B\)"):
        build_net(parse_net(text))


@pytest.mark.filterwarnings("ignore:not of BVLC Caffe")
def test_the_first_deeplab():
    """V1 with enum values of its own: what is here is built, what is not is told by type and layer."""
    text = """input: "x" input_dim: [1, 4, 5, 6]
        layers { bottom: "x" top: "i" name: "i" type: INTERP interp_param { zoom_factor: 8 } }"""
    net = build_net(parse_net(text, allow_unknown=True), free=False)
    assert net.blobs["i"].output_shape == (1, 4, 33, 41)
    text += """layers { bottom: "i" top: "c" name: "cut" type: PADDING padding_param { pad_beg: -7 } }
        layers { bottom: "c" bottom: "x" name: "acc" type: SEG_ACCURACY top: "a" }
        layers { bottom: "c" name: "out" type: MAT_WRITE }"""
    with pytest.raises(FileFormatError, match=r"'Padding' of layer 'cut'.*'SegAccuracy' of layer 'acc'.*'MatWrite'"):
        build_net(parse_net(text, allow_unknown=True))
