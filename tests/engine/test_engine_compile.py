"""`compile`: its backends, what it says while it compiles, and that our Ops keep Aesara's contract."""

import importlib
import io
import pickle
import time

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, aesara, at

from deconv_legacy import engine, reference
from deconv_legacy.engine import NoCompilerWarning, compile
from deconv_legacy.engine.convolution import FusedConv
from deconv_legacy.engine.modes import mode_of

modes = importlib.import_module("deconv_legacy.engine.modes")
module = importlib.import_module("deconv_legacy.engine.compile")  # the package's attribute is the function
DebugMode = importlib.import_module("aesara.compile.debugmode").DebugMode


@pytest.mark.parametrize("backend", ["numpy", None, *(["c"] if "c" in BACKENDS else [])])
def test_inputs_updates_and_givens(backend):
    x, y = at.dmatrix("x"), at.dmatrix("y")
    total = aesara.shared(np.zeros(()))
    f = compile([x], y.sum(), givens={y: 2 * x}, updates=[(total, total + x.sum())], backend=backend)
    assert f([[1.0, 2.0]]) == 6 and f([[3.0, 4.0]]) == 14
    assert total.get_value() == 10


def test_numpy_compiles_nothing(monkeypatch):
    """Convolution, pooling of Aesara's kind, matrix products, training: all without a module of C."""

    def refuse(*args, **kwargs):
        raise AssertionError("C code was compiled")

    cmodule = importlib.import_module("aesara.link.c.cmodule")
    monkeypatch.setattr(cmodule.ModuleCache, "module_from_key", refuse)
    rng = np.random.default_rng(4)
    x, w, v = at.dtensor4("x"), aesara.shared(rng.standard_normal((3, 2, 2, 3))), aesara.shared(np.ones((12, 2)))
    y = engine.relu(engine.conv(x, w, stride=2) + np.ones((3, 1, 1)))
    cost = (at.dot(y.flatten(2), v) ** 2).sum()
    updates = [(p, p - 0.01 * aesara.grad(cost, p)) for p in (w, v)]
    f = compile([x], [cost, y], updates=updates, backend="numpy")
    image = rng.standard_normal((2, 2, 5, 6))
    expected = np.maximum(reference.conv(image, w.get_value(), stride=2) + 1, 0)
    cost, y = f(image)
    assert_close(y, expected)
    assert cost == pytest.approx(2 * (expected.sum(axis=(1, 2, 3)) ** 2).sum())


def test_backend_and_mode():
    x = at.dvector("x")
    with pytest.raises(ValueError, match=r"'fortran'.*'c', 'numpy'"):
        compile([x], x, backend="fortran")
    with pytest.raises(TypeError, match=r"mode.*backend"):
        compile([x], x, backend="numpy", mode="FAST_COMPILE")
    f = compile([x], 2 * x, mode="FAST_COMPILE")
    np.testing.assert_array_equal(f([1.0, 2.0]), [2, 4])


def test_without_a_compiler_one_warning(monkeypatch):
    monkeypatch.setattr(modes, "have_compiler", lambda: False)
    monkeypatch.setattr(modes, "_warned", False)
    x = at.dvector("x")
    with pytest.warns(NoCompilerWarning, match="g\\+\\+") as record:
        compile([x], engine.relu(x))
    assert record[0].filename == __file__
    compile([x], engine.relu(x), backend="c")  # warnings are errors here: no second one
    assert mode_of("c").linker.__class__ is mode_of("numpy").linker.__class__


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress(stream, monkeypatch):
    """A word once compilation has begun: one line in a log, a line that counts on a terminal."""
    counts = iter([3, 3, 4, 5])
    seen = []
    stderr = stream()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(module, "_modules", lambda folder: seen.append(folder) or next(counts, 5))
    monkeypatch.setattr(module, "_INTERVAL", 0.01)
    monkeypatch.setattr(module, "_said", False)
    with module._progress(True):
        while len(seen) < 8:
            time.sleep(0.01)
    said = stderr.getvalue()
    assert said.count("compiling C code") == (2 if stream is Terminal else 1)
    assert ("1 modules" in said and "2 modules" in said) == (stream is Terminal)
    assert said.endswith("\n")
    assert str(seen[0]) == aesara.config.compiledir


def test_progress_of_nothing(capfd):
    x = at.dvector("x")
    compile([x], x + 1, backend="numpy")
    compile([x], x + 1, progress=False)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
def test_contract_of_aesara():
    """DebugMode runs C and NumPy against each other, and hands in storage of every layout."""
    x, w, y, b = at.dtensor4("x"), at.dtensor4("w"), at.dtensor4("y"), at.dvector("b")
    options = dict(stride=(2, 1), border_mode=((0, 1), (2, 0)))
    outputs = [
        engine.relu(x),
        engine.conv(x, w, **options),
        FusedConv(2, **options, relu=True)(x, w, b),
        engine.conv_input_gradient(w, y, (7, 6), **options),
        engine.conv_weight_gradient(x, y, (3, 2), **options),
    ]
    f = aesara.function([x, w, y, b], outputs, mode=DebugMode(optimizer=None))
    rng = np.random.default_rng(6)
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 7, 6), (4, 3, 3, 2), (2, 4, 3, 7), (4,))]
    expected = reference.conv(*arrays[:2], (2, 1), ((0, 1), (2, 0)))
    assert_close(f(*arrays)[1], expected)


@pytest.mark.skipif(not engine.have_compiler(), reason="needs a C++ compiler")
def test_arithmetic_of_sizes_is_not_compiled(monkeypatch):
    """What a net of any image size needs of C: the Ops of its layers, and what is elementwise on images."""
    compiled = []
    cmodule = importlib.import_module("aesara.link.c.cmodule")
    find = cmodule.ModuleCache.module_from_key

    def note(cache, key, lnk=None):
        compiled.extend(type(node.op).__name__ for node in lnk.fgraph.apply_nodes)
        return find(cache, key, lnk)

    monkeypatch.setattr(cmodule.ModuleCache, "module_from_key", note)
    x, w, u = at.ftensor4("x"), np.ones((3, 2, 3, 2), "float32"), np.ones((3, 1, 5, 4), "float32")
    y = engine.max_pool(engine.relu(engine.conv(x, w, border_mode=1, stride=(2, 1))), 2, rounding="caffe")
    y = engine.conv_input_gradient(u, y, [4 * y.shape[2] + 1, y.shape[3] * 4], stride=4)
    y = engine.crop(y, (x.shape[2] - 1, x.shape[3] - 3), 2, [1, y.shape[3] - x.shape[3]])
    y = engine.same_sizes(x[:, :1, 1:, 3:], y) * at.cast(y.shape[2], "float32")
    shapes = at.stack([x.shape[2] % 4, at.maximum(x.shape[3] // 3, 2)])
    function = compile([x], [y, shapes, y.shape[3] * 2])
    assert sorted(set(compiled)) == ["Conv", "ConvInputGradient", "Elemwise", "MaxPool", "Relu"]
    assert compiled.count("Elemwise") == 2  # the product, and the cast
    image = np.random.default_rng(0).standard_normal((2, 2, 11, 14)).astype("float32")
    for value, expected in zip(
        function(image), compile([x], [y, shapes, y.shape[3] * 2], backend="numpy")(image), strict=True
    ):
        assert_close(value.astype("float32"), expected.astype("float32"), "float32")
    assert pickle.loads(pickle.dumps(function))(image)[2] == function(image)[2]
