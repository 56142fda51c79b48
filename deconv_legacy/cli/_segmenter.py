"""A Caffe segmentation net and many photos: what the commands that label photos have in common."""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.caffe import BuiltNet, build_net, read_mean, read_net
from deconv_legacy.cli import _images
from deconv_legacy.cli._common import add_backend, add_forks
from deconv_legacy.cli._pipeline import Job, connect, labelling, on_workers, overlapped
from deconv_legacy.errors import MismatchError

__all__ = ["CAFFE_MEAN", "MODEL", "Segmenter", "add_segmenter", "class_names", "name_of", "prepare"]

MODEL = Path(__file__).parent / "model"
"""The net that ships: deploy.prototxt, weights.caffemodel, and model.json with its classes, palette and mean."""

CAFFE_MEAN = (104.00699, 116.66877, 122.67892)
"""Of ImageNet, B, G, R, as FCN's infer.py writes it."""


def add_segmenter(parser: argparse.ArgumentParser) -> None:
    """The arguments that `Segmenter` reads."""
    parser.add_argument("--model", metavar="deploy.prototxt", help="the net (default: the one that comes along)")
    parser.add_argument("--weights", metavar="x.caffemodel", help="its weights, binary or HDF5")
    parser.add_argument(
        "--mean",
        metavar="B,G,R|FILE",
        help="subtracted from the photo: three numbers, or a mean.binaryproto, averaged over its pixels "
        f"(default {','.join(map(str, CAFFE_MEAN))})",
    )
    parser.add_argument(
        "--classes",
        metavar="voc|FILE|N",
        help="names of the classes, as many as the net has: PASCAL VOC's, or a text file, one on a line; or their "
        "number alone",
    )
    parser.add_argument(
        "--output-blob",
        metavar="NAME",
        action="append",
        help="a blob of scores; may be repeated (default: 'score' if there is one, else each output of the net)",
    )
    add_backend(parser)
    add_forks(parser)
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://host:8786: its workers compute, files are read and written here",
    )


def class_names(word: str) -> Sequence[str]:
    """The names that ``--classes`` says."""
    if word.isdecimal():
        return [name_of(index) for index in range(int(word))]
    if word == "voc":
        return _images.VOC_CLASSES
    if not Path(word).exists():
        raise MismatchError(f"--classes {word}: neither voc, nor a number, nor a file that is there")
    return Path(word).read_text().rstrip().splitlines()


def name_of(index: int, classes: Sequence[str] = ()) -> str:
    return classes[index] if index < len(classes) else f"class {index}"


def prepare(folder: Path) -> None:
    """Make an output directory, and find out now whether it can be written."""
    if folder.exists() and not folder.is_dir():
        raise MismatchError(f"{folder} is a file; the results go into a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@dataclass(frozen=True)
class Segmenter:
    """A net that labels photos, from its files.

    Attributes
    ----------
    mean
        B, G, R, subtracted from photos.
    classes, palette
        Names of its classes and their colours, where it brings some; else no names, and PASCAL VOC's colours.
    heads
        The blobs of scores.
    """

    prototxt: Path
    weights: Path
    mean: np.ndarray
    classes: Sequence[str]
    palette: np.ndarray
    net: BuiltNet
    heads: list[str]
    forks: bool
    backend: str | None
    scheduler: str | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Segmenter:
        """What the arguments of `add_segmenter` ask for, its weights loaded."""
        if (args.model is None) != (args.weights is None):
            raise MismatchError("--model and --weights go together: a net and its weights")
        if args.model is None:
            prototxt, weights = MODEL / "deploy.prototxt", MODEL / "weights.caffemodel"
            facts = json.loads((MODEL / "model.json").read_text())
            mean, classes = np.array(facts["mean"]), facts["classes"]
            palette = _images.complete_palette(facts["palette"])
        else:
            prototxt, weights = Path(args.model), Path(args.weights)
            mean, classes, palette = np.array(CAFFE_MEAN), (), _images.voc_palette()
        if args.mean is not None:
            mean = _mean(args.mean)
        net = build_net(read_net(prototxt, allow_unknown=args.forks), path=prototxt)
        heads = _heads(net, args.output_blob)
        if args.classes is not None:
            classes = class_names(args.classes)
            counts = {head: net.blobs[head].output_shape[1] for head in heads}
            if len(classes) not in counts.values():
                found = ", ".join(f"{head!r} has {count}" for head, count in counts.items())
                raise MismatchError(f"--classes {args.classes}: {len(classes)} classes, but the net's {found}")
        unused = net.load(weights)
        if unused:
            warnings.warn(f"{weights}: weights of layers that the net does not have: {', '.join(unused)}")
        return cls(prototxt, weights, mean, classes, palette, net, heads, args.forks, args.backend, args.scheduler)

    def over(
        self,
        items: Sequence[Any],
        read: Callable[[Any], tuple[Any, ...]],
        reduce: Callable[..., Any],
        write: Callable[[Any, Any], Any],
        *,
        scores: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Each item with what `write` made of it, in any order.

        `read` gives an item's photo as `read_photo` does, and what else `reduce` takes behind the list of the heads'
        labels, and of their `scores` if asked: see `labelling`. `reduce` runs where the net does, which may be a worker
        of the scheduler; `write` takes the item and the result, here.
        """
        if self.scheduler is not None:
            job = Job(self.prototxt, self.weights, self.mean, self.forks, self.heads, scores, self.backend)
            return on_workers(connect(self.scheduler), job, items, read, reduce, write)
        function = labelling(self.net, self.heads, scores, self.backend)

        def read_blob(item: Any) -> tuple[Any, ...]:
            photo, *rest = read(item)
            return _images.blob_of(photo, self.mean), *rest

        return overlapped(items, read_blob, lambda value: reduce(function(value[0]), *value[1:]), write)

    def classes_of(self, head: str) -> int:
        """How many classes a head has scores for."""
        return self.net.blobs[head].output_shape[1]

    def sizes(self, head: str) -> Callable[[int, int], tuple[int, ...]]:
        """A function from the rows and columns of a photo to those of a head's scores, which it does not compute."""
        net = self.net
        shape_of = engine.compile(
            [net.input_layers[0].output], net.blobs[head].output.shape, backend="numpy", on_unused_input="ignore"
        )

        def size_of(rows: int, columns: int) -> tuple[int, ...]:
            photo = np.broadcast_to(np.float32(0), (1, 3, rows, columns))
            return tuple(map(int, shape_of(photo)[2:]))

        return size_of


def _mean(text: str) -> np.ndarray:
    """Three numbers B, G, R, or the average of a mean image's pixels, as Caffe's examples take it."""
    try:
        mean = np.array([float(number) for number in text.split(",")])
    except ValueError:
        if not Path(text).exists():
            raise MismatchError(
                f"--mean {text}: neither three numbers B,G,R nor a mean.binaryproto that is there"
            ) from None
        image = read_mean(text)
        mean = image.mean(axis=(-2, -1)).ravel()
    if mean.shape != (3,):
        raise MismatchError(f"--mean {text}: {len(mean)} channels, 3 (B,G,R) are needed")
    return mean


def _heads(net: Any, asked: Sequence[str] | None) -> list[str]:
    """The blobs of scores, each ``(1, classes, rows, columns)``; refuses nets that take or give anything else."""
    if len(net.inputs) != 1:
        raise MismatchError(
            f"the net has {len(net.inputs)} inputs ({', '.join(net.inputs)}), and a photo is one; "
            "take the deploy prototxt, or remove the data and loss layers"
        )
    shape = net.input_layers[0].output_shape
    if len(shape) != 4 or shape[1] != 3:
        raise MismatchError(f"the net's input {net.inputs[0]!r} has shape {shape}; a photo is (1, 3, ?, ?)")
    heads = asked or (["score"] if "score" in net.blobs else net.outputs)
    for head in heads:
        if head not in net.blobs:
            raise MismatchError(f"no blob is called {head!r}; there are {', '.join(net.blobs)}")
        shape = net.blobs[head].output_shape
        if len(shape) != 4 or shape[1] is None or not 2 <= shape[1] <= 256:
            raise MismatchError(
                f"blob {head!r} of shape {shape} is no map of scores (1, 2 to 256 classes, rows, columns)"
            )
    return list(dict.fromkeys(heads))
