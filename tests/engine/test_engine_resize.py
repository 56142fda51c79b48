"""Interpolation in C and NumPy against the reference, and the laws of its transpose."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, aesara, at, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine import resize
from deconv_legacy.engine.resize import COORDINATES, ResizeGradient, linear_resize, nearest_resize
from deconv_legacy.engine.unpooling import repeat
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(9)
# up, down, one axis only, one cell, nothing at all
SIZES = [((5,), (9,)), ((3, 5), (7, 4)), ((4, 6), (4, 13)), ((1, 3), (4, 1)), ((2, 3, 4), (5, 2, 7)), ((3, 4), (3, 4))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes, out", SIZES)
def test_linear(sizes, out, backend):
    x, g = RNG.standard_normal((2, 3, *sizes)), RNG.standard_normal((2, 3, *out))

    def build(x, g):
        return [v for c in COORDINATES for y in [linear_resize(x, out, c)] for v in (y, gradient(y, x, g))]

    values = run(backend, build, x, g)
    for coordinates, y, gx in zip(COORDINATES, values[::2], values[1::2], strict=True):
        assert_close(y, reference.linear_resize(x, out, coordinates))
        assert_close(gx, reference.linear_resize_grad(g, sizes, coordinates))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes, out", SIZES)
def test_nearest(sizes, out, backend):
    x, g = RNG.standard_normal((2, 3, *sizes)), RNG.standard_normal((2, 3, *out))

    def build(x, g):
        y = nearest_resize(x, out)
        gx = gradient(y, x, g)
        return [y, gx, gradient(gx, g, x), aesara.gradient.Rop(y, x, 2 * x)]

    y, gx, again, doubled = run(backend, build, x, g)
    np.testing.assert_array_equal(y, reference.nearest_resize(x, out))
    np.testing.assert_allclose((gx * x).sum(), (g * y).sum())
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(doubled, 2 * y)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_views_symbolic_sizes_and_empty_batches(backend):
    x = RNG.standard_normal((4, 3, 2, 5)).astype("float32")

    def build(x, size):
        view = x.transpose(2, 1, 0, 3)[:, :, ::-1]
        return [
            linear_resize(view, size, "align_corners"),
            nearest_resize(x[:0], [size[0], 7]),
            nearest_resize(x, (4, 15)),
            repeat(x, (2, 3)),
        ]

    size = np.array([9, 4])
    y, empty, nearest, repeated = run(backend, build, x, size)
    assert y.dtype == "float32"
    assert_close(y, reference.linear_resize(x.transpose(2, 1, 0, 3)[:, :, ::-1], size, "align_corners"), "float32")
    assert empty.shape == (0, 3, 9, 7)
    np.testing.assert_array_equal(nearest, repeated)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cell_without_weight_is_not_looked_at(backend):
    x = np.array([[[1.0, np.nan, 3.0]]])
    y = run(backend, lambda x: linear_resize(x, [5], "align_corners"), x)
    np.testing.assert_array_equal(y, [[[1, np.nan, np.nan, np.nan, 3]]])


def test_nothing_is_done_where_sizes_stay():
    x = at.tensor("float32", shape=(None, 3, 4, 5))
    assert linear_resize(x, (4, 5)) is x
    assert linear_resize(x, (4, 6)).type.shape == (None, 3, 4, 6)
    assert nearest_resize(x, [8, at.iscalar()]).type.shape == (None, 3, 8, None)
    gx = aesara.grad(linear_resize(x, (8, 9)).sum(), x)
    f = aesara.function([x], [linear_resize(x, (8, 9)).shape, gx.shape])
    assert not any(isinstance(node.op, resize._ResizeOp) for node in f.maker.fgraph.apply_nodes)
    shapes = f(np.zeros((2, 3, 4, 5), "float32"))
    assert [tuple(s) for s in shapes] == [(2, 3, 8, 9), (2, 3, 4, 5)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_is_refused(backend):
    x = np.ones((1, 2, 3, 4))
    with pytest.raises(SizeError, match=r"axis 3 .* size 4 to 0"):
        run(backend, lambda x, s: linear_resize(x, s), x, np.array([5, 0]))
    with pytest.raises(SizeError, match=r"axis 2 .* size 0 to 5"):
        run(backend, lambda x: linear_resize(x, (5, 6)), x[:, :, :0])
    with pytest.raises(SizeError, match="for 2 axes"):
        run(backend, lambda x, s: nearest_resize(x, s), x, np.array([5, 6, 7]))
    with pytest.raises(SizeError, match="for 2 axes"):
        run(backend, lambda g, s: ResizeGradient(2)(g, s), x, np.array([5]))
    with pytest.raises(SizeError, match=r"\(5, 0\)"):
        linear_resize(at.tensor4(), (5, 0))
    with pytest.raises(SizeError, match="axis 3 has size 0"):
        linear_resize(at.tensor("float32", shape=(1, 2, 3, 0)), (5, 6))
    with pytest.raises(SizeError, match="0 spatial axes"):
        linear_resize(at.matrix(), ())
    with pytest.raises(ValueError, match="half_pixel, align_corners, corner"):
        linear_resize(at.tensor4(), (5, 6), "centre")
