"""Arrays, images and messages: pycaffe's ``caffe.io``.

Images are (rows, columns, channels) in RGB and 0 .. 1, as `load_image` reads them; nets take (channels, rows,
columns) in whatever form a `Transformer` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy.caffe.schema import messages
from deconv_legacy.errors import MismatchError, MissingExtraError, SizeError

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
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


def load_image(filename: Any, color: bool = True) -> np.ndarray:
    """An image file as float32 (rows, columns, 3), RGB and 0 .. 1; (rows, columns, 1) where `color` is False."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "reading images") from error
    with Image.open(filename) as image:
        pixels = np.asarray(image.convert("RGB" if color else "F"), np.float32) / 255
    return pixels if color else pixels[..., None]


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """An image (rows, columns, channels) in other sizes, by splines of `interp_order` (1: bilinear).

    Cells are areas: the centre of output cell i lies at ``(i + 1/2) n / o - 1/2``, as skimage has it, which pycaffe
    calls; borders are repeated.
    """
    from scipy import ndimage

    im = np.asarray(im)
    rows, columns = (int(n) for n in new_dims)
    if im.shape[:2] == (rows, columns):
        return im.astype(np.float32)
    zoom = [o / n for o, n in zip((rows, columns), im.shape[:2], strict=True)]
    channels = [
        ndimage.zoom(
            im[..., c].astype(np.float64), zoom, order=interp_order, mode="nearest", grid_mode=True, prefilter=True
        )
        for c in range(im.shape[-1])
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


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
        """What is taken off: a number for each channel, or an image (channels, rows, columns) of the net's size."""
        self._check_input(in_)
        mean = np.asarray(mean)
        if mean.ndim == 1:
            if mean.shape[0] != self.inputs[in_][1]:
                raise MismatchError("Mean channels incompatible with input.")
            mean = mean[:, None, None]
        else:
            shape = mean.shape if mean.ndim == 3 else (1, *mean.shape)
            if len(shape) != 3:
                raise MismatchError("Mean shape invalid")
            if shape != tuple(self.inputs[in_][1:]):
                raise MismatchError(f"Mean shape {shape} incompatible with input shape {tuple(self.inputs[in_])}.")
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is taken off."""
        self._check_input(in_)
        self.input_scale[in_] = scale
