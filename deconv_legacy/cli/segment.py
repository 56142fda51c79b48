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
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe._files import replacing
from deconv_legacy.caffe._label_files import write_label_image
from deconv_legacy.cli import _images
from deconv_legacy.cli._common import add_json, print_json, print_table
from deconv_legacy.cli._progress import progress
from deconv_legacy.cli._segmenter import Segmenter, add_segmenter, name_of, prepare
from deconv_legacy.errors import MismatchError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", metavar="PHOTO", nargs="+", type=Path, help="an image of any size and format")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where to write; made if need be")
    add_segmenter(parser)
    parser.add_argument(
        "--palette", metavar="voc|FILE", help="colours of the classes: PASCAL VOC's (default), or a palette image's"
    )
    parser.add_argument("--scores", action="store_true", help="also write the scores themselves, STEM_scores.npz")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    model = Segmenter.of(args)
    palette, heads = model.palette, model.heads
    if args.palette is not None:
        palette = _images.voc_palette() if args.palette == "voc" else _images.read_palette(args.palette)
    _check_names(args.photos)
    for photo in args.photos:
        _images.read_photo(photo)
    targets = _targets(args, heads)
    prepare(args.out)

    def read(path: Path) -> tuple[np.ndarray]:
        return (_images.read_photo(path),)

    def write(path: Path, results: list[_Labels]) -> list[list[int]]:
        for head, (labels, _, scores) in zip(heads, results, strict=True):
            target = targets[path, head]
            _write(target["labels"], lambda file, x=labels: write_label_image(file, x, palette))
            over = _images.overlay(_images.read_photo(path), labels, palette)
            _write(target["overlay"], lambda file, x=over: _images.write_picture(file, x))
            if scores is not None:
                _write(target["scores"], lambda file, x=scores: np.savez(file, scores=x))
        return [counts for _, counts, _ in results]

    label = partial(_label, [model.classes_of(head) for head in heads])
    results = model.over(args.photos, read, label, write, scores=args.scores)
    counts = {path: found for path, found in progress(results, "photo", len(args.photos))}
    pixels = {head: {str(path): counts[path][i] for path in args.photos} for i, head in enumerate(heads)}

    histograms = [_histogram(model.classes, head, counts) for head, counts in pixels.items()]
    _write(args.out / "histogram.json", lambda file: file.write_text(json.dumps(histograms, indent=2) + "\n"))
    if args.json:
        print_json(histograms)
    else:
        _print(histograms)


_Labels = tuple[np.ndarray, list[int], np.ndarray | None]


def _label(classes: Sequence[int], found: list[np.ndarray]) -> list[_Labels]:
    """For each head: the class of each pixel, the pixels of each class, and the scores where they were asked for."""
    results: list[_Labels] = []
    for count, labels, scores in zip_longest(classes, found[: len(classes)], found[len(classes) :]):
        pixels = np.bincount(labels.ravel(), minlength=count).tolist()
        results.append((labels[0], pixels, None if scores is None else scores[0]))
    return results


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


def _write(path: Path, write: Any) -> None:
    with replacing(path) as beside:
        write(beside)


def _histogram(names: Sequence[str], head: str, pixels: dict[str, list[int]]) -> dict[str, Any]:
    total = [sum(column) for column in zip(*pixels.values(), strict=True)]
    # of several heads, those with as many classes have the names
    classes = [name_of(index, names if len(names) == len(total) else ()) for index in range(len(total))]
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
