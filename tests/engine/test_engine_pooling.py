"""Pooling in C and NumPy against the reference, real Caffe, and the laws of transposition."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, C, aesara, at, caffe_case, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine import pooling
from deconv_legacy.engine.pooling import LOWEST, average_pool, max_pool, max_pool_with_mask
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(7)

# sizes, kernel, stride, pad, rounding; the axes differ in everything
CAFFE = [
    ((11,), (3,), (2,), (1,), "caffe"),
    ((7, 9), (2, 3), (2, 2), (0, 0), "caffe"),
    ((7, 8), (3, 4), (2, 3), (1, 2), "caffe"),
    ((9, 8), (1, 2), (3, 4), (0, 1), "caffe"),  # windows apart: some cells are in none
    ((5, 6), (2, 3), (1, 2), (1, 0), "floor"),
    ((5, 6, 7), (2, 3, 1), (2, 1, 3), (1, 0, 0), "caffe"),
]
THEANO = [
    ((8, 7), (3, 2), (2, 3), (2, 1), True),
    ((8, 7), (3, 2), (2, 3), (0, 0), False),
    ((9, 6), (2, 2), (3, 1), (0, 0), False),
    ((5, 6, 4), (2, 1, 3), (1, 2, 2), (1, 0, 2), True),
]
TF = [((7, 8), (3, 2), (2, 3), "SAME"), ((9, 6), (2, 5), (3, 2), "SAME"), ((7, 8), (3, 2), (2, 3), "VALID")]


def image(sizes, dtype="float64", ties=True):
    """Few different values, so that maxima are tied; or none tied."""
    shape = (2, 3, *sizes)
    values = RNG.integers(-4, 4, shape) if ties else RNG.permutation(np.prod(shape)).reshape(shape) / 10
    return values.astype(dtype)


def like(shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes, kernel, stride, pad, rounding", CAFFE)
def test_caffe(sizes, kernel, stride, pad, rounding, dtype, backend):
    mode = {"caffe": "CEIL", "floor": "FLOOR"}[rounding]
    arguments = (kernel, stride, pad)
    x = image(sizes, dtype)
    y, mask = reference.caffe_max_pool(x, *arguments, mode)
    g = like(y.shape, dtype)

    def build(x, g):
        highest = max_pool(x, *arguments, rounding)
        average = average_pool(x, *arguments, rounding)
        return [
            *(highest, gradient(highest, x, g), *max_pool_with_mask(x, *arguments, rounding)),
            *(average, gradient(average, x, g)),
        ]

    values = run(backend, build, x, g)
    assert [v.dtype for v in values] == [dtype] * 3 + ["int64"] + [dtype] * 2
    np.testing.assert_array_equal(values[0], y)
    assert_close(values[1], reference.max_pool_grad(mask, g, sizes), dtype)
    np.testing.assert_array_equal(values[2], y)
    np.testing.assert_array_equal(values[3], mask)
    assert_close(values[4], reference.caffe_ave_pool(x, *arguments, mode), dtype)
    assert_close(values[5], reference.caffe_ave_pool_grad(g, sizes, *arguments, mode), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes, kernel, stride, pad, ignore_border", THEANO)
def test_theano(sizes, kernel, stride, pad, ignore_border, backend):
    arguments = (kernel, ignore_border, stride, pad)
    ours = (kernel, stride, pad, "floor" if ignore_border else "theano")
    divisors = {"sum": "one", "average_inc_pad": "padded", "average_exc_pad": "real"}
    x = image(sizes)
    g = like(reference.theano_pool(x, *arguments).shape)

    def build(x, g):
        pooled = [max_pool(x, *ours, ties="all"), *(average_pool(x, *ours, d) for d in divisors.values())]
        return [v for y in pooled for v in (y, gradient(y, x, g))]

    values = run(backend, build, x, g)
    for mode, y, gx in zip(("max", *divisors), values[::2], values[1::2], strict=True):
        assert_close(y, reference.theano_pool(x, *arguments, mode))
        assert_close(gx, reference.theano_pool_grad(x, g, *arguments, mode))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes, kernel, stride, padding", TF)
def test_tensorflow(sizes, kernel, stride, padding, backend):
    x = image(sizes)
    y, mask = reference.tf_max_pool(x, kernel, stride, padding)
    g = like(y.shape)

    def build(x, g):
        highest = max_pool(x, kernel, stride, padding.lower())
        average = average_pool(x, kernel, stride, padding.lower(), divisor="real")
        return [highest, gradient(highest, x, g), average, gradient(average, x, g)]

    values = run(backend, build, x, g)
    np.testing.assert_array_equal(values[0], y)
    assert_close(values[1], reference.max_pool_grad(mask, g, sizes))
    assert_close(values[2], reference.tf_avg_pool(x, kernel, stride, padding))
    assert_close(values[3], reference.tf_avg_pool_grad(g, sizes, kernel, stride, padding))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ties", ["first", "all"])
def test_the_gather_is_the_transpose_of_the_max_gradient(ties, backend):
    """So second derivatives and R_op are right: <gradient(g), v> == <g, gather(v)>, with ties and partial windows."""
    x = image((7, 8))
    v = like(x.shape)
    g = like((2, 3, 4, 3))
    windows = (3, (2, 3), 1, "caffe")

    def build(x, v, g):
        y = max_pool(x, *windows, ties=ties)
        gx = gradient(y, x, g)
        gathered = aesara.grad(None, g, known_grads={gx: v})
        return [gx, gathered, aesara.gradient.Rop(y, x, v), aesara.grad((gathered * g).sum(), v)]

    gx, gathered, tangent, again = run(backend, build, x, v, g)
    assert np.count_nonzero(gathered) == gathered.size
    np.testing.assert_allclose((gx * v).sum(), (g * gathered).sum())
    np.testing.assert_array_equal(tangent, gathered)
    np.testing.assert_array_equal(again, gx)


@pytest.mark.parametrize("divisor", ["padded", "real", "one"])
def test_the_gradient_of_an_average_is_its_transpose_twice(divisor):
    x, v = image((7, 8)), image((7, 8))
    g = like((2, 3, 4, 3))

    def build(x, v, g):
        y = average_pool(x, 3, (2, 3), 1, "caffe", divisor)
        gx = gradient(y, x, g)
        return [y, gx, gradient(gx, g, v), aesara.gradient.Rop(y, x, v), aesara.gradient.Rop(gx, g, 2 * g)]

    y, gx, of_v, tangent, doubled = run(BACKENDS[-1], build, x, v, g)
    np.testing.assert_allclose((gx * x).sum(), (g * y).sum())
    np.testing.assert_allclose((gx * v).sum(), (g * of_v).sum())
    assert_close(tangent, of_v)
    assert_close(doubled, 2 * gx)


@pytest.mark.parametrize("ties", ["first", "all"])
def test_max_gradient_is_the_slope(ties):
    """Without ties both rules are the derivative."""
    x = image((5, 6), ties=False)

    def pool(x):
        return max_pool(x, (2, 3), (2, 1), 1, "caffe", ties)

    aesara.gradient.verify_grad(pool, [x], rng=np.random.default_rng(0), mode=C, eps=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name, pool", [("pool_max_k2s2_odd", max_pool), ("pool_ave_k3s2p1", average_pool)])
def test_real_caffe(name, pool, backend):
    arrays, _ = caffe_case(name)
    arguments = (2, 2, 0, "caffe") if pool is max_pool else (3, 2, 1, "caffe")

    def build(x, g):
        y = pool(x, *arguments)
        return [y, gradient(y, x, g)]

    y, gx = run(backend, build, arrays["in/data"], arrays["top_diff/out"])
    assert_close(y, arrays["out/out"], "float32")
    assert_close(gx, arrays["in_diff/data"], "float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_never_wins(backend):
    """Strict > from -FLT_MAX on: NaN, -inf and absence have the same answer, Caffe's; Theano's rule starts at -inf."""
    nan, inf = np.nan, np.inf
    x = np.array([[[[nan, 1, nan, nan, -inf, nan, inf], [2, nan, nan, nan, -inf, -inf, nan]]]])
    g = np.arange(1.0, 5).reshape(1, 1, 1, 4)

    def build(x, g):
        first, mask = max_pool_with_mask(x, 2, rounding="caffe")
        every = max_pool(x, 2, rounding="caffe", ties="all")
        return [first, mask, gradient(first, x, g), every, gradient(every, x, g)]

    first, mask, g_first, every, g_every = run(backend, build, x, g)
    np.testing.assert_array_equal(first.ravel(), [2, LOWEST, LOWEST, inf])
    np.testing.assert_array_equal(mask.ravel(), [7, -1, -1, 6])
    np.testing.assert_array_equal(g_first[0, 0], [[0, 0, 0, 0, 0, 0, 4], [1, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(every.ravel(), [2, -inf, -inf, inf])
    np.testing.assert_array_equal(g_every[0, 0], [[0, 0, 0, 0, 3, 0, 4], [1, 0, 0, 0, 3, 3, 0]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_windows_without_cells(backend):
    """Caffe's rounding with a stride above the kernel: maxima -FLT_MAX, averages 0 / 0 and 0 / -1, no gradient."""
    x = np.ones((1, 2, 3, 4))

    def build(x):
        highest, mask = max_pool_with_mask(x, 1, (3, 5), rounding="caffe")
        average = average_pool(x, 1, (3, 5), rounding="caffe")
        return [highest, mask, average, aesara.grad(highest.sum(), x), aesara.grad(average.sum(), x)]

    highest, mask, average, g_highest, g_average = run(backend, build, x)
    np.testing.assert_array_equal(highest[0], [[[1, LOWEST], [LOWEST, LOWEST]]] * 2)
    np.testing.assert_array_equal(mask[0], [[[0, -1], [-1, -1]]] * 2)
    np.testing.assert_array_equal(average[0], [[[1, 0], [np.nan, np.nan]]] * 2)
    only_first = np.zeros((3, 4))
    only_first[0, 0] = 1
    np.testing.assert_array_equal(g_highest[0], [only_first] * 2)
    np.testing.assert_array_equal(g_average[0], [only_first] * 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_whole_image_views_and_empty_batches(backend):
    x = image((4, 6), ties=False)

    def build(x):
        whole = [max_pool(x, None), average_pool(x, None)]
        view = x.transpose(0, 3, 2, 1)[:, ::-2]
        pooled = max_pool(view, (2, 3))
        return [*whole, view, pooled, gradient(pooled, view, 2 * pooled), max_pool(x[:0], 2), average_pool(x[:, :0], 2)]

    highest, average, view, pooled, g, empty, none = run(backend, build, x)
    np.testing.assert_array_equal(highest, x.max(axis=(2, 3), keepdims=True))
    assert_close(average, x.mean(axis=(2, 3), keepdims=True))
    expected, mask = reference.caffe_max_pool(view, (2, 3), (2, 3))
    np.testing.assert_array_equal(pooled, expected)
    np.testing.assert_array_equal(g, reference.max_pool_grad(mask, 2 * expected, view.shape[2:]))
    assert empty.shape == (0, 3, 2, 3) and none.shape == (2, 0, 2, 3)


def test_any_leading_axes():
    """With one kernel per axis only the last axes are pooled."""
    x = image((4, 6), ties=False)
    plane, five = x[0, 0], x.reshape(1, 2, 3, 4, 6)
    pooled = run(BACKENDS[-1], lambda a, b: [max_pool(a, (2, 3)), max_pool(b, (2, 3))], plane, five)
    expected = reference.caffe_max_pool(x, (2, 3), (2, 3))[0]
    np.testing.assert_array_equal(pooled[0], expected[0, 0])
    np.testing.assert_array_equal(pooled[1], expected[None])


def test_shapes_are_known_without_pooling():
    x = at.tensor("float32", shape=(2, None, 7, None))
    y, mask = max_pool_with_mask(x, 3, 2, 1, "caffe")
    a = average_pool(x, (2, 3), divisor="real")
    ga = aesara.grad(a.sum(), x)
    assert y.type.shape == mask.type.shape == (2, None, 4, None)
    assert a.type.shape == (2, None, 3, None)
    assert max_pool(x, None).type.shape == (2, None, 1, 1)
    f = aesara.function([x], [y.shape, mask.shape, a.shape, ga.shape])
    assert not any(isinstance(n.op, pooling._PoolOp) for n in f.maker.fgraph.apply_nodes)
    shapes = f(np.zeros((2, 3, 7, 8), "float32"))
    assert [tuple(s) for s in shapes] == [(2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 3, 2), (2, 3, 7, 8)]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(kernel=0), "kernel"),
        (dict(kernel=2, stride=(1, 0)), "stride"),
        (dict(kernel=2, pad=2), "smaller than the window"),
        (dict(kernel=(5, 2)), "axis 2: a window of 5 .* input of size 4"),
        (dict(kernel=2, rounding="up"), "'floor', 'ceil', 'caffe', 'theano'"),
        (dict(kernel=2, pad=1, rounding="theano"), "ignore_border=True"),
        (dict(kernel=None, pad=1), "whole image"),
        (dict(kernel=(1, 1, 1, 1, 1)), "5 spatial axes"),
    ],
)
def test_what_cannot_be_is_refused_when_the_graph_is_built(arguments, words):
    x = at.tensor("float32", shape=(2, 3, 4, 6))
    for pool in (max_pool, average_pool, max_pool_with_mask):
        with pytest.raises(SizeError, match=words):
            pool(x, **arguments)


def test_wrong_ranks_and_dtypes():
    with pytest.raises(SizeError, match="2 axes, at least 3"):
        max_pool(at.matrix(), (1, 1, 1))
    with pytest.raises(SizeError, match="0 spatial axes"):
        average_pool(at.matrix(), 2)
    with pytest.raises(TypeError, match="float32 and float64"):
        max_pool(at.tensor("int64", shape=(None,) * 4), 2)
    with pytest.raises(ValueError, match="ties"):
        max_pool(at.tensor4(), 2, ties="last")
    with pytest.raises(ValueError, match="divisor"):
        average_pool(at.tensor4(), 2, divisor="all")


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_is_refused_when_it_runs(backend):
    def gradient_of(x, g):
        y = max_pool(x, (5, 2))
        return pooling.MaxPoolGradient(y.owner.op.windows)(x, y, g)

    x = np.zeros((2, 3, 4, 6))
    with pytest.raises(SizeError, match="axis 2: a window of 5"):
        run(backend, lambda x: max_pool(x, (5, 2)), x)
    with pytest.raises(SizeError, match=r"\(2, 3, 1, 3\), not \(2, 3, 1, 2\)"):
        run(backend, gradient_of, np.zeros((2, 3, 5, 6)), np.zeros((2, 3, 1, 2)))
    windows = average_pool(at.tensor4(), 2).owner.op.windows
    transpose = pooling.AveragePoolGradient(windows)
    with pytest.raises(SizeError, match=r"give \(2, 3, 2, 3\), not \(2, 3, 2, 2\)"):
        run(backend, lambda g, s: transpose(g, s), np.zeros((2, 3, 2, 2)), np.array([4, 6]))
    with pytest.raises(SizeError, match="3 entries for 2 axes"):
        run(backend, lambda g, s: transpose(g, s), np.zeros((2, 3, 2, 2)), np.array([4, 6, 4]))
