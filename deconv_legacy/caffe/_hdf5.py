"""Caffe's HDF5 files: weights in ``/data/<layer>/<index>``; a solver's history in ``/history/<index>``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from deconv_legacy.caffe._files import StrPath
from deconv_legacy.errors import FileFormatError, MissingExtraError

__all__ = [
    "read_datasets",
    "read_solverstate",
    "read_weights",
    "write_datasets",
    "write_solverstate",
    "write_weights",
]


def read_weights(path: StrPath) -> list[tuple[str, list[np.ndarray | None]]]:
    """(layer name, blobs) in the file's order; None for a blob that the file leaves to its owner."""
    h5py = _h5py()
    layers: list[tuple[str, list[np.ndarray | None]]] = []

    def visit(name: str, group: Any) -> None:
        subgroups = [key for key in group if isinstance(group[key], h5py.Group)]
        if name and not subgroups:
            layers.append((name, _numbered(group)))
        for key in subgroups:  # a layer's name may hold slashes, which HDF5 takes for groups
            visit(f"{name}/{key}" if name else key, group[key])
        if name and subgroups and len(subgroups) < len(group):
            layers.append((name, _numbered(group)))

    with _opened(path) as file:
        if not isinstance(file.get("data"), h5py.Group):
            raise ValueError("no group /data: these are not Caffe's weights")
        visit("", file["data"])
    return layers


def write_weights(path: StrPath, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    with _h5py().File(path, "w", track_order=True) as file:
        data = file.create_group("data", track_order=True)
        for name, blobs in layers.items():
            group = data.create_group(name, track_order=True)
            for index, blob in enumerate(blobs):
                group.create_dataset(str(index), data=np.asarray(blob, np.float32))


def read_solverstate(path: StrPath) -> dict[str, Any]:
    """The attributes of a SavedState."""
    with _opened(path) as file:
        state = {name: int(np.asarray(file[name]).reshape(())) for name in ("iter", "current_step")}
        net = file["learned_net"].asstr()[()] if "learned_net" in file else ""
        streams = file["streams"].asstr()[()] if "streams" in file else ""
        return {**state, "learned_net": str(net), "history": _numbered(file["history"]), "streams": str(streams)}


def write_solverstate(path: StrPath, state: Mapping[str, Any]) -> None:
    h5py = _h5py()
    with h5py.File(path, "w") as file:
        for name in ("iter", "current_step"):
            file.create_dataset(name, data=np.array([state[name]], np.int32))
        net = state["learned_net"].encode()
        if net:
            kind = h5py.string_dtype("utf-8", len(net) + 1)  # Caffe reads up to a NUL
            file.create_dataset("learned_net", data=np.bytes_(net), dtype=kind)
        history = file.create_group("history")
        for index, blob in enumerate(state["history"]):
            history.create_dataset(str(index), data=np.asarray(blob, np.float32))
        if state["streams"]:
            file.create_dataset("streams", data=state["streams"])


def read_datasets(path: StrPath, names: Sequence[str]) -> list[np.ndarray]:
    """The datasets of these names, float32."""
    with _opened(path) as file:
        for name in names:
            if not hasattr(file.get(name), "dtype"):
                raise ValueError(f"there is no dataset {name!r}; there are {', '.join(file) or 'none'}")
        return [_floats(file[name]) for name in names]


def write_datasets(path: StrPath, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays under their names, float32."""
    with _h5py().File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=np.asarray(array, np.float32))


def _numbered(group: Any) -> list[np.ndarray | None]:
    """The datasets "0", "1", ... of a group as float32."""
    names = [int(key) for key in group if hasattr(group[key], "dtype")]
    blobs: list[np.ndarray | None] = [None] * (max(names, default=-1) + 1)
    for index in names:
        blobs[index] = _floats(group[str(index)])
    return blobs


def _floats(dataset: Any) -> np.ndarray:
    if dataset.dtype.kind not in "fiu":
        raise TypeError(f"{dataset.name} holds {dataset.dtype}, not numbers")
    return np.asarray(dataset[()], np.float32)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "caffe", "reading and writing HDF5 weights") from error
    return h5py


@contextmanager
def _opened(path: StrPath) -> Iterator[Any]:
    """The file; whatever h5py says of a damaged one becomes a FileFormatError."""
    try:
        with _h5py().File(path, "r") as file:
            yield file
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"the HDF5 file cannot be read: {error}", path=path) from error
