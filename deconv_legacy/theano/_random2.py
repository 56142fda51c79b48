"""What the methods of Python 2's ``random.Random`` made of its ``random()``: another order than Python 3 draws.

Both have the same generator and, from an integer, the same seed. Source: ``Lib/random.py`` of Python 2.7.
"""

from __future__ import annotations

import math
import random
from collections.abc import MutableSequence
from typing import Any

__all__ = ["FUNCTIONS", "Random", "shared"]

FUNCTIONS = ("choice", "randint", "randrange", "sample", "shuffle")


class Random(random.Random):
    """
    >>> draw = Random(0)
    >>> [draw.randint(1, 10) for _ in range(5)]
    [9, 8, 5, 3, 6]
    >>> Random(42).sample(range(40), 5)
    [25, 1, 11, 8, 29]
    """

    def _below(self, n: int) -> int:
        if n <= 0:
            raise ValueError(f"nothing to draw from: a range of {n}")
        return int(self.random() * n)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:  # type: ignore[override]  # Python 2's arguments
        if stop is None:
            start, stop = 0, start
        return start + step * self._below(len(range(start, stop, step)))

    def randint(self, a: int, b: int) -> int:
        return self.randrange(a, b + 1)

    def choice(self, seq: Any) -> Any:
        return seq[self._below(len(seq))]

    def shuffle(self, x: MutableSequence[Any], draw: Any = None) -> None:  # type: ignore[override]  # Python 2's arguments
        draw = self.random if draw is None else draw
        for i in reversed(range(1, len(x))):
            j = int(draw() * (i + 1))
            x[i], x[j] = x[j], x[i]

    def sample(self, population: Any, k: int) -> list[Any]:  # type: ignore[override]  # Python 2's arguments
        """Of anything that has a length and can be indexed, as arrays."""
        pool = list(population)
        n = len(pool)
        if not 0 <= k <= n:
            raise ValueError("sample larger than population")
        size = 21 + (4 ** math.ceil(math.log(k * 3, 4)) if k > 5 else 0)
        if n <= size:
            result = []
            for i in range(k):
                j = self._below(n - i)
                result.append(pool[j])
                pool[j] = pool[n - i - 1]
            return result
        chosen: dict[int, None] = {}
        while len(chosen) < k:
            chosen.setdefault(self._below(n))
        return [pool[j] for j in chosen]


class _Shared(Random):
    def random(self) -> float:
        return random.random()


shared = _Shared()
"""What the functions of the module ``random`` draw from."""
