"""Laws of the generator that the shipped digit segmenter is trained and judged on."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn's handwritten digits are this generator's source")
pytest.importorskip("skimage", reason="scikit-image's photographs are this generator's source")
Image = pytest.importorskip("PIL.Image", reason="Pillow resizes the photographs")

SCRIPT = Path(__file__).parents[2] / "examples" / "digits_on_photos.py"
HEIGHT, WIDTH = 210, 250


@pytest.fixture(scope="module")
def dop():
    spec = importlib.util.spec_from_file_location("digits_on_photos", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_picture_is_a_function_of_its_arguments(dop):
    picture, labels = dop.make_picture("train", HEIGHT, WIDTH, 7, 3)
    dop.make_picture("held-out", HEIGHT, WIDTH, 7, 3)  # no state is carried from one to the next
    again, labels_again = dop.make_picture("train", HEIGHT, WIDTH, 7, 3)
    np.testing.assert_array_equal(picture, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    assert labels.shape == (HEIGHT, WIDTH) and labels.dtype == np.uint8
    for seed, index, split in ((8, 3, "train"), (7, 4, "train"), (7, 3, "held-out")):
        assert not np.array_equal(picture, dop.make_picture(split, HEIGHT, WIDTH, seed, index)[0])


def test_the_splits_share_no_scan_and_no_photograph(dop):
    from sklearn.datasets import load_digits

    (train, train_targets), (held_out, held_out_targets) = dop.scans("train"), dop.scans("held-out")
    digits = load_digits()
    np.testing.assert_array_equal(np.concatenate((train, held_out)) * 16, digits.images)
    np.testing.assert_array_equal(np.concatenate((train_targets, held_out_targets)), digits.target)
    assert not {scan.tobytes() for scan in train} & {scan.tobytes() for scan in held_out}
    assert not set(dop.TRAIN_PHOTOS) & set(dop.HELD_OUT_PHOTOS)
    photos = [dop.photograph(name) for name in dop.TRAIN_PHOTOS + dop.HELD_OUT_PHOTOS]
    assert len({photo.tobytes() for photo in photos}) == len(photos)


@pytest.mark.parametrize("split", ["train", "held-out"])
def test_a_split_draws_from_its_own_sources_alone(dop, monkeypatch, split):
    photos, seen = [], []
    photograph, drawn = dop.photograph, dop._drawn
    monkeypatch.setattr(dop, "photograph", lambda name: photos.append(name) or photograph(name))
    monkeypatch.setattr(dop, "_drawn", lambda scan, *rest: seen.append(scan.tobytes()) or drawn(scan, *rest))
    for index in range(12):
        dop.make_picture(split, HEIGHT, WIDTH, 0, index)
    assert set(photos) <= set(dop.TRAIN_PHOTOS if split == "train" else dop.HELD_OUT_PHOTOS)
    assert seen and set(seen) <= {scan.tobytes() for scan in dop.scans(split)[0]}


def test_labels_agree_with_where_the_ink_is(dop, monkeypatch):
    """Drawn with one ink on an even ground, the picture itself says where the digits are."""
    ground = np.array((40, 70, 60), np.float32)
    ink = np.array((230, 210, 240), np.float32)
    monkeypatch.setattr(dop, "_background", lambda split, h, w, rng: np.tile(ground, (h, w, 1)))
    monkeypatch.setattr(dop, "_ink", lambda below, rng: ink)
    found = set()
    for index in range(16):
        picture, labels = dop.make_picture("train", HEIGHT, WIDTH, 1, index)
        red = picture[:, :, 0].astype(float)
        # Cover runs from 0 to 0.8 .. 1 over an edge of two pixels or so, and the noise has sigma 6 at most.
        assert (labels[red > 190] > 0).all()
        assert (labels[red < 70] == 0).mean() > 0.999
        assert 0.005 < (labels > 0).mean() < 0.6
        found |= set(np.unique(labels))
    assert found == set(range(len(dop.CLASSES)))


def test_the_label_is_the_digit_that_was_drawn(dop, monkeypatch):
    scans = dop.scans("train")
    only_sevens = tuple(part[scans[1] == 7] for part in scans)
    monkeypatch.setattr(dop, "scans", lambda split: only_sevens)
    assert set(np.unique(dop.make_picture("train", HEIGHT, WIDTH, 0, 0)[1])) == {0, 8}
    assert dop.CLASSES[8] == "7"


def test_inks_stand_out_from_what_is_below(dop):
    rng = np.random.default_rng(0)
    for level in (0, 90, dop.TOO_LIGHT):
        below = np.full((5, 4, 3), level, np.float32)
        inks = np.stack([dop._ink(below, rng) for _ in range(200)])
        assert (inks @ dop.LUMINANCE - level >= dop.CONTRAST - 0.1).all()
        assert inks.min() >= 0 and inks.max() <= 255.01
        assert np.ptp(inks, axis=1).max() > (255 - level) / 6  # and they are colours


def test_blob_is_bgr_less_the_mean(dop):
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[1, 2] = (200, 100, 50)
    blob = dop.caffe_blob(picture)
    assert blob.shape == (3, 2, 3) and blob.dtype == np.float32 and blob.flags.c_contiguous
    np.testing.assert_allclose(blob[:, 0, 0], -dop.MEAN_BGR)
    np.testing.assert_allclose(blob[:, 1, 2], np.array((50, 100, 200)) - dop.MEAN_BGR, rtol=1e-6)


def test_bad_arguments_are_refused(dop):
    with pytest.raises(ValueError, match="'test' is neither"):
        dop.make_picture("test", HEIGHT, WIDTH, 0, 0)
    with pytest.raises(ValueError, match="90x250"):
        dop.make_picture("train", 90, WIDTH, 0, 0)


def test_the_example_photo_is_what_the_script_writes(dop, tmp_path):
    """The shipped example can be made again, and its labels belong to it."""
    names = ("photo.png", "photo_labels.png")
    subprocess.run([sys.executable, SCRIPT, *(tmp_path / name for name in names)], check=True)
    picture, labels = (np.asarray(Image.open(tmp_path / name)) for name in names)
    shipped, shipped_labels = (np.asarray(Image.open(SCRIPT.parent / name)) for name in names)
    assert picture.shape == shipped.shape == (*labels.shape, 3)
    # Library versions may round a resize or a spline differently at a few pixels.
    assert np.abs(picture.astype(int) - shipped).mean() < 1
    assert (labels == shipped_labels).mean() > 0.999
