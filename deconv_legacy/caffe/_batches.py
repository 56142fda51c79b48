"""A net run over more rows than its batch has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from deconv_legacy.caffe.blob import Blob

__all__ = ["forward_all", "forward_backward_all"]

Rows = dict[str, list[np.ndarray]]


class _Net(Protocol):
    """What is needed of a `Net`."""

    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    outputs: list[str]

    def forward(self, blobs: Sequence[str] | None = None, **kwargs: Any) -> dict[str, np.ndarray]: ...

    def backward(self, diffs: Sequence[str] | None = None, **kwargs: Any) -> dict[str, np.ndarray]: ...


def forward_all(net: _Net, blobs: Sequence[str], arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """See `Net.forward_all`."""
    outputs: Rows = {name: [] for name in {*net.outputs, *blobs}}
    for batch in _batches(net, arrays):
        _append(outputs, net.forward(blobs=blobs, **batch))
    return _stacked(outputs, arrays)


def forward_backward_all(
    net: _Net, blobs: Sequence[str], diffs: Sequence[str], arrays: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """See `Net.forward_backward_all`."""
    of_blobs: Rows = {name: [] for name in {*net.outputs, *blobs}}
    of_diffs: Rows = {name: [] for name in {*net.inputs, *diffs}}
    batch: dict[str, Any]
    of_batch: dict[str, Any]
    forwards = _batches(net, {name: arrays[name] for name in net.inputs if name in arrays})
    backwards = _batches(net, {name: arrays[name] for name in net.outputs if name in arrays})
    for batch, of_batch in zip_longest(forwards, backwards, fillvalue={}):
        _append(of_blobs, net.forward(blobs=blobs, **batch))
        _append(of_diffs, net.backward(diffs=diffs, **of_batch))
    return _stacked(of_blobs, arrays), _stacked(of_diffs, arrays)


def _batches(net: _Net, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut arrays into batches of the net's size, the last filled up with zeros."""
    size = next(iter(net.blobs.values())).num
    for start in range(0, _count(arrays), size):
        batch = {}
        for name, values in arrays.items():
            part = np.asarray(values[start : start + size])
            fill = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
            batch[name] = np.concatenate([part, fill]) if len(fill) else part
        yield batch


def _count(arrays: Mapping[str, Any]) -> int:
    return len(next(iter(arrays.values()))) if arrays else 0


def _append(rows: Rows, found: Mapping[str, np.ndarray]) -> None:
    for name, values in found.items():
        rows[name].extend(np.atleast_1d(values).copy())


def _stacked(rows: Rows, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Without the rows that filled up the last batch."""
    return {name: np.asarray(values)[: _count(arrays)] for name, values in rows.items()}
