"""Photos in, overlays out; palettes."""

from __future__ import annotations

import functools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.errors import FileFormatError, MissingExtraError

__all__ = ["VOC_CLASSES", "blob_of", "overlay", "read_palette", "read_photo", "voc_palette", "write_picture"]

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@functools.cache
def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "reading and writing images") from error
    return Image


def read_photo(path: str | Path) -> np.ndarray:
    """The picture in a file as a viewer turns it: RGB, uint8, ``(rows, columns, 3)``.

    The orientation of EXIF is applied; grey, bilevel, palette, CMYK and other images become RGB as Pillow converts
    them; 16-bit images keep their high byte; alpha is dropped, as ``caffe.io.load_image`` drops it; of several frames
    the first is taken.

    Raises
    ------
    FileFormatError
        The file is no image, is cut short or damaged, or has pixels without a defined black and white (float,
        32-bit).
    """
    image_module = _pillow()
    from PIL import ImageOps

    # what Pillow's decoders raise on damage; a missing file keeps Python's own error
    damage = (SyntaxError, ValueError, EOFError, struct.error, zlib.error, image_module.DecompressionBombError)
    try:
        with image_module.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except image_module.UnidentifiedImageError:
        raise FileFormatError("this is not a photo: no image format is recognised", path=path) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileFormatError(f"the photo cannot be read: {error}", path=path) from None
    except damage as error:
        raise FileFormatError(f"the photo cannot be read: {error}", path=path) from None
    if picture.mode[0] in "IF":  # grey of more than 8 bits
        values = np.asarray(picture)
        if picture.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
            raise FileFormatError(
                "its numbers are neither 8 nor 16 bits, so that none of them is white; convert it first",
                path=path,
            )
        return np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(picture.convert("RGB"))


def blob_of(photo: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A photo ``(rows, columns, 3)`` in RGB as the nets take it: ``(1, 3, rows, columns)``, BGR, less the mean."""
    pixels = photo[:, :, ::-1].astype(np.float32)
    pixels -= mean
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def voc_palette() -> np.ndarray:
    """The colours of PASCAL VOC's label images, ``(256, 3)`` uint8: bit by bit, the class spread over R, G, B.

    >>> voc_palette()[:4].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    """
    classes = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((classes >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def read_palette(path: str | Path) -> np.ndarray:
    """The palette of a palette image, ``(256, 3)`` uint8, black where it has fewer colours."""
    image_module = _pillow()
    try:
        with image_module.open(path) as file:
            colours = file.getpalette() if file.mode == "P" else None
    except image_module.UnidentifiedImageError:
        colours = None
    if colours is None:
        raise FileFormatError("a palette is 'voc' or a palette image, which this is not", path=path)
    return complete_palette(np.array(colours).reshape(-1, 3))


def complete_palette(colours: Any) -> np.ndarray:
    """`colours` and black ones behind, ``(256, 3)`` uint8."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours
    return palette


def overlay(photo: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The photo with each pixel of a class above 0 mixed half and half with the colour of its class.

    Labels of another size than the photo are enlarged to it.
    """
    rows, columns = photo.shape[:2]
    if labels.shape != (rows, columns):
        image_module = _pillow()
        resized = image_module.fromarray(labels).resize((columns, rows), image_module.Resampling.NEAREST)
        labels = np.asarray(resized)
    mixed = ((photo.astype(np.uint16) + palette[labels] + 1) // 2).astype(np.uint8)
    return np.where((labels > 0)[:, :, None], mixed, photo)


def write_picture(path: Path, picture: np.ndarray) -> None:
    _pillow().fromarray(picture).save(path, format="PNG")
