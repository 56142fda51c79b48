"""The convolution and its gradients: independent formulations against each other, laws, and exact cases."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from deconv_legacy import reference as ref
from deconv_legacy.errors import SizeError


@st.composite
def configurations(draw, axes=(1, 2, 3)):
    """Random arrays x, w, g with settings; one to three axes, each axis with settings of its own."""
    n = draw(st.sampled_from(axes))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n))

    kernel, stride, dilation = each(1, 4 - n // 3), each(1, 3), each(1, 2)
    pads = tuple(zip(each(-1, 3), each(-1, 3), strict=True))
    out, remainder = each(1, 4 - n // 3), each(0, 2)
    size = tuple(
        max(s * (o - 1) + d * (k - 1) + 1 + r % s - b - e, 1)
        for s, o, d, k, r, (b, e) in zip(stride, out, dilation, kernel, remainder, pads, strict=True)
    )
    # A negative pad that leaves the kernel no room is widened.
    out = tuple(
        (i + b + e - d * (k - 1) - 1) // s + 1
        for i, (b, e), d, k, s in zip(size, pads, dilation, kernel, stride, strict=True)
    )
    groups = draw(st.integers(1, 2))
    c_in, c_out, batch = (draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    x = rng.standard_normal((batch, groups * c_in, *size))
    w = rng.standard_normal((groups * c_out, c_in, *kernel))
    g = rng.standard_normal((batch, groups * c_out, *out))
    settings_ = dict(stride=stride, pads=pads, dilation=dilation, groups=groups, flip=draw(st.booleans()))
    return x, w, g, settings_


@settings(max_examples=60, deadline=None)
@given(configurations())
def test_two_formulations_agree(configuration):
    x, w, g, how = configuration
    size, kernel = x.shape[2:], w.shape[2:]
    assert_allclose(ref.conv(x, w, **how), ref.conv_by_scipy(x, w, **how), atol=1e-12)
    assert_allclose(ref.conv_input_grad(w, g, size, **how), ref.conv_input_grad_by_scipy(w, g, size, **how), atol=1e-12)
    assert_allclose(
        ref.conv_weight_grad(x, g, kernel, **how), ref.conv_weight_grad_by_scipy(x, g, kernel, **how), atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(configurations())
def test_gradients_are_adjoint(configuration):
    x, w, g, how = configuration
    inner = np.vdot(ref.conv(x, w, **how), g)
    assert_allclose(np.vdot(x, ref.conv_input_grad(w, g, x.shape[2:], **how)), inner, atol=1e-10)
    assert_allclose(np.vdot(w, ref.conv_weight_grad(x, g, w.shape[2:], **how)), inner, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(configurations(axes=(1, 2)))
def test_matrix(configuration):
    x, w, g, how = configuration
    matrix = ref.conv_matrix(w, x.shape[2:], **how)
    assert_allclose(matrix @ x[0].ravel(), ref.conv(x[:1], w, **how).ravel(), atol=1e-12)
    expected = ref.conv_input_grad(w, g[:1], x.shape[2:], **how)
    assert_allclose(matrix.T @ g[0].ravel(), expected.ravel(), atol=1e-12)


def test_definition_written_out():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 6, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    (sh, sw), ((bh, eh), (bw, ew)), (dh, dw) = (2, 1), ((1, 2), (0, 3)), (1, 2)
    oh, ow = (7 + bh + eh - 3) // sh + 1, (6 + bw + ew - 3) // sw + 1
    for flip in (False, True):
        y = np.zeros((2, 4, oh, ow))
        for n, o, r, c, i, kh, kw in product(*map(range, (2, 4, oh, ow, 3, 3, 2))):
            row, column = r * sh + kh * dh - bh, c * sw + kw * dw - bw
            if 0 <= row < 7 and 0 <= column < 6:
                weight = w[o, i, 2 - kh, 1 - kw] if flip else w[o, i, kh, kw]
                y[n, o, r, c] += x[n, (o // 2) * 3 + i, row, column] * weight
        got = ref.conv(x, w, (sh, sw), ((bh, eh), (bw, ew)), (dh, dw), groups=2, flip=flip)
        assert_allclose(got, y, atol=1e-12)


def test_deconvolution_by_upfirdn():
    rng = np.random.default_rng(2)
    g, w = rng.standard_normal(5), rng.standard_normal(4)
    full = signal.upfirdn(w, g, up=3)
    got = ref.conv_input_grad(w[None, None], g[None, None], [14], stride=3, pads=[(2, 1)])
    assert_allclose(got[0, 0], np.append(full, 0)[2:16], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_exactly_stride_sizes_are_legal(n, k, s, before, after):
    w, g = np.ones((1, 1, k)), np.ones((1, 1, n))
    smallest = s * (n - 1) + k - before - after
    for size in range(max(smallest - 4, 1), smallest + s + 4):
        legal = smallest <= size < smallest + s
        if legal:
            assert ref.conv_input_grad(w, g, [size], s, [(before, after)]).shape == (1, 1, size)
        else:
            with pytest.raises(SizeError) as error:
                ref.conv_input_grad(w, g, [size], s, [(before, after)])
            assert (error.value.actual, error.value.axis) == (n, 2)
            assert error.value.computed == max((size + before + after - k) // s + 1, 0)


def test_known_sizes_of_old_posts():
    # The TF-1 autoencoder: 4 -> 7 or 8, and its message for 4.
    w, g = np.ones((2, 3, 3, 3)), np.ones((1, 2, 4, 4))
    with pytest.raises(SizeError, match=r"axis 2 has size 4.*size 4 has size 2") as error:
        ref.conv_input_grad(w, g, (4, 4), stride=2, pads=[(0, 1)] * 2)
    assert (error.value.actual, error.value.computed) == (4, 2)
    # conv3d_transpose, VALID, kernel 5, stride 4: sizes 5..8.
    w, g = np.full((1, 2, 5, 5, 5), 3.0), np.full((1, 1, 1, 1, 1), 2.0)
    full = ref.conv_input_grad(w, g, (5, 7, 8), stride=4)
    assert (full[:, :, :5, :5, :5] == 6).all() and full.sum() == 6 * 2 * 125
    for size, computed in ((4, 0), (9, 2)):
        with pytest.raises(SizeError) as error:
            ref.conv_input_grad(w, g, (5, 5, size), stride=4)
        assert (error.value.axis, error.value.computed) == (4, computed)


def test_stride_2_same_6x6():
    g = np.array([[0, 0, 1.5], [0, 1, 0], [0, 0, 0]])[None, None]
    w = np.array([[1.0, 2], [3, 4]])[None, None]
    expected = np.zeros((6, 6))
    expected[:4] = [[0, 0, 0, 0, 1.5, 3], [0, 0, 0, 0, 4.5, 6], [0, 0, 1, 2, 0, 0], [0, 0, 3, 4, 0, 0]]
    assert_array_equal(ref.conv_input_grad(w, g, (6, 6), stride=2)[0, 0], expected)


def test_crop_of_the_9_5_9_autoencoder():
    # SAME for 9 pads (1, 1), for 10 (0, 1): the larger result begins one cell earlier.
    rng = np.random.default_rng(3)
    w, g = rng.standard_normal((4, 3, 3, 3)), rng.standard_normal((2, 4, 5, 5))
    ten = ref.conv_input_grad(w, g, (10, 10), stride=2, pads=[(0, 1)] * 2)
    nine = ref.conv_input_grad(w, g, (9, 9), stride=2, pads=1)
    assert_allclose(nine, ten[:, :, 1:, 1:])


def test_manual_gradients_of_stride_1():
    # d_x: convolution of the padded g with the rotated filter; d_w: correlation of x with g.
    rng = np.random.default_rng(4)
    x, w, g = rng.standard_normal((8, 9)), rng.standard_normal((3, 2)), rng.standard_normal((6, 8))
    d_x = signal.correlate2d(np.pad(g, ((2, 2), (1, 1))), w[::-1, ::-1], mode="valid")
    d_w = signal.correlate2d(x, g, mode="valid")
    assert_allclose(ref.conv_input_grad(w[None, None], g[None, None], (8, 9))[0, 0], d_x, atol=1e-12)
    assert_allclose(ref.conv_weight_grad(x[None, None], g[None, None], (3, 2))[0, 0], d_w, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_float64(dtype):
    x, w = np.ones((1, 1, 3, 4), dtype), np.ones((1, 1, 2, 2), dtype)
    assert ref.conv(x, w).dtype == np.float64
    assert ref.conv_input_grad(w, ref.conv(x, w).astype(dtype), (3, 4)).dtype == np.float64


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (dict(stride=0), "stride"),
        (dict(stride=(1, 2, 3)), "3 values for 2"),
        (dict(dilation=(1, 0)), "dilation"),
        (dict(groups=0), "groups 0"),
        (dict(groups=3), "groups 3"),
        (dict(groups=2), "input has 3 channels"),
        (dict(pads=[(1, 1)]), "pads"),
        (dict(dilation=4), "does not fit"),
    ],
)
def test_impossible_settings(how, message):
    x, w = np.ones((1, 3, 4, 5)), np.ones((4, 3, 3, 2))
    for conv in (ref.conv, ref.conv_by_scipy):
        with pytest.raises(SizeError, match=message):
            conv(x, w, **how)


def test_output_channels_are_checked():
    for deconv in (ref.conv_input_grad, ref.conv_input_grad_by_scipy):
        with pytest.raises(SizeError, match="output has 5 channels"):
            deconv(np.ones((4, 3, 2)), np.ones((1, 5, 3)), [4])
