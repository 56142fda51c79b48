"""Score a Caffe segmentation net on photos whose labels are known, with the figures of the FCN papers.

  score --labels DIR PHOTO...          the truth of a photo is DIR/STEM_labels.png, STEM.png or STEM.mat
  score --voc VOC2012 --split val      PASCAL VOC's folders JPEGImages and SegmentationClass; val is a list in
                                       ImageSets/Segmentation, and a word that ends in .txt a file of names
  score ... --predictions DIR          compares label images that were computed before, found by the same names; no net
                                       runs, photos are not read, and without PHOTO all of --labels is compared

Label images are palette or grey images whose pixel values are the classes, or SBD's .mat files. Pixels whose truth is
255 (--ignore-label) do not count. Printed are overall (pixel) accuracy, mean accuracy, mean IU and frequency weighted
IU, as score.py of the FCN repository defines them, over all photos at once, and accuracy and IU of each class; --json
adds the confusion matrix, rows true and columns found.

Everything is checked before anything is computed: sizes, labels, the net's output for each photo. While a photo is
computed, the next are read. With --scheduler the workers of a Dask cluster compute, and send back counts alone.

Without --model, the net is the one of `deconv-legacy segment`, which finds handwritten digits.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe._files import replacing
from deconv_legacy.caffe._label_files import read_labels
from deconv_legacy.cli import _images, one_line
from deconv_legacy.cli._common import add_json, print_json, print_table
from deconv_legacy.cli._pipeline import overlapped
from deconv_legacy.cli._progress import progress
from deconv_legacy.cli._segmenter import Segmenter, add_segmenter, class_names, name_of, prepare
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError, listed
from deconv_legacy.training import confusion, scores

__all__ = ["add_arguments", "run"]

FIGURES = {
    "pixel_accuracy": "overall accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iu": "mean IU",
    "frequency_weighted_iu": "frequency weighted IU",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", metavar="PHOTO", nargs="*", type=Path, help="an image of any size and format")
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--labels", metavar="DIR", type=Path, help="where the true labels of the photos lie")
    truth.add_argument("--voc", metavar="DIR", type=Path, help="a data set in the folders of PASCAL VOC")
    parser.add_argument(
        "--split", metavar="NAME|FILE.txt", help="of --voc: which photos, such as val or seg11valid.txt"
    )
    parser.add_argument("--predictions", metavar="DIR", type=Path, help="label images to score in place of a net")
    parser.add_argument(
        "--ignore-label", metavar="N", type=int, default=255, help="of pixels that do not count (default 255)"
    )
    parser.add_argument("--hist", metavar="FILE", type=Path, help="write the confusion matrix, as .npy or .json")
    add_segmenter(parser)
    add_json(parser)


@dataclass(frozen=True)
class _Picture:
    """The files of a photo, or of labels computed for it, and of its true labels."""

    photo: Path
    truth: Path

    def __str__(self) -> str:
        return str(self.photo)


def run(args: argparse.Namespace) -> None:
    pictures = _pictures(args)
    if args.hist is not None and args.hist.suffix not in (".npy", ".json"):
        raise MismatchError(f"--hist {args.hist}: a confusion matrix is .npy or .json")
    names: Sequence[str] = _images.VOC_CLASSES if args.voc is not None else ()
    if args.classes is not None:
        names = class_names(args.classes)
    if args.predictions is not None:
        classes = _number_of_classes(args, names)
        histograms = _of_predictions(pictures, classes, args.ignore_label)
    else:
        net = Segmenter.of(args)
        classes, histograms = _of_net(net, pictures, args.ignore_label)
        names = net.classes or names
    if args.hist is not None:
        prepare(args.hist.parent)
    total = np.zeros((classes, classes), np.int64)
    for _, histogram in progress(histograms, "photo", len(pictures)):
        total += histogram
    _report(args, len(pictures), total, [name_of(index, names) for index in range(classes)])


def _of_net(net: Segmenter, pictures: Sequence[_Picture], ignored: int) -> tuple[int, Iterator[tuple[Any, np.ndarray]]]:
    """The number of classes, and each picture with its confusion matrix."""
    if len(net.heads) > 1:
        raise MismatchError(f"the net has several outputs, and one is scored: --output-blob {' or '.join(net.heads)}")
    (head,) = net.heads
    classes = net.classes_of(head)
    size_of = functools.cache(net.sizes(head))

    def check(picture: _Picture) -> None:
        size = _images.read_photo(picture.photo).shape[:2]
        _same_size(picture, size, _labels(picture.truth, classes, ignored).shape)
        found = size_of(*size)
        if found != size:
            raise SizeError(
                f"{picture}: the net's output {head!r} would be {_by(found)} (rows x columns), the photo and its "
                f"labels are {_by(size)}; a net is scored pixel by pixel"
            )

    def read(picture: _Picture) -> tuple[np.ndarray, np.ndarray]:
        return _images.read_photo(picture.photo), _labels(picture.truth, classes, ignored)

    _check(pictures, check)
    return classes, net.over(pictures, read, functools.partial(_histogram, classes), lambda _, histogram: histogram)


def _of_predictions(pictures: Sequence[_Picture], classes: int, ignored: int) -> Iterator[tuple[Any, np.ndarray]]:
    """Each picture with its confusion matrix."""

    def read(picture: _Picture) -> tuple[np.ndarray, np.ndarray]:
        found, truth = _labels(picture.photo, classes), _labels(picture.truth, classes, ignored)
        _same_size(picture, found.shape, truth.shape)
        return truth, found

    _check(pictures, read)
    return overlapped(pictures, read, lambda pair: confusion(pair[0], pair[1], classes), lambda _, histogram: histogram)


def _number_of_classes(args: argparse.Namespace, names: Sequence[str]) -> int:
    """Of label images, which do not tell."""
    options = ("model", "weights", "mean", "output_blob", "backend", "scheduler")
    given = [f"--{option.replace('_', '-')}" for option in options if getattr(args, option) is not None]
    if given:
        raise MismatchError(f"with --predictions no net runs, and {given[0]} has no meaning")
    if not 2 <= len(names) <= 256:
        raise MismatchError(
            f"--predictions: 2 to 256 classes, not {len(names)}; --classes says them: voc, a file of names, or a number"
        )
    return len(names)


def _histogram(classes: int, found: list[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """The confusion matrix of one photo, where the net runs."""
    return confusion(truth, found[0][0], classes)


def _check(pictures: Sequence[_Picture], check: Callable[[_Picture], Any]) -> None:
    """Try every picture, and name all that is wrong at once."""
    problems = []
    for picture in progress(pictures, "photo checked", delay=2):
        try:
            check(picture)
        except (FileFormatError, SizeError, OSError) as error:
            problems.append(one_line(error))
    if problems:
        raise FileFormatError(listed(problems))


def _labels(path: Path, classes: int, ignored: int | None = None) -> np.ndarray:
    """The class numbers of a label image, -1 where they do not count."""
    if not path.exists():
        names = " or ".join(f"{path.stem}{ending}" for ending in _ENDINGS)
        raise FileFormatError(f"there are no labels of {path.stem!r}: no {names} in {path.parent}")
    labels = read_labels(path).astype(np.int16)
    labels[labels == ignored] = -1
    if labels.max(initial=-1) >= classes:
        illegal = [str(label) for label in np.unique(labels[labels >= classes])]
        legal = f"0 .. {classes - 1}" + ("" if ignored is None else f", and {ignored} where pixels do not count")
        raise FileFormatError(f"labels {', '.join(illegal[:8])}; legal are {legal}", path=path)
    return labels


def _same_size(picture: _Picture, size: tuple[int, ...], other: tuple[int, ...]) -> None:
    if size != other:
        raise SizeError(f"{picture.truth} is {_by(other)} (rows x columns), {picture} is {_by(size)}")


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


# Which pictures there are


def _pictures(args: argparse.Namespace) -> list[_Picture]:
    """The files that the arguments name, which need not exist."""
    labels, photos = args.labels, [(photo.stem, photo) for photo in args.photos]
    if (args.voc is None) != (args.split is None):
        raise MismatchError("--voc and --split go together")
    if args.voc is not None:
        if photos:
            raise MismatchError(f"--split says which photos of --voc are scored, and {photos[0][1]} is named too")
        labels = args.voc / "SegmentationClass"
        photos = [(name, args.voc / "JPEGImages" / f"{name}.jpg") for name in _split(args.voc, args.split)]
    elif args.predictions is not None and not photos:
        stems = {path.stem.removesuffix("_labels") for path in labels.iterdir() if path.suffix in (".png", ".mat")}
        photos = [(stem, _label_file(labels, stem)) for stem in sorted(stems)]
    if not photos:
        raise MismatchError(f"no photo to score with the labels in {labels}; name some")
    first: dict[str, Path] = {}
    for stem, photo in photos:
        if stem in first:
            raise MismatchError(f"{first[stem]} and {photo} have the same labels; name each photo once")
        first[stem] = photo
    scored = first if args.predictions is None else {stem: _label_file(args.predictions, stem) for stem in first}
    return [_Picture(photo, _label_file(labels, stem)) for stem, photo in scored.items()]


def _split(voc: Path, split: str) -> list[str]:
    """The names that a list of photos holds."""
    lists = voc / "ImageSets" / "Segmentation"
    path = Path(split) if split.endswith(".txt") else lists / f"{split}.txt"
    if not path.exists():
        if not lists.is_dir():
            raise MismatchError(
                f"--voc {voc} has no ImageSets/Segmentation; it is the folder that has JPEGImages in it"
            )
        there = ", ".join(sorted(each.stem for each in lists.glob("*.txt")))
        raise MismatchError(f"--split {split}: there is no file {path}; {lists} has {there or 'no list'}")
    names = path.read_text().split()
    if not names:
        raise MismatchError(f"--split {split}: the list {path} is empty")
    return names


_ENDINGS = ("_labels.png", ".png", ".mat")
"""Of label files, in this order: a photo may lie beside its labels."""


def _label_file(folder: Path, stem: str) -> Path:
    """The first of its names that is there, or else the usual one."""
    paths = (folder / f"{stem}{ending}" for ending in _ENDINGS)
    return next((path for path in paths if path.exists()), folder / f"{stem}.png")


# What is printed


def _report(args: argparse.Namespace, photos: int, histogram: np.ndarray, names: Sequence[str]) -> None:
    found = asdict(scores(histogram))
    if args.hist is not None:
        with replacing(args.hist) as beside:
            if args.hist.suffix == ".npy":
                np.save(beside, histogram)
            else:
                beside.write_text(json.dumps({"classes": list(names), "hist": histogram.tolist()}) + "\n")
    if args.json:
        facts = {"photos": photos, "pixels": int(histogram.sum()), "classes": list(names)}
        figures = {name: _number(value) for name, value in found.items()}
        print_json({**facts, **figures, "hist": histogram.tolist()})
        return
    print_table(("", ""), [(text, _digits(found[name])) for name, text in FIGURES.items()], "<>")
    print()
    rows = [
        (index, name, f"{pixels:,}", _digits(accuracy), _digits(iu))
        for index, (name, pixels, accuracy, iu) in enumerate(
            zip(names, histogram.sum(axis=1), found["accuracy"], found["iu"], strict=True)
        )
        if not math.isnan(iu)
    ]
    print_table(("class", "name", "pixels", "accuracy", "IU"), rows, "><>>>")


def _number(value: Any) -> Any:
    """As JSON has numbers: null for what is not defined."""
    if isinstance(value, tuple):
        return [_number(each) for each in value]
    return None if math.isnan(value) else value


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5f}"
