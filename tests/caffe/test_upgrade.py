"""Old nets in today's form, as Caffe upgrades them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deconv_legacy.caffe import schema
from deconv_legacy.caffe.prototxt import parse_net, read_net
from deconv_legacy.caffe.upgrade import LAYER_TYPES, upgrade_net, upgrade_solver, upgrades_needed
from deconv_legacy.errors import FileFormatError

V1_SMALL = Path(__file__).parents[1] / "data" / "caffe" / "legacy" / "v1_small"


def test_v1_as_caffe_does_it():
    old = read_net(V1_SMALL / "v1.prototxt", upgraded=False)
    before = str(old)
    assert upgrades_needed(old) == ["V1 layers", "input fields"]
    new = upgrade_net(old)
    assert str(new) == (V1_SMALL / "upgraded.prototxt").read_text()
    assert str(old) == before
    assert upgrades_needed(new) == []
    assert upgrade_net(new) == new


def test_every_v1_type_has_its_name():
    values = schema.messages(forks=True).V1LayerParameter.LayerType.keys()
    assert set(values) == set(LAYER_TYPES)


def test_v1_lists_become_param_specs():
    net = parse_net("""
        layers { name: "a" type: SOFTMAX_LOSS bottom: "x" top: "y" param: "w" blobs_lr: 1 blobs_lr: 2
                 weight_decay: 0.5 blob_share_mode: STRICT blob_share_mode: PERMISSIVE blob_share_mode: STRICT
                 loss_weight: 3 include { phase: TRAIN } exclude { stage: "s" } loss_param { ignore_label: 255 } }""")
    assert net == parse_net("""
        layer { name: "a" type: "SoftmaxWithLoss" bottom: "x" top: "y" loss_weight: 3
                param { name: "w" share_mode: STRICT lr_mult: 1 decay_mult: 0.5 }
                param { share_mode: PERMISSIVE lr_mult: 2 } param { share_mode: STRICT }
                include { phase: TRAIN } exclude { stage: "s" } loss_param { ignore_label: 255 } }""")


V0 = """
name: "old" force_backward: true input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 7
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "padded" }
layers { layer { name: "c" type: "conv" num_output: 4 biasterm: false kernelsize: 3 stride: 2 group: 1
                 weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: 1 }
                 blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 } bottom: "padded" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "c" top: "p" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "p" top: "n" }
layers { layer { name: "i" type: "innerproduct" num_output: 5 } bottom: "n" top: "i" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.2 } bottom: "i" top: "i" }
layers { layer { name: "w" type: "window_data" source: "s" batchsize: 8 scale: 0.5 meanfile: "m" cropsize: 6
                 mirror: true det_fg_threshold: 0.6 det_bg_threshold: 0.4 det_fg_fraction: 0.3 det_context_pad: 1
                 det_crop_mode: "square" } top: "w" top: "label" }
layers { layer { name: "im" type: "images" source: "t" new_height: 6 new_width: 5 shuffle_images: true
                 rand_skip: 3 } top: "im" }
layers { layer { name: "cat" type: "concat" concat_dim: 0 } bottom: "w" bottom: "im" top: "cat" }
layers { layer { name: "out" type: "hdf5_output" hdf5_output_param { file_name: "f" } } bottom: "cat" }
layers { layer { name: "loss" type: "infogain_loss" source: "h" } bottom: "i" bottom: "label" }
"""
V0_UPGRADED = """
name: "old" force_backward: true
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 7 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 4 bias_term: false pad: 2 kernel_size: 3 group: 1 stride: 2
                            weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: 1 } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } }
layer { name: "i" type: "InnerProduct" bottom: "n" top: "i" inner_product_param { num_output: 5 } }
layer { name: "d" type: "Dropout" bottom: "i" top: "i" dropout_param { dropout_ratio: 0.2 } }
layer { name: "w" type: "WindowData" top: "w" top: "label"
        transform_param { scale: 0.5 mean_file: "m" crop_size: 6 mirror: true }
        window_data_param { source: "s" batch_size: 8 fg_threshold: 0.6 bg_threshold: 0.4 fg_fraction: 0.3
                            context_pad: 1 crop_mode: "square" } }
layer { name: "im" type: "ImageData" top: "im"
        image_data_param { source: "t" rand_skip: 3 shuffle: true new_height: 6 new_width: 5 } }
layer { name: "cat" type: "Concat" bottom: "w" bottom: "im" top: "cat" concat_param { concat_dim: 0 } }
layer { name: "out" type: "HDF5Output" bottom: "cat" hdf5_output_param { file_name: "f" } }
layer { name: "loss" type: "InfogainLoss" bottom: "i" bottom: "label" infogain_loss_param { source: "h" } }
"""


def test_v0():
    assert upgrades_needed(parse_net(V0, upgraded=False)) == ["V0 layers", "V1 layers", "input fields"]
    assert str(parse_net(V0)) == str(parse_net(V0_UPGRADED))


def test_v0_parameters_of_another_type_are_ignored_with_a_warning():
    text = 'layers { layer { name: "r" type: "relu" num_output: 3 } }'
    with pytest.warns(UserWarning, match="layer 'r': V0 type 'relu' has no 'num_output'; ignored"):
        assert str(parse_net(text)) == 'layer {\n  name: "r"\n  type: "ReLU"\n}\n'


def test_data_transformations():
    net = parse_net("""
        layers { name: "d" type: DATA data_param { source: "s" scale: 0.5 mean_file: "m" crop_size: 7 mirror: true } }
        layers { name: "i" type: IMAGE_DATA image_data_param { source: "t" } }""")
    assert net == parse_net("""
        layer { name: "d" type: "Data" data_param { source: "s" }
                transform_param { scale: 0.5 mean_file: "m" crop_size: 7 mirror: true } }
        layer { name: "i" type: "ImageData" image_data_param { source: "t" } transform_param { } }""")


def test_inputs():
    expected = parse_net("""
        layer { name: "input" type: "Input" top: "a" top: "b"
                input_param { shape { dim: 1 dim: 2 } shape { dim: 3 } } }
        layer { name: "x" }""")
    given = 'input: "a" input: "b" input_shape { dim: 1 dim: 2 } input_shape { dim: 3 } layer { name: "x" }'
    assert parse_net(given) == expected
    assert parse_net(given + "input_dim: [9, 9, 9, 9]") == expected  # shapes win
    assert str(parse_net('input: "a" layer { name: "x" }')) == 'layer {\n  name: "x"\n}\n'


def test_old_batch_norm_learns_nothing():
    net = parse_net("""
        layer { type: "BatchNorm" param { name: "m" lr_mult: 1 } param { } param { } }
        layer { type: "BatchNorm" param { lr_mult: 1 } }""")
    zero = {"lr_mult": 0, "decay_mult": 0}
    pb = schema.messages()
    assert list(net.layer[0].param) == [pb.ParamSpec(name="m", **zero), pb.ParamSpec(**zero), pb.ParamSpec(**zero)]
    assert net.layer[1].param[0].lr_mult == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("layer { name: 'a' } layers { name: 'b' }", "both `layer` and `layers`"),
        ("layers { layer { type: 'relu' } } layers { name: 'b' type: RELU }", r"layers\[1\] \('b'\) is V1"),
        ("layers { layer { name: 'a' type: 'convolution' } }", "unknown V0 layer type 'convolution' of layer 'a'"),
        ("layers { layer { name: 'a' type: 'relu' } bottom: 'x' }", "unknown blob 'x', bottom 0 of layer 'a'"),
        (
            "input: 'x' layers { layer { name: 'p' type: 'padding' } bottom: 'x' top: 'y' }"
            "layers { layer { name: 'a' type: 'relu' } bottom: 'y' }",
            r"padding layer 'p' before layer 'a' \(relu\)",
        ),
        ("input: 'a' input: 'b' input_dim: [1, 2, 3, 4, 5]", "2 `input` need 8 `input_dim` .* there are 5"),
        ("input: 'a' input: 'b' input_shape { dim: 1 }", "2 `input` need as many `input_shape`; there are 1"),
    ],
)
def test_refusals_name_the_file_and_the_cause(text, cause):
    with pytest.raises(FileFormatError, match=cause) as error:
        parse_net(text, path="old.prototxt")
    assert str(error.value).startswith("old.prototxt: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [("SGD", "SGD"), ("NESTEROV", "Nesterov"), ("ADAGRAD", "AdaGrad"), ("RMSPROP", "RMSProp"),
     ("ADADELTA", "AdaDelta"), ("ADAM", "Adam")],
)  # fmt: skip
def test_solver_types(old, new):
    solver = schema.messages().SolverParameter(solver_type=old, base_lr=0.5)
    assert upgrade_solver(solver) == schema.messages().SolverParameter(type=new, base_lr=0.5)
