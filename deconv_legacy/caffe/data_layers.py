"""Data layers of the FCN repository: PASCAL VOC, SBDD, NYUDv2, SIFT Flow and PASCAL-Context, one picture at a time.

A layer of type "Python" names its class; modules ``voc_layers``, ``nyud_layers``, ``siftflow_layers`` and
``pascalcontext_layers``, which the repository's prototxts name, are these where no such file lies on ``sys.path``::

    layer { name: "data" type: "Python" top: "data" top: "label"
            python_param { module: "voc_layers" layer: "VOCSegDataLayer"
                           param_str: "{'voc_dir': 'VOC2011', 'split': 'train', 'mean': (104, 117, 123)}" } }

``param_str`` is a dict in Python's writing. All classes know

``split``
    the name of the list of pictures. Lists without "train" in their name are read in order, over and over.
``randomize``, ``seed``
    for the others: whether they are drawn at random (default True), and from which seed (default: another each time).
    A seed draws what it drew under Python 2.

and the folders of their data set. Images come as float32 (1, channels, rows, columns), BGR, minus a mean; labels as
(1, 1, rows, columns), 255 where they do not count. Source: ``*_layers.py`` of the FCN repository.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deconv_legacy.caffe._label_files import label_image, mat_variable, open_image, sbd_labels
from deconv_legacy.caffe.layer import Layer
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError

__all__ = [
    "NYUDSegDataLayer",
    "PASCALContextSegDataLayer",
    "SBDDSegDataLayer",
    "SIFTFlowSegDataLayer",
    "SegDataLayer",
    "VOCSegDataLayer",
    "param_dict",
]


def param_dict(text: str) -> dict[str, Any]:
    """The dict of a ``param_str``, as ``{...}`` or ``dict(...)`` of plain values.

    >>> param_dict("dict(split='val', mean=(1, 2, 3))")
    {'split': 'val', 'mean': (1, 2, 3)}
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
            return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        value = ast.literal_eval(node)
    except (SyntaxError, ValueError) as error:
        raise MismatchError(f"param_str {text!r} is no dict of plain values: {error}") from None
    if not isinstance(value, dict):
        raise MismatchError(f"param_str {text!r} is no dict")
    return value


class SegDataLayer(Layer):
    """Base of the layers: which picture is next; a class says where pictures lie and how they are read."""

    folders: ClassVar[tuple[str, ...]]
    """The keys of ``param_str`` that name folders."""
    splits: ClassVar[str]
    """Where the list of a split lies, from the folders and the split."""
    top_names: Sequence[str] = ("data", "label")
    positions = ("idx",)
    """Attributes that a solver's snapshot keeps."""

    def setup(self, bottom, top):
        params = param_dict(self.param_str)
        missing = [key for key in (*self.folders, "split") if key not in params]
        if missing:
            raise MismatchError(f"{self.where}: param_str lacks {', '.join(missing)}; it has {', '.join(params)}")
        self.split = params["split"]
        self.random, self.seed = params.get("randomize", True), params.get("seed")
        self.places = {key: params[key] for key in self.folders}
        self.configure(params)
        if len(top) != len(self.top_names):
            raise MismatchError(f"{self.where}: {len(top)} tops; needed are {', '.join(self.top_names)}")
        if len(bottom):
            raise MismatchError(f"{self.where}: a data layer has no bottom")
        path = self.place(self.splits)
        self.indices = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        if not self.indices:
            raise FileFormatError("the list names no picture", path=path)
        self.idx = 0
        # evaluation is deterministic
        self.random = self.random and "train" in self.split
        self.rng = random.Random(self.seed)
        if self.random:
            self._draw()

    @property
    def where(self) -> str:
        name = self.layer_param.name if self.layer_param is not None else ""
        return f"layer {name!r} ({type(self).__name__})"

    def configure(self, params: dict[str, Any]) -> None:
        """Read what else is in ``param_str``."""

    def place(self, pattern: str, index: str = "") -> Path:
        """A path of the data set."""
        return Path(pattern.format(**self.places, split=self.split, index=index))

    def load(self, name: str, index: str) -> np.ndarray:
        """The (channels, rows, columns) of a top."""
        raise NotImplementedError(f"{type(self).__name__} says of no top how it is loaded")

    def reshape(self, bottom, top):
        index = self.indices[self.idx]
        self.data = {name: self.load(name, index) for name in self.top_names}
        sizes = {array.shape[1:] for array in self.data.values()}
        if len(sizes) > 1:
            found = ", ".join(f"{name} {array.shape[1:]}" for name, array in self.data.items())
            raise SizeError(f"picture {index!r}: sizes differ: {found}", where=self.where)
        for blob, name in zip(top, self.top_names, strict=True):
            blob.reshape(1, *self.data[name].shape)

    def forward(self, bottom, top):
        for blob, name in zip(top, self.top_names, strict=True):
            blob.data[...] = self.data[name]
        if self.random:
            self._draw()
        else:
            self.idx = (self.idx + 1) % len(self.indices)

    def backward(self, top, propagate_down, bottom):
        pass

    def _draw(self) -> None:
        # as random.randint of Python 2 makes it of random.random()
        self.idx = int(self.rng.random() * len(self.indices))


class VOCSegDataLayer(SegDataLayer):
    """PASCAL VOC, tops data and label. ``voc_dir`` holds JPEGImages, SegmentationClass (palette PNGs) and
    ImageSets/Segmentation; ``mean`` is BGR."""

    folders = ("voc_dir",)
    splits = "{voc_dir}/ImageSets/Segmentation/{split}.txt"

    def configure(self, params):
        if "mean" not in params:
            raise MismatchError(f"{self.where}: param_str lacks mean")
        self.mean = np.array(params["mean"])

    def load(self, name, index):
        if name == "data":
            return _image(self.place("{voc_dir}/JPEGImages/{index}.jpg", index), self.mean)
        return label_image(self.place("{voc_dir}/SegmentationClass/{index}.png", index))[np.newaxis]


class SBDDSegDataLayer(VOCSegDataLayer):
    """SBDD, the semantic boundaries data set, tops data and label. ``sbdd_dir`` holds img, cls (.mat) and the lists;
    ``mean`` is BGR."""

    folders = ("sbdd_dir",)
    splits = "{sbdd_dir}/{split}.txt"

    def load(self, name, index):
        if name == "data":
            return _image(self.place("{sbdd_dir}/img/{index}.jpg", index), self.mean)
        return sbd_labels(self.place("{sbdd_dir}/cls/{index}.mat", index))[np.newaxis]


class NYUDSegDataLayer(SegDataLayer):
    """NYUDv2, tops as ``tops`` lists them: color (BGR), depth (its logarithm), hha, label (40 classes, 0 .. 39).
    ``nyud_dir`` holds data/images, data/depth, data/hha, segmentation (.mat) and the lists."""

    folders = ("nyud_dir",)
    splits = "{nyud_dir}/{split}.txt"
    mean_bgr = np.array((116.190, 97.203, 92.318), np.float32)
    mean_hha = np.array((132.431, 94.076, 118.477), np.float32)
    mean_logd = np.float32(7.844)

    def configure(self, params):
        self.top_names = tuple(params.get("tops", ()))
        kinds = ("color", "depth", "hha", "label")
        if not self.top_names or set(self.top_names) - set(kinds):
            raise MismatchError(f"{self.where}: tops {list(self.top_names)}: legal are some of {', '.join(kinds)}")

    def load(self, name, index):
        if name == "label":
            path = self.place("{nyud_dir}/segmentation/img_{index}.mat", index)
            # 0, void, becomes 255
            return (mat_variable(path, "segmentation").astype(np.uint8) - np.uint8(1))[np.newaxis]
        path = self.place(f"{{nyud_dir}}/data/{'images' if name == 'color' else name}/img_{{index}}.png", index)
        if name == "depth":
            depth = np.array(open_image(path), np.float32)
            if depth.ndim != 2 or (depth <= 0).any():
                raise FileFormatError("a depth image has one channel, of depths above 0", path=path)
            return np.log(depth)[np.newaxis] - self.mean_logd
        if name == "color":
            return _image(path, self.mean_bgr)
        return _image(path, self.mean_hha, bgr=False)


class SIFTFlowSegDataLayer(SegDataLayer):
    """SIFT Flow, tops data, semantic labels (33 classes) and geometric labels (3 classes). ``siftflow_dir`` holds
    Images, SemanticLabels and GeoLabels (.mat), each in one folder below, and the lists."""

    folders = ("siftflow_dir",)
    splits = "{siftflow_dir}/{split}.txt"
    top_names = ("data", "semantic", "geometric")
    mean = np.array((114.578, 115.294, 108.353), np.float32)

    def load(self, name, index):
        folder = {"data": "Images", "semantic": "SemanticLabels", "geometric": "GeoLabels"}[name]
        stem = f"{{siftflow_dir}}/{folder}/spatial_envelope_256x256_static_8outdoorcategories/{{index}}"
        if name == "data":
            return _image(self.place(stem + ".jpg", index), self.mean)
        label = mat_variable(self.place(stem + ".mat", index), "S")
        # void is 0, in geometric labels -1, and becomes 255
        return (np.maximum(label, 0).astype(np.uint8) - np.uint8(1))[np.newaxis]


class PASCALContextSegDataLayer(SegDataLayer):
    """PASCAL-Context, tops data and label (background 0 and 59 classes). ``voc_dir`` holds VOC2010 with its JPEGImages
    and ImageSets/Main; ``context_dir`` the trainval labels (.mat, 400 classes), labels.txt and 59_labels.txt."""

    folders = ("voc_dir", "context_dir")
    splits = "{voc_dir}/VOC2010/ImageSets/Main/{split}.txt"
    mean = np.array((104.007, 116.669, 122.679), np.float32)
    other_names: ClassVar[dict[str, str]] = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
    """Names of the 59 classes that are others among the 400."""

    def configure(self, params):
        of_400 = self._names("labels.txt")
        of_59 = [self.other_names.get(name, name) for name in self._names("59_labels.txt")]
        unknown = [name for name in of_59 if name not in of_400]
        if unknown:
            raise FileFormatError(f"there are no such labels: {', '.join(unknown)}", path=self.place("{context_dir}"))
        self.classes = np.zeros(max(len(of_400) + 1, 256), np.uint8)
        for number, name in enumerate(of_59, 1):
            self.classes[of_400.index(name) + 1] = number

    def _names(self, file: str) -> list[str]:
        """The names of lines like ``12: air conditioner``, without spaces."""
        lines = self.place(f"{{context_dir}}/{file}").read_text().splitlines()
        return [line.partition(":")[2].replace(" ", "") for line in lines if line.strip()]

    def load(self, name, index):
        if name == "data":
            return _image(self.place("{voc_dir}/VOC2010/JPEGImages/{index}.jpg", index), self.mean)
        path = self.place("{context_dir}/trainval/{index}.mat", index)
        label = mat_variable(path, "LabelMap").astype(np.int64)
        if label.min(initial=0) < 0 or label.max(initial=0) >= len(self.classes):
            raise FileFormatError(f"LabelMap has numbers {label.min()} .. {label.max()}", path=path)
        return self.classes[label][np.newaxis]


def _image(path: Path, mean: np.ndarray, bgr: bool = True) -> np.ndarray:
    """(3, rows, columns) of a colour image, float32, minus a mean."""
    image = np.array(open_image(path).convert("RGB"), np.float32)
    image = image[:, :, ::-1] if bgr else image
    image -= mean
    return image.transpose(2, 0, 1)
