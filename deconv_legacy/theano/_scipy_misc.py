"""The image functions of ``scipy.misc`` that SciPy 1.2 and 1.3 dropped, over Pillow, and the names that moved.

Arrays that are not of bytes are spread over 0 to 255 by their least and largest value, as they were there: a saved or
resized image of floats is no image of its values.

>>> bytescale(np.array([[-1.0, 0.0], [1.0, 3.0]]))
array([[  0,  64],
       [128, 255]], dtype=uint8)
>>> imresize(np.zeros((4, 6), "uint8"), 0.5).shape, imresize(np.zeros((4, 6, 3), "uint8"), (7, 5)).shape
((2, 3), (7, 5, 3))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special

from deconv_legacy.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["NAMES", "bytescale", "fromimage", "imread", "imresize", "imrotate", "imsave", "toimage"]

# Pillow's numbers
_INTERPOLATIONS: dict[str, Any] = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "cubic": 3}
_COLOURS = {3: ("RGB", "YCbCr"), 4: ("RGBA", "CMYK")}


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "caffe", "each image function of scipy.misc") from None
    return Image


def bytescale(
    data: Any, cmin: float | None = None, cmax: float | None = None, high: int = 255, low: int = 0
) -> np.ndarray:
    """Bytes as they are; else `cmin` to `cmax`, by default the least and the largest value, as `low` to `high`."""
    data = np.asarray(data)
    if data.dtype == np.uint8:
        return data
    if not 0 <= low <= high <= 255:
        raise ValueError(f"low={low}, high={high}: legal is 0 <= low <= high <= 255")
    cmin = data.min() if cmin is None else cmin
    cmax = data.max() if cmax is None else cmax
    if cmax < cmin:
        raise ValueError(f"cmax={cmax} is below cmin={cmin}")
    spread = (data - cmin) * (float(high - low) / ((cmax - cmin) or 1)) + low
    return np.asarray(spread.clip(low, high) + 0.5).astype(np.uint8)


def toimage(
    arr: Any,
    high: int = 255,
    low: int = 0,
    cmin: float | None = None,
    cmax: float | None = None,
    pal: Any = None,
    mode: str | None = None,
    channel_axis: int | None = None,
) -> Image.Image:
    """A Pillow image of two axes, or of three of which one (by default the first that fits) has 3 or 4 channels."""
    pillow = _pillow()
    data = np.asarray(arr)
    if np.iscomplexobj(data):
        raise ValueError("an array of complex numbers is no image")
    if data.ndim == 3 and {3, 4} & set(data.shape):
        channels = 3 if 3 in data.shape else 4
        axis = data.shape.index(channels) if channel_axis is None else channel_axis
        if data.shape[axis] not in _COLOURS:
            raise ValueError(f"axis {axis} of an image {data.shape} has {data.shape[axis]} channels; legal: 3, 4")
        legal = _COLOURS[data.shape[axis]]
        if mode is not None and mode not in legal:
            raise ValueError(f"mode {mode!r} of an image with {data.shape[axis]} channels; legal: {', '.join(legal)}")
        pixels = np.ascontiguousarray(np.moveaxis(bytescale(data, cmin, cmax, high, low), axis, 2))
        return pillow.frombytes(mode or legal[0], pixels.shape[1::-1], pixels.tobytes())
    if data.ndim != 2:
        raise ValueError(
            f"an array {data.shape} is no image; legal: two axes, or three, one of them of 3 or 4 channels"
        )
    size = data.shape[::-1]
    if mode in (None, "L", "P"):
        image = pillow.frombytes("L", size, bytescale(data, cmin, cmax, high, low).tobytes())
        if pal is not None or mode == "P":
            greys = np.repeat(np.arange(256), 3)
            image.putpalette(np.asarray(greys if pal is None else pal, np.uint8).tobytes())
        return image
    if mode == "F":
        return pillow.fromarray(data.astype(np.float32))
    if mode == "I":
        cmin = data.min() if cmin is None else cmin
        cmax = data.max() if cmax is None else cmax
        return pillow.fromarray(((data * 1.0 - cmin) * (high - low) / (cmax - cmin) + low).astype(np.int32))
    raise ValueError(f"mode {mode!r} of an image with two axes; legal: L, P, F, I")


def fromimage(im: Image.Image, flatten: bool = False, mode: str | None = None) -> np.ndarray:
    """The array of a Pillow image; a palette's colours, not its indices. `flatten` gives grey floats."""
    if mode is not None:
        im = im if mode == im.mode else im.convert(mode)
    elif im.mode == "P":
        im = im.convert("RGBA" if "transparency" in im.info else "RGB")
    if flatten:
        im = im.convert("F")
    elif im.mode == "1":
        im = im.convert("L")
    return np.array(im)


def imread(name: Any, flatten: bool = False, mode: str | None = None) -> np.ndarray:
    """The array of an image file."""
    with _pillow().open(name) as image:
        return fromimage(image, flatten, mode)


def imsave(name: Any, arr: Any, format: str | None = None) -> None:
    """Writes an array as an image file; a channel axis is the last."""
    toimage(arr, channel_axis=2).save(name, *([] if format is None else [format]))


def imresize(arr: Any, size: Any, interp: str = "bilinear", mode: str | None = None) -> np.ndarray:
    """`size` is a percentage (an integer), a fraction (a float), or (rows, columns)."""
    image = toimage(arr, mode=mode)
    if isinstance(size, (int, np.integer)):
        size = size / 100.0
    if isinstance(size, (float, np.floating)):
        columns, rows = (int(n * size) for n in image.size)
    else:
        rows, columns = size
    return fromimage(image.resize((columns, rows), resample=_INTERPOLATIONS[interp]))


def imrotate(arr: Any, angle: float, interp: str = "bilinear") -> np.ndarray:
    """Turned by `angle` degrees, against the clock; the shape stays."""
    return fromimage(toimage(arr).rotate(angle, resample=_INTERPOLATIONS[interp]))


NAMES: dict[str, Any] = {
    **{f.__name__: f for f in (bytescale, fromimage, imread, imresize, imrotate, imsave, toimage)},
    **{name: getattr(scipy.special, name) for name in ("comb", "factorial", "factorial2", "factorialk", "logsumexp")},
}
"""Names of ``scipy.misc``, and what they were."""
