"""Solvers where nets compute with JAX: nothing travels between steps, and every array is as live as elsewhere."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from deconv_legacy import caffe
from deconv_legacy.caffe import _state, parse_net, parse_solver
from deconv_legacy.caffe.blob import DATA, DIFF
from deconv_legacy.engine.device import OnDevice
from deconv_legacy.errors import DeconvLegacyError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no JAX")

INPUTS = """
    layer { name: "in" type: "Input" top: "x" top: "t"
            input_param { shape { dim: [2, 3, 6, 5] } shape { dim: [2, 2] } } }"""
CONV = """
    layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
            param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride: 2
                                weight_filler { type: "gaussian" std: 0.3 } bias_filler { value: 0.1 } } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }"""
# two layers with one filter, and one whose bias never learns
REST = """
    layer { name: "a" type: "InnerProduct" bottom: "conv" top: "a" param { name: "w" } param { lr_mult: 0 }
            inner_product_param {
                num_output: 16 weight_filler { type: "gaussian" std: 0.2 } bias_filler { value: 0.3 } } }
    layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
            inner_product_param { num_output: 16 bias_term: false } }
    layer { name: "out" type: "InnerProduct" bottom: "b" top: "out"
            inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.3 } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "t" top: "loss" }"""
X = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype("float32")
T = np.random.default_rng(1).standard_normal((2, 2)).astype("float32")
SMALLEST = 17  # filters have at least so many numbers; biases and losses are not counted


KINDS = {
    "SGD": 'momentum: 0.9 regularization_type: "L1" weight_decay: 0.01',
    "Nesterov": "momentum: 0.9 weight_decay: 0.02 iter_size: 2",
    "AdaGrad": "delta: 1e-3 weight_decay: 0.02 clip_gradients: 0.5",
    "RMSProp": "rms_decay: 0.7 delta: 1e-3 iter_size: 2",
    "AdaDelta": "momentum: 0.9 delta: 1e-3 clip_gradients: 100",
    "Adam": "momentum: 0.9 momentum2: 0.99 delta: 1e-3 weight_decay: 0.02 iter_size: 2 clip_gradients: 0.5",
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(_state, "backend", None)


def make(backend, kind="SGD", text="", net=INPUTS + CONV + REST):
    """A solver; the same text gives the same weights."""
    _state.set_backend(backend)
    solver = caffe.get_solver(
        parse_solver(
            f'base_lr: 0.05 lr_policy: "fixed" random_seed: 3 net_param {{ {net} }} type: "{kind}" {KINDS[kind]} {text}'
        )
    )
    for each in (solver.net, *solver.test_nets):
        each.blobs["x"].data[...], each.blobs["t"].data[...] = X, T
    return solver


def params(solver):
    return {f"{name}/{i}": blob for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)}


def values(solver):
    """Copies of everything that a step changes."""
    found = {
        f"{name} {which}": getattr(b, which).copy() for name, b in params(solver).items() for which in ("data", "diff")
    }
    return found | {f"history {i}": array.copy() for i, array in enumerate(solver.history)}


def close(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert np.abs(actual[name] - array).max() <= 2e-5 * np.abs(array).max(), name


def lies_on_device(blob, which=DATA):
    (there,) = blob.storage(which)
    return isinstance(there, OnDevice) and there.dtype == np.float32


@pytest.fixture
def travels(monkeypatch):
    """Sizes of the filters, and arrays as large, that go to the device and back; inputs are left out."""
    import jax

    back, there, pull, put = [], [], OnDevice.pull, jax.device_put

    def counting_pull(self):
        back.append(self.array.size)
        return pull(self)

    def counting_put(x, *args, **kwargs):
        there.extend(leaf.size for leaf in jax.tree_util.tree_leaves(x) if isinstance(leaf, np.ndarray))
        return put(x, *args, **kwargs)

    monkeypatch.setattr(OnDevice, "pull", counting_pull)
    monkeypatch.setattr(jax, "device_put", counting_put)

    def since():
        large = [[n for n in sizes if n >= SMALLEST and n != X.size] for sizes in (there, back)]
        there.clear(), back.clear()
        return large

    return since


def test_nothing_travels_between_steps(travels):
    solver = make("jax", "Adam")
    solver.step(1)
    # filters once, and all of the history; one filter belongs to two layers
    there, back = travels()
    assert sorted(there) == sorted([72, 256, 32] * 3) and back == []
    solver.step(5)
    assert travels() == [[], []]
    assert all(lies_on_device(b) for b in params(solver).values())
    assert all(lies_on_device(b, DIFF) for name, b in params(solver).items() if name != "a/1")
    # who reads one array moves one
    (solver.net.params["conv"][0].data, solver.net.params["out"][0].diff)
    assert travels() == [[], [72, 32]]
    solver.step(1)
    assert travels() == [[72], []]


@pytest.mark.parametrize("kind", KINDS)
def test_rules_give_the_same_numbers(kind):
    expected = make("numpy", kind)
    solver = make("jax", kind)
    for backend, each in (("numpy", expected), ("jax", solver)):
        _state.set_backend(backend)
        each.step(3)
    close(values(solver), values(expected))


def test_arrays_that_are_held_stay_and_change():
    solver, expected = make("jax"), make("numpy")
    data, diff = solver.net.params["conv"][0].data, solver.net.params["out"][0].diff
    part = solver.net.params["out"][0].data[1]
    history = solver.history[0]
    names = [("conv", 0, "data"), ("out", 0, "diff")]
    for number in range(3):
        for backend, each in (("jax", solver), ("numpy", expected)):
            _state.set_backend(backend)
            each.step(1)
        for (name, index, which), array in zip(names, (data, diff), strict=True):
            assert getattr(solver.net.params[name][index], which) is array
        close(
            {0: data, 1: diff, 2: part, 3: history},
            dict(
                enumerate(
                    (
                        expected.net.params["conv"][0].data,
                        expected.net.params["out"][0].diff,
                        expected.net.params["out"][0].data[1],
                        expected.history[0],
                    )
                )
            ),
        )
        # written to at any time
        for conv, out in ((data, part), (expected.net.params["conv"][0].data, expected.net.params["out"][0].data[1])):
            conv[1] = number
            out[...] *= 0.5
        for each in (solver, expected):
            each.net.params["a"][0].data[3] = 0.25
    close(values(solver), values(expected))
    assert not lies_on_device(solver.net.params["conv"][0])


def test_blobs_that_are_held_change_too():
    solver = make("jax")
    solver.net.forward(blobs=["out"])
    out, loss = (solver.net.blobs[name].data for name in ("out", "loss"))
    before = out.copy(), loss.copy()
    solver.step(2)
    assert solver.net.blobs["out"].data is out and solver.net.blobs["loss"].data is loss
    assert not np.array_equal(out, before[0]) and loss != before[1]
    assert loss == pytest.approx(((out - T) ** 2).sum() / 4, rel=1e-5)


def test_snapshots_and_restored_runs(tmp_path):
    prefix = f'snapshot_prefix: "{tmp_path}/s"'
    net = INPUTS + CONV + 'layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }' + REST
    runs = [make("jax", "Nesterov", prefix, net) for _ in range(2)]
    runs[0].step(2)
    runs[0].snapshot()
    runs[0].step(2)
    runs[1].restore(str(tmp_path / "s_iter_2.solverstate"))
    runs[1].step(2)
    first, second = map(values, runs)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    # the state is read by another backend
    other = make("numpy", "Nesterov", prefix, net)
    other.restore(str(tmp_path / "s_iter_2.solverstate"))
    again = make("jax", "Nesterov", prefix, net)
    again.restore(str(tmp_path / "s_iter_2.solverstate"))
    close(values(other), values(again))


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_a_snapshot_moves_nothing(travels, tmp_path, form):
    """What it writes is read from copies; an array that somebody holds is read where it is."""
    if form == "HDF5":
        pytest.importorskip("h5py", reason="the snapshot is HDF5, of the extra caffe")
    solver = make("jax", "Adam", f'snapshot_prefix: "{tmp_path}/s" snapshot_format: {form}')
    held = solver.net.params["out"][0].data
    solver.step(1)
    travels()
    solver.step(1)
    as_ever = travels()
    state = solver.snapshot()
    # each array once, but for the filter that lies here; the filter of two layers for each of them
    assert travels() == [[], [72, 256, 256, *[72, 256, 32] * 2]]
    solver.step(1)
    assert travels() == as_ever and set(as_ever[0]) == {32}
    again = make("jax", "Adam")
    again.restore(state)
    again.step(1)
    assert solver.net.params["out"][0].data is held
    first, second = values(solver), values(again)
    assert first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_backends_take_turns():
    solver, expected = make("jax", "Adam"), make("numpy", "Adam")
    expected.step(6)
    for backend in ("jax", "numpy", "jax"):
        _state.set_backend(backend)
        solver.step(2)
    close(values(solver), values(expected))


def test_test_nets_use_the_arrays_on_the_device(travels, capsys):
    solver = make("jax", text="test_iter: 2 test_interval: 1")
    solver.step(2)
    travels()
    solver.step(2)
    assert travels() == [[], []]
    test = solver.test_nets[0]
    for name in ("conv", "a", "b", "out"):
        for blob, original in zip(test.params[name], solver.net.params[name], strict=True):
            assert blob.storage(DATA) is original.storage(DATA) and blob.storage(DIFF) is not original.storage(DIFF)
    assert test.forward()["loss"] != solver.net.blobs["loss"].data
    solver.net.forward()
    np.testing.assert_array_equal(test.blobs["loss"].data, solver.net.blobs["loss"].data)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_two_nets_share(backend):
    """Whatever was compiled before, whoever writes, whichever backend computes."""
    solver = make(backend)
    other = caffe.Net(parse_net(INPUTS + CONV + REST), caffe.TRAIN)
    other.blobs["x"].data[...], other.blobs["t"].data[...] = X, T
    other.forward()
    solver.share_weights(other)
    solver.step(1)
    solver.net.params["out"][0].data[1] = 0.5
    assert other.forward()["loss"] == solver.net.forward()["loss"]
    other.params["conv"][1].data[...] = 0.25
    assert (solver.net.params["conv"][1].data == 0.25).all()
    other.backward()
    assert other.params["out"][0].diff.any()
    solver.net.clear_param_diffs()
    assert other.params["out"][0].diff.any(), "diffs are not shared"
    for name in ("jax", "numpy"):
        _state.set_backend(name)
        solver.step(1)
        loss = solver.net.forward()["loss"].copy()
        np.testing.assert_allclose(other.forward()["loss"], loss, rtol=1e-6)


class Reader(caffe.Layer):
    """Adds the mean of another layer's filter, and a parameter of its own."""

    net = None

    def setup(self, bottom, top):
        self.blobs.add_blob(16)
        self.blobs[0].data[...] = np.arange(16) / 16

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        mean = Reader.net.params["out"][0].data.mean() if Reader.net is not None else 0
        top[0].data[...] = bottom[0].data + mean + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
        self.blobs[0].diff[...] += top[0].diff.sum(0)


def test_a_layer_in_python_that_reads_parameters(monkeypatch, travels):
    monkeypatch.setitem(sys.modules, "reader", types.SimpleNamespace(Reader=Reader))
    layer = """layer { name: "reader" type: "Python" bottom: "b" top: "c"
        python_param { module: "reader" layer: "Reader" } }"""
    net = (
        INPUTS
        + CONV
        + REST.replace('bottom: "b"', 'bottom: "c"').replace('layer { name: "out"', layer + ' layer { name: "out"')
    )
    solver, expected = make("jax", "Adam", net=net), make("numpy", "Adam", net=net)
    for backend, each in (("numpy", expected), ("jax", solver)):
        _state.set_backend(backend)
        Reader.net = each.net
        each.step(3)
    there, back = travels()
    # what it reads, its tops and bottoms with their diffs travel at each pass; the other filters do not
    assert 256 not in back and there.count(256) == 3 and there.count(72) == 3 and back.count(72) == 0
    assert back.count(32) >= 6
    close(values(solver), values(expected))


def test_moving_averages_stay_on_the_device(travels):
    bn = """layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn"
        batch_norm_param { moving_average_fraction: 0.5 } }"""
    net = INPUTS + CONV + bn + REST.replace('bottom: "conv"', 'bottom: "bn"')
    solver, expected = make("jax", net=net), make("numpy", net=net)
    for backend, each in (("numpy", expected), ("jax", solver)):
        _state.set_backend(backend)
        each.step(3)
    assert all(lies_on_device(blob) for blob in solver.net.params["bn"])
    close(values(solver), values(expected))


def test_a_step_that_fails_says_what_is_lost(monkeypatch):
    import jax

    solver = make("jax")
    solver.step(1)

    def fail(arrays, rates):
        arrays[0][0].delete()
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 99 bytes.")

    (update,) = solver._update._compiled.values()
    monkeypatch.setattr(update, "_step", fail)
    with pytest.raises(MemoryError, match=r"too little memory.*99 bytes"):
        solver.step(1)
    with pytest.raises(DeconvLegacyError, match="lost when a training step failed"):
        solver.net.params["conv"][0].data  # noqa: B018
