"""Un-pooling in C and NumPy against the reference and the laws that tie it to pooling."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, aesara, at, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine.pooling import average_pool, max_pool_with_mask
from deconv_legacy.engine.unpooling import UnpoolGather, repeat, unpool, zero_insert
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(5)


def arrays(sizes, places, dtype="float64"):
    """Values, a mask with some cells named twice, and an image."""
    x = RNG.standard_normal((2, 3, *places)).astype(dtype)
    mask = RNG.integers(0, np.prod(sizes), x.shape)
    return x, mask, RNG.standard_normal((2, 3, *sizes)).astype(dtype)


def scatter_add(mask, x, sizes):
    return reference.max_pool_grad(mask, x, sizes)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype, mask_dtype", [("float32", "float32"), ("float64", "int64"), ("float64", "int32")])
@pytest.mark.parametrize("sizes, places", [((11,), (6,)), ((5, 7), (3, 2)), ((3, 4, 5), (2, 3, 1))])
def test_unpool(sizes, places, dtype, mask_dtype, backend):
    x, mask, g = arrays(sizes, places, dtype)

    def build(x, mask, g):
        y = unpool(x, mask, sizes)
        gx = gradient(y, x, g)
        return [y, gx, gradient(gx, g, x), aesara.gradient.Rop(y, x, gx)]

    y, gx, back, tangent = run(backend, build, x, mask.astype(mask_dtype), g)
    assert y.dtype == gx.dtype == dtype
    assert_close(y, reference.unpool(x, mask, sizes), dtype)
    assert_close(gx, reference.unpool_grad(mask, g), dtype)
    assert_close(back, scatter_add(mask, x, sizes), dtype)
    assert_close(tangent, reference.unpool(gx, mask, sizes), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
def test_unpooling_undoes_a_pooling(backend):
    """DeconvNet's pair: maxima return to their places, pooling again finds them; sizes may be symbolic."""
    x = RNG.permutation(2 * 3 * 5 * 8).reshape(2, 3, 5, 8) + 1.0

    def build(x):
        y, mask = max_pool_with_mask(x, 2, rounding="caffe")
        back = unpool(y, mask, x.shape[2:])
        return [y, back, max_pool_with_mask(back, 2, rounding="caffe")[0]]

    y, back, again = run(backend, build, x)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(back[back != 0], x[back != 0])
    assert np.count_nonzero(back) == y.size


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_and_empty_batches(backend):
    x, mask, _ = arrays((5, 4), (2, 3))

    def build(x, mask):
        turned = [v.transpose(1, 0, 3, 2)[::-1] for v in (x, mask)]
        return [unpool(*turned, [4, 5]), unpool(x[:0], mask[:0], [4, 5])]

    y, empty = run(backend, build, x, mask)
    assert_close(y, reference.unpool(x.transpose(1, 0, 3, 2)[::-1], mask.transpose(1, 0, 3, 2)[::-1], (4, 5)))
    assert empty.shape == (0, 3, 4, 5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrong", [-1, 20])
def test_an_index_that_is_no_cell_is_refused(wrong, backend):
    x, mask, image = arrays((4, 5), (2, 3))
    mask[1, 0, 1, 2] = wrong
    words = rf"the mask's {wrong} at \(1, 0, 1, 2\) is none of the 20 cells 0 .. 19 of a plane" + (
        "; -1" if wrong < 0 else ""
    )
    with pytest.raises(SizeError, match=words):
        run(backend, lambda x, m: unpool(x, m, (4, 5)), x, mask)
    with pytest.raises(SizeError, match=words):
        run(backend, lambda i, m: UnpoolGather(2)(i, m), image, mask)


@pytest.mark.parametrize("backend", BACKENDS)
def test_shapes_that_do_not_fit_are_refused(backend):
    x, mask, image = arrays((4, 5), (2, 3))
    with pytest.raises(SizeError, match="must be of one shape"):
        run(backend, lambda x, m: unpool(x, m, (4, 5)), x, mask[:, :, :1])
    with pytest.raises(SizeError, match="must be of one shape"):
        unpool(at.constant(x), mask[:1], (4, 5))
    with pytest.raises(SizeError, match="differ on axis 1"):
        run(backend, lambda i, m: UnpoolGather(2)(i, m), image[:, :2], mask)
    with pytest.raises(SizeError, match="3 entries for 2 axes"):
        run(backend, lambda x, m, s: unpool(x, m, s), x, mask, np.array([4, 5, 6]))
    with pytest.raises(SizeError, match="negative"):
        run(backend, lambda x, m, s: unpool(x, m, s), x, mask, np.array([-4, -5]))
    with pytest.raises(SizeError, match="the mask: 3 axes"):
        unpool(at.tensor4(), at.tensor3(), (4, 5))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes, rate", [((4,), 3), ((3, 5), (2, 3)), ((2, 3, 4), (1, 3, 2))])
def test_repeat_and_zero_insert(sizes, rate, backend):
    x = RNG.standard_normal((2, 3, *sizes))
    g = RNG.standard_normal(reference.repeat(x, rate).shape)

    def build(x, g):
        many, sparse = repeat(x, rate), zero_insert(x, rate)
        return [many, gradient(many, x, g), sparse, gradient(sparse, x, g), average_pool(many, rate)]

    many, g_many, sparse, g_sparse, again = run(backend, build, x, g)
    np.testing.assert_array_equal(many, reference.repeat(x, rate))
    np.testing.assert_array_equal(sparse, reference.zero_insert(x, rate))
    assert_close(again, x)
    rates = np.broadcast_to(rate, len(sizes))
    np.testing.assert_allclose(g_many, reference.caffe_ave_pool(g, tuple(rates), tuple(rates)) * np.prod(rates))
    np.testing.assert_array_equal(g_sparse, g[(..., *(slice(None, None, r) for r in rates))])


def test_sizes_are_known_when_the_graph_is_built():
    x = at.tensor("float32", shape=(2, None, 3, None))
    assert repeat(x, (2, 4)).type.shape[:3] == (2, None, 6)
    assert zero_insert(at.tensor("float32", shape=(2, 1, 3, 5)), (2, 4)).type.shape == (2, 1, 6, 20)
    y = unpool(x, at.tensor("int64", shape=(None, 3, 3, 2)), (7, 9))
    assert y.type.shape == (None, 3, 7, 9)
    for f in (repeat, zero_insert):
        with pytest.raises(SizeError, match="rate"):
            f(x, 0)
        with pytest.raises(SizeError, match="0 spatial axes"):
            f(at.matrix(), 2)
