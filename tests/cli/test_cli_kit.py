"""record, compare and bisect as commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cli_helpers import NETS, ROOT, Run

PROTOTXT, WEIGHTS = NETS / "fcn8s" / "deploy.prototxt", NETS / "fcn8s" / "weights.caffemodel"


NET_IN_PYTHON = """
from deconv_legacy.layers import ConvolutionLayer, InputLayer

def make():
    return ConvolutionLayer(InputLayer((None, 2, None, None), name="x"), (3, 2, 3, 2), rng=0, filter_flip=True)
"""


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    from deconv_legacy.cli import main

    path = tmp_path_factory.mktemp("kit") / "golden.npz"
    assert main(["record", str(PROTOTXT), str(WEIGHTS), "--out", str(path), "--input", "data=1,3,23,38"]) == 0
    return path


def test_record_compare_and_bisect(golden, tmp_path, capsys):
    run = Run(capsys, "compare", golden, PROTOTXT, WEIGHTS)
    assert run.status == 0 and run.out.startswith("31 blobs: 31 the same bit for bit")
    text = PROTOTXT.read_text()
    bad = tmp_path / "bad.prototxt"
    bad.write_text(text.replace("offset: 9", "offset: 8"))
    run = Run(capsys, "compare", golden, bad, WEIGHTS, "--html", tmp_path / "report.html")
    assert run.status == 1
    assert "score_pool3c: offset [9, 9] recorded, [8, 8] now" in run.out and "first 'score_pool3c'" in run.out
    assert "data:image/png" in (tmp_path / "report.html").read_text()
    run = Run(capsys, "bisect", golden, bad, WEIGHTS)
    assert run.status == 1
    assert "cause: crop offset: offset 9 was used, here it is 8\n" in run.out


@pytest.mark.filterwarnings("default:.*not of BVLC Caffe")
def test_check_of_a_fork(tmp_path, capsys):
    """DeepLab's and SegNet's layers, in fields that BVLC's Caffe does not know."""
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 3, 24, 32] } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
                convolution_param { num_output: 4 kernel_size: 3 hole: 2 weight_filler { type: "xavier" } } }
        layer { name: "bn" type: "BN" bottom: "c" top: "c" bn_param { scale_filler { value: 2 } shift_filler { } } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p" top: "m" pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "u" type: "Upsample" bottom: "p" bottom: "m" top: "u" upsample_param { scale: 2 } }
        layer { name: "i" type: "Interp" bottom: "u" top: "i" interp_param { zoom_factor: 2 } }""")
    words = ["check", "--model", tmp_path / "net.prototxt", "--backend", "numpy", "--no-gradients"]
    assert "ConvolutionParameter has no field 'hole'" in Run(capsys, *words).error()
    run = Run(capsys, *words, "--forks")
    assert run.status == 0 and "5 of 5 layers tried against the reference, all right; no problem" in run.out
    assert "bn_param (of a fork; kept)" in run.err


def test_nets_by_position_and_by_flag(golden, capsys):
    for words in (
        ("--model", PROTOTXT, "--weights", WEIGHTS, golden),
        (golden, "--all", PROTOTXT, "--weights", WEIGHTS),
        (golden, "--weights", WEIGHTS, "--all", PROTOTXT),
    ):
        run = Run(capsys, "compare", *words)
        assert run.status == 0 and "31 blobs: 31 the same bit for bit" in run.out
    said = Run(capsys, "bisect", golden, PROTOTXT, WEIGHTS, "--model", "other.prototxt").error()
    assert said.startswith(f"the net is given twice, as {PROTOTXT} and other.prototxt: by position, or with --model")
    assert "the weights are given twice" in Run(capsys, "check", PROTOTXT, WEIGHTS, "--weights", "w").error()
    for words in (("check",), ("record", "--out", "x.npz"), ("compare", golden), ("bisect", golden)):
        assert Run(capsys, *words).error() == "no net is given: by position, or with --model"


def test_json(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NET_IN_PYTHON)
    words = [f"{tmp_path / 'net.py'}:make", "--backend", "numpy", "--json"]
    assert Run(capsys, "record", words[0], "--input", "x=1,2,5,6", "--out", tmp_path / "g.npz").status == 0
    found = json.loads(Run(capsys, "compare", tmp_path / "g.npz", *words).out)
    assert found["ok"] and found["first"] is None and found["blobs"][0]["verdict"] in ("same", "within")
    (tmp_path / "net.py").write_text(NET_IN_PYTHON.replace("filter_flip=True", "filter_flip=False"))
    run = Run(capsys, "compare", tmp_path / "g.npz", *words)
    assert run.status == 1 and json.loads(run.out)["first"] == "conv"
    finding = json.loads(Run(capsys, "bisect", tmp_path / "g.npz", *words).out)["findings"][0]
    assert (finding["layer"], finding["cause"]["name"]) == ("conv", "filter flip")
    run = Run(capsys, "check", *words, "--no-gradients", "--run", "x=1,2,5,6")
    assert run.status == 0 and json.loads(run.out)["layers"][0]["flip"] == "correlates"


def test_the_header_tells_where_the_numbers_come_from(golden):
    from deconv_legacy.testing import read_recording

    header = read_recording(golden).header
    assert set(header["files"]) == {"deploy.prototxt", "weights.caffemodel"}
    assert header["seed"] == 0 and header["dtype"] == "float32" and header["BLAS"]["name"]


def test_a_photo_an_array_and_a_net_in_python(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((1, 3, 9, 8), "float32"))
    (tmp_path / "net.py").write_text(
        "from deconv_legacy.networks import fcn32s\n"
        "def make():\n"
        "    return fcn32s(3, 1 / 64, stages=((2,), (2,), (2,), (2,), (2,)), rng=0)\n"
    )
    net, out = f"{tmp_path / 'net.py'}:make", tmp_path / "g.npz"
    run = Run(capsys, "record", net, "--input", f"data={tmp_path / 'x.npy'}", "--out", out, "--backend", "numpy")
    assert run.status == 0 and "1x3x9x8" in run.out
    run = Run(capsys, "compare", out, net, "--backend", "numpy", "--all")
    assert run.status == 0 and "upscore" in run.out
    run = Run(capsys, "record", net, "--input", f"data={ROOT / 'examples' / 'photo.png'}", "--out", out, "--json")
    assert run.status == 0 and json.loads(run.out)["seed"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["record", PROTOTXT, WEIGHTS, "--out", "x.npz", "--input", "image=1,3,5,5"], "the net reads data"),
        (["record", PROTOTXT, WEIGHTS, "--out", "x.npz", "--input", "data=1,3,0,5"], "is not of the form"),
        (
            ["record", PROTOTXT, WEIGHTS, "--out", "/nowhere/x.npz", "--input", "data=1,3,2,2"],
            "/nowhere/x.npz: its folder does not",
        ),
        (["compare", PROTOTXT, PROTOTXT, WEIGHTS], "this is no recording"),
        (["compare", "g.npz", "h.npz", "--only", "weights"], "--only weights: there are blobs,"),
        (["bisect", "nothing.npz", PROTOTXT, WEIGHTS], "nothing.npz: No such file"),
        (["record", PROTOTXT, WEIGHTS, "--out", "x.npz", "--input", "data=1,3,5"], "of shape (1, 3, 5): the net reads"),
        (["record", PROTOTXT, WEIGHTS, "--out", "x.npz", "--input", "data=1,4,5,5"], "the net reads (None, 3, None,"),
        (["record", PROTOTXT, WEIGHTS, "--out", "x.npz", "--input", "photo.jpg"], "such as data=photo.jpg: the net"),
        (["check", PROTOTXT, WEIGHTS, "--run", "photo.jpg"], "'photo.jpg' is no BLOB=WHAT"),
        (["record", "net.py", "--out", "x.npz"], "net.py: say which of its nets, as in net.py:NAME"),
    ],
    ids=range(11),
)
def test_errors_in_one_line(capsys, words, message):
    assert message in Run(capsys, *words).error()
