"""Net with pycaffe's interface: real Caffe's numbers, live blobs, ranges of layers, layers in Python, weights."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from deconv_legacy import caffe
from deconv_legacy.caffe import parse_net
from deconv_legacy.errors import MismatchError, SizeError

CAFFE = Path(__file__).parents[1] / "data" / "caffe"
CASES = sorted(path.name for path in (CAFFE / "layers").iterdir())


def load(path):
    with np.load(path) as file:
        return dict(file)


def close(actual, expected, factor=1.0):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= factor * 2e-5 * np.abs(expected).max(initial=0)


def wanted(z, prefix):
    return {key[len(prefix) :]: value for key, value in z.items() if key.startswith(prefix)}


@pytest.mark.parametrize("case", CASES)
def test_layers_are_caffes(case):
    folder = CAFFE / "layers" / case
    z = load(folder / "io.npz")
    meta = json.loads(str(z.pop("meta")))
    net = caffe.Net(str(folder / "net.prototxt"), str(folder / "net.caffemodel"), getattr(caffe, meta["phase"]))
    assert net.inputs == meta["inputs"] and net.outputs == meta["outputs"]
    for name, values in wanted(z, "in/").items():
        net.blobs[name].reshape(*values.shape)
        net.blobs[name].data[...] = values
    out = net.forward()
    assert set(out) == set(net.outputs)
    for name, values in wanted(z, "out/").items():
        close(net.blobs[name].data, values)
    for name, weight in meta["loss_weights"].items():
        assert (net.blobs[name].diff == weight).all()
    for name, values in wanted(z, "top_diff/").items():
        net.blobs[name].diff[...] = values
    in_diffs = wanted(z, "in_diff/")
    if in_diffs:
        net.backward()
    for name, values in in_diffs.items():
        close(net.blobs[name].diff, values)
    for name, values in wanted(z, "param_diff/").items():
        layer, index = name.split("/")
        close(net.params[layer][int(index)].diff, values)


def test_the_structure_of_fcn8s_is_caffes():
    """Names of layers with the implicit splits, blobs and parameters, tops and bottoms."""
    folder = CAFFE / "nets" / "fcn8s"
    recorded = json.loads((folder / "structure.json").read_text())
    assert set(recorded) == {"deploy", "train"}
    for name, expected in recorded.items():
        net = caffe.Net(str(folder / f"{name}.prototxt"), caffe.TEST)
        assert list(net._layer_names) == [layer[0] for layer in expected["layers"]]
        assert [layer.type for layer in net.layers] == [layer[1] for layer in expected["layers"]]
        assert [[k, list(b.shape)] for k, b in net.blobs.items()] == expected["blobs"]
        assert [[k, [list(b.data.shape) for b in v]] for k, v in net.params.items()] == expected["params"]
        assert net.inputs == expected["inputs"] and net.outputs == expected["outputs"]
        assert dict(net.top_names) == expected["tops"] and dict(net.bottom_names) == expected["bottoms"]


@pytest.fixture(params=[None, *(["jax"] if importlib.util.find_spec("jax") is not None else [])])
def backend(request):
    caffe.set_backend(request.param)
    yield request.param
    caffe.set_mode_cpu()


def test_a_whole_net_and_its_gradients_are_caffes(backend):
    folder = CAFFE / "nets" / "fcn8s"
    z = load(folder / "grad_65x79.npz")
    net = caffe.Net(str(folder / "train.prototxt"), str(folder / "weights.caffemodel"), caffe.TEST)
    for blobs in net.params.values():
        for bias in blobs[1:]:
            bias.data[...] += z["bias_shift"]
    for name in ("data", "label"):
        net.blobs[name].reshape(*z[f"in/{name}"].shape)
        net.blobs[name].data[...] = z[f"in/{name}"]
    loss = net.forward()["loss"]
    close(loss, z["loss"])
    net.backward()
    close(net.blobs["score"].diff, z["score_diff"])
    assert not net.blobs["data"].diff.any()
    for name, expected in wanted(z, "param_diff/").items():
        layer, index = name.split("/")
        close(net.params[layer][int(index)].diff, expected, factor=50)
    for name, norm in json.loads(str(z["param_diff_norms"])).items():
        layer, index = name.split("/")
        assert abs(np.linalg.norm(net.params[layer][int(index)].diff) - norm) <= 1e-3 * norm


NET = """
    name: "testnet" force_backward: true
    layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
        shape { dim: 5 dim: 2 dim: 3 dim: 4 } data_filler { type: "gaussian" std: 1 }
        shape { dim: 5 dim: 1 dim: 1 dim: 1 } data_filler { type: "constant" } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
        num_output: 3 kernel_size: 2 pad: 3 weight_filler { type: "gaussian" std: 1 }
        bias_filler { type: "constant" value: 2 } }
        param { decay_mult: 1 } param { decay_mult: 0 } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param {
        num_output: 4 weight_filler { type: "gaussian" std: 0.5 } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }"""


@pytest.fixture(scope="module")
def net():
    caffe.set_random_seed(3)
    return caffe.Net(parse_net(NET), caffe.TRAIN)


def test_blobs_and_parameters(net):
    assert list(net.blobs) == ["data", "label", "conv", "ip", "loss"] and net.outputs == ["loss"] and net.inputs == []
    assert list(net.params) == ["conv", "ip"] and list(net.layer_dict) == ["data", "conv", "relu", "ip", "loss"]
    assert [layer.type for layer in net.layers][:2] == ["DummyData", "Convolution"]
    blob = net.blobs["conv"]
    assert (blob.num, blob.channels, blob.height, blob.width) == (5, 3, 8, 9) == tuple(blob.shape)
    assert blob.count == 5 * 3 * 8 * 9 == len(blob.data.flat)
    weight, bias = net.params["conv"]
    assert (weight.num, weight.channels) == (3, 2) and (bias.num, bias.channels, bias.data.shape) == (3, 1, (3,))
    assert net.layers[1].blobs[1].data is net.layer_dict["conv"].blobs[1].data and (bias.data == 2).all()
    net.params["conv"][1].data[...] = 1
    assert (net.params["conv"][1].data == 1).all()


def test_outputs_and_gradients_are_live(net):
    first = net.forward()["loss"]
    kept = net.blobs["loss"].data
    assert kept is first and kept.shape == () and kept > 0
    net.params["ip"][0].data[...] = 0
    net.params["ip"][1].data[...] = 0
    net.forward()
    np.testing.assert_allclose(kept, np.log(4), rtol=1e-6)  # parameters take effect, arrays are written in place
    net.clear_param_diffs()
    net.backward()
    once = [b.diff.copy() for b in net.params["ip"]]
    assert once[1].any() and net.blobs["data"].diff.shape == (5, 2, 3, 4) and net.blobs["loss"].diff == 1
    net.backward()
    for blob, diff in zip(net.params["ip"], once, strict=True):
        np.testing.assert_allclose(blob.diff, 2 * diff, rtol=1e-6)
    net.clear_param_diffs()
    assert not any(b.diff.any() for blobs in net.params.values() for b in blobs)


def test_arrays_outlive_the_net():
    net = caffe.Net(parse_net(NET), caffe.TRAIN)
    params, blobs = [b for v in net.params.values() for b in v], list(net.blobs.values())
    del net
    gc.collect()
    assert sum(float(b.data.sum()) + float(b.diff.sum()) for b in params + blobs[:3]) != 0


CHAIN = """
    layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [2, 3, 4, 5] } } }
    layer { name: "half" type: "Power" bottom: "x" top: "a" power_param { scale: 0.5 } }
    layer { name: "shift" type: "Power" bottom: "a" top: "b" power_param { shift: 3 } }
    layer { name: "square" type: "Power" bottom: "b" top: "c" power_param { power: 2 } }
    layer { name: "double" type: "Power" bottom: "c" top: "d" power_param { scale: 2 } }"""


def test_ranges_blobs_that_are_read_and_image_sizes():
    net = caffe.Net(parse_net(CHAIN), caffe.TEST)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
    out = net.forward(x=x)
    assert list(out) == ["d"]
    close(out["d"], 2 * (x / 2 + 3) ** 2)
    close(net.blobs["b"].data, x / 2 + 3)  # computed when it is read
    held = net.blobs["b"].data
    # another size and other values: nothing new is compiled
    (segment,) = net._segments.values()
    net.forward()
    count = len(segment._functions)
    net.blobs["x"].reshape(1, 3, 7, 2)
    net.blobs["x"].data[...] = 4
    assert net.forward()["d"].shape == (1, 3, 7, 2) and (net.blobs["b"].data == 5).all()
    assert net.blobs["c"].shape == [1, 3, 7, 2] and len(net._segments) == 1
    net.blobs["x"].reshape(2, 3, 4, 5)
    net.blobs["x"].data[...] = x
    net.forward()
    assert len(segment._functions) == count
    # from and to a layer, with what a script writes in between
    out = net.forward(end="shift", blobs=["a"])
    assert set(out) == {"b", "a"}
    close(out["a"], x / 2)
    net.blobs["b"].data[...] = 7
    close(net.forward(start="square")["d"], np.full_like(x, 98))
    close(held, x / 2 + 3)  # of the size that was: the blob has another array since
    with pytest.raises(MismatchError, match="no layer is called 'nope'"):
        net.forward(end="nope")
    with pytest.raises(MismatchError, match="the inputs are x; not y"):
        net.forward(y=x)
    with pytest.raises(SizeError, match="not batch sized"):
        net.forward(x=x[:1])


def test_sizes_that_do_not_fit_name_the_layer():
    """A photo of another size than the prototxt's, given to a net whose skip connection is not cropped."""
    text = """
    layer { name: "data" type: "Input" top: "x" input_param { shape { dim: [1, 2, 8, 12] } } }
    layer { name: "pool" type: "Pooling" bottom: "x" top: "half" pooling_param { kernel_size: 3 stride: 2 } }
    layer { name: "up" type: "Deconvolution" bottom: "half" top: "up"
            convolution_param { num_output: 2 kernel_size: 2 stride: 2 } }
    layer { name: "fuse" type: "Eltwise" bottom: "up" bottom: "x" top: "fuse" }
    layer { name: "wide" type: "Deconvolution" bottom: "fuse" top: "y"
            convolution_param { num_output: 1 kernel_size: 3 } }"""
    net = caffe.Net(parse_net(text), caffe.TEST)
    assert net.forward()["y"].shape == (1, 1, 10, 14)
    words = r"^fuse \(Eltwise(Layer)?\): inputs of the shapes \(1, 2, 8, 12\) and \(1, 2, 8, 13\) must be of one size$"
    net.blobs["x"].reshape(1, 2, 8, 13)
    for run in (net.forward, net.reshape):
        with pytest.raises(SizeError, match=words):
            run()
    net.blobs["x"].reshape(1, 2, 10, 12)
    assert net.forward()["y"].shape == (1, 1, 12, 14)


def test_batches():
    net = caffe.Net(parse_net("force_backward: true" + CHAIN), caffe.TEST)
    x = np.random.default_rng(1).standard_normal((5, 3, 4, 5)).astype("float32")
    out = net.forward_all(blobs=["a"], x=x)
    close(out["d"], 2 * (x / 2 + 3) ** 2)
    close(out["a"], x / 2)
    out, diffs = net.forward_backward_all(x=x, d=np.ones_like(x))
    close(out["d"], 2 * (x / 2 + 3) ** 2)
    close(diffs["x"], 2 * (x / 2 + 3))


def test_backward_skips_what_learns_nothing():
    """lr_mult 0 has no diff, nor has what lies below the lowest layer that learns, or beside the loss."""
    layer = """layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}"
        param {{ lr_mult: {2} }} param {{ lr_mult: 0 }}
        inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" }} }} }}"""
    text = (
        'input: "x" input_dim: [2, 3] input: "t" input_dim: [2, 3]'.replace(
            "input_dim: [2, 3]", "input_shape { dim: [2, 3] }"
        )
        + layer.format("a", "x", 0)
        + layer.format("b", "a", 1)
        + layer.format("side", "a", 1)
        + 'layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "t" top: "loss" loss_weight: 0.5 }'
    )
    nets = [caffe.Net(parse_net(force + text), caffe.TEST) for force in ("", "force_backward: true ")]
    nets[1].share_with(nets[0])
    for net in nets:
        net.blobs["x"].data[...] = np.arange(6).reshape(2, 3)
        net.forward()
        net.backward()
        b, t = net.blobs["b"].data, net.blobs["t"].data
        gradient = 0.5 * (b - t) / 2
        close(net.blobs["b"].diff, gradient)
        close(net.params["b"][0].diff, gradient.T @ net.blobs["a"].data)
    plain, forced = nets
    assert plain.params["b"][0].data is forced.params["b"][0].data
    for name, index in (("a", 0), ("a", 1), ("b", 1), ("side", 0)):
        assert not plain.params[name][index].diff.any()
    assert not plain.blobs["x"].diff.any() and not plain.blobs["a"].diff.any()
    assert forced.blobs["x"].diff.any() and forced.params["a"][0].diff.any() and forced.params["b"][1].diff.any()


def test_dropout_is_the_same_forward_and_backward(backend):
    net = caffe.Net(
        parse_net("""force_backward: true input: "x" input_shape { dim: [1, 1, 40, 50] }
        layer { name: "drop" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.25 } }
        layer { name: "r" type: "Reduction" bottom: "y" top: "r" loss_weight: 1 }"""),
        caffe.TRAIN,
    )
    net.blobs["x"].data[...] = 1
    masks = []
    for _ in range(2):
        net.forward()
        net.backward()
        mask = net.blobs["y"].data.copy()
        np.testing.assert_array_equal(net.blobs["x"].diff, mask)
        assert set(np.unique(mask)) == {0, np.float32(1 / 0.75)} and abs(mask.mean() - 1) < 0.1
        masks.append(mask)
    assert not np.array_equal(*masks)


def test_batch_normalisation_learns_in_forward():
    net = caffe.Net(
        parse_net("""input: "x" input_shape { dim: [2, 3, 4, 5] }
        layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y"
            batch_norm_param { moving_average_fraction: 0.5 } }"""),
        caffe.TRAIN,
    )
    mean, variance, count = (blob.data for blob in net.params["bn"])
    rng = np.random.default_rng(0)
    sums = [np.zeros(3), np.zeros(3), 0.0]
    for _ in range(2):
        x = rng.standard_normal((2, 3, 4, 5)).astype("float32") * 3 + 1
        net.blobs["x"].data[...] = x
        y = net.forward()["y"]
        net.blobs["y"].data  # noqa: B018  (reading computes nothing twice)
        m, v = x.mean((0, 2, 3)), x.var((0, 2, 3))
        np.testing.assert_allclose(y, (x - m[:, None, None]) / np.sqrt(v + 1e-5)[:, None, None], atol=1e-5)
        sums = [sums[0] / 2 + m, sums[1] / 2 + v * 40 / 39, sums[2] / 2 + 1]
        for array, expected in zip((mean, variance, count), sums, strict=True):
            np.testing.assert_allclose(array, np.broadcast_to(expected, array.shape), rtol=1e-5)


@pytest.mark.parametrize("suffix", ["caffemodel", "h5"])
def test_weights_go_to_files_and_back(net, tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    net.save_hdf5(str(path)) if suffix == "h5" else net.save(str(path))
    other = caffe.Net(parse_net(NET), caffe.TEST)
    assert not np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    other.load_hdf5(str(path)) if suffix == "h5" else other.copy_from(str(path))
    for name, blobs in net.params.items():
        for mine, its in zip(blobs, other.params[name], strict=True):
            np.testing.assert_array_equal(mine.data, its.data)
    renamed = caffe.Net(parse_net(NET.replace('"ip"', '"new"').replace("num_output: 4", "num_output: 6")), caffe.TEST)
    kept = renamed.params["new"][0].data.copy()
    renamed.copy_from(str(path))  # unknown layers are ignored, missing ones left alone
    np.testing.assert_array_equal(renamed.params["new"][0].data, kept)
    np.testing.assert_array_equal(renamed.params["conv"][0].data, net.params["conv"][0].data)
    wrong = caffe.Net(parse_net(NET.replace("kernel_size: 2", "kernel_size: 3")), caffe.TEST)
    with pytest.raises(MismatchError, match=r"(?s)'conv'; shape mismatch.*'ip'; shape mismatch.*rename the layer"):
        wrong.copy_from(str(path))


def test_shared_parameters_share_data_and_diff():
    layer = """layer {{ name: "{0}" type: "InnerProduct" bottom: "x" top: "{0}" param {{ name: "w" }}
        inner_product_param {{
        num_output: 2 bias_term: false weight_filler {{ type: "gaussian" }} }} }}
        layer {{ name: "l{0}" type: "EuclideanLoss" bottom: "{0}" bottom: "{2}" top: "l{0}" }}"""
    net = caffe.Net(
        parse_net(
            'input: "x" input_shape { dim: [1, 3] } input: "t" input_shape { dim: [1, 2] } '
            'input: "u" input_shape { dim: [1, 2] }' + layer.format("a", "x", "t") + layer.format("b", "x", "u")
        ),
        caffe.TEST,
    )
    assert net.params["a"][0] is net.params["b"][0]
    x = net.blobs["x"].data
    x[...] = [[1, 2, 4]]
    net.blobs["t"].data[...] = 5
    net.forward()
    net.backward()
    y = x @ net.params["a"][0].data.T
    close(net.params["a"][0].diff, (2 * y - 5).T @ x)


def test_levels_stages_and_call_forms(tmp_path):
    text = """layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: [1, 2] } } }
        layer { name: "test" type: "Power" bottom: "x" top: "t" include { phase: TEST } }
        layer { name: "deploy" type: "Power" bottom: "x" top: "s" include { stage: "deploy" } }
        layer { name: "high" type: "Power" bottom: "x" top: "h" include { min_level: 2 } }"""
    path, weights = str(tmp_path / "n.prototxt"), str(tmp_path / "w.caffemodel")
    Path(path).write_text(text + 'layer { name: "b" type: "Bias" bottom: "x" top: "b" }')
    names = lambda *a, **k: [n for n in caffe.Net(path, *a, **k)._layer_names if "split" not in n]  # noqa: E731
    assert names(caffe.TRAIN) == ["d", "b"] and names(phase=caffe.TEST) == ["d", "test", "b"]
    assert names(caffe.TRAIN, stages=["deploy"], level=3) == ["d", "deploy", "high", "b"]
    net = caffe.Net(path, caffe.TEST)
    net.params["b"][0].data[...] = 3
    net.save(weights)
    for other in (caffe.Net(path, weights, caffe.TEST), caffe.Net(path, caffe.TEST, weights=weights)):
        assert (other.params["b"][0].data == 3).all()
    with pytest.raises(MismatchError, match="phase"):
        caffe.Net(path)


class Twice(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        assert propagate_down[0]
        bottom[0].diff[...] = self.factor * top[0].diff


class Broken(caffe.Layer):
    def setup(self, bottom, top):
        raise RuntimeError("as it came")


class Parameter(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 0

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[0] = self.blobs[0].data[0] + self.phase

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] = 1


@pytest.fixture(autouse=True)
def _layers_module(monkeypatch):
    module = types.ModuleType("layers_of_this_test")
    module.Twice, module.Broken, module.Parameter = Twice, Broken, Parameter
    monkeypatch.setitem(sys.modules, module.__name__, module)


def python(name, bottom, top, cls="Twice", param="10"):
    return f"""layer {{ name: "{name}" type: "Python" bottom: "{bottom}" top: "{top}" python_param {{
        module: "layers_of_this_test" layer: "{cls}" param_str: "{param}" }} }}"""


def test_layers_in_python_lie_between_compiled_ones():
    text = (
        'force_backward: true input: "x" input_shape { dim: [2, 3] }'
        + python("one", "x", "a")
        + 'layer { name: "p" type: "Power" bottom: "a" top: "b" power_param { shift: 1 scale: 2 } }'
        + python("two", "b", "c", param="0.5")
        + 'layer { name: "q" type: "Power" bottom: "c" top: "d" power_param { power: 2 } }'
    )
    net = caffe.Net(parse_net(text), caffe.TEST)
    x = np.arange(6, dtype="float32").reshape(2, 3)
    close(net.forward(x=x)["d"], (10 * x + 0.5) ** 2)
    net.blobs["d"].diff[...] = 3
    net.backward()
    close(net.blobs["x"].diff, 3 * 2 * (10 * x + 0.5) * 10)
    net.blobs["x"].reshape(4, 3)
    net.blobs["x"].data[...] = 1
    assert net.forward()["d"].shape == (4, 3) and net.blobs["b"].shape == [4, 3]
    net.blobs["x"].reshape(1, 3)
    net.reshape()
    assert all(net.blobs[name].shape == [1, 3] for name in "xabcd")


def test_layers_in_python_have_parameters_phase_and_errors(tmp_path):
    head = 'force_backward: true input: "x" input_shape { dim: [2, 3] }'
    net = caffe.Net(parse_net(head + python("l", "x", "y", "Parameter")), caffe.TEST)
    assert net.forward()["y"] == 1
    net.backward()
    assert net.params["l"][0].diff[0] == 1 and net.layers[1].type == "Python"
    net.params["l"][0].data[0] = 5
    assert net.forward()["y"] == 6
    net.save(str(tmp_path / "w.caffemodel"))
    again = caffe.Net(parse_net(head + python("l", "x", "y", "Parameter")), caffe.TRAIN)
    again.copy_from(str(tmp_path / "w.caffemodel"))
    assert again.forward()["y"] == 5
    with pytest.raises(RuntimeError, match=r"^as it came$"):
        caffe.Net(parse_net(head + python("l", "x", "y", "Broken")), caffe.TEST)
    with pytest.raises(MismatchError, match=r"'l'.*no class 'Nobody'"):
        caffe.Net(parse_net(head + python("l", "x", "y", "Nobody")), caffe.TEST)


def test_hed_crops_find_their_offset():
    text = """input: "x" input_dim: [1, 2, 9, 11]
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
            convolution_param { num_output: 2 kernel_size: 4 pad: 10 stride: 2 } }
        layer { name: "u" type: "Deconvolution" bottom: "c" top: "u"
            convolution_param { num_output: 1 kernel_size: 4 stride: 2 } }
        layer { name: "crop" type: "Crop" bottom: "u" bottom: "x" top: "y" }"""
    offsets = {}
    with pytest.warns(UserWarning, match=r"Crop layers without crop_param at 6:9: each finds its offset by itself"):
        fork = parse_net(text, allow_unknown=True)
    for forks, spec in ((False, parse_net(text)), (True, fork)):
        net = caffe.Net(spec, caffe.TEST)
        net.blobs["u"].data  # noqa: B018
        net.params["u"][0].data[...] = 1
        net.params["c"][0].data[...] = np.arange(64).reshape(2, 2, 4, 4)
        net.blobs["x"].data[...] = np.random.default_rng(0).standard_normal((1, 2, 9, 11))
        y, u = net.forward()["y"], net.blobs["u"].data
        offsets[forks] = [k for k in range(12) if np.array_equal(u[:, :, k : k + 9, k : k + 11], y)]
    assert offsets == {False: [0], True: [10]}


def test_pycaffes_forward_by_number_returns_the_loss():
    """That of the layers that it runs; ``_caffe.cpp`` binds Net::ForwardFromTo."""
    net = caffe.Net(
        parse_net("""input: "x" input_shape { dim: [2, 3] } input: "t" input_shape { dim: [2, 3] }
        layer { name: "half" type: "Power" bottom: "x" top: "y" power_param { scale: 0.5 } }
        layer { name: "one" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "one" loss_weight: 3 }
        layer { name: "two" type: "Reduction" bottom: "y" top: "two" loss_weight: 0.25 }"""),
        caffe.TRAIN,
    )
    x = np.arange(6, dtype="float32").reshape(2, 3)
    net.blobs["x"].data[...] = x
    names = list(net._layer_names)
    half, one, last = names.index("half"), names.index("one"), len(names) - 1
    first = 3 * (x**2).sum() / 4 / 4
    assert net._forward(0, half) == 0
    assert net._forward(0, one) == pytest.approx(first) == net._forward(one, one)
    assert net._forward(0, last) == pytest.approx(first + 0.25 * x.sum() / 2)
    np.testing.assert_array_equal(net.blobs["y"].data, x / 2)
