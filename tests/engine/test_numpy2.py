"""What Aesara finds of NumPy 1 where NumPy 2 is installed; elsewhere nothing is touched."""

import sys

import numpy as np
import pytest
from engine_helpers import BACKENDS, aesara, at

from deconv_legacy import engine
from deconv_legacy.engine import _numpy2

NAMES = ("AxisError", "ComplexWarning", "cast", "obj2sctype", "sctype2char")


@pytest.mark.skipif(_numpy2.found(), reason="NumPy 2")
def test_numpy_1_is_left_alone():
    assert "numpy2.h" not in aesara.config.gcc__cxxflags
    assert sys.modules.get("aesara.scan.scan_perform_ext", "") is not None


@pytest.mark.skipif(not _numpy2.found(), reason="NumPy 1")
def test_the_names_mean_what_they_meant():
    assert all(hasattr(np, name) for name in NAMES)
    assert np.cast["float32"](1).dtype == "float32" and np.cast[at.dvector().type]([1]).dtype == "float64"
    assert np.obj2sctype("int8") is np.int8 and np.obj2sctype("nonsense") is None
    assert np.sctype2char("float32") == "f" and np.AxisError is np.exceptions.AxisError
    assert aesara.config.gcc__cxxflags.count("numpy2.h") == 1


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
