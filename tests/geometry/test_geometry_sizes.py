"""Forward sizes: convolution, pooling, crop, interpolation."""

import json
from pathlib import Path

import numpy as np
import pytest
from geometry_cases import alexnet, brute_forward, brute_pads, dilations, kernels, modes, strides, vgg
from hypothesis import assume, given
from hypothesis import strategies as st

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import (
    Step,
    chain_sizes,
    conv_output_shape,
    conv_output_size,
    crop_range,
    dilated_kernel,
    formulas,
    interp_output_size,
    mirror_output_sizes,
    pool_output_shape,
    pool_output_size,
    resolve_all_pads,
    resolve_pads,
)

GOLDEN = json.loads((Path(__file__).parent / "golden_sizes.json").read_text())
CAFFE = Path(__file__).parents[1] / "data" / "caffe" / "nets"
SAME = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


def golden(name):
    """The rows of one table, as parameters."""
    (key,) = (key for key in GOLDEN if key.startswith(name + ":"))
    return GOLDEN[key]


def or_none(function, *arguments, **keywords):
    try:
        return function(*arguments, **keywords)
    except SizeError:
        return None


@given(st.integers(1, 40), kernels, strides, modes, dilations)
def test_conv_size_counts_windows_and_pads_are_as_documented(size, kernel, stride, mode, dilation):
    expected = brute_forward(size, kernel, stride, mode, dilation)
    assert resolve_pads(mode, size, kernel, stride, dilation) == brute_pads(mode, size, kernel, stride, dilation)
    if expected:
        assert conv_output_size(size, kernel, stride, mode, dilation) == expected
    else:
        with pytest.raises(SizeError, match="larger than the input"):
            conv_output_size(size, kernel, stride, mode, dilation)


@given(st.integers(1, 40), kernels, strides, dilations, st.integers(0, 60), st.integers(0, 60))
def test_cells_that_see_the_image(size, kernel, stride, dilation, before, after):
    k = formulas.dilated(kernel, dilation)
    n = formulas.conv(size, k, stride, before + after)
    assume(n > 0)
    seeing = [q for q in range(n) if q * stride < before + size and q * stride + k > before]
    first, cells, b, a = formulas.seeing(size, k, stride, before, after)
    assert first >= 0 and 0 < cells <= n - first and set(seeing) <= set(range(first, first + cells))
    assert 0 <= b == before - first * stride and 0 <= a <= after
    assert formulas.conv(size, k, stride, b + a) == cells  # the image and these pads give just these
    if seeing and k >= stride:
        assert (first, first + cells - 1) == (seeing[0], seeing[-1]) and b < k and a < k


@given(st.integers(1, 40), kernels, strides, dilations)
def test_same_is_size_over_stride_rounded_up(size, kernel, stride, dilation):
    expected = len(range(0, size, stride))
    assert conv_output_size(size, kernel, stride, "same", dilation) == expected
    assert conv_output_size(size, kernel, stride, "same_lower", dilation) == expected


@pytest.mark.parametrize("name", ["torch_conv", "theano_conv"])
def test_conv_sizes_of_torch_and_theano(name):
    for size, kernel, stride, mode, dilation, expected in golden(name):
        # Theano computes sizes below 1 without a word; here they are errors.
        expected = None if expected is None or expected < 1 else expected
        assert or_none(conv_output_size, size, kernel, stride, mode, dilation) == expected


def test_same_pads_of_onnx_runtime():
    checked = 0
    for size, kernel, stride, auto_pad, before, expected in golden("ort_same"):
        assert conv_output_size(size, kernel, stride, SAME[auto_pad]) == expected
        if kernel >= stride:  # else ONNX Runtime's pads are negative where TensorFlow's are 0
            assert resolve_pads(SAME[auto_pad], size, kernel, stride)[0] == before
            checked += 1
    assert checked > 30


def test_unknown_sizes_stay_unknown_but_arguments_are_checked():
    assert conv_output_shape((None, 9), 3, 2) == (None, 4)
    assert pool_output_shape((None, 9), 3, 2) == (None, 4)
    assert interp_output_size(None, zoom=2) is None
    assert chain_sizes(None, [Step("conv", 3), Step("deconv", 4, 2), Step("identity")]) == (None,) * 4
    assert resolve_all_pads("same", (None, 9), 3, 2) == (None, (1, 1))
    assert resolve_pads("same", None, 4, 1) == (1, 2)  # with stride 1 the size does not matter
    assert resolve_pads("half", None, 4, 3) == (2, 2)


def test_an_axis_is_named_by_its_own_number():
    with pytest.raises(SizeError, match=r"axis 3: a kernel of 9 .3 taps, dilated") as caught:
        conv_output_shape((9, 8), 3, 1, 0, 4, axes=(2, 3))
    assert caught.value.axis == 3


@pytest.mark.parametrize(
    ("name", "rounding"), [("torch_pool", ("floor", "ceil")), ("theano_pool", ("theano", "floor"))]
)
def test_pool_sizes_of_torch_and_theano(name, rounding):
    for size, kernel, stride, pad, flag, expected in golden(name):
        expected = expected or None  # Theano: no window at all
        assert or_none(pool_output_size, size, kernel, stride, pad, rounding[flag]) == expected


def caffe_windows(size, kernel, stride, pad, drop):
    """Caffe's rule in its own float32 arithmetic."""
    quotient = np.float32(size + 2 * pad - kernel) / np.float32(stride)
    windows = int(np.ceil(quotient)) + 1
    return windows - 1 if drop and (windows - 1) * stride >= size + pad else windows


@given(st.integers(1, 60), kernels, strides, st.data())
def test_pool_size_of_caffe(size, kernel, stride, data):
    pad = data.draw(st.integers(0, kernel - 1))
    expected = caffe_windows(size, kernel, stride, pad, drop=pad > 0)
    assert or_none(pool_output_size, size, kernel, stride, pad, "caffe") == (expected if expected > 0 else None)


@given(st.integers(1, 2**12), st.integers(1, 2**12), st.integers(-2, 2))
def test_integers_round_as_caffes_float32_does(stride, windows, near):
    # Quotients next to an integer, and as large as a float32 can count.
    size = max(min(stride * windows + near, 2**24 - 1), 1)
    assert pool_output_size(size, 1, stride, 0, "caffe") == caffe_windows(size, 1, stride, 0, drop=False)


def test_a_pad_on_one_axis_changes_caffes_rule_on_the_other():
    assert pool_output_shape((5, 6), (1, 2), 3, 0, "caffe") == (3, 3)
    assert pool_output_shape((5, 6), (1, 2), 3, (0, 1), "caffe") == (2, 3)


@pytest.mark.parametrize("rounding", ["floor", "ceil", "caffe"])
def test_a_pool_window_is_larger_than_its_pad(rounding):
    with pytest.raises(SizeError, match="must be smaller than the window"):
        pool_output_size(9, 3, 2, 3, rounding)


def test_theano_does_not_pad_partial_windows():
    with pytest.raises(SizeError, match="ignore_border"):
        pool_output_size(9, 3, 2, 1, "theano")


def test_an_unknown_rounding_lists_the_known_ones():
    with pytest.raises(SizeError, match="'floor', 'ceil', 'caffe', 'theano'"):
        pool_output_size(9, 3, 2, 0, "round")


def test_tensorflow_pools_as_it_convolves():
    for size in range(1, 20):
        assert pool_output_size(size, 3, 2, "same") == -(-size // 2)
    assert [pool_output_size(size, 3, 2, "valid") for size in (3, 4, 5)] == [1, 1, 2]


def test_crop_range():
    assert crop_range(544, 500, 19) == (19, 519)
    assert crop_range(5, 5) == (0, 5)
    with pytest.raises(SizeError, match=r"axis 2: .*offsets 0 to 2 are legal"):
        crop_range(10, 8, 3, axis=2)
    with pytest.raises(SizeError, match=r"beyond the 10 there are$"):
        crop_range(10, 12)
    for size, target in ((10, 0), (-1, 3)):
        with pytest.raises(SizeError, match=rf"axis 3: a crop of {size} cells to {target}: .*image is too small"):
            crop_range(size, target, axis=3)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9))
def test_interp_keeps_end_cells(size, zoom, shrink):
    kept = len(range(0, size, shrink))
    assert interp_output_size(size, zoom, shrink) == len(range(0, kept * zoom, 1)) - zoom + 1


def test_interp_pads_crop():
    assert interp_output_size(42, zoom=8, pads=(0, -1)) == interp_output_size(41, zoom=8) == 321
    with pytest.raises(SizeError, match="Interp crop"):
        interp_output_size(42, pads=(0, 1))
    with pytest.raises(SizeError, match="leave nothing"):
        interp_output_size(2, pads=(-1, -1))


@pytest.mark.parametrize(("axis", "size"), [(2, 97), (3, 131)])
def test_the_sizes_of_fcn_are_those_of_caffe(axis, size):
    with np.load(CAFFE / "fcn32s" / "io_97x131.npz") as arrays:
        stats = json.loads(str(arrays["blob_stats"]))
    steps = [*vgg(), Step("deconv", 64, 32, name="upscore")]
    compared = 0
    for step, after in zip(steps, chain_sizes(size, steps)[1:], strict=True):
        if step.kind != "identity":
            assert stats[step.name][0][axis] == after, step.name
            compared += 1
    assert compared == 22


def test_the_sizes_that_the_papers_code_gives():
    steps = [*vgg(), Step("deconv", 64, 32)]
    assert [chain_sizes(size, steps)[-2:] for size in (500, 224, 1)] == [(16, 544), (8, 288), (1, 64)]
    assert chain_sizes(500, vgg())[1] == 698
    assert chain_sizes(500, alexnet())[-1] == 16


def test_mirror_leads_back_where_doubling_does_not():
    encoder = [Step("conv", 3, 2, "same")] * 5
    assert chain_sizes(112, encoder) == (112, 56, 28, 14, 7, 4)
    targets = mirror_output_sizes(112, encoder)
    assert targets == (7, 14, 28, 56, 112)
    decoder = [Step("deconv", 3, 2, "same", output_size=target) for target in targets]
    assert chain_sizes(4, decoder) == (4, *targets)


@given(st.integers(20, 90), st.lists(st.tuples(kernels, strides, modes), min_size=1, max_size=3))
def test_every_size_of_a_mirror_is_legal(size, layers):
    encoder = [Step("conv", *layer) for layer in layers]
    sizes = or_none(chain_sizes, size, encoder)
    if sizes is not None:
        targets = mirror_output_sizes(size, encoder)
        decoder = [
            Step("deconv", *layer, output_size=target) for layer, target in zip(reversed(layers), targets, strict=True)
        ]
        assert chain_sizes(sizes[-1], decoder) == sizes[::-1]


def test_a_step_is_named_in_its_errors():
    with pytest.raises(SizeError, match=r"^fc6 \(conv\): a kernel of 7 is larger"):
        chain_sizes(64, vgg(pad=1))
    with pytest.raises(SizeError, match=r"^up \(deconv\): `stride`"):
        Step("deconv", 4, 0, name="up")
    with pytest.raises(SizeError, match=r"`output_size` .=9. belongs to deconv and crop only"):
        Step("conv", 3, output_size=9)
    with pytest.raises(SizeError, match=r"`dilation` .=2. belongs to conv and deconv only"):
        Step("pool", 3, dilation=2)
    with pytest.raises(SizeError, match=r"^pool6 \(pool\): pooling pads .* smaller than the window"):
        Step("pool", 2, 2, 2, name="pool6")
    with pytest.raises(SizeError, match="legal are conv, pool, deconv, crop, identity"):
        Step("relu")
    with pytest.raises(SizeError, match=r"^score \(crop\): a crop to 9"):
        Step("crop", offset=2, output_size=9, name="score").size_after(10)


def test_dilated_kernel():
    assert [dilated_kernel(3, dilation) for dilation in (1, 2, 4)] == [3, 5, 9]
    assert dilated_kernel(1, 64) == 1
