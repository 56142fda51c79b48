"""Pooling: each rule written out cell by cell, gradients as adjoints, and the traps of each system."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from deconv_legacy import reference as ref
from deconv_legacy.errors import SizeError

LOWEST = float(np.finfo(np.float32).min)


def integers(rng, shape):
    """Small whole numbers, so that windows have several equal maxima."""
    return rng.integers(-3, 4, shape).astype(float)


@st.composite
def caffe_poolings(draw):
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    stride = [draw(st.integers(1, 5)) for _ in range(2)]
    pad = [draw(st.integers(0, k - 1)) for k in kernel]
    size = [draw(st.integers(1, 8)) for _ in range(2)]
    return size, kernel, stride, pad, draw(st.integers(0, 2**20))


def caffe_windows(size, kernel, stride, pad):
    """Caffe's loops, in floats as there: per axis (first cell, end, end with padding) of every window."""
    axes = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        out = int(np.ceil(np.float32(n + 2 * p - k) / np.float32(s))) + 1
        if pad != [0, 0] and (out - 1) * s >= n + p:
            out -= 1
        starts = [i * s - p for i in range(out)]
        axes.append([(start, min(start + k, n), min(start + k, n + p)) for start in starts])
    return axes


@settings(max_examples=60, deadline=None)
@given(caffe_poolings())
def test_caffe_rules(configuration):
    size, kernel, stride, pad, seed = configuration
    rows, columns = caffe_windows(size, kernel, stride, pad)
    if not rows or not columns:
        with pytest.raises(SizeError, match="no window"):
            ref.caffe_pool_sizes(size, kernel, stride, pad)
        return
    rng = np.random.default_rng(seed)
    x = integers(rng, (2, 3, *size))
    y, mask = ref.caffe_max_pool(x, kernel, stride, pad)
    average = ref.caffe_ave_pool(x, kernel, stride, pad)
    assert y.shape == average.shape == (2, 3, len(rows), len(columns))
    for n, c, (i, (h, h_end, h_padded)), (j, (w, w_end, w_padded)) in product(
        range(2), range(3), enumerate(rows), enumerate(columns)
    ):
        best, index, total = LOWEST, -1, 0.0
        for row, column in product(range(max(h, 0), h_end), range(max(w, 0), w_end)):
            total += x[n, c, row, column]
            if x[n, c, row, column] > best:
                best, index = x[n, c, row, column], row * size[1] + column
        assert (y[n, c, i, j], mask[n, c, i, j]) == (best, index)
        count = (h_padded - h) * (w_padded - w)
        if count:
            assert_allclose(average[n, c, i, j], total / count)
        else:
            assert np.isnan(average[n, c, i, j])

    g = rng.standard_normal(y.shape)
    g_x = ref.max_pool_grad(mask, g, size)
    if (mask >= 0).all():
        # Any other image with the same winners pools to its values at the mask.
        assert_allclose(np.vdot(g_x, x), np.vdot(g, y))
    if not np.isnan(average).any():
        assert_allclose(np.vdot(ref.caffe_ave_pool_grad(g, size, kernel, stride, pad), x), np.vdot(g, average))


def test_caffe_sizes():
    assert ref.caffe_pool_sizes((500, 375), 2, 2) == (250, 188)
    assert ref.caffe_pool_sizes((500, 375), 2, 2, round_mode="FLOOR") == (250, 187)
    # One padded axis is enough for the last window of the other to be dropped.
    assert ref.caffe_pool_sizes((6, 6), (1, 3), 3, (0, 0)) == (3, 2)
    assert ref.caffe_pool_sizes((6, 6), (1, 3), 3, (0, 1)) == (2, 3)
    # A kernel larger than the image still has one window if it is less than a stride too large.
    assert ref.caffe_pool_sizes((1, 2), 2, 2) == (1, 1)
    with pytest.raises(SizeError, match="no window"):
        ref.caffe_pool_sizes((1, 2), 3, 2)
    with pytest.raises(SizeError, match="pad 2 must be below kernel 2"):
        ref.caffe_pool_sizes((6, 6), 2, 2, 2)
    with pytest.raises(SizeError, match="round_mode"):
        ref.caffe_pool_sizes((6, 6), 2, 2, round_mode="ceil")


def test_caffe_max_ignores_nan():
    y, mask = ref.caffe_max_pool([[[np.nan, 1, np.nan, np.nan]]], 2, 2)
    assert_array_equal(y, [[[1, LOWEST]]])
    assert_array_equal(mask, [[[1, -1]]])


def test_caffe_max_gradient_goes_to_the_first_maximum():
    _, mask = ref.caffe_max_pool([[[[1, 7, 7], [7, 2, 0]]]], (2, 2), 1)
    assert_array_equal(mask, [[[[1, 1]]]])
    assert_array_equal(ref.max_pool_grad(mask, [[[[10, 20]]]], (2, 3)), [[[[0, 30, 0], [0, 0, 0]]]])


@st.composite
def theano_poolings(draw):
    ignore_border = draw(st.booleans())
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    stride = [draw(st.integers(1, 5)) for _ in range(2)]
    pad = [draw(st.integers(0, k - 1)) if ignore_border else 0 for k in kernel]
    size = [draw(st.integers(4, 8)) for _ in range(2)]
    return size, kernel, stride, pad, ignore_border, draw(st.integers(0, 2**20))


@settings(max_examples=60, deadline=None)
@given(theano_poolings())
def test_theano_rules(configuration):
    size, kernel, stride, pad, ignore_border, seed = configuration
    rng = np.random.default_rng(seed)
    x = integers(rng, (2, 3, *size))
    # As Theano's NumPy code does: on the padded image, whose windows end where the image ends.
    wide = [(0, 0), (0, 0), *((p, p) for p in pad)]
    images = {
        "max": np.pad(x, wide, constant_values=-np.inf),
        "sum": np.pad(x, wide),
        "average_inc_pad": np.pad(x, wide),
        "average_exc_pad": np.pad(x, wide, constant_values=np.nan),
    }
    reduce = {"max": np.max, "sum": np.sum, "average_inc_pad": np.mean, "average_exc_pad": np.nanmean}
    starts = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        if ignore_border:
            starts.append([i for i in range(0, n + 2 * p, s) if i + k <= n + 2 * p])
        else:  # until the end is reached
            starts.append([i for i in range(0, n, s) if i == 0 or s >= k or i + k - s < n])
    how = dict(stride=stride, pad=pad)
    for mode, image in images.items():
        y = ref.theano_pool(x, kernel, ignore_border, mode=mode, **how)
        expected = np.array(
            [[reduce[mode](image[:, :, i : i + kernel[0], j : j + kernel[1]], axis=(2, 3)) for j in starts[1]]
             for i in starts[0]]
        ).transpose(2, 3, 0, 1)  # fmt: skip
        assert_allclose(y, expected, err_msg=mode)
        if mode != "max":
            g = rng.standard_normal(y.shape)
            g_x = ref.theano_pool_grad(x, g, kernel, ignore_border, mode=mode, **how)
            assert_allclose(np.vdot(g_x, x), np.vdot(g, y), atol=1e-10)


def test_theano_max_gradient_goes_to_every_maximum():
    x = np.array([[[[1.0, 7, 7], [7, 2, 0]]]])
    got = ref.theano_pool_grad(x, [[[[10, 20]]]], 2, True, stride=1)
    assert_array_equal(got, [[[[0, 30, 20], [10, 0, 0]]]])


def test_theano_refusals():
    x = np.ones((1, 1, 4, 5))
    with pytest.raises(SizeError, match="ignore_border"):
        ref.theano_pool(x, 2, False, pad=1)
    with pytest.raises(SizeError, match="must be below kernel"):
        ref.theano_pool(x, 2, True, pad=(0, 2))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_tf_rules(padding):
    rng = np.random.default_rng(5)
    size, kernel, stride = (7, 8), (2, 3), (2, 3)
    x = integers(rng, (2, 3, *size))
    # SAME: 7 rows in windows of 2 lack 1, which is added below; 8 columns in windows of 3 lack 1, at the right.
    extra = [(0, 1), (0, 1)] if padding == "SAME" else [(0, -1), (0, -2)]
    image = np.full((2, 3, *(n + e for n, (_, e) in zip(size, extra, strict=True))), np.nan)
    rows, columns = (min(a, b) for a, b in zip(size, image.shape[2:], strict=True))
    image[:, :, :rows, :columns] = x[:, :, :rows, :columns]
    blocks = image.reshape(2, 3, image.shape[2] // 2, 2, image.shape[3] // 3, 3)
    y, mask = ref.tf_max_pool(x, kernel, stride, padding)
    assert_array_equal(y, np.nanmax(blocks, axis=(3, 5)))
    assert_array_equal(np.take_along_axis(x.reshape(2, 3, -1), mask.reshape(2, 3, -1), 2).reshape(y.shape), y)
    average = ref.tf_avg_pool(x, kernel, stride, padding)
    assert_allclose(average, np.nanmean(blocks, axis=(3, 5)))
    g = rng.standard_normal(average.shape)
    assert_allclose(np.vdot(ref.tf_avg_pool_grad(g, size, kernel, stride, padding), x), np.vdot(g, average))


def test_tf_same_begins_with_the_smaller_pad():
    # 5 cells, kernel 4, stride 2: total 3, one before and two after.
    assert_array_equal(ref.tf_max_pool([[[9, 1, 5, 2, 4]]], 4, 2, "SAME")[0], [[[9, 5, 4]]])
    assert_allclose(ref.tf_avg_pool([[[9, 1, 5, 2, 4]]], 4, 2, "SAME"), [[[5, 3, 3]]])
    with pytest.raises(SizeError, match="'SAME' or 'VALID', not 'same'"):
        ref.tf_avg_pool([[[1, 2]]], 2, 2, "same")


def test_three_axes_and_one():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 3, 4, 5, 6))
    blocks = x[:, :, :, :4].reshape(2, 3, 2, 2, 1, 4, 2, 3)
    y, _ = ref.caffe_max_pool(x, (2, 4, 3), (2, 4, 3), round_mode="FLOOR")
    assert_array_equal(y, blocks.max(axis=(3, 5, 7)))
    assert_array_equal(ref.theano_pool(x, (2, 4, 3), True), y)
    assert_allclose(ref.caffe_ave_pool(x, (2, 4, 3), (2, 4, 3), round_mode="FLOOR"), blocks.mean(axis=(3, 5, 7)))
    assert_array_equal(ref.theano_pool(x[:, :, 0, 0], 2, True, mode="sum"), x[:, :, 0, 0].reshape(2, 3, 3, 2).sum(3))
