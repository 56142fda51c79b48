"""When two ways of computing the same agree: the one tolerance of the tests of Ops and layers, whatever the backend."""

from __future__ import annotations

from typing import Any

import numpy as np

RELATIVE = {"float32": 1e-6, "float64": 1e-12}


def assert_close(actual: Any, expected: Any, dtype: str = "float64", scale: float | None = None, err_msg: str = ""):
    """Of shape and dtype, and ``max |actual - expected| <= RELATIVE[dtype] max |expected|``; NaN and inf must be met.

    `scale` takes the place of ``max |expected|`` where the result is a difference of larger numbers.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, err_msg
    assert actual.dtype == dtype, err_msg
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=RELATIVE[dtype] * scale, err_msg=err_msg)
