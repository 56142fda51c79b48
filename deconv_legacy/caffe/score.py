"""Segmentation scores while a net trains, as the FCN repository's ``score.py`` prints them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe._label_files import write_label_image
from deconv_legacy.caffe.net import Net
from deconv_legacy.training import confusion, scores

__all__ = ["compute_hist", "do_seg_tests", "fast_hist", "seg_tests"]


def fast_hist(a: Any, b: Any, n: int) -> np.ndarray:
    """Count pixels by true class `a` (rows) and predicted class `b` (columns); labels outside 0 .. n-1 are left out.

    >>> fast_hist(np.array([0, 1, 255]), np.array([0, 0, 1]), 2)
    array([[1, 0],
           [1, 0]])
    """
    return confusion(a, b, n)


def compute_hist(
    net: Net,
    save_dir: str | os.PathLike[str] | None,
    dataset: Iterable[Any],
    layer: str = "score",
    gt: str = "label",
) -> tuple[np.ndarray, float]:
    """Run a net once for each entry of `dataset` (its data layer brings the images): the confusion matrix of its
    first channel's argmax, and the mean loss.

    Parameters
    ----------
    save_dir
        Where to write each segmentation, ``<entry>.png``; None writes none.
    layer, gt
        Blobs of the scores (N, classes, rows, columns) and of the labels.
    """
    classes = net.blobs[layer].channels
    if save_dir:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
    histogram, loss, count = np.zeros((classes, classes), np.int64), 0.0, 0
    for index in dataset:
        net.forward()
        predicted = net.blobs[layer].data[0].argmax(0)
        histogram += fast_hist(net.blobs[gt].data[0, 0].ravel(), predicted.ravel(), classes)
        if save_dir:
            write_label_image(Path(save_dir) / f"{index}.png", predicted)
        if "loss" in net.blobs:
            loss += float(net.blobs["loss"].data.flat[0])
        count += 1
    return histogram, loss / max(count, 1)


def seg_tests(solver: Any, save_format: Any, dataset: Iterable[Any], layer: str = "score", gt: str = "label") -> None:
    """Score the solver's first test net with the weights of its train net; print loss, accuracies and IU.

    `save_format` is where segmentations go, with ``{}`` for the iteration, or None or False.
    """
    print(">>>", datetime.now(), "Begin seg tests")
    solver.test_nets[0].share_with(solver.net)
    do_seg_tests(solver.test_nets[0], solver.iter, save_format, dataset, layer, gt)


def do_seg_tests(
    net: Net, iter: int, save_format: Any, dataset: Iterable[Any], layer: str = "score", gt: str = "label"
) -> np.ndarray:
    """Score a net; print loss, overall and mean accuracy, mean IU and frequency weighted accuracy; the confusion
    matrix."""
    folder = str(save_format).format(iter) if save_format else None
    histogram, loss = compute_hist(net, folder, dataset, layer, gt)
    found = scores(histogram)
    for what, value in (
        ("loss", loss),
        ("overall accuracy", found.pixel_accuracy),
        ("mean accuracy", found.mean_accuracy),
        ("mean IU", found.mean_iu),
        ("fwavacc", found.frequency_weighted_iu),
    ):
        print(">>>", datetime.now(), "Iteration", iter, what, value)
    return histogram
