"""`labels`: NumPy's argmax over classes, on each backend."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from engine_helpers import aesara, at

from deconv_legacy import engine
from deconv_legacy.errors import SizeError

BACKENDS = ["numpy", *(["c"] if engine.have_compiler() else []), *(["jax"] if importlib.util.find_spec("jax") else [])]


def few_values(shape, dtype, seed=0):
    """Many ties."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(dtype)


def cases():
    for dtype in ("float32", "float64"):
        yield few_values((2, 5, 7, 11), dtype)
        yield np.random.default_rng(1).standard_normal((1, 21, 67, 130)).astype(dtype)  # several blocks
    x = few_values((1, 4, 6, 9), "float32")
    x[0, 2, 1, 3] = x[0, 1, 4, 4] = x[0, 3, 4, 4] = np.nan
    x[0, 0, 5] = np.inf
    x[0, :, 0, :2] = -np.inf
    yield x
    yield np.full((1, 256, 2, 3), -1.0, "float32")
    yield np.eye(256, dtype="float32")[None, :, :, None]
    yield np.zeros((1, 1, 2, 3), "float32")
    yield few_values((1, 3, 0, 4), "float32")
    yield few_values((1, 3, 9, 8), "float32")[:, :, 2:7, 3:]  # a crop is a view


@pytest.mark.parametrize("backend", BACKENDS)
def test_they_are_numpys_argmax(backend):
    functions = {}
    for dtype in ("float32", "float64"):
        x = at.tensor4("x", dtype=dtype)
        functions[dtype] = engine.compile([x], engine.labels(x), backend=backend)
    for x in cases():
        found = functions[x.dtype.name](x)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, x.argmax(axis=1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_refused_when_it_runs(backend):
    x = at.tensor4("x", dtype="float32")
    function = engine.compile([x], engine.labels(x), backend=backend)
    for classes in (0, 257):
        with pytest.raises(SizeError, match=rf"scores of {classes} classes \(axis 1\); 1 to 256"):
            function(np.zeros((1, classes, 2, 3), "float32"))


def test_what_is_known_is_checked_at_once():
    x = at.TensorType("float32", shape=(None, 21, 4, None))()
    y = engine.labels(x)
    assert y.type.shape == (None, 4, None) and y.dtype == "uint8"
    with pytest.raises(SizeError, match="scores of 3 axes"):
        engine.labels(np.zeros((2, 3, 4)))
    with pytest.raises(SizeError, match="scores of 300 classes"):
        engine.labels(np.zeros((1, 300, 2, 2)))
    shape = aesara.function([x], y.shape, mode="FAST_COMPILE")
    np.testing.assert_array_equal(shape(np.zeros((2, 21, 4, 5), "float32")), [2, 4, 5])


def test_they_have_no_gradient():
    x = at.dtensor4()
    cost = (x**2).sum() + at.cast(engine.labels(x), "float64").sum()
    np.testing.assert_array_equal(aesara.grad(cost, x).eval({x: np.ones((1, 2, 3, 4))}), np.full((1, 2, 3, 4), 2.0))
