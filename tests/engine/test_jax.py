"""What is JAX's own: pure functions of graphs, where values live, precision, failures, threads."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import HAVE_JAX, aesara, at

import deconv_legacy
from deconv_legacy import engine
from deconv_legacy.engine import compile
from deconv_legacy.errors import DeconvLegacyError, MismatchError, SizeError

if not HAVE_JAX:
    pytest.skip("JAX is not installed", allow_module_level=True)

import jax
import jax.numpy as jnp

from deconv_legacy.engine import device
from deconv_legacy.engine.jax import DeviceMemoryError, as_jax

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 7, 6)).astype("float32")


def net(dtype="float32"):
    """A graph with most of the engine's Ops: x, labels, the loss, its parameters."""
    x, labels = at.tensor4("x", dtype=dtype), at.tensor3("labels", dtype="int64")
    rng = np.random.default_rng(1)
    w, b, v = (
        aesara.shared(rng.standard_normal(shape).astype(dtype), name)
        for name, shape in (("w", (4, 3, 3, 3)), ("b", (4,)), ("v", (4, 5, 4, 4)))
    )
    y = engine.relu(engine.conv(x, w, border_mode=1) + b.dimshuffle("x", 0, "x", "x"))
    y = engine.lrn_across(engine.max_pool(y, 2, rounding="caffe"), 3)
    y = engine.conv_input_gradient(v, y, [2 * n + 2 for n in (y.shape[2], y.shape[3])], stride=2)
    y = engine.crop(y, (x.shape[2], x.shape[3]), offsets=1)
    return x, labels, engine.softmax_loss(y, labels, ignore_label=255), [w, b, v]


LABELS = RNG.integers(0, 5, (2, 7, 6))


def test_as_jax_with_jit_and_grad():
    x, labels, loss, params = net()
    function, values = deconv_legacy.as_jax([x, labels], loss)
    assert sorted(values) == ["b", "v", "w"] and all(isinstance(value, jax.Array) for value in values.values())
    got, gradients = jax.jit(jax.value_and_grad(function))(values, X, LABELS)
    expected = compile([x, labels], [loss, *aesara.grad(loss, params)], backend="numpy")(X, LABELS)
    assert_close(got, expected[0], "float32")
    for name, wanted in zip("wbv", expected[1:], strict=True):
        assert_close(gradients[name], wanted, "float32")
    # a new size is traced anew
    assert jax.jit(function)(values, X[:1, :, :6], LABELS[:1, :6]).shape == ()


def test_as_jax_with_donation_and_store():
    x, labels, loss, params = net()
    function, values = as_jax([x, labels], loss)

    @partial(jax.jit, donate_argnums=0)
    def step(values, x, labels):
        loss, gradients = jax.value_and_grad(function)(values, x, labels)
        return loss, jax.tree.map(lambda v, g: v - 0.1 * g, values, gradients)

    before, losses = params[0].get_value(), []
    for _ in range(3):
        old = values
        value, values = step(values, X, LABELS)
        losses.append(float(value))
    assert losses[2] < losses[0] and old["w"].is_deleted()
    np.testing.assert_array_equal(params[0].get_value(), before)
    function.store(values)
    np.testing.assert_array_equal(params[0].get_value(), values["w"])


def test_as_jax_of_ties_and_zeros():
    """Gradients where conventions differ: equal maxima, a rectifier at 0, a value that unpooling overwrites."""
    x = at.tensor4("x", dtype="float32")
    maxima, mask = engine.max_pool_with_mask(x, 3, 1)
    outputs = [engine.max_pool(x, 2, 1), engine.relu(x), engine.unpool(maxima, mask, (5, 6))]
    image = np.random.default_rng(3).integers(-1, 2, (1, 2, 5, 6)).astype("float32")
    for output in outputs:
        weight = np.random.default_rng(4).standard_normal(compile([x], output, backend="numpy")(image).shape)
        cost = (output * weight.astype("float32")).sum()
        expected = compile([x], aesara.grad(cost, x), backend="numpy")(image)
        function, _ = as_jax([x], cost)
        got = jax.grad(function, 1)({}, image)
        assert_close(got, expected, "float32")


FILTERS = np.random.default_rng(5).standard_normal((4, 3, 3, 2)).astype("float32")
TRANSFORMED = {
    "conv": lambda x, labels: engine.conv(x, FILTERS, stride=(1, 2), border_mode=((3, 4), (0, 1))),
    "one product": lambda x, labels: engine.conv(x[:, :, :3, :3], np.tile(FILTERS, (3, 1, 1, 1))),
    "phases": lambda x, labels: engine.conv_input_gradient(FILTERS[:3], x, (21, 18), stride=3),
    "weights": lambda x, labels: engine.conv_weight_gradient(x, x[:, :, 2:, 1:] ** 2, (3, 2)),
    "max pool": lambda x, labels: engine.max_pool(x, (3, 2), (2, 2), pad=1, rounding="caffe"),
    "max pool, a large window": lambda x, labels: engine.max_pool(engine.repeat(x, 3), (9, 8), 2),
    "all maxima, a large window": lambda x, labels: engine.max_pool(engine.repeat(x, 3), (9, 8), 2, ties="all"),
    "average pool": lambda x, labels: engine.average_pool(x, (3, 2), (2, 1), pad=1),
    "unpool": lambda x, labels: engine.unpool(*engine.max_pool_with_mask(x, 3, 1), (7, 6)),
    "resize": lambda x, labels: engine.linear_resize(x, (11, 4)),
    "lrn across": lambda x, labels: engine.lrn_across(x, 3),
    "lrn within": lambda x, labels: engine.lrn_within(x, 3),
    "relu": lambda x, labels: engine.relu(x, 0.1),
    "softmax": lambda x, labels: engine.softmax(x),
    "softmax loss": lambda x, labels: engine.softmax_loss(x, labels),
    "sigmoid loss": lambda x, labels: engine.sigmoid_cross_entropy_loss(x, at.gt(x, 0) * 1.0),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_as_jax_transforms(name):
    """Batches of gradients are each one's, and derivatives forwards those backwards."""
    x, labels = at.tensor4("x", dtype="float32"), at.tensor3("labels", dtype="int64")
    function, _ = as_jax([x, labels], TRANSFORMED[name](x, labels))
    images, classes = np.stack([X, X[::-1] ** 2 - 1]), np.stack([LABELS, LABELS[::-1]]) % 3
    weight = np.random.default_rng(6).standard_normal(function({}, X, classes[0]).shape).astype("float32")

    def cost(image, labels):
        return (function({}, image, labels) * weight).sum()

    towards = RNG.standard_normal(X.shape).astype("float32")

    def derivative(image, labels, towards):
        return jax.jvp(lambda image: function({}, image, labels), (image,), (towards,))[1]

    @jax.jit
    def derivatives(images, classes, towards):
        pairs = list(zip(images, classes, strict=True))
        forwards = [derivative(image, labels, towards) for image, labels in pairs]
        alone = [jax.grad(cost)(image, labels) for image, labels in pairs]
        return jax.vmap(jax.grad(cost))(images, classes), alone, forwards

    for together, alone, forwards in zip(*derivatives(images, classes, towards), strict=True):
        assert np.abs(alone).max() > 0
        assert_close(together, alone, "float32")
        terms = np.abs(alone * towards).sum()
        assert_close((forwards * weight).sum(), (alone * towards).sum(), "float32", scale=terms)


def test_as_jax_without_64_bits_says_so():
    x, labels, loss, _ = net("float64")
    function, values = as_jax([x, labels], loss)
    with pytest.raises(TypeError, match="float64"):
        function(values, X, LABELS)
    from deconv_legacy.engine.jax._import import with_64_bits

    with with_64_bits():
        got = jax.jit(function)(values, X.astype("float64"), LABELS)
        assert got.dtype == "float64"
    assert_close(got, compile([x, labels], loss, backend="numpy")(X, LABELS))
    assert not jax.config.jax_enable_x64


def test_as_jax_names_and_refusals():
    x = at.fvector("x")
    first, second = (aesara.shared(np.ones(2, "float32"), "w") for _ in range(2))
    function, values = as_jax([x], x * first + second)
    assert list(values) == ["w", "w#2"]
    with pytest.raises(MismatchError, match="w#2"):
        function({"w": values["w"]}, np.ones(2, "float32"))
    with pytest.raises(TypeError, match="1 inputs"):
        function(values)
    with pytest.raises(MismatchError, match="not among the inputs"):
        as_jax([], x * first)
    with pytest.raises(ValueError, match=r"'half'.*'float32', 'tf32', 'bfloat16'"):
        as_jax([x], x, precision="half")


def test_random_masks_by_key():
    x = at.matrix("x", dtype="float32")
    mask = at.random.utils.RandomStream(5).bernoulli(0.25, size=x.shape)
    output = x * at.cast(mask, "float32")
    ones = np.ones((100, 200), "float32")
    function, values = as_jax([x], output)
    with pytest.raises(TypeError, match="key"):
        function(values, ones)
    one, again, other = (np.asarray(function(values, ones, key=jax.random.key(k))) for k in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert one.mean() == pytest.approx(0.25, abs=0.02)
    compiled = compile([x], output, backend="jax")
    first, second = compiled(ones), compiled(ones)
    assert not np.array_equal(first, second) and second.mean() == pytest.approx(0.25, abs=0.02)
    # the state is NumPy's generator: what it held, it gives again
    frozen = compile([x], output, backend="jax", no_default_updates=True)
    np.testing.assert_array_equal(frozen(ones), frozen(ones))


def test_sizes_that_depend_on_numbers():
    x, n = at.fvector("x"), at.lscalar("n")
    function = compile([x, n], at.concatenate([x, at.zeros(n, "float32")]), backend="jax")
    for size in (2, 3):
        assert function(np.ones(4, "float32"), size).shape == (4 + size,)
    with pytest.raises(NotImplementedError, match=r"numbers in an input.*backend 'c' or 'numpy'"):
        compile([x], x[: at.cast(x.sum(), "int64")], backend="jax")(np.ones(4, "float32"))
    with pytest.raises(NotImplementedError, match=r"draws uniform.*not 'gamma'"):
        compile([x], at.random.utils.RandomStream(1).gamma(x, 1.0), backend="jax")(np.ones(4, "float32"))


def test_interface_of_functions():
    x, y = at.fvector("x"), at.fscalar("y")
    total = aesara.shared(np.float32(0), "total")
    f = compile([x, y], {"twice": 2 * x, "sum": total + y}, updates={total: total + y}, backend="jax", name="f")
    result = f(np.ones(2, "float32"), y=3)
    assert sorted(result) == ["sum", "twice"] and result["sum"] == 3 and total.get_value() == 3
    result["twice"][0] = 5  # a caller's own memory, as from the other backends
    f(y=1, x=np.ones(2, "float32"))
    assert total.get_value() == 4
    for arguments, error, text in (
        (((np.ones(2, "float32"),), {}), TypeError, "'y' is missing"),
        (((np.ones(2, "float32"), 1, 2), {}), TypeError, "takes 2 inputs, 3"),
        (((np.ones(2, "float32"), 1), {"z": 1}), TypeError, "'z'"),
        (((np.ones(2, "float32"), 1), {"y": 1}), TypeError, "given twice"),
        (((np.ones((2, 2), "float32"), 1), {}), TypeError, "Bad input 'x'"),
        (((np.ones(2, "float64"), 1), {}), TypeError, "Bad input 'x'"),
    ):
        with pytest.raises(error, match=text):
            f(*arguments[0], **arguments[1])
    assert compile([x], [], backend="jax", on_unused_input="ignore")(np.ones(2, "float32")) == []
    from aesara.compile.function.types import UnusedInputError

    with pytest.raises(UnusedInputError, match="not part of"):
        compile([x, y], 2 * x, backend="jax")
    np.testing.assert_array_equal(compile([x], x + y, givens={y: x.sum()}, backend="jax")([1, 2]), [4, 5])


def test_values_stay_on_the_device_and_come_back():
    w = aesara.shared(np.ones(3, "float32"), "w")
    step = compile([], w.sum(), updates=[(w, 2 * w)], backend="jax")
    read = compile([], w * 1, backend="jax")
    assert step() == 3 and isinstance(w.container.storage[0], device.OnDevice)
    array = w.container.storage[0].array
    np.testing.assert_array_equal(read(), [2, 2, 2])
    assert w.container.storage[0].array is array, "nothing is moved"
    # reading brings the value back, and memory that is handed out is the value
    np.testing.assert_array_equal(w.get_value(), [2, 2, 2])
    borrowed = w.get_value(borrow=True)
    borrowed[0] = 7
    np.testing.assert_array_equal(read(), [7, 2, 2])
    borrowed[0] = 8
    np.testing.assert_array_equal(read(), [8, 2, 2])
    del borrowed
    assert step() == 12
    w.set_value(np.zeros(3, "float32"))
    np.testing.assert_array_equal(read(), [0, 0, 0])


@pytest.mark.parametrize("backend", ["numpy", *(["c"] if engine.have_compiler() else [])])
def test_two_backends_take_turns(backend):
    w = aesara.shared(np.ones(3), "w")
    updates = [(w, w + at.arange(3))]
    ours, theirs = compile([], updates=updates, backend="jax"), compile([], w.sum(), updates=updates, backend=backend)
    plain = aesara.function([], w.sum(), mode="FAST_COMPILE")
    ours()
    assert theirs() == 6
    ours()
    theirs()
    np.testing.assert_array_equal(w.get_value(), [1, 5, 9])
    ours()
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        # Aesara's own functions know nothing of devices: they may fail, but never take old numbers
        assert plain() == 18
    engine.to_host([w])
    assert plain() == 18


def test_a_failed_call_changes_nothing():
    x, labels, loss, params = net()
    updates = [(p, p - aesara.grad(loss, p)) for p in params]
    step = compile([x, labels], loss, updates=updates, backend="jax")
    before = [p.get_value() for p in params]
    wrong = LABELS.copy()
    wrong[1, 2, 3] = 9
    with pytest.raises(SizeError, match=r"label 9 at \(1, 2, 3\) is none of the 5 classes"):
        step(X, wrong)
    for p, value in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.get_value(), value)
    step(X, LABELS)
    assert not np.array_equal(params[0].get_value(), before[0])


def test_precision_by_name():
    x, labels, loss, _ = net()
    exact, short, tf32 = (
        compile([x, labels], loss, backend=name)(X, LABELS) for name in ("jax", "jax:bfloat16", "jax:cpu:tf32")
    )
    assert 1e-6 < abs(short - exact) < 0.05 * abs(exact)
    np.testing.assert_allclose(tf32, exact, rtol=1e-3)
    for wrong in ("jax:half", "jax:1", "numpy:bfloat16"):
        with pytest.raises(ValueError, match=wrong):
            compile([x, labels], loss, backend=wrong)
    same = compile([x, labels], loss, backend="jax:float32:deterministic")
    assert same(X, LABELS) == same(X, LABELS) == exact


def test_devices():
    x = at.fvector("x")
    assert compile([x], 2 * x, backend="jax:cpu").device.platform == "cpu"
    with pytest.raises(MismatchError, match="no device 'cpu:99'"):
        compile([x], 2 * x, backend="jax:cpu:99")
    assert engine.gpu_backend(99) is None


def test_out_of_memory(monkeypatch):
    """XLA's error, as it comes from a GPU, while a training step has given its parameters away."""
    x, w = at.fvector("x"), aesara.shared(np.ones(3, "float32"), "w")
    step = compile([x], w.sum(), updates=[(w, w * x)], backend="jax")
    step(np.ones(3, "float32"))
    (key,) = step._jitted

    def fail(replaced, rest):
        replaced[0].delete()
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 99 bytes.")

    monkeypatch.setitem(step._jitted, key, (fail, []))
    with pytest.raises(DeviceMemoryError, match=r"too little memory.*bfloat16.*99 bytes") as error:
        step(np.ones(3, "float32"))
    assert isinstance(error.value, MemoryError)
    with pytest.raises(DeconvLegacyError, match="lost when a training step failed"):
        w.get_value()
    monkeypatch.undo()
    w.set_value(np.ones(3, "float32"))
    assert step(np.ones(3, "float32")) == 3


def test_threads_at_once():
    """Each call of a training step counts once, and a reader sees a value that was there between two steps."""
    w = aesara.shared(np.zeros(1000), "w")
    step, read = compile([], updates=[(w, w + 1)], backend="jax"), compile([], w + 0, backend="jax")
    x = at.dmatrix("x")
    square = compile([x], at.dot(x, x), backend="jax")
    wrong = []

    def work(number):
        for i in range(10):
            step()
            seen = read()
            if not (seen == seen[0]).all():
                wrong.append(seen)
            matrix = np.full((3, 3), float(number + i))
            if not np.array_equal(square(matrix), matrix @ matrix):
                wrong.append(matrix)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(w.get_value(), np.full(1000, 40.0))


def run_python(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_absent_and_broken_jax(tmp_path):
    code = """
from deconv_legacy import engine
from deconv_legacy.errors import DeconvLegacyError
x = engine.aesara.tensor.dvector()
assert engine.compile([x], 2 * x, backend="numpy")([1.0]) == 2
try:
    engine.compile([x], 2 * x, backend="jax")
except DeconvLegacyError as error:
    print(type(error).__name__, error)
"""
    absent = run_python("import sys; sys.modules['jax'] = None\n" + code)
    assert absent == 'MissingExtraError the JAX backend needs jax: pip install "deconv_legacy[jax]"\n'
    (tmp_path / "jax.py").write_text("raise RuntimeError('jaxlib is version 0.1, but this version of jax needs 0.2')")
    broken = run_python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + code)
    assert broken.startswith("DeconvLegacyError JAX is installed but cannot be imported") and "0.1" in broken
    assert len(broken.splitlines()) == 1


def test_a_process_of_its_own():
    """With XLA's optimisations; nothing of JAX's is changed, and nothing is imported before it is asked for."""
    code = """
import sys, numpy as np
import deconv_legacy
from deconv_legacy import engine
assert "jax" not in sys.modules
at = engine.aesara.tensor
x, w = at.dtensor4(), at.dtensor4()
y = engine.max_pool(engine.relu(engine.conv(x, w, border_mode="half", stride=(1, 2))), 3, 2, rounding="caffe")
y = engine.conv_input_gradient(w, y, (9, 8), stride=2)
outputs = [y, *engine.aesara.grad((y * y).sum(), [x, w])]
rng = np.random.default_rng(0)
arrays = rng.standard_normal((2, 3, 9, 15)), rng.standard_normal((3, 3, 3, 2))
pairs = [engine.compile([x, w], outputs, backend=backend)(*arrays) for backend in ("jax", "numpy")]
for ours, theirs in zip(*pairs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * abs(theirs).max())
import jax, os
assert not jax.config.jax_enable_x64 and jax.numpy.ones(2).dtype == "float32"
assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
"""
    run_python(code, XLA_FLAGS="")


def test_compiled_programs_are_kept(tmp_path, monkeypatch):
    for name in ("DIR", "MAX_SIZE"):  # which this process has set
        monkeypatch.delenv(f"JAX_COMPILATION_CACHE_{name}", raising=False)
    code = """
from deconv_legacy import engine
from pathlib import Path
x = engine.aesara.tensor.fvector()
engine.compile([x], (x * x).sum(), backend="jax")([1, 2])
folder = engine.jax.compiled_folder()
print(folder, folder is not None and any(Path(folder).iterdir()))
"""
    known = dict(JAX_ENABLE_COMPILATION_CACHE="true", JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0")
    ours = dict(known, AESARA_FLAGS=f"base_compiledir={tmp_path / 'aesara'}")
    assert run_python(code, **ours) == f"{tmp_path / 'aesara' / 'jax'} True\n"
    assert run_python(code, **ours) == f"{tmp_path / 'aesara' / 'jax'} True\n"  # and read
    assert run_python(code, **ours, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own")) == f"{tmp_path / 'own'} True\n"
    assert run_python("import jax\n" + code, **ours) == "None False\n"  # JAX's settings are whose who imports it


def test_a_first_call_says_that_it_compiles(capfd, monkeypatch):
    from deconv_legacy.engine import announce

    monkeypatch.setattr(announce, "_said", set())
    monkeypatch.setattr("deconv_legacy.engine.jax.function.announced", partial(announce.announced, after=0.0))
    x = at.fvector("x")
    function = compile([x], x + 1, backend="jax")
    function([1.0])
    deadline = time.monotonic() + 10
    said = ""
    while "compiling with XLA for" not in said and time.monotonic() < deadline:
        said += capfd.readouterr().err
    assert "once for each size of the inputs" in said
    function([2.0])
    compile([x], x + 2, backend="jax", progress=False)([1.0])
    assert capfd.readouterr().err == ""


def test_memory_of_arguments_is_not_shared():
    """An array that the caller changes after a call changes no result, and jnp arrays are taken as they are."""
    x = at.fvector("x")
    f = compile([x], x + 0, backend="jax")
    array = np.ones(4, "float32")
    result = f(array)
    array[:] = 9
    np.testing.assert_array_equal(result, np.ones(4))
    np.testing.assert_array_equal(f(jnp.full(4, 3, "float32")), np.full(4, 3))
