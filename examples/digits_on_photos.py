"""Handwritten digits pasted over real photographs, with a class for every pixel.

Both sources are real data that come inside wheels, so nothing is downloaded: the 1797 handwritten digits
of scikit-learn (8x8 scans of the UCI optical recognition set) and the photographs bundled with
scikit-learn and scikit-image. A picture is a random window of a photograph on which digits of many sizes
are drawn in inks that stand out from what is below them.

Classes: 0 is the photograph, ``1 + d`` is the ink of digit ``d``; 11 in all.

The split is strict on both sides: `HELD_OUT_PHOTOS` and the last fifth of the scans (which follow the
others by writer) never occur in the "train" split, and the "held-out" split has no others.

    python examples/digits_on_photos.py photo.png photo_labels.png     # one held-out picture

needs scikit-learn, scikit-image and Pillow.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = [
    "CLASSES",
    "HELD_OUT_PHOTOS",
    "MEAN_BGR",
    "TRAIN_PHOTOS",
    "caffe_blob",
    "make_picture",
    "photograph",
    "scans",
]

CLASSES = ("background", *"0123456789")
# FCN's mean, so that the net takes its input as every FCN prototxt's user prepares it.
MEAN_BGR = np.array((104.00698793, 116.66876762, 122.67891434), np.float32)

TRAIN_PHOTOS = (
    "china", "flower", "astronaut", "brick", "camera", "clock", "coins", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "moon", "motorcycle", "retina",
)  # fmt: skip
# All three are CC0 or in the public domain, so pictures made from them may be shipped.
HELD_OUT_PHOTOS = ("chelsea", "coffee", "rocket")
FIRST_HELD_OUT_SCAN = 1437

SMALLEST, LARGEST = 56, 144  # side of a digit's scan in the picture, pixels
CANVAS = 1.4  # side of the square in which it is turned and slanted, as a multiple of the scan's
INK_LEVEL = 0.4  # share of a scan's cell that is black, above which a point counts as ink
LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)
CONTRAST = 90  # how much lighter, of 255, the ink is than the photograph below it is on average
TOO_LIGHT = 150  # where the photograph is lighter on average, no digit is drawn
_SPLITS = ("train", "held-out")


def _split_number(split: str) -> int:
    if split not in _SPLITS:
        raise ValueError(f"split {split!r} is neither 'train' nor 'held-out'")
    return _SPLITS.index(split)


@functools.cache
def photograph(name: str) -> NDArray[np.uint8]:
    """A bundled photograph by its name in `TRAIN_PHOTOS` or `HELD_OUT_PHOTOS`, RGB `(height, width, 3)`."""
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        photo = load_sample_image(f"{name}.jpg")
    else:
        import skimage.data

        photo = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
    return photo if photo.ndim == 3 else np.repeat(photo[:, :, None], 3, axis=2)


@functools.cache
def scans(split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The digits of a split: scans `(count, 8, 8)`, 0 paper to 1 ink, and which digit each one is."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    part = slice(FIRST_HELD_OUT_SCAN, None) if _split_number(split) else slice(FIRST_HELD_OUT_SCAN)
    return (digits.images[part] / 16).astype(np.float32), digits.target[part]


def _background(split: str, height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    names = HELD_OUT_PHOTOS if _split_number(split) else TRAIN_PHOTOS
    photo = photograph(names[rng.integers(len(names))])
    # The zoom at which the window just fits bounds the zoom from below.
    fits = max(height / photo.shape[0], width / photo.shape[1])
    zoom = max(fits, np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
    rows, columns = height / zoom, width / zoom
    top = rng.uniform(0, photo.shape[0] - rows)
    left = rng.uniform(0, photo.shape[1] - columns)
    window = Image.fromarray(photo).resize(
        (width, height), Image.Resampling.BILINEAR, box=(left, top, left + columns, top + rows)
    )
    picture = np.asarray(window, np.float32)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if split == "train":
        picture = _recoloured(picture, rng)
    return np.clip((picture - 128) * rng.uniform(0.7, 1.2) + 128 + rng.uniform(-25, 25), 0, 255)


def _recoloured(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The photograph in other colours, sometimes as a negative or upside down.

    Fourteen photographs show too few colours: a net that never saw a blue sky takes it for blue ink.
    """
    if rng.random() < 0.3:
        picture = 255 - picture
    if rng.random() < 0.3:
        picture = picture[::-1]
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + rng.uniform(0, 1.5) * (picture[:, :, rng.permutation(3)] - grey)
    return picture * rng.uniform(0.4, 1.1, 3).astype(np.float32) + rng.uniform(-40, 40, 3).astype(np.float32)


def _drawn(scan: NDArray[np.float32], size: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """The scan at `size` pixels, turned, slanted, stretched a little and trimmed; ink where > INK_LEVEL."""
    turn, slant = rng.uniform(-0.1, 0.1), rng.uniform(-0.12, 0.12)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    cosine, sine = np.cos(turn), np.sin(turn)
    shape = np.array(((cosine, -sine), (sine, cosine))) @ np.array(((1, 0), (slant, 1)))
    shape = shape @ np.diag((1 / stretch, stretch)) * (8 / size)
    # A cell of paper all round lets strokes at the scan's edge end smoothly; the canvas has room for the turn.
    canvas = int(CANVAS * size)
    centre = np.full(2, 4.5) - shape @ np.full(2, (canvas - 1) / 2)
    level = ndimage.affine_transform(np.pad(scan, 1), shape, centre, output_shape=(canvas, canvas), order=3)
    ink = level > INK_LEVEL
    return level[np.ix_(_extent(ink.any(axis=1)), _extent(ink.any(axis=0)))]


def _extent(ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The positions from the first to the last with ink, and three more on each side, for the stroke's edge."""
    first, *_, last = np.flatnonzero(ink)
    return np.arange(max(0, first - 3), min(len(ink), last + 4))


def _ink(below: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A colour of paint that is lighter than the mean of `below` by CONTRAST at least."""
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    light = rng.uniform(below.reshape(-1, 3).mean(axis=0) @ LUMINANCE + CONTRAST, 255)
    # White is added until the colour is as light as that.
    return colour + max(0, (light - colour @ LUMINANCE) / (255 - colour @ LUMINANCE)) * (255 - colour)


def make_picture(
    split: str, height: int, width: int, seed: int, index: int, clutter: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture number `index` of a split, a function of the arguments alone.

    Args:
        split: "train" or "held-out".
        height, width: size in pixels, each at least `CANVAS * LARGEST`.
        seed, index: two non-negative numbers; every pair gives another picture.
        clutter: contrast of the photograph, from 0 (its mean colour alone) to 1; training begins with little.

    Returns:
        the RGB picture `(height, width, 3)` and its labels `(height, width)`, values 0 to 10.

    Raises:
        ValueError: for another split, or a size in which the largest digit may not fit.
    """
    if min(height, width) < CANVAS * LARGEST:
        raise ValueError(
            f"a picture of {height}x{width} may not hold a digit; {CANVAS * LARGEST:.0f}x{CANVAS * LARGEST:.0f} does"
        )
    rng = np.random.default_rng((seed, _split_number(split), index))
    picture = _background(split, height, width, rng)
    plain = picture.mean(axis=(0, 1))
    picture = plain + np.float32(clutter) * (picture - plain)
    labels = np.zeros((height, width), np.uint8)
    taken = np.zeros((height, width), bool)
    images, targets = scans(split)
    attempts = rng.integers(1, 3) * height * width // 4000
    # The largest first, while there is room for them.
    for size in sorted(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), attempts)))[::-1]:
        row, column = rng.integers(height), rng.integers(width)
        if taken[row, column]:
            continue  # most of those without room are told here, before the work of drawing
        which = rng.integers(len(images))
        level = _drawn(images[which], size, rng)
        rows, columns = level.shape
        top = min(max(0, row - rows // 2), height - rows)
        left = min(max(0, column - columns // 2), width - columns)
        box = np.s_[top : top + rows, left : left + columns]
        if taken[box].any():
            continue
        if picture[box].reshape(-1, 3).mean(axis=0) @ LUMINANCE > TOO_LIGHT:
            continue
        taken[box] = True
        # A cell of the scan is size / 8 pixels wide; this slope makes the stroke's edge about 2 pixels wide.
        cover = np.clip((level - INK_LEVEL) * (size / 16) + 0.5, 0, 1)[:, :, None] * rng.uniform(0.85, 1)
        picture[box] += cover * (_ink(picture[box], rng) - picture[box])
        labels[box][level > INK_LEVEL] = 1 + targets[which]
    picture += rng.uniform(0, 6) * rng.standard_normal((height, width, 1), np.float32)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), labels


def caffe_blob(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB `(height, width, 3)` of 0 to 255 as Caffe's FCN takes it: BGR less `MEAN_BGR`, `(3, height, width)`."""
    return np.ascontiguousarray((picture[:, :, ::-1] - MEAN_BGR).transpose(2, 0, 1), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write one held-out picture and its labels.")
    parser.add_argument("picture", help="PNG to write: the picture")
    parser.add_argument("labels", help="PNG to write: its classes, 0 to 10, as grey levels")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--size", type=int, nargs=2, default=(300, 400), metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args()
    picture, labels = make_picture("held-out", *arguments.size, arguments.seed, arguments.index)
    Image.fromarray(picture).save(arguments.picture)
    Image.fromarray(labels).save(arguments.labels)


if __name__ == "__main__":
    main()
