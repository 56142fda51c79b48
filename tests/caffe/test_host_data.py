"""Layers that bring data: their order, their way round the end, crops, means, scales, mirrors; what is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from PIL import Image

from deconv_legacy import caffe
from deconv_legacy.caffe import parse_net
from deconv_legacy.caffe.transform import resize_pixels
from deconv_legacy.errors import DeconvLegacyError, FileFormatError, MismatchError, SizeError


def net_of(layer, phase=caffe.TEST):
    return caffe.Net(parse_net(layer), phase)


def batches(net, count, *names):
    found = []
    for _ in range(count):
        net.forward()
        found.append([net.blobs[name].data.copy() for name in names])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


MEMORY = """
layer { name: "in" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 } }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }"""


def test_memory_data():
    net = net_of(MEMORY)
    assert net.blobs["data"].shape == [2, 3, 4, 5] and net.blobs["label"].shape == [2]
    with pytest.raises(MismatchError, match=r"layer 'in' \(MemoryData\): it has no data yet"):
        net.forward()
    data = np.random.default_rng(0).standard_normal((6, 3, 4, 5)).astype("f")
    net.set_input_arrays(data, np.arange(6, dtype="f"))
    twice, label = batches(net, 4, "twice", "label")
    np.testing.assert_array_equal(twice, 2 * data[[0, 1, 2, 3, 4, 5, 0, 1]])
    np.testing.assert_array_equal(label.ravel(), [0, 1, 2, 3, 4, 5, 0, 1])
    assert net.blobs["label"].shape == [2, 1, 1, 1]
    net.set_input_arrays(data[2:4], np.ones((2, 1, 1, 1), "f"))  # starts again
    np.testing.assert_array_equal(batches(net, 1, "data")[0], data[2:4])


@pytest.mark.parametrize(
    "data, labels, words",
    [
        (np.zeros((2, 3, 4, 5)), np.zeros(2, "f"), "float32"),
        (np.zeros((2, 3, 5, 4), "f").swapaxes(2, 3), np.zeros(2, "f"), "contiguous"),
        (np.zeros((2, 3, 5, 4), "f"), np.zeros(2, "f"), "shape"),
        (np.zeros((3, 3, 4, 5), "f"), np.zeros(3, "f"), "multiple of batch size 2"),
        (np.zeros((2, 3, 4, 5), "f"), np.zeros(4, "f"), "same first dimension"),
        (np.zeros((0, 3, 4, 5), "f"), np.zeros(0, "f"), "multiple"),
    ],
    ids=["dtype", "order", "sizes", "rows", "labels", "nothing"],
)
def test_memory_data_refuses(data, labels, words):
    with pytest.raises(MismatchError, match=words):
        net_of(MEMORY).set_input_arrays(data, labels)
    with pytest.raises(MismatchError, match="first layer"):
        net_of('layer { name: "x" type: "Input" top: "x" }').set_input_arrays(data, labels)


HDF5 = """
layer { name: "in" type: "HDF5Data" top: "x" top: "y"
        hdf5_data_param { source: "%s" batch_size: %d %s } }"""


def hdf5_files(folder, *counts):
    first, paths = 0, []
    for number, count in enumerate(counts):
        paths.append(folder / f"{number}.h5")
        with h5py.File(paths[-1], "w") as file:
            rows = np.arange(first, first + count)
            file["x"] = rows[:, None] * [1.0, 10, 100]
            file["y"] = rows
        first += count
    (folder / "list.txt").write_text("\n".join(map(str, paths)) + "\n")
    return folder / "list.txt"


def test_hdf5_data_runs_through_its_files(tmp_path):
    source = hdf5_files(tmp_path, 3, 2)
    net = net_of(HDF5 % (source, 4, ""))
    assert net.blobs["x"].shape == [4, 3] and net.blobs["y"].shape == [4]
    x, y = batches(net, 3, "x", "y")
    np.testing.assert_array_equal(y, np.arange(12) % 5)
    np.testing.assert_array_equal(x, (np.arange(12) % 5)[:, None] * [1.0, 10, 100])
    one = hdf5_files(tmp_path, 3)
    np.testing.assert_array_equal(batches(net_of(HDF5 % (one, 7, "")), 1, "y")[0], np.arange(7) % 3)


def test_hdf5_data_shuffled_shows_every_row_once_an_epoch(tmp_path):
    source = hdf5_files(tmp_path, 8, 4)
    orders = []
    for _ in range(2):
        caffe.set_random_seed(3)
        (y,) = batches(net_of(HDF5 % (source, 6, "shuffle: true")), 4, "y")
        orders.append(y)
        for epoch in (y[:12], y[12:]):
            assert sorted(epoch) == list(range(12))
            assert {tuple(sorted(epoch[:8])), tuple(sorted(epoch[4:]))} & {tuple(range(8))}
    np.testing.assert_array_equal(*orders)
    assert list(orders[0]) != list(np.arange(24) % 12)


def test_hdf5_data_refuses(tmp_path):
    source = hdf5_files(tmp_path, 3)
    net_text = HDF5 % (source, 2, "")
    cases = [
        (net_text.replace('top: "y"', 'top: "z"'), r"0\.h5: layer in \(HDF5Data\).*no dataset 'z'; there are .*x, y"),
        (net_text.replace("hdf5_data_param", "transform_param { scale: 2 } hdf5_data_param"), "does not transform"),
        (HDF5 % (source, 0, ""), "batch_size"),
    ]
    with h5py.File(tmp_path / "0.h5", "a") as file:
        file["short"], file["text"] = np.zeros(2), "text"
    cases += [(net_text.replace('top: "y"', f'top: "{name}"'), words) for name, words in
              (("short", "as many rows"), ("text", "not numbers"))]  # fmt: skip
    for text, words in cases:
        with pytest.raises(DeconvLegacyError, match=words):
            net_of(text)
    source.write_text("")
    with pytest.raises(FileFormatError, match="no HDF5 file"):
        net_of(net_text)
    source.write_text(__file__)
    with pytest.raises(FileFormatError, match="test_host_data"):
        net_of(net_text)


def test_hdf5_output(tmp_path):
    text = f"""
        layer {{ name: "in" type: "Input" top: "x" top: "y"
                 input_param {{ shape {{ dim: [2, 3, 4] }} shape {{ dim: 2 }} }} }}
        layer {{ name: "half" type: "Power" bottom: "x" top: "half" power_param {{ scale: 0.5 }} }}
        layer {{ name: "out" type: "HDF5Output" bottom: "half" bottom: "y"
                 hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}"""
    net = net_of(text)
    net.blobs["x"].data[...] = np.arange(24).reshape(2, 3, 4)
    net.blobs["y"].data[...] = 5, 6
    net.forward()
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["data"], np.arange(24).reshape(2, 3, 4, 1) / 2)
        np.testing.assert_array_equal(file["label"], np.reshape([5, 6], (2, 1, 1, 1)))
        assert file["data"].dtype == np.float32
    net.blobs["y"].reshape(3)
    with pytest.raises(SizeError, match="2 and 3 rows"):
        net.forward()


IMAGES = """
layer {{ name: "in" type: "ImageData" top: "data" top: "label" {transform}
         image_data_param {{ source: "{source}" batch_size: {batch} {param} }} }}"""


class Photos:
    def __init__(self, folder, sizes=((6, 7),) * 5):
        rng = np.random.default_rng(1)
        self.folder, self.bgr = folder, []
        lines = []
        for number, size in enumerate(sizes):
            pixels = rng.integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"a photo {number}.png")
            self.bgr.append(pixels[..., ::-1].transpose(2, 0, 1).astype("f"))
            lines.append(f"a photo {number}.png {10 * number}\n")
        (folder / "list.txt").write_text("".join(lines))

    def net(self, param="", transform="", batch=2, phase=caffe.TEST):
        param += f' root_folder: "{self.folder}/"'
        transform = f"transform_param {{ {transform} }}" if transform else ""
        text = IMAGES.format(source=self.folder / "list.txt", param=param, transform=transform, batch=batch)
        return net_of(text, phase)


def test_image_data_in_the_order_of_the_list_and_round_its_end(tmp_path):
    photos = Photos(tmp_path)
    data, label = batches(photos.net(), 4, "data", "label")
    np.testing.assert_array_equal(label, 10 * (np.arange(8) % 5))
    np.testing.assert_array_equal(data, [photos.bgr[i % 5] for i in range(8)])


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST], ids=["TRAIN", "TEST"])
def test_images_are_cropped_then_lose_their_mean_then_are_scaled(tmp_path, phase):
    photos = Photos(tmp_path)
    mean = np.random.default_rng(2).standard_normal((3, 6, 7)).astype("f") * 50
    caffe.write_mean(tmp_path / "mean.binaryproto", mean)
    places = [(y, x) for y in range(3) for x in range(4)] if phase == caffe.TRAIN else [(1, 1)]
    for transform, subtracted in (
        (f'mean_file: "{tmp_path}/mean.binaryproto"', mean),
        ("mean_value: 100", np.full((3, 6, 7), 100, "f")),
        ("mean_value: [1, 20, 300]", np.broadcast_to(np.array([1, 20, 300], "f")[:, None, None], (3, 6, 7))),
    ):
        net = photos.net("", f"scale: 0.25 crop_size: 4 {transform}", batch=3, phase=phase)
        assert net.blobs["data"].shape == [3, 3, 4, 4]
        data, seen = batches(net, 5, "data")[0], set()
        for number, found in enumerate(data):
            whole = (photos.bgr[number % 5] - subtracted) * np.float32(0.25)
            fits = [(y, x) for y, x in places if np.array_equal(found, whole[:, y : y + 4, x : x + 4])]
            assert len(fits) == 1
            seen.update(fits)
        assert len(seen) > 3 if phase == caffe.TRAIN else seen == {(1, 1)}


def test_images_are_mirrored_by_chance_in_every_phase(tmp_path):
    photos = Photos(tmp_path)
    (data,) = batches(photos.net("", "mirror: true", batch=5), 4, "data")
    turned = [np.array_equal(found, photos.bgr[i % 5][:, :, ::-1]) for i, found in enumerate(data)]
    kept = [np.array_equal(found, photos.bgr[i % 5]) for i, found in enumerate(data)]
    assert [a != b for a, b in zip(turned, kept, strict=True)] == [True] * 20
    assert 0 < sum(turned) < 20


def test_shuffling_and_skipping(tmp_path):
    photos = Photos(tmp_path)
    caffe.set_random_seed(1)
    (label,) = batches(photos.net("shuffle: true", batch=5), 6, "label")
    epochs = label.reshape(6, 5)
    assert all(sorted(epoch) == [0, 10, 20, 30, 40] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    starts = {batches(photos.net("rand_skip: 3", batch=1), 1, "label")[0][0] for _ in range(40)}
    assert starts == {0, 10, 20}


def test_grey_and_resized_images(tmp_path):
    photos = Photos(tmp_path, [(6, 7), (9, 5)])
    (data,) = batches(photos.net("new_height: 4 new_width: 6", batch=2), 1, "data")
    for found, bgr in zip(data, photos.bgr, strict=True):
        resized = resize_pixels(bgr.astype("u1").transpose(1, 2, 0), 4, 6).transpose(2, 0, 1)
        np.testing.assert_array_equal(found, resized)
    net = photos.net("is_color: false", batch=1)
    for bgr in photos.bgr:  # each batch has the size of its image
        net.forward()
        grey = np.tensordot([0.114, 0.587, 0.299], bgr, 1)
        assert net.blobs["data"].shape == [1, 1, *bgr.shape[1:]]
        assert np.abs(net.blobs["data"].data[0, 0] - grey).max() <= 0.5 + 1e-3
    with pytest.raises(SizeError, match="in a batch of"):
        photos.net(batch=2).forward()


def test_resizing_is_opencvs():
    """Numbers of OpenCV 4.11's ``resize``, which ours equalled on 300 random images too."""
    image = (np.arange(12) ** 2 * 7 % 256).astype(np.uint8).reshape(3, 4, 1)
    assert resize_pixels(image, 5, 7)[..., 0].tolist() == [
        [0, 2, 6, 17, 30, 50, 63],
        [45, 55, 72, 96, 114, 89, 73],
        [112, 134, 171, 214, 240, 146, 87],
        [160, 140, 107, 158, 204, 129, 82],
        [192, 143, 65, 121, 180, 118, 79],
    ]
    assert resize_pixels(image[:2], 1, 2)[..., 0].tolist() == [[74, 108]]
    np.testing.assert_array_equal(resize_pixels(image, 3, 4), image)


@pytest.mark.parametrize(
    "param, transform, words",
    [
        ("new_height: 4", "", "same time"),
        ("", "crop_size: 7", "crop_size 7 of an image of 6 x 7"),
        ("", "mean_value: [1, 2]", "2 for 3"),
        ("", 'mean_value: 1 mean_file: "x"', "same time"),
        ("rand_skip: 1000000000", "", "points to skip"),
    ],
    ids=["one-size", "crop", "means", "two-means", "skip"],
)
def test_image_data_refuses(tmp_path, param, transform, words):
    with pytest.raises(DeconvLegacyError, match=f"in.*{words}"):
        Photos(tmp_path).net(param, transform).forward()


def test_image_data_names_the_file_that_cannot_be_read(tmp_path):
    photos = Photos(tmp_path)
    (tmp_path / "bad.png").write_text("no image")
    for name, words in (("missing.png", "No such file"), ("bad.png", "no image that")):
        (tmp_path / "list.txt").write_text(f"a photo 0.png 3\n{name} 4\n")
        net = photos.net(batch=1)
        net.forward()
        with pytest.raises(
            FileFormatError, match=rf"list\.txt: layer in \(ImageData\): could not load '.*{name}.*{words}"
        ):
            net.forward()
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(FileFormatError, match="list of images is empty"):
        photos.net()
    (tmp_path / "list.txt").write_text("a photo 0.png x\n")
    assert batches(photos.net(batch=1), 1, "label")[0] == 0  # as C's atoi


def test_host_data_that_are_not_run_are_refused_together():
    text = """
        layer { name: "train" type: "Data" top: "data" top: "label" data_param { source: "lmdb" backend: LMDB } }
        layer { name: "seg" type: "WindowData" top: "w" top: "v" }"""
    with pytest.raises(MismatchError, match=r"'train' \(Data\): LMDB.*'seg' \(WindowData\).*Input, a Python"):
        net_of(text)
    with pytest.raises(MismatchError, match=r"layer 'in' \(ImageData\): 0 bottom and 1 top"):
        net_of('layer { name: "in" type: "ImageData" top: "data" }')
