"""Caffe's layers that bring or keep data: MemoryData, HDF5Data, ImageData, HDF5Output; and those that are not run.

Batches follow one another through the end of the data and on from its start, as in Caffe: the last one may hold rows
of both. Random orders are NumPy's, not boost's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.caffe import _hdf5, _state
from deconv_legacy.caffe._files import replacing
from deconv_legacy.caffe.hosts import HOSTS
from deconv_legacy.caffe.layer import Layer
from deconv_legacy.caffe.transform import DataTransformer, read_image
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError

__all__ = ["NOT_RUN", "refuse_not_run"]

NOT_RUN = {
    "Data": "LMDB and LevelDB are not read",
    "DenseImageData": "SegNet's data layer is not run",
    "ImageLabelmapData": "HED's data layer is not run",
    "ImageSegData": "DeepLab's data layer is not run",
    "WindowData": "windows of images are not cut",
    "WindowSegData": "DeconvNet's data layer is not run",
}
"""Data layers whose tops can be fed, but that bring nothing by themselves -> why."""


def refuse_not_run(net: Any) -> None:
    """Refuse a net's layers that are in `NOT_RUN`, all at once."""
    found = [
        f"layer {layer.name!r} ({layer.type}): {NOT_RUN[layer.type]}" for layer in net.layer if layer.type in NOT_RUN
    ]
    if found:
        raise MismatchError(
            "; ".join(found) + "; replace it by an Input, a Python, an ImageData, a HDF5Data or a MemoryData layer"
        )


class _DataLayer(Layer):
    """What those that bring data share."""

    _tops: int | None = 2
    positions: tuple[str, ...] = ("position",)
    """Attributes that a solver's snapshot keeps."""

    def setup(self, bottom, top):
        spec = self.layer_param
        self.type, self.where = spec.type, f"{spec.name} ({spec.type})"
        if bottom or not top or self._tops not in (None, len(top)):
            raise MismatchError(
                f"layer {spec.name!r} ({spec.type}): {len(bottom)} bottom and {len(top)} top blob(s); it takes no "
                f"bottom, and {self._tops or 'one or more'} top blob(s)"
            )
        self.rng = np.random.default_rng(_state.seed())
        try:
            self.open(top)
        except OSError as error:
            raise FileFormatError(
                f"layer {self.where}: {error.strerror or error}", path=error.filename or None
            ) from error

    def open(self, top):
        raise NotImplementedError(f"{type(self).__name__} opens nothing")

    def reshape(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass

    def need(self, ok: Any, cause: str) -> None:
        if not ok:
            raise MismatchError(f"layer {self.layer_param.name!r} ({self.type}): {cause}")


class _MemoryData(_DataLayer):
    def open(self, top):
        param = self.layer_param.memory_data_param
        self.dims = param.batch_size, param.channels, param.height, param.width
        self.need(min(self.dims) > 0, "batch_size, channels, height, and width must be specified and positive")
        top[0].reshape(*self.dims)
        top[1].reshape(self.dims[0])
        self.data = np.zeros((0, *self.dims[1:]), np.float32)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """float32 arrays (N, channels, rows, columns) and (N,) or (N, 1, 1, 1), N a multiple of the batch size; they
        are read when the net runs, not copied."""
        data, labels = np.asarray(data), np.asarray(labels)
        labels = labels.reshape(-1, 1, 1, 1) if labels.ndim == 1 else labels
        for name, array, sizes in (("data", data, self.dims[1:]), ("labels", labels, (1, 1, 1))):
            self.need(array.dtype == np.float32, f"{name} array must be float32, not {array.dtype}")
            self.need(array.flags.c_contiguous, f"{name} array must be C contiguous")
            self.need(array.shape[1:] == sizes, f"{name} array has shape {array.shape}; (N, {sizes}) is needed")
        self.need(len(data) == len(labels), "data and labels must have the same first dimension")
        self.need(
            len(data) and len(data) % self.dims[0] == 0,
            f"{len(data)} rows: first dimensions of input arrays must be a multiple of batch size {self.dims[0]}",
        )
        self.data, self.labels, self.position = data, labels, 0

    def forward(self, bottom, top):
        self.need(len(self.data), "it has no data yet: call net.set_input_arrays(data, labels)")
        rows = slice(self.position, self.position + self.dims[0])
        top[0].reshape(*self.dims)
        top[1].reshape(self.dims[0], 1, 1, 1)
        top[0].data[...], top[1].data[...] = self.data[rows], self.labels[rows]
        self.position = rows.stop % len(self.data)


class _HDF5Data(_DataLayer):
    _tops = None
    positions = ("order", "file", "rows", "row")

    def open(self, top):
        spec, param = self.layer_param, self.layer_param.hdf5_data_param
        self.need(not spec.HasField("transform_param"), "HDF5Data does not transform data.")
        self.need(param.batch_size > 0, "positive batch_size required")
        self.files = Path(param.source).read_text().split()
        if not self.files:
            raise FileFormatError(f"layer {self.where}: it names no HDF5 file", path=param.source)
        self.order, self.file = np.arange(len(self.files)), 0
        self.rows, self.row = np.arange(0), 0
        self.read: tuple[int, list[np.ndarray]] = (-1, [])
        self._begin(shuffle_files=True)
        for blob, array in zip(top, self._arrays(), strict=True):
            blob.reshape(param.batch_size, *array.shape[1:])

    def _read(self, file: str) -> list[np.ndarray]:
        names = list(self.layer_param.top)
        try:
            arrays = _hdf5.read_datasets(file, names)
        except FileFormatError as error:
            raise FileFormatError(f"layer {self.where}: {error.cause}", path=file) from error
        for name, array in zip(names, arrays, strict=True):
            if array.ndim < 1 or len(array) != len(arrays[0]) or not len(array):
                raise FileFormatError(
                    f"layer {self.where}: dataset {name!r} has shape {array.shape}; all need as many rows as "
                    f"{names[0]!r} with {arrays[0].shape}, at least one",
                    path=file,
                )
        return arrays

    def _arrays(self) -> list[np.ndarray]:
        """Those of the file that is being read; one file is read once."""
        number = int(self.order[self.file])
        if self.read[0] != number:
            self.read = number, self._read(self.files[number])
        return self.read[1]

    def _begin(self, shuffle_files: bool) -> None:
        shuffle = self.layer_param.hdf5_data_param.shuffle
        if shuffle and shuffle_files:
            self.rng.shuffle(self.order)
        count = len(self._arrays()[0])
        self.rows, self.row = self.rng.permutation(count) if shuffle else np.arange(count), 0

    def _next(self) -> list[np.ndarray]:
        if self.row == len(self.rows):
            self.file = (self.file + 1) % len(self.files)
            self._begin(shuffle_files=self.file == 0)
        row = self.rows[self.row]
        self.row += 1
        return [array[row] for array in self._arrays()]

    def forward(self, bottom, top):
        for item in range(self.layer_param.hdf5_data_param.batch_size):
            for blob, values in zip(top, self._next(), strict=True):
                if values.shape != blob.dims[1:]:
                    raise SizeError(f"a row of shape {values.shape} for a blob of {blob.dims}", where=self.where)
                blob.data[item] = values


class _ImageData(_DataLayer):
    positions = ("order", "position")

    def open(self, top):
        param = self.layer_param.image_data_param
        self.need(
            bool(param.new_height) == bool(param.new_width), "new_height and new_width must be set at the same time"
        )
        self.need(param.batch_size > 0, "positive batch_size required")
        self.lines = [_path_and_label(line) for line in _lines(param.source)]
        if not self.lines:
            raise FileFormatError(f"layer {self.where}: the list of images is empty", path=param.source)
        self.order = np.arange(len(self.lines))
        if param.shuffle:
            self.rng.shuffle(self.order)
        self.position = int(self.rng.integers(param.rand_skip)) if param.rand_skip else 0
        self.need(self.position < len(self.lines), f"not enough points to skip: {len(self.lines)} images")
        self.transform = DataTransformer(self.layer_param, self.rng)
        top[0].reshape(param.batch_size, *self.transform.shape(self._image()))
        top[1].reshape(param.batch_size)

    def _line(self) -> tuple[str, int]:
        return self.lines[self.order[self.position]]

    def _image(self) -> np.ndarray:
        param = self.layer_param.image_data_param
        path = param.root_folder + self._line()[0]
        try:
            return read_image(path, param.is_color, param.new_height, param.new_width)
        except (OSError, FileFormatError) as error:
            raise FileFormatError(
                f"layer {self.where}: could not load {path!r} ({getattr(error, 'strerror', None) or error})",
                path=param.source,
            ) from error

    def forward(self, bottom, top):
        param = self.layer_param.image_data_param
        for item in range(param.batch_size):
            image = self._image()
            shape = self.transform.shape(image)
            if item == 0:  # each batch has the size of its first image
                top[0].reshape(param.batch_size, *shape)
            elif shape != top[0].dims[1:]:
                raise SizeError(
                    f"image {self._line()[0]!r} gives {shape} in a batch of {top[0].dims[1:]}",
                    where=self.where,
                )
            top[0].data[item] = self.transform(image)
            top[1].data[item] = self._line()[1]
            self.position += 1
            if self.position == len(self.lines):
                self.position = 0
                if param.shuffle:
                    self.rng.shuffle(self.order)


def _lines(path: str) -> list[str]:
    return os.fsdecode(Path(path).read_bytes()).splitlines()


def _path_and_label(line: str) -> tuple[str, int]:
    """The last space parts them; what is no number counts as 0, as C's atoi has it."""
    path, _, label = line.rpartition(" ")
    number = re.match(r"\s*[+-]?\d+", label)
    return path or line, int(number.group()) if number else 0


class _HDF5Output(Layer):
    """Keeps two blobs in a file, as ``data`` and ``label``; those of the last forward stay."""

    def setup(self, bottom, top):
        spec = self.layer_param
        self.type = spec.type
        if len(bottom) != 2 or top or not spec.hdf5_output_param.file_name:
            raise MismatchError(
                f"layer {spec.name!r} ({spec.type}): it takes two bottom blobs, no top, and a file_name"
            )

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if bottom[0].num != bottom[1].num:
            raise SizeError(
                f"blobs of {bottom[0].num} and {bottom[1].num} rows", where=f"{self.layer_param.name} ({self.type})"
            )
        arrays = [blob.data.reshape(blob.num, blob.channels, blob.height, blob.width) for blob in bottom]
        with replacing(self.layer_param.hdf5_output_param.file_name) as beside:
            _hdf5.write_datasets(beside, dict(zip(("data", "label"), arrays, strict=True)))

    def backward(self, top, propagate_down, bottom):
        pass


HOSTS.update({"MemoryData": _MemoryData, "HDF5Data": _HDF5Data, "ImageData": _ImageData, "HDF5Output": _HDF5Output})
