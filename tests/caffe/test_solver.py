"""Solvers: real Caffe's trace of ten steps, the rules against their formulas, snapshots, policies."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from deconv_legacy import caffe
from deconv_legacy.caffe import _state
from deconv_legacy.caffe.caffemodel import read_solverstate
from deconv_legacy.caffe.solver import learning_rate
from deconv_legacy.errors import MismatchError

CAFFE = Path(__file__).parents[1] / "data" / "caffe" / "solver"


def close(actual, expected, factor=1.0):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= factor * 2e-5 * np.abs(expected).max(initial=0)


BACKENDS = [None, *(["jax"] if importlib.util.find_spec("jax") is not None else [])]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_steps_are_caffes(tmp_path, monkeypatch, backend):
    monkeypatch.setattr(_state, "backend", backend)
    folder = CAFFE / "fcn_unnormalized"
    monkeypatch.chdir(folder)
    with np.load("trace.npz") as file:
        z = dict(file)
    solver = caffe.SGDSolver("solver.prototxt")
    solver.param.snapshot_prefix = str(tmp_path / "ours")
    solver.net.copy_from(str(CAFFE / "init.caffemodel"))
    solver.net.blobs["data"].data[...] = z["A/data"]
    solver.net.blobs["label"].data[...] = z["A/label"]
    params = {f"{name}/{i}": b for name, blobs in solver.net.params.items() for i, b in enumerate(blobs)}
    for index in range(10):
        assert np.isclose(solver.lr, z["lr"][index], rtol=1e-6)
        solver.step(1)
        close(solver.net.blobs["loss"].data, z["loss"][index].reshape(()))
        if index == 0:
            for key, value in z.items():
                if key.startswith("update1/"):
                    close(params[key[8:]].diff, value)
    for key, value in z.items():
        if key.startswith("final/"):
            close(params[key[6:]].data, value)
    ours, caffes = read_solverstate(solver.snapshot()), read_solverstate("final_iter_10.solverstate")
    assert (ours.iter, ours.current_step) == (caffes.iter, caffes.current_step) == (10, 0)
    for mine, its in zip(ours.history, caffes.history, strict=True):
        close(mine, its)


NET = """
    layer { name: "d" type: "Input" top: "x" input_param { shape { dim: [4, 3] } } }
    layer { name: "t" type: "Input" top: "t" input_param { shape { dim: [4, 2] } } }
    layer { name: "drop" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.25 } }
    layer { name: "ip" type: "InnerProduct" bottom: "y" top: "ip" param { lr_mult: 1 decay_mult: 2 }
            param { lr_mult: 3 decay_mult: 0 } inner_product_param {
                num_output: 2 weight_filler { type: "gaussian" } bias_filler { type: "constant" value: 0.5 } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }"""
X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
T = np.random.default_rng(1).standard_normal((4, 2)).astype("float32")


def make(tmp_path, text="", ratio="0"):
    net = tmp_path / "net.prototxt"
    net.write_text(NET.replace("0.25", ratio))
    path = tmp_path / "solver.prototxt"
    prefix = tmp_path / "s"
    path.write_text(f'net: "{net}" base_lr: 0.1 lr_policy: "fixed" random_seed: 5 snapshot_prefix: "{prefix}" {text}')
    solver = caffe.get_solver(str(path))
    solver.net.blobs["x"].data[...] = X
    solver.net.blobs["t"].data[...] = T
    return solver


def rule(kind, state, g, rate, t):
    """One parameter's step, in float64."""
    m = state.setdefault("m", np.zeros_like(g))
    v = state.setdefault("v", np.zeros_like(g))
    if kind == "SGD":
        m[...] = 0.9 * m + rate * g
        return m
    if kind == "Nesterov":
        old = m.copy()
        m[...] = 0.9 * m + rate * g
        return 1.9 * m - 0.9 * old
    if kind == "AdaGrad":
        v += g * g
        return rate * g / (np.sqrt(v) + 1e-3)
    if kind == "RMSProp":
        v[...] = 0.7 * v + 0.3 * g * g
        return rate * g / (np.sqrt(v) + 1e-3)
    if kind == "AdaDelta":
        v[...] = 0.9 * v + 0.1 * g * g
        step = g * np.sqrt((m + 1e-3) / (v + 1e-3))
        m[...] = 0.9 * m + 0.1 * step * step
        return rate * step
    m[...] = 0.9 * m + 0.1 * g
    v[...] = 0.99 * v + 0.01 * g * g
    return rate * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-3)


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
def test_rules(tmp_path, kind):
    """Three steps with decay, two passes each, and clipping."""
    momentum = "" if kind in ("AdaGrad", "RMSProp") else "momentum: 0.9"
    solver = make(
        tmp_path,
        f'type: "{kind}" {momentum} momentum2: 0.99 rms_decay: 0.7 delta: 1e-3 weight_decay: 0.05 iter_size: 2 '
        "clip_gradients: 1.5",
    )
    assert solver.type == kind
    w, b = (blob.data.astype(float) for blob in solver.net.params["ip"])
    states = {}, {}
    for t in range(1, 4):
        error = (X @ w.T + b - T) / 4
        grads = [2 * error.T @ X, 2 * error.sum(0)]  # two passes
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        grads = [g * min(1, 1.5 / norm) / 2 for g in grads]
        grads[0] += 0.05 * 2 * w
        w = w - rule(kind, states[0], grads[0], 0.1, t)
        b = b - rule(kind, states[1], grads[1], 0.3, t)
        solver.step(1)
        for blob, expected in zip(solver.net.params["ip"], (w, b), strict=True):
            np.testing.assert_allclose(blob.data, expected, rtol=2e-4, atol=1e-6)
    assert solver.iter == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_first_read_after_a_step_is_of_its_forward(tmp_path, monkeypatch, backend):
    """As in Caffe, where the update comes after it; the parameters stay what they are."""
    monkeypatch.setattr(_state, "backend", backend)
    late, early = (make(tmp_path, "momentum: 0.9", "0.25") for _ in range(2))
    early.net.forward()
    early.net.backward()
    for name in ("y", "ip"):  # from now on every forward computes them
        early.net.blobs[name].data, early.net.blobs[name].diff
    late.step(2)
    early.step(2)
    before = [blob.data.copy() for blob in late.net.params["ip"]]
    for name in ("ip", "y"):
        for which in ("data", "diff"):
            close(getattr(late.net.blobs[name], which), getattr(early.net.blobs[name], which))
    for blob, data in zip(late.net.params["ip"], before, strict=True):
        np.testing.assert_array_equal(blob.data, data)
    late.step(1)
    early.step(1)
    close(late.net.params["ip"][0].data, early.net.params["ip"][0].data)


def test_a_restored_run_ends_where_the_first_did(tmp_path):
    """With dropout: a seed and the iteration say what is drawn."""
    text = 'momentum: 0.9 type: "SGD" snapshot: 2 max_iter: 5 weight_decay: 0.1 regularization_type: "L1"'
    first = make(tmp_path, text, "0.25")
    first.solve()
    assert first.iter == 5 and (tmp_path / "s_iter_5.solverstate").exists()
    second = make(tmp_path, text, "0.25")
    second.restore(str(tmp_path / "s_iter_2.solverstate"))
    assert second.iter == 2
    second.solve()
    for mine, its in zip(first.net.params["ip"], second.net.params["ip"], strict=True):
        np.testing.assert_array_equal(mine.data, its.data)
    with pytest.raises(MismatchError, match="another net or rule"):
        make(tmp_path, 'type: "Adam"').restore(str(tmp_path / "s_iter_2.solverstate"))


def test_test_nets_callbacks_and_the_log(tmp_path, capsys, monkeypatch):
    solver = make(tmp_path, "test_iter: 3 test_interval: 2 display: 1 average_loss: 2")
    (test,) = solver.test_nets
    test.blobs["x"].data[...] = 1
    calls = []
    solver.add_callback(lambda: calls.append("start"), lambda: calls.append("ready"))
    solver.step(3)
    assert calls == ["start", "ready"] * 3
    assert test.params["ip"][0].data is solver.net.params["ip"][0].data
    log = capsys.readouterr().err
    assert log.count("Testing net (#0)") == 2 and "Iteration 2, lr = 0.1" in log
    assert "Train net output #0: loss = " in log and "(* 1 = " in log
    assert all(re.match(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ solver\.cpp:1\] ", line) for line in log.splitlines())
    monkeypatch.setenv("GLOG_minloglevel", "2")  # as scripts do, to have silence
    solver.step(1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "iteration", "expected"),
    [
        ('lr_policy: "fixed"', 7, 0.5),
        ('lr_policy: "step" gamma: 0.1 stepsize: 3', 7, 0.005),
        ('lr_policy: "exp" gamma: 0.9', 7, 0.5 * 0.9**7),
        ('lr_policy: "inv" gamma: 0.1 power: 0.75', 7, 0.5 * 1.7**-0.75),
        ('lr_policy: "poly" power: 2 max_iter: 10', 7, 0.5 * 0.3**2),
        ('lr_policy: "sigmoid" gamma: -0.5 stepsize: 5', 7, 0.5 / (1 + np.exp(1))),
    ],
)
def test_policies(text, iteration, expected):
    param = caffe.parse_solver("base_lr: 0.5 " + text)
    np.testing.assert_allclose(learning_rate(param, iteration)[0], expected, rtol=1e-6)


def test_multistep_takes_one_step_at_a_time():
    param = caffe.parse_solver('base_lr: 1 lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 3')
    step, rates = 0, []
    for iteration in range(5):
        rate, step = learning_rate(param, iteration, step)
        rates.append(rate)
    assert rates == [1, 1, 0.5, 0.25, 0.25]


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(MismatchError, match="unknown solver type 'Adma'"):
        make(tmp_path, 'type: "Adma"')
    with pytest.raises(MismatchError, match=r"Momentum cannot be used with AdaGrad"):
        make(tmp_path, 'type: "AdaGrad" momentum: 0.9')
    with pytest.raises(MismatchError, match="one of net_param"):
        caffe.SGDSolver(caffe.parse_solver('base_lr: 1 lr_policy: "fixed"'))
    with pytest.raises(MismatchError, match="policy 'linear'"):
        caffe.SGDSolver(caffe.parse_solver('net: "x" base_lr: 1 lr_policy: "linear"'))


def test_several_test_nets_from_several_sources(tmp_path, capsys):
    """A file of its own, and the train net's twice, in other stages; each reads as often as its test_iter says."""
    own = tmp_path / "own.prototxt"
    own.write_text(NET.replace("0.25", "0") + 'layer { name: "r" type: "Reduction" bottom: "ip" top: "sum" }')
    solver = make(
        tmp_path,
        f'test_net: "{own}" test_iter: 1 test_iter: 2 test_iter: 3 test_interval: 4 test_compute_loss: true '
        'test_state { } test_state { stage: "a" } test_state { stage: "b" level: 2 } test_initialization: false',
    )
    assert [net.outputs for net in solver.test_nets] == [["loss", "sum"], ["loss"], ["loss"]]
    assert [list(net._spec.state.stage) for net in solver.test_nets] == [[], ["a"], ["b"]]
    assert [net._spec.state.level for net in solver.test_nets] == [0, 0, 2]
    calls = []
    for number, net in enumerate(solver.test_nets):
        net.blobs["x"].data[...] = X + number
        net.blobs["t"].data[...] = 0
        forward = net.forward
        net.forward = lambda n=number, f=forward: calls.append(n) or f()
    solver.step(5)
    assert calls == [0, 1, 1, 2, 2, 2]
    log = capsys.readouterr().err
    losses = [float(line.split()[-1]) for line in log.splitlines() if "] Test loss" in line]
    assert len(losses) == 3 and losses[0] != losses[1] != losses[2]
    with pytest.raises(MismatchError, match="test_iter must be specified for each"):
        make(tmp_path, f'test_net: "{own}" test_net: "{own}" test_iter: 1 test_interval: 4')


def test_the_loss_as_caffe_prints_it():
    """500x500 zero scores of 21 classes: Caffe's float32 sum, and the exact one."""
    text = """net_param { layer { name: "s" type: "DummyData" top: "s" top: "l" dummy_data_param {
        shape { dim: [1, 21, 500, 500] } shape { dim: [1, 1, 500, 500] } } }
        layer { name: "c" type: "Convolution" bottom: "s" top: "c" convolution_param { num_output: 21 kernel_size: 1 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "l" top: "loss"
                loss_param { normalize: false } } } base_lr: 0 lr_policy: "fixed" """
    lines = []
    for chosen, printed in ((True, "761514"), (False, "761131")):
        solver = caffe.get_solver(caffe.parse_solver(text + "display: 1"), caffe_cpu_sum=chosen)
        solver.log = lines.append
        solver.step(1)
        assert lines.pop(0).endswith(f"loss = {printed}")
        del lines[:]
        np.testing.assert_allclose(solver.net.blobs["loss"].data, 761513.5 if chosen else 761130.6, rtol=1e-7)
    caffe.set_caffe_cpu_sum()
    try:
        net = caffe.SGDSolver(caffe.parse_solver(text)).net
    finally:
        caffe.set_caffe_cpu_sum(False)
    assert net.forward()["loss"] == 761513.5
