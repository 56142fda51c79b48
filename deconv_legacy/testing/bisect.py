"""`bisect`: the first layer whose output differs when it is fed the recorded numbers, and why.

Each layer is run alone on the recorded blobs, so that an error does not spread: what differs, differs by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deconv_legacy.errors import DeconvLegacyError, MismatchError
from deconv_legacy.testing import tolerance as tolerances
from deconv_legacy.testing.adapters import subject_of
from deconv_legacy.testing.causes import Trial, try_causes
from deconv_legacy.testing.measure import Measure, measure
from deconv_legacy.testing.recording import Recording, StoredArray
from deconv_legacy.testing.subject import Stage, Subject

__all__ = ["Bisection", "Finding", "bisect"]


@dataclass
class Finding:
    """A layer that makes something else of the recorded inputs.

    Attributes
    ----------
    blob
        The first recorded blob that differs.
    layers : list of str
        The layer, or several where no blob between them was recorded (those that work in place).
    layer
        The one at fault: that of the cause, else the last of `layers`.
    cause : Trial or None
        What explains the difference; None if none of the known causes does.
    before, after : Measure
        The error as it is, and with the cause taken away.
    nearest : Trial or None
        Where nothing explains all of it: the cause that leaves least of it, if that is less than half.
    """

    blob: str
    layers: list[str]
    layer: str
    before: Measure
    cause: Trial | None = None
    after: Measure | None = None
    nearest: Trial | None = None

    def text(self) -> str:
        """A few lines to read."""
        among = f" (with {', '.join(n for n in self.layers if n != self.layer)})" if len(self.layers) > 1 else ""
        lines = [f"{self.layer}{among}: its output {self.blob!r} differs though its inputs agree"]
        if self.before.verdict == "shape":
            lines.append(f"  shape: {self.before.note}")
        else:
            lines.append(
                f"  error {_text(self.before.relative)} of the largest value, allowed {self.before.tolerance:.1e}"
            )
        if self.cause is not None:
            lines.append(f"  cause: {self.cause.name}: {self.cause.text}")
            if self.after is not None:
                lines.append(f"  with that undone the error is {_text(self.after.relative)}")
        else:
            lines.append("  none of the known causes explains it")
            if self.nearest is not None:
                lines.append(f"  nearest: {self.nearest.name}: {self.nearest.text}, error {_text(self.nearest.error)}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        return {
            "blob": self.blob,
            "layer": self.layer,
            "layers": self.layers,
            "before": self.before.as_dict(),
            "cause": None if self.cause is None else {"name": self.cause.name, "text": self.cause.text},
            "after": None if self.after is None else self.after.as_dict(),
            "nearest": None if self.nearest is None else {"name": self.nearest.name, "text": self.nearest.text},
        }


def _text(error: float | None) -> str:
    return "unknown" if error is None else "0" if not error else f"{error:.1e}"


@dataclass
class Bisection:
    """What `bisect` found.

    Attributes
    ----------
    findings : list of Finding
        In the order of the net; empty if every layer does what the recording says.
    checked : int
        How many recorded blobs were compared.
    skipped : list of str
        Blobs behind a difference whose inputs the recording does not hold whole.
    """

    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def first(self) -> Finding | None:
        return self.findings[0] if self.findings else None

    def text(self) -> str:
        if self.ok:
            return f"every layer does what the recording says ({self.checked} blobs compared)"
        parts = [finding.text() for finding in self.findings]
        if self.skipped:
            parts.append(
                f"{len(self.skipped)} blobs behind were not tried, their inputs are not recorded whole: "
                + ", ".join(self.skipped[:5])
            )
        return "\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        findings = [finding.as_dict() for finding in self.findings]
        return {"ok": self.ok, "findings": findings, "checked": self.checked, "skipped": self.skipped}


def bisect(
    recorded: Recording,
    net: Any,
    *,
    everything: bool = False,
    rtol: float | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    backend: str | None = None,
) -> Bisection:
    """Find the first layer of a net that does not do what a recording says, and try the known causes.

    Parameters
    ----------
    recorded
        What is right: of the same net somewhere else, or before a change.
    net
        A `Subject`, or what `subject_of` takes; its blobs and the recorded ones have the same names.
    everything
        Go on behind the first difference, with the recorded numbers.
    rtol
        A tolerance in place of each layer's own.
    inputs
        The net's inputs, where the recording has none.

    Raises
    ------
    MismatchError
        If inputs are missing or no blob has the same name.

    Examples
    --------
    >>> from deconv_legacy.layers import ConvolutionLayer, InputLayer, PoolLayer
    >>> from deconv_legacy.testing.record import record
    >>> conv = ConvolutionLayer(InputLayer((None, 3, None, None)), (2, 3, 3, 3), name="conv", rng=0)
    >>> net = PoolLayer(conv, 2, name="pool")
    >>> x = np.random.default_rng(0).standard_normal((1, 3, 7, 9)).astype("float32")
    >>> golden = record(net, {"data": x}, backend="numpy")
    >>> conv.W.set_value(conv.W.get_value()[:, :, ::-1, ::-1])
    >>> found = bisect(golden, net, backend="numpy").first
    >>> found.layer, found.cause.name
    ('conv', 'filter flip')
    """
    subject = subject_of(net, backend=backend)
    values: dict[str, np.ndarray] = {
        **recorded.input_arrays,
        **{n: s.values for n, s in recorded.blobs.items() if n in subject.inputs and s.values is not None},
        **(inputs or {}),
    }
    subject.check_inputs(values)
    values = {name: np.asarray(values[name], subject.variables[name].dtype) for name in subject.inputs}
    if not any(name in recorded.blobs for name in subject.blobs):
        raise MismatchError(
            f"no blob has the same name on both sides: {', '.join(list(recorded.blobs)[:6])}, ... and "
            f"{', '.join(subject.blobs[:6])}"
        )
    result = Bisection()
    pending: dict[str, list[Stage]] = {}  # blob -> the layers since the last recorded numbers
    for stage in subject.stages:
        if any(name not in values for name in stage.bottoms):
            result.skipped += [top for top in stage.tops if top in recorded.blobs]
            continue
        since = [s for name in stage.bottoms for s in pending.get(name, ())]
        since = [*dict.fromkeys(since), stage]
        bottoms = [values[name] for name in stage.bottoms]
        try:
            made: list[np.ndarray] | None = subject.run_stage(stage, bottoms)
            problem = ""
        except (DeconvLegacyError, ValueError) as error:
            made, problem = None, str(error).splitlines()[0]
        for index, top in enumerate(stage.tops):
            stored = recorded.blobs.get(top)
            if made is not None:
                values[top] = made[index]
            if stored is None:
                pending[top] = since
                continue
            result.checked += 1
            limit = rtol if rtol is not None else _limit(since, stored)
            if made is None:
                found = Measure(top, "shape", tolerance=limit, note=problem)
            else:
                found = measure(top, stored, StoredArray.of(made[index], full=stored.values is not None), limit)
            if not found.ok:
                result.findings.append(_explain(subject, recorded, since, values, top, stored, found, limit))
                if not everything:
                    return result
            if stored.values is not None:
                values[top] = np.asarray(stored.values, subject.variables[top].dtype)
            elif not found.ok:
                values.pop(top, None)
    return result


def _limit(stages: list[Stage], stored: StoredArray) -> float:
    return tolerances.of_stages(stages, "float32" if stored.digest.dtype == "float16" else stored.digest.dtype)


def _explain(
    subject: Subject,
    recorded: Recording,
    stages: list[Stage],
    values: Mapping[str, np.ndarray],
    blob: str,
    stored: StoredArray,
    before: Measure,
    limit: float,
) -> Finding:
    trials = try_causes(subject, recorded, stages, values, blob, stored, limit)
    names = [stage.name for stage in stages]
    good = next((trial for trial in trials if trial.measure is not None and trial.measure.ok), None)
    if good is not None:
        return Finding(blob, names, good.layer, before, good, good.measure)
    others = _other_weights(subject, recorded, stages)
    if others is not None:
        return Finding(blob, names, others.layer, before, others)
    least = min(trials, key=lambda trial: trial.error, default=None)
    bound = before.relative if before.relative is not None else float("inf")
    near = least if least is not None and least.error < bound / 2 else None
    return Finding(blob, names, names[-1], before, nearest=near)


def _other_weights(subject: Subject, recorded: Recording, stages: list[Stage]) -> Trial | None:
    """The layer whose parameters are not the recorded ones, in no way that is known."""
    names = {id(variable): name for name, variable in subject.params.items()}
    for stage in stages:
        for variable in stage.layer.params:
            known = recorded.params.get(names.get(id(variable), ""))
            if known is None:
                continue
            now = StoredArray.of(variable.get_value(borrow=True), full=False)
            if known.shape != now.shape or known.digest.sha256 != now.digest.sha256:
                found = measure(str(variable.name), known, now, 0.0)
                far = "" if found.relative is None else f", {found.relative:.1e} of the largest away"
                return Trial("other weights", f"{variable.name} is not the recorded one{far}", stage.name)
    return None
