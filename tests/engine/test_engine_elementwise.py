"""Elementwise Ops that NumPy computes on whole arrays: as C, number by number."""

import numpy as np
import pytest
from engine_helpers import BACKENDS, aesara, at

from deconv_legacy import engine
from deconv_legacy.engine.elementwise import WholeArrays

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -0.5, 2.5, -2.5, 0.49999997, 80.0, -80.0]


def graph():
    a, b, row = at.matrix("a", dtype="float32"), at.matrix("b", dtype="float32"), at.row("row", dtype="float32")
    n, m = at.matrix("n", dtype="int64"), at.matrix("m", dtype="int8")
    outputs = {
        "product": a * b * row,
        "product of four, one of them an integer": a * m * b * row,
        "sum": a + b + row,
        "sum of integers": n + m + n,
        "clip": at.clip(a, b, 0.75),
        "cast": at.cast(at.clip(a, -9, 9), "int32"),
        "cast to double": at.cast(n, "float64"),
        "cast of small integers": at.cast(n, "int8"),
        "rounded": at.round(a, mode="half_away_from_zero"),
        "softplus": at.softplus(a),
    }
    return [a, b, row, n, m], outputs


def values():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4, len(SPECIAL))).astype("float32")
    a[0] = SPECIAL
    n, m = rng.integers(-300, 300, a.shape), rng.integers(-100, 100, a.shape).astype("int8")
    return a, b, b[:1] + 1, n, m


def test_on_whole_arrays():
    inputs, outputs = graph()
    function = engine.compile(inputs, list(outputs.values()), backend="numpy", progress=False)
    ops = [node.op for node in function.maker.fgraph.toposort()]
    assert sum(isinstance(op, WholeArrays) for op in ops) >= 9
    left = [op for op in ops if type(op) is aesara.tensor.elemwise.Elemwise]
    assert all(op.nfunc_spec for op in left)
    a, b, row, n, m = values()
    found = dict(zip(outputs, function(a, b, row, n, m), strict=True))
    with np.errstate(all="ignore"):
        whole = np.trunc(a.astype(float))
        wide = a.astype(float)
        expected = {
            "product": a * b * row,
            "product of four, one of them an integer": a * m.astype("float32") * b * row,
            "sum": a + b + row,
            "sum of integers": n + m + n,
            "clip": np.where(a < b, b, np.where(a > 0.75, np.float32(0.75), a)),
            "cast to double": n.astype("float64"),
            "cast of small integers": n.astype("int8"),
            "rounded": whole + np.sign(wide) * (abs(wide - whole) >= 0.5),
            "softplus": np.maximum(wide, 0) + np.log1p(np.exp(-abs(wide))),
        }
    finite = ~np.isnan(a)
    np.testing.assert_array_equal(found["cast"][finite], np.trunc(np.clip(a, -9, 9)[finite]))
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=3e-7, err_msg=name)
    assert [found[name].dtype for name in outputs] == [out.dtype for out in outputs.values()]


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
def test_as_c():
    inputs, outputs = graph()
    by = {name: engine.compile(inputs, list(outputs.values()), backend=name, progress=False) for name in ("c", "numpy")}
    a, *others = values()
    a[0] = np.where(np.isnan(a[0]), 3, a[0])  # what C makes an integer of a NaN is undefined
    for name, wanted, found in zip(outputs, by["c"](a, *others), by["numpy"](a, *others), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=3e-7, err_msg=name)


def test_inputs_stay_as_they_are():
    a = at.vector("a", dtype="float32")
    function = engine.compile([a], [at.cast(a * 1.0, "float32"), at.tensor_copy(a)], backend="numpy", progress=False)
    given = np.ones(3, "float32")
    for result in function(given):
        assert not np.shares_memory(result, given)
    empty = np.ones(0, "float32")
    assert [result.shape for result in function(empty)] == [(0,), (0,)]
