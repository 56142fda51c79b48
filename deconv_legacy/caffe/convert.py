"""Weights in other files: caffemodel, Caffe's HDF5, NumPy's npz and safetensors, bit for bit the same numbers.

In npz and safetensors an array is called ``<layer>/<index>``: ``conv1/0`` is the weight, ``conv1/1`` the bias.

>>> import tempfile
>>> from deconv_legacy.caffe import write_weights
>>> folder = tempfile.mkdtemp()
>>> write_weights(f"{folder}/a.caffemodel", {"up": [np.ones((2, 3, 4, 5))]})
>>> convert_weights(f"{folder}/a.caffemodel", f"{folder}/a.npz")
{'up': [(2, 3, 4, 5)]}
>>> [(name, array.dtype.name) for name, array in np.load(f"{folder}/a.npz").items()]
[('up/0', 'float32')]
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe._files import StrPath, is_hdf5, replacing
from deconv_legacy.caffe.caffemodel import StoredBlob, StoredLayer, read_layers, read_model_net, write_weights
from deconv_legacy.errors import FileFormatError, MismatchError, MissingExtraError

__all__ = ["FORMATS", "convert_weights", "modern_shapes", "read_any_weights", "write_any_weights"]

FORMATS = {
    ".caffemodel": "caffemodel",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".npz": "npz",
    ".safetensors": "safetensors",
}
"""End of a file's name -> what is written to it."""

_Weights = dict[str, list[np.ndarray]]

# Axes that are left of a legacy blob of four, by layer type and index
_AXES = {
    "Convolution": (4, 1),
    "Deconvolution": (4, 1),
    "InnerProduct": (2, 1),
    "PReLU": (1,),
    "Scale": (1, 1),
    "Bias": (1,),
    "BatchNorm": (1, 1, 1),
}


def convert_weights(source: StrPath, target: StrPath, net: Any = None) -> dict[str, list[tuple[int, ...]]]:
    """Write the weights of one file to another, in the format that the target's name ends in (see `FORMATS`).

    Old caffemodels have four axes for every blob; they become those of today's layers, so that a bias is (N,), as far
    as the file says what its layers are.

    Parameters
    ----------
    source
        A caffemodel of any age, Caffe's HDF5, npz or safetensors, told by content.
    target
        The file to write.
    net
        A NetParameter to store with the weights in a caffemodel; by default that of the source, where it has one.

    Returns
    -------
    dict
        Layer -> shapes of its blobs.

    Raises
    ------
    FileFormatError
        The source cannot be read, or the name of the target ends in something else.
    MismatchError
        A layer leaves a blob to another layer that owns it, or `net` has no such layer.
    MissingExtraError
        The library for the format is not installed.
    """
    weights, kept = read_any_weights(source)
    write_any_weights(target, weights, kept if net is None else net)
    return {name: [blob.shape for blob in blobs] for name, blobs in weights.items()}


def read_any_weights(path: StrPath) -> tuple[_Weights, Any]:
    """Layer -> arrays, layers without parameters left out, and the net in the file, if there is one."""
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(b"PK\x03\x04"):
        return _grouped(_read_npz(path), path), None
    if len(start) > 8 and start[8:9] == b"{" and os.fspath(path).endswith(".safetensors"):
        return _grouped(_read_safetensors(path), path), None
    layers, net = read_layers(path), None
    if not is_hdf5(path):
        net = read_model_net(path, allow_unknown=True)
        types = {layer.name: layer.type for layer in net.layer}
        layers = [modern_shapes(layer, types.get(layer.name, "")) for layer in layers]
        net = net if any(types.values()) else None
    weights: _Weights = {}
    for layer in layers:
        if any(blob is None for blob in layer.blobs):
            raise MismatchError(f"{os.fspath(path)}: layer {layer.name!r} shares a blob with another layer")
        if layer.blobs:
            weights[layer.name] = [blob.data for blob in layer.blobs if blob is not None]
    return weights, net


def modern_shapes(layer: StoredLayer, kind: str) -> StoredLayer:
    """The layer with blobs of four axes of old brought to those that its type has today, where the rest is 1.

    >>> bias = StoredBlob(np.zeros((1, 1, 1, 5), np.float32), legacy=True)
    >>> [blob.data.shape for blob in modern_shapes(StoredLayer("fc", [bias, bias]), "InnerProduct").blobs]
    [(1, 5), (5,)]
    """
    counts = _AXES.get(kind, ())
    blobs: list[StoredBlob | None] = []
    for blob, count in zip(layer.blobs, [*counts, *[4] * len(layer.blobs)], strict=False):
        if blob is not None and blob.legacy and blob.data.shape[: 4 - count] == (1,) * (4 - count):
            blob = StoredBlob(blob.data.reshape(blob.data.shape[4 - count :]))
        blobs.append(blob)
    return StoredLayer(layer.name, blobs)


def write_any_weights(path: StrPath, weights: Mapping[str, list[np.ndarray]], net: Any = None) -> None:
    """Write layer -> arrays in the format that the path ends in."""
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise FileFormatError(f"its name must end in one of {', '.join(FORMATS)}, which says the format", path=path)
    flat = {
        f"{name}/{i}": np.asarray(blob, np.float32) for name, blobs in weights.items() for i, blob in enumerate(blobs)
    }
    if kind == "caffemodel":
        write_weights(path, weights, net)
    elif kind == "HDF5":
        from deconv_legacy.caffe import _hdf5

        with replacing(path) as beside:
            _hdf5.write_weights(beside, weights)
    elif kind == "npz":
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez(file, **flat)
    else:
        save = _safetensors().numpy.save_file
        contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in flat.items()}
        with replacing(path) as beside:
            # safetensors orders as it likes
            save(contiguous, beside, metadata={"order": json.dumps(list(flat))})


def _grouped(arrays: Mapping[str, np.ndarray], path: StrPath) -> _Weights:
    weights: _Weights = {}
    for key, array in arrays.items():
        name, _, index = key.rpartition("/")
        blobs = weights.setdefault(name, [])
        if not name or index != str(len(blobs)):
            raise FileFormatError(
                f"array {key!r}: names are <layer>/<index>, with the indices 0, 1, ... of a layer in their order",
                path=path,
            )
        if array.dtype.kind not in "fiu":
            raise FileFormatError(f"array {key!r} holds {array.dtype}, not numbers", path=path)
        blobs.append(np.asarray(array, np.float32))
    if not weights:
        raise FileFormatError("there is no array in it", path=path)
    return weights


def _read_npz(path: StrPath) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except (
        OSError, ValueError, KeyError, EOFError, MemoryError, OverflowError, NotImplementedError, RuntimeError,
        SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise FileFormatError(f"the npz file cannot be read: {error}", path=path) from error


def _read_safetensors(path: StrPath) -> dict[str, np.ndarray]:
    library = _safetensors()
    try:
        with library.safe_open(path, framework="numpy") as file:
            order = json.loads((file.metadata() or {}).get("order", "null"))
            names = sorted(file.keys()) if not isinstance(order, list) else order
            if set(names) != set(file.keys()):
                raise ValueError("its list of names is not that of its arrays")
            return {name: file.get_tensor(name) for name in names}
    except (library.SafetensorError, ValueError, OSError, TypeError) as error:
        raise FileFormatError(f"the safetensors file cannot be read: {error}", path=path) from error


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtraError("safetensors", "safetensors", "reading and writing safetensors") from error
    return safetensors
