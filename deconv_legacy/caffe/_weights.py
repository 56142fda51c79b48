"""The parameters of a net: where they come from and go to, and that nets may share them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from deconv_legacy.caffe._files import is_hdf5, replacing
from deconv_legacy.caffe._segment import Node
from deconv_legacy.caffe.blob import DATA, DIFF, Blob
from deconv_legacy.caffe.caffemodel import read_layers, write_weights
from deconv_legacy.errors import FileFormatError, MismatchError, listed

__all__ = ["NetWeights"]


class NetWeights:
    """What a `Net` does with its parameters."""

    _nodes: list[Node]
    _spec: Any
    _updated: Sequence[Blob] = ()
    """Parameters that a solver has changed since the last forward; their diffs are what it subtracted."""

    def copy_from(self, weights: str | os.PathLike[str]) -> None:
        """Take weights by layer name from a caffemodel or HDF5 file; layers that the net does not have, and those
        without weights in the file, are left alone.

        Raises
        ------
        MismatchError
            In a layer of both, the numbers or shapes of the blobs differ; nothing has been changed then.
        """
        found: dict[str, Node] = {}
        for node in self._nodes:
            found.setdefault(node.name, node)
        chosen, problems = [], []
        for layer in read_layers(weights):
            if layer.name not in found:
                continue
            node = found[layer.name]
            if len(layer.blobs) != len(node.blobs):
                # Caffe's files hold layers without blobs for those whose parameters are elsewhere
                problems.append(f"layer {node.name!r} has {len(node.blobs)} parameters, the weights {len(layer.blobs)}")
                continue
            for i, (stored, blob) in enumerate(zip(layer.blobs, node.blobs, strict=True)):
                if stored is None:
                    continue
                if not stored.fits(blob.dims):
                    problems.append(
                        f"Cannot copy param {i} weights from layer {node.name!r}; shape mismatch: source "
                        f"{stored.data.shape}, target {blob.dims}. To learn this layer's parameters from scratch "
                        "rather than copying from a saved net, rename the layer."
                    )
                    continue
                chosen.append((blob, stored.data))
        if problems:
            raise MismatchError(f"{os.fspath(weights)}: " + listed(problems))
        self._updated = ()
        for blob, data in chosen:
            blob.data[...] = data.reshape(blob.dims)

    def share_with(self, other: NetWeights) -> None:
        """Use the other net's parameters, layer by layer of one name: one memory for both."""
        theirs: dict[str, Node] = {}
        for node in other._nodes:
            theirs.setdefault(node.name, node)
        for node in self._nodes:
            source = theirs.get(node.name)
            if source is None:
                continue
            shapes, others = [[blob.dims for blob in n.blobs] for n in (node, source)]
            if shapes != others:
                raise MismatchError(f"Cannot share params of layer {node.name!r}: shapes {shapes} and {others}")
            for blob, original in zip(node.blobs, source.blobs, strict=True):
                blob.share(original)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a caffemodel: the net and its weights."""
        write_weights(path, self._stored(), self._spec)

    def save_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the weights as HDF5."""
        from deconv_legacy.caffe import _hdf5

        with replacing(path) as beside:
            _hdf5.write_weights(beside, self._stored())

    def _stored(self) -> dict[str, list[Any]]:
        """What a file of weights holds, each array copied from a device when it is written."""
        return {node.name: [blob.peek(DATA) for blob in node.blobs] for node in self._nodes if node.blobs}

    def load_hdf5(self, path: str | os.PathLike[str]) -> None:
        """`copy_from` an HDF5 file."""
        if not is_hdf5(path):
            raise FileFormatError("not an HDF5 file", path=path)
        self.copy_from(path)

    def clear_param_diffs(self) -> None:
        """Set the diffs of all parameters to zero."""
        self._updated = ()
        for blob in self._learnable():
            blob.clear(DIFF)

    def _learnable(self) -> list[Blob]:
        """Every parameter once."""
        return list({id(blob): blob for node in self._nodes for blob in node.blobs}.values())

    @contextlib.contextmanager
    def _before_update(self) -> Iterator[None]:
        """The parameters that the last forward ran with, for what is still to be computed of it."""
        now = [blob.data.copy() for blob in self._updated]
        for blob in self._updated:
            blob.data[...] += blob.diff
        try:
            yield
        finally:
            for blob, data in zip(self._updated, now, strict=True):
                blob.data[...] = data
