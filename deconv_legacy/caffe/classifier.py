"""`Classifier`: a net that names whole images, as pycaffe's ``caffe.Classifier``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deconv_legacy.caffe.io import Transformer, oversample, resize_image
from deconv_legacy.caffe.net import Net
from deconv_legacy.errors import SizeError

__all__ = ["Classifier", "ImageNet"]


class ImageNet(Net):
    """A net in the TEST phase whose first input is an image: what `Classifier` and ``Detector`` share.

    ``transformer`` brings images (rows, columns, channels) to that input.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: str | os.PathLike[str] | None,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ):
        super().__init__(model_file, 1, weights=pretrained_file)
        name = self.inputs[0] if self.inputs else ""
        if not name or self.blobs[name].num_axes != 4:
            raise SizeError("the net's first input must be images of (N, channels, rows, columns)", where=self.name)
        self.transformer = Transformer({name: self.blobs[name].dims})
        self.transformer.set_transpose(name, (2, 0, 1))
        settings: dict[Any, Any] = {
            self.transformer.set_mean: mean,
            self.transformer.set_input_scale: input_scale,
            self.transformer.set_raw_scale: raw_scale,
            self.transformer.set_channel_swap: channel_swap,
        }
        for setter, value in settings.items():
            if value is not None:
                setter(name, value)

    def _run_on(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """The net's first output for images (rows, columns, channels), a row for each."""
        name = self.inputs[0]
        made = [self.transformer.preprocess(name, image) for image in images]
        batch: dict[str, Any] = {name: np.asarray(made, np.float32)}
        return self.forward_all(**batch)[self.outputs[0]]


class Classifier(ImageNet):
    """A net that gives the probabilities of classes for whole images.

    Parameters
    ----------
    model_file, pretrained_file
        Prototxt and weights.
    image_dims
        (rows, columns) that every image is brought to before it is cut to the net's input; by default the size of
        the input, so that nothing is cut.
    mean, input_scale, raw_scale, channel_swap
        See `deconv_legacy.caffe.io.Transformer`.

    Examples
    --------
    >>> from deconv_legacy.caffe import parse_net
    >>> net = Classifier(parse_net('''
    ...     layer { name: "in" type: "Input" top: "data" input_param { shape { dim: [10, 3, 4, 4] } } }
    ...     layer { name: "all" type: "Pooling" bottom: "data" top: "all"
    ...             pooling_param { pool: AVE global_pooling: true } }'''), None, image_dims=(6, 8))
    >>> net.predict([np.ones((9, 12, 3), np.float32)]).shape
    (1, 3)
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: str | os.PathLike[str] | None,
        image_dims: Sequence[int] | None = None,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ):
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].dims[2:])
        self.image_dims = tuple(self.crop_dims) if image_dims is None else tuple(int(n) for n in image_dims)
        if len(self.image_dims) != 2 or any(self.image_dims < self.crop_dims):
            raise SizeError(
                f"image_dims {self.image_dims}: two sizes, at least the net's {tuple(self.crop_dims)}", where=self.name
            )

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Probabilities, (images, classes), of images (rows, columns, channels), as ``caffe.io.load_image`` gives them.

        With `oversample` the mean over ten crops of each: corners, centre and their mirror images; else the centre.
        """
        images = [resize_image(image, self.image_dims) for image in inputs]
        if not oversample:
            (y, x), (rows, columns) = np.subtract(self.image_dims, self.crop_dims) // 2, self.crop_dims
            return self._run_on([image[y : y + rows, x : x + columns] for image in images])
        found = self._run_on(_ten_crops(images, tuple(self.crop_dims)))
        return found.reshape(len(images), 10, -1).mean(1)


_ten_crops = oversample  # `predict` has an argument of this name
