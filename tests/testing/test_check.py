"""`check` and the assertions: right layers pass, and each thing that is broken is seen."""

from __future__ import annotations

import numpy as np
import pytest
from kit_helpers import BACKENDS, NORMALIZED, PROTOTXT, WEIGHTS, fcn8s, image, normalized

from deconv_legacy import engine, layers, reference
from deconv_legacy.caffe import read_weights, write_weights
from deconv_legacy.caffe.prototxt import parse_net
from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, InputLayer, PoolLayer
from deconv_legacy.testing import (
    assert_gradients,
    assert_matches_reference,
    caffe_subject,
    check,
    check_files,
)

at = engine.aesara.tensor
DATA = InputLayer((None, 6, None, None))


def test_every_layer_of_fcn8s_is_right():
    found = check_files(PROTOTXT, WEIGHTS)
    assert found.ok and not found.problems, found.summary()
    assert len(found.layers) == 48
    for layer in found.layers:
        assert len(layer.values) == 2 * len(BACKENDS), layer.name
        assert {r.dtype for r in layer.values} == {"float32", "float64"}
        assert layer.gradients
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["conv3_2"].flip == "correlates" and by_name["upscore8"].flip == "either"
    assert {r.what for r in by_name["fc6"].gradients} == {"input 0", "W", "b"}


LAYERS = {
    "conv": lambda: ConvolutionLayer(DATA, (8, 3, 3, 2), (2, 1), ((0, 1), (2, 0)), groups=2, b=True, rng=0),
    "dilated": lambda: ConvolutionLayer(DATA, (4, 6, 3, 3), 1, 2, dilation=2, filter_flip=False, rng=0),
    "deconv": lambda: DeconvolutionLayer(DATA, (6, 2, 4, 3), (3, 2), 1, groups=2, b=True, rng=0),
    "deconv like": lambda: DeconvolutionLayer(
        DATA, (6, 3, 3, 3), 2, 1, like=InputLayer((None, 1, None, None), name="like"), rng=0
    ),
    "upscore": lambda: layers.UpscoreLayer(DATA, 4, grouped=True),
    "max floor": lambda: PoolLayer(DATA, 3, 2),
    "max ceil": lambda: PoolLayer(DATA, (2, 3), 2, 1, rounding="caffe"),
    "average": lambda: PoolLayer(DATA, 3, 2, 1, mode="average", rounding="caffe"),
    "average real": lambda: PoolLayer(DATA, 3, 2, 1, mode="average_exc_pad"),
    "theano": lambda: PoolLayer(DATA, 2, 2, rounding="theano"),
    "whole": lambda: PoolLayer(DATA, None, mode="average", rounding="caffe"),
    "crop": lambda: layers.CropLayer(DATA, InputLayer((None, 2, None, None), name="like"), (1, 3)),
    "sum": lambda: layers.EltwiseLayer([DATA, InputLayer((None, 6, None, None), name="b")], coeff=(0.5, -2)),
    "twice": lambda: layers.EltwiseLayer([DATA, DATA], "prod"),
    "concat": lambda: layers.ConcatLayer([DATA, InputLayer((None, 2, None, None), name="b")]),
    "scale": lambda: layers.ScaleLayer(DATA, bias=True, scale=np.arange(6) - 2.5),
    "bn": lambda: layers.BatchNormLayer(DATA, mean=np.arange(6), variance=np.arange(6) + 0.5),
    "lrn": lambda: layers.LRNLayer(DATA, 3, 0.7),
    "lrn within": lambda: layers.LRNLayer(DATA, 3, 0.7, region="within_channel"),
    "prelu": lambda: layers.PReluLayer(DATA),
    "leaky": lambda: layers.ReluLayer(DATA, 0.2),
    "softmax": lambda: layers.SoftmaxLayer(DATA),
    "dense": lambda: layers.DenseLayer(InputLayer((None, 6, 2, 3)), 4, filler=engine_filler),
    "loss": lambda: layers.SoftmaxLossLayer(DATA, InputLayer((None, 1, None, None), name="labels"), ignore_label=2),
}


def engine_filler(shape, rng, dtype):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_match_their_specification(name):
    backends = None if name in ("conv", "deconv", "average") else ["numpy"]
    layer = LAYERS[name]()
    assert_matches_reference(layer, backends=backends)
    assert_gradients(layer, backends=backends)


def test_both_flips():
    found = check(LAYERS["deconv like"](), backends=["numpy"], dtypes=["float64"], gradients=False, both_flips=True)
    assert found.ok and len(found.layers[0].values) == 2 and found.layers[0].flip == "convolves"


class Broken(layers.ReluLayer):
    """Wrong in value below zero, and in its gradient."""

    def __init__(self, input, negative_slope=0.0, name="broken", *, value=0.0, gradient=0.0):
        super().__init__(input, negative_slope, name)
        x = self.input
        wrong = self.outputs[0] + np.float32(value) * at.minimum(x, 0)
        off = engine.aesara.gradient.disconnected_grad(x) - x
        self.outputs = [wrong + np.float32(gradient) * off]


def test_a_wrong_value_and_a_wrong_gradient_are_seen():
    with pytest.raises(AssertionError, match=r"broken \(Broken\) does not match the reference\n  value +float32"):
        assert_matches_reference(Broken(DATA, value=1e-3), backends=["numpy"])
    assert_matches_reference(Broken(DATA, gradient=1e-3), backends=["numpy"])
    with pytest.raises(AssertionError, match=r"gradients differ from finite differences\n  input 0 .* WRONG"):
        assert_gradients(Broken(DATA, gradient=1e-3), backends=["numpy"])
    found = check(Broken(DATA, value=1e-3, gradient=0.1), backends=["numpy"])
    assert not found.ok and "1 wrong (broken)" in found.summary()


def test_functions_of_others():
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 6))
    w = np.random.default_rng(1).standard_normal((3, 2, 3, 3))
    assert_matches_reference(lambda x, w: reference.conv_by_scipy(x, w), reference.conv, [x, w])
    with pytest.raises(AssertionError, match=r"float64 .*WRONG"):
        assert_matches_reference(lambda x, w: reference.conv(x, w, flip=True), reference.conv, [x, w])
    with pytest.raises(AssertionError, match=r"shape \(1, 3, 5, 6\), the reference has \(1, 3, 3, 4\)"):
        assert_matches_reference(lambda x, w: reference.conv(x, w, pads=1), reference.conv, [x, w])
    with pytest.raises(TypeError, match="give both"):
        assert_matches_reference(np.abs)
    assert_gradients(lambda x, w: at.tanh(at.dot(x, w)), [np.ones((2, 3)), np.ones((3, 4))], backends=["numpy"])
    with pytest.raises(AssertionError, match="the specification does not have"):
        assert_matches_reference(layers.ExpressionLayer(DATA, lambda x: x + 1))


def problems(found):
    return [(p.layer, p.kind, p.serious) for p in found.problems]


def quick(subject, **options):
    return check(subject, gradients=False, dtypes=["float32"], backends=["numpy"], **options)


def test_weights_that_are_zero_unset_or_nan():
    subject = normalized()
    for name, change in (
        ("conv.W", lambda w: w * 0),
        ("up.W", lambda w: w * 0 + 1),
        ("bn.mean", lambda m: m * np.nan),
    ):
        variable = subject.params[name]
        variable.set_value(change(variable.get_value()).astype("float32"))
    found = quick(subject)
    assert problems(found) == [
        ("conv", "zero weights", True),
        ("bn", "NaN", True),
        ("up", "unset weights", True),
    ]
    assert not found.ok
    whole = quick(subject, inputs={"data": image(9, 11)})
    assert ("conv", "zero output", True) in problems(whole) and ("bn", "NaN", True) in problems(whole)


def test_upscoring_that_does_not_interpolate():
    def net(more):
        return caffe_subject(
            parse_net(
                'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 4, 5, 6] } } }'
                'layer { name: "up" type: "Deconvolution" bottom: "x" top: "up" convolution_param {'
                f" num_output: 4 kernel_size: 4 stride: 2 bias_term: false {more} }} }}"
            )
        )

    assert problems(quick(net('group: 4 weight_filler { type: "bilinear" }'))) == []
    assert problems(quick(net('weight_filler { type: "bilinear" }'))) == [("up", "bilinear filler", True)]
    assert problems(quick(net('weight_filler { type: "xavier" }'))) == [("up", "not bilinear", False)]
    assert problems(quick(net(""))) == [("up", "zero weights", True)]


def test_crops_and_losses():
    found = quick(fcn8s(lambda text: text.replace("offset: 9", "offset: 8")))
    assert [p.text for p in found.problems] == ["its offset is (8, 8), from the layers follows (9, 9)"]


def test_names_of_one_file_only(tmp_path):
    stored = {name: list(arrays) for name, arrays in read_weights(WEIGHTS).items() if arrays}
    stored["score_fr_old"] = stored.pop("score_fr")
    write_weights(tmp_path / "w.caffemodel", stored)
    text = PROTOTXT.read_text() + (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: [1, 1, 97, 131] } } }'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"'
        " loss_param { ignore_label: 255 normalize: false } }"
    )
    (tmp_path / "net.prototxt").write_text(text)
    found = check_files(
        tmp_path / "net.prototxt", tmp_path / "w.caffemodel", gradients=False, dtypes=["float32"], backends=["numpy"]
    )
    told = {p.kind: p.text for p in found.problems}
    assert told["unset weights"] == ("no weights in the file: its fillers' are used; there are some for 'score_fr_old'")
    assert "'score_fr_old'" in told["unused weights"]
    assert "starts at 761,131 for 250,000 pixels" in told["loss not normalised"]
    assert "xavier" not in NORMALIZED or not found.ok
