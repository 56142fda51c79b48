"""What the functions of Python 2's ``random`` made of ``random.random()``: another order than Python 3 draws.

Both have the same generator and, from an integer, the same seed. Source: ``Lib/random.py`` of Python 2.7.
"""

from __future__ import annotations

import math
import random
from collections.abc import MutableSequence, Sequence
from typing import Any

__all__ = ["FUNCTIONS", "choice", "randint", "randrange", "sample", "shuffle"]

FUNCTIONS = ("choice", "randint", "randrange", "sample", "shuffle")


def _below(n: int) -> int:
    if n <= 0:
        raise ValueError(f"nothing to draw from: a range of {n}")
    return int(random.random() * n)


def randrange(start: int, stop: int | None = None, step: int = 1) -> int:
    """
    >>> random.seed(1337)
    >>> [randrange(100) for _ in range(3)]
    [61, 53, 36]
    """
    if stop is None:
        start, stop = 0, start
    return start + step * _below(len(range(start, stop, step)))


def randint(a: int, b: int) -> int:
    """
    >>> random.seed(0)
    >>> [randint(1, 10) for _ in range(5)]
    [9, 8, 5, 3, 6]
    """
    return randrange(a, b + 1)


def choice(seq: Sequence[Any]) -> Any:
    return seq[_below(len(seq))]


def shuffle(x: MutableSequence[Any], draw: Any = None) -> None:
    draw = random.random if draw is None else draw
    for i in reversed(range(1, len(x))):
        j = int(draw() * (i + 1))
        x[i], x[j] = x[j], x[i]


def sample(population: Sequence[Any], k: int) -> list[Any]:
    pool = list(population)
    n = len(pool)
    if not 0 <= k <= n:
        raise ValueError("sample larger than population")
    size = 21 + (4 ** math.ceil(math.log(k * 3, 4)) if k > 5 else 0)
    if n <= size:
        result = []
        for i in range(k):
            j = _below(n - i)
            result.append(pool[j])
            pool[j] = pool[n - i - 1]
        return result
    chosen: dict[int, None] = {}
    while len(chosen) < k:
        chosen.setdefault(_below(n))
    return [pool[j] for j in chosen]
