"""`check` of every layer type that a Caffe net may have: each has a reference, or a reason why it needs none."""

from __future__ import annotations

import numpy as np
import pytest

from deconv_legacy import engine
from deconv_legacy.caffe import build_net, parse_net
from deconv_legacy.caffe.io import array_to_blobproto
from deconv_legacy.caffe.registry import LAYERS
from deconv_legacy.layers import ExpressionLayer, InputLayer
from deconv_legacy.testing import check, subject_of
from deconv_legacy.testing.caffe_references import BY_TYPE, WITHOUT

pytestmark = pytest.mark.filterwarnings("ignore:not of BVLC Caffe")

X, SAME, LABELS, FLAT = "1 6 40 50", "1 6 40 50", "1 1 40 50", "5 6"

# id -> (the layer, shapes of its bottoms, how many tops)
NETS: dict[str, tuple[str, tuple[str, ...], int]] = {
    "AbsVal": ('type: "AbsVal"', (X,), 1),
    "Accuracy": ('type: "Accuracy" accuracy_param { top_k: 2 ignore_label: 255 }', (X, LABELS), 2),
    "Accuracy-axis": ('type: "Accuracy" accuracy_param { axis: -1 }', ("1 2 3 6", "1 2 3"), 1),
    "ArgMax": ('type: "ArgMax" argmax_param { top_k: 3 axis: 1 }', (X,), 1),
    "ArgMax-all": ('type: "ArgMax" argmax_param { out_max_val: true }', (X,), 1),
    "BN-segnet": ('type: "BN" bn_param { scale_filler { value: 2 } shift_filler { value: 0.5 } }', (X,), 1),
    "BN-deconvnet": ('type: "BN" bn_param { scale_filler { value: 2 } }', (X,), 3),
    "BN-inference": ('type: "BN" bn_param { bn_mode: INFERENCE scale_filler { value: 2 } }', (X,), 1),
    "BN-pspnet": ('type: "BN" bn_param { slope_filler { value: 2 } frozen: true eps: 0.01 }', (X,), 1),
    "BNLL": ('type: "BNLL"', (X,), 1),
    "BatchNorm": ('type: "BatchNorm" batch_norm_param { eps: 0.01 }', (X,), 1),
    "BatchNorm-batch": ('type: "BatchNorm" batch_norm_param { use_global_stats: false }', (X,), 1),
    "Bias": ('type: "Bias" bias_param { filler { value: 2 } }', (X,), 1),
    "Bias-bottom": ('type: "Bias" bias_param { axis: 1 }', (X, "6 40"), 1),
    "Clip": ('type: "Clip" clip_param { min: -0.3 max: 0.6 }', (X,), 1),
    "Concat": ('type: "Concat" concat_param { axis: 2 }', (X, SAME), 1),
    "Convolution": (
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 weight_filler '
        '{ type: "gaussian" std: 1 } }',
        (X,),
        1,
    ),
    "Crop": ('type: "Crop" crop_param { offset: 2 offset: 3 }', (X, "1 6 30 20"), 1),
    "Deconvolution": (
        'type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler '
        '{ type: "gaussian" std: 1 } }',
        (X,),
        1,
    ),
    "Dropout": ('type: "Dropout" dropout_param { dropout_ratio: 0.3 }', (X,), 1),
    "ELU": ('type: "ELU" elu_param { alpha: 0.3 }', (X,), 1),
    "Eltwise": ('type: "Eltwise" eltwise_param { operation: SUM coeff: 2 coeff: -1 }', (X, SAME), 1),
    "EltwiseAccuracy": ('type: "EltwiseAccuracy" eltwise_accuracy_param { ignore_label: 255 }', (X, LABELS), 1),
    "EuclideanLoss": ('type: "EuclideanLoss"', (X, SAME), 1),
    "Exp": ('type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }', (X,), 1),
    "Exp-e": ('type: "Exp"', (X,), 1),
    "Flatten": ('type: "Flatten" flatten_param { axis: 1 end_axis: 2 }', (X,), 1),
    "HingeLoss": ('type: "HingeLoss"', (FLAT, "5"), 1),
    "HingeLoss-squares": ('type: "HingeLoss" hinge_loss_param { norm: L2 }', ("5 6 1 1", "5 1 1 1"), 1),
    "InfogainLoss": ('type: "InfogainLoss" loss_param { ignore_label: 2 }', (X, LABELS, "1 1 6 6"), 2),
    "InnerProduct": (
        'type: "InnerProduct" inner_product_param { num_output: 3 transpose: true weight_filler '
        '{ type: "gaussian" std: 1 } }',
        (FLAT,),
        1,
    ),
    "Interp-zoom": ('type: "Interp" interp_param { zoom_factor: 3 pad_beg: -1 pad_end: -2 }', (X,), 1),
    "Interp-shrink": ('type: "Interp" interp_param { zoom_factor: 3 shrink_factor: 2 }', (X,), 1),
    "Interp-size": ('type: "Interp" interp_param { height: 7 width: 3 }', (X,), 1),
    "LRN": ('type: "LRN" lrn_param { local_size: 3 alpha: 0.5 }', (X,), 1),
    "LRN-within": ('type: "LRN" lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }', (X,), 1),
    "Log": ('type: "Log" log_param { base: 10 scale: 2 shift: 1 }', (X,), 1),
    "MVN": ('type: "MVN"', (X,), 1),
    "MVN-across": ('type: "MVN" mvn_param { across_channels: true normalize_variance: false }', (X,), 1),
    "PReLU": ('type: "PReLU" prelu_param { filler { value: 0.3 } }', (X,), 1),
    "Pooling": ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 1 }', (X,), 2),
    "Pooling-average": ('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }', (X,), 1),
    "Power": ('type: "Power" power_param { power: 1.5 scale: 2 shift: 3 }', (X,), 1),
    "ReLU": ('type: "ReLU" relu_param { negative_slope: 0.1 }', (X,), 1),
    "Reduction-mean": ('type: "Reduction" reduction_param { operation: MEAN axis: 1 coeff: 3 }', (X,), 1),
    "Reduction-asum": ('type: "Reduction" reduction_param { operation: ASUM axis: -1 }', (X,), 1),
    "Reshape": ('type: "Reshape" reshape_param { shape { dim: [0, -1, 16] } axis: 1 }', (X,), 1),
    "Scale": ('type: "Scale" scale_param { filler { value: 2 } bias_term: true }', (X,), 1),
    "Scale-bottom": ('type: "Scale" scale_param { axis: 0 bias_term: true bias_filler { value: 3 } }', (X, "1 6"), 1),
    "Sigmoid": ('type: "Sigmoid"', (X,), 1),
    "SigmoidCrossEntropyLoss": (
        'type: "SigmoidCrossEntropyLoss" loss_param { ignore_label: 255 normalization: VALID }',
        (X, SAME),
        1,
    ),
    "Slice": ('type: "Slice" slice_param { axis: 2 slice_point: 17 slice_point: 30 }', (X,), 3),
    "Slice-equal": ('type: "Slice"', (X,), 3),
    "Softmax": ('type: "Softmax" softmax_param { axis: 2 }', (X,), 1),
    "SoftmaxWithLoss": ('type: "SoftmaxWithLoss" loss_param { ignore_label: 255 normalize: false }', (X, LABELS), 2),
    "Split": ('type: "Split"', (X,), 3),
    "Swish": ('type: "Swish" swish_param { beta: 1.5 }', (X,), 1),
    "TanH": ('type: "TanH"', (X,), 1),
    "Threshold": ('type: "Threshold" threshold_param { threshold: 0.3 }', (X,), 1),
    "Tile": ('type: "Tile" tile_param { axis: 2 tiles: 3 }', (X,), 1),
    "Unpooling": ('type: "Unpooling" unpooling_param { unpool: MAX unpool_h: 9 unpool_w: 7 }', (X, SAME), 1),
    "Upsample": ('type: "Upsample" upsample_param { scale: 2 pad_out_h: true }', (X, SAME), 1),
}


def net(name, free=True):
    layer, shapes, tops = NETS[name]
    dims = [" ".join(f"dim: {n}" for n in shape.split()) for shape in shapes]
    inputs = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ {dim} }} }} }}\n'
        for i, dim in enumerate(dims)
    )
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(shapes)))
    made = " ".join(f'top: "y{i}"' for i in range(tops))
    text = f'{inputs}layer {{ name: "l" {bottoms} {made} {layer} }}'
    return build_net(parse_net(text, allow_unknown=True), free=free, rng=0)


def test_every_layer_type_has_a_reference_or_a_reason():
    tried = {name.split("-")[0] for name in NETS}
    assert tried | set(WITHOUT) == set(LAYERS) and not tried & set(WITHOUT)
    assert set(BY_TYPE) <= tried


@pytest.mark.parametrize("name", NETS)
def test_no_layer_is_called_by_a_class_that_nobody_knows(name):
    assert "(_" not in net(name).layers["l"].where and "<_" not in repr(net(name).layers["l"])


def with_params(built):
    """No parameter is all zero: a shift or a mean of 0 would hide itself."""
    for number, blob in enumerate(built.layers["l"].params):
        if not blob.get_value().any():
            blob.set_value(np.full(blob.type.shape, number + 1, blob.dtype))
    return built


@pytest.mark.parametrize("name", NETS)
def test_layers_are_what_the_reference_says(name):
    found = check(with_params(net(name)), backends=["numpy"], dtypes=["float64"]).layers[0]
    assert found.ok and len(found.values) == 1, (found.note, found.values, found.gradients)
    assert bool(found.gradients) != ("Accuracy" in name), found.note
    fixed = check(with_params(net(name, free=False)), backends=["numpy"], dtypes=["float32"], gradients=False)
    assert fixed.ok and len(fixed.layers[0].values) == 1, (fixed.layers[0].note, fixed.layers[0].values)


WRONG = {
    "Accuracy": "accuracy_param { top_k: 1 }",
    "ArgMax": "argmax_param { top_k: 2 }",
    "BN-segnet": "bn_param { bn_mode: INFERENCE }",
    "BN-pspnet": "bn_param { eps: 0.02 }",
    "BatchNorm": "batch_norm_param { eps: 0.02 }",
    "EltwiseAccuracy": "eltwise_accuracy_param { top_k: 3 }",
    "Exp": "exp_param { base: 3 }",
    "Flatten": "flatten_param { end_axis: 3 }",
    "HingeLoss": "hinge_loss_param { norm: L2 }",
    "InfogainLoss": "loss_param { normalization: FULL }",
    "Interp-zoom": "interp_param { pad_beg: -2 pad_end: -1 }",
    "MVN-across": "mvn_param { across_channels: false }",
    "Reduction-mean": "reduction_param { operation: SUM }",
    "SigmoidCrossEntropyLoss": "loss_param { normalization: BATCH_SIZE }",
    "Slice": "slice_param { axis: 2 slice_point: 18 slice_point: 30 }",
    "Unpooling": "unpooling_param { unpool_h: 7 unpool_w: 9 }",
    "Upsample": "upsample_param { pad_out_h: false pad_out_w: true }",
}


@pytest.mark.parametrize("name", WRONG)
def test_another_setting_is_seen(name):
    """The layer is built with one, its file says another."""
    layer = with_params(net(name)).layers["l"]
    spec = type(layer.spec)()
    spec.CopyFrom(layer.spec)
    said = parse_net(f'layer {{ type: "{spec.type}" {WRONG[name]} }}', allow_unknown=True).layer[0]
    spec.slice_param.ClearField("slice_point")
    for field, value in said.ListFields():
        if field.name.endswith("_param"):
            getattr(spec, field.name).MergeFrom(value)
    layer.spec = spec
    found = check(layer, backends=["numpy"], dtypes=["float64"], gradients=False).layers[0]
    assert found.values and not found.ok, found.note


@pytest.mark.filterwarnings("ignore:Crop layers without crop_param")
def test_crops_that_find_their_offset(monkeypatch):
    """As in HED: cut where the layers before them say, which an input of its own does not have."""
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 3, 16, 22] } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
                convolution_param { num_output: 2 kernel_size: 3 pad: 6 weight_filler { type: "gaussian" } } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "u" type: "Deconvolution" bottom: "p" top: "u"
                convolution_param { num_output: 2 kernel_size: 4 stride: 2 weight_filler { type: "gaussian" } } }
        layer { name: "crop" type: "Crop" bottom: "c" bottom: "x" top: "s0" }
        layer { name: "crop" type: "Crop" bottom: "u" bottom: "x" top: "s1" }"""
    for free in (True, False):
        subject = subject_of(build_net(parse_net(text, allow_unknown=True), free=free, rng=0))
        crops = [stage.layer for stage in subject.stages if stage.type == "Crop"]
        assert [layer.offset for layer in crops] == [(5, 5), (6, 6)]
        found = check(subject, backends=["numpy"], dtypes=["float64"]).layers[-2:]
        for layer in found:
            assert layer.ok and len(layer.values) == len(layer.gradients) == 1 and not layer.note, layer
    cut = engine.crop
    monkeypatch.setattr(engine, "crop", lambda x, sizes, axis, offsets: cut(x, sizes, axis, (offsets[0] - 1, 6)))
    found = check(subject, backends=["numpy"], dtypes=["float64"], gradients=False).layers
    assert [layer.ok for layer in found] == [True, True, True, False, False]


def test_what_has_no_reference_says_why():
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 4, 5] } } }
        layer { name: "drop" type: "Dropout" bottom: "x" top: "y" }
        layer { name: "bn" type: "BatchNorm" bottom: "y" top: "z" }
        layer { name: "pspnet" type: "BN" bottom: "z" top: "w" bn_param { momentum: 0.5 slope_filler { value: 2 } } }"""
    built = build_net(parse_net(text, allow_unknown=True), 0, rng=0)
    drop, *normalised = check(built, backends=["numpy"], dtypes=["float64"], gradients=False).layers
    assert drop.note == "not in the specification: in training its masks are random" and not drop.values
    assert all(layer.ok and layer.values for layer in normalised)  # by the batch's own moments
    plain = check(ExpressionLayer(InputLayer((1, 2)), lambda x: x), backends=["numpy"], gradients=False).layers[0]
    assert plain.note == "not in the specification: there is no reference for ExpressionLayer"


def test_an_infogain_matrix_of_a_file(tmp_path):
    matrix = np.random.default_rng(0).random((1, 1, 3, 3))
    (tmp_path / "h.binaryproto").write_bytes(array_to_blobproto(matrix).SerializeToString())
    text = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [2, 3, 4, 5] }} }} }}
        layer {{ name: "l" type: "Input" top: "l" input_param {{ shape {{ dim: [2, 1, 4, 5] }} }} }}
        layer {{ name: "loss" type: "InfogainLoss" bottom: "x" bottom: "l" top: "loss"
                 infogain_loss_param {{ source: "{tmp_path / "h.binaryproto"}" }} }}"""
    subject = subject_of(build_net(parse_net(text)), backend="numpy")
    found = check(subject, backends=["numpy"], dtypes=["float64"]).layers[0]
    assert found.ok and found.values and found.gradients
    # alone it reads two blobs, as the net says
    arrays = [np.ones((2, 3, 4, 5), "float32"), np.ones((2, 1, 4, 5), "float32")]
    (loss,) = subject.run_stage(subject.stages[0], arrays)
    np.testing.assert_allclose(loss, np.log(3) * matrix[0, 0, 1].sum(), rtol=1e-6)


def test_gradients_of_a_net_with_an_accuracy():
    """A count has none, and does not hide that of the loss."""
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3] } } }
        layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 2 } } }
        layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3
                weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "l" top: "loss" }
        layer { name: "acc" type: "Accuracy" bottom: "y" bottom: "l" top: "acc" }"""
    subject = subject_of(build_net(parse_net(text), rng=0), backend="numpy")
    inputs = {"x": np.arange(6, dtype="float32").reshape(2, 3), "l": np.array([0, 2], "float32")}
    alone = subject.gradients(inputs, loss="loss")
    for name, both in subject.gradients(inputs).items():  # of the sum of both, each times a normal number
        weight = np.random.default_rng(0).standard_normal(()).astype("float32")
        np.testing.assert_allclose(both, weight * alone[name], atol=1e-6)
