"""Which backend nets and old functions compute with, as old scripts choose it."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from deconv_legacy import caffe, engine
from deconv_legacy.caffe import _state, parse_net
from deconv_legacy.cli import main
from deconv_legacy.theano.old import function as old_function

NET = """
    layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 5, 6] } } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "y"
            convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }"""

have_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no JAX")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(_state, "backend", None)
    monkeypatch.setattr(_state, "_device", 0)
    monkeypatch.setattr(_state, "_warned", set())
    monkeypatch.setattr(old_function, "backend", None)


@have_jax
def test_modes_of_caffe(monkeypatch):
    net = caffe.Net(parse_net(NET), 1)
    net.blobs["x"].data[...] = np.random.default_rng(0).standard_normal((1, 2, 5, 6))
    on_c = net.forward()["y"].copy()
    asked = []
    monkeypatch.setattr(engine, "gpu_backend", lambda number=0: asked.append(number) or "jax:cpu")
    caffe.set_device(1)
    caffe.set_mode_gpu()
    assert asked == [1] and _state.backend == "jax:cpu"
    on_jax = net.forward()["y"].copy()
    np.testing.assert_allclose(on_jax, on_c, rtol=0, atol=2e-6 * abs(on_c).max())
    # weights are as live as ever
    net.params["c"][0].data[...] *= 2
    np.testing.assert_allclose(net.forward()["y"], 2 * on_jax, rtol=0, atol=1e-5)
    caffe.set_mode_cpu()
    np.testing.assert_allclose(net.forward()["y"], 2 * on_c, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="'cuda' is unknown"):
        caffe.set_backend("cuda")


def test_no_gpu_one_warning(monkeypatch):
    monkeypatch.setattr(engine, "gpu_backend", lambda number=0: None)
    caffe.set_device(2)
    with pytest.warns(UserWarning, match="no GPU 2 for JAX"):
        caffe.set_mode_gpu()
    caffe.set_mode_gpu()
    assert _state.backend is None


@have_jax
def test_theanos_function_on_a_gpu(monkeypatch):
    x = engine.aesara.tensor.dvector("x")
    total = engine.aesara.shared(np.zeros(()))
    monkeypatch.setattr(old_function, "backend", "jax:cpu")
    f = old_function.function([x], 2 * x, updates=[(total, total + x.sum())])
    assert type(f).__name__ == "JaxFunction"
    np.testing.assert_array_equal(f([1.0, 2.0]), [2, 4])
    assert total.get_value() == 3
    plain = old_function.function([x], 2 * x, mode="FAST_COMPILE")  # who names a mode has it
    assert type(plain).__name__ != "JaxFunction" and plain([1.0])[0] == 2


@have_jax
def test_train_with_a_backend(tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(
        NET + ' layer { name: "t" type: "Input" top: "t" input_param { shape { dim: [1, 3, 3, 4] } } }'
        ' layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }'
    )
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 random_seed: 1 '
        f'snapshot_prefix: "{tmp_path}/s"'
    )
    losses = []
    for backend in ("numpy", "jax"):
        assert main(["train", "-solver", str(tmp_path / "solver.prototxt"), "--backend", backend, "--json"]) == 0
        losses.append(json.loads(capsys.readouterr().out)["losses"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
