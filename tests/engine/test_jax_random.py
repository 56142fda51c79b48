"""MRG's streams on JAX draw the numbers that Aesara's C code draws."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, HAVE_JAX, aesara, at

from deconv_legacy.engine import compile

if not HAVE_JAX:
    pytest.skip("JAX is not installed", allow_module_level=True)

from aesara.sandbox.rng_mrg import MRG_RandomStream

REFERENCE = "c" if "c" in BACKENDS else "numpy"
ROWS = np.random.default_rng(0).dirichlet(np.ones(5), 7)


def uniform(stream, x):
    return [
        stream.uniform((3, 4), dtype="float64"),
        stream.uniform((50, 33), dtype="float32"),
        stream.uniform((1,), dtype="float64"),
        stream.uniform((8,), dtype="float32", nstreams=3),  # rounds of 3, 3 and 2
        stream.uniform((6, 2), dtype="float64", nstreams=30),  # more streams than numbers
        stream.uniform(x.shape, dtype="float32", nstreams=64),
    ]


def built_on_it(stream, x):
    p = at.constant(ROWS)
    return [
        stream.binomial((40,), p=0.3, dtype="float32"),
        stream.binomial(x.shape, p=at.clip(x, 0.2, 0.7), nstreams=64),
        stream.multinomial(pvals=p),
        stream.multinomial(n=3, pvals=p.astype("float32")),
        stream.choice(size=3, p=p, replace=False),
    ]


def rounded(stream, x):
    """What is computed of the numbers, to the last bit but one."""
    return [
        stream.uniform((2, 9), low=-2, high=3, dtype="float64"),
        stream.normal((5, 3), dtype="float64"),
        stream.normal((9,), avg=1, std=2, dtype="float64"),
    ]


def calls(build, backend, sizes):
    """What one function draws in calls with images of these sizes."""
    x = at.dmatrix("x")
    f = compile([x], build(MRG_RandomStream(42), x), backend=backend, on_unused_input="ignore")
    return [f(np.full(size, 0.4)) for size in sizes]


@pytest.mark.parametrize("build", [uniform, built_on_it, rounded], ids=["uniform", "built on it", "rounded"])
def test_the_same_numbers_call_after_call(build):
    sizes = [(6, 13), (6, 13), (20, 9)]
    ours, theirs = (calls(build, backend, sizes) for backend in ("jax", REFERENCE))
    for mine, wanted in zip(ours, theirs, strict=True):
        for drawn, expected in zip(mine, wanted, strict=True):
            if build is rounded:
                assert_close(drawn, expected)
            else:
                assert drawn.dtype == expected.dtype
                np.testing.assert_array_equal(drawn, expected)
    assert not np.array_equal(ours[0][1], ours[1][1])


def test_backends_take_turns_on_a_stream():
    stream = MRG_RandomStream(3)
    drawn = stream.uniform((10,), dtype="float64", nstreams=4)
    on_jax, elsewhere = compile([], drawn, backend="jax"), compile([], drawn, backend=REFERENCE)
    mixed = [f() for f in (on_jax, elsewhere, on_jax, on_jax, elsewhere)]
    again = MRG_RandomStream(3)
    alone = compile([], again.uniform((10,), dtype="float64", nstreams=4), backend=REFERENCE)
    np.testing.assert_array_equal(mixed, [alone() for _ in range(5)])


def test_dropout_of_an_old_script_trains():
    """The mask is drawn once for the value and its gradient, and anew at each step."""
    x, w = at.dmatrix("x"), aesara.shared(np.full((4, 3), 0.5), "w")
    mask = MRG_RandomStream(1).binomial((6, 3), p=0.5, dtype="float64")
    y = at.dot(x, w) * mask
    train = compile([x], y, updates=[(w, w - 0.1 * aesara.grad(y.sum(), w))], backend="jax")
    data = np.random.default_rng(2).random((6, 4))
    first, before = train(data), np.full((4, 3), 0.5)
    np.testing.assert_allclose(w.get_value(), before - 0.1 * data.T @ (first != 0))
    assert not np.array_equal(first != 0, train(data) != 0)


def test_a_truncated_normal_is_refused():
    """How many numbers are drawn again depends on the numbers."""
    drawn = MRG_RandomStream(1).normal((50,), truncate=True, dtype="float64")
    with pytest.raises(NotImplementedError, match="'c' or 'numpy'"):
        compile([], drawn, backend="jax")()
