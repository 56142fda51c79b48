"""Aesara's scan on JAX: values and gradients beside those of the other backends."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, HAVE_JAX, aesara, at

from deconv_legacy import engine
from deconv_legacy.engine import compile

if not HAVE_JAX:
    pytest.skip("JAX is not installed", allow_module_level=True)

import jax

from deconv_legacy.engine.jax import as_jax

RNG = np.random.default_rng(5)
X = RNG.standard_normal((5, 3))
BATCH = RNG.standard_normal((4, 2, 3))  # steps first
x, v, steps, batch = at.dmatrix("x"), at.dvector("v"), at.iscalar("steps"), at.dtensor3("batch")


def weights(dtype="float64"):
    rng = np.random.default_rng(1)
    shapes = {"U": (3, 4), "W": (4, 4), "h0": (2, 4)}
    return [aesara.shared(rng.standard_normal(shape).astype(dtype) / 2, name) for name, shape in shapes.items()]


def recurrent(batch, u, w, h0, **how):
    """The hidden states of a layer as Lasagne's."""

    def step(now, before, u, w):
        return at.tanh(at.dot(now, u) + at.dot(before, w))

    return aesara.scan(step, sequences=batch, outputs_info=h0, non_sequences=[u, w], strict=True, **how)[0]


def with_gradients(value, wanted):
    return [value, *aesara.grad((value**2).sum(), wanted)]


def sums():
    total, _ = aesara.scan(lambda row, so_far: so_far + row, sequences=x, outputs_info=at.zeros_like(x[0]))
    return [*with_gradients(total, [x]), *with_gradients(total[-1], [x])]


def power():
    known, _ = aesara.scan(lambda p, v: p * v, outputs_info=at.ones_like(v), non_sequences=v, n_steps=3)
    asked, _ = aesara.scan(lambda p, v: p * v, outputs_info=at.ones_like(v), non_sequences=v, n_steps=steps)
    return [known, *with_gradients(known[-1], [v]), *with_gradients(asked[-1], [v])]


def several_taps():
    """Two earlier steps, one earlier step, none; a sequence at two places."""

    def step(before, now, first, second, one):
        return first / 2 + second / 4 + before, one * now, (before * now).sum()

    sequences = dict(input=x, taps=[-1, 0])
    states = [dict(initial=x[:2], taps=[-1, -2]), at.ones_like(x[0]), None]
    (two, one, none), _ = aesara.scan(step, sequences=sequences, outputs_info=states)
    return [two, one, none, two[-1], none[-2:], aesara.grad((two**2).sum() + one.sum() + none[-1], x)]


def layer():
    u, w, h0 = weights()
    return [
        *with_gradients(recurrent(batch, u, w, h0), [batch, u, w, h0]),
        *with_gradients(recurrent(batch, u, w, h0, go_backwards=True)[-1], [batch]),
    ]


def truncated():
    u, w, h0 = weights()
    return with_gradients(recurrent(batch, u, w, h0, truncate_gradient=2), [w])


def nested():
    def inner(row):
        return aesara.scan(lambda a, so_far: so_far + a * a, sequences=row, outputs_info=np.zeros(()))[0]

    return with_gradients(aesara.scan(inner, sequences=x)[0], [x])


def curvature():
    return [aesara.gradient.hessian((v**3).sum() * v[0], v), aesara.gradient.jacobian(v**2 * v.sum(), v)]


def convolutions():
    w = at.as_tensor_variable(RNG.standard_normal((2, 1, 2, 2)))
    images = x.dimshuffle(0, "x", "x", "x", 1).repeat(3, axis=3)
    return with_gradients(aesara.scan(lambda image: at.nnet.conv2d(image, w), sequences=images)[0], [x])


def windows():
    """Bounds that the number of the step decides; as many numbers each time."""
    means, _ = aesara.scan(lambda n, x: x[n : n + 2].mean(0), sequences=at.arange(x.shape[0] - 1), non_sequences=x)
    return with_gradients(means, [x])


CASES = [sums, power, several_taps, layer, truncated, nested, curvature, convolutions, windows]
INPUTS, ARRAYS = [x, v, steps, batch], [X, X[0], np.int32(4), BATCH]


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, id=build.__name__, marks=[pytest.mark.slow] if build in (layer, several_taps) else [])
        for build in CASES
    ],
)
def test_values_and_gradients(build):
    outputs = build()
    ours, theirs = (
        compile(INPUTS, outputs, backend=backend, on_unused_input="ignore")(*ARRAYS) for backend in ("jax", "numpy")
    )
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_close(mine, wanted)


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
@pytest.mark.slow
def test_a_recurrent_layer_trains_as_in_c():
    """Three steps in float32, the parameters on the device between them."""
    targets = at.fmatrix()
    images = at.ftensor3()
    results = []
    for backend in ("c", "jax"):
        params = weights("float32")
        cost = ((recurrent(images, *params)[-1] - targets) ** 2).mean()
        updates = [(p, p - np.float32(0.1) * g) for p, g in zip(params, aesara.grad(cost, params), strict=True)]
        train = compile([images, targets], cost, updates=updates, backend=backend)
        costs = [train(BATCH.astype("float32"), np.ones((2, 4), "float32")) for _ in range(3)]
        results.append([np.stack(costs), *(p.get_value() for p in params)])
    assert results[0][0][2] < results[0][0][0]
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, "float32")


def test_a_number_of_steps_or_a_size_that_is_an_input():
    """Each value is compiled anew; no steps at all are steps too."""
    ones, _ = aesara.scan(lambda p, v: p + v, outputs_info=at.ones_like(v), non_sequences=v, n_steps=steps)
    wider, _ = aesara.scan(lambda r, n: at.concatenate([r, at.zeros((n,))]), sequences=x, non_sequences=steps)
    f = compile([x, v, steps], [ones, wider], backend="jax")
    for n in (2, 1):
        total, wide = f(X, X[0], n)
        np.testing.assert_allclose(total, [1 + X[0] * (i + 1) for i in range(n)])
        np.testing.assert_array_equal(wide, np.pad(X, ((0, 0), (0, n))))
    empty, _ = aesara.scan(lambda row, so_far: so_far + row, sequences=x, outputs_info=at.zeros_like(x[0]))
    assert compile([x], empty, backend="jax")(X[:0]).shape == (0, 3)


def test_shared_variables_that_a_step_updates():
    """A counter, and a stream of MRG, which goes on after the scan: each step draws as a call of its own would."""
    from aesara.sandbox.rng_mrg import MRG_RandomStream

    count, stream = aesara.shared(np.int64(2), "count"), MRG_RandomStream(7)

    def step(row):
        return row * count + stream.uniform((3,), dtype="float64"), {count: count + 1}

    out, updates = aesara.scan(step, sequences=x)
    f = compile([x], out, updates=updates, backend="jax")
    alone = compile([], MRG_RandomStream(7).uniform((3,), dtype="float64"), backend="jax")
    for first in (2, 7):
        wanted = [row * (first + i) + alone() for i, row in enumerate(X)]
        assert_close(f(X), np.stack(wanted))
    assert count.get_value() == 12


def test_as_jax_and_its_own_gradient():
    u, w, h0 = weights("float32")
    images = at.ftensor3()
    cost = (recurrent(images, u, w, h0) ** 2).sum()
    function, params = as_jax([images], cost)
    array = BATCH.astype("float32")
    ours = jax.jit(jax.grad(function))(params, array)
    theirs = compile([images], aesara.grad(cost, [u, w, h0]), backend="numpy")(array)
    for name, wanted in zip(("U", "W", "h0"), theirs, strict=True):
        assert_close(ours[name], wanted, "float32")


def test_what_only_numbers_tell_within_a_scan():
    """The first step that went wrong speaks; nothing is updated."""
    labels = at.lmatrix("labels")
    total = aesara.shared(np.zeros(()), "total")
    losses, _ = aesara.scan(lambda t, scores: engine.softmax_loss(scores, t), sequences=labels, non_sequences=x)
    f = compile([x, labels], losses, updates=[(total, total + losses.sum())], backend="jax")
    good = np.array([[0, 1, 2, 0, 1], [2, 2, 0, 1, 0], [1, 0, 1, 0, 1]])
    f(X, good)
    before = total.get_value()
    bad = good.copy()
    bad[1:, 3] = [7, 8]
    with pytest.raises(ValueError, match="label 7"):
        f(X, bad)
    assert total.get_value() == before
    assert_close(f(X, good), compile([x, labels], losses, backend="numpy")(X, good))


def test_refusals():
    from aesara.scan.utils import until

    doubled, _ = aesara.scan(lambda p: (2 * p, until(p.sum() > 9)), outputs_info=at.ones_like(v), n_steps=50)
    with pytest.raises(NotImplementedError, match="ends by a condition"):
        compile([v], doubled[-1], backend="jax")(X[0])
    counted, _ = aesara.scan(lambda p: 2 * p, outputs_info=at.ones_like(v), n_steps=at.cast(v.sum(), "int64"))
    with pytest.raises(NotImplementedError, match="depends on the numbers in an input"):
        compile([v], counted[-1], backend="jax")(abs(X[0]))
    short, _ = aesara.scan(lambda row, s: s + row, sequences=x, outputs_info=at.zeros_like(x[0]), n_steps=9)
    with pytest.raises(ValueError, match=r"Sequence 0 has shape \(5, 3\)"):
        compile([x], short, backend="jax")(X)
