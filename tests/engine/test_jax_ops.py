"""Aesara's Ops that old scripts use, on JAX: values and gradients beside NumPy's, subject by subject."""

import contextlib
import importlib

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import HAVE_JAX, aesara, at

from deconv_legacy.engine import compile

if not HAVE_JAX:
    pytest.skip("JAX is not installed", allow_module_level=True)

# of Aesara, about its own words, and of NumPy where it divides by 0 what a switch then leaves out
pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
SQUARE = RNG.standard_normal((4, 4))
ARRAYS = {
    "x": RNG.standard_normal((3, 4)),
    "y": RNG.standard_normal((3, 4)),
    "v": RNG.standard_normal(4),
    "p": RNG.random((3, 4)) * 0.8 + 0.1,
    "s": SQUARE @ SQUARE.T + np.eye(4),
    "t": RNG.standard_normal((2, 3, 4)),
    "u": RNG.standard_normal((2, 4, 5)),
    "z": RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4)),
    "i": np.array([2, 0, 2]),
    "b": RNG.integers(0, 2, (3, 4)).astype("int8"),
    "n": RNG.integers(-5, 6, (3, 4)),
    "m": RNG.integers(1, 5, (3, 4)),
}
INPUTS = {name: at.tensor(a.dtype, shape=(None,) * a.ndim, name=name) for name, a in ARRAYS.items()}
MODULES = {
    name: importlib.import_module(f"aesara.tensor.{name}")
    for name in ("nnet", "extra_ops", "nlinalg", "slinalg", "sort", "fft", "nnet.neighbours")
}
KNOWN = {"at": at, "np": np, **{name.split(".")[-1]: module for name, module in MODULES.items()}, **INPUTS}
NO_GRADIENT = (NotImplementedError, TypeError, aesara.gradient.NullTypeGradError, aesara.graph.utils.MethodNotDefined)


def each(names, arguments):
    return [f"at.{name}({arguments})" for name in names.split()]


SUBJECTS = {
    "numbers": [
        *each("exp expm1 sin cos tan arctan sinh cosh tanh arcsinh abs sgn sqr ceil floor trunc neg", "x"),
        *each("erf erfc sigmoid softplus isnan isinf", "x"),
        *each("log log2 log10 log1p sqrt arcsin arccos arctanh reciprocal erfinv erfcinv", "p"),
        *(
            "at.deg2rad(n)",
            "at.rad2deg(n)",
            "at.arccosh(p + 1)",
            "at.log1mexp(-p)",
            "at.clip(x, -0.5, 0.7)",
            "at.iround(x)",
        ),
        *("at.round(x * 3, mode='half_to_even')", "at.round(x * 3, mode='half_away_from_zero')"),
        *("at.cast(x * 3, 'int8')", "at.cast(p * 200, 'uint8')", "at.cast(n, 'bool')"),
    ],
    "pairs of numbers": [
        *each("add sub mul true_div int_div mod maximum minimum arctan2 logaddexp", "x, y"),
        *each("lt le gt ge eq neq isclose allclose", "x, y"),
        *each("add sub mul true_div int_div mod maximum minimum lt le eq pow", "n, m"),
        *("at.pow(p, x)", "x**3", "m**2", "x % -0.7", "x // 0.3", "n & m", "n | m", "n ^ m", "~n"),
        *("at.and_(n > 0, m > 2)", "at.or_(n > 0, m > 2)", "at.xor(n > 0, m > 2)", "~(n > 0)"),
        *("at.switch(x > 0, x, y * 2)", "at.where(b, x, y)", "at.fill(x, 1.0)"),
    ],
    "gamma and Bessel functions": [
        *each("gamma gammaln psi tri_gamma i0", "p"),
        *("at.gammau(p + 1, p)", "at.gammal(p + 1, p)", "at.chi2sf(p * 3, 2.0)"),
        *("at.gammainc(m + 1, n**2)", "at.gammaincc(m + 1, n**2)", "at.betainc(m + 1, m, 1 / (1 + n**2))"),
    ],
    "complex numbers": [
        *each("real imag abs angle conj exp", "z"),
        *("at.complex(x, y)", "at.complex_from_polar(p, x)", "z * z + x", "at.dot(z, z.T)", "z.sum(0)"),
        *("fft.rfft(x)", "fft.irfft(fft.rfft(x))", "fft.rfft(t, norm='ortho')", "fft.irfft(fft.rfft(t), is_odd=False)"),
    ],
    "reductions": [
        *(f"at.{name}(x, axis={axis})" for name in ("sum", "prod", "mean", "max", "min") for axis in (None, 0, 1)),
        *("at.var(x, axis=0)", "at.std(x, axis=1)", "at.any(x > 0, axis=0)", "at.all(x > 0, axis=1)", "at.all(n)"),
        *("at.argmax(x, axis=None)", "at.argmax(x, axis=1, keepdims=True)", "at.argmin(x, axis=0)", "n.max(0)"),
        *("at.sum(t, axis=(0, 2), keepdims=True)", "at.max(t, axis=(0, 2))", "at.max_and_argmax(t, axis=[0, 2])"),
        *("at.math.ProdWithoutZeros()(n)", "at.logsumexp(x, axis=1)", "x.norm(2)", "x.norm(1, axis=0)", "b.sum()"),
        *("at.ptp(x, axis=0)", "n.mean()", "(x > 0).sum()", "m.prod(axis=1)", "at.sum(n, dtype='float64')"),
        *("at.prod(n * x, axis=1)", "at.cumsum(x)", "at.cumsum(x, axis=1)", "at.cumprod(x, axis=0)"),
    ],
    "reading by index": [
        *(
            "x[1]",
            "x[::-1, 1:3]",
            "x[:, -1]",
            "x[::2, ::-2]",
            "x[None, :, 1]",
            "t[..., 1]",
            "x[:i[0]]",
            "x[i[0], i[1]]",
        ),
        *("x[i]", "x[:, i]", "x[i, i]", "t[:, i]", "t[1, i, 2:]", "t[:, i, i]", "t[:, i[:, None], i[None, :]]"),
        *("x[np.array([True, False, True])]", "at.take(x, i, axis=1)", "at.take(x, i)", "x.take(n % 3, axis=0)"),
        *("at.diag(s)", "at.diag(v)", "s.diagonal(1)", "at.diagonal(t, 0, 1, 2)", "nlinalg.trace(s)"),
        *("at.split(x, [1, 3], 2, axis=1)", "at.compress([True, False, True], x, axis=0)"),
        *(
            "extra_ops.ravel_multi_index([i, i], (3, 4))",
            "extra_ops.unravel_index(i, (3, 4))",
            "at.nonzero(at.arange(3) % 2)",
        ),
    ],
    "writing by index": [
        *("at.set_subtensor(x[1], 7.0)", "at.set_subtensor(x[:, 1:3], y[:, :2])", "at.set_subtensor(x[:i[0]], 0.0)"),
        *(
            "at.inc_subtensor(x[::2], 1.0)",
            "at.inc_subtensor(x[::-1], y)",
            "at.inc_subtensor(x[::-2, 3:0:-1], y[:2, :3])",
        ),
        *("at.inc_subtensor(x[2, 1:], v[1:])", "at.inc_subtensor(x[5:], 1.0)", "at.set_subtensor(x[i[0]], v)"),
        *("at.inc_subtensor(x[i], 1.5)", "at.inc_subtensor(x[i], 1.5, ignore_duplicates=True)"),
        *("at.inc_subtensor(x[i, i], v[:3])", "at.inc_subtensor(t[:, i], 2.0)", "at.set_subtensor(x[:, i], 0.0)"),
        *(
            "at.set_subtensor(x[x > 0], 0.0)",
            "at.inc_subtensor(x[x > 0], 1.0)",
            "at.set_subtensor(t[t[:, :, 0] > 0], 1.0)",
        ),
        *(
            "extra_ops.fill_diagonal(s, 0.0)",
            "extra_ops.fill_diagonal_offset(s, 0.0, 1)",
            "extra_ops.fill_diagonal_offset(x, 0.0, -1)",
        ),
    ],
    "order": [
        *("at.sort(x)", "at.sort(x, axis=0)", "at.sort(x, axis=None)", "at.argsort(x)", "at.argsort(x, axis=0)"),
        *("at.argsort(x, axis=None)", "at.sort(sort.topk(x, 2, sorted=False))", "at.sort(n)"),
        *("at.sort(sort.argtopk(x, 2, sorted=False))", "at.sort(sort.topk(x, -2, axis=0, sorted=False), axis=0)"),
        *("at.searchsorted(at.sort(v), x.flatten(), side='right')", "at.inverse_permutation(at.argsort(v))"),
        *("at.permute_row_elements(x, at.argsort(v))", "at.permute_row_elements(x, at.argsort(x, axis=1))"),
        *("at.bincount(i, minlength=5)", "at.diff(x, axis=1)"),
    ],
    "shapes": [
        *(
            "at.repeat(x, 2, axis=1)",
            "at.repeat(x, 3)",
            "at.repeat(x, np.array([1, 0, 2]), axis=0)",
            "at.tile(x, (2, 3))",
        ),
        *("at.roll(x, 1, axis=0)", "at.roll(x, -2)", "x.dimshuffle(0, 'x', 1).squeeze()", "t.swapaxes(0, 2)"),
        *(
            "t.flatten(2)",
            "x.reshape((2, -1))",
            "x.reshape((i[0], -1))",
            "at.stack([x, y], axis=1)",
            "at.join(-1, x, y)",
        ),
        *("at.horizontal_stack(x, y)", "at.broadcast_to(v, (3, 4))", "at.shape_padright(x)", "at.zeros_like(x)"),
        *("at.alloc(v, 3, 4)", "at.ones((3, x.shape[1]))", "at.identity_like(s)", "at.eye(3, 4, 1)", "at.tri(3, 4, 1)"),
        *("at.tril(s)", "at.triu(s, 1)", "at.arange(x.shape[1])", "at.arange(2, 11, 3)", "at.mgrid[0:3, 1:4]"),
        *("extra_ops.to_one_hot(i, 4)", "x.shape", "x.size", "at.tril_indices(4)"),
    ],
    "aesara.tensor.nnet": [
        *("nnet.softmax(x)", "at.special.softmax(t, axis=1)", "nnet.logsoftmax(x)", "nnet.softmax_with_bias(x, v)"),
        *("nnet.categorical_crossentropy(nnet.softmax(x), i)", "nnet.categorical_crossentropy(nnet.softmax(x), p)"),
        *("nnet.categorical_crossentropy(p, i)", "nnet.crossentropy_softmax_1hot_with_bias(x, v, i)[0]"),
        *("nnet.binary_crossentropy(p, p**2)", "nnet.sigmoid_binary_crossentropy(x, p)", "nnet.softsign(x)"),
        *("nnet.relu(x)", "nnet.relu(x, 0.1)", "nnet.elu(x)", "nnet.selu(x)", "nnet.hard_sigmoid(x)"),
        *("nnet.ultra_fast_sigmoid(x)", "nnet.batchnorm.batch_normalization(x, v, v, v, v**2 + 1)"),
        *(
            "neighbours.images2neibs(at.stack([t, t]), (1, 2))",
            "neighbours.images2neibs(at.stack([t]), (3, 2), (1, 2))",
        ),
        *("neighbours.images2neibs(at.stack([t, t]), (3, 3), (1, 1), mode='half')",),
        *("neighbours.neibs2images(neighbours.images2neibs(at.stack([t]), (3, 2)), (3, 2), (1, 2, 3, 4))",),
    ],
    "products": [
        *("at.dot(x, y.T)", "at.dot(x, v)", "at.dot(v, v)", "at.dot(t, v)", "at.dot(n, m.T)", "at.outer(v, v)"),
        *("at.tensordot(t, u, axes=[[2], [1]])", "at.tensordot(t, x, axes=2)", "at.batched_dot(t, u)"),
        *("at.batched_dot(x, y)", "at.batched_tensordot(t, u, axes=[[2], [1]])", "x + 0.5 * at.dot(x, s)"),
        *("slinalg.kron(x, y)", "nlinalg.matrix_dot(x, s, y.T)", "nlinalg.matrix_power(s, 3)"),
    ],
    "linear algebra": [
        *("nlinalg.matrix_inverse(s)", "nlinalg.pinv(x)", "nlinalg.det(s)", "nlinalg.norm(x, 'fro')"),
        *("nlinalg.eigh(s)[0]", "at.abs(nlinalg.eigh(s)[1])", "at.sort(at.abs(nlinalg.eig(s)[0]))"),
        *("nlinalg.svd(x, compute_uv=False)", "at.abs(nlinalg.qr(s, mode='r'))"),
        *("nlinalg.tensorinv(s.reshape((2, 2, 2, 2)), 2)", "nlinalg.tensorsolve(s, v)", "slinalg.expm(s / 9)"),
        *("slinalg.cholesky(s)", "slinalg.Cholesky(lower=False)(s)", "slinalg.solve(s, v)", "slinalg.solve(s, x.T)"),
        *("slinalg.solve_triangular(s, v, lower=True)", "slinalg.solve_triangular(s, v, trans=1)"),
        *("slinalg.cho_solve((slinalg.cholesky(s), True), v)",),
    ],
}


def with_gradients(expression):
    """Its outputs, then, where Aesara has them, the gradients of a weighted sum of each."""
    outputs = eval(expression, KNOWN)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    gradients = []
    for output in outputs:
        wanted = [v for v in aesara.graph.basic.ancestors([output]) if v in INPUTS.values() and v.dtype == "float64"]
        if output.dtype != "float64" or not wanted:
            continue
        weights = at.cos(at.arange(output.size)).reshape(output.shape)
        with contextlib.suppress(*NO_GRADIENT):
            gradients += aesara.grad((output * weights).sum(), wanted, disconnected_inputs="ignore")
    return outputs + gradients


@pytest.mark.parametrize("subject", SUBJECTS)
def test_values_and_gradients(subject):
    pairs = [(expression, output) for expression in SUBJECTS[subject] for output in with_gradients(expression)]
    inputs, outputs = list(INPUTS.values()), [output for _, output in pairs]
    ours, theirs = (
        compile(inputs, outputs, backend=backend, on_unused_input="ignore")(*ARRAYS.values())
        for backend in ("jax", "numpy")
    )
    for (expression, output), mine, wanted in zip(pairs, ours, theirs, strict=True):
        assert mine.dtype == output.dtype, expression
        if output.dtype == "float64":
            assert_close(mine, wanted, err_msg=expression)
        else:
            np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=0, err_msg=expression)


@pytest.mark.parametrize("written", [0.0, 2.5])
def test_a_mask_by_nonzero(written):
    """How Theano's scripts wrote to a mask; the gradient stops there."""
    x, y = INPUTS["x"], INPUTS["y"]
    masked = at.set_subtensor(x[(x > 0).nonzero()], written)
    outputs = [masked, at.inc_subtensor(x[at.gt(y, x).nonzero()], written), aesara.grad((masked * y).sum(), x)]
    ours, theirs = (compile([x, y], outputs, backend=b)(ARRAYS["x"], ARRAYS["y"]) for b in ("jax", "numpy"))
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, wanted)


REFUSED = {
    "at.nonzero(n)": "nonzero: how many numbers differ from 0",
    "x[x > 0]": "a mask depends on the numbers",
    "x[(x > 0).nonzero()].mean()": "nonzero: how many numbers differ from 0",
    "at.set_subtensor(x[x > 0], y[x > 0])": "a mask depends on the numbers",
    "at.unique(i[:2] * n[0, 0])": "how many there are",
    "at.arange(v.sum())": "depends on the numbers in an input",
    "slinalg.eigvalsh(s, at.eye(4))": "no way to compute Eigvalsh",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused_says_why(expression):
    function = compile(list(INPUTS.values()), eval(expression, KNOWN), backend="jax", on_unused_input="ignore")
    with pytest.raises(NotImplementedError, match=REFUSED[expression]):
        function(*ARRAYS.values())


def test_what_only_numbers_tell():
    x, i = INPUTS["x"], INPUTS["i"]
    loss = compile([x, i], at.nnet.categorical_crossentropy(at.nnet.softmax(x), i), backend="jax")
    loss(ARRAYS["x"], [0, 1, 3])
    for wrong in ([0, 4, 1], [0, -1, 1]):
        with pytest.raises(ValueError, match="y_i value out of bounds"):
            loss(ARRAYS["x"], wrong)
    places = compile([i], MODULES["extra_ops"].ravel_multi_index([i, i], (3, 4)), backend="jax")
    with pytest.raises(ValueError, match="invalid entry in coordinates"):
        places([0, 3, 1])
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        compile([x], x[3], backend="jax")(ARRAYS["x"])
