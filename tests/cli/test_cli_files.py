"""upgrade, convert and draw: files of one form become those of another, with the same numbers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Run

from deconv_legacy.caffe import build_net, parse_net, read_layers, read_net, read_solver, read_weights, write_weights
from deconv_legacy.caffe.caffemodel import StoredBlob, read_model_net
from deconv_legacy.caffe.convert import FORMATS

LEGACY = Path(__file__).parents[1] / "data" / "caffe" / "legacy" / "v1_small"
PROTOTXT, WEIGHTS = LEGACY / "v1.prototxt", LEGACY / "v1.caffemodel"


def same_bits(first, second):
    assert list(first) == list(second)
    for name in first:
        assert len(first[name]) == len(second[name])
        for a, b in zip(first[name], second[name], strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype == np.float32
            assert a.tobytes() == b.tobytes()


def test_upgrade_of_a_net_is_caffes(tmp_path, capsys):
    run = Run(capsys, "upgrade", PROTOTXT, tmp_path / "new.prototxt")
    assert run.status == 0 and "V1 layers" in run.err
    upgraded = read_net(tmp_path / "new.prototxt", upgraded=False)
    expected = read_net(LEGACY / "upgraded.prototxt", upgraded=False)
    expected.name = upgraded.name
    assert [layer.name for layer in upgraded.layer] == [layer.name for layer in expected.layer]
    assert Run(capsys, "upgrade", PROTOTXT, "-").out == (tmp_path / "new.prototxt").read_text()
    again = Run(capsys, "upgrade", tmp_path / "new.prototxt", tmp_path / "new.prototxt")
    assert "of today already" in again.err
    assert read_net(tmp_path / "new.prototxt", upgraded=False) == upgraded
    assert os.listdir(tmp_path) == ["new.prototxt"]


def test_upgrade_of_weights_keeps_every_bit(tmp_path, capsys):
    run = Run(capsys, "upgrade", WEIGHTS, tmp_path / "new.caffemodel")
    assert run.status == 0 and "V1 layers" in run.err
    before = [(layer.name, layer.blobs) for layer in read_layers(WEIGHTS) if layer.blobs]
    after = [(layer.name, layer.blobs) for layer in read_layers(tmp_path / "new.caffemodel") if layer.blobs]
    assert [name for name, _ in before] == [name for name, _ in after]
    for (_, olds), (_, news) in zip(before, after, strict=True):
        for old, new in zip(olds, news, strict=True):
            assert old.legacy == new.legacy and old.data.shape == new.data.shape
            assert old.data.tobytes() == new.data.tobytes()
    net = read_model_net(tmp_path / "new.caffemodel", upgraded=False)
    assert not net.layers and {layer.type for layer in net.layer} >= {"Convolution"}
    build_net(read_net(PROTOTXT), free=False).load(tmp_path / "new.caffemodel")


@pytest.mark.filterwarnings("always")
def test_upgrade_of_a_solver_and_of_a_forks_net(tmp_path, capsys):
    (tmp_path / "solver.prototxt").write_text('base_lr: 0.1\nsolver_type: ADAM\nnet: "x.prototxt"\n')
    assert Run(capsys, "upgrade", tmp_path / "solver.prototxt", tmp_path / "new").status == 0
    assert read_solver(tmp_path / "new").type == "Adam" and "solver_type" not in (tmp_path / "new").read_text()
    fork = tmp_path / "fork.prototxt"
    fork.write_text('input: "x"\nlayers { name: "crop" type: CROP bottom: "x" bottom: "y" top: "z" odd: 3 }\n')
    assert "CROP" in Run(capsys, "upgrade", fork, "-").error()
    run = Run(capsys, "upgrade", fork, "-", "--forks")
    assert run.status == 0 and 'type: "Crop"' in run.out
    assert "2:29" in run.err and "2:67" in run.err and "'odd'" in run.err


def test_upgrade_refuses(tmp_path, capsys):
    assert "not printed" in Run(capsys, "upgrade", WEIGHTS, "-").error()
    write_weights(tmp_path / "a.caffemodel.h5", {"a": [np.ones(3)]})
    assert "one form only" in Run(capsys, "upgrade", tmp_path / "a.caffemodel.h5", tmp_path / "b").error()
    bad = tmp_path / "bad.prototxt"
    bad.write_text("layer { nam: 3 }")
    assert "bad.prototxt:1:9" in Run(capsys, "upgrade", bad, tmp_path / "b").error()
    assert not (tmp_path / "b").exists()


def odd_weights():
    rng = np.random.default_rng(0)
    # every bit pattern counts: NaNs with a payload, denormals, infinities, -0
    bits = rng.integers(0, 1 << 32, (2, 3, 4, 5), np.uint32)
    special = np.array([0x7F800001, 0xFFC12345, 0x80000000, 1, 0x7F800000], np.uint32).view(np.float32)
    return {"inception/3a": [bits.view(np.float32), special], "b": [np.float32([[2.5]])], "é": [np.zeros((0, 3), "f")]}


@pytest.mark.parametrize("end", FORMATS)
@pytest.mark.parametrize("start", FORMATS)
def test_convert_keeps_every_bit(tmp_path, capsys, start, end):
    if ".safetensors" in (start, end):
        pytest.importorskip("safetensors")
    weights = odd_weights()
    write_weights(tmp_path / "first.caffemodel", weights)
    first, second, last = tmp_path / f"a{start}", tmp_path / f"b{end}", tmp_path / "last.caffemodel"
    for source, target in ((tmp_path / "first.caffemodel", first), (first, second), (second, last)):
        run = Run(capsys, "convert", source, target)
        assert run.status == 0, run.err
        assert run.out == f"{target}: 3 layers, 4 arrays, 126 numbers\n"
    same_bits(read_weights(last), weights)
    if end != ".safetensors" and start != ".safetensors":
        assert last.read_bytes() == (tmp_path / "first.caffemodel").read_bytes()


def test_convert_gives_old_weights_todays_shapes(tmp_path, capsys):
    run = Run(capsys, "convert", WEIGHTS, tmp_path / "new.npz", "--json")
    shapes = json.loads(run.out)
    net = build_net(read_net(PROTOTXT), free=False)
    params = net.params()
    assert shapes == {name: [list(v.type.shape) for v in params[name]] for name in shapes}
    assert Run(capsys, "convert", tmp_path / "new.npz", tmp_path / "new.caffemodel").status == 0
    net.load(tmp_path / "new.caffemodel")
    for layer in read_layers(WEIGHTS):
        for blob, variable in zip(layer.blobs, params.get(layer.name, []), strict=True):
            assert blob.data.tobytes() == variable.get_value().tobytes()
    assert Run(capsys, "convert", tmp_path / "new.npz", tmp_path / "with.caffemodel", "--net", PROTOTXT).status == 0
    assert read_model_net(tmp_path / "with.caffemodel") == read_net(PROTOTXT)


def test_legacy_blobs_are_written_as_read(tmp_path):
    blob = StoredBlob(np.arange(5, dtype="f").reshape(1, 1, 1, 5), legacy=True)
    write_weights(tmp_path / "a.caffemodel", {"up": [blob]})
    (layer,) = read_layers(tmp_path / "a.caffemodel")
    assert layer.blobs[0].legacy and layer.blobs[0].fits((5,))
    write_weights(tmp_path / "b.caffemodel", {"up": [layer.blobs[0]]})
    assert (tmp_path / "a.caffemodel").read_bytes() == (tmp_path / "b.caffemodel").read_bytes()


def test_convert_refuses(tmp_path, capsys):
    write_weights(tmp_path / "a.caffemodel", odd_weights())
    assert "end in one of .caffemodel" in Run(capsys, "convert", tmp_path / "a.caffemodel", tmp_path / "a.txt").error()
    for arrays, words in (
        ({"conv": np.ones(3)}, "<layer>/<index>"),
        ({"conv/1": np.ones(3)}, "<layer>/<index>"),
        ({"conv/0": np.array(["a"])}, "not numbers"),
        ({}, "no array"),
    ):
        np.savez(tmp_path / "bad.npz", **arrays)
        if arrays:
            assert words in Run(capsys, "convert", tmp_path / "bad.npz", tmp_path / "b.h5").error()
    np.savez(tmp_path / "pickle.npz", **{"conv/0": np.array([{}], dtype=object)})
    assert "pickle" in Run(capsys, "convert", tmp_path / "pickle.npz", tmp_path / "b.h5").error()
    whole = (tmp_path / "pickle.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    assert (
        "cut.npz: the npz file cannot be read"
        in Run(capsys, "convert", tmp_path / "cut.npz", tmp_path / "b.h5").error()
    )
    net = tmp_path / "other.prototxt"
    net.write_text('layer { name: "other" type: "Input" top: "x" }')
    refused = Run(capsys, "convert", tmp_path / "a.caffemodel", tmp_path / "b.caffemodel", "--net", net)
    assert "'inception/3a', which the net does not have" in refused.error()
    assert not list(tmp_path.glob("b.*")) and not list(tmp_path.glob(".*"))


def test_draw(tmp_path, capsys):
    printed = Run(capsys, "draw", PROTOTXT)
    assert printed.status == 0 and printed.out.startswith("digraph ")
    assert Run(capsys, "draw", PROTOTXT, tmp_path / "net.dot").status == 0
    assert (tmp_path / "net.dot").read_text() == printed.out
    down = Run(capsys, "draw", PROTOTXT, "--rankdir", "TB", "--display_lrm", "--phase", "TEST").out
    assert "rankdir=TB" in down and "lr mult: " in down
    if shutil.which("dot"):
        assert Run(capsys, "draw", PROTOTXT, tmp_path / "net.png").status == 0
        assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
        assert "no 'xyz'" in Run(capsys, "draw", PROTOTXT, tmp_path / "net.xyz").error()


def test_a_drawn_net_is_the_net(tmp_path, capsys):
    text = 'layer { name: "a" type: "Input" top: "x" } layer { name: "b" type: "ReLU" bottom: "x" top: "y" }'
    (tmp_path / "n.prototxt").write_text(text)
    out = Run(capsys, "draw", tmp_path / "n.prototxt").out
    edges = [line.strip() for line in out.splitlines() if "->" in line]
    assert edges == ['"layer a" -> "blob x";', '"blob x" -> "layer b";', '"layer b" -> "blob y";']
    assert len(parse_net(text).layer) == 2


@pytest.mark.filterwarnings("always")
def test_shapes_and_offsets_of_a_forks_net(tmp_path, capsys):
    net = tmp_path / "fork.prototxt"
    net.write_text("""input: "x" input_shape { dim: [1, 3, 9, 13] }
        layer { bottom: "x" top: "c" name: "c" type: "Convolution"
                convolution_param { num_output: 4 kernel_size: 3 pad: 5 hole: 2 } }
        layer { bottom: "c" bottom: "x" top: "cut" name: "cut" type: "Crop" }
        layer { bottom: "cut" top: "i" name: "i" type: "Interp" interp_param { zoom_factor: 2 } }""")
    assert "hole" in Run(capsys, "shapes", net).error()
    layers = json.loads(Run(capsys, "shapes", net, "--forks", "--json").out)["layers"]
    sizes = {layer["name"]: layer["sizes"] for layer in layers}
    assert sizes["c"] == [[1, 4, 15, 19]] and sizes["i"] == [[1, 4, 17, 25]]
    (crop,) = json.loads(Run(capsys, "offsets", net, "--forks", "--json").out)
    assert crop["derived"] == crop["written"] == [3, 3]
