"""The rectifier: values, the gradient at 0, NaN, every rank and layout."""

import numpy as np
import pytest
from engine_helpers import BACKENDS, aesara, at, gradient, run

from deconv_legacy import engine

EDGES = np.array([-np.inf, -1.5, -0.0, 0.0, 2.5, np.inf, np.nan])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_values_and_gradient(slope, dtype, backend):
    x, g = EDGES.astype(dtype), np.arange(1, 8).astype(dtype)

    def build(x, g):
        y = engine.relu(x, slope)
        return [y, gradient(y, x, g)]

    value, back = run(backend, build, x, g)
    assert value.dtype == back.dtype == dtype
    low = -np.inf if slope else 0
    np.testing.assert_array_equal(value, [low, -1.5 * slope, 0, 0, 2.5, np.inf, np.nan])
    # 0 belongs to the negative side; a NaN is not above 0
    np.testing.assert_array_equal(back, g * [slope, slope, slope, slope, 1, 1, slope])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(), (0, 3), (70, 31, 43), (2, 3, 1, 4, 5)])
def test_every_shape(shape, backend):
    x = np.random.default_rng(2).standard_normal(shape)
    value = run(backend, engine.relu, x)
    assert value.shape == shape
    np.testing.assert_array_equal(value, np.maximum(x, 0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided(backend):
    x = np.random.default_rng(3).standard_normal((7, 6))
    value = run(backend, lambda x: engine.relu(x.T[::-1, ::2]), x)
    np.testing.assert_array_equal(value, np.maximum(x.T[::-1, ::2], 0))


def test_shape_without_computing():
    x = at.TensorType("float32", shape=(None, 3))("x")
    assert engine.relu(x).type.shape == (None, 3)
    f = engine.compile([x], engine.relu(x).shape, backend="numpy")
    assert not any(isinstance(node.op, type(engine.relu(x).owner.op)) for node in f.maker.fgraph.apply_nodes)
    assert tuple(f(np.zeros((5, 3), "float32"))) == (5, 3)


def test_second_gradient_and_r_op():
    x, v = np.array([-1.0, 0.5, 2.0]), np.array([3.0, 5.0, 7.0])

    def build(x, v):
        y = engine.relu(x)
        first = aesara.grad((y**3).sum(), x)
        return [aesara.grad(first.sum(), x), aesara.gradient.Rop(y, x, v)]

    second, directional = run("python", build, x, v)
    np.testing.assert_allclose(second, [0, 3, 12])
    np.testing.assert_array_equal(directional, [0, 5, 7])


@pytest.mark.parametrize("slope", [0.0, 0.25])
@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128"])
def test_other_types(dtype, slope):
    with pytest.raises(TypeError, match=f"relu.*{dtype}"):
        engine.relu(at.TensorType(dtype, shape=(None,))(), slope)
