"""Small nets and photos for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from deconv_legacy.caffe import write_weights
from deconv_legacy.cli import main

NETS = Path(__file__).parents[1] / "data" / "caffe" / "nets"
ROOT = Path(__file__).parents[2]

POINTWISE = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 20, 30] } } }
layer { name: "classify" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 5 kernel_size: 1 } }
"""


class Run:
    """What a command line gave: exit status, stdout, stderr."""

    def __init__(self, capsys, *words):
        capsys.readouterr()
        self.status = main([str(word) for word in words])
        self.out, self.err = capsys.readouterr()
        assert "\r" not in self.err  # no terminal: what is written there may be a log file

    def error(self):
        """The one line of the error; everything else about it is checked here."""
        assert self.status == 2
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("deconv-legacy: error: ")
        return lines[0].removeprefix("deconv-legacy: error: ")


def pointwise(folder, seed=0):
    """A net of one 1x1 convolution with 5 classes: the paths of its files, its filters and its bias."""
    rng = np.random.default_rng(seed)
    w, b = rng.standard_normal((5, 3, 1, 1), np.float32), 50 * rng.standard_normal(5, np.float32)
    prototxt, weights = folder / "point.prototxt", folder / "point.caffemodel"
    prototxt.write_text(POINTWISE)
    write_weights(weights, {"classify": [w, b]})
    return prototxt, weights, w[:, :, 0, 0], b


def noise(rows, columns, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def read(path):
    """The numbers of an image file, as they are stored, and its mode."""
    with Image.open(path) as image:
        return np.array(image), image.mode
