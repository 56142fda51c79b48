"""`train` and `time`: caffe's flags, its log, the progress line, snapshots."""

from __future__ import annotations

import json
import os
import re
import signal

import numpy as np
import pytest
from cli_helpers import Run, noise, save

from deconv_legacy import caffe, engine
from deconv_legacy.caffe.caffemodel import read_solverstate, read_weights
from deconv_legacy.cli.train import newest_snapshot

NET = """name: "small"
layer { name: "d" type: "DummyData" top: "x" top: "t" include { not_stage: "own" }
        dummy_data_param { shape { dim: [4, 3] } shape { dim: [4, 2] }
        data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "p" type: "Python" top: "x" top: "t" include { stage: "own" }
        python_param { module: "own_layers" layer: "Own" } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.125 lr_policy: "fixed" display: 2 average_loss: 2 max_iter: 4
snapshot: 3 snapshot_prefix: "snap/s" test_iter: 2 test_interval: 2 test_compute_loss: true random_seed: 1"""
OWN = """import caffe
class Own(caffe.Layer):
    def setup(self, bottom, top):
        print 'python 2'
    def reshape(self, bottom, top):
        top[0].reshape(4, 3)
        top[1].reshape(4, 2)
    def forward(self, bottom, top):
        top[0].data[...] = 1 / 2
        top[1].data[...] = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "own_layers.py").write_text(OWN)
    return tmp_path


def test_train_and_go_on(folder, capsys):
    wrong = Run(capsys, "train", "-solver", "solver.prototxt", "-gpu", "x").error()
    assert wrong.startswith("-gpu x: give the number of a GPU")
    whole = Run(capsys, "train", "-solver", "solver.prototxt", "-gpu", "0,1", "-logtostderr", "--json")
    assert whole.status == 0
    facts = json.loads(whole.out)
    assert (facts["iter"], facts["iterations"], facts["stopped"]) == (4, 4, False) and len(facts["losses"]) == 4
    lines = whole.err.splitlines()
    if engine.gpu_backend(0) is None:
        assert lines[0].startswith("deconv-legacy: warning: -gpu 0,1: everything runs on the CPU")
    logged = [line for line in lines if line.startswith("I")]
    assert all(re.match(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ solver\.cpp:\d+\] ", line) for line in logged)
    text = [line.partition("] ")[2] for line in logged]
    assert text[:3] == ["Starting Optimization", "Solving small", "Learning Rate Policy: fixed"]
    shown = [
        line for line in text if re.match(r"Iteration \d+ \([\d.e+]+ iter/s, [\d.e-]+s/2 iters\), loss = [\d.]+$", line)
    ]
    assert [line.split()[1] for line in shown] == ["0", "2"]
    # the mean of the last two
    assert float(shown[1].split()[-1]) == pytest.approx(np.mean(facts["losses"][1:3]), rel=1e-5)
    assert text.count("Iteration 2, Testing net (#0)") == text.count("Iteration 4, Testing net (#0)") == 1
    assert sum(line.startswith("Test loss: ") for line in text) == 3
    assert "Iteration 2, lr = 0.125" in text
    assert next(line for line in text if "Snapshotting" in line).endswith("file snap/s_iter_3.caffemodel")
    assert re.match(r"Iteration 4, loss = ", text[-5]) and text[-1] == "Optimization Done."
    # the progress line: how far, speed, time, loss, rate
    assert re.search(r"100%.* 4/4 \[\d\d:\d\d<\d\d:\d\d, .*it.*, loss [\d.]+, lr 0.125\]", lines[-1])
    final = read_weights("snap/s_iter_4.caffemodel")

    os.remove("snap/s_iter_4.solverstate")
    assert newest_snapshot("snap/s") == "snap/s_iter_3.solverstate"
    again = Run(capsys, "train", "--solver=solver.prototxt", "--snapshot=auto")
    assert again.status == 0 and "Resuming from snap/s_iter_3.solverstate" in again.err
    for name, blobs in read_weights("snap/s_iter_4.caffemodel").items():
        for mine, first in zip(blobs, final[name], strict=True):
            np.testing.assert_array_equal(mine, first)

    # from weights, for some iterations, with layers in Python 2
    tuned = Run(
        capsys, "train", "-solver=solver.prototxt", "-weights=snap/s_iter_4.caffemodel", "-iterations=1", "-stage=own"
    )
    assert tuned.status == 0 and "python 2" in tuned.out
    w, b = final["ip"]
    assert w.shape == (2, 3)
    error = b.astype(float) - 3  # the layer's 1 / 2 is 0
    np.testing.assert_allclose(read_weights("snap/s_iter_1.caffemodel")["ip"][1], b - 0.125 * error, rtol=1e-5)
    assert read_solverstate("snap/s_iter_1.solverstate").iter == 1


def test_what_is_wrong(folder, capsys):
    assert "required: -solver" in Run(capsys, "train").error()
    both = Run(capsys, "train", "-solver", "solver.prototxt", "-weights", "w", "-snapshot", "s")
    assert "not both" in both.error()
    assert Run(capsys, "train", "-solver", "none.prototxt").error() == "none.prototxt: No such file or directory"
    (folder / "snap").write_text("a file")
    assert "snap cannot be written to" in Run(capsys, "train", "-solver", "solver.prototxt").error()
    assert "required: -model" in Run(capsys, "time").error()


@pytest.mark.filterwarnings("always")
def test_a_forks_net(folder, capsys):
    """Train, time and explain it, label and score photos with it: `hole` is DeepLab's dilation."""
    layers = """layer { name: "c" type: "Convolution" bottom: "x" top: "score" convolution_param {
                num_output: 2 kernel_size: 3 pad: 2 hole: 2 weight_filler { type: "xavier" } } }"""
    data = """layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
        shape { dim: [1, 3, 4, 5] } shape { dim: [1, 1, 4, 5] } data_filler { type: "gaussian" } data_filler { } } }"""
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "t" top: "loss" }'
    (folder / "net.prototxt").write_text(data + layers + loss)
    (folder / "deploy.prototxt").write_text('input: "x" input_shape { dim: [1, 3, 4, 5] }' + layers)
    photo = save(folder / "photo.png", noise(4, 5))
    save(folder / "photo_labels.png", noise(4, 5)[:, :, 0] % 2)
    solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot: 1 snapshot_prefix: "s"'
    (folder / "solver.prototxt").write_text(solver)
    net = ["--model", "deploy.prototxt", "--weights", "s_iter_1.caffemodel", "--backend", "numpy"]
    for words in (
        ["train", "-solver", "solver.prototxt", "--backend", "numpy"],
        ["time", "-model", "net.prototxt", "-iterations", "1", "--backend", "numpy"],
        ["explain", "deploy.prototxt"],
        ["segment", photo, "--out", "out", *net],
        ["score", photo, "--labels", ".", *net],
    ):
        assert "'hole'; forks of Caffe have it, and --forks reads it" in Run(capsys, *words).error()
        run = Run(capsys, *words, "--forks", *(["--json"] if words[0] == "train" else []))
        assert run.status == 0 and "ConvolutionParameter.hole (of a fork; kept)" in run.err
        if words[0] == "train":
            assert json.loads(run.out)["parameters"]["c"] == [[2, 3, 3, 3], [2]]


def test_iterations_are_some(folder, capsys):
    for words in (["time", "-model", "net.prototxt"], ["train", "-solver", "solver.prototxt"]):
        assert (
            "-iterations/--iterations: '0' is not a number of at least 1"
            in Run(capsys, *words, "-iterations", "0").error()
        )


def test_signals(folder, capsys, monkeypatch):
    """Ctrl-C: a last snapshot, and the end; SIGHUP: a snapshot."""
    sent = {1: signal.SIGHUP, 2: signal.SIGINT}
    original = caffe.SGDSolver.apply_update

    def apply_update(self):
        original(self)
        if self.iter in sent:
            os.kill(os.getpid(), sent.pop(self.iter))

    monkeypatch.setattr(caffe.SGDSolver, "apply_update", apply_update)
    before = signal.getsignal(signal.SIGINT)
    run = Run(capsys, "train", "-solver", "solver.prototxt", "--json")
    assert run.status == 0 and "Optimization stopped early." in run.err
    facts = json.loads(run.out)
    assert (facts["iter"], facts["stopped"]) == (3, True)
    assert sorted(path.name for path in (folder / "snap").glob("*state")) == [
        "s_iter_2.solverstate", "s_iter_3.solverstate",
    ]  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is before


def test_time(folder, capsys):
    run = Run(capsys, "time", "-model", "net.prototxt", "-iterations", "3", "-phase", "TRAIN", "--json")
    assert run.status == 0
    facts = json.loads(run.out)
    assert [(row["name"], row["type"]) for row in facts["layers"]] == [
        ("d", "DummyData"), ("ip", "InnerProduct"), ("loss", "EuclideanLoss"),
    ]  # fmt: skip
    assert [row["backward_ms"] is None for row in facts["layers"]] == [True, False, False]
    assert all(row["forward_ms"] > 0 for row in facts["layers"]) and facts["iterations"] == 3
    assert facts["forward_backward_ms"] > 0
    table = Run(capsys, "time", "--model=net.prototxt", "--iterations=1").out
    assert re.search(r"^layer +type +forward ms +backward ms$", table, re.M)
    assert re.search(r"^ip +InnerProduct +[\d.]+ +[\d.]+$", table, re.M)
    assert re.search(r"^the net, forward and backward +[\d.]+$", table, re.M)
