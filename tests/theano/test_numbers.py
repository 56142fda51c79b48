"""The facade computes what real Theano 1.0.5 computed (cases.py, data/theano_1_0_5.npz)."""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# These draw the same bits; the rest may differ in the last ones, by the order of sums.
EXACT = ("pools", "random_streams", "mrg_streams", "tensors", "in_c")


def test_numbers_of_theano(python, tmp_path):
    code = """
        import sys
        from deconv_legacy.theano import install
        install()
        import cases, numpy, theano
        from aesara.link.c.op import COp
        from aesara.sandbox.rng_mrg import mrg_uniform
        from aesara.tensor.signal.pool import Pool

        # constants are not folded: that is done in C, one module for each of a hundred nodes
        python = theano.compile.mode.get_mode("FAST_COMPILE").excluding("constant_folding", "topo_constant_folding")
        for op in (mrg_uniform, Pool):  # their Python versions round differently
            op.make_thunk = lambda self, *args, impl=None: COp.make_thunk(self, *args, impl="c")
        numbers = cases.results_of([*cases.IN_PYTHON, cases.mrg_streams], python)
        numbers.update(cases.results_of([cases.in_c], "FAST_COMPILE"))
        numpy.savez(sys.argv[1], **numbers)
    """
    python(code, tmp_path / "ours.npz", path=[HERE])
    theirs, ours = np.load(HERE / "data" / "theano_1_0_5.npz"), np.load(tmp_path / "ours.npz")
    assert sorted(theirs) == sorted(ours)
    for name in theirs:
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype), name
        exact = name.startswith(EXACT) and "average" not in name and "normal" not in name
        scale = max(1, np.abs(theirs[name]).max())
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=0 if exact else 2e-6 * scale, err_msg=name)
