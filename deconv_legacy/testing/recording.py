"""A recording: the numbers of a net on disk, in one npz with a JSON header. Nothing is ever pickled.

Keys of the file: ``header`` (JSON, UTF-8 bytes); ``full/BLOB`` for whole arrays; ``sample/BLOB``, ``argmax/BLOB`` and
``thumbnail/BLOB`` for digests. An npz without a header, from any framework, is read too: ``in/BLOB`` or the names
that are asked for are inputs, ``out/BLOB`` or plain names are blobs.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe._files import replacing
from deconv_legacy.errors import FileFormatError, MismatchError
from deconv_legacy.testing.digest import Digest, digest

__all__ = ["FORMAT", "Recording", "StoredArray", "read_recording"]

FORMAT = "deconv_legacy recording 1"


@dataclass(frozen=True)
class StoredArray:
    """A blob, gradient or parameter as a recording has it: always a digest, and all values where they are small."""

    digest: Digest
    values: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def of(cls, array: Any, *, full: bool = True, with_argmax: bool = False) -> StoredArray:
        array = np.asarray(array)
        if array.dtype.kind not in "biufc":
            raise MismatchError(f"an array of {array.dtype} is no blob: numbers are legal, nothing is pickled")
        return cls(digest(array, with_argmax=with_argmax and not full), np.array(array) if full else None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.digest.shape


@dataclass
class Recording:
    """The numbers of one run of a net.

    Attributes
    ----------
    inputs, blobs, gradients, params : dict
        Name -> `StoredArray`. Inputs are whole; parameters are digests only.
    tolerances : dict
        Blob -> how far another right computation may lie away, in units of its largest magnitude.
    outputs : list of str
    header : dict
        Where it comes from: ``files``, ``versions``, ``BLAS``, ``dtype``, ``backend``, ``seed``, ``layers``.

    Examples
    --------
    >>> recording = Recording.from_arrays({"score": np.ones((1, 2, 3, 4))}, {"data": np.zeros((1, 3, 3, 4))})
    >>> list(recording.blobs), recording["score"].shape
    (['score'], (1, 2, 3, 4))
    """

    inputs: dict[str, StoredArray] = field(default_factory=dict)
    blobs: dict[str, StoredArray] = field(default_factory=dict)
    gradients: dict[str, StoredArray] = field(default_factory=dict)
    params: dict[str, StoredArray] = field(default_factory=dict)
    tolerances: dict[str, float] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> StoredArray:
        found = self.blobs.get(name) or self.inputs.get(name)
        if found is None:
            raise MismatchError(f"the recording has no blob {name!r}; it has {', '.join(self.blobs)}")
        return found

    @classmethod
    def from_arrays(cls, blobs: Mapping[str, Any], inputs: Mapping[str, Any] | None = None, **header: Any) -> Recording:
        """Numbers from anywhere."""
        kept = {name: StoredArray.of(array) for name, array in blobs.items()}
        fed = {name: StoredArray.of(array) for name, array in (inputs or {}).items()}
        return cls(fed, kept, outputs=list(kept)[-1:], header=header)

    @property
    def input_arrays(self) -> dict[str, np.ndarray]:
        return {name: stored.values for name, stored in self.inputs.items() if stored.values is not None}

    def save(self, path: str | Path) -> None:
        """Write it beside `path`, then rename: never half a file."""
        groups = {"inputs": self.inputs, "blobs": self.blobs, "gradients": self.gradients, "params": self.params}
        arrays: dict[str, np.ndarray] = {}
        header: dict[str, Any] = {"format": FORMAT, **self.header}
        header["outputs"], header["tolerances"] = self.outputs, self.tolerances
        for group, stored in groups.items():
            header[group] = {}
            for name, one in stored.items():
                header[group][name] = one.digest.facts()
                parts: dict[str, Any] = {"full": one.values} if one.values is not None else {}
                if one.values is None:
                    kept = one.digest
                    parts = {"sample": kept.sample, "argmax": kept.argmax, "thumbnail": kept.thumbnail}
                arrays.update((f"{group}/{kind}/{name}", a) for kind, a in parts.items() if a is not None)
        text = np.frombuffer(json.dumps(header, indent=1).encode(), np.uint8)
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez_compressed(file, header=text, **arrays)


def read_recording(path: str | Path, inputs: Iterable[str] = ()) -> Recording:
    """Read a recording, or a plain npz of activations.

    Parameters
    ----------
    path
        The file.
    inputs
        In a plain npz: which names are inputs.

    Raises
    ------
    FileFormatError
        If it is no npz, is damaged, or holds Python objects, which are never unpickled.
    """
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not hasattr(archive, "files"):
                raise FileFormatError("one array; a recording is an npz", path=path)
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        if isinstance(error, FileFormatError):
            raise
        said = "it holds Python objects, which are never unpickled" if "allow_pickle" in str(error) else str(error)
        raise FileFormatError(f"this is no recording: {said}", path=path) from None
    if "header" not in arrays:
        return _plain(arrays, set(inputs))
    try:
        header = json.loads(arrays.pop("header").tobytes().decode())
    except ValueError as error:
        raise FileFormatError(f"its header cannot be read: {error}", path=path) from None
    if header.get("format") != FORMAT:
        raise FileFormatError(f"its format is {header.get('format')!r}, this version reads {FORMAT!r}", path=path)
    groups = {name: _stored(name, header.pop(name, {}), arrays) for name in ("inputs", "blobs", "gradients", "params")}
    tolerances, outputs = header.pop("tolerances", {}), header.pop("outputs", [])
    return Recording(**groups, tolerances=tolerances, outputs=outputs, header=header)


def _stored(group: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, StoredArray]:
    result = {}
    for name, known in facts.items():
        whole = arrays.get(f"{group}/full/{name}")
        parts = [arrays.get(f"{group}/{kind}/{name}") for kind in ("sample", "argmax", "thumbnail")]
        if whole is not None:
            result[name] = StoredArray.of(whole)
            continue
        values = parts[0] if parts[0] is not None else np.empty(0, np.float32)
        kept = Digest(tuple(known["shape"]), known["dtype"], known["sha256"], known["stats"], values, *parts[1:])
        result[name] = StoredArray(kept)
    return result


def _plain(arrays: Mapping[str, np.ndarray], inputs: set[str]) -> Recording:
    """Numeric arrays by name; other entries, such as notes, are left out."""
    numeric = {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}
    fed = {name[3:]: a for name, a in numeric.items() if name.startswith("in/")}
    fed.update((name, a) for name, a in numeric.items() if name in inputs)
    blobs = {name[4:]: a for name, a in numeric.items() if name.startswith("out/")}
    if not blobs:
        blobs = {name: a for name, a in numeric.items() if name not in inputs and not name.startswith("in/")}
    if not blobs:
        raise MismatchError(f"there are no activations in it, only {', '.join(arrays) or 'nothing'}")
    return Recording.from_arrays(blobs, fed, kind="arrays")
