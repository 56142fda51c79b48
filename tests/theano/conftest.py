"""What changes a whole process is tried in one of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def python(tmp_path):
    """Runs code in a new interpreter and returns its finished process; a failure shows what it printed."""

    def run(code, *arguments, ok=True, path=(), **environment):
        before = {k: v for k, v in os.environ.items() if not k.startswith("THEANO")}
        paths = os.pathsep.join(map(str, [*path, ROOT]))
        env = {**before, "PYTHONPATH": paths, "THEANORC": str(tmp_path / "none"), **environment}
        command = code if isinstance(code, list) else ["-c", textwrap.dedent(code)]
        done = subprocess.run(
            [sys.executable, *command, *map(str, arguments)], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        if ok:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
