"""The data layers read each data set's folders as the FCN repository's layers do."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import segmentation_data as data
from PIL import Image

from deconv_legacy import caffe
from deconv_legacy.caffe._label_files import read_labels
from deconv_legacy.caffe.data_layers import param_dict
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError


def net(module, layer, tops, /, **params):
    names = " ".join(f'top: "{top}"' for top in tops)
    return caffe.Net(
        caffe.parse_net(f"""layer {{ name: "data" type: "Python" {names} python_param {{
            module: "{module}" layer: "{layer}" param_str: "{params}" }} }}"""),
        caffe.TRAIN,
    )


def bgr(path, mean):
    with Image.open(path) as image:
        rgb = np.asarray(image, np.float32)
    return np.stack([rgb[:, :, 2 - c] - np.float32(mean[c]) for c in range(3)])


def drawn(seed, count):
    """Places in a list that Python 2's random.randint draws."""
    import random

    generator = random.Random(seed)
    return [int(generator.random() * 3) for _ in range(count)]


def test_voc(tmp_path):
    data.voc(tmp_path)
    mean = (104.5, 116.25, 122.75)
    made = net("voc_layers", "VOCSegDataLayer", ("data", "label"), voc_dir=str(tmp_path), split="val", mean=mean)
    for index in (*data.SIZES, "a_1"):  # in order, then again
        out = made.forward()
        path = tmp_path / "JPEGImages" / f"{index}.jpg"
        np.testing.assert_allclose(out["data"], bgr(path, mean)[None], atol=1e-4)
        expected = data.labels(index, 0, 20)
        expected[0, :3] = 255
        np.testing.assert_array_equal(out["label"], expected[None, None])


def test_a_seed_draws_what_python_2_drew(tmp_path):
    data.voc(tmp_path)
    options = dict(voc_dir=str(tmp_path), split="train", mean=(0, 0, 0), seed=1337)
    made = net("voc_layers", "VOCSegDataLayer", ("data", "label"), **options)
    sizes = [made.forward()["label"].shape[2:] for _ in range(12)]
    assert sizes == [list(data.SIZES.values())[i] for i in drawn(1337, 12)]
    straight = net("voc_layers", "VOCSegDataLayer", ("data", "label"), randomize=False, **options)
    assert [straight.forward()["label"].shape[2:] for _ in range(4)] == [*data.SIZES.values(), (9, 13)]


def test_sbdd(tmp_path):
    data.sbdd(tmp_path)
    made = net(
        "voc_layers", "SBDDSegDataLayer", ("d", "l"), sbdd_dir=str(tmp_path), split="train", mean=(1, 2, 3), seed=5
    )
    index = list(data.SIZES)[drawn(5, 1)[0]]
    out = made.forward()
    np.testing.assert_allclose(out["d"], bgr(tmp_path / "img" / f"{index}.jpg", (1, 2, 3))[None], atol=1e-4)
    np.testing.assert_array_equal(out["l"], data.labels(index, 0, 20)[None, None])


def test_nyud(tmp_path):
    data.nyud(tmp_path)
    tops = ("hha", "depth", "label", "color")
    made = net("nyud_layers", "NYUDSegDataLayer", tops, nyud_dir=str(tmp_path), split="test", tops=list(tops))
    for index in data.SIZES:
        out = made.forward()
        rgb = data.picture(index).astype(float)
        np.testing.assert_allclose(
            out["color"][0], (rgb[:, :, ::-1] - [116.190, 97.203, 92.318]).transpose(2, 0, 1), atol=1e-4
        )
        np.testing.assert_allclose(out["hha"][0], (rgb - [132.431, 94.076, 118.477]).transpose(2, 0, 1), atol=1e-4)
        np.testing.assert_allclose(out["depth"][0, 0], np.log(data.labels(index, 1, 9000)) - 7.844, atol=1e-5)
        label = data.labels(index, 0, 40)
        np.testing.assert_array_equal(out["label"][0, 0], np.where(label == 0, 255, label - 1))


def test_siftflow(tmp_path):
    data.siftflow(tmp_path)
    options = dict(siftflow_dir=str(tmp_path), split="test")
    made = net("siftflow_layers", "SIFTFlowSegDataLayer", ("data", "sem", "geo"), **options)
    for index in data.SIZES:
        out = made.forward()
        path = tmp_path / "Images" / data.OUTDOOR / f"{index}.jpg"
        np.testing.assert_allclose(out["data"], bgr(path, (114.578, 115.294, 108.353))[None], atol=1e-4)
        for top, most in (("sem", 33), ("geo", 3)):
            label = data.labels(index, 0, most)
            np.testing.assert_array_equal(out[top][0, 0], np.where(label == 0, 255, label - 1))


def test_pascal_context(tmp_path):
    data.context(tmp_path / "voc", tmp_path / "context")
    options = dict(voc_dir=str(tmp_path / "voc"), context_dir=str(tmp_path / "context"), split="val")
    made = net("pascalcontext_layers", "PASCALContextSegDataLayer", ("data", "label"), **options)
    # of all names, in their order, the number in the task: names differ for table, bedclothes and cloth
    task = np.array([0, 0, 4, 0, 2, 3, 5, 1])
    for index in data.SIZES:
        out = made.forward()
        path = tmp_path / "voc" / "VOC2010" / "JPEGImages" / f"{index}.jpg"
        np.testing.assert_allclose(out["data"], bgr(path, (104.007, 116.669, 122.679))[None], atol=1e-4)
        np.testing.assert_array_equal(out["label"][0, 0], task[data.labels(index, 0, 7)])


def test_what_is_wrong_is_said(tmp_path):
    data.voc(tmp_path)
    good = dict(voc_dir=str(tmp_path), split="val", mean=(0, 0, 0))

    def voc(tops=("data", "label"), **changed):
        options = {key: value for key, value in {**good, **changed}.items() if value is not None}
        return net("voc_layers", "VOCSegDataLayer", tops, **options)

    with pytest.raises(MismatchError, match=r"layer 'data' \(VOCSegDataLayer\): param_str lacks split"):
        voc(split=None)
    with pytest.raises(MismatchError, match="lacks mean"):
        voc(mean=None)
    with pytest.raises(MismatchError, match="3 tops; needed are data, label"):
        voc(tops=("a", "b", "c"))
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        voc(split="none")
    label = tmp_path / "SegmentationClass" / "a_1.png"
    data.save_image(label, data.picture("a_1"))
    with pytest.raises(FileFormatError, match=r"a_1\.png: labels are a palette .* RGB"):
        voc()
    data.save_image(label, np.zeros((4, 5), np.uint8))
    with pytest.raises(SizeError, match=r"picture 'a_1': sizes differ: data \(9, 13\), label \(4, 5\)"):
        voc()
    label.write_bytes(b"no image")
    with pytest.raises(FileFormatError, match=r"a_1\.png: not an image"):
        voc()
    data.nyud(tmp_path)
    mat = tmp_path / "segmentation" / "img_a_1.mat"
    options = dict(nyud_dir=str(tmp_path), split="test", tops=["label"])
    data.save_mat(mat, other=np.zeros((2, 2)))
    with pytest.raises(FileFormatError, match="no variable segmentation; there are"):
        net("nyud_layers", "NYUDSegDataLayer", ("label",), **options)
    mat.write_bytes(b"junk" * 50)
    with pytest.raises(FileFormatError, match=r"not a \.mat file"):
        net("nyud_layers", "NYUDSegDataLayer", ("label",), **options)
    with pytest.raises(MismatchError, match="legal are some of color"):
        net("nyud_layers", "NYUDSegDataLayer", ("label",), **{**options, "tops": ["colour"]})


def test_param_str():
    assert param_dict(" {u'a': (1.5, -2), 'b': [True, None]}") == {"a": (1.5, -2), "b": [True, None]}
    for text in ("", "3", "{'a': open('x')}", "dict(1)", "{"):
        with pytest.raises(MismatchError, match="is no dict"):
            param_dict(text)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3], ids=["grey", "palette"])
def test_labels_are_what_the_file_stores_in_however_few_bits(tmp_path, depth, colour):
    """Written here chunk by chunk, as the PNG specification has it: 5 columns fill no byte of few bits."""
    labels = np.random.default_rng(depth).integers(0, 2**depth, (3, 5), np.uint8)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bits = np.unpackbits(labels[:, :, None], axis=2)[:, :, 8 - depth :].reshape(3, -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    path = tmp_path / "labels.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 3, depth, colour, 0, 0, 0))
        + (chunk(b"PLTE", bytes(3 * 2**depth)) if colour else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_labels(path), labels)
