"""docs/porting-failures.md: every command finds what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import failures
import pytest

from deconv_legacy.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "porting-failures.md"
SESSIONS = re.findall(r"^    \$ deconv-legacy (.+)\n((?:    .+\n)+)", PAGE.read_text(), re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ports")
    failures.write(path)
    return path


def test_there_are_fifteen():
    assert len(re.findall(r"^## \d+\. ", PAGE.read_text(), re.M)) == 15 == len(SESSIONS) - 1


@pytest.mark.parametrize(("words", "told"), SESSIONS, ids=[f"{i}" for i in range(len(SESSIONS))])
def test_the_command_finds_it(folder, monkeypatch, capsys, words, told):
    monkeypatch.chdir(folder)
    status = main(shlex.split(words))
    out = capsys.readouterr().out
    for line in told.splitlines():
        assert line.strip() in out, out
    right = "compare" in words or "explain" in words or "train" in words
    assert status == (0 if right else 1)
