"""What Caffe does to images before a net sees them: ``transform_param``, and OpenCV's reading and resizing.

Order: crop, then minus the mean, then times the scale, mirrored. Crops are random in the TRAIN phase and central in the
TEST phase, where an odd rest goes behind; mirroring is random in both.

Source: ``src/caffe/data_transformer.cpp`` and ``util/io.cpp`` of BVLC/caffe.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from deconv_legacy.caffe.caffemodel import read_mean
from deconv_legacy.errors import FileFormatError, MismatchError, MissingExtraError, SizeError

__all__ = ["DataTransformer", "read_image", "resize_pixels"]

TRAIN = 0


class DataTransformer:
    """A layer's ``transform_param``.

    Parameters
    ----------
    spec
        The LayerParameter, for its ``transform_param`` and ``phase``.
    rng
        For random crops and mirroring.

    Examples
    --------
    >>> from deconv_legacy.caffe import parse_net
    >>> layer = parse_net('''layer { name: "in" phase: TEST
    ...     transform_param { mean_value: 1 scale: 0.5 crop_size: 2 } }''').layer[0]
    >>> image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    >>> DataTransformer(layer, np.random.default_rng(0))(image)[0]
    array([[0. , 0.5],
           [2. , 2.5]], dtype=float32)
    """

    def __init__(self, spec: Any, rng: np.random.Generator):
        self.param, self.where = spec.transform_param, f"{spec.name} ({spec.type})"
        self.train, self.rng = spec.phase == TRAIN, rng
        param = self.param
        self.mean: np.ndarray | None = None
        if param.mean_file:
            if param.mean_value:
                raise MismatchError(f"layer {self.where}: cannot specify mean_file and mean_value at the same time")
            self.mean = read_mean(param.mean_file)
            self.mean = self.mean[0] if self.mean.ndim == 4 else self.mean
        elif param.mean_value:
            self.mean = np.array(param.mean_value, np.float32)[:, None, None]

    def shape(self, image: np.ndarray) -> tuple[int, int, int]:
        """(channels, rows, columns) of what comes of an image (rows, columns, channels)."""
        rows, columns, channels = image.shape
        crop = self.param.crop_size
        if crop > min(rows, columns):
            raise SizeError(f"crop_size {crop} of an image of {rows} x {columns}", where=self.where)
        return (channels, crop, crop) if crop else (channels, rows, columns)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """float32 (channels, rows, columns) from an image (rows, columns, channels)."""
        _, rows, columns = self.shape(image)
        mean = self._mean_for(image)
        top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
        mirror = self.param.mirror and bool(self.rng.integers(2))
        if self.param.crop_size and self.train:
            top = int(self.rng.integers(image.shape[0] - rows + 1))
            left = int(self.rng.integers(image.shape[1] - columns + 1))
        window = slice(top, top + rows), slice(left, left + columns)
        made = image[window].transpose(2, 0, 1).astype(np.float32)
        if mean is not None:
            made -= mean[:, window[0], window[1]] if mean.shape[1:] == image.shape[:2] else mean
        made *= np.float32(self.param.scale)
        return made[:, :, ::-1] if mirror else made

    def _mean_for(self, image: np.ndarray) -> np.ndarray | None:
        mean, channels = self.mean, image.shape[2]
        if mean is None:
            return None
        if self.param.mean_file and mean.shape != (channels, *image.shape[:2]):
            raise SizeError(
                f"the mean in {self.param.mean_file} has shape {mean.shape}, the image {(channels, *image.shape[:2])}",
                where=self.where,
            )
        if len(mean) not in (1, channels):
            raise SizeError(
                f"specify either 1 mean_value or as many as channels: {len(mean)} for {channels}", where=self.where
            )
        return mean


def read_image(path: str | os.PathLike[str], color: bool = True, rows: int = 0, columns: int = 0) -> np.ndarray:
    """An image file as OpenCV 2.4 reads it for Caffe: uint8, (rows, columns, 3) in BGR, or (rows, columns, 1).

    Alpha is dropped, 16 bits keep their high byte; `rows` and `columns` resize it (see `resize_pixels`).
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "reading images") from error
    try:
        with Image.open(path) as file:
            if file.mode.startswith("I"):
                values = (np.asarray(file) >> 8).astype(np.uint8)
                pixels = np.repeat(values[..., None], 3 if color else 1, axis=2)
            elif color:
                pixels = np.asarray(file.convert("RGB"))[..., ::-1]
            else:
                pixels = np.asarray(file.convert("L"))[..., None]
    except UnidentifiedImageError:
        raise FileFormatError("no image that Pillow can read", path=path) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileFormatError(f"the image cannot be read: {error}", path=path) from None
    return resize_pixels(pixels, rows, columns) if rows and columns else pixels


def resize_pixels(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A uint8 image (rows, columns, channels) in another size, bit for bit as OpenCV's ``resize`` does it: bilinear,
    cells are areas, weights of 11 bits; half the size is the mean of four.

    >>> resize_pixels(np.array([[[0], [200]]], np.uint8), 1, 4)[0, :, 0].tolist()
    [0, 50, 150, 200]
    """
    if image.shape[:2] == (rows, columns):
        return image
    if image.shape[:2] == (2 * rows, 2 * columns):
        total = image.astype(np.int32).reshape(rows, 2, columns, 2, -1).sum(axis=(1, 3))
        return ((total + 2) >> 2).astype(np.uint8)
    (top, bottom, down), (left, right, across) = (
        _taps(n, o) for n, o in zip(image.shape[:2], (rows, columns), strict=True)
    )
    wide = image.astype(np.int64)
    wide = wide[:, left] * across[0][:, None] + wide[:, right] * across[1][:, None]
    upper, lower = (
        (wide[at] >> 4) * weight[:, None, None] >> 16 for at, weight in zip((top, bottom), down, strict=True)
    )
    return np.clip((upper + lower + 2) >> 2, 0, 255).astype(np.uint8)


def _taps(n: int, o: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """For each of `o` cells the two cells of `n` that it lies between, and their weights in 1/2048."""
    place = ((np.arange(o) + 0.5) * (n / o) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    rest = place - first.astype(np.float32)
    weights = np.rint(np.stack([1 - rest, rest]) * np.float32(2048)).astype(np.int64)
    return first.clip(0, n - 1), (first + 1).clip(0, n - 1), (weights[0], weights[1])
