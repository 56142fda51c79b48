"""The facade computes what real Theano 1.0.5 computed (cases.py, data/theano_1_0_5.npz)."""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# These draw the same bits; the rest may differ in the last ones, by the order of sums.
EXACT = ("pools", "random_streams", "mrg_streams", "tensors")


def test_numbers_of_theano(python, tmp_path):
    code = """
        import sys
        from deconv_legacy.theano import install
        install()
        import theano
        theano.config.mode = "FAST_COMPILE"
        import cases, numpy
        numpy.savez(sys.argv[1], **cases.results())
    """
    python(code, tmp_path / "ours.npz", path=[HERE])
    theirs, ours = np.load(HERE / "data" / "theano_1_0_5.npz"), np.load(tmp_path / "ours.npz")
    assert sorted(theirs) == sorted(ours)
    for name in theirs:
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype), name
        exact = name.startswith(EXACT) and "average" not in name and "normal" not in name
        scale = max(1, np.abs(theirs[name]).max())
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=0 if exact else 2e-6 * scale, err_msg=name)
