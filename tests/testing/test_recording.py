"""Digests, recordings and their files, and what `compare` says of them."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from kit_helpers import FCN8S, fcn8s, golden, image, normalized

from deconv_legacy.caffe.prototxt import parse_net
from deconv_legacy.engine import aesara
from deconv_legacy.errors import FileFormatError, MismatchError
from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, InputLayer, Network
from deconv_legacy.testing import Recording, caffe_subject, compare, read_recording, record, seeded_inputs, subject_of
from deconv_legacy.testing.adapters import graph_subject
from deconv_legacy.testing.digest import digest, sample_cells
from deconv_legacy.testing.measure import measure
from deconv_legacy.testing.recording import StoredArray

at = aesara.tensor

DATA = (
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 9, 8] } } }'
    'layer { name: "like" type: "Input" top: "like" input_param { shape { dim: [1, 2, 5, 4] } } }'
)
CROP = (
    'layer { name: "crop" type: "Crop" bottom: "x" bottom: "like" top: "crop" crop_param { axis: 2 offset: OFFSET } }'
)


@pytest.mark.parametrize("shape", [(3,), (5000,), (7, 900), (1, 4, 97, 131), (2, 3, 4, 5, 6), (2, 0, 3), ()])
def test_a_digest_depends_on_the_numbers_alone(shape):
    array = np.random.default_rng(1).standard_normal(shape).astype("float32")
    one, other = digest(array), digest(np.repeat(array[..., None], 2, axis=-1)[..., 1])
    assert one.facts() == other.facts() and one.shape == shape
    np.testing.assert_array_equal(one.sample, other.sample)
    if array.size:
        assert one.stats["mean"] == pytest.approx(array.mean(dtype="float64"))
        assert one.stats["std"] == pytest.approx(array.std(dtype="float64"), abs=1e-12)
        assert one.stats["size"] == abs(array).max()
        changed = array.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9))
        assert digest(changed).sha256 != one.sha256


def test_samples_are_spread_over_all_cells():
    cells = sample_cells(10**6, 4096)
    assert len(set(cells)) == 4096 and cells.min() >= 0 and cells.max() < 10**6
    counts = np.bincount(cells // 10**5, minlength=10)
    assert counts.min() > 400 and counts.max() < 420


def test_a_recording_comes_back_from_its_file(tmp_path):
    recording = record(fcn8s(), {"data": image()}, gradients=True, full_bytes=20_000, seed=3)
    recording.save(tmp_path / "golden.npz")
    back = read_recording(tmp_path / "golden.npz")
    assert back.header == json.loads(json.dumps(recording.header)) | {"format": back.header["format"]}
    assert back.outputs == ["score"] and back.tolerances == recording.tolerances
    for group in ("inputs", "blobs", "gradients", "params"):
        ours, theirs = getattr(recording, group), getattr(back, group)
        assert list(ours) == list(theirs) and ours
        for name, stored in ours.items():
            assert (stored.values is None) == (theirs[name].values is None)
            assert stored.digest.facts() == theirs[name].digest.facts()
            np.testing.assert_array_equal(stored.digest.sample, theirs[name].digest.sample)
    assert recording["conv1_1"].values is None and recording["fc7"].values is not None
    found = compare(recording, back)
    assert found.ok and {m.verdict for m in (*found.blobs, *found.gradients, *found.params)} == {"same"}
    assert list(recording.header["files"]) == ["weights.caffemodel"] and recording.header["seed"] == 3
    assert recording.header["versions"]["numpy"] == np.__version__
    assert sorted(p.name for p in tmp_path.iterdir()) == ["golden.npz"]


def test_nothing_is_pickled_either_way(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, score=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match="Python objects, which are never unpickled"):
        read_recording(path)
    with pytest.raises(MismatchError, match="an array of object is no blob"):
        Recording.from_arrays({"x": np.array([None])})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no recording"), (b"PK\x03\x04 cut", "no recording"), (b"name: 'net'", "no recording")],
    ids=["empty", "cut", "text"],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        read_recording(path)


def test_a_later_format_is_refused(tmp_path):
    golden(normalized).save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive, archive.open("header.npy") as file:
        header = json.loads(np.load(file).tobytes())
    header["format"] = "deconv_legacy recording 9"
    np.savez(tmp_path / "b.npz", header=np.frombuffer(json.dumps(header).encode(), np.uint8))
    with pytest.raises(FileFormatError, match="recording 9"):
        read_recording(tmp_path / "b.npz")


def test_the_numbers_of_real_caffe():
    recorded = read_recording(FCN8S / "io_97x131.npz")
    found = compare(recorded, fcn8s())
    assert found.ok and len(found.blobs) == 11
    assert all(m.argmax == 1 for m in found.blobs)
    assert max(m.relative for m in found.blobs) < 2e-6


def test_the_last_bit_of_a_weight_is_seen():
    subject = fcn8s()
    variable = subject.params["fc6.W"]
    kept = variable.get_value()
    changed = kept.copy()
    changed[3, 2, 1, 0] = np.nextafter(changed[3, 2, 1, 0], np.float32(np.inf))
    variable.set_value(changed)
    found = compare(golden(), subject)
    assert not found.ok and all(m.ok for m in found.blobs)
    assert [m.name for m in found.params if not m.ok] == ["fc6.W"]
    assert "1 of 39 parameters differ, first 'fc6.W'" in found.summary()


@pytest.mark.parametrize("full_bytes", [0, 1 << 20], ids=["digests", "whole"])
def test_a_crop_that_is_off_by_one_is_seen(full_bytes):
    subject = fcn8s()
    recorded = record(subject, {"data": image()}, full_bytes=full_bytes)
    found = compare(recorded, fcn8s(lambda text: text.replace("offset: 31", "offset: 32")), parts=["blobs"])
    assert [m.name for m in found.blobs if not m.ok] == ["score"] == [found.first.name]
    assert found.first.relative > 100 * found.first.tolerance


def test_what_no_number_tells_the_text_does():
    """Of a constant image a crop shows nothing."""
    small = (DATA + CROP).replace("OFFSET", "1"), (DATA + CROP).replace("OFFSET", "2")
    right, wrong = (caffe_subject(parse_net(text), backend="numpy") for text in small)
    found = compare(record(right, {"x": np.zeros((1, 2, 9, 8)), "like": np.zeros((1, 2, 5, 4))}), wrong)
    assert not found.ok and found.settings == ["crop: offset [1, 1] recorded, [2, 2] now"]
    assert all(m.ok for m in found.blobs)


def test_summation_order_and_backends_raise_no_alarm():
    """Another backend adds in another order; so do other BLAS libraries and numbers of threads."""
    found = compare(golden(), fcn8s(backend="numpy"))
    assert found.ok and any(m.verdict == "within" for m in found.blobs)
    assert max(m.relative / m.tolerance for m in found.blobs if m.tolerance) < 0.5


def test_measures():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1, 3, 40, 50)).astype("float32")
    b = a.copy()
    b[0, 1, 2, 3] += 7
    whole = measure("x", StoredArray.of(a), StoredArray.of(b), 1e-5)
    assert whole.verdict == "differs" and whole.error == pytest.approx(7) and whole.compared == 6000
    assert whole.relative == pytest.approx(7 / abs(a).max())
    assert whole.argmax == pytest.approx(1, abs=1 / 2000)
    assert whole.cosine == pytest.approx((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
    # a digest knows the extremes even where the sample has no cell
    sampled = measure("x", StoredArray.of(a, full=False), StoredArray.of(b, full=False), 1e-5)
    assert sampled.verdict == "differs" and sampled.note == "sampled"
    assert measure("x", StoredArray.of(a), StoredArray.of(-a), 1).cosine == pytest.approx(-1)
    assert measure("x", StoredArray.of(a), StoredArray.of(a[:, :2]), 1).verdict == "shape"
    nan = a.copy()
    nan[0, 0, 0, 0] = np.nan
    assert measure("x", StoredArray.of(a), StoredArray.of(nan), 1e9).verdict == "differs"
    assert measure("x", StoredArray.of(nan), StoredArray.of(nan), 0).verdict == "same"
    assert measure("x", StoredArray.of(nan), StoredArray.of(nan + np.float32(1e-9)), 1e-6).verdict != "differs"
    zero = np.zeros((2, 3), "float32")
    assert measure("x", StoredArray.of(zero), StoredArray.of(zero + np.float32(1e-30)), 1).verdict == "differs"


def test_a_network_of_layers_and_a_plain_graph():
    data = InputLayer((None, 3, None, None))
    conv = ConvolutionLayer(data, (4, 3, 3, 3), 2, 1, "conv", rng=0, b=True)
    up = DeconvolutionLayer(conv, (4, 2, 3, 3), 2, 1, "up", like=data, rng=1)
    network = subject_of(Network(up), backend="numpy")
    assert network.blobs == ["data", "conv", "up"] and list(network.params) == ["conv.W", "conv.b", "up.W"]
    assert [s.bottoms for s in network.stages] == [("data",), ("conv", "data")]
    x = {"data": np.random.default_rng(2).standard_normal((1, 3, 8, 9)).astype("float32")}
    recorded = record(network, x, gradients=True)
    plain = graph_subject({"conv": conv.output, "up": up.output}, backend="numpy")
    found = compare(recorded, plain)
    assert found.ok, found.table(True)
    assert len(found.blobs) == 2 and len(found.gradients) == 4 and len(found.params) == 3
    # by the names that variables have
    h = at.tanh(data.output)
    h.name = "h"
    y = h.sum(axis=1)
    assert graph_subject([y], backend="numpy").blobs == ["data", "h", "output0"]
    with pytest.raises(MismatchError, match="a dict is no net"):
        subject_of({"a": 1})


def test_gradients_follow_a_loss_where_there_is_one():
    data = InputLayer((2, 3), name="x")
    w = aesara.shared(np.arange(6, dtype="float32").reshape(3, 2), name="w")
    loss = at.square(at.dot(data.output, w)).sum()
    x = np.array([[1, 2, 3], [4, 5, 7]], "float32")
    found = graph_subject({"loss": loss}, backend="numpy").gradients({"x": x})
    np.testing.assert_allclose(found["w"], 2 * x.T @ (x @ w.get_value()), rtol=1e-6)
    assert set(found) == {"x", "w"}


def test_inputs_by_seed_or_by_shape():
    subject = fcn8s()
    made = seeded_inputs(subject, {}, seed=1)
    assert made["data"].shape == (1, 3, 97, 131)
    np.testing.assert_array_equal(made["data"], seeded_inputs(subject, {}, seed=1)["data"])
    free = subject_of(Network(ConvolutionLayer(InputLayer((None, 3, None, None)), (2, 3, 1, 1))))
    with pytest.raises(MismatchError, match="give one, such as data=1,3,97,131"):
        seeded_inputs(free, {})
    with pytest.raises(MismatchError, match="no values for input 'data'"):
        record(subject, {})
    with pytest.raises(MismatchError, match="the net has no input 'image'"):
        record(subject, {"image": image()})
