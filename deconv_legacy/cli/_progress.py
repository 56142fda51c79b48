"""How far long work is, on stderr: a bar on a terminal; elsewhere, in a log file, a line now and then and one at the
end, without a carriage return."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from deconv_legacy.errors import MissingExtraError

__all__ = ["Meter", "progress"]

_EVERY = 10.0
"""Seconds between two lines where no terminal is."""

_LINE = "{percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class Meter:
    """A progress bar or line; lines of a log stand above it.

    Parameters
    ----------
    unit
        Of what is counted.
    total, first
        How many there are, and how many were done before.
    delay
        Nothing is shown of work that takes less than these seconds.
    """

    def __init__(self, unit: str, total: int, *, first: int = 0, delay: float = 0):
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise MissingExtraError("tqdm", "caffe", "the progress bar") from error
        self.unit, self.total, self.first, self.delay = unit, total, first, delay
        self.done, self.state = first, ""
        self.start = self.shown = time.monotonic()
        self._format = tqdm.format_meter
        self._bar = tqdm(total=total, initial=first, unit=unit, delay=delay) if sys.stderr.isatty() else None

    def write(self, text: str) -> None:
        """A line of a log."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def at(self, done: int, state: str = "") -> None:
        """So many are done; `state` is shown behind."""
        self.done, self.state = done, state
        if self._bar is not None:
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self.shown > _EVERY:
            self._print()

    def _print(self) -> None:
        self.shown = time.monotonic()
        text = self._format(
            self.done,
            self.total,
            self.shown - self.start,
            unit=self.unit,
            initial=self.first,
            postfix=self.state,
            bar_format=_LINE if self.total else None,
        )
        print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, kind: Any, *details: Any) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and time.monotonic() - self.start >= self.delay:
            self._print()


def progress(items: Iterable[Any], unit: str, total: int | None = None, delay: float = 0) -> Iterator[Any]:
    """The items, counted by a `Meter` while they are worked on; `total` where they cannot be counted beforehand."""
    if total is None:
        assert isinstance(items, Sized)
        total = len(items)
    meter = Meter(unit, total, delay=delay)

    def counted() -> Iterator[Any]:
        with meter:
            for done, item in enumerate(items, 1):
                yield item
                meter.at(done)

    return counted()
