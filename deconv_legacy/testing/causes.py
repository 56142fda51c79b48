"""The known causes of a difference: each says how a layer would have computed under it, and is tried in turn.

A `Change` is one thing that may have happened to one layer on its way: other values of its parameters, of its inputs
or outputs, or other settings. `KNOWN` lists the causes in the order in which they are tried, cheap and common first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.layers import DropoutLayer, ReluLayer
from deconv_legacy.testing._changes import KNOWN, Change, Context
from deconv_legacy.testing.digest import sha256
from deconv_legacy.testing.measure import Measure, figures_of, measure
from deconv_legacy.testing.recording import Recording, StoredArray
from deconv_legacy.testing.subject import Stage, Subject

__all__ = ["CAUSES", "Trial", "try_causes"]

CAUSES = tuple(KNOWN)
"""Names of the causes."""


@dataclass(frozen=True)
class Trial:
    """A cause that was tried on a layer, and the error that it leaves."""

    name: str
    text: str
    layer: str
    measure: Measure | None = None
    error: float = field(default=float("inf"))


def try_causes(
    subject: Subject,
    recorded: Recording,
    stages: Sequence[Stage],
    values: Mapping[str, np.ndarray],
    blob: str,
    stored: StoredArray,
    limit: float,
) -> list[Trial]:
    """Every cause on every one of `stages`, up to the first that explains the recorded `blob`.

    Parameters
    ----------
    values
        What is known of the blobs: those that the first stages read are the recorded ones.
    limit
        The tolerance of `blob`.
    """
    tried = []
    made_here = {top for stage in stages for top in stage.tops}
    known = {name: array for name, array in values.items() if name not in made_here}
    for name, cause in KNOWN.items():
        for stage in stages:
            for change in cause(_context(subject, recorded, stage, stages, known, stored)):
                trial = _try(subject, recorded, stages, stage, change, known, blob, stored, limit, name)
                if trial is None:
                    continue
                tried.append(trial)
                if trial.measure is not None and trial.measure.ok:
                    return tried
    return tried


def _context(
    subject: Subject,
    recorded: Recording,
    stage: Stage,
    stages: Sequence[Stage],
    known: Mapping[str, np.ndarray],
    stored: StoredArray,
) -> Context:
    bottoms = [known.get(name) for name in stage.bottoms]
    behind = list(stages[stages.index(stage) + 1 :])
    wanted, shape = (None, None) if behind else (stored.values, stored.shape)
    gentle = all(isinstance(other.layer, (ReluLayer, DropoutLayer)) for other in behind)
    return Context(subject, recorded, stage, bottoms, wanted, shape, stored.values if gentle else None)


def _digests_agree(recorded: Recording, stage: Stage, change: Change) -> bool:
    """Whether the changed parameters are, bit for bit, those of the recording."""
    known = [recorded.params.get(str(stage.layer.params[i].name)) for i in change.params]
    values = [np.asarray(v, stage.layer.params[i].dtype) for i, v in change.params.items()]
    return bool(known) and all(k and k.digest.sha256 == sha256(v) for k, v in zip(known, values, strict=True))


def _try(
    subject: Subject,
    recorded: Recording,
    stages: Sequence[Stage],
    changed: Stage,
    change: Change,
    known: Mapping[str, np.ndarray],
    blob: str,
    stored: StoredArray,
    limit: float,
    name: str,
) -> Trial | None:
    """Run the stages with one of them changed; None if it cannot be run so."""
    values = dict(known)
    try:
        for stage in stages:
            bottoms = [values[bottom] for bottom in stage.bottoms]
            if stage is changed:
                tops = change.run(lambda *a, stage=stage, **k: subject.run_stage(stage, *a, **k), bottoms)
            else:
                tops = subject.run_stage(stage, bottoms)
            values.update(zip(stage.tops, tops, strict=True))
    except (DeconvLegacyError, ValueError, TypeError, KeyError):
        return None
    result = np.asarray(values[blob])
    if result.shape != stored.shape:
        return None
    found = measure(blob, stored, StoredArray.of(result, full=stored.values is not None), limit)
    error = figures_of(stored.values, result)["relative"] if stored.values is not None else found.relative
    text = change.text
    if found.ok and _digests_agree(recorded, changed, change):
        text += "; the SHA-256 of the recorded parameter agrees"
    return Trial(name, text, changed.name, found, float("inf") if error is None else error)
