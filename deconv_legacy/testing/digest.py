"""An array in a few kilobytes: shape, dtype, SHA-256, statistics, and a fixed sample of its values.

Which values are sampled depends on the shape alone, so that two digests can be compared with one another, or with a
whole array, and errors still be measured.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Digest", "digest", "sample", "sample_cells", "sha256", "thumbnail"]

SAMPLE = 4096
"""About how many values a sample has."""
THUMBNAIL = 48
"""The most cells that a thumbnail has on each axis."""
_GOLDEN = 2654435769  # 2**32 over the golden ratio: its multiples spread evenly


@dataclass(frozen=True)
class Digest:
    """What is kept of an array.

    Attributes
    ----------
    shape, dtype, sha256
        SHA-256 of the bytes in C order.
    stats : dict
        ``min``, ``max``, ``mean``, ``std`` and ``size`` (largest magnitude) of the finite values, ``nan``, ``inf``.
    sample : array ``(cells, channels)`` or ``(cells,)``
    argmax : array ``(N, *sizes)`` or None
        The largest channel of each cell, for outputs.
    thumbnail : array or None
        Means over channels and blocks, for pictures.
    """

    shape: tuple[int, ...]
    dtype: str
    sha256: str
    stats: dict[str, float]
    sample: np.ndarray = field(repr=False)
    argmax: np.ndarray | None = field(default=None, repr=False)
    thumbnail: np.ndarray | None = field(default=None, repr=False)

    def facts(self) -> dict[str, Any]:
        """All but the arrays, for a JSON header."""
        return {"shape": list(self.shape), "dtype": self.dtype, "sha256": self.sha256, "stats": self.stats}


def sample_cells(count: int, wanted: int) -> np.ndarray:
    """`wanted` numbers below `count`, evenly spread, always the same; all of them where there are no more.

    >>> sample_cells(5, 9), sample_cells(1000, 4)
    (array([0, 1, 2, 3, 4]), array([  0, 618, 236, 854]))
    """
    if count <= wanted:
        return np.arange(count)
    spread = (np.arange(wanted, dtype=np.uint64) * np.uint64(_GOLDEN)) & np.uint64(0xFFFFFFFF)
    return ((spread * np.uint64(count)) >> np.uint64(32)).astype(np.int64)


def sample(array: np.ndarray) -> np.ndarray:
    """The sampled values: all channels of some cells for ``(N, C, *sizes)``, some values of anything else."""
    if array.ndim < 3:
        return array.reshape(-1)[sample_cells(array.size, SAMPLE)]
    channels, cells = array.shape[1], array.size // max(array.shape[1], 1)
    chosen = np.unravel_index(
        sample_cells(cells, max(SAMPLE // max(channels, 1), 64)), (array.shape[0], *array.shape[2:])
    )
    place: tuple[Any, ...] = (chosen[0], slice(None), *chosen[1:])
    return array[place]


def thumbnail(array: np.ndarray) -> np.ndarray | None:
    """The first image of ``(N, C, rows, columns)``, averaged over channels and blocks: at most 48 x 48."""
    if array.ndim != 4 or not array.size:
        return None
    plane = array[0].mean(axis=0, dtype=np.float32)
    for axis in (0, 1):
        edges = np.unique(np.linspace(0, plane.shape[axis], min(plane.shape[axis], THUMBNAIL), False).astype(int))
        sizes = np.diff([*edges, plane.shape[axis]])
        plane = np.add.reduceat(plane, edges, axis=axis) / np.expand_dims(sizes, 1 - axis).astype(np.float32)
    return plane


def sha256(array: np.ndarray) -> str:
    """Of the bytes in C order."""
    contiguous = np.ascontiguousarray(array)
    return hashlib.sha256(contiguous.reshape(-1).view(np.uint8).data if contiguous.size else b"").hexdigest()


def _stats(array: np.ndarray) -> dict[str, float]:
    """In blocks, so that no copy of a large array is made."""
    low, high, total, squares, finite_count, nan = math.inf, -math.inf, 0.0, 0.0, 0, 0
    flat = np.ascontiguousarray(array).reshape(-1)
    for start in range(0, flat.size, 1 << 18):
        block = flat[start : start + (1 << 18)]
        if block.dtype.kind in "fc":
            finite = block[np.isfinite(block)]
            nan += int(np.isnan(block).sum()) if finite.size < block.size else 0
        else:
            finite = block
        if not finite.size:
            continue
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        wide = finite.astype(np.float64)
        total += float(wide.sum())
        squares += float(wide @ wide)
        finite_count += finite.size
    if not finite_count:
        return {"min": 0.0, "max": 0.0, "mean": 0.0, "std": 0.0, "size": 0.0, "nan": nan, "inf": flat.size - nan}
    mean = total / finite_count
    return {
        "min": low,
        "max": high,
        "mean": mean,
        "std": math.sqrt(max(squares / finite_count - mean * mean, 0.0)),
        "size": max(abs(low), abs(high)),
        "nan": nan,
        "inf": flat.size - finite_count - nan,
    }


def best_channel(array: np.ndarray) -> np.ndarray | None:
    """Where ``(N, C, *sizes)`` has its largest channel; None where there is no choice."""
    if array.ndim < 3 or array.shape[1] < 2:
        return None
    best = array.argmax(axis=1)
    return best.astype(np.uint8 if array.shape[1] <= 256 else np.uint16)


def digest(array: Any, *, with_argmax: bool = False, with_thumbnail: bool = True) -> Digest:
    """The digest of an array.

    Examples
    --------
    >>> small = digest(np.arange(12, dtype="float32").reshape(1, 3, 2, 2))
    >>> small.shape, small.stats["max"], small.sample.shape, small.sha256[:8]
    ((1, 3, 2, 2), 11.0, (4, 3), '29e18891')
    """
    array = np.asarray(array)
    return Digest(
        tuple(array.shape),
        str(array.dtype),
        sha256(array),
        _stats(array),
        np.array(sample(array)),
        best_channel(array) if with_argmax else None,
        thumbnail(array) if with_thumbnail else None,
    )
