"""How far two blobs lie apart: whole arrays, digests, or one of each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from deconv_legacy.testing.digest import best_channel, sample
from deconv_legacy.testing.recording import StoredArray

__all__ = ["Measure", "measure"]


@dataclass(frozen=True)
class Measure:
    """The distance of a blob from the recorded one.

    Attributes
    ----------
    verdict
        ``"same"``: bit for bit; ``"within"`` or ``"differs"``: as the tolerance says; ``"shape"``, ``"missing"``.
    error, relative
        The largest distance of two values; the same over the largest recorded magnitude, which is what the tolerance
        is for.
    rms
        Root of the mean square of the distance, over the largest recorded magnitude.
    cosine
        1 where both point the same way, whatever their size.
    argmax
        Share of the cells whose largest channel is the same; None without channels.
    compared
        How many values were: all, or a sample.
    """

    name: str
    verdict: str
    error: float | None = None
    relative: float | None = None
    rms: float | None = None
    cosine: float | None = None
    argmax: float | None = None
    tolerance: float | None = None
    compared: int = 0
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.verdict in ("same", "within")

    def as_dict(self) -> dict[str, Any]:
        """For JSON, where there is no infinity."""
        return {
            key: (None if isinstance(value, float) and not math.isfinite(value) else value)
            for key, value in {**asdict(self), "ok": self.ok}.items()
        }


def measure(name: str, recorded: StoredArray, other: StoredArray, tolerance: float) -> Measure:
    """Compare two stored arrays.

    >>> a, b = (StoredArray.of(np.array([[1.0, 2.0], [3.0, c]])) for c in (4.0, 5.0))
    >>> found = measure("x", a, b, 1e-6)
    >>> found.verdict, found.error, found.relative
    ('differs', 1.0, 0.25)
    """
    if recorded.shape != other.shape:
        return Measure(name, "shape", tolerance=tolerance, note=f"{recorded.shape} recorded, {other.shape} now")
    whole = recorded.values is not None and other.values is not None
    a: Any = recorded.values if whole else _sample(recorded)
    b = other.values if whole else _sample(other)
    size = recorded.digest.stats["size"]
    figures = figures_of(a, b, size)
    same = recorded.digest.sha256 == other.digest.sha256 and recorded.digest.dtype == other.digest.dtype
    note = "" if whole else "sampled"
    before, after = (stored.digest.stats for stored in (recorded, other))
    if (before["nan"], before["inf"]) != (after["nan"], after["inf"]):
        figures["relative"] = figures["error"] = math.inf
        note = f"{after['nan']} NaN and {after['inf']} infinite, recorded {before['nan']} and {before['inf']}"
    elif not whole and not same:
        # what a sample may miss: the extremes
        edge = max(abs(before[key] - after[key]) for key in ("min", "max"))
        figures["error"] = max(figures["error"], edge)
        figures["relative"] = max(figures["relative"], _over(edge, size))
    verdict = "same" if same else "within" if figures["relative"] <= tolerance else "differs"
    return Measure(
        name,
        verdict,
        **figures,
        argmax=_agreement(recorded, other),
        tolerance=tolerance,
        compared=int(np.size(a)),
        note=note,
    )


def figures_of(recorded: Any, other: Any, size: float | None = None) -> dict[str, float]:
    """error, relative, rms and cosine of two arrays of one shape; NaN agrees with NaN only."""
    a, b = (np.asarray(x).astype(np.float64, copy=False) for x in (recorded, other))
    if not a.size:
        return {"error": 0.0, "relative": 0.0, "rms": 0.0, "cosine": 1.0}
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - b)
    odd = ~(np.isfinite(a) & np.isfinite(b))
    if odd.any():
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(odd, np.where(alike, 0.0, np.inf), difference)
        a, b = np.where(odd, 0.0, a), np.where(odd, 0.0, b)
    if size is None:
        size = float(np.abs(a).max())
    error = float(difference.max())
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    cosine = float((a * b).sum()) / lengths if lengths else float(not a.any() and not b.any())
    rms = math.sqrt(float(np.square(difference).mean())) if math.isfinite(error) else math.inf
    return {
        "error": error,
        "relative": _over(error, size),
        "rms": _over(rms, size),
        "cosine": min(1.0, max(-1.0, cosine)),
    }


def _over(error: float, size: float) -> float:
    return error / size if size else math.inf if error else 0.0


def _sample(stored: StoredArray) -> np.ndarray:
    return sample(stored.values) if stored.values is not None else stored.digest.sample


def _agreement(recorded: StoredArray, other: StoredArray) -> float | None:
    """Over all cells where both know them, else over the sampled ones."""
    maps: list[Any] = [s.digest.argmax if s.values is None else best_channel(s.values) for s in (recorded, other)]
    if maps[0] is None or maps[1] is None:
        if len(recorded.shape) < 3 or recorded.shape[1] < 2:
            return None
        maps = [_sample(s).argmax(axis=1) for s in (recorded, other)]
    return float(np.equal(*maps).mean()) if maps[0].size else None
