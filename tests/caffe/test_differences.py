"""Each difference from Caffe that the page tells is as it tells."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
from differences import DIFFERENCES, MISSING, PAGE, page
from PIL import Image
from scipy import ndimage

from deconv_legacy import caffe
from deconv_legacy.caffe import LAYERS, _state, build_net, parse_net, write_weights
from deconv_legacy.caffe.transform import read_image
from deconv_legacy.errors import DeconvLegacyError, FileFormatError, MismatchError, SizeError

CHECKS = {}

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 3, 4] } } }'


def shows(name):
    def register(function):
        CHECKS[name] = function
        return function

    return register


def net_of(text, phase=caffe.TEST, forks=False, **keywords):
    return caffe.Net(parse_net(text, allow_unknown=forks), phase, **keywords)


def loss_net(classes, size, **keywords):
    shapes = f"shape {{ dim: [1, {classes}, {size}, {size}] }} shape {{ dim: [1, 1, {size}, {size}] }}"
    return net_of(
        f"""layer {{ name: "in" type: "Input" top: "x" top: "t" input_param {{ {shapes} }} }}
        layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "loss"
                 loss_param {{ normalization: NONE }} }}""",
        **keywords,
    )


@shows("label range")
def _(tmp_path):
    net = loss_net(3, 2)
    net.blobs["t"].data[...] = 7
    with pytest.raises(SizeError, match=r"loss.*label 7.*\(0, 0, 0, 0\)"):
        net.forward()


@shows("loss sum")
def _(tmp_path):
    exact = 200 * 200 * np.log(21)
    plain, added = (float(loss_net(21, 200, caffe_cpu_sum=how).forward()["loss"]) for how in (False, True))
    assert abs(plain - exact) < 1e-6 * exact < abs(added - exact)


@shows("random numbers")
def _(tmp_path):
    text = (
        INPUT
        + """layer { name: "c" type: "Convolution" bottom: "x" top: "y"
        convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "gaussian" std: 2 } } }"""
    )
    found = []
    for seed in (4, 4, 5):
        caffe.set_random_seed(seed)
        found.append(net_of(text).params["c"][0].data.copy())
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.1


@shows("pspnet backward")
def _(tmp_path):
    net = net_of(
        "force_backward: true " + INPUT + 'layer { name: "b" type: "BN" bottom: "x" top: "y" bn_param { eps: 1 } }',
        forks=True,
    )
    for blob, value in zip(net.params["b"], (6, 0, 0, 3), strict=True):
        blob.data[...] = value
    net.blobs["x"].data[...] = np.arange(24).reshape(1, 2, 3, 4)
    net.forward()
    net.blobs["y"].diff[...] = net.blobs["x"].data
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, 3 * net.blobs["x"].data, rtol=1e-6)


MASKED = """layer { name: "in" type: "Input" top: "x" top: "m"
    input_param { shape { dim: [1, 1, 2, 2] } shape { dim: [1, 1, 2, 2] } } }"""


@shows("in place")
def _(tmp_path):
    x, g = np.random.default_rng(9).standard_normal((2, 1, 2, 3, 4))
    found = {}
    for top in "xy":
        net = net_of(f"""force_backward: true {INPUT}
            layer {{ name: "l" type: "BNLL" bottom: "x" top: "{top}" }}""")
        net.blobs["x"].data[...] = x
        net.forward()
        net.blobs[top].diff[...] = g
        net.backward()
        found[top] = net.blobs["x"].diff.copy()
    np.testing.assert_allclose(found["x"], g / (1 + np.exp(-x)), rtol=1e-5)  # Caffe: with log(1 + exp(x)) for x
    np.testing.assert_array_equal(found["x"], found["y"])


@shows("scale of one image")
def _(tmp_path):
    x, g = np.random.default_rng(8).standard_normal((2, 1, 2, 3, 4))
    net = net_of(f"""force_backward: true {INPUT} layer {{ name: "l" type: "Scale" bottom: "x" top: "y" }}""")
    net.blobs["x"].data[...] = x
    for passes in (1, 2):
        net.forward()
        net.blobs["y"].diff[...] = g
        net.backward()
        # Caffe: no factor of `passes`
        np.testing.assert_allclose(net.params["l"][0].diff, passes * (g * x).sum((0, 2, 3)), rtol=1e-5)


@shows("product of zeros")
def _(tmp_path):
    net = net_of("""force_backward: true
        layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 3 } } }
        layer { name: "l" type: "Eltwise" bottom: "a" bottom: "b" top: "y"
                eltwise_param { operation: PROD stable_prod_grad: false } }""")
    net.blobs["a"].data[...], net.blobs["b"].data[...] = [0, 2, 3], [5, 0, 7]
    net.forward()
    net.blobs["y"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal([net.blobs[name].diff for name in "ab"], [[5, 0, 7], [0, 2, 3]])


@shows("unpooling mask")
def _(tmp_path):
    text = 'layer { name: "u" type: "Unpooling" bottom: "x" bottom: "m" top: "y" unpooling_param { unpool_size: 4 } }'
    net = net_of(MASKED + text, forks=True)
    net.blobs["m"].data[...] = 16
    with pytest.raises(SizeError, match=r"u \("):
        net.forward()


@shows("upsample size")
def _(tmp_path):
    net = net_of(MASKED + 'layer { name: "u" type: "Upsample" bottom: "x" bottom: "m" top: "y" }', forks=True)
    for rows in (2, 3):
        for name in ("x", "m"):
            net.blobs[name].reshape(1, 1, rows, 5)
        assert net.forward()["y"].shape == (1, 1, 2 * rows, 10)


@shows("grey images")
def _(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    exact = pixels @ [0.299, 0.587, 0.114]
    assert np.abs(read_image(tmp_path / "a.png", color=False)[..., 0] - exact).max() < 1


@shows("cubic resizing")
def _(tmp_path):
    image = np.random.default_rng(1).random((6, 7, 4))
    expected = ndimage.zoom(image, (2, 2, 1), order=3)
    np.testing.assert_allclose(caffe.io.resize_image(image, (12, 14), interp_order=3), expected, atol=1e-6)


@shows("check")
def _(tmp_path):
    with pytest.raises(MismatchError, match="'r'"):
        net_of(INPUT + 'layer { name: "r" type: "ReLU" bottom: "nothing" top: "y" }')


@shows("all problems")
def _(tmp_path):
    with pytest.raises(FileFormatError, match="2 problems in all") as caught:
        parse_net("layer { nam: 1\n typ: 2 }")
    assert "1:9" in str(caught.value) and "2:2" in str(caught.value)


@shows("memory")
def _(tmp_path):
    with pytest.raises(SizeError, match=r"f.*memory"):
        net_of(INPUT + 'layer { name: "f" type: "InnerProduct" bottom: "x" top: "y" '
                       'inner_product_param { num_output: 2000000000 } }')  # fmt: skip


@shows("strict weights")
def _(tmp_path):
    text = INPUT + 'layer { name: "s" type: "Scale" bottom: "x" top: "y" }'
    write_weights(tmp_path / "a.caffemodel", {"other": [np.ones(2)]})
    net_of(text).copy_from(tmp_path / "a.caffemodel")
    with pytest.raises(MismatchError, match="no weights for layer 's'"):
        build_net(parse_net(text)).load(tmp_path / "a.caffemodel")


@shows("layer names")
def _(tmp_path):
    two = 'layer { name: "r" type: "ReLU" bottom: "x" top: "x" } layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'
    assert [name for name in net_of(INPUT + two).layer_dict if name.startswith("r")] == ["r", "r (2)"]


@shows("parameter shapes")
def _(tmp_path):
    net = net_of(INPUT + 'layer { name: "s" type: "Scale" bottom: "x" top: "y" }')
    with pytest.raises(SizeError, match="cannot become"):
        net.params["s"][0].reshape(5)


@shows("missing layers")
def _(tmp_path):
    assert not set(MISSING) & set(LAYERS)
    with pytest.raises(FileFormatError) as caught:
        net_of("".join(f'layer {{ name: "{kind} layer" type: "{kind}" top: "{kind}" }}' for kind in MISSING))
    assert all(f"'{kind}' of layer '{kind} layer'" in str(caught.value) for kind in MISSING)


@shows("stochastic pooling")
def _(tmp_path):
    with pytest.raises(DeconvLegacyError, match="stochastic"):
        net_of(INPUT + 'layer { name: "p" type: "Pooling" bottom: "x" top: "y" '
                       'pooling_param { pool: STOCHASTIC kernel_size: 2 } }')  # fmt: skip


@shows("databases")
def _(tmp_path):
    text = 'layer { name: "d" type: "Data" top: "x" data_param { source: "a" } }'
    with pytest.raises(MismatchError, match=r"LMDB.*HDF5Data"):
        net_of(text)
    assert build_net(parse_net(text), input_shapes={"x": (1, 2, 3, 4)}).inputs == ["x"]


@shows("hdf5 output")
def _(tmp_path):
    out = f'layer {{ name: "o" type: "HDF5Output" bottom: "x" bottom: "x" hdf5_output_param {{ file_name: "{tmp_path}/o" }} }}'  # noqa: E501
    net = net_of(INPUT + out)
    for value in (1, 2):
        net.blobs["x"].data[...] = value
        net.forward()
    with h5py.File(tmp_path / "o") as file:
        assert (file["data"][...] == 2).all()


@shows("one process")
def _(tmp_path):
    with pytest.raises(NotImplementedError):
        caffe.set_solver_count(2)
    with pytest.raises(NotImplementedError):
        caffe.NCCL.new_uid()


@shows("selective search")
def _(tmp_path):
    with pytest.raises(MismatchError, match="detect_windows"):
        caffe.Detector(parse_net(INPUT), None).detect_selective_search([])


@shows("drawing")
def _(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pydot", None)
        assert caffe.draw.draw_net(parse_net(INPUT), "LR", "dot").startswith(b"digraph")


@pytest.mark.filterwarnings("ignore:not of BVLC Caffe")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_difference(difference, tmp_path, monkeypatch):
    monkeypatch.setattr(_state, "backend", "numpy")
    CHECKS[difference.name](tmp_path)


def test_the_page_is_the_table():
    assert page() == PAGE.read_text(), "run python tests/caffe/differences.py"
    assert sorted(CHECKS) == sorted(difference.name for difference in DIFFERENCES)
