"""Classifier, Detector, images and drawings, against numbers that pycaffe's own code and skimage 0.14.5 gave."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deconv_legacy import caffe
from deconv_legacy.caffe import detector, draw, parse_net
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError

PYCAFFE = dict(np.load(Path(__file__).parents[1] / "data" / "caffe" / "pycaffe_images.npz"))

MEANS = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: [%d, 3, 12, 12] } } }
layer { name: "all" type: "Pooling" bottom: "data" top: "all" pooling_param { pool: AVE global_pooling: true } }"""


@pytest.mark.parametrize("number", range(6))
def test_images_are_resized_as_pycaffe_does(number):
    before, after = PYCAFFE[f"resize{number}_in"], PYCAFFE[f"resize{number}_out"]
    np.testing.assert_allclose(caffe.io.resize_image(before, after.shape[:2]), after, atol=1e-6)


def test_image_files_as_pycaffe_reads_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 4), np.uint8)
    for mode, file in (("RGB", "rgb.png"), ("RGBA", "rgba.png")):
        Image.fromarray(pixels[..., : len(mode)]).save(tmp_path / file)
        rgb = pixels[..., :3] / 255
        np.testing.assert_allclose(caffe.io.load_image(tmp_path / file), rgb, atol=1e-7)
        grey = rgb @ [0.2125, 0.7154, 0.0721]
        np.testing.assert_allclose(caffe.io.load_image(tmp_path / file, color=False), grey[..., None], atol=1e-7)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(pixels[..., 0] * np.uint16(257)).save(tmp_path / "deep.png")
    for file in ("grey.png", "deep.png"):
        image = caffe.io.load_image(tmp_path / file)
        np.testing.assert_allclose(image, np.repeat(pixels[..., :1] / 255, 3, axis=2), atol=1e-7)
        assert image.dtype == np.float32
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(FileFormatError, match=r"no\.png: no image"):
        caffe.io.load_image(tmp_path / "no.png")


def test_a_mean_of_another_size_is_resized():
    t = caffe.io.Transformer({"data": (1, 3, 4, 6)})
    mean = np.arange(3.0)[:, None, None] + np.zeros((3, 8, 9))
    mean[0, 0, 0] = -1
    t.set_mean("data", mean)
    assert t.mean["data"].shape == (3, 4, 6)
    np.testing.assert_allclose(t.mean["data"][2, 1:-1, 1:-1], 2, atol=1e-6)
    with pytest.raises(MismatchError, match="Mean shape invalid"):
        t.set_mean("data", np.zeros((2, 4, 6)))


@pytest.mark.parametrize("oversample", [False, True])
def test_classifier(oversample):
    image = np.random.default_rng(2).random((20, 16, 3)).astype("float32")
    net = caffe.Classifier(parse_net(MEANS % 4), None, image_dims=(20, 16), mean=np.ones(3), raw_scale=255)
    assert net.transformer.raw_scale == {"data": 255}
    found = net.predict([image, image[::-1]], oversample=oversample)
    starts = [(0, 0), (0, 4), (8, 0), (8, 4), (4, 2)] if oversample else [(4, 2)]
    for row, one in zip(found, (image, image[::-1]), strict=True):
        means = [one[y : y + 12, x : x + 12].mean(axis=(0, 1)) for y, x in starts]
        np.testing.assert_allclose(row.ravel(), 255 * np.mean(means, axis=0) - 1, rtol=1e-4)
    with pytest.raises(SizeError, match="image_dims"):
        caffe.Classifier(parse_net(MEANS % 4), None, image_dims=(20, 11))


WINDOWS = [(2, 3, 9, 20), None, (15, 20, 23, 31), (0, 5, 23, 8)]


@pytest.mark.parametrize("case", [1, 2, 3])
def test_windows_are_cut_as_pycaffe_does(case, monkeypatch):
    def nearest(image, sizes):
        rows, columns = (
            [int((i + 0.5) * n / size) for i in range(size)] for n, size in zip(image.shape, sizes, strict=False)
        )
        return image[rows][:, columns]

    monkeypatch.setattr(detector, "resize_image", nearest)
    mean = (None, None, PYCAFFE["mean"], np.array([1.0, 2, 3]))[case]
    net = caffe.Detector(
        parse_net(MEANS % 2), None, mean=mean, raw_scale=255, channel_swap=(2, 1, 0), context_pad=case + 1
    )
    for number in (0, 2, 3):
        crop = net.crop(PYCAFFE["image"], WINDOWS[number])
        np.testing.assert_allclose(crop, PYCAFFE[f"crop{case}_{number}"], atol=1e-6)


def test_detector(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    net = caffe.Detector(parse_net(MEANS % 2), None, raw_scale=255)
    windows = [(0, 0, 12, 12), (5, 7, 17, 19), (8, 18, 20, 30)]
    found = net.detect_windows([(tmp_path / "a.png", windows)])
    assert [entry["window"] for entry in found] == windows and found[2]["filename"] == tmp_path / "a.png"
    for entry, (top, left, bottom, right) in zip(found, windows, strict=True):
        mean = pixels[top:bottom, left:right].mean(axis=(0, 1))
        np.testing.assert_allclose(entry["prediction"].ravel(), mean, rtol=1e-5)
    with pytest.raises(SizeError, match="window"):
        net.crop(pixels, (0, 0, 21, 5))
    with pytest.raises(SizeError, match="context_pad"):
        net.configure_crop(6)
    with pytest.raises(MismatchError, match="detect_windows"):
        net.detect_selective_search(["a.png"])


DRAWN = """
name: "a \\"net\\""
layer { name: "data" type: "Data" top: "data" data_param { batch_size: 7 } include { phase: TRAIN } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 2 }
        convolution_param { num_output: 5 kernel_h: 3 kernel_w: 4 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 9 } }"""


def test_drawings():
    net = parse_net(DRAWN)
    text = draw.net_to_dot(net, display_lrm=True)
    for part in (
        'digraph "a \\"net\\"" {',
        '"blob data" -> "layer conv";',
        '"layer conv" -> "blob conv" [label="5"];',
        '"layer data" -> "blob data" [label="Batch 7"];',
        r'label="conv\n(Convolution)\nkernel size: 3x4\nstride: 2\npad: 1\nlr mult: 2.0, 1.0"',
        r'label="pool\n(Pooling AVE)\nkernel size: 2\nstride: 2\npad: 0"',
        '"layer relu" [label="relu\\n(ReLU)", shape=box, style=filled, fillcolor="#90EE90"]',
    ):
        assert part in text, part
    assert "layer data" not in draw.net_to_dot(net, phase=caffe.TEST)
    assert "kernel size: 2 stride: 2" in draw.net_to_dot(net, "TB")
    assert draw.draw_net(net, "LR", "dot").decode() == draw.get_pydot_graph(net, "LR").to_string()
    with pytest.raises(MismatchError, match="direction"):
        draw.net_to_dot(net, "UP")


def test_drawings_in_files(tmp_path, monkeypatch):
    net = parse_net(DRAWN)
    draw.draw_net_to_file(net, tmp_path / "net.dot")
    assert (tmp_path / "net.dot").read_text() == draw.net_to_dot(net)
    if shutil.which("dot"):
        draw.draw_net_to_file(net, tmp_path / "net.svg", "TB")
        assert "<svg" in (tmp_path / "net.svg").read_text()
        with pytest.raises(MismatchError, match="no 'nothing'"):
            draw.draw_net(net, "LR", "nothing")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MismatchError, match="apt-get install graphviz"):
        draw.draw_net_to_file(net, tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists()


def test_callbacks_of_every_layer_and_loss_weights():
    text = """
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [2, 3] } } }
        layer { name: "y" type: "InnerProduct" bottom: "x" top: "y"
                inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 3 }
        """.replace('top: "x" input_param { shape { dim: [2, 3] } }',
                    'top: "x" top: "t" input_param { shape { dim: [2, 3] } shape { dim: [2, 4] } }')  # fmt: skip
    nets, calls = [], []
    for with_callbacks in (False, True):
        caffe.set_random_seed(5)
        net = caffe.Net(parse_net(text), caffe.TRAIN)
        nets.append(net)
        if with_callbacks:
            for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
                getattr(net, name)(lambda layer, name=name: calls.append((name, layer)))
        net.blobs["x"].data[...] = np.arange(6).reshape(2, 3)
        net.forward()
        net.backward()
    assert calls == [
        *((f"{when}_forward", i) for i in range(3) for when in ("before", "after")),
        *((f"{when}_backward", i) for i in (2, 1, 0) for when in ("before", "after")),
    ]
    for first, second in zip(nets[0].params["y"], nets[1].params["y"], strict=True):
        np.testing.assert_array_equal(first.diff, second.diff)
        assert np.abs(first.diff).max() > 0
    assert dict(nets[0].blob_loss_weights) == {"x": 0, "t": 0, "y": 0, "loss": 3}
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert 0 <= timer.ms < 1000
    with pytest.raises(NotImplementedError):
        caffe.NCCL.new_uid()
