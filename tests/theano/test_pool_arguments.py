"""pool_2d and its older names: the arguments of all versions, symbolic windows, and what is refused."""

import numpy as np
import pytest

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import pool

at = aesara.tensor
X = np.random.default_rng(0).standard_normal((2, 3, 7, 9)).astype("float32")


def value(variable, inputs=(), *values):
    return aesara.function(list(inputs), variable, mode="FAST_COMPILE")(*values)


def test_the_names_of_all_versions():
    x = at.constant(X)
    new = value(pool.pool_2d(x, ws=(2, 3), stride=(1, 2), pad=(1, 1), ignore_border=True))
    assert new.shape == (2, 3, 8, 5)
    for old in (
        pool.pool_2d(x, ds=(2, 3), st=(1, 2), padding=(1, 1), ignore_border=True),
        pool.max_pool_2d(x, (2, 3), True, (1, 2), (1, 1)),
        pool.DownsampleFactorMax((2, 3), True, (1, 2), (1, 1))(x),
    ):
        assert np.array_equal(value(old), new)
    with pytest.raises(ValueError, match="both 'ws' and 'ds'"):
        pool.pool_2d(x, ws=(2, 2), ds=(2, 2))


@pytest.mark.parametrize("pad", [None, (0, 0)], ids=["none", "zeros"])
def test_a_window_that_is_only_known_at_the_call(pad):
    """Spatial pyramids: the window is a tuple of symbolic sizes."""
    x = at.tensor4(dtype="float32")
    window = tuple((x.shape[i] + 2) // 3 for i in (2, 3))
    steps = tuple(x.shape[i] // 3 for i in (2, 3))
    pooled = pool.pool_2d(x, ws=window, stride=steps, pad=pad, ignore_border=True)
    expected = value(pool.pool_2d(at.constant(X), ws=(3, 3), stride=(2, 3), ignore_border=True))
    assert np.array_equal(value(pooled, [x], X), expected)


def test_pads_that_cannot_be():
    with pytest.raises(NotImplementedError, match="padding must be smaller"):
        pool.pool_2d(at.constant(X), ws=(2, 2), pad=(2, 0), ignore_border=True)
    with pytest.raises(NotImplementedError, match="ignore_border=True"):
        pool.pool_2d(at.constant(X), ws=(2, 2), pad=(1, 0), ignore_border=False)
