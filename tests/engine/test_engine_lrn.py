"""Local response normalisation in C and NumPy against the reference, real Caffe, and slopes."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, PYTHON, aesara, at, caffe_case, gradient, run

from deconv_legacy import reference
from deconv_legacy.engine.lrn import LRNGradient, lrn_across, lrn_within
from deconv_legacy.errors import SizeError

RNG = np.random.default_rng(3)
# size, alpha, beta, k; the first beta has its own code
ACROSS = [(5, 2.0, 0.75, 1.5), (3, 0.7, 0.4, 2.0), (1, 1.0, 1.0, 1.0), (9, 0.5, 0.75, 1.0)]


def arrays(shape, dtype="float64"):
    return [(3 * RNG.standard_normal(shape)).astype(dtype) for _ in range(2)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("numbers", ACROSS)
def test_across(numbers, dtype, backend):
    x, g = arrays((2, 7, 23, 15), dtype)

    def build(x, g):
        y = lrn_across(x, *numbers)
        return [y, gradient(y, x, g)]

    y, gx = run(backend, build, x, g)
    assert y.dtype == gx.dtype == dtype
    assert_close(y, reference.lrn_across(x, *numbers), dtype)
    assert_close(gx, reference.lrn_across_grad(x, g, *numbers), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_within(dtype):
    x, g = arrays((2, 3, 6, 8), dtype)

    def build(x, g):
        y = lrn_within(x, 3, 2.0, 0.6)
        return [y, gradient(y, x, g)]

    y, gx = run("python", build, x, g)
    assert y.dtype == gx.dtype == dtype
    assert_close(y, reference.lrn_within(x, 3, 2.0, 0.6), dtype)
    assert_close(gx, reference.lrn_within_grad(x, g, 3, 2.0, 0.6), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
def test_real_caffe(backend):
    values, _ = caffe_case("lrn_across")

    def build(x, g):
        y = lrn_across(x, 5, 1e-4, 0.75)
        return [y, gradient(y, x, g)]

    y, gx = run(backend, build, values["in/data"], values["top_diff/out"])
    assert_close(y, values["out/out"], "float32")
    assert_close(gx, values["in_diff/data"], "float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_ranks_views_and_empty_batches(backend):
    x, _ = arrays((3, 4, 5, 2))

    def build(x):
        view = x.transpose(1, 3, 0, 2)[:, :, ::-1]
        return [lrn_across(v, 3) for v in (view, x[:, :, 0, 0], x.dimshuffle(0, 1, "x", 2, 3), x[:0], x[:, :, :0])]

    values = run(backend, build, x)
    inputs = (x.transpose(1, 3, 0, 2)[:, :, ::-1], x[:, :, 0, 0], x[:, :, None], x[:0], x[:, :, :0])
    for value, array in zip(values, inputs, strict=True):
        assert_close(value, reference.lrn_across(array, 3))


def test_first_and_second_derivatives_are_slopes():
    """g depends on x in the second function, so the second derivative must not go through g twice."""
    x, _ = arrays((2, 4, 3))

    def slope(x):
        y = lrn_across(x, 3, 2.0, 0.75, 1.5)
        return aesara.grad((y**3).sum(), x)

    rng = np.random.default_rng(0)
    aesara.gradient.verify_grad(lambda x: lrn_across(x, 3, 2.0, 0.75, 1.5), [x], rng=rng, mode=PYTHON)
    aesara.gradient.verify_grad(slope, [x], rng=rng, mode=PYTHON)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_is_refused(backend):
    for lrn in (lrn_across, lrn_within):
        with pytest.raises(SizeError, match="`size` \\(=4\\) must be odd"):
            lrn(at.tensor4(), 4)
        with pytest.raises(SizeError, match="`size` \\(=0\\)"):
            lrn(at.tensor4(), 0)
    with pytest.raises(SizeError, match="1 axes"):
        lrn_across(at.vector())
    with pytest.raises(TypeError, match="float32 and float64"):
        lrn_within(at.itensor4())
    x, g = np.ones((2, 3, 4)), np.ones((2, 3, 5))
    with pytest.raises(SizeError, match=r"\(2, 3, 4\) and a gradient of shape \(2, 3, 5\)"):
        run(backend, lambda x, g: LRNGradient(3)(x, g), x, g)
