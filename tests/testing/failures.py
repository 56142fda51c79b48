"""The files of docs/porting-failures.md: a small net, its recording, and ports of it with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.caffe import write_weights
from deconv_legacy.testing import Recording, caffe_subject, record

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 23, 38] } } }\n'
LOADED = 'layer { name: "data" type: "Python" top: "data" top: "label" python_param { module: "m" layer: "L" } }\n'
BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1" }
layer { name: "relu1" type: "ReLU" bottom: "bn1" top: "bn1" }
layer { name: "pool1" type: "Pooling" bottom: "bn1" top: "pool1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "drop2" type: "Dropout" bottom: "conv2" top: "drop2" dropout_param { dropout_ratio: 0.5 } }
layer { name: "score_fr" type: "Convolution" bottom: "drop2" top: "score_fr"
        convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "upscore" type: "Deconvolution" bottom: "score_fr" top: "upscore"
        convolution_param { num_output: 4 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "score" type: "Crop" bottom: "upscore" bottom: "data" top: "score" crop_param { axis: 2 offset: 1 } }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
        loss_param { ignore_label: 255 normalize: false } }
"""


def weights():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))

    return {
        "conv1": [normal(6, 3, 3, 3), normal(6)],
        "bn1": [30 * normal(6), 900 * rng.uniform(0.5, 2, 6), np.ones(1)],
        "conv2": [normal(6, 6, 3, 3), normal(6)],
        "score_fr": [normal(4, 6, 1, 1), normal(4)],
        "upscore": [fillers.bilinear((4, 4, 4, 4), kind="diagonal")],
    }


def write(folder: Path) -> None:
    """Everything that the page's commands read."""
    image = (40 * np.random.default_rng(1).standard_normal((1, 3, 23, 38))).astype("float32")
    text = DATA + BODY
    good = weights()
    (folder / "net.prototxt").write_text(text)
    write_weights(folder / "net.caffemodel", good)
    net = caffe_subject(folder / "net.prototxt", folder / "net.caffemodel")
    record(net, {"data": image}).save(folder / "golden.npz")

    def port(name, layer, index, change):
        other = {key: list(arrays) for key, arrays in good.items()}
        other[layer][index] = np.ascontiguousarray(change(np.asarray(other[layer][index])))
        write_weights(folder / f"{name}.caffemodel", other)

    port("flipped", "conv2", 0, lambda w: w[:, :, ::-1, ::-1])
    port("rgb", "conv1", 0, lambda w: w[:, ::-1])
    port("layout", "conv2", 0, lambda w: w.transpose(2, 3, 1, 0).reshape(w.shape))
    port("deviation", "bn1", 1, np.sqrt)
    port("zero", "upscore", 0, np.zeros_like)
    port("filler", "upscore", 0, lambda w: fillers.bilinear(w.shape))
    port("nobias", "score_fr", 1, np.zeros_like)
    renamed = {("score_fr4" if key == "score_fr" else key): arrays for key, arrays in good.items()}
    write_weights(folder / "renamed.caffemodel", renamed)
    (folder / "floor.prototxt").write_text(text.replace("pool: MAX", "pool: MAX round_mode: FLOOR"))
    (folder / "crop.prototxt").write_text(text.replace("offset: 1", "offset: 2"))
    (folder / "train.prototxt").write_text(LOADED + BODY + LOSS)
    for name, recording in elsewhere(net, image).items():
        blobs = {f"out/{key}": stored.values for key, stored in recording.blobs.items()}
        np.savez(folder / f"{name}.npz", **{"in/data": recording.inputs["data"].values}, **blobs)


def elsewhere(net, image) -> dict[str, Recording]:
    """Numbers of systems that do one thing otherwise."""
    from kit_helpers import elsewhere as run

    mean = np.array([104.00699, 116.66877, 122.67892], "float32").reshape(1, 3, 1, 1)
    return {
        "tensorflow": run(net, image, {"conv2": lambda run, b: run(b, padding=[(0, 2), (0, 2)])}),
        "raw": run(net, image, prepare=lambda x: x - mean),
        "dropout": run(net, image, {"drop2": lambda run, b: [x * np.float32(0.5) for x in run(b)]}),
    }
