"""Images and label images of the segmentation data sets: palette and grey images, and .mat files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.errors import FileFormatError, MissingExtraError

__all__ = ["label_image", "mat_variable", "open_image", "read_labels", "sbd_labels", "write_label_image"]


def open_image(path: Path) -> Any:
    """A Pillow image, loaded."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "reading images") from error
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise FileFormatError(f"not an image that can be read: {error}", path=path) from None


def label_image(path: Path) -> np.ndarray:
    """The class numbers (rows, columns), uint8, that a palette or a grey image stores, in however few bits."""
    image = open_image(path)
    if image.mode not in ("P", "L", "1"):
        raise FileFormatError(f"labels are a palette or a grey image; this one is {image.mode}", path=path)
    return np.array(image, np.uint8) // (_grey_step(path) if image.mode == "L" else 1)


def _grey_step(path: Path) -> int:
    """From one class to the next: Pillow stretches the greys of a PNG of 2 or 4 bits to 0 .. 255."""
    with path.open("rb") as file:
        head = file.read(26)
    depth = head[24:25] if head.startswith(b"\x89PNG") else b""
    return {b"\2": 85, b"\4": 17}.get(depth, 1)


def write_label_image(path: Path, labels: np.ndarray, palette: np.ndarray | None = None) -> None:
    """A palette PNG whose pixel values are the class numbers `labels`, (rows, columns).

    `palette` is (256, 3), uint8; by default greys 0 .. 255, as Pillow gave where there was none. Today's Pillow writes
    such an image with two colours, and all classes above 0 become 1.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "caffe", "writing label images") from error
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette((np.arange(256, dtype=np.uint8).repeat(3) if palette is None else palette).tobytes())
    image.save(path, format="PNG")


def mat_variable(path: Path, name: str) -> np.ndarray:
    """A variable of a .mat file."""
    import scipy.io

    try:
        found = scipy.io.loadmat(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # scipy has several of its own
        raise FileFormatError(f"not a .mat file that can be read: {error}", path=path) from None
    if name not in found:
        raise FileFormatError(f"no variable {name}; there are {', '.join(sorted(found))}", path=path)
    return found[name]


def sbd_labels(path: Path) -> np.ndarray:
    """The class numbers (rows, columns), uint8, of a file of SBD's folder cls: GTcls.Segmentation."""
    found = mat_variable(path, "GTcls")
    try:
        return found[0]["Segmentation"][0].astype(np.uint8)
    except (IndexError, KeyError, ValueError):
        raise FileFormatError("GTcls holds no Segmentation", path=path) from None


def read_labels(path: Path) -> np.ndarray:
    """The class numbers (rows, columns), uint8, of an image, or of a .mat file of SBD.

    Raises
    ------
    FileFormatError
        The file is damaged, or an image of another kind, such as one of colours.
    """
    return sbd_labels(path) if path.suffix == ".mat" else label_image(path)
