"""The command line as a whole: help, version, wrong words, one line for every error; and doctor."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
from cli_helpers import NETS, ROOT, Run

from deconv_legacy import __version__, cli
from deconv_legacy.cli import doctor
from deconv_legacy.errors import SizeError


def test_help_names_every_command(capsys):
    run = Run(capsys, "--help")
    assert run.status == 0
    for name, text in cli.COMMANDS.items():
        assert f"{name} " in run.out
        assert text in run.out
    bare = Run(capsys)
    assert (bare.status, bare.out) == (2, run.out)


WITHOUT_TABLES = ("run", "port", "upgrade", "draw")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(capsys, name):
    run = Run(capsys, name, "--help")
    assert run.status == 0
    assert run.out.startswith(f"usage: deconv-legacy {name} ")
    if name not in WITHOUT_TABLES:
        assert "--json" in run.out


def test_version(capsys):
    assert Run(capsys, "--version").out == f"deconv-legacy {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["segmant"], "no command is called 'segmant'; did you mean 'segment'?"),
        (["xyz"], "there are segment, score,"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["shapes"], "required: NET.prototxt (see deconv-legacy shapes --help)"),
        (["segment", "photo.png"], "required: --out"),
        (["shapes", "net.prototxt", "--jsn"], "unrecognized arguments: --jsn"),
    ],
)
def test_wrong_words(capsys, words, message):
    assert message in Run(capsys, *words).error()


def test_debug_shows_the_traceback(capsys):
    run = Run(capsys, "shapes", "nothing.prototxt", "--debug")
    assert run.status == 2
    assert "Traceback" in run.err
    assert run.err.splitlines()[-1] == "deconv-legacy: error: nothing.prototxt: No such file or directory"


def test_several_problems_are_counted_in_one_line(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    path.write_text('nam: "x"\nlayer { typ: "y" }\n')
    message = Run(capsys, "shapes", path).error()
    assert message.startswith(f"{path}:1:1: ")
    assert message.endswith("(2 problems in all; --debug lists them)")
    assert "2:9: " in Run(capsys, "shapes", path, "--debug").err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("too many\nApply node that caused the error: ..."),
            "ValueError: too many (unexpected; --debug shows where)",
        ),
        (SizeError("too many", where="up (Deconvolution)"), "up (Deconvolution): too many"),
        (MemoryError(), "out of memory"),
        (KeyError("x"), "KeyError: 'x' (unexpected; --debug shows where)"),
    ],
)
def test_an_unexpected_error_is_one_line_too(capsys, monkeypatch, error, message):
    def fail(args):
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    assert Run(capsys, "doctor").error() == message


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m deconv_legacy shapes {NETS / 'fcn8s' / 'deploy.prototxt'} | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("layer ")
    assert done.stderr == ""


def test_doctor(capsys):
    run = Run(capsys, "doctor", "--json")
    assert run.status == 0
    facts = json.loads(run.out)
    assert facts["versions"]["deconv_legacy"] == __version__
    assert facts["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    # any processor of this century, and less than any to come soon
    assert 0.5 < facts["BLAS"]["sgemm GFLOP/s"] < 1e5
    have_jax = importlib.util.find_spec("jax") is not None
    assert bool(facts["backends"]["jax"]) == have_jax and facts["backends"]["c"] == "compiled code"
    # a GPU of this machine that JAX does not use is no fault of the installation
    missing = [line for line in facts["missing"] if "deconv_legacy[cuda]" not in line]
    assert missing == ([] if have_jax else ['the JAX backend needs jax: pip install "deconv_legacy[jax]"'])
    table = Run(capsys, "doctor").out
    assert ("nothing is missing" in table) == (not facts["missing"])
    assert f"aesara         {facts['versions']['aesara']}" in table


def test_doctor_names_what_is_missing(capsys, monkeypatch):
    absent = {"h5py"}
    monkeypatch.setattr(
        doctor, "_version", lambda name, version=doctor._version: None if name in absent else version(name)
    )
    monkeypatch.setattr(doctor, "have_compiler", lambda: False)
    monkeypatch.setattr(doctor, "_jax", lambda: ([], None))
    run = Run(capsys, "doctor")
    assert run.status == 0
    missing = run.out[run.out.index("missing:") :]
    assert 'h5py: pip install "deconv_legacy[caffe]"' in missing
    assert "apt-get install g++" in missing
    assert len(missing.splitlines()) == 3
