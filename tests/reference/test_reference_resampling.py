"""Enlarging and cropping: the identities between the ways, and the rules at borders."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deconv_legacy import reference as ref
from deconv_legacy.errors import SizeError

X = np.random.default_rng(7).standard_normal((2, 3, 4, 5))


def test_unpool_undoes_a_pooling_without_overlap():
    y, mask = ref.caffe_max_pool(X, 2, 2)
    unpooled = ref.unpool(y, mask, X.shape[2:])
    assert_array_equal(ref.caffe_max_pool(unpooled - 10 * (unpooled == 0), 2, 2)[0], y)
    assert np.count_nonzero(unpooled) == y.size
    g = np.random.default_rng(8).standard_normal(unpooled.shape)
    assert_allclose(np.vdot(ref.unpool_grad(mask, g), y), np.vdot(g, unpooled))


def test_unpool_of_overlapping_windows_keeps_the_last_value():
    mask = np.array([[[1, 1, 3]]])
    assert_array_equal(ref.unpool([[[5, 6, 7]]], mask, [4]), [[[0, 6, 0, 7]]])
    assert_array_equal(ref.unpool_grad(mask, [[[1, 2, 3, 4]]]), [[[2, 2, 4]]])
    for bad in (-1, 4):
        with pytest.raises(SizeError, match="mask"):
            ref.unpool([[[5]]], np.array([[[bad]]]), [4])


def test_average_unpooling():
    up = ref.repeat(X, (2, 3))
    assert_array_equal(up, ref.nearest_resize(X, (8, 15)))
    assert_allclose(ref.tf_avg_pool(up, (2, 3), (2, 3), "VALID"), X)
    # As a deconvolution: one filter of ones per channel; dense, the identity.
    ones, eye = np.ones((3, 1, 2, 3)), np.eye(3)[:, :, None, None] * np.ones((2, 3))
    assert_array_equal(ref.conv_input_grad(ones, X, (8, 15), (2, 3), groups=3), up)
    assert_array_equal(ref.conv_input_grad(eye, X, (8, 15), (2, 3)), up)


def test_ones_filter_on_arange():
    x = np.arange(15.0).reshape(1, 1, 3, 5)
    assert_array_equal(ref.conv_input_grad(np.ones((1, 1, 2, 2)), x, (6, 10), 2), x.repeat(2, 2).repeat(2, 3))


def test_zero_insertion():
    up = ref.zero_insert(X, (2, 3))
    assert_array_equal(up[:, :, ::2, ::3], X)
    assert np.count_nonzero(up) == X.size
    unit = np.ones((3, 1, 1, 1))
    assert_array_equal(ref.conv_input_grad(unit, X, (8, 15), (2, 3), groups=3), up)


@pytest.mark.parametrize("factor", [(2, 3), (4, 1), (5, 2)])
def test_bilinear_deconvolution_is_interpolation_away_from_the_border(factor):
    size = tuple(n * f for n, f in zip(X.shape[2:], factor, strict=True))
    got, expected = ref.upsample_by_deconvolution(X, factor), ref.linear_resize(X, size)
    h, w = (f // 2 for f in factor)
    inner = (slice(None), slice(None), slice(h, size[0] - h), slice(w, size[1] - w))
    assert_allclose(got[inner], expected[inner], atol=1e-12)
    assert np.abs(got - expected).max() > 0.01  # the border fades


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "corner"])
def test_linear_resize_is_exact_on_a_ramp(coordinates):
    ramp = np.arange(5.0)[None, None] * 3 + 1
    n, o = 5, 9
    source = {
        "half_pixel": (np.arange(o) + 0.5) * n / o - 0.5,
        "align_corners": np.linspace(0, n - 1, o),
        "corner": np.arange(o) * n / o,
    }[coordinates]
    assert_allclose(ref.linear_resize(ramp, [o], coordinates)[0, 0], np.clip(source, 0, 4) * 3 + 1)


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "corner"])
@pytest.mark.parametrize("size", [(7, 3), (1, 12)])
def test_linear_resize_gradient_is_adjoint(coordinates, size):
    y = ref.linear_resize(X, size, coordinates)
    assert y.shape == (2, 3, *size)
    g = np.random.default_rng(9).standard_normal(y.shape)
    assert_allclose(np.vdot(ref.linear_resize_grad(g, (4, 5), coordinates), X), np.vdot(g, y))


def test_interp_keeps_the_corners_and_the_cells():
    # out = in + (in - 1) (zoom - 1): every zoom-th output cell is an input cell.
    zoom = 3
    size = tuple(n + (n - 1) * (zoom - 1) for n in X.shape[2:])
    assert_allclose(ref.linear_resize(X, size, "align_corners")[:, :, ::zoom, ::zoom], X, atol=1e-12)
    with pytest.raises(SizeError, match="coordinates"):
        ref.linear_resize(X, size, "align-corners")


def test_nearest_resize_of_any_size():
    assert_array_equal(ref.nearest_resize(X, (7, 3))[0, 0, :, 0], X[0, 0, [0, 0, 1, 1, 2, 2, 3], 0])
    assert_array_equal(ref.nearest_resize(X, (7, 3))[0, 0, 0], X[0, 0, 0, [0, 1, 3]])


def test_crop_takes_the_sizes_of_the_other():
    like = (1, 9, 2, 3)
    assert_array_equal(ref.crop(X, like), X[:, :, :2, :3])
    assert_array_equal(ref.crop(X, like, (1, 2)), X[:, :, 1:3, 2:5])
    assert_array_equal(ref.crop(X, (1, 9, 9, 3), 1, axis=-1), X[..., 1:4])
    assert_array_equal(ref.crop(X, (1, 2, 2, 3), (1, 0, 1), axis=1), X[:, 1:3, :2, 1:4])
    g = np.random.default_rng(10).standard_normal((2, 3, 2, 3))
    assert_array_equal(ref.crop_grad(g, X.shape, (1, 2))[:, :, 1:3, 2:5], g)
    assert np.count_nonzero(ref.crop_grad(g, X.shape, (1, 2))) == g.size
    with pytest.raises(SizeError, match="axis 3 has 5 cells, not 6"):
        ref.crop(X, like, (1, 3))
    with pytest.raises(SizeError, match="offset"):
        ref.crop(X, like, (1, 2, 3))
