"""Nets built from prototxt and caffemodel files: real Caffe's numbers forward and backward, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from deconv_legacy import engine
from deconv_legacy.caffe import LAYERS, build_net, layer_type, parse_net, read_layers, read_net, write_weights
from deconv_legacy.engine import aesara
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError
from deconv_legacy.layers import Layer

CAFFE = Path(__file__).parents[1] / "data" / "caffe"
TRAIN, TEST = 0, 1
at = aesara.tensor

CASES = [
    "concat_axis1",
    "conv_basic",
    "conv_pad100",
    "crop_axis2_offset1",
    "crop_default",
    "deconv_group_bilinear_even",
    "deconv_k16s8_interp",
    "deconv_k4s2",
    "dropout_test",
    "eltwise_sum_coeff",
    "euclidean",
    "lrn_across",
    "pool_ave_k3s2p1",
    "pool_max_k2s2_odd",
    "power",
    "prelu",
    "relu_inplace",
    "scale_const",
    "sigmoid_tanh_elu",
    "slice_points",
    "softmax_axis1",
    "softmaxloss_fcn",
    "softmaxloss_normalize_true",
]


def load(path):
    with np.load(path) as file:
        return dict(file)


def close(actual, expected, factor=1.0):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= factor * 2e-5 * np.abs(expected).max(initial=0)


def wanted(z, prefix):
    return {key[len(prefix) :]: value for key, value in z.items() if key.startswith(prefix)}


BACKENDS = [
    "numpy",
    *(["c"] if engine.have_compiler() else []),
    *(["jax"] if importlib.util.find_spec("jax") is not None else []),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_layers_are_caffes(case, backend):
    """Every top; the gradient of every input and parameter, for the diffs that Caffe was given. The inputs are as free
    as FCN's, so that every size is worked out when the net runs."""
    folder = CAFFE / "layers" / case
    z = load(folder / "io.npz")
    meta = json.loads(str(z.pop("meta")))
    net = build_net(read_net(folder / "net.prototxt"), {"TRAIN": TRAIN, "TEST": TEST}[meta["phase"]])
    assert net.load(folder / "net.caffemodel") == []
    assert net.inputs == meta["inputs"] and net.outputs == meta["outputs"]
    for name, values in wanted(z, "param/").items():
        layer, index = name.split("/")
        np.testing.assert_array_equal(net.params()[layer][int(index)].get_value(), values)

    tops = {name: at.tensor("float32", shape=(None,) * d.ndim) for name, d in wanted(z, "top_diff/").items()}
    known = {net.blobs[name].output: diff for name, diff in tops.items()}
    known |= {net.blobs[name].output: at.constant(np.float32(w)) for name, w in meta["loss_weights"].items()}
    variables, expected = [], []
    for name, diff in wanted(z, "in_diff/").items():
        variables.append(net.input_layers[net.inputs.index(name)].output)
        expected.append(diff)
    for name, diff in wanted(z, "param_diff/").items():
        layer, index = name.split("/")
        variables.append(net.params()[layer][int(index)])
        expected.append(diff)
    outputs = wanted(z, "out/")
    function = engine.compile(
        [*(layer.output for layer in net.input_layers), *tops.values()],
        [*(net.blobs[name].output for name in outputs), *aesara.grad(None, variables, known_grads=known)],
        backend=backend,
    )
    results = function(*(z[f"in/{name}"] for name in net.inputs), *wanted(z, "top_diff/").values())
    for result, numbers in zip(results, [*outputs.values(), *expected], strict=True):
        assert result.dtype == "float32"
        close(result, numbers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["fcn8s", "fcn32s"])
def test_whole_nets_are_caffes(name, backend):
    """Every recorded blob, all statistics of the others, and the segmentation itself."""
    folder = CAFFE / "nets" / name
    z = load(folder / "io_97x131.npz")
    net = build_net(read_net(folder / "deploy.prototxt"))
    net.load(folder / "weights.caffemodel")
    statistics = {blob: s for blob, s in json.loads(str(z["blob_stats"])).items() if blob in net.blobs}
    assert len(statistics) > 20
    results = dict(zip(statistics, net.function(list(statistics), backend=backend)(z["in/data"]), strict=True))
    for blob, expected in wanted(z, "out/").items():
        close(results[blob], expected)
    for blob, (shape, mean, std, largest) in statistics.items():
        value = results[blob].astype("float64")
        assert list(value.shape) == shape
        np.testing.assert_allclose(
            [value.mean(), value.std(), abs(value).max()], [mean, std, largest], atol=1e-4 * largest
        )
    np.testing.assert_array_equal(results["score"][0].argmax(axis=0), z["argmax"])


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "jax"])  # test_net.py has JAX's
def test_the_gradients_of_a_whole_net_are_caffes(backend):
    folder = CAFFE / "nets" / "fcn8s"
    z = load(folder / "grad_65x79.npz")
    net = build_net(read_net(folder / "train.prototxt"), TEST)
    net.load(folder / "weights.caffemodel")
    for variables in net.params().values():
        for bias in variables[1:]:
            bias.set_value(bias.get_value() + z["bias_shift"].astype("float32"))
    norms = json.loads(str(z["param_diff_norms"]))
    names = [(layer, i) for layer, variables in net.params().items() for i in range(len(variables))]
    loss = net.blobs["loss"].output
    gradients = aesara.grad(loss, [net.blobs["score"].output, *(net.params()[layer][i] for layer, i in names)])
    function = engine.compile([layer.output for layer in net.input_layers], [loss, *gradients], backend=backend)
    value, of_score, *of_params = function(*(z[f"in/{name}"] for name in net.inputs))
    close(value, z["loss"])
    close(of_score, z["score_diff"])
    found = {f"{layer}/{i}": g for (layer, i), g in zip(names, of_params, strict=True)}
    recorded = wanted(z, "param_diff/")
    assert len(recorded) > 20
    for name, norm in norms.items():
        if net.layers[name.split("/")[0]].frozen:  # lr_mult 0: Caffe computes no gradient
            assert norm == 0 and name.startswith("up")
            continue
        assert abs(np.linalg.norm(found[name]) - norm) <= 1e-3 * norm
        if name in recorded:
            close(found[name], recorded[name], factor=50)


def net_of(body, shape="1, 4, 6, 7", **keywords):
    return build_net(parse_net(f'input: "x" input_dim: [{shape}] {body}'), **keywords)


def one(kind, param="", bottoms=("x",), tops=("y",)):
    blobs = " ".join([f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in tops])
    return f'layer {{ name: "l" type: "{kind}" {blobs} {param} }}'


def test_shapes_known_and_free():
    body = one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }")
    assert net_of(body).blobs["y"].output_shape == (None, 2, None, None)
    assert net_of(body, free=False).blobs["y"].output_shape == (1, 2, 4, 5)
    asked = net_of(body, input_shapes={"x": (None, 4, 10, 9)})
    assert asked.blobs["y"].output_shape == (None, 2, 8, 7)


@pytest.mark.parametrize(
    ("param", "filters", "output"),
    [
        ("num_output: 6 kernel_size: [3, 2] stride: 2 pad: [1, 0]", (6, 4, 3, 2), (1, 6, 3, 3)),
        ("num_output: 6 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_w: 1", (6, 4, 3, 2), (1, 6, 2, 3)),
        ("num_output: 6 kernel_size: 3 dilation: 2 group: 2", (6, 2, 3, 3), (1, 6, 2, 3)),
        ("num_output: 6 kernel_size: 3 dilation: [2, 1] axis: -3", (6, 4, 3, 3), (1, 6, 2, 5)),
    ],
)
def test_convolution_parameters(param, filters, output):
    body = f'layer {{ name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param {{ {param} }} }}'
    layer = net_of(body, free=False).layers["c"]
    assert layer.filter_shape == filters and layer.output_shape == output and not layer.filter_flip
    assert layer.b.get_value().shape == (6,)
    up = net_of(body.replace("Convolution", "Deconvolution", 1), free=False).layers["c"]
    groups = 2 if "group" in param else 1
    assert up.filter_shape == (4, 6 // groups, *filters[2:])


def test_fillers_frozen_layers_and_seeds():
    body = """
        layer { name: "up" type: "Deconvolution" bottom: "x" top: "up" param { lr_mult: 0 }
            convolution_param { num_output: 4 group: 4 kernel_size: 4 stride: 2 pad: 1 bias_term: false
                                weight_filler { type: "bilinear" } } }
        layer { name: "c" type: "Convolution" bottom: "up" top: "c" param { lr_mult: 1 } param { lr_mult: 0 }
            convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" }
                                bias_filler { type: "constant" value: 0.25 } } }
        layer { name: "z" type: "Convolution" bottom: "c" top: "z"
            convolution_param { num_output: 2 kernel_size: 1 } }"""
    first, again, other = (net_of(body, rng=seed) for seed in (1, 1, 2))
    assert first.layers["up"].frozen and not first.layers["c"].frozen and not first.layers["z"].frozen
    up = first.layers["up"].W.get_value()
    np.testing.assert_array_equal(up[2, 0, 0], np.array([1, 3, 3, 1]) / 16)
    assert (first.layers["c"].b.get_value() == 0.25).all()
    assert not first.layers["z"].W.get_value().any()
    drawn = [net.layers["c"].W.get_value() for net in (first, again, other)]
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_parameters_shared_by_name():
    layer = """layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"
                        param {{ name: "w" }} param {{ name: "{2}" }}
                        convolution_param {{ num_output: 4 kernel_size: 1 }} }}"""
    net = net_of(layer.format("a", "x", "b1") + layer.format("b", "a", "b2") + layer.format("c", "b", "b1"))
    a, b, c = (net.layers[name] for name in "abc")
    assert a.W is b.W is c.W and a.b is c.b and b.b is not a.b
    assert len(net.network.param_list()) == 3


def test_in_place_layers_make_new_versions():
    net = net_of("""
        layer { name: "r" type: "ReLU" bottom: "x" top: "y" relu_param { negative_slope: 0.5 } }
        layer { name: "r2" type: "ReLU" bottom: "y" top: "y" }
        layer { name: "p" type: "Pooling" bottom: "y" top: "m" top: "mask"
            pooling_param { kernel_size: 2 stride: 2 } }""")
    assert net.outputs == ["m", "mask"] and list(net.layers) == ["r", "r2", "p"]
    data = np.random.default_rng(0).standard_normal((1, 4, 6, 7)).astype("float32")
    y, m, mask = net.function(["y", "m", "mask"])(data)
    np.testing.assert_array_equal(y, np.maximum(data, 0))
    assert m.shape == mask.shape == (1, 4, 3, 4)
    np.testing.assert_array_equal(
        np.take_along_axis(y.reshape(4, -1), mask.reshape(4, -1).astype(int), 1), m.reshape(4, -1)
    )


def test_data_layers_become_inputs():
    """The training nets of FCN bring their data by Python layers: their tops are fed."""
    text = """
        layer { name: "data" type: "Python" top: "data" top: "label" python_param { module: "voc_layers" layer: "L" } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 3 kernel_size: 1 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label"
                loss_param { ignore_label: 255 normalize: false } }"""
    with pytest.raises(MismatchError, match="shape of blob 'data'"):
        build_net(parse_net(text), TRAIN)
    net = build_net(parse_net(text), TRAIN, input_shapes={"data": (1, 2, None, None), "label": (1, 1, None, None)})
    assert net.inputs == ["data", "label"] and net.outputs == ["(automatic)"]
    label = np.array([[[[0, 255], [2, 1]]]], "float32")
    (loss,) = net.function()(np.zeros((1, 2, 2, 2), "float32"), label)
    np.testing.assert_allclose(loss, 3 * np.log(3), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "divisor"),
    [("", 4), ("normalize: true", 4), ("normalize: false", 2), ("normalization: FULL", 6), ("normalization: NONE", 1)],
)
def test_normalization_of_the_loss(options, divisor):
    net = build_net(
        parse_net(f"""
        input: "x" input_dim: [2, 3, 1, 3] input: "label" input_dim: [2, 1, 1, 3]
        layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss"
                 loss_param {{ ignore_label: 9 {options} }} }}""")
    )
    label = np.array([[0, 9, 2], [1, 9, 0]], "float32").reshape(2, 1, 1, 3)
    (loss,) = net.function(backend="numpy")(np.zeros((2, 3, 1, 3), "float32"), label)
    np.testing.assert_allclose(loss, 4 * np.log(3) / divisor, rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (one("Convolution", "convolution_param { kernel_size: 3 }"), SizeError, "^l .*num_output"),
        (one("Convolution", "convolution_param { num_output: 2 }"), MismatchError, "'l'.*kernel_size is required"),
        (one("Convolution", "convolution_param { num_output: 2 kernel_size: 0 }"), SizeError, "^l .*filter_shape.*0"),
        (
            one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 stride: 0 }"),
            SizeError,
            "^l .*stride.*0",
        ),
        (one("Convolution", "convolution_param { num_output: 2 kernel_size: 9 }"), SizeError, "^l .*kernel of 9"),
        (
            one("Convolution", "convolution_param { num_output: 2 kernel_size: [1, 2, 3] }"),
            MismatchError,
            "'l'.*3 values",
        ),
        (one("Convolution", "convolution_param { num_output: 2 kernel_h: 3 }"), MismatchError, "'l'.*go together"),
        (
            one("Convolution", "convolution_param { num_output: 2 kernel_size: 1 dilation: [1, 2, 1] }"),
            SizeError,
            "^l .*dil",
        ),
        (
            one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3 }"),
            MismatchError,
            "'l'.*not both",
        ),
        (one("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 3 }"), SizeError, "^l .*group 3"),
        (one("Convolution", "convolution_param { num_output: 2 kernel_size: 1 axis: 2 }"), SizeError, "^l .*axis 2"),
        (one("Pooling", "pooling_param { stride: 2 }"), MismatchError, "'l'.*kernel_size is required"),
        (one("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"), SizeError, "^l .*pad"),
        (one("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), MismatchError, "'l'.*stochastic"),
        (one("Crop", "", ("x",)), MismatchError, "'l'.*takes 2 bottom.*1 are given"),
        (one("Crop", "crop_param { offset: [1, 2, 3] }", ("x", "x")), SizeError, "^l .*3 offsets for 2"),
        (one("Crop", "crop_param { offset: 1 }", ("x", "x")), SizeError, "^l .*"),
        (one("Crop", "crop_param { axis: 4 }", ("x", "x")), SizeError, "^l .*axis 4"),
        (one("Eltwise", "", ("x",)), MismatchError, "'l'.*bottom"),
        (one("Eltwise", "eltwise_param { coeff: 1 }", ("x", "x")), SizeError, "^l .*1 coefficients"),
        (one("Concat", "concat_param { axis: 1 concat_dim: 1 }", ("x", "x")), MismatchError, "'l'.*not both"),
        (one("Concat", "concat_param { axis: 5 }", ("x", "x")), SizeError, "^l .*axis 5"),
        (one("LRN", "lrn_param { local_size: 4 }"), SizeError, "^l .*4"),
        (one("Dropout", "dropout_param { dropout_ratio: 1 }"), SizeError, "^l .*1"),
        (one("Scale", "scale_param { axis: 3 num_axes: 2 }"), SizeError, "^l .*num_axes 2"),
        (one("Softmax", "softmax_param { axis: 4 }"), SizeError, "^l .*axis 4"),
        (one("ReLU", "", ("z",)), MismatchError, "'l'.*unknown bottom blob 'z'"),
        (one("ReLU", "", ("x",), ("x2", "y")), MismatchError, "'l'.*2 top"),
        (one("ReLU", "", ("x",), ()), MismatchError, "'l'.*0 top"),
        (one("ReLU", "", ("x",)) + one("SPP", "", ("x",)), FileFormatError, "unknown layer type 'SPP'"),
        (one("Python", "", ("x",)), MismatchError, "pycaffe's Net: 'l'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(body, error, words):
    with pytest.raises(error, match=words):
        net_of(body, free=False)


def test_what_does_not_fit_at_run_time_is_told_by_caffes_type():
    data = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 4, 5] } } }
        layer { name: "s" type: "Input" top: "s" input_param { shape { dim: [1, 2, 4, 5] } } }"""
    net = build_net(parse_net(data + one("Scale", "scale_param { axis: 0 }", ("x", "s"))))
    function = engine.compile([net.blobs[name].output for name in "xs"], net.blobs["y"].output, backend="numpy")
    with pytest.raises(SizeError, match=r"^l \(Scale\): .*\(1, 2, 3, 5\)"):
        function(np.ones((1, 2, 4, 5), "float32"), np.ones((1, 2, 3, 5), "float32"))


def test_two_layers_make_one_blob():
    with pytest.raises(MismatchError, match=r"'l'.*top blob 'y'.*before"):
        net_of('layer { name: "k" type: "ReLU" bottom: "x" top: "y" }' + one("ReLU"))


def test_two_layers_of_one_name_are_kept_apart():
    net = net_of('layer { name: "l" type: "TanH" bottom: "x" top: "z" }' + one("ReLU"))
    assert list(net.layers)[-2:] == ["l", "l (2)"] and {"z", "y"} <= set(net.blobs)


def test_unknown_types_are_listed_with_their_places_and_near_names(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'input: "x" input_dim: [1, 1, 2, 2]\n'
        'layer { name: "l" type: "Deconvolutoin" bottom: "x" top: "y" }\n'
        '# layer { name: "m" type: "Warp" }\n'
        'layer {\n  type: "Warp" include { phase: TRAIN } name: "m" bottom: "x" top: "z" }\n'
        "layer { bottom: \"x\" top: \"z\" name: 'm' type:\n  'Warp' include < phase: TEST > }\n"
        'layer { name: "n" type: "Warp" bottom: "x" top: "w" }\n'
    )
    with pytest.raises(FileFormatError) as error:
        build_net(read_net(path), path=path)
    assert (error.value.line, error.value.column) == (2, 25)
    text = str(error.value)
    assert text.startswith(
        f"{path}:2:25: unknown layer types 'Deconvolutoin' of layer 'l' at 2:25 (did you mean 'Deconvolution'?), "
        "'Warp' of layer 'm' at 5:9 and 7:3, 'Warp' of layer 'n' at 8:25; there are "
    )
    assert "SoftmaxWithLoss" in text


def test_unknown_types_without_a_file():
    with pytest.raises(FileFormatError, match=r"^unknown layer type 'SPP' of layer 'l'; there are") as error:
        net_of(one("SPP"))
    assert error.value.line is None


def test_a_type_of_ones_own():
    class Double(Layer):
        keeps_coordinates = True

        def __init__(self, input, name):
            super().__init__([input], name)
            self.outputs = [2 * self.input]

    try:
        layer_type("Double")(lambda spec, bottoms, build: Double(bottoms[0], spec.name))
        function = net_of(one("Double")).function(backend="numpy")
    finally:
        LAYERS.pop("Double", None)
    np.testing.assert_array_equal(function(np.ones((1, 4, 2, 2), "float32"))[0], np.full((1, 4, 2, 2), 2))


BODY = """
    layer { name: "score" type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 2 kernel_size: 1 } }
    layer { name: "up" type: "Deconvolution" bottom: "a" top: "b" convolution_param {
            num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }"""


def values_of(net):
    return {name: [v.get_value() for v in variables] for name, variables in net.params().items()}


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_wrong_weights_are_all_listed_and_change_nothing(tmp_path, suffix):
    net = net_of(BODY)
    before = values_of(net)
    path = tmp_path / f"weights.{suffix}"
    write_weights(path, {"score": [np.ones((2, 4, 3, 3)), np.ones(2)], "upp": [np.ones((2, 2, 4, 4))]})
    for weights in (path, str(path), read_layers(path)):
        with pytest.raises(MismatchError) as error:
            net.load(weights)
        text = str(error.value)
        assert "layer 'score', parameter 0: the net needs shape (2, 4, 1, 1), the weights have (2, 4, 3, 3)" in text
        assert "no weights for layer 'up' (there are some for 'upp')" in text
        for name, arrays in values_of(net).items():
            for value, old in zip(arrays, before[name], strict=True):
                np.testing.assert_array_equal(value, old)
    write_weights(path, {"score": [np.ones((2, 4, 1, 1))], "up": [np.ones((2, 2, 4, 4))]})
    with pytest.raises(MismatchError, match="'score' has 2 parameters, the weights 1"):
        net.load(path)


def test_missing_and_unused_weights(tmp_path):
    net, path = net_of(BODY), tmp_path / "weights.caffemodel"
    kept = net.params()["up"][0].get_value()
    write_weights(path, {"score": [np.full((2, 4, 1, 1), 3), np.ones(2)], "fc8": [np.ones((1, 2))]})
    with pytest.raises(MismatchError, match="no weights for layer 'up'"):
        net.load(path)
    assert net.load(path, missing=True) == ["fc8"]
    score, up = values_of(net).values()
    assert (score[0] == 3).all() and (score[1] == 1).all()
    np.testing.assert_array_equal(up[0], kept)


def test_a_blob_that_there_is_not():
    with pytest.raises(MismatchError, match=r"no blob is called 'score'; there are x, a, b"):
        net_of(BODY).function(["score"])
