"""Output sizes of deconvolutions: exactly `stride` legal ones, and every framework's own choice."""

import numpy as np
import pytest
from geometry_cases import brute_forward, dilations, explicit_modes, kernels, modes, same_modes, span, strides
from hypothesis import assume, given
from hypothesis import strategies as st
from test_geometry_sizes import SAME, golden, or_none

from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import (
    check_deconv_output_size,
    conv_output_size,
    deconv_default_size,
    deconv_output_shape,
    deconv_output_size,
    deconv_output_sizes,
    onnx_deconv_pads,
    resolve_pads,
)

inputs = st.integers(1, 9)


@given(inputs, kernels, strides, modes, dilations)
def test_legal_sizes_are_those_whose_forward_size_is_the_input(n, kernel, stride, mode, dilation):
    legal = deconv_output_sizes(n, kernel, stride, mode, dilation)
    beyond = n * stride + span(kernel, dilation) + 2
    assert list(legal) == [
        size for size in range(1, beyond) if brute_forward(size, kernel, stride, mode, dilation) == n
    ]
    # Pads that crop the whole output leave fewer sizes of at least one cell; otherwise there are `stride`.
    assert len(legal) == stride or (len(legal) < stride and (not legal or legal[0] == 1))


@given(inputs, kernels, strides, same_modes, dilations)
def test_same_has_stride_many_sizes_whatever_the_kernel(n, kernel, stride, mode, dilation):
    legal = deconv_output_sizes(n, kernel, stride, mode, dilation)
    assert (legal[0], legal[-1], len(legal)) == ((n - 1) * stride + 1, n * stride, stride)


@given(inputs, kernels, strides, modes, dilations)
def test_every_other_size_is_refused_with_the_whole_story(n, kernel, stride, mode, dilation):
    legal = deconv_output_sizes(n, kernel, stride, mode, dilation)
    for size in range(-2, n * stride + span(kernel, dilation) + 4):
        if size in legal:
            assert check_deconv_output_size(size, n, kernel, stride, mode, dilation) == size
            continue
        with pytest.raises(SizeError) as caught:
            check_deconv_output_size(size, n, kernel, stride, mode, dilation, axis=3)
        error = caught.value
        assert (error.axis, error.actual, error.legal) == (3, n, tuple(legal))
        expected = brute_forward(size, kernel, stride, mode, dilation) if size > 0 else 0
        assert error.computed == expected != n


@given(st.integers(1, 60), kernels, strides, modes, dilations)
def test_a_deconvolution_can_always_lead_back(size, kernel, stride, mode, dilation):
    n = or_none(conv_output_size, size, kernel, stride, mode, dilation)
    assume(n is not None)
    assert deconv_output_size(n, kernel, stride, mode, dilation, output_size=size) == size
    assert size in deconv_output_sizes(n, kernel, stride, mode, dilation)


@given(inputs, kernels, strides, explicit_modes, dilations)
def test_the_default_is_the_smallest(n, kernel, stride, mode, dilation):
    legal = deconv_output_sizes(n, kernel, stride, mode, dilation)
    if len(legal) == stride:
        assert deconv_output_size(n, kernel, stride, mode, dilation) == min(legal)
        assert deconv_default_size(n, kernel, stride, mode, dilation) == min(legal)
    else:
        with pytest.raises(SizeError, match="nothing is left"):
            deconv_output_size(n, kernel, stride, mode, dilation)


@pytest.mark.parametrize(
    ("asked", "n", "kernel", "stride", "mode", "computed", "legal"),
    [
        (4, 4, 3, 2, "same", 2, (7, 8)),
        (7, 7, 3, 2, "same", 4, (13, 14)),
        (3, 1, 5, 4, "valid", 0, (5, 6, 7, 8)),
        (9, 1, 5, 4, "valid", 2, (5, 6, 7, 8)),
        (11, 1, 5, 4, "valid", 2, (5, 6, 7, 8)),
        (5, 1, 5, 4, "same", 2, (1, 2, 3, 4)),
        (3, 1, 3, 1, "same", 3, (1,)),
        (8, 5, 4, 2, "same", 4, (9, 10)),
    ],
)
def test_the_questions_people_asked(asked, n, kernel, stride, mode, computed, legal):
    with pytest.raises(SizeError) as caught:
        check_deconv_output_size(asked, n, kernel, stride, mode)
    error = caught.value
    assert (error.actual, error.computed, error.legal) == (n, computed, legal)
    text = str(error)
    assert f"output size {asked} is impossible" in text
    assert f"size {n} (actual)" in text and f"to {computed} (computed)" in text
    assert ", ".join(map(str, legal)) in text
    assert ("rounds down" in text) == (stride > 1)


def test_long_lists_are_shortened():
    with pytest.raises(SizeError, match=r"legal sizes: 544 to 575 .a convolution of stride 32 rounds down"):
        check_deconv_output_size(500, 16, 64, 32)


def test_the_axis_that_is_wrong_is_blamed():
    with pytest.raises(SizeError, match=r"^axis 2: ") as caught:
        deconv_output_shape((7, 4), 3, 2, "same", output_sizes=(14, 9), axes=(1, 2))
    assert (caught.value.axis, caught.value.actual, caught.value.computed) == (2, 4, 5)
    with pytest.raises(SizeError, match="output_sizes"):
        deconv_output_shape((7, 4), 3, 2, "same", output_sizes=(14, 9, 3))


def test_axes_are_independent_and_unknown_sizes_pass():
    assert deconv_output_shape((7, 9), (2, 3), (2, 4), ("same", (0, 1)), 1, (14, None)) == (14, 34)
    assert deconv_output_shape((None, 9), 3, 2, 1, output_sizes=(5, None)) == (5, 17)
    assert deconv_output_shape((7, 9), 2, 2, output_sizes=np.array([15, 18])) == (15, 18)
    assert deconv_output_size(None, 3, 2) is None


def test_nothing_can_be_spread_from_no_cells_and_no_output_has_none():
    with pytest.raises(SizeError, match="at least 1"):
        deconv_output_sizes(0, 3, 2)
    # n=1, k=1, s=2, pads 1+1: the formula says -1..0. With one pad it says 0..1, of which 1 is a size.
    assert not deconv_output_sizes(1, 1, 2, 1)
    assert list(deconv_output_sizes(1, 1, 2, (1, 0))) == [1]
    with pytest.raises(SizeError, match=r"crop all, unless you ask for one of the sizes 1$"):
        deconv_output_size(1, 1, 2, (1, 0))
    assert deconv_output_size(1, 1, 2, (1, 0), output_size=1) == 1
    with pytest.raises(SizeError, match="there is no legal size") as caught:
        check_deconv_output_size(1, 1, 1, 2, 1)
    assert caught.value.legal == ()


def test_sizes_and_legal_ranges_of_torch():
    refused = 0
    for n, kernel, stride, pad, dilation, op, expected in golden("torch_deconv"):
        if expected is not None and op >= stride:
            # torch lets dilation license an output_padding with which no convolution leads back.
            assert op < dilation and conv_output_size(expected, kernel, stride, pad, dilation) != n
            expected = None
        refused += expected is None
        arguments = dict(convention="torch", output_padding=op)
        assert or_none(deconv_default_size, n, kernel, stride, pad, dilation, **arguments) == expected
    assert 0 < refused < 60
    for n, kernel, stride, pad, dilation, least, greatest in golden("torch_legal"):
        legal = deconv_output_sizes(n, kernel, stride, pad, dilation)
        assert (legal[0], legal[-1]) == (least, greatest)


def test_sizes_and_pads_of_onnx_runtime():
    for n, kernel, stride, dilation, auto_pad, shape, before, size in golden("ort_deconv"):
        if shape is not None:
            assert size == shape
            assert onnx_deconv_pads(n, shape, kernel, stride, dilation, auto_pad=auto_pad)[0] == before
        elif span(kernel, dilation) >= stride:  # else ONNX Runtime leaves out the zeros that the standard asks for
            mode = SAME[auto_pad]
            assert deconv_default_size(n, kernel, stride, mode, dilation, convention="onnx") == size
            assert resolve_pads(mode, size, kernel, stride, dilation)[0] == before


@given(inputs, kernels, strides, dilations)
def test_defaults_of_tensorflows_layers(n, kernel, stride, dilation):
    k = span(kernel, dilation)
    expected = {"same": n * stride, "valid": n * stride + max(k - stride, 0), "full": (n - 1) * stride + 2 - k}
    for mode, size in expected.items():
        if size > 0:
            assert deconv_default_size(n, kernel, stride, mode, dilation, convention="tf") == size


@given(inputs, kernels, strides, dilations, st.integers(0, 5))
def test_output_padding_of_keras(n, kernel, stride, dilation, op):
    def ask(mode):
        return deconv_default_size(n, kernel, stride, mode, dilation, convention="keras", output_padding=op)

    if op >= stride:
        with pytest.raises(SizeError, match="must be smaller than the stride"):
            ask("valid")
        return
    k = span(kernel, dilation)
    assert ask("valid") == (n - 1) * stride + k + op
    if k % 2:
        assert ask("same") == (n - 1) * stride + 1 + op
    elif op == 0:
        # Keras documents this size and then fails on it: an even kernel loses a cell too many.
        if n * stride > stride:
            with pytest.raises(SizeError, match="impossible"):
                ask("same")
    else:
        assert ask("same") == (n - 1) * stride + op


def test_conventions_differ_as_the_autoencoder_of_nine_cells_shows():
    n = conv_output_size(9, 3, 2, "same")
    assert n == 5
    answers = {
        name: deconv_default_size(n, 3, 2, "same", convention=name) for name in ("smallest", "tf", "keras", "onnx")
    }
    assert answers == {"smallest": 9, "tf": 10, "keras": 9, "onnx": 10}
    assert deconv_default_size(None, 3, 2, convention="tf") is None


def test_a_convention_takes_only_what_it_knows():
    with pytest.raises(SizeError, match="means nothing"):
        deconv_default_size(5, 3, 2, convention="tf", output_padding=1)
    with pytest.raises(SizeError, match=r"smaller than the stride .=2. or the dilation .=1."):
        deconv_default_size(5, 3, 2, convention="torch", output_padding=2)
    with pytest.raises(SizeError, match="'smallest', 'tf', 'keras', 'torch', 'onnx'"):
        deconv_default_size(5, 3, 2, convention="mxnet")
