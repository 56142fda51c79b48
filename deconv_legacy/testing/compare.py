"""`compare`: two recordings, or a recording against a net that is run now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deconv_legacy.errors import MismatchError
from deconv_legacy.testing import tolerance as tolerances
from deconv_legacy.testing.adapters import subject_of
from deconv_legacy.testing.measure import Measure, measure
from deconv_legacy.testing.record import record
from deconv_legacy.testing.recording import Recording, StoredArray

__all__ = ["Comparison", "compare", "compare_recordings"]

PARTS = ("blobs", "gradients", "params", "settings")
_GRADIENT_FACTOR = 16.0  # a gradient adds up over the net twice, and over all cells


@dataclass
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    blobs, gradients, params : list of Measure
        In the order of the recording. A parameter that is not the same bit for bit differs.
    settings : list of str
        Layers of one name that are written differently.
    unmatched : list of str
        Blobs and parameters that only one side has. The net may have more than was recorded.
    """

    blobs: list[Measure] = field(default_factory=list)
    gradients: list[Measure] = field(default_factory=list)
    params: list[Measure] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    recorded: Recording | None = field(default=None, repr=False)
    now: Recording | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.settings and all(m.ok for m in (*self.blobs, *self.gradients, *self.params))

    @property
    def first(self) -> Measure | None:
        """The first blob, in the net's order, that differs."""
        return next((m for m in self.blobs if not m.ok), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "first": self.first.name if self.first else None,
            **{part: [m.as_dict() for m in getattr(self, part)] for part in ("blobs", "gradients", "params")},
            "settings": self.settings,
            "unmatched": self.unmatched,
        }

    def rows(self, everything: bool = True) -> list[tuple[str, ...]]:
        """Lines of a table under `HEADER`; of the parameters only those that differ."""
        chosen = [*self.blobs, *self.gradients, *(m for m in self.params if not m.ok)]
        return [row_of(m) for m in chosen if everything or not m.ok]

    def summary(self) -> str:
        """One sentence."""
        counts = {v: sum(m.verdict == v for m in self.blobs) for v in ("same", "within")}
        bad = [m for m in self.blobs if not m.ok]
        same = f"{counts['same']} the same bit for bit, {counts['within']} within tolerance"
        parts = [f"{len(self.blobs)} blobs: {same}"] if self.blobs else []
        if bad:
            parts.append(f"{len(bad)} differ, first {bad[0].name!r}")
        for what, measures in (("gradients", self.gradients), ("parameters", self.params)):
            wrong = [m for m in measures if not m.ok]
            if wrong:
                parts.append(f"{len(wrong)} of {len(measures)} {what} differ, first {wrong[0].name!r}")
        if self.settings:
            parts.append(f"{len(self.settings)} layers are written differently, first {self.settings[0]}")
        return "; ".join(parts) or "all the same"

    def table(self, everything: bool = False) -> str:
        """As text: the blobs that differ and the one before, or all."""
        lines = [HEADER, *self.rows(everything)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
        return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


HEADER = ("blob", "error", "relative", "tolerance", "rms", "cosine", "argmax", "verdict", "note")


def row_of(m: Measure) -> tuple[str, ...]:
    """A line of the table under `HEADER`."""
    number = lambda x: "" if x is None else f"{x:.1e}"  # noqa: E731
    return (
        m.name,
        number(m.error),
        number(m.relative),
        number(m.tolerance),
        number(m.rms),
        "" if m.cosine is None else f"{m.cosine:.6f}",
        "" if m.argmax is None else f"{100 * m.argmax:.2f}%",
        m.verdict,
        m.note,
    )


def compare(
    recorded: Recording,
    other: Any,
    *,
    rtol: float | None = None,
    parts: Sequence[str] = PARTS,
    backend: str | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare a recording with another, or with a net, which is run on the recorded inputs.

    Parameters
    ----------
    recorded
        What is right.
    other
        A `Recording`, a `Subject`, or what `subject_of` takes.
    rtol
        A tolerance for all blobs, in units of each one's largest magnitude; by default each blob's own, see
        `deconv_legacy.testing.tolerance`.
    parts
        What to compare: some of ``"blobs"``, ``"gradients"``, ``"params"``, ``"settings"``.
    inputs
        For the net, where the recording has none.

    Raises
    ------
    MismatchError
        If the two have no blob in common, or an input of the net is not in the recording.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = (Recording.from_arrays({"score": np.full((1, 2, 3, 4), x)}) for x in (1.0, 1.5))
    >>> compare(a, a).ok, compare(a, b).ok
    (True, False)
    >>> print(compare(a, b).summary())
    1 blobs: 0 the same bit for bit, 0 within tolerance; 1 differ, first 'score'
    """
    if isinstance(other, Recording):
        return compare_recordings(recorded, other, rtol=rtol, parts=parts)
    subject = subject_of(other, backend=backend)
    fed = {**recorded.input_arrays, **(inputs or {})}
    names = [name for name in subject.blobs if name in recorded.blobs and name not in subject.inputs]
    if not names:
        raise _nothing_in_common(recorded.blobs, subject.blobs)
    fed = {name: fed[name] for name in subject.inputs if name in fed}
    small = max((s.values.nbytes for s in recorded.blobs.values() if s.values is not None), default=0)
    now = record(
        subject,
        fed,
        blobs=names,
        gradients=bool(recorded.gradients) and "gradients" in parts,
        full_bytes=small,
        seed=recorded.header.get("seed"),
    )
    unmatched = [name for name in recorded.blobs if name not in names and name not in subject.inputs]
    found = compare_recordings(recorded, now, rtol=rtol, parts=parts)
    found.unmatched = [f"blob {name!r} is only in the recording" for name in unmatched] + [
        text for text in found.unmatched if not text.startswith("blob")
    ]
    return found


def compare_recordings(
    recorded: Recording, now: Recording, *, rtol: float | None = None, parts: Sequence[str] = PARTS
) -> Comparison:
    """`compare` for two recordings."""
    result = Comparison(recorded=recorded, now=now)
    if not any(name in now.blobs for name in recorded.blobs):
        raise _nothing_in_common(recorded.blobs, now.blobs)

    def allowed(name: str, stored: StoredArray, factor: float = 1.0) -> float:
        if rtol is not None:
            return rtol
        known = [r.tolerances[name] for r in (recorded, now) if name in r.tolerances]
        return factor * (max(known) if known else tolerances.of_dtype(_rougher(stored, now, name)))

    def match(group: str) -> list[tuple[str, StoredArray, StoredArray]]:
        ours, theirs = getattr(recorded, group), getattr(now, group)
        for name in (*ours, *theirs):
            if (name in ours) != (name in theirs) and ours and theirs:
                side = "in the recording" if name in ours else "on the other side"
                result.unmatched.append(f"{group[:-1]} {name!r} is only {side}")
        return [(name, stored, theirs[name]) for name, stored in ours.items() if name in theirs]

    if "blobs" in parts:
        result.blobs = [measure(n, a, b, allowed(n, a)) for n, a, b in match("blobs")]
    if "gradients" in parts:
        whole = max((allowed(n, a) for n, a in recorded.blobs.items()), default=0.0)
        limit = rtol if rtol is not None else _GRADIENT_FACTOR * whole
        result.gradients = [measure(f"grad {n}", a, b, limit) for n, a, b in match("gradients")]
    if "params" in parts:
        result.params = [measure(n, a, b, 0.0) for n, a, b in match("params")]
        result.params = [_bitwise(m) for m in result.params]
    if "settings" in parts:
        result.settings = list(_written(recorded, now))
    return result


def _rougher(stored: StoredArray, now: Recording, name: str) -> str:
    """Of two dtypes the less exact one."""
    kinds = {stored.digest.dtype, now.blobs[name].digest.dtype if name in now.blobs else stored.digest.dtype}
    return next((d for d in ("float16", "float32", "float64") if d in kinds), stored.digest.dtype)


def _bitwise(m: Measure) -> Measure:
    """Parameters are the same or not: a sample could miss the bit that changed."""
    if m.verdict == "within":
        return Measure(**{**m.__dict__, "verdict": "differs", "note": "SHA-256 differs"})
    return m


def _written(recorded: Recording, now: Recording) -> Any:
    before = {layer["name"]: layer for layer in recorded.header.get("layers", ())}
    for layer in now.header.get("layers", ()):
        known = before.get(layer["name"])
        if known is None or set(known["settings"]) != set(layer["settings"]):
            continue
        for key, value in known["settings"].items():
            if value != layer["settings"][key]:
                yield f"{layer['name']}: {key} {value} recorded, {layer['settings'][key]} now"


def _nothing_in_common(ours: Any, theirs: Any) -> MismatchError:
    return MismatchError(
        f"no blob has the same name on both sides: {', '.join(list(ours)[:6])}, ... and {', '.join(list(theirs)[:6])}"
    )
