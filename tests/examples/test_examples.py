"""Every example runs, quickly, and finds what it says."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """What an example's main returns and prints."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def run(name):
        found = importlib.import_module(name).main(["--quick", "--out", str(tmp_path)])
        drawn = found["picture"]
        assert drawn is None or drawn.read_bytes().startswith(b"\x89PNG")
        return found, capsys.readouterr().out

    yield run
    for name in [m for m, module in sys.modules.items() if str(EXAMPLES) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.mark.slow
def test_autoencoder_112(run):
    found, printed = run("tf_autoencoder_112")
    assert found["encoder"] == [112, 56, 28, 14, 7, 4]
    assert found["doubled"] == [4, 8, 16, 32, 64]
    assert found["fixed"] == [112, 56, 28, 14, 7, 7, 14, 28, 56, 112]
    assert found["mirror"] == [4, 7, 14, 28, 56, 112]
    error = found["error"]
    assert (error.actual, error.computed, error.legal, error.axis) == (4, 2, (7, 8), 1)
    assert error.where.startswith("deconv1") and str(error) in printed
    assert "64" in str(found["cost"]) and "112" in str(found["cost"])
    np.testing.assert_allclose(found["selu"], [-0.63212, -1.11133], atol=5e-6)
    assert found["losses"][-1] < found["losses"][0]


def test_conv3d_transpose_sizes(run):
    found, printed = run("tf_conv3d_transpose_sizes")
    assert found["VALID"] == {**dict.fromkeys(range(1, 5), 0), **dict.fromkeys(range(5, 9)), 9: 2, 10: 2, 11: 2}
    assert [size for size, computed in found["SAME"].items() if computed is None] == [1, 2, 3, 4]
    assert found["claim"] == {"SAME": 3, "VALID": None} and found["four"] == [None] * 5
    assert found["block"] and "wrong" in printed


def test_conv2d_gradients(run):
    found, _ = run("tf_conv2d_gradients")
    assert max(*found[1], *found[2], found["shifted"]) < 1e-12 and found["post"] < 1e-11
    assert found["even"] > 1 and found["inverse"] > 1


def test_6x6_matrix(run):
    found, _ = run("tf_6x6_matrix")
    expected = np.zeros((6, 6))
    expected[:2, 4:], expected[2:4, 2:4] = [[1.5, 3], [4.5, 6]], [[1, 2], [3, 4]]
    np.testing.assert_array_equal(found["matrix"], expected)


def test_unet_upsampling(run):
    found, _ = run("tf_unet_upsampling")
    assert found["shape"] == (None, 14, 18, 64) and found["ones"]
    assert found["learned"] < found["first"] / 3


def test_autoencoder_9_5_9(run):
    found, _ = run("tf_autoencoder_9_5_9")
    assert [found[k] for k in range(1, 6)] == [["last"], ["last"], ["first"], ["last"], ["first"]]
    assert found["sizes"] == [9, 5, 10] and found["last"] < found["first"] / 10


def test_unpooling(run):
    found, _ = run("tf_unpooling")
    assert found["equal"] and found["inverse"] and found["switches"] and found["mixed"] > 1


def test_batch_norm(run):
    found, _ = run("tf_batch_norm")
    without, with_ = found["without update ops"], found["with update ops"]
    assert (without["moved"], with_["moved"]) == (False, True)
    assert without["batch"] > 0.8 and with_["batch"] > 0.8  # training looks the same
    assert with_["moving"] > without["moving"] + 0.05


def test_theano_deconvolution_layer(run):
    found, _ = run("theano_deconvolution_layer")
    assert found["shapes"] == [(1, 2, 8, 10), (1, 2, 14, 16)]
    assert found["legal"] == [size for size, n in found["forward"].items() if n == 4] == [12, 13, 14]
    assert (found["smallest"], found["named"], found["like"]) == ((12, 12), (13, 14), (14, 12))
    assert found["error"].legal == (12, 13, 14)


def test_fcn_pad_100(run):
    found, _ = run("fcn_pad_100")
    assert found["sizes"] == {500: (16, 544, 500, 19), 224: (8, 288, 224, 19), 1: (1, 64, 1, 19)}
    assert found["offsets"] == [5, 27, 5, 9, 31, 18]
    assert (found["least"], found["span"]) == (97, (-189, 214))
    assert found["rows"][0] < 19  # what is cropped away does depend on the image


@pytest.mark.slow
def test_port_fcn32s(run, tmp_path):
    pytest.importorskip("google.protobuf")
    found, printed = run("port_fcn32s")
    assert len(found["losses"]) == 4 and found["losses"][-1] < found["losses"][0]
    np.testing.assert_allclose(found["losses"][0], np.log(4), rtol=1e-5)  # scores begin at zero
    assert found["surgery"][-1] == "dropping fc8" and "coercing fc6 0 from (64, 32) to (64, 8, 2, 2)" in printed
    assert found["labels"].shape == (64, 64) and 0 < found["scores"].mean_iu < 1
    assert (tmp_path / "fcn32s" / "fcn32s.caffemodel").exists()


def test_vae(run):
    found, _ = run("vae_digits")
    assert found["after"][0] < 0.8 * found["before"][0]
    np.testing.assert_allclose(found["after"][0], sum(found["after"][1:]), rtol=1e-5)


@pytest.mark.slow
def test_unet(run):
    found, _ = run("unet_digits")
    for up in ("deconv", "bilinear"):
        assert np.mean(found[up]["losses"][-5:]) < 0.8 * found[up]["losses"][0]


@pytest.mark.slow
def test_dcgan(run):
    found, _ = run("dcgan_digits")
    assert found["distance"][1] < found["distance"][0]
    assert np.isfinite(found["judge"]).all() and np.isfinite(found["forger"]).all()


def test_without_matplotlib_an_example_goes_on(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    found, printed = run("tf_6x6_matrix")
    assert found["picture"] is None and "matplotlib is not installed: tf_6x6_matrix.png is not drawn" in printed
