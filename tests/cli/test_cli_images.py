"""Reading photos of every kind, and writing labels and overlays."""

from __future__ import annotations

import numpy as np
import pytest
from cli_helpers import noise, save
from PIL import Image

from deconv_legacy.caffe._label_files import write_label_image
from deconv_legacy.cli import _images
from deconv_legacy.errors import FileFormatError

RGB = noise(7, 5)


def reread(tmp_path, image, name="photo.png", **options):
    image.save(tmp_path / name, **options)
    return _images.read_photo(tmp_path / name)


def test_rgb_is_as_stored(tmp_path):
    photo = reread(tmp_path, Image.fromarray(RGB))
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, RGB)


def test_grey_and_bilevel_are_three_equal_channels(tmp_path):
    grey = RGB[:, :, 0]
    np.testing.assert_array_equal(reread(tmp_path, Image.fromarray(grey)), np.stack([grey] * 3, 2))
    bilevel = Image.fromarray(grey > 128)
    assert bilevel.mode == "1"
    np.testing.assert_array_equal(reread(tmp_path, bilevel), np.stack([255 * (grey > 128)] * 3, 2))


def test_alpha_is_dropped(tmp_path):
    rgba = np.dstack([RGB, np.arange(35, dtype=np.uint8).reshape(7, 5)])
    np.testing.assert_array_equal(reread(tmp_path, Image.fromarray(rgba)), RGB)
    la = Image.merge("LA", [Image.fromarray(RGB[:, :, 0]), Image.fromarray(rgba[:, :, 3])])
    np.testing.assert_array_equal(reread(tmp_path, la), np.stack([RGB[:, :, 0]] * 3, 2))


def test_palette_colours_are_looked_up(tmp_path):
    indices = np.random.default_rng(0).integers(0, 4, (7, 5), np.uint8)
    colours = np.array([[1, 2, 3], [40, 50, 60], [7, 80, 9], [255, 0, 10]], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    np.testing.assert_array_equal(reread(tmp_path, image), colours[indices])
    # one colour transparent: its colour stays
    np.testing.assert_array_equal(reread(tmp_path, image, transparency=1), colours[indices])


def test_sixteen_bits_keep_the_high_byte(tmp_path):
    values = np.random.default_rng(0).integers(0, 1 << 16, (7, 5)).astype(np.uint16)
    expected = np.stack([values // 256] * 3, 2)
    np.testing.assert_array_equal(reread(tmp_path, Image.fromarray(values)), expected)
    np.testing.assert_array_equal(reread(tmp_path, Image.fromarray(values.astype(np.int32)), "photo.tif"), expected)


def test_cmyk(tmp_path):
    cmyk = np.dstack([RGB, RGB[:, :, 1] // 2])
    ink = (255 - cmyk[:, :, :3].astype(float)) * (255 - cmyk[:, :, 3:]) / 255
    photo = reread(tmp_path, _cmyk(cmyk), "photo.tif")
    np.testing.assert_allclose(photo, ink, atol=1.5)


def _cmyk(array):
    return Image.merge("CMYK", [Image.fromarray(array[:, :, i]) for i in range(4)])


def test_orientation_of_exif_is_applied(tmp_path):
    turned = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 6: np.rot90(RGB, -1), 8: np.rot90(RGB)}
    for orientation, expected in turned.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        np.testing.assert_array_equal(reread(tmp_path, Image.fromarray(RGB), exif=exif), expected)


def test_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(noise(6, 4, seed)) for seed in (3, 4)]
    photo = reread(tmp_path, frames[0], "photo.tif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(photo, noise(6, 4, 3))


@pytest.mark.parametrize("numbers", [np.float32([[0.5, 2]]), np.int32([[-1, 5]]), np.int32([[1 << 16, 5]])])
def test_numbers_without_a_white_are_refused(tmp_path, numbers):
    with pytest.raises(FileFormatError, match="neither 8 nor 16 bits"):
        reread(tmp_path, Image.fromarray(numbers), "photo.tif")


@pytest.mark.parametrize("content", [b"", b"not a photo", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, b"\xff\xd8\xff\xe0"])
def test_what_is_no_photo(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="photo") as error:
        _images.read_photo(path)
    assert error.value.path == str(path)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.tif", "photo.gif", "photo.bmp", "photo.webp"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_photos_cut_short(tmp_path, name, part):
    save(tmp_path / name, noise(64, 48))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match=name):
        _images.read_photo(tmp_path / name)


def test_a_missing_photo_keeps_pythons_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        _images.read_photo(tmp_path / "photo.png")


def test_voc_palette():
    """The values that the VOC devkit's documentation lists."""
    known = {0: (0, 0, 0), 1: (128, 0, 0), 6: (0, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    palette = _images.voc_palette()
    assert {index: tuple(palette[index]) for index in known} == known
    assert tuple(palette[255]) == (224, 224, 192)
    assert len({tuple(colour) for colour in palette}) == 256


def test_palette_of_an_image(tmp_path):
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    colours = _images.complete_palette([[9, 8, 7], [1, 2, 3]])
    write_label_image(tmp_path / "labels.png", labels, colours)
    np.testing.assert_array_equal(_images.read_palette(tmp_path / "labels.png"), colours)
    save(tmp_path / "rgb.png", RGB)
    with pytest.raises(FileFormatError, match="palette image"):
        _images.read_palette(tmp_path / "rgb.png")


def test_overlay_leaves_the_background_alone():
    labels = np.random.default_rng(0).integers(0, 3, (7, 5), np.uint8)
    palette = _images.voc_palette()
    mixed = _images.overlay(RGB, labels, palette)
    np.testing.assert_array_equal(mixed[labels == 0], RGB[labels == 0])
    average = (RGB.astype(float) + palette[labels]) / 2
    np.testing.assert_allclose(mixed[labels > 0], average[labels > 0], atol=0.5)


def test_overlay_enlarges_small_labels():
    photo, palette = np.zeros((4, 6, 3), np.uint8), _images.voc_palette()
    small = np.array([[0, 1, 2], [3, 0, 1]], np.uint8)
    large = np.kron(small, np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(_images.overlay(photo, small, palette), _images.overlay(photo, large, palette))
