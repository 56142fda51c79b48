"""What Aesara finds of NumPy 1 where NumPy 2 is installed; elsewhere nothing is touched."""

import math
import sys

import numpy as np
import pytest
from engine_helpers import BACKENDS, aesara, at

from deconv_legacy import engine
from deconv_legacy.engine import _numpy2


@pytest.mark.skipif(_numpy2.found(), reason="NumPy 2")
def test_numpy_1_is_left_alone():
    assert "numpy2.h" not in aesara.config.gcc__cxxflags
    assert sys.modules.get("aesara.scan.scan_perform_ext", "") is not None


@pytest.mark.skipif(not _numpy2.found(), reason="NumPy 1")
def test_the_names_mean_what_they_meant():
    assert all(hasattr(np, name) for name in _numpy2.NAMES)
    assert np.cast["float32"](1).dtype == "float32" and np.cast[at.dvector().type]([1]).dtype == "float64"
    assert np.obj2sctype("int8") is np.int8 and np.obj2sctype("nonsense") is None
    assert np.sctype2char("float32") == "f" and np.AxisError is np.exceptions.AxisError
    assert aesara.config.gcc__cxxflags.count("numpy2.h") == 1


@pytest.mark.parametrize(
    "number, dtype",
    [(0.1, "float64"), (0.5, "float32"), (1e-8, "float64"), (2.0**24 + 1, "float64"), (math.inf, "float32"),
     (math.nan, "float64"), (np.float64(0.5), "float64"), (np.float32(0.1), "float32"), (300, "int16")],
)  # fmt: skip
def test_a_constant_has_the_dtype_that_holds_it(number, dtype):
    constant = at.as_tensor(number)
    assert constant.dtype == dtype
    np.testing.assert_array_equal(constant.data, np.asarray(number, dtype))
    with aesara.config.change_flags(floatX="float32"):
        assert at.as_tensor(number).dtype == ("float32" if type(number) is float else dtype)
    with aesara.scalar.autocast_float_as("float32"):
        assert at.as_tensor(number).dtype == ("float32" if isinstance(number, float) else dtype)


def test_what_cannot_be_mended_runs_on_numpy():
    """A scan, and the gradient of a look-up with repeated indices."""
    for backend in ("numpy", *(["c"] if "c" in BACKENDS else [])):
        x, places = at.dvector("x"), at.lvector("places")
        steps, _ = aesara.scan(lambda total, value: total + value, sequences=x, outputs_info=at.zeros(()))
        outputs = [steps[-1] ** 2, aesara.grad(steps[-1] ** 2, x), aesara.grad((x[places] ** 2).sum(), x)]
        total, of_total, of_looked_up = engine.compile([x, places], outputs, backend=backend)([1.0, 2, 3], [0, 0, 2])
        assert total == 36
        np.testing.assert_array_equal(of_total, [12, 12, 12])
        np.testing.assert_array_equal(of_looked_up, [4, 0, 6])


@pytest.mark.parametrize("backend", ["numpy", *(["c"] if "c" in BACKENDS else [])])
def test_without_an_axis(backend):
    x = at.dmatrix()
    array = np.random.default_rng(0).standard_normal((3, 4))
    sums, share = engine.compile([x], [at.cumsum(x), at.special.softmax(x, axis=None)], backend=backend)(array)
    np.testing.assert_allclose(sums, array.cumsum(), rtol=1e-12)
    np.testing.assert_allclose(share, np.exp(array) / np.exp(array).sum(), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:The module `aesara.sandbox:DeprecationWarning")
def test_random_streams_of_old_scripts():
    """MRG in Python: the numbers of C; of float32, whose last bit C rounds otherwise, those of NumPy 1."""
    from aesara.sandbox.rng_mrg import MRG_RandomStream

    def draws(backend):
        stream = MRG_RandomStream(77)
        rows = at.constant(np.random.default_rng(0).dirichlet(np.ones(5), 7))
        drawn = [
            stream.uniform((5, 8), dtype="float64", nstreams=6),
            stream.uniform((5, 8), dtype="float32", nstreams=6),
            stream.binomial((6, 3), p=0.3),
            stream.multinomial(n=2, pvals=rows),
            stream.choice(size=3, p=rows, replace=False),
            stream.normal((3, 3), dtype="float64"),
        ]
        f = engine.compile([], drawn, backend=backend)
        return [f() for _ in range(3)]

    ours = draws("numpy")
    stream = MRG_RandomStream(77)
    stream.uniform((5, 8), dtype="float64", nstreams=6)
    second = engine.compile([], stream.uniform((5, 8), dtype="float64", nstreams=6), backend="numpy")
    for call in ours:
        # the same multiples of 2 to the -31, by what Aesara's Python code has in its place
        wanted = (second() * 2.0**31 * float(np.float32(4.6566126e-10))).astype("float32")
        np.testing.assert_array_equal(call[1], wanted, strict=True)
    assert not np.array_equal(ours[0][0], ours[1][0])
    if "c" in BACKENDS:
        for mine, wanted in zip(ours, draws("c"), strict=True):
            for index in (0, 2, 3, 4):
                np.testing.assert_array_equal(mine[index], wanted[index])
            np.testing.assert_allclose(mine[5], wanted[5], rtol=1e-12)
    assert ours[0][0][0, :3].tolist() == [0.1480453610420227, 0.6990689863450825, 0.24280990846455097]
