"""explain: what is told agrees with running the layers, and the drawings can be opened."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from cli_helpers import NETS, ROOT, Run, read

from deconv_legacy import geometry, reference
from deconv_legacy.caffe import build_net, read_net
from deconv_legacy.cli import _explain_frameworks
from deconv_legacy.cli._explain_frameworks import FRAMEWORKS, Call

PROTOTXT = NETS / "fcn8s" / "deploy.prototxt"


def test_a_deconvolution(capsys, tmp_path):
    words = ["explain", "deconv", "--input", "4", "--kernel", "3", "--stride", "2", "--pad", "1"]
    run = Run(capsys, *words, "--out", tmp_path / "d.svg")
    assert run.status == 0
    assert "legal sizes: 7, 8; here 7" in run.out and "uneven, a checkerboard" in run.out
    assert "   input 1  . 0 1 2 . . .\n" in run.out
    texts = [node.text for node in ET.parse(tmp_path / "d.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("2") >= 3 and any("kernel 3, stride 2" in text for text in texts)
    assert Run(capsys, *words, "--out", tmp_path / "d.png").status == 0
    pixels, mode = read(tmp_path / "d.png")
    assert mode == "RGB" and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 4
    even = Run(capsys, "explain", "deconv", "--input", "3", "--kernel", "4", "--stride", "2", "--size", "9")
    assert "even, no checkerboard" in even.out and "no input reaches output 8: zero" in even.out


@pytest.mark.parametrize("rule", [(4, 3, 2, 1, 1, None), (3, 2, 3, (0, 1), 2, None), (5, 4, 3, (2, 0), 1, 15)])
def test_the_taps_are_those_of_the_reference(rule):
    from deconv_legacy.cli import _explain_deconv

    facts = _explain_deconv.describe(*rule)
    n, kernel, stride, _, dilation, _ = rule
    pads = [tuple(facts["pads"])]
    for source in range(n):
        one = np.zeros((1, 1, n))
        one[0, 0, source] = 1
        w = np.arange(1.0, kernel + 1).reshape(1, 1, kernel)
        y = reference.conv_input_grad(w, one, [facts["size"]], stride, pads, dilation)[0, 0]
        told = [dict(map(tuple, taps)).get(source) for taps in facts["taps"]]
        assert [None if v == 0 else int(v) - 1 for v in y] == told
    assert facts["overlap"] == [len(taps) for taps in facts["taps"]]


def test_a_net(capsys, tmp_path):
    out = tmp_path / "field.png"
    words = ["explain", PROTOTXT, "--photo", ROOT / "examples" / "photo.png", "--pixel", "150,200"]
    run = Run(capsys, *words, "--out", out)
    assert run.status == 0, run.err
    assert "conv1_1 pads by 100: the least pad that works for every image is 97" in run.out
    assert "score crops upscore8 to data: offset 31, 31 (OK)" in run.out
    assert "rows -93 to 374, columns -29 to 438" in run.out
    pixels, _ = read(out)
    # 93 rows above the photo's 300 and 75 below, 29 columns before its 400 and 39 behind
    assert pixels.shape == (93 + 300 + 75, 29 + 400 + 39, 3)
    assert (pixels[93 + 150, 29 + 200] == (255, 0, 0)).all()
    facts = json.loads(Run(capsys, "explain", PROTOTXT, "--input", "data=1,3,97,131", "--json").out)
    assert facts["pixel"] == [48, 65] and facts["walk"][-1]["sizes"] == [[1, 4, 97, 131]]


def test_what_a_pixel_sees_is_what_moves_it():
    """Through every layer by numbers: ones as filters, sums as poolings, so that nothing that is seen cancels."""
    from deconv_legacy.cli import shapes
    from deconv_legacy.layers import all_layers

    net = build_net(read_net(PROTOTXT), input_shapes={"data": (1, 3, 40, 61)}, free=False)
    for variables in net.params().values():
        for variable in variables:
            variable.set_value(np.full_like(variable.get_value(), 0.05))
    function = net.function(["score"], backend="numpy")
    order = all_layers(net.blobs["score"])[::-1]
    at = (39, 60)
    span = shapes.Fields().span(order, net.input_layers[0], 2, at[0])
    base = function(np.ones((1, 3, 40, 61), "float32"))[0][0, 0][at]
    moved = np.ones((1, 3, 40, 61), "float32")
    moved[:, :, max(span[0], 0) : span[1] + 1] = 2
    assert function(moved)[0][0, 0][at] > base
    outside = np.full((1, 3, 40, 61), 2, "float32")
    outside[:, :, max(span[0], 0) : span[1] + 1] = 1
    assert function(outside)[0][0, 0][at] == base


def cases():
    for n, kernel, stride, pads, dilation in (
        (4, 3, 2, (1, 1), 1),
        (5, 4, 3, (0, 2), 1),
        (3, 2, 1, (0, 0), 2),
        (5, 3, 2, (0, 1), 1),
        (2, 2, 4, (0, 0), 1),
    ):
        for size in geometry.deconv_output_sizes(n, kernel, stride, pads, dilation):
            yield Call(n, kernel, stride, *pads, dilation, size)


@pytest.mark.parametrize("call", list(cases()), ids=str)
def test_every_framework_has_words_and_those_installed_agree(call):
    table = _explain_frameworks.translate(call)
    assert [row["framework"] for row in table] == list(FRAMEWORKS)
    assert all(row["call"] for row in table)
    for row in table:
        found = _explain_frameworks.check(row["framework"], call)
        assert found["error"] is None or found["error"] < 1e-5, found
    assert _explain_frameworks.check("ours", call)["error"] is not None


@pytest.mark.parametrize("kind", ["torch", "tf", "keras", "onnx", "theano", "lasagne", "caffe"])
def test_a_layer_in_other_words(capsys, kind):
    run = Run(capsys, "explain", kind, "--input", "4", "--kernel", "3", "--stride", "2", "--pad", "1", "--size", "8")
    assert run.status == 0 and run.out.splitlines()[2].startswith(f"{kind}: ")
    assert "padding=1, output_padding=1" in run.out and "pads=[1, 1, 1, 1], output_padding=[1, 1]" in run.out
    assert "agrees: deconv_legacy" in run.out


def test_same(capsys):
    run = Run(capsys, "explain", "tf", "--input", "5", "--kernel", "3", "--stride", "2", "--padding", "SAME")
    assert "output 10," in run.out and 'padding="SAME"' in run.out
    assert re.search(r'keras: Conv2DTranspose\(out, 3, 2, padding="same"\)', run.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deconv", "--input", "4"], "--input and --kernel are needed"),
        (["deconv", "--input", "4", "--kernel", "3", "--pad", "1,2,3"], "one number or BEFORE,AFTER"),
        (["deconv", "--input", "4", "--kernel", "3", "--stride", "2", "--size", "20"], "legal sizes: 9, 10"),
        (["deconv", "--input", "4", "--kernel", "3", "--out", "x.gif"], "a drawing is .svg or .png"),
        (["mxnet"], "is none of deconv, theano,"),
        ([PROTOTXT, "--pixel", "97,0"], "is not in the output 'score', which has 97 x 131"),
        ([PROTOTXT, "--pixel", "97"], "is not of the form ROW,COLUMN"),
        (["deconv", "--input", "4", "--kernel", "3", "--pad", "1", "--padding", "SAME"], "give one of them"),
        (["deconv", "--input", "4", "--kernel", "3", "--pixel", "1,1"], "--pixel has no meaning here"),
        (["torch", "--input", "4", "--kernel", "3", "--out", "x.svg"], "--out has no meaning here"),
        ([PROTOTXT, "--kernel", "3"], "--kernel has no meaning here"),
        ([PROTOTXT, "--input", "image=1,3,97,131"], "'image', which is no input of the net; its inputs: data"),
        (["deconv", "--input", "400", "--kernel", "3", "--out", "x.svg"], "402 cells is too large to draw; up to 256"),
    ],
    ids=range(13),
)
def test_errors_in_one_line(capsys, words, message):
    assert message in Run(capsys, "explain", *words).error()


def test_of_a_long_axis_the_beginning_is_shown(capsys):
    run = Run(capsys, "explain", "deconv", "--input", "4000", "--kernel", "3", "--stride", "2", "--pad", "1")
    lines = run.out.splitlines()
    assert run.status == 0 and "(the first 64 of 7999 outputs)" in lines
    assert len(lines) < 120 and max(map(len, lines)) < 400
    assert "input 32" in run.out and "input 33" not in run.out
