"""surgery and score: the FCN repository's helpers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from deconv_legacy import caffe
from deconv_legacy.caffe import parse_net, score, surgery
from deconv_legacy.errors import SizeError

VGG = """input: "x" input_shape { dim: [1, 2, 3, 3] }
    layer { name: "fc6" type: "InnerProduct" bottom: "x" top: "fc6" inner_product_param {
        num_output: 4 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }
    layer { name: "fc8" type: "InnerProduct" bottom: "fc6" top: "fc8" inner_product_param { num_output: 5 } }"""
FCN = """input: "x" input_shape { dim: [1, 2, 5, 4] }
    layer { name: "fc6" type: "Convolution" bottom: "x" top: "fc6" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "score" type: "Convolution" bottom: "fc6" top: "score"
            convolution_param { num_output: 3 kernel_size: 1 } }
    layer { name: "up" type: "Deconvolution" bottom: "score" top: "up"
            convolution_param { num_output: 3 kernel_size: 4 stride: 2 bias_term: false } }"""


@pytest.fixture(scope="module")
def nets():
    return caffe.Net(parse_net(VGG), caffe.TEST), caffe.Net(parse_net(FCN), caffe.TEST)


def test_inner_products_become_convolutions(nets, capsys):
    vgg, fcn = nets
    surgery.transplant(fcn, vgg)
    np.testing.assert_array_equal(fcn.params["fc6"][0].data, vgg.params["fc6"][0].data.reshape(4, 2, 3, 3))
    np.testing.assert_array_equal(fcn.params["fc6"][1].data, vgg.params["fc6"][1].data)
    said = capsys.readouterr().err
    assert "dropping fc8" in said and "coercing fc6 0 from (4, 18) to (4, 2, 3, 3)" in said
    other = caffe.Net(parse_net(FCN.replace("kernel_size: 3", "kernel_size: 2")), caffe.TEST)
    with pytest.raises(SizeError, match=r"^fc6: parameter 0.*18"):
        surgery.transplant(other, vgg)


def test_deconvolutions_interpolate_each_channel(nets):
    fcn = nets[1]
    surgery.interp(fcn, ["up"])
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    expected = np.zeros((3, 3, 4, 4))
    expected[range(3), range(3)] = kernel
    np.testing.assert_array_equal(fcn.params["up"][0].data, expected)
    np.testing.assert_allclose(surgery.upsample_filt(3)[1], [0.5, 1, 0.5])
    with pytest.raises(SizeError, match=r"^fc6"):
        surgery.interp(fcn, ["fc6"])


def test_a_score_layer_grows(nets):
    fcn = nets[1]
    fcn.params["score"][0].data[...] = np.arange(12).reshape(3, 4, 1, 1)
    fcn.params["score"][1].data[...] = 7
    bigger = caffe.Net(
        parse_net(FCN.replace("num_output: 3 kernel_size: 1", "num_output: 6 kernel_size: 1")), caffe.TEST
    )
    surgery.expand_score(bigger, "score", fcn, "score")
    np.testing.assert_array_equal(bigger.params["score"][0].data[:3], fcn.params["score"][0].data)
    assert not bigger.params["score"][0].data[3:].any()
    np.testing.assert_array_equal(bigger.params["score"][1].data, [7, 7, 7, 0, 0, 0])


def test_scores(tmp_path, capsys):
    net = caffe.Net(
        parse_net("""input: "score" input_shape { dim: [1, 3, 2, 4] } input: "label" input_shape { dim: [1, 1, 2, 4] }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
                loss_param { ignore_label: 255 } }"""),
        caffe.TEST,
    )
    label = np.array([[0, 1, 2, 255], [2, 1, 1, 0]])
    guess = np.array([[0, 1, 1, 2], [2, 2, 1, 0]])
    net.blobs["label"].data[0, 0] = label
    net.blobs["score"].data[0] = guess == np.arange(3)[:, None, None]
    histogram = score.do_seg_tests(net, 20, str(tmp_path / "seg{}"), ["a", "b"])
    np.testing.assert_array_equal(histogram, 2 * np.array([[2, 0, 0], [0, 2, 1], [0, 1, 1]]))
    assert sorted(path.name for path in (tmp_path / "seg20").iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "seg20" / "b.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), guess)
    said = capsys.readouterr().out
    assert f"Iteration 20 overall accuracy {5 / 7}" in said
    assert f"mean IU {np.mean([1, 2 / 4, 1 / 3])}" in said
    hits = np.where(label == 255, np.nan, np.where(label == guess, 1, 0))
    probability = np.e / (np.e + 2), 1 / (np.e + 2)
    loss = -np.nanmean(np.where(np.isnan(hits), np.nan, np.log(np.where(hits == 1, *probability))))
    (line,) = [line for line in said.splitlines() if "loss" in line]
    np.testing.assert_allclose(float(line.split()[-1]), loss, rtol=1e-5)
