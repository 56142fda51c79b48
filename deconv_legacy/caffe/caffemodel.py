"""Weights, solver states and mean images: Caffe's binary files, and its HDF5 files, told by content.

Reading maps the file and gives arrays that are views of it, so that a file of 500 MB opens in milliseconds
and costs memory only where it is touched; no protobuf is needed for weights. Files are written beside their
target and then renamed.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from deconv_legacy.caffe import _hdf5, _wire, schema, upgrade
from deconv_legacy.caffe._files import StrPath, describe_start, is_hdf5, replacing
from deconv_legacy.caffe._text_writing import check_strings
from deconv_legacy.errors import FileFormatError, MismatchError

__all__ = [
    "SavedState",
    "StoredBlob",
    "StoredLayer",
    "read_layers",
    "read_mean",
    "read_model_net",
    "read_solverstate",
    "read_weights",
    "write_mean",
    "write_solverstate",
    "write_weights",
]

# Field numbers of caffe.proto
_NET_NAME, _V1_LAYERS, _V2_LAYER = 1, 2, 100
_V0_LAYER = 1  # in a V1 layer
_NAME_AND_BLOBS = {"V0": (1, 50), "V1": (4, 6), "V2": (1, 7)}
_DATA, _SHAPE, _DOUBLE_DATA = 5, 7, 8
_LEGACY_AXES = (1, 2, 3, 4)  # num, channels, height, width
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4
_STREAMS = 20000  # ours, in a solverstate: a number far from Caffe's
_MAX_AXES = 32  # kMaxBlobAxes
_WITHOUT_BLOBS = {_V2_LAYER: {7: None}, _V1_LAYERS: {6: None, _V0_LAYER: {50: None}}}


@dataclass(frozen=True)
class StoredBlob:
    """One parameter array as a file has it.

    Attributes
    ----------
    data
        float32 in the shape of the file; a read-only view of the file where it can be, possibly unaligned:
        copy it (``param[...] = blob.data``) before you hand it to C code.
    legacy
        The file gives ``num, channels, height, width`` (always four axes) in place of a shape.
    """

    data: np.ndarray
    legacy: bool = False

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether Caffe copies this blob into a parameter of that shape: the same shape, or for a legacy blob
        the same when aligned from the end (a bias of N is stored as 1 x 1 x 1 x N).

        >>> bias = StoredBlob(np.zeros((1, 1, 1, 5), np.float32), legacy=True)
        >>> bias.fits((5,)), bias.fits((5, 1))
        (True, False)
        """
        target = tuple(shape)
        if self.legacy and len(target) <= 4:
            target = (1,) * (4 - len(target)) + target
        return self.data.shape == target


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a weights file: its name and its blobs (none for a layer without parameters).

    A blob is None where an HDF5 file leaves it out because another layer owns it.
    """

    name: str
    blobs: list[StoredBlob | None]


@dataclass
class SavedState:
    """What a ``.solverstate`` holds: where a training stood.

    Attributes
    ----------
    iter, current_step
        Iterations done; position in the steps of a multistep policy.
    learned_net
        Path of the weights written with it, or "".
    history
        The solver's arrays, float32, parameter after parameter.
    streams
        JSON of where random numbers and data stood (see ``_streams.py``), or "". Caffe passes it over.
    """

    iter: int = 0
    learned_net: str = ""
    current_step: int = 0
    history: list[np.ndarray] = field(default_factory=list)
    streams: str = ""


def read_layers(path: StrPath) -> list[StoredLayer]:
    """Every layer of a caffemodel (V0, V1 or V2) or of an HDF5 weights file, in the order of the file.

    Raises
    ------
    FileFormatError
        Naming the file, the layer where it is known, and the reason: cut short, damaged, no weights at all.
    MissingExtraError
        The file is HDF5 and h5py is not installed.
    """
    if is_hdf5(path):
        return [
            StoredLayer(name, [None if blob is None else StoredBlob(blob) for blob in blobs])
            for name, blobs in _hdf5.read_weights(path)
        ]
    layers: list[StoredLayer] = []
    with _mapped(path, "a caffemodel") as (buffer, size):
        try:
            for part in _wire.fields(buffer, 0, size):
                if part.number in (_V1_LAYERS, _V2_LAYER) and part.kind == _wire.BYTES:
                    layers.append(_read_layer(buffer, part))
        except _wire.WireError as error:
            if error.inside is None:
                raise
            raise _Damage(
                f"{_where_cut(buffer, size, error.inside, layers)}: {error}; the file is cut short or damaged"
            ) from None
        if not layers:
            raise _Damage("there is no layer in it")
    return layers


def read_weights(path: StrPath) -> dict[str, list[np.ndarray]]:
    """The weights of a caffemodel (V0, V1 or V2) or of an HDF5 file: layer name -> arrays, in file order.

    Arrays are float32 in the shape of the file: (out, in / group, kh, kw) for a convolution, (in, out /
    group, kh, kw) for a deconvolution, (out,) for a bias; old files have four axes for every blob, aligned
    from the end (a bias is 1 x 1 x 1 x out). They are read-only views of the mapped file where possible,
    maybe unaligned: copy before you hand them to C code. Layers without parameters have an empty list. Of
    two layers of one name the last stays, as in Caffe.

    Raises
    ------
    FileFormatError, MissingExtraError
        See `read_layers`.
    MismatchError
        An HDF5 file leaves out a blob of a layer, as another layer owns it; `read_layers` reads such a file.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mktemp(suffix=".caffemodel")
    >>> write_weights(path, {"up": [np.ones((2, 3, 4, 5))]})
    >>> {name: [blob.shape for blob in blobs] for name, blobs in read_weights(path).items()}
    {'up': [(2, 3, 4, 5)]}
    """
    weights: dict[str, list[np.ndarray]] = {}
    for layer in read_layers(path):
        weights[layer.name] = []
        for index, blob in enumerate(layer.blobs):
            if blob is None:
                raise MismatchError(f"{path}: layer {layer.name!r} shares blob {index} with another layer")
            weights[layer.name].append(blob.data)
    return weights


def read_model_net(path: StrPath, *, allow_unknown: bool = False, upgraded: bool = True) -> Any:
    """The net that a caffemodel holds beside its weights: a NetParameter in today's form, without blobs.

    Parameters
    ----------
    path
        A binary caffemodel of any age.
    allow_unknown
        Know the fields of the forks too; see ``schema.messages``.
    upgraded
        Bring an old net to today's form.
    """
    from google.protobuf.message import DecodeError

    net = schema.messages(forks=allow_unknown).NetParameter()
    with _mapped(path, "a caffemodel") as (buffer, size):
        try:
            net.ParseFromString(_wire.without(buffer, 0, size, _WITHOUT_BLOBS))
            check_strings(net)
        except (DecodeError, UnicodeDecodeError) as error:
            raise _Damage(f"the net in it cannot be read: {error}") from None
    return upgrade.upgrade_net(net, path=os.fspath(path)) if upgraded else net


def write_weights(path: StrPath, layers: Mapping[str, Sequence[np.ndarray | StoredBlob]], net: Any = None) -> None:
    """Write a caffemodel as Caffe does, one array after the other.

    Parameters
    ----------
    path
        The file; ``.h5`` at its end makes it HDF5, as Caffe names such files.
    layers
        Layer name -> arrays; they become float32. A StoredBlob with ``legacy`` keeps its old form in a caffemodel.
    net
        The NetParameter (V2) to store with them, so that tools can draw the net from the file. Its layers
        give the order, and every name in ``layers`` must be one of its. HDF5 files hold no net.

    Raises
    ------
    MismatchError
        A layer that the net does not have.
    """
    if os.fspath(path).endswith(".h5"):
        with replacing(path) as beside:
            _hdf5.write_weights(beside, {name: [_array(blob) for blob in blobs] for name, blobs in layers.items()})
        return
    if net is None:
        head = b""
        definitions = [(name, _wire.field(_NAME_AND_BLOBS["V2"][0], name.encode())) for name in layers]
    else:
        bare = type(net)()
        bare.CopyFrom(net)
        for layer in bare.layer:
            layer.ClearField("blobs")
        definitions = [(layer.name, layer.SerializeToString()) for layer in bare.layer]
        bare.ClearField("layer")
        head = bare.SerializeToString()
        names = [name for name, _ in definitions]
        for name in layers:
            if name not in names:
                near = difflib.get_close_matches(name, names, 3)
                raise MismatchError(
                    f"weights for layer {name!r}, which the net does not have"
                    + (f"; near names: {', '.join(near)}" if near else "")
                )
    left = dict(layers)
    with replacing(path) as beside, open(beside, "wb") as file:
        file.write(head)
        for name, definition in definitions:
            _write_layer(file, definition, left.pop(name, ()))


def read_solverstate(path: StrPath) -> SavedState:
    """A solver's state, binary or HDF5; errors as for `read_layers`."""
    if is_hdf5(path):
        return SavedState(**_hdf5.read_solverstate(path))
    state = SavedState()
    with _mapped(path, "a solverstate") as (buffer, size):
        for part in _wire.fields(buffer, 0, size):
            if part.number == _ITER and part.kind == _wire.VARINT:
                state.iter = _wire.signed(part.value)
            elif part.number == _CURRENT_STEP and part.kind == _wire.VARINT:
                state.current_step = _wire.signed(part.value)
            elif part.number == _LEARNED_NET and part.kind == _wire.BYTES:
                state.learned_net = _string(buffer, part)
            elif part.number == _STREAMS and part.kind == _wire.BYTES:
                state.streams = _string(buffer, part)
            elif part.number == _HISTORY and part.kind == _wire.BYTES:
                with _inside(f"history {len(state.history)}"):
                    state.history.append(_read_blob(buffer, part.start, part.end).data)
    return state


def write_solverstate(path: StrPath, state: SavedState) -> None:
    """Write a solver's state as Caffe does; ``.h5`` at the end of the path makes it HDF5."""
    if os.fspath(path).endswith(".h5"):
        with replacing(path) as beside:
            _hdf5.write_solverstate(beside, vars(state))
        return
    with replacing(path) as beside, open(beside, "wb") as file:
        file.write(_integer(_ITER, state.iter) + _wire.field(_LEARNED_NET, state.learned_net.encode()))
        for array in state.history:
            _write_parts(file, _HISTORY, _blob_parts(array))
        file.write(_integer(_CURRENT_STEP, state.current_step))
        if state.streams:
            file.write(_wire.field(_STREAMS, state.streams.encode()))


def read_mean(path: StrPath) -> np.ndarray:
    """The mean image of a ``.binaryproto``, float32.

    The shape is that of the file: (1, channels, height, width) as compute_image_mean writes it.
    """
    with _mapped(path, "a binaryproto") as (buffer, size):
        return _read_blob(buffer, 0, size).data


def write_mean(path: StrPath, mean: np.ndarray) -> None:
    """Write a mean image, (channels, height, width) or with a 1 in front, as compute_image_mean does."""
    array = np.asarray(mean)
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or len(array) != 1:
        raise MismatchError(f"a mean image is (channels, height, width), not {np.shape(mean)}")
    with replacing(path) as beside, open(beside, "wb") as file:
        for number, size in zip(_LEGACY_AXES, array.shape, strict=True):
            file.write(_integer(number, size))
        for part in _data_parts(array):
            file.write(part)


# Reading


class _Damage(Exception):
    """Why a file cannot be read; the file is added where it is known."""


@contextlib.contextmanager
def _mapped(path: StrPath, kind: str) -> Iterator[tuple[Any, int]]:
    """The file's bytes and their number; errors of the code inside become one FileFormatError."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise FileFormatError("the file is empty", path=path)
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield buffer, size
    except (_wire.WireError, _Damage) as error:
        looks = describe_start(buffer[:64])
        cause = f"not {kind}, but {looks}" if looks else f"the {kind.split()[-1]} cannot be read: {error}"
        raise FileFormatError(cause, path=path) from None


@contextlib.contextmanager
def _inside(place: str) -> Iterator[None]:
    try:
        yield
    except (_wire.WireError, _Damage) as error:
        raise _Damage(f"{place}: {error}") from None


def _read_layer(buffer: Any, record: _wire.Field) -> StoredLayer:
    version, start, end = "V2", record.start, record.end
    if record.number == _V1_LAYERS:
        version = "V1"
        for part in _wire.fields(buffer, start, end):
            if part.number == _V0_LAYER and part.kind == _wire.BYTES:
                version, start, end = "V0", part.start, part.end
                break
    name_number, blobs_number = _NAME_AND_BLOBS[version]
    name, blobs = "", []
    try:
        for part in _wire.fields(buffer, start, end):
            if part.kind != _wire.BYTES:
                continue
            if part.number == name_number:
                name = _string(buffer, part)
            elif part.number == blobs_number:
                blobs.append(part)
    except _wire.WireError as error:
        raise _Damage(f"layer {name!r}: {error}") from None
    stored: list[StoredBlob | None] = []
    for index, part in enumerate(blobs):
        with _inside(f"layer {name!r}, blob {index}"):
            stored.append(_read_blob(buffer, part.start, part.end))
    return StoredLayer(name, stored)


def _where_cut(buffer: Any, size: int, inside: tuple[int, int], layers: Sequence[StoredLayer]) -> str:
    """Which layer the file ends in."""
    number, start = inside
    version = {_V2_LAYER: "V2", _V1_LAYERS: "V1"}.get(number)
    if version is not None:
        with contextlib.suppress(_wire.WireError, _Damage):
            for part in _wire.fields(buffer, start, size):
                if part.number == _NAME_AND_BLOBS[version][0] and part.kind == _wire.BYTES:
                    return f"in layer {_string(buffer, part)!r}"
    return f"after layer {layers[-1].name!r}" if layers else "at its start"


def _string(buffer: Any, part: _wire.Field) -> str:
    try:
        return buffer[part.start : part.end].decode()
    except UnicodeDecodeError:
        raise _Damage(f"a name is not UTF-8 (at byte {part.start:,})") from None


def _read_blob(buffer: Any, start: int, end: int) -> StoredBlob:
    axes: dict[int, int] = {}
    shape: list[int] = []
    floats: list[np.ndarray] = []
    doubles: list[np.ndarray] = []
    for part in _wire.fields(buffer, start, end):
        if part.number in _LEGACY_AXES and part.kind == _wire.VARINT:
            axes[part.number] = _wire.signed(part.value)
        elif part.number == _SHAPE and part.kind == _wire.BYTES:
            for dim in _wire.fields(buffer, part.start, part.end):
                if dim.number == 1:
                    shape += _wire.varints(buffer, dim, _MAX_AXES)
            if len(shape) > _MAX_AXES:
                raise _Damage(f"a shape of more than {_MAX_AXES} axes")
        elif part.number == _DATA:
            floats.append(_wire.numbers(buffer, part, "<f4"))
        elif part.number == _DOUBLE_DATA:
            doubles.append(_wire.numbers(buffer, part, "<f8"))
    if axes:  # they win over a shape, as in Caffe
        shape = [axes.get(number, 0) for number in _LEGACY_AXES]
    pieces = doubles if any(piece.size for piece in doubles) else floats
    count = sum(piece.size for piece in pieces)
    if min(shape, default=0) < 0 or math.prod(shape) != count:
        raise _Damage(f"shape {tuple(shape)} needs {math.prod(shape):,} numbers, the file has {count:,}")
    if len(pieces) == 1:
        data = pieces[0]
    else:
        data = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    if data.dtype != np.float32 or not data.flags.c_contiguous:
        data = data.astype(np.float32, order="C")
    return StoredBlob(data.reshape(shape), legacy=bool(axes))


# Writing


def _integer(number: int, value: int) -> bytes:
    return _wire.varint(number << 3) + _wire.varint(value & (1 << 64) - 1)


def _data_parts(array: np.ndarray) -> list[Any]:
    """The data field of a BlobProto: its key and size, and the floats (no field without floats)."""
    data = np.ascontiguousarray(array, "<f4").reshape(-1)
    return (
        [_wire.varint(_DATA << 3 | _wire.BYTES) + _wire.varint(data.nbytes), data.view(np.uint8)] if data.size else []
    )


def _array(blob: np.ndarray | StoredBlob) -> np.ndarray:
    return blob.data if isinstance(blob, StoredBlob) else blob


def _blob_parts(blob: np.ndarray | StoredBlob) -> list[Any]:
    array = _array(blob)
    if isinstance(blob, StoredBlob) and blob.legacy:
        axes = (_integer(number, size) for number, size in zip(_LEGACY_AXES, array.shape, strict=True))
        return [b"".join(axes), *_data_parts(array)]
    dims = b"".join(_wire.varint(size) for size in np.shape(array))
    return [*_data_parts(array), _wire.field(_SHAPE, _wire.field(1, dims) if dims else b"")]


def _write_parts(file: BinaryIO, number: int, parts: Sequence[Any]) -> None:
    """A field whose content is the parts, one after the other."""
    file.write(_wire.varint(number << 3 | _wire.BYTES) + _wire.varint(sum(len(part) for part in parts)))
    for part in parts:
        file.write(part)


def _write_layer(file: BinaryIO, definition: bytes, arrays: Sequence[np.ndarray | StoredBlob]) -> None:
    """A V2 layer: its definition with the blobs where the order of field numbers puts them."""
    blobs_number = _NAME_AND_BLOBS["V2"][1]
    cut = next(
        (part.key for part in _wire.fields(definition, 0, len(definition)) if part.number > blobs_number),
        len(definition),
    )
    parts: list[Any] = [definition[:cut]]
    for array in arrays:
        blob = _blob_parts(array)
        size = sum(len(part) for part in blob)
        parts += [_wire.varint(blobs_number << 3 | _wire.BYTES) + _wire.varint(size), *blob]
    _write_parts(file, _V2_LAYER, [*parts, definition[cut:]])
