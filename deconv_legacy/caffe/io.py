"""Arrays, images and messages: pycaffe's ``caffe.io``.

Images are (rows, columns, channels) in RGB and 0 .. 1, as `load_image` reads them; nets take (channels, rows,
columns) in whatever form a `Transformer` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy.caffe.proto import caffe_pb2
from deconv_legacy.caffe.schema import messages
from deconv_legacy.errors import FileFormatError, MismatchError, MissingExtraError, SizeError

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]


def blobproto_to_array(blob: Any, return_diff: bool = False) -> np.ndarray:
    """The array of a BlobProto, or that of its diff, in its shape (four axes where it is given the old way).

    >>> blobproto_to_array(array_to_blobproto(np.ones((2, 3)))).shape
    (2, 3)
    """
    data = np.array(blob.diff if return_diff else blob.data)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: Any, diff: Any = None) -> Any:
    """A BlobProto from an array of any shape, and its diff where given."""
    arr = np.asarray(arr)
    blob = messages().BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).flat)
    if diff is not None:
        blob.diff.extend(np.asarray(diff).astype(float).flat)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[Any]) -> bytes:
    """Arrays as the bytes of a BlobProtoVector."""
    vector = messages().BlobProtoVector()
    vector.blobs.extend([array_to_blobproto(arr) for arr in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays back."""
    vector = messages().BlobProtoVector()
    vector.ParseFromString(str)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Any, label: int | None = None) -> Any:
    """A Datum from (channels, rows, columns): bytes from uint8, else floats."""
    arr = np.asarray(arr)
    if arr.ndim != 3:
        raise SizeError(f"an array of {arr.ndim} axes; a datum has 3: channels, rows, columns", where="array_to_datum")
    datum = messages().Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Any) -> np.ndarray:
    """The array of a Datum, (channels, rows, columns)."""
    shape = datum.channels, datum.height, datum.width
    if len(datum.data):
        return np.frombuffer(datum.data, np.uint8).reshape(shape)
    return np.array(datum.float_data).astype(float).reshape(shape)


_LUMA = np.array([0.2125, 0.7154, 0.0721])


def load_image(filename: Any, color: bool = True) -> np.ndarray:
    """An image file as float32 (rows, columns, 3), RGB and 0 .. 1; (rows, columns, 1) where `color` is False.

    As pycaffe reads it: alpha is dropped, grey images get three channels, and colours become grey by
    .2125 R + .7154 G + .0721 B.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "reading images") from error
    try:
        with Image.open(filename) as image:
            if image.mode.startswith("I"):  # 16 bits
                pixels = np.asarray(image, np.float64) / 65535
            elif image.mode in ("1", "L", "LA"):
                pixels = np.asarray(image.convert("L"), np.float64) / 255
            else:
                pixels = np.asarray(image.convert("RGB"), np.float64) / 255
    except UnidentifiedImageError:
        raise FileFormatError("no image that Pillow can read", path=filename) from None
    if pixels.ndim == 3 and not color:
        pixels = pixels @ _LUMA
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3 if color else 1, axis=2)
    return pixels.astype(np.float32)


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """An image (rows, columns, channels) in other sizes, by splines of `interp_order` (1: bilinear).

    As pycaffe has it, which has two ways. Of 1 or 3 channels: cells are areas, the centre of output cell i lies at
    ``(i + 1/2) n / o - 1/2``, and beyond the image is its minimum (skimage's ``resize(mode="constant")`` of that time,
    without smoothing; its cubic is another). Of any other number of channels: the corners stay where they are (SciPy's
    ``zoom``).
    """
    from scipy import ndimage

    im = np.asarray(im)
    rows, columns = (int(n) for n in new_dims)
    if im.ndim != 3 or min(*im.shape, rows, columns) < 1:
        raise SizeError(
            f"an image of shape {im.shape} to {rows} x {columns}: sizes of at least 1", where="resize_image"
        )
    if im.shape[:2] == (rows, columns):
        return im.astype(np.float32)
    zoom = rows / im.shape[0], columns / im.shape[1], 1
    if im.shape[-1] not in (1, 3):
        return ndimage.zoom(im, zoom, order=interp_order).astype(np.float32)
    least = float(im.min())
    above = im.astype(np.float64) - least
    return (ndimage.zoom(above, zoom, order=interp_order, mode="grid-constant", grid_mode=True) + least).astype(
        np.float32
    )


def oversample(images: Sequence[np.ndarray], crop_dims: Sequence[int]) -> np.ndarray:
    """Ten crops of each image (rows, columns, channels): the corners, the centre, and their mirror images."""
    rows, columns = (int(n) for n in crop_dims)
    height, width = images[0].shape[:2]
    starts = [(y, x) for y in (0, height - rows) for x in (0, width - columns)]
    starts.append(((height - rows) // 2, (width - columns) // 2))
    crops = []
    for image in images:
        views = [image[y : y + rows, x : x + columns] for y, x in starts]
        crops += views + [view[:, ::-1] for view in views]
    return np.asarray(crops, np.float32)


class Transformer:
    """From images to a net's input and back: size, axis order, channel order, scale, mean, for each input blob.

    Parameters
    ----------
    inputs
        Input blob -> its shape.

    Examples
    --------
    >>> t = Transformer({"data": (1, 3, 5, 6)})
    >>> t.set_transpose("data", (2, 0, 1))
    >>> t.set_raw_scale("data", 255)
    >>> t.preprocess("data", np.full((5, 6, 3), 0.5)).shape
    (3, 5, 6)
    """

    def __init__(self, inputs: dict[str, Sequence[int]]):
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise MismatchError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")

    def preprocess(self, in_: str, data: Any) -> np.ndarray:
        """Resize, transpose, swap channels, ``* raw_scale``, ``- mean``, ``* input_scale``."""
        self._check_input(in_)
        image = np.asarray(data).astype(np.float32, copy=False)
        sizes = tuple(self.inputs[in_][2:])
        if image.shape[:2] != sizes:
            image = resize_image(image, sizes)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[self.channel_swap[in_], :, :]
        if in_ in self.raw_scale:
            image = image * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            image = image - self.mean[in_]
        if in_ in self.input_scale:
            image = image * np.float32(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: Any) -> np.ndarray:
        """Undo `preprocess`, the resizing apart."""
        self._check_input(in_)
        image = np.array(data, copy=True).squeeze()
        if in_ in self.input_scale:
            image = image / self.input_scale[in_]
        if in_ in self.mean:
            image = image + self.mean[in_]
        if in_ in self.raw_scale:
            image = image / self.raw_scale[in_]
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the axes of an image in the net: (2, 0, 1) puts channels first."""
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise MismatchError("Transpose order needs to have the same number of dimensions as the input.")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels in the net: (2, 1, 0) makes BGR of RGB."""
        self._check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise MismatchError("Channel swap needs to have the same number of dimensions as the input channels.")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is taken off: 255 for images of 0 .. 1."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Any) -> None:
        """What is taken off: a number for each channel, or an image (channels, rows, columns), resized where it is not
        of the net's size."""
        self._check_input(in_)
        mean = np.asarray(mean)
        wanted = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if mean.shape[0] != wanted[0]:
                raise MismatchError("Mean channels incompatible with input.")
            mean = mean[:, None, None]
        else:
            shape = mean.shape if mean.ndim == 3 else (1, *mean.shape)
            if len(shape) != 3 or len(wanted) != 3 or shape[0] not in (1, wanted[0]):
                raise MismatchError(f"Mean shape invalid: {mean.shape} for an input of shape {tuple(self.inputs[in_])}")
            if shape != wanted:
                mean = resize_image(mean.reshape(shape).transpose(1, 2, 0), wanted[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is taken off."""
        self._check_input(in_)
        self.input_scale[in_] = scale
