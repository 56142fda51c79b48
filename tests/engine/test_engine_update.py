"""Update rules as Ops: the same numbers on every backend, in place, one module for all parameters."""

from __future__ import annotations

import numpy as np
import pytest
from engine_helpers import HAVE_JAX

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.engine.update import RULES
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    ConvolutionLayer,
    DeconvolutionLayer,
    InputLayer,
    Network,
    PoolLayer,
    ReluLayer,
    SoftmaxLossLayer,
)
from deconv_legacy.training import adam, training_function

at = aesara.tensor
needs_compiler = pytest.mark.skipif(not engine.have_compiler(), reason="no C++ compiler")
OTHERS = [*(["c"] if engine.have_compiler() else []), *(["jax"] if HAVE_JAX else [])]
NUMBERS = {
    "sgd": (0.1,),
    "momentum": (0.1, 0.8),
    "nesterov_momentum": (0.1, 0.8),
    "adagrad": (0.1, 1e-3),
    "rmsprop": (0.1, 0.7, 1e-3),
    "adadelta": (0.9, 0.7, 1e-3),
    "adam": (0.1, 0.8, 0.9, 1e-3),
}


def shared(array, name=None):
    return aesara.shared(array, name=name, shape=array.shape)


def three_steps(rule, dtype, backend, turned):
    """A parameter (C order, or not) and what is kept for it, after each of three steps."""
    rng = np.random.default_rng(0)
    start, slopes = rng.standard_normal((4, 3, 2)).astype(dtype), rng.standard_normal((4, 3, 2)).astype(dtype)
    start, slopes = (a.T if turned else np.ascontiguousarray(a.T) for a in (start, slopes))
    p = aesara.shared(start, borrow=True)
    kept = [shared(np.abs(np.sin(1 + i + start)).astype(dtype)) for i in range(RULES[rule][0])]
    count = aesara.shared(np.asarray(0.0))
    numbers = (*NUMBERS[rule], *([count + 1] if rule == "adam" else []))
    new = engine.update(rule, p, kept, at.constant(slopes) * p, *numbers)
    updates = [*zip([p, *kept], new, strict=True), (count, count + 1)]
    step = engine.compile([], updates=updates, backend=backend)
    found = []
    for _ in range(3):
        step()
        found += [v.get_value() for v in (p, *kept)]
    return found


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_backends_agree(rule, dtype, backend):
    for turned in (False, True):
        wanted = three_steps(rule, dtype, "numpy", turned)
        assert len(wanted) == 3 * (1 + RULES[rule][0])
        for a, b in zip(wanted, three_steps(rule, dtype, backend, turned), strict=True):
            assert b.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@needs_compiler
def test_compiled_it_works_in_place():
    p, m, v = (shared(np.ones((3, 4), "float32"), name) for name in "pmv")
    g = at.matrix("g", dtype="float32")
    new = engine.update("adam", p, [m, v], g, 0.1, 0.9, 0.99, 1e-8, 1)
    step = engine.compile([g], updates=list(zip([p, m, v], new, strict=True)), backend="c")
    before = [s.get_value(borrow=True, return_internal_type=True).ctypes.data for s in (p, m, v)]
    step(np.ones((3, 4), "float32"))
    assert [s.get_value(borrow=True, return_internal_type=True).ctypes.data for s in (p, m, v)] == before
    assert p.get_value()[0, 0] != 1
    # where the old value is also wanted, it is kept
    step = engine.compile([g], [p, new[0]], updates=[(p, new[0])], backend="c")
    old, after = step(np.ones((3, 4), "float32"))
    assert (old != after).all() and (p.get_value() == after).all()
    # a variable that is no state of the function stays as it is
    x = np.ones((3, 4), "float32")
    look = engine.compile([g], engine.update("sgd", g, [], g, 0.5), backend="c")
    np.testing.assert_array_equal(look(x)[0], x / 2)
    assert (x == 1).all()


def test_gradients_of_a_step():
    """As of the formula: for training through steps."""
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.5, 1.5, (2, 3)) for _ in range(4)] + [np.asarray(0.1), np.asarray(0.9)]
    p, m, v, g = (at.dmatrix() for _ in range(4))
    rate, beta = at.dscalar(), at.dscalar()
    new = engine.update("adam", p, [m, v], g, rate, beta, 0.99, 1e-3, 3.0)
    weights = [rng.standard_normal((2, 3)) for _ in range(3)]
    total = sum((w * n).sum() for w, n in zip(weights, new, strict=True))
    inputs = [p, m, v, g, rate, beta]
    value = engine.compile(inputs, total, backend="numpy")
    slopes = engine.compile(inputs, aesara.grad(total, inputs), backend="numpy")(*values)
    for index, slope in enumerate(slopes):
        direction = rng.standard_normal(values[index].shape)
        ends = [
            value(*values[:index], values[index] + side * 1e-5 * direction, *values[index + 1 :]) for side in (1, -1)
        ]
        np.testing.assert_allclose((slope * direction).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", *OTHERS])
def test_a_gradient_of_another_shape(backend):
    p, g = shared(np.ones((3, 4))), at.dmatrix()
    step = engine.compile([g], updates=[(p, *engine.update("sgd", p, [], g, 0.1))], backend=backend)
    with pytest.raises(SizeError, match=r"parameter of shape \(3, 4\) and a gradient, or its like, of shape \(1, 4\)"):
        step(np.ones((1, 4)))
    assert (p.get_value() == 1).all()
    with pytest.raises(SizeError, match=r"\(3, 4\) .* of shape \(4,\)"):
        engine.update("sgd", p, [], np.ones(4), 0.1)
    with pytest.raises(TypeError, match="a parameter of dtype float32 and a gradient of float64"):
        engine.update("sgd", shared(np.ones((3, 4), "float32")), [], np.ones((3, 4)), 0.1)
    with pytest.raises(SizeError, match="has no axes"):
        engine.update("sgd", p, [], g, np.ones(3))


def modules(function):
    """The keys of the C modules of a compiled function."""
    keys = set()
    for node in function.maker.fgraph.apply_nodes:
        if isinstance(node.op, aesara.link.c.op.COp) and "make_thunk" not in vars(node.op):
            alone = aesara.graph.fg.FunctionGraph(node.inputs, node.outputs, clone=True)
            linker = aesara.link.c.basic.CLinker().accept(alone, no_recycling=list(alone.outputs))
            keys.add(linker.get_src_code())
    return keys


@needs_compiler
def test_a_training_step_has_few_modules():
    """Each costs seconds on a machine that has none yet."""
    data, labels = InputLayer((None, 3, None, None)), InputLayer((None, 1, None, None), name="labels")
    conv = ReluLayer(ConvolutionLayer(data, (4, 3, 3, 3), 1, 1, "conv", b=True, rng=0))
    second = ConvolutionLayer(PoolLayer(conv, 2), (1, 4, 1, 1), 1, 0, "second", b=True, rng=0)  # a bias of one number
    loss = SoftmaxLossLayer(DeconvolutionLayer(second, (1, 3, 4, 4), 2, 1, "up", rng=0), labels)
    step = training_function(Network(loss), adam, backend="c")
    assert len(modules(step)) <= 10
    assert step(np.ones((1, 3, 4, 6), "float32"), np.zeros((1, 1, 4, 6), "float32")) > 0
