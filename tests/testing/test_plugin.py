"""The pytest plugin, in projects of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
NET = """
    import numpy as np
    import pytest
    from deconv_legacy.layers import ConvolutionLayer, InputLayer, PoolLayer

    SCALE = {scale}

    def net(dtype="float32"):
        data = InputLayer((None, 3, None, None), dtype=dtype)
        conv = ConvolutionLayer(data, (2, 3, 3, 3), name="conv", W=SCALE * np.arange(54).reshape(2, 3, 3, 3) / 54)
        return PoolLayer(conv, 2, name="pool")

    def data(dtype="float32"):
        return {{"data": np.random.default_rng(0).standard_normal((1, 3, 7, 9)).astype(dtype)}}
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Runs pytest there in a process of its own, warnings being errors."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(*words):
        command = ("-p", "pytest_deconv_legacy", "-p", "no:cacheprovider", "-W", "error", "-q", *words)
        return pytester.runpytest_subprocess(*command)

    run.write = lambda text, scale=1: pytester.makepyfile(test_it=NET.format(scale=scale) + text)
    run.path = pytester.path
    return run


@pytest.mark.slow
def test_golden_numbers_of_a_net(project):
    test = """
    def test_net(deconv_golden):
        assert deconv_golden.backend in ("c", "numpy")
        deconv_golden(net(), data(), gradients=True)

    @pytest.mark.deconv(backends=["numpy"], dtypes=["float32", "float64"])
    @pytest.mark.parametrize("rows", [2, 3])
    def test_named(deconv_golden, rows):
        dtype = deconv_golden.dtype
        deconv_golden(net(dtype), data(dtype), name="first")
        deconv_golden({"x": np.arange(rows, dtype=dtype)}, name="second")
    """
    project.write(test)
    assert project("--deconv-record").ret == 0
    files = sorted(path.name for path in (project.path / "golden").iterdir())
    assert len(files) == 9 and files[0] == "test_it.test_named_2-first-float32.npz"
    assert "test_it.test_net-float32.npz" in files
    # a net that changed: the table, the first layer and its cause; the other tests pass
    text = (project.path / "test_it.py").read_text()
    flipped = "conv.W.set_value(conv.W.get_value()[:, :, ::-1, ::-1])"
    text = text.replace("    deconv_golden(net(), data()", "    changed = net()\n    conv = changed.input_layers[0]\n"
                        f"    {flipped}\n    deconv_golden(changed, data()")  # fmt: skip
    (project.path / "test_it.py").write_text(text)
    outcome = project("-k", "numpy")
    outcome.assert_outcomes(passed=4, failed=1, deselected=1)
    outcome.stdout.fnmatch_lines(
        [
            "*test_it.test_net-float32.npz: 2 blobs: 0 the same bit for bit*2 differ, first 'conv'*",
            "*blob *error *relative *tolerance*",
            "*conv *differs*",
            "*conv: its output 'conv' differs though its inputs agree*",
            "*cause: filter flip*",
        ]
    )


@pytest.mark.slow
def test_a_project_without_our_layers(project):
    project.write(
        """
    def test_arrays(deconv_golden):
        deconv_golden({"score": np.float32([[1, 2], [3, 4]]) * SCALE})
        import pytest
        with pytest.raises(pytest.fail.Exception, match="called twice"):
            deconv_golden({})
    """
    )
    (project.path / "pytest.ini").write_text("[pytest]\ndeconv_backends = numpy\ndeconv_golden_dir = pinned\n")
    project().stdout.fnmatch_lines(["*there are no golden numbers *run pytest --deconv-record*"])
    assert project("--deconv-record").ret == 0
    assert [path.name for path in (project.path / "pinned").iterdir()] == ["test_it.test_arrays-float32.npz"]
    text = (project.path / "test_it.py").read_text()
    (project.path / "test_it.py").write_text(text.replace("SCALE = 1", "SCALE = 1.001"))
    outcome = project()
    assert outcome.ret == 1
    outcome.stdout.fnmatch_lines(["*score *differs*"])


def test_the_plugin_loads_nothing_until_it_is_asked():
    code = (
        "import sys, pytest_deconv_legacy; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('aesara', 'numpy', 'scipy', 'deconv_legacy')))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_run_without_the_fixture_imports_no_aesara(project):
    (project.path / "test_light.py").write_text(
        "import sys\ndef test_light():\n    assert 'aesara' not in sys.modules and 'deconv_legacy' not in sys.modules\n"
    )
    assert project("test_light.py").ret == 0
