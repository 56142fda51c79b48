"""What belongs to a process: importing, settings, no compiler, forks, several processes on one cache."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from engine_helpers import BACKENDS

from deconv_legacy.engine import _numpy2

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")

# A deconvolution and a training step; exact numbers
COMPUTE = """
    import numpy as np
    from deconv_legacy import engine, reference
    from deconv_legacy.engine import aesara
    at = aesara.tensor
    rng = np.random.default_rng(1)
    x0, w0 = rng.standard_normal((3, 2, 5, 4)), rng.standard_normal((2, 3, 2, 3))
    x, w = at.dtensor4("x"), at.dtensor4("w")
    y = engine.conv_input_gradient(w, x, (10, 9), stride=2)
    outputs = [y, aesara.grad((y ** 2).sum() / 2, w)]
    expected = reference.conv_input_grad(w0, x0, (10, 9), 2)
    expected = [expected, reference.conv_weight_grad(expected, x0, (2, 3), 2)]
    def check(f):
        for value, wanted in zip(f(x0, w0), expected):
            np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-11)
"""


def start(*codes, options=(), flags=None, **environment):
    """A Python process on these pieces of code, which sees the AESARA_FLAGS of this one unless `flags` are given."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if flags is not None:
        environment["AESARA_FLAGS"] = flags
    command = [sys.executable, *options, "-c", "\n".join(map(textwrap.dedent, codes))]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*codes, **settings):
    """What it prints, in words; nothing may stand on stderr."""
    process = start(*codes, **settings)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == ""
    return out.split()


def test_import_is_light_and_quiet(tmp_path):
    """With all warnings as errors; compiles nothing, loads nothing optional, leaves the environment alone."""
    code = """
        import logging, os, sys, warnings
        import numpy, scipy  # which set filters of their own
        before, filters = dict(os.environ), list(warnings.filters)
        import deconv_legacy
        assert dict(os.environ) == before
        assert warnings.filters == filters
        assert not any(l.filters for l in map(logging.getLogger, ("aesara.configdefaults", "aesara.tensor.blas")))
        optional = {"google", "h5py", "PIL", "tqdm", "matplotlib", "jax", "torch", "tensorflow", "numba"}
        print("loaded:", *sorted(optional & {name.split(".")[0] for name in sys.modules}))
        print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("deconv_legacy.")}))
    """
    flags = f"base_compiledir={tmp_path}"
    assert run(code, options=("-W", "error"), flags=flags) == ["loaded:", "_version", "engine", "errors", "geometry"]
    assert not [p for p in tmp_path.rglob("*") if p.suffix == ".so" or p.name.startswith("tmp")]


@pytest.mark.skipif(_numpy2.found(), reason="Aesara alone cannot be imported with NumPy 2")
def test_import_changes_nothing_else():
    """Aesara's and NumPy's modules hold the same objects, all settings the same values; our rewrites are added."""
    code = """
        import os, warnings
        os.environ["AESARA_FLAGS"] = os.environ.get("AESARA_FLAGS", "") + ",blas__ldflags=-lm"
        warnings.simplefilter("ignore")
        import types, sys
        import aesara, numpy as np, scipy
        import aesara.tensor.nnet.abstract_conv, aesara.tensor.signal.pool
        from aesara.compile.mode import optdb

        def state():
            objects = {}
            for name, module in list(sys.modules.items()):
                if name.split(".")[0] in ("aesara", "numpy", "scipy"):
                    for key, value in vars(module).items():
                        if not isinstance(value, types.ModuleType):
                            objects[name, key] = id(value)
                        if isinstance(value, type) and value.__module__.startswith(("aesara", "numpy")):
                            objects.update({(name, key, k): id(v) for k, v in vars(value).items()})
            return objects

        modules = set(sys.modules)
        before, names, config, errors = state(), set(optdb._names), str(aesara.config), np.geterr()
        random = np.random.get_state()[1].tolist()
        import deconv_legacy
        after = state()
        changed = {key for key in before if before[key] != after.get(key, before[key])}
        print("changed:", *changed)
        print("rewrites:", *sorted(n for n in set(optdb._names) - names if "_legacy_" in n))
        print(str(aesara.config) == config, np.geterr() == errors, np.random.get_state()[1].tolist() == random)
        print("aliases:", *(n for n in set(sys.modules) - modules if n.split(".")[0] in ("theano", "caffe", "lasagne")))
    """
    rewrites = [
        f"deconv_legacy_{name}" for name in ("convolutions", "fusion", "modules", "sizes", "updates", "whole_arrays")
    ]
    assert run(code) == ["changed:", "rewrites:", *rewrites, *["True"] * 3, "aliases:"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Aesara, which needs numpy.distutils, cannot be imported alone")
@pytest.mark.skipif(_numpy2.found(), reason="Aesara alone cannot be imported with NumPy 2")
def test_aesara_imported_first():
    before = """
        import logging, warnings
        logging.disable(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import aesara
        flags = aesara.config.blas__ldflags
        warnings.simplefilter("error")
    """
    after = """
        for backend in (None, "numpy"):
            check(engine.compile([x, w], outputs, backend=backend, progress=False))
        # what Aesara found stands; an absence is mended
        assert aesara.config.blas__ldflags == (flags or engine._blas_flags.scipy_ldflags() or "")
    """
    run(before, COMPUTE, after)


def test_a_product_by_blas_is_quiet(tmp_path):
    """Aesara says that it finds no library where it links with the one that is named."""
    code = """
        import numpy as np
        from deconv_legacy.engine import aesara
        x, y = aesara.tensor.dmatrix(), aesara.tensor.dmatrix()
        aesara.tensor.blas.Dot22().c_lib_dirs()
        print(aesara.function([x, y], x.dot(y), mode="FAST_COMPILE")(np.ones((2, 3)), np.ones((3, 1))).sum())
    """
    assert run(code, flags=f"base_compiledir={tmp_path}") == ["6.0"]


def test_flags_of_the_user_stand():
    code = """
        import os
        import deconv_legacy
        from deconv_legacy.engine import aesara
        print(os.environ["AESARA_FLAGS"], aesara.config.floatX, repr(aesara.config.blas__ldflags))
    """
    flags = "floatX=float32,blas__ldflags="
    assert run(code, flags=flags) == [flags, "float32", "''"]


@needs_compiler
@pytest.mark.parametrize("library", ["found", "cython"])
def test_without_flags_for_blas(library):
    """Ours find a BLAS by themselves: the one in scipy's wheel, or the functions that scipy exports."""
    code = f"""
        assert aesara.config.blas__ldflags == ""
        if {library!r} == "cython":
            engine._blas.scipy_openblas = lambda: None
            assert "cython" in engine._blas.find().name
        check(engine.compile([x, w], outputs, progress=False))
    """
    run(COMPUTE, code, flags=_with("blas__ldflags="), OMP_NUM_THREADS="3")


def _with(flag):
    return ",".join(filter(None, [os.environ.get("AESARA_FLAGS"), flag]))


def test_without_a_compiler():
    """Everything runs, compiled by `compile` or by Aesara's own function, after one warning."""
    code = """
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for backend in (None, "c", "numpy"):
                check(engine.compile([x, w], outputs, backend=backend))
            check(aesara.function([x, w], outputs))
            nnet = aesara.tensor.nnet
            f = aesara.function([x, w], nnet.conv2d(x, w, filter_flip=False))
            x1, w1 = rng.standard_normal((1, 3, 5, 4)), rng.standard_normal((2, 3, 2, 3))
            np.testing.assert_allclose(f(x1, w1), reference.conv(x1, w1), atol=1e-11)
            steps, _ = aesara.scan(lambda h: engine.relu(h) * 2, outputs_info=x, n_steps=3)
            np.testing.assert_allclose(engine.compile([x], steps[-1])(x0), 8 * np.maximum(x0, 0))
        print(*(type(w.message).__name__ for w in caught))
    """
    assert run(COMPUTE, code, flags=_with("cxx=")) == ["NoCompilerWarning"]


@needs_compiler
def test_forked_process_goes_on():
    """GNU's OpenMP waits for ever in a child of a process that has used it; ours uses one thread there."""
    code = """
        import os, signal
        f = engine.compile([x, w], outputs, progress=False)
        check(f)
        if (child := os.fork()) == 0:
            signal.alarm(60)
            check(f)
            os._exit(7)
        check(f)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(COMPUTE, code, options=("-W", "ignore"), OMP_NUM_THREADS="3") == ["7"]


@needs_compiler
@pytest.mark.slow
def test_two_processes_compile_at_once(tmp_path):
    code = """
        check(engine.compile([x, w], outputs))
        print("done")
    """
    both = [start(COMPUTE, code, flags=_with(f"base_compiledir={tmp_path}")) for _ in range(2)]
    results = [process.communicate(timeout=500) for process in both]
    assert [out.split() for out, _ in results] == [["done"]] * 2, results
    # one of them says that it compiles; the locks of the cache are no error
    said = "".join(err for _, err in results).splitlines()
    assert said and all("compiling C code" in line and str(tmp_path) in line for line in said)
