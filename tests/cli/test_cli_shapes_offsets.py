"""``deconv-legacy shapes`` and ``offsets``, on the FCN nets and on nets made to be hard."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cli_helpers import NETS, Run
from fcn_texts import OFFSETS, fcn

from deconv_legacy.caffe import build_net, parse_net, read_weights
from deconv_legacy.cli import shapes


@pytest.fixture
def write(tmp_path):
    def write(text, name="net.prototxt"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def layers_of(run):
    assert run.status == 0, run.err
    report = json.loads(run.out)
    return {layer["name"]: layer for layer in report["layers"]}, report["total"]


# shapes


def test_fcn32s_at_500(write, capsys):
    """Sizes and work as real Caffe has them; the receptive field is that of Long et al., table 1."""
    layers, total = layers_of(Run(capsys, "shapes", write(fcn("fcn32s")), "--json"))
    assert layers["conv1_1"]["sizes"] == [[1, 64, 698, 698]]
    assert layers["pool5"]["sizes"] == [[1, 512, 22, 22]]
    assert layers["score_fr"]["sizes"] == [[1, 21, 16, 16]]
    assert layers["upscore"]["sizes"] == [[1, 21, 544, 544]]
    assert layers["score"]["sizes"] == [[1, 21, 500, 500]]
    assert layers["score_fr"]["receptive_field"] == [404, 404]
    assert layers["score_fr"]["stride"] == [32, 32]
    assert layers["score"]["stride"] == [1, 1]
    # an upscored cell mixes two neighbouring scores
    assert layers["score"]["receptive_field"] == [404 + 32, 404 + 32]
    assert layers["conv1_2"]["multiply_adds"] == 698 * 698 * 64 * 64 * 9
    assert layers["upscore"]["multiply_adds"] == 16 * 16 * 21 * 21 * 64 * 64
    assert layers["fc6"]["parameters"] == 4096 * 512 * 49 + 4096
    classifier = sum(layers[name]["multiply_adds"] for name in ("fc6", "fc7"))
    convolutions = sum(layer["multiply_adds"] for name, layer in layers.items() if name.startswith("conv"))
    assert round(convolutions / 1e9) == 150
    assert round(classifier / 1e9) == 31
    assert total["parameters"] == sum(layer["parameters"] for layer in layers.values())


def test_the_table(capsys):
    run = Run(capsys, "shapes", NETS / "fcn8s" / "deploy.prototxt")
    assert run.status == 0
    rows = {line.split()[0]: line for line in run.out.splitlines()}
    assert rows["conv1_1"].split() == ["conv1_1", "Convolution", "1x4x295x329", "3", "1", "112", "10,481,940"]
    assert rows["pool3"].endswith("rounded up 37x42, rounded down 37x41")
    assert rows["score"].split() == ["score", "Crop", "1x4x97x131", "468", "1"]
    weights = read_weights(NETS / "fcn8s" / "weights.caffemodel")
    assert rows["total"].split()[1] == f"{sum(blob.size for blobs in weights.values() for blob in blobs):,}"


def test_poolings_are_marked_only_where_rounding_matters(write, capsys):
    text = """
    input: "data" input_dim: [1, 2, 12, 13]
    layer { name: "even" type: "Pooling" bottom: "data" top: "even"
            pooling_param { kernel_h: 2 kernel_w: 1 stride: 2 } }
    layer { name: "odd" type: "Pooling" bottom: "data" top: "odd" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "padded" type: "Pooling" bottom: "data" top: "padded"
            pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
    """
    layers, _ = layers_of(Run(capsys, "shapes", write(text), "--json"))
    assert layers["even"]["note"] == ""
    assert layers["even"]["sizes"] == [[1, 2, 6, 7]]
    assert layers["odd"]["note"] == "rounded up 6x7, rounded down 6x6"
    assert layers["padded"]["note"] == "rounded up 7x7, rounded down 6x7"


def test_a_train_net_needs_its_shapes(write, capsys):
    path = write(fcn("fcn32s", 32, train=True, classes=3))
    message = Run(capsys, "shapes", path, "--phase", "TRAIN").error()
    assert "'data'" in message
    assert "data=1,3,500,500" in message
    given = ["--input", "data=2,3,65,50", "--input", "label=2,1,65,50"]
    layers, _ = layers_of(Run(capsys, "shapes", path, "--phase", "TRAIN", *given, "--json"))
    assert layers["data"]["sizes"] == [[2, 3, 65, 50], [2, 1, 65, 50]]
    assert layers["score"]["sizes"] == [[2, 3, 65, 50]]
    assert layers["loss"]["sizes"] == [[]]
    assert layers["score_fr"]["multiply_adds"] == 2 * 128 * 3 * np.prod(layers["score_fr"]["sizes"][0][2:])


BRANCHED = """
input: "data" input_dim: [%d, 1, %d, %d]
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
        convolution_param { num_output: 1 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 4 } }
layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" pooling_param { pool: AVE kernel_size: 3 stride: 1 } }
layer { name: "far" type: "Convolution" bottom: "pool" top: "far"
        convolution_param { num_output: 1 kernel_h: 3 kernel_w: 2 dilation: 2 } }
layer { name: "near" type: "Crop" bottom: "a" bottom: "far" top: "near" crop_param { offset: 3 offset: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "near" bottom: "far" top: "sum" }
layer { name: "up" type: "Deconvolution" bottom: "sum" top: "up"
        convolution_param { num_output: 1 kernel_h: 5 kernel_w: 7 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 2 } }
layer { name: "smooth" type: "Convolution" bottom: "up" top: "smooth"
        convolution_param { num_output: 1 kernel_h: 2 kernel_w: 3 } }
layer { name: "both" type: "Concat" bottom: "smooth" bottom: "smooth" top: "both" }
"""


@pytest.mark.parametrize("axis", [2, 3])
def test_receptive_fields_are_what_an_impulse_reaches(axis):
    """Every filter is positive, so an output cell is above its bias-free zero exactly where it sees the impulse."""
    n = 60
    sizes = [24, 24]
    sizes[axis - 2] = n
    net = build_net(parse_net(BRANCHED % (n, *sizes)), free=False)
    for variables in net.params().values():
        for variable in variables:
            fill = 1 if len(variable.type.shape) == 4 else 0
            variable.set_value(np.full(variable.type.shape, fill, "float32"))
    data = np.zeros((n, 1, *sizes), "float32")
    index = [np.arange(n), 0, slice(None), slice(None)]
    index[axis] = np.arange(n)
    data[tuple(index)] = 1
    names = ["a", "pool", "far", "near", "sum", "up", "smooth", "both"]
    outputs = net.function(names, backend="numpy")(data)
    described = {row["name"]: row for row in shapes.describe(net)}
    for name, values in zip(names, outputs, strict=True):
        # who sees what: (input cells, output cells) on the axis
        sees = values.max(axis=(1, 5 - axis)) > 0
        spans = [np.flatnonzero(column) for column in sees.T]
        # cells that see neither end of the input see no padding
        inner = [span[-1] - span[0] + 1 for span in spans if len(span) and span[0] > 0 and span[-1] < n - 1]
        assert described[name]["receptive_field"][axis - 2] == max(inner), name


# offsets


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("kind", sorted(OFFSETS))
def test_offsets_of_the_fcn_nets(write, capsys, kind, train):
    path = write(fcn(kind, 16, train=train, classes=3))
    run = Run(capsys, "offsets", path, "--json", "--phase", "TRAIN" if train else "TEST")
    assert run.status == 0, run.err
    crops = {crop["crop"]: crop for crop in json.loads(run.out)}
    assert {name: crop["derived"] for name, crop in crops.items()} == {
        name: [offset, offset] for name, offset in OFFSETS[kind].items()
    }
    assert {crop["status"] for crop in crops.values()} == {"OK"}


def test_a_written_offset_that_differs(write, capsys):
    path = write(fcn("fcn16s", 32, classes=3, offsets={"score": 26}))
    run = Run(capsys, "offsets", path)
    assert run.status == 1
    rows = {line.split()[0]: line.split() for line in run.out.splitlines()}
    assert rows["score_pool4c"][3:6] == ["5", "5", "OK"]
    assert rows["score"][3:6] == ["27", "26", "DIFFERS"]


def test_the_chain(write, capsys):
    run = Run(capsys, "offsets", write(fcn("fcn32s", 32, classes=3)), "--chain")
    assert run.status == 0
    steps = [line.split()[1:] for line in run.out[run.out.index("score: from data") :].splitlines()[2:]]
    assert ["conv1_1", "1", "99"] in steps
    assert ["pool1", "1/2", "-1/4"] in steps
    assert ["fc6", "1", "-3"] in steps
    assert ["upscore", "32", "63/2"] in steps


def test_the_least_pad_is_the_least(write, capsys):
    """97: with it every image size up to one period of the strides can be built, and with 96 one cannot."""
    run = Run(capsys, "offsets", write(fcn("fcn32s", 32, classes=3)))
    assert run.out.splitlines()[1].endswith("conv1_1: 97 (has 100)")

    def fits(pad, size):
        offset = 19 + pad - 100
        net = parse_net(fcn("fcn32s", 64, classes=2, pad=pad, offsets={"score": offset}))
        try:
            build_net(net, input_shapes={"data": (1, 3, size, 40)}, free=False)
        except ValueError:
            return False
        return True

    assert not all(fits(96, size) for size in range(1, 33))
    assert all(fits(97, size) for size in range(1, 33, 3))


def test_offsets_that_cannot_be_derived(write, capsys):
    text = fcn("fcn32s", 32, classes=3).replace("stride: 32", "stride: 16")
    run = Run(capsys, "offsets", write(text))
    assert run.status == 1
    assert "UNDERIVED" in run.out
    assert "score: cannot crop upscore to data: a step of one cell" in run.out


def test_axes_may_differ(write, capsys):
    text = """
    input: "data" input_dim: [1, 3, 9, 9]
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 2 kernel_h: 3 kernel_w: 5 pad_h: 7 pad_w: 4 } }
    layer { name: "r" type: "Crop" bottom: "c" bottom: "data" top: "r" crop_param { axis: 2 offset: 6 offset: 2 } }
    """
    run = Run(capsys, "offsets", write(text), "--chain")
    assert run.status == 0
    assert run.out.splitlines()[1].split()[3:6] == ["6,2", "6,2", "OK"]
    assert "r, axis 2: from data" in run.out
    assert "r, axis 3: from data" in run.out
    assert Run(capsys, "offsets", write(text.replace("offset: 2", "offset: 3"))).status == 1


def test_a_net_without_crops(write, capsys):
    run = Run(capsys, "offsets", write('input: "data" input_dim: [1, 3, 9, 9]'))
    assert (run.status, run.out) == (0, "the net has no Crop layer\n")


@pytest.mark.parametrize("command", ["shapes", "offsets"])
def test_bad_nets(write, capsys, command):
    assert "net.prototxt:1:14: " in Run(capsys, command, write('layer { name "x" }')).error()
    assert "nothing.prototxt: No such file" in Run(capsys, command, "nothing.prototxt").error()
    message = Run(capsys, command, write('input: "x" input_dim: [1, 3, 9, 9]'), "--input", "x=1,0").error()
    assert "'x=1,0' is not of the form data=1,3,500,500" in message
