"""Binary files: what Caffe wrote is read, what we write is what Caffe writes, damage is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconv_legacy.caffe import caffemodel, schema
from deconv_legacy.caffe.caffemodel import (
    SavedState,
    StoredBlob,
    read_layers,
    read_mean,
    read_model_net,
    read_solverstate,
    read_weights,
    write_mean,
    write_solverstate,
    write_weights,
)
from deconv_legacy.caffe.prototxt import read_net
from deconv_legacy.errors import FileFormatError, MismatchError, MissingExtraError

DATA = Path(__file__).parents[1] / "data" / "caffe"
CASES = sorted(path.name for path in (DATA / "layers").iterdir())
FCN8S = DATA / "nets" / "fcn8s"
V1_SMALL = DATA / "legacy" / "v1_small"
STATE = DATA / "solver" / "fcn_unnormalized" / "final_iter_10.solverstate"


def example(rng=None):
    """Weights with axes of different sizes; one layer without any."""
    rng = rng or np.random.default_rng(7)
    shapes = {"conv": [(4, 3, 2, 5), (4,)], "relu": [], "up": [(4, 6, 3, 2)], "scalar": [()], "none": [(0, 3)]}
    return {name: [rng.random(shape, np.float32) for shape in each] for name, each in shapes.items()}


def assert_same(weights, expected):
    assert list(weights) == list(expected)
    for name in expected:
        assert len(weights[name]) == len(expected[name])
        for mine, theirs in zip(weights[name], expected[name], strict=True):
            assert mine.dtype == np.float32
            assert mine.shape == np.shape(theirs)
            assert np.array_equal(mine, theirs)


def rewritten(path, tmp_path):
    copy = tmp_path / "copy.caffemodel"
    write_weights(copy, read_weights(path), read_model_net(path))
    return copy.read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_reads_what_caffe_wrote(case):
    folder = DATA / "layers" / case
    with np.load(folder / "io.npz") as io:
        truth = {key[len("param/") :]: io[key] for key in io.files if key.startswith("param/")}
    weights = read_weights(folder / "net.caffemodel")
    mine = {f"{name}/{index}": blob for name, blobs in weights.items() for index, blob in enumerate(blobs)}
    assert mine.keys() == truth.keys()
    for key, blob in mine.items():
        assert blob.shape == truth[key].shape
        assert np.array_equal(blob, truth[key])


@pytest.mark.parametrize("path", [FCN8S / "weights.caffemodel", DATA / "layers" / "prelu" / "net.caffemodel"])
def test_writes_what_caffe_writes(path, tmp_path):
    assert rewritten(path, tmp_path) == path.read_bytes()


def test_order_and_layers_without_parameters():
    layers = read_layers(FCN8S / "weights.caffemodel")
    truth = json.loads((FCN8S / "structure.json").read_text())["deploy"]
    assert [layer.name for layer in layers] == [name for name, _ in truth["layers"]]
    params = dict(truth["params"])
    for layer in layers:
        assert [list(blob.data.shape) for blob in layer.blobs] == params.get(layer.name, [])
        assert not any(blob.legacy for blob in layer.blobs)


def test_v1_with_four_axes():
    layers = {layer.name: layer for layer in read_layers(V1_SMALL / "v1.caffemodel")}
    bias = layers["c1"].blobs[1]
    assert bias.legacy
    assert bias.data.shape == (1, 1, 1, 4)
    assert bias.fits((4,))
    assert not bias.fits((4, 1))
    assert not bias.fits((1, 1, 1, 1, 4))
    assert layers["fc"].blobs[0].fits(layers["fc"].blobs[0].data.shape[2:])
    net = read_model_net(V1_SMALL / "v1.caffemodel")
    assert [layer.type for layer in net.layer if layer.name in ("c1", "u1")] == ["Convolution", "Deconvolution"]
    assert not any(layer.blobs for layer in net.layer)


def test_a_shape_is_not_aligned():
    blob = StoredBlob(np.zeros((1, 1, 1, 4), np.float32))
    assert blob.fits((1, 1, 1, 4))
    assert not blob.fits((4,))


# Files written by protobuf's library


def blob_with(shape=(2, 3), **content):
    blob = schema.messages().BlobProto(**content)
    blob.shape.dim.extend(shape)
    return blob


def write_layer(path, *blobs):
    net = schema.messages().NetParameter()
    net.layer.add(name="a", type="Convolution", blobs=blobs)
    path.write_bytes(net.SerializeToString())
    return path


VALUES = np.arange(6, dtype=np.float32) / 7


def test_forms_of_a_blob(tmp_path):
    pb = schema.messages()
    blobs = [
        blob_with(data=VALUES),
        blob_with(double_data=VALUES, data=-VALUES),  # double wins
        pb.BlobProto(data=VALUES, num=3, width=1, height=2, channels=1),
        blob_with(shape=(6,), data=VALUES, num=2, channels=1, height=3, width=1),  # the four axes win
        pb.BlobProto(data=[5]),  # no shape at all: a scalar
        pb.BlobProto(num=0),
    ]
    stored = read_layers(write_layer(tmp_path / "m.caffemodel", *blobs))[0].blobs
    shapes = [(2, 3), (2, 3), (3, 1, 2, 1), (2, 1, 3, 1), (), (0, 0, 0, 0)]
    assert [blob.data.shape for blob in stored] == shapes
    assert [blob.legacy for blob in stored] == [False, False, True, True, False, True]
    for blob in stored[:4]:
        assert blob.data.dtype == np.float32
        assert np.array_equal(blob.data.ravel(), VALUES)
    assert stored[4].data == 5


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_unpacked_numbers(tmp_path, count):
    """One key before every number, as protobuf wrote before fields could be packed; maybe mixed with packed ones."""
    values = np.linspace(-2, 3, count, dtype=np.float32)
    single = b"".join(b"\x2d" + value.tobytes() for value in values)
    double = b"".join(b"\x41" + np.float64(value).tobytes() for value in values)
    packed = b"\x2a\x08" + np.float32([8, 9]).tobytes()
    for body, expected in (
        (single, values),
        (single + b"\x08\x00" * 0 + double, values),
        (single + packed + single, np.concatenate([values, [8, 9], values]).astype(np.float32)),
    ):
        shape = b"".join(b"\x08" + caffemodel._wire.varint(size) for size in (1, expected.size))  # unpacked too
        blob = body + b"\x3a" + bytes([len(shape)]) + shape
        assert np.array_equal(read_one(tmp_path, blob), expected[None])


def read_one(tmp_path, blob):
    path = tmp_path / "m.caffemodel"
    path.write_bytes(caffemodel._wire.field(100, caffemodel._wire.field(1, b"a") + caffemodel._wire.field(7, blob)))
    return read_weights(path)["a"][0]


def test_v0_caffemodel(tmp_path):
    pb = schema.messages()
    net = pb.NetParameter()
    layer = net.layers.add(bottom=["x"], top=["y"]).layer
    net.input.append("x")
    layer.name, layer.type, layer.num_output, layer.kernelsize = "c", "conv", 2, 1
    layer.blobs.add(data=VALUES, num=2, channels=3, height=1, width=1)
    path = tmp_path / "v0.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert_same(read_weights(path), {"c": [VALUES.reshape(2, 3, 1, 1)]})
    assert str(read_model_net(path)) == (
        'layer {\n  name: "c"\n  type: "Convolution"\n  bottom: "x"\n  top: "y"\n'
        "  convolution_param {\n    num_output: 2\n    kernel_size: 1\n  }\n}\n"
    )


def test_protobufs_library_reads_ours(tmp_path):
    path = tmp_path / "m.caffemodel"
    weights = example()
    write_weights(path, weights)
    net = schema.messages().NetParameter.FromString(path.read_bytes())
    assert [layer.name for layer in net.layer] == list(weights)
    for layer in net.layer:
        for blob, array in zip(layer.blobs, weights[layer.name], strict=True):
            assert tuple(blob.shape.dim) == array.shape
            assert np.array_equal(np.array(blob.data, np.float32), array.ravel())


def test_weights_with_their_net(tmp_path):
    path = tmp_path / "m.caffemodel"
    net = read_net(FCN8S / "deploy.prototxt")
    net.layer[1].blobs.add(data=[1])  # blobs of the net are not those to be written
    weights = read_weights(FCN8S / "weights.caffemodel")
    write_weights(path, {name: weights[name] for name in ("score_fr", "conv1_1")}, net)
    written = schema.messages().NetParameter.FromString(path.read_bytes())
    for layer in written.layer:
        count = len(weights[layer.name]) if layer.name in ("score_fr", "conv1_1") else 0
        assert len(layer.blobs) == count
        layer.ClearField("blobs")
    assert written == read_net(FCN8S / "deploy.prototxt")
    with pytest.raises(MismatchError, match=r"weights for layer 'score_ft'.*near names: score_fr"):
        write_weights(path, {"score_ft": []}, net)
    assert path.stat().st_size > 1000  # the refused write has left the file


def test_other_number_types_and_layouts_are_written_as_float32(tmp_path):
    path = tmp_path / "m.caffemodel"
    array = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[:, ::-1]
    write_weights(path, {"a": [array, array.astype(float), array.astype(">f4")]})
    assert_same(read_weights(path), {"a": [array.astype(np.float32)] * 3})


def test_reading_is_a_view_and_outlives_the_file(tmp_path):
    path = tmp_path / "m.caffemodel"
    weights = example()
    write_weights(path, weights)
    read = read_weights(path)
    assert not read["conv"][0].flags.writeable
    assert not read["conv"][0].flags.owndata
    write_weights(path, {"b": read["conv"]})  # replaced while it is mapped
    assert_same(read_weights(path), {"b": weights["conv"]})
    path.unlink()
    assert_same(read, weights)


# Solver states and means


def test_solverstate(tmp_path):
    state = read_solverstate(STATE)
    assert (state.iter, state.current_step, state.learned_net) == (10, 0, "final_iter_10.caffemodel")
    params = [blob for blobs in read_weights(DATA / "solver" / "init.caffemodel").values() for blob in blobs]
    assert [array.shape for array in state.history] == [blob.shape for blob in params]
    copy = tmp_path / "copy.solverstate"
    write_solverstate(copy, state)
    assert copy.read_bytes() == STATE.read_bytes()


@pytest.mark.parametrize("name", ["s.solverstate", "s.solverstate.h5"])
def test_solverstate_round_trip(tmp_path, name):
    history = [np.arange(6.0).reshape(2, 3), np.float32(4)]
    write_solverstate(
        tmp_path / name, SavedState(iter=70000, learned_net="m\u00e9.h5", current_step=3, history=history)
    )
    state = read_solverstate(tmp_path / name)
    assert (state.iter, state.learned_net, state.current_step) == (70000, "m\u00e9.h5", 3)
    assert [array.dtype for array in state.history] == [np.float32] * 2
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(state.history, history, strict=True))


def test_mean(tmp_path):
    path = tmp_path / "mean.binaryproto"
    mean = np.random.default_rng(0).random((3, 4, 5), np.float32)
    write_mean(path, mean)
    assert np.array_equal(read_mean(path), mean[None])
    blob = schema.messages().BlobProto.FromString(path.read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 4, 5)
    with pytest.raises(MismatchError, match=r"not \(4, 5\)"):
        write_mean(path, mean[0])


# HDF5


def test_hdf5_is_told_by_content(tmp_path):
    h5py = pytest.importorskip("h5py")
    weights = example()
    write_weights(tmp_path / "m.caffemodel.h5", weights)
    path = tmp_path / "m.caffemodel"
    (tmp_path / "m.caffemodel.h5").rename(path)
    assert_same(read_weights(path), weights)
    with h5py.File(path) as file:  # where Caffe looks
        assert np.array_equal(file["data/up/0"], weights["up"][0])
        assert file["data/conv/1"].dtype == np.float32


def test_hdf5_of_caffe(tmp_path):
    """Groups in alphabetical order, doubles, a user block, names with slashes, a blob of another layer."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", userblock_size=1024) as file:
        file["data/z/0"] = np.arange(6.0).reshape(3, 2)
        file["data/a/1x1/0"] = np.arange(4, dtype=np.int32)
        file["data/shared/1"] = np.float32([1, 2])
        file.create_group("data/relu")
    layers = {layer.name: layer.blobs for layer in read_layers(path)}
    assert list(layers) == ["a/1x1", "relu", "shared", "z"]
    assert layers["z"][0].data.dtype == np.float32
    assert np.array_equal(layers["z"][0].data, np.arange(6).reshape(3, 2))
    assert np.array_equal(layers["a/1x1"][0].data, np.arange(4))
    assert layers["shared"][0] is None
    with pytest.raises(MismatchError, match="layer 'shared' shares blob 0"):
        read_weights(path)


def test_hdf5_damage(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.h5"
    write_weights(path, example())
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(FileFormatError, match=r"m\.h5: the HDF5 file cannot be read"):
        read_weights(path)
    with h5py.File(path, "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(FileFormatError, match="no group /data"):
        read_weights(path)
    with h5py.File(path, "w") as file:
        file["data/a/0"] = "text"
    with pytest.raises(FileFormatError, match="not numbers"):
        read_weights(path)


def test_without_h5py(tmp_path, monkeypatch):
    path = tmp_path / "m.caffemodel"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match="h5py"):
        read_weights(path)


# Damage


def test_no_caffemodel_at_all(tmp_path):
    path = tmp_path / "m.caffemodel"
    for content, cause in [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"name: 'net' layer { }", r"text \(a prototxt\?\)"),
        (b"\x1f\x8b" + bytes(20), "gzip"),
        (b"\0" * 50, "field number 0"),
        (b"\x0a\x03net", "no layer in it"),
        (b"\xff" * 30, "more than ten bytes"),
    ]:
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=cause) as error:
            read_weights(path)
        assert str(error.value).startswith(str(path))


def test_a_file_cut_short_names_the_layer(tmp_path):
    raw = (FCN8S / "weights.caffemodel").read_bytes()
    path = tmp_path / "m.caffemodel"
    path.write_bytes(raw[: raw.index(b"conv4_2") + 200])
    with pytest.raises(FileFormatError, match=r"m\.caffemodel: .*in layer 'conv4_2': .*cut short"):
        read_weights(path)


@pytest.mark.parametrize(
    ("blob", "cause"),
    [
        (blob_with(data=VALUES[:5]), r"layer 'a', blob 1: shape \(2, 3\) needs 6 numbers, the file has 5"),
        (blob_with(), r"needs 6 numbers, the file has 0"),
        (blob_with(shape=(2, -3), data=VALUES), r"shape \(2, -3\)"),
        (blob_with(shape=(1,) * 33, data=[1]), "more than 32 axes"),
        (blob_with(shape=(2**40, 2**40), data=VALUES), "the file has 6"),
        (schema.messages().BlobProto(), "the file has 0"),
    ],
)
def test_bad_blobs(tmp_path, blob, cause):
    path = write_layer(tmp_path / "m.caffemodel", blob_with(data=VALUES), blob)
    with pytest.raises(FileFormatError, match=cause):
        read_weights(path)


def test_floats_that_are_no_whole_number(tmp_path):
    with pytest.raises(FileFormatError, match="5 bytes are no whole number of 4-byte floats"):
        read_one(tmp_path, b"\x2a\x05" + bytes(5))
    with pytest.raises(FileFormatError, match="field 5 has wire type 0, not floats"):
        read_one(tmp_path, b"\x28\x05")


SOURCES = {
    read_weights: (DATA / "layers" / "deconv_k4s2" / "net.caffemodel").read_bytes(),
    read_model_net: (V1_SMALL / "v1.caffemodel").read_bytes()[:400],
    read_solverstate: STATE.read_bytes()[-600:],
    read_mean: blob_with(data=VALUES).SerializeToString(),
}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_file_is_read_or_refused(tmp_path_factory, data):
    """Never another exception, never a hang."""
    reader = data.draw(st.sampled_from(list(SOURCES)))
    raw = SOURCES[reader]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(raw), 250)))
        to = at + data.draw(st.integers(0, 5))
        raw = raw[:at] + data.draw(st.binary(max_size=5)) + raw[to:]
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(raw)
    try:
        reader(path)
    except FileFormatError as error:
        assert error.path == str(path)
