"""`record`: run a net and keep its numbers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy._version import __version__
from deconv_legacy.errors import MismatchError
from deconv_legacy.testing import tolerance
from deconv_legacy.testing.adapters import subject_of
from deconv_legacy.testing.recording import Recording, StoredArray
from deconv_legacy.testing.settings import settings_of
from deconv_legacy.testing.subject import Subject

__all__ = ["FULL_BYTES", "record", "seeded_inputs"]

FULL_BYTES = 1 << 20
"""Blobs up to this size are kept whole, larger ones as digests."""


def seeded_inputs(
    subject: Subject, shapes: Mapping[str, Sequence[int]], seed: int = 0, scale: float = 1.0
) -> dict[str, np.ndarray]:
    """Normal numbers times `scale` for every input; `shapes` says the sizes that the net leaves free.

    Raises
    ------
    MismatchError
        Naming an input of which a size is not known.
    """
    rng = np.random.default_rng(seed)
    result = {}
    for name in subject.inputs:
        variable, known = subject.variables[name], subject.shapes[name]
        shape = tuple(shapes.get(name, known))
        if None in shape:
            raise MismatchError(
                f"the shape of input {name!r} is {known}, None is free: give one, such as {name}=1,3,97,131"
            )
        values = rng.standard_normal(shape) * scale
        result[name] = values.astype(variable.dtype) if variable.dtype.startswith("float") else np.zeros(shape, "int64")
    return result


def record(
    net: Any,
    inputs: Mapping[str, np.ndarray],
    *,
    gradients: bool = False,
    blobs: Sequence[str] | None = None,
    full_bytes: int = FULL_BYTES,
    seed: int | None = None,
    backend: str | None = None,
) -> Recording:
    """Run a net and keep every named blob, or a digest of it where it is large.

    Parameters
    ----------
    net
        A `Subject`, or what `subject_of` takes.
    inputs
        An array for each input.
    gradients
        Whether to keep those of all parameters and inputs too; see `Subject.gradients`.
    blobs
        Which ones, by default all.
    full_bytes
        Up to which size a blob is kept whole.
    seed
        With which the inputs were made, to be noted; of the direction of the gradients.

    Examples
    --------
    >>> from deconv_legacy.networks import fcn32s
    >>> net = fcn32s(3, 1 / 64, stages=((2,), (2,), (2,), (2,), (2,)), rng=0)
    >>> golden = record(net, {"data": np.ones((1, 3, 9, 8), "float32")}, backend="numpy")
    >>> golden["score"].shape, golden.outputs, len(golden.blobs)
    ((1, 3, 9, 8), ['score'], 24)
    """
    subject = subject_of(net, backend=backend)
    unknown = [name for name in inputs if name not in subject.inputs]
    if unknown:
        raise MismatchError(f"the net has no input {unknown[0]!r}; it reads {', '.join(subject.inputs)}")
    names = [name for name in subject.blobs if name not in subject.inputs] if blobs is None else list(blobs)
    values = subject.run(inputs, names)
    kept = {}
    for name in names:
        array = values.pop(name)  # large ones go at once
        kept[name] = StoredArray.of(array, full=array.nbytes <= full_bytes, with_argmax=name in subject.outputs)
    fed = {n: StoredArray.of(np.asarray(inputs[n], subject.variables[n].dtype)) for n in subject.inputs}
    found = subject.gradients(inputs, seed or 0) if gradients else {}
    everywhere = tolerance.of_net(subject)
    return Recording(
        fed,
        kept,
        {name: StoredArray.of(g, full=g.nbytes <= full_bytes) for name, g in found.items()},
        {name: StoredArray.of(v.get_value(borrow=True), full=False) for name, v in subject.params.items()},
        {name: everywhere[name] for name in kept},
        [name for name in subject.outputs if name in kept],
        header(subject, seed),
    )


def header(subject: Subject, seed: int | None) -> dict[str, Any]:
    """Where numbers come from."""
    blas = engine.find_blas()
    return {
        "kind": "net",
        "files": subject.files,
        "versions": {
            "deconv_legacy": __version__,
            "Python": platform.python_version(),
            **{name: metadata.version(name) for name in ("aesara", "numpy", "scipy")},
        },
        "BLAS": {"name": blas.name, "path": blas.path},
        "machine": f"{platform.system()} {platform.machine()}",
        "dtype": subject.dtype,
        "backend": subject.backend or ("c" if engine.have_compiler() else "numpy"),
        "seed": seed,
        "layers": [
            {
                "name": stage.name,
                "type": stage.type,
                "bottoms": list(stage.bottoms),
                "tops": list(stage.tops),
                "settings": settings_of(stage.layer),
            }
            for stage in subject.stages
        ],
    }
