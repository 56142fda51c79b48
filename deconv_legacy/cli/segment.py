"""Label every pixel of photos with a Caffe segmentation net, such as FCN.

Each photo is prepared as FCN's own script does (float32, BGR, mean subtracted, whatever its size), goes through the
net alone, and each pixel takes the class of the highest score. Written to the output directory:

  STEM_labels.png   palette image; the pixel values are the classes
  STEM_overlay.png  the photo with the colours of the classes over it
  histogram.json    pixels of each class, for each photo and in all

A net with several heads writes STEM_HEAD_labels.png and STEM_HEAD_overlay.png for each. All photos, the net and the
weights are checked before anything is written; files are written beside their place and then renamed. While a photo is
computed, the next are read and the last are written. With --scheduler the workers of a Dask cluster compute; a photo
whose worker dies is computed by another.

Without --model, a small FCN-8s that comes with the package finds handwritten digits: classes background and 0 to 9.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe import build_net, read_mean, read_net
from deconv_legacy.caffe._files import replacing
from deconv_legacy.cli import _images
from deconv_legacy.cli._common import add_backend, add_json, print_json, print_table, progress
from deconv_legacy.cli._pipeline import Job, connect, on_workers, overlapped
from deconv_legacy.errors import MismatchError

__all__ = ["add_arguments", "run"]

MODEL = Path(__file__).parent / "model"
"""The net that ships: deploy.prototxt, weights.caffemodel, and model.json with its classes, palette and mean."""

CAFFE_MEAN = (104.00699, 116.66877, 122.67892)
"""Of ImageNet, B, G, R, as FCN's infer.py writes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", metavar="PHOTO", nargs="+", type=Path, help="an image of any size and format")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where to write; made if need be")
    parser.add_argument("--model", metavar="deploy.prototxt", help="the net (default: the one that comes along)")
    parser.add_argument("--weights", metavar="x.caffemodel", help="its weights, binary or HDF5")
    parser.add_argument(
        "--mean",
        metavar="B,G,R|FILE",
        help="subtracted from the photo: three numbers, or a mean.binaryproto, averaged over its pixels "
        f"(default {','.join(map(str, CAFFE_MEAN))})",
    )
    parser.add_argument(
        "--palette", metavar="voc|FILE", help="colours of the classes: PASCAL VOC's (default), or a palette image's"
    )
    parser.add_argument(
        "--classes", metavar="voc|FILE", help="names of the classes: PASCAL VOC's, or a text file, one on a line"
    )
    parser.add_argument(
        "--output-blob",
        metavar="NAME",
        action="append",
        help="a blob of scores; may be repeated (default: 'score' if there is one, else each output of the net)",
    )
    parser.add_argument("--scores", action="store_true", help="also write the scores themselves, STEM_scores.npz")
    add_backend(parser)
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://host:8786: its workers compute, photos are read and written here",
    )
    add_json(parser)


@dataclass(frozen=True)
class _Model:
    """What is asked for: files, preparation of photos, classes and their colours."""

    prototxt: Path
    weights: Path
    mean: np.ndarray
    palette: np.ndarray
    classes: Sequence[str]

    def name_of(self, index: int) -> str:
        return self.classes[index] if index < len(self.classes) else f"class {index}"


def run(args: argparse.Namespace) -> None:
    model = _model(args)
    _check_names(args.photos)
    for photo in args.photos:
        _images.read_photo(photo)
    net = build_net(read_net(model.prototxt), path=model.prototxt)
    heads = _heads(net, args.output_blob)
    unused = net.load(model.weights)
    if unused:
        warnings.warn(f"{model.weights}: weights of layers that the net does not have: {', '.join(unused)}")
    targets = _targets(args, heads)
    _prepare(args.out)
    label = partial(_label, args.scores)

    def read(path: Path) -> np.ndarray:
        return blob_of(_images.read_photo(path), model.mean)

    def write(path: Path, results: list[_Labels]) -> list[list[int]]:
        for head, (labels, _, scores) in zip(heads, results, strict=True):
            target = targets[path, head]
            _write(target["labels"], lambda file, x=labels: _images.write_labels(file, x, model.palette))
            over = _images.overlay(_images.read_photo(path), labels, model.palette)
            _write(target["overlay"], lambda file, x=over: _images.write_picture(file, x))
            if scores is not None:
                _write(target["scores"], lambda file, x=scores: np.savez(file, scores=x))
        return [counts for _, counts, _ in results]

    if args.scheduler is None:
        function = net.function(heads, backend=args.backend)
        results = overlapped(args.photos, read, lambda blob: label(function(blob)), write)
    else:
        job = Job(model.prototxt, model.weights, heads, args.backend)
        results = on_workers(connect(args.scheduler), job, args.photos, read, label, write)
    counts = {path: found for path, found in progress(results, "photo", len(args.photos))}
    pixels = {head: {str(path): counts[path][i] for path in args.photos} for i, head in enumerate(heads)}

    histograms = [_histogram(model, head, counts) for head, counts in pixels.items()]
    _write(args.out / "histogram.json", lambda file: file.write_text(json.dumps(histograms, indent=2) + "\n"))
    if args.json:
        print_json(histograms)
    else:
        _print(histograms)


_Labels = tuple[np.ndarray, list[int], np.ndarray | None]


def _label(keep: bool, heads: list[np.ndarray]) -> list[_Labels]:
    """Of the scores of each head: the class of each pixel, the pixels of each class, and the scores where asked for."""
    results: list[_Labels] = []
    for scores in heads:
        labels = scores[0].argmax(axis=0).astype(np.uint8)
        counts = np.bincount(labels.ravel(), minlength=scores.shape[1]).tolist()
        results.append((labels, counts, scores[0] if keep else None))
    return results


def blob_of(photo: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A photo ``(rows, columns, 3)`` in RGB as the nets take it: ``(1, 3, rows, columns)``, BGR, less the mean."""
    pixels = photo[:, :, ::-1].astype(np.float32)
    pixels -= mean
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _model(args: argparse.Namespace) -> _Model:
    if (args.model is None) != (args.weights is None):
        raise MismatchError("--model and --weights go together")
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
    if args.palette is not None:
        palette = _images.voc_palette() if args.palette == "voc" else _images.read_palette(args.palette)
    if args.classes is not None:
        classes = _images.VOC_CLASSES if args.classes == "voc" else Path(args.classes).read_text().splitlines()
    return _Model(prototxt, weights, mean, palette, classes)


def _mean(text: str) -> np.ndarray:
    """Three numbers B, G, R, or the average of a mean image's pixels, as Caffe's examples take it."""
    try:
        mean = np.array([float(number) for number in text.split(",")])
    except ValueError:
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


def _check_names(photos: Sequence[Path]) -> None:
    """Refuse photos whose results would have one name."""
    first: dict[str, Path] = {}
    for photo in photos:
        other = first.setdefault(photo.stem, photo)
        if other is not photo:
            raise MismatchError(f"{other} and {photo} would both write {photo.stem}_labels.png; use two directories")


def _targets(args: argparse.Namespace, heads: Sequence[str]) -> dict[tuple[Path, str], dict[str, Path]]:
    """For each photo and head: the files to write, none of which may be a photo that is still to be read."""
    targets = {}
    for photo in args.photos:
        for head in heads:
            # slashes are common in the names of blobs
            stem = photo.stem if len(heads) == 1 else f"{photo.stem}_{head.replace('/', '_')}"
            endings = {"labels": "labels.png", "overlay": "overlay.png", "scores": "scores.npz"}
            targets[photo, head] = {kind: args.out / f"{stem}_{ending}" for kind, ending in endings.items()}
    read = {photo.resolve() for photo in args.photos}
    for files in targets.values():
        for file in files.values():
            if file.resolve() in read:
                raise MismatchError(f"{file} is a photo to be read, and would be written; choose another directory")
    return targets


def _prepare(folder: Path) -> None:
    """Make the output directory, and find out now whether it can be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _write(path: Path, write: Any) -> None:
    with replacing(path) as beside:
        write(beside)


def _histogram(model: _Model, head: str, pixels: dict[str, list[int]]) -> dict[str, Any]:
    total = [sum(column) for column in zip(*pixels.values(), strict=True)]
    classes = [model.name_of(index) for index in range(len(total))]
    return {"blob": head, "classes": classes, "total": total, "photos": pixels}


def _print(histograms: Sequence[dict[str, Any]]) -> None:
    """Classes that occur, over all photos."""
    for histogram in histograms:
        if len(histograms) > 1:
            print(f"{histogram['blob']}:")
        everything = sum(histogram["total"])
        rows = [
            (index, name, f"{count:,}", f"{100 * count / everything:.2f}")
            for index, (name, count) in enumerate(zip(histogram["classes"], histogram["total"], strict=True))
            if count
        ]
        print_table(("class", "name", "pixels", "percent"), rows, "><>>")
