"""Nets of the tests of the kit, and faults planted in them."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from deconv_legacy import engine
from deconv_legacy.caffe.prototxt import parse_net
from deconv_legacy.testing import Recording, caffe_subject, record

FCN8S = Path(__file__).parents[1] / "data" / "caffe" / "nets" / "fcn8s"
PROTOTXT, WEIGHTS = FCN8S / "deploy.prototxt", FCN8S / "weights.caffemodel"

NORMALIZED = """
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: [2, 3, 9, 11] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 5 kernel_size: 3 pad: 1 stride: 2 bias_term: false
                            weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "scale" top: "scale" }
layer { name: "drop" type: "Dropout" bottom: "scale" top: "drop" dropout_param { dropout_ratio: 0.4 } }
layer { name: "up" type: "Deconvolution" bottom: "drop" top: "up"
        convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "score" type: "Softmax" bottom: "up" top: "score" }
"""


def fcn8s(edit=None, backend=None):
    """The small FCN-8s from its files; `edit` changes the prototxt's text."""
    net = parse_net(PROTOTXT.read_text() if edit is None else edit(PROTOTXT.read_text()))
    return caffe_subject(net, WEIGHTS, backend=backend)


def normalized(text=NORMALIZED, backend="numpy"):
    """A small net with batch normalisation and dropout, whose parameters are set."""
    subject = caffe_subject(parse_net(text), backend=backend)
    rng = np.random.default_rng(5)
    for name, values in {
        "bn.mean": 3 * rng.standard_normal(5),
        "bn.variance": 3 * rng.uniform(0.2, 2, 5),
        "bn.count": [3.0],
        "scale.scale": rng.uniform(0.5, 2, 5),
        "scale.bias": rng.standard_normal(5),
        "up.b": rng.standard_normal(4),
    }.items():
        if name in subject.params:
            subject.params[name].set_value(np.asarray(values, "float32"))
    return subject


def image(rows=23, columns=38, seed=0, batch=1):
    """Pixels about 0, as after a mean was subtracted."""
    return (40 * np.random.default_rng(seed).standard_normal((batch, 3, rows, columns))).astype("float32")


@functools.cache
def golden(net=fcn8s):
    data = image() if net is fcn8s else image(9, 11, batch=2) / 40
    return record(net(), {"data": data})


def elsewhere(subject, data, changes=None, prepare=None):
    """The numbers of a net that does something else in some layers, as an npz from another system would have them.

    `changes` is layer name -> a function of (run, bottoms) that gives its tops; `prepare` of the data that it is fed
    but not recorded with.
    """
    values = {"data": data if prepare is None else prepare(data).astype(data.dtype)}
    for stage in subject.stages:
        bottoms = [values[name] for name in stage.bottoms]

        def run(*arguments, stage=stage, **keywords):
            return subject.run_stage(stage, *arguments, **keywords)

        tops = (changes or {}).get(stage.name, lambda run, bottoms: run(bottoms))(run, bottoms)
        values.update(zip(stage.tops, tops, strict=True))
    values["data"] = data
    blobs = {name: values[name] for name in subject.blobs if name not in subject.inputs}
    return Recording.from_arrays(blobs, {"data": data})


BACKENDS = ["numpy", *(["c"] if engine.have_compiler() else [])]
