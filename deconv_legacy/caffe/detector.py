"""`Detector`: a net that names windows of images, as pycaffe's ``caffe.Detector`` (R-CNN)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deconv_legacy.caffe.classifier import ImageNet
from deconv_legacy.caffe.io import load_image, resize_image
from deconv_legacy.errors import MismatchError, SizeError

__all__ = ["Detector"]


class Detector(ImageNet):
    """A net that gives the probabilities of classes for windows of images.

    Parameters
    ----------
    model_file, pretrained_file
        Prototxt and weights.
    mean, input_scale, raw_scale, channel_swap
        See `deconv_legacy.caffe.io.Transformer`.
    context_pad
        Cells on each side of the net's input that show what lies around the window.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: str | os.PathLike[str] | None,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ):
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Iterable[tuple[Any, Sequence[Sequence[int]]]]) -> list[dict[str, Any]]:
        """For each (image file, windows) and each window (top, left, bottom, right): a dict of ``filename``, ``window``
        and ``prediction``, what the net makes of it."""
        pairs = [(filename, list(windows)) for filename, windows in images_windows]
        crops, found = [], []
        for filename, windows in pairs:
            image = load_image(filename)
            crops += [self.crop(image, window) for window in windows]
            found += [{"window": window, "prediction": None, "filename": filename} for window in windows]
        if crops:
            for entry, prediction in zip(found, self._run_on(crops), strict=True):
                entry["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """Refused: the proposals come from a MATLAB program; give `detect_windows` windows of your own."""
        raise MismatchError(
            "detect_selective_search needs selective_search_ijcv_with_python, a MATLAB program; "
            "call detect_windows with windows of your own"
        )

    def crop(self, im: np.ndarray, window: Sequence[int]) -> np.ndarray:
        """A window (top, left, bottom, right) of an image, with what lies around it where ``context_pad`` is set: then
        of the size of the net's input, the mean where there is no image."""
        top, left, bottom, right = (int(n) for n in window)
        if not (0 <= top < bottom <= im.shape[0] and 0 <= left < right <= im.shape[1]):
            raise SizeError(f"window {tuple(window)} of an image of {im.shape[0]} x {im.shape[1]}", where="Detector")
        if not self.context_pad:
            return im[top:bottom, left:right]
        size = self.blobs[self.inputs[0]].width
        # the window grows about its centre, so that at the net's size the border has context_pad cells
        box = np.array([top, left, bottom, right], float)
        half = (box[2:] - box[:2] + 1) / 2
        grown = half * size / (size - 2.0 * self.context_pad)
        centre = box[:2] + half
        low, high = np.round(centre - grown), np.round(centre + grown)
        scale = size / (high - low + 1)
        before = [_round(max(0, -n) * s) for n, s in zip(low, scale, strict=True)]
        low, high = (np.clip(ends, 0, im.shape[:2]) for ends in (low, high))
        sizes = [min(_round(n * s), size - start) for n, s, start in zip(high - low + 1, scale, before, strict=True)]
        inside = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        crop = np.ones(self.crop_dims, np.float32) * np.asarray(self.crop_mean, np.float32)
        place = tuple(slice(start, start + n) for start, n in zip(before, sizes, strict=True))
        crop[place] = resize_image(im[inside], sizes)
        return crop

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the context around windows; the mean, where the transformer has one, fills what lies outside images."""
        name, t = self.inputs[0], self.transformer
        width = self.blobs[name].width
        if context_pad and not 0 < 2 * context_pad < width:
            raise SizeError(f"context_pad {context_pad}: less than half of the net's width {width}", where="Detector")
        back = np.argsort(t.transpose[name])
        self.crop_dims = np.array(self.blobs[name].dims[1:])[back]
        self.context_pad = context_pad
        mean = t.mean.get(name)
        if mean is None:
            self.crop_mean = np.zeros(self.crop_dims, np.float32)
            return
        # the mean as it would be in an image: axes, channels and scale undone
        crop_mean = np.asarray(mean).transpose(back)
        if name in t.channel_swap:
            crop_mean = crop_mean[:, :, np.argsort(t.channel_swap[name])]
        self.crop_mean = crop_mean / t.raw_scale.get(name, 1)


def _round(number: float) -> int:
    """Halves away from zero, as the Python of that time."""
    return math.floor(number + 0.5)
