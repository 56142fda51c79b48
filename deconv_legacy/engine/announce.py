"""Says what takes long, on stderr."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

__all__ = ["announced"]

_said: set[str] = set()


@contextlib.contextmanager
def announced(text: str, after: float = 2.0) -> Iterator[None]:
    """Say `text`, once in a process, if the body takes more than `after` seconds."""

    def say() -> None:
        if text not in _said:
            _said.add(text)
            print(text, file=sys.stderr, flush=True)

    timer = threading.Timer(after, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
