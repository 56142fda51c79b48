"""How far long work is: a bar on a terminal, lines in a log file."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from deconv_legacy.cli import _progress
from deconv_legacy.cli._progress import Meter, progress


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def stderr(monkeypatch):
    """Puts a terminal, or none, in place of stderr."""

    def put(terminal):
        monkeypatch.setattr(sys, "stderr", Stream(terminal))
        return sys.stderr

    return put


@pytest.fixture
def clock(monkeypatch):
    """The time, which stands still."""
    now = [0.0]
    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_log_has_a_line_now_and_then_and_one_at_the_end(stderr, clock):
    said, counted = stderr(False), progress(range(50), "photo")
    for item in counted:
        assert item in range(50)
        clock[0] += 1
    lines = said.getvalue().splitlines()
    assert "\r" not in said.getvalue()
    assert [line.split()[1] for line in lines] == ["11/50", "22/50", "33/50", "44/50", "50/50"]
    assert lines[0] == " 22% 11/50 [00:11<00:39,  1.00photo/s]"


def test_a_terminal_has_a_bar(stderr):
    said = stderr(True)
    assert list(progress(iter("abc"), "it", 3)) == ["a", "b", "c"]
    assert "\r" in said.getvalue() and "3/3" in said.getvalue().rpartition("\r")[2]


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_said_of_what_is_short(stderr, terminal):
    said = stderr(terminal)
    assert list(progress([1, 2], "it", delay=60)) == [1, 2]
    assert said.getvalue() == ""


def test_a_log_stands_above_it(stderr, clock):
    said = stderr(False)
    with Meter("it", 5, first=2) as meter:
        clock[0] = 11
        meter.at(3, "loss 7")
        meter.write("a line")
        meter.at(4, "loss 6")
    first, line, last = said.getvalue().splitlines()
    assert line == "a line" and "3/5" in first and first.endswith("11.00s/it, loss 7]")
    assert "4/5" in last and "loss 6" in last
    with pytest.raises(KeyError), Meter("it", 5):
        raise KeyError  # what is said of it is said once, elsewhere
    with Meter("it", 0):
        pass
    assert said.getvalue().splitlines()[3:] == ["0it [00:00, ?it/s]"]
