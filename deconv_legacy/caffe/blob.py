"""`Blob`: an array of numbers and of their gradients, live and writable, computed when it is read.

What a JAX backend made of it lies on its device until it is read (``engine/device.py``).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy.engine.device import OnDevice, held, move_back, share, watch
from deconv_legacy.errors import SizeError

__all__ = ["DATA", "DIFF", "Blob", "BlobVec", "ParamBlob"]

DATA, DIFF = 0, 1  # which of a blob's two arrays

_MOST = 2**31 - 1  # Caffe counts with an int


class Blob:
    """What ``net.blobs[name]`` is: ``data`` and ``diff``, float32 arrays of one shape, zero at first.

    Both may be written; what was written is what the net computes with. Arrays stay valid when the net is gone.
    The blob of a layer inside a net is computed when it is first read, and from then on by every forward: what is first
    read after a solver's step is of its forward, with the parameters before the update (to their last digit).
    """

    def __init__(self, shape: Sequence[int] = ()):
        self._shape: tuple[int, ...] | None = tuple(shape)
        # of data and diff: an array, an `OnDevice`, or None for zeros that were never made
        self._storages: list[list[Any]] = [[None], [None]]
        # for data and diff: computes what is pending, or None where the array is current
        self.pending: list[partial[None] | None] = [None, None]
        self.infer: Callable[[], None] | None = None  # finds the shape when it is not known

    @property
    def data(self) -> np.ndarray:
        return self._array(DATA)

    @property
    def diff(self) -> np.ndarray:
        return self._array(DIFF)

    def _array(self, which: int) -> np.ndarray:
        compute = self.pending[which]
        if compute is not None:
            compute()
        array = move_back(self._storages[which])
        if array is None or array.shape != self.dims:
            array = np.zeros(self.dims, np.float32)
            self._storages[which] = [array]
        return array

    def storage(self, which: int) -> list[Any]:
        """The list of one that holds the array, on the host or on a device."""
        if self.pending[which] is not None or self._storages[which][0] is None:
            self._array(which)
        return self._storages[which]

    def peek(self, which: int) -> Any:
        """The numbers for one who only reads them: what lies on a device stays there, and ``np.asarray`` copies it."""
        return self.storage(which)[0]

    def held(self, which: int) -> bool:
        """Whether somebody else has the array at hand, and so may have written to it, or will read it."""
        # one reference is the storage's, one that of the call
        storage = self._storages[which]
        return isinstance(storage[0], np.ndarray) and sys.getrefcount(storage[0]) > 2

    def clear(self, which: int) -> None:
        """Zeros; memory that nobody holds is given back."""
        self.pending[which] = None
        if self.held(which):
            self._storages[which][0][...] = 0
        else:
            self._storages[which][0] = None

    def add(self, which: int, values: np.ndarray | OnDevice) -> None:
        """Add to what is there; values take the place of zeros that were never made."""
        there = self._storages[which][0]
        if there is None or there.shape != values.shape:
            self.store(which, values)
        elif isinstance(there, OnDevice) and isinstance(values, OnDevice) and there.on_device_of(values):
            self._storages[which][0] = there + values
        else:
            array = move_back(self._storages[which])
            array += np.asarray(values)

    def store(self, which: int, values: np.ndarray | OnDevice) -> None:
        """New values; an array that somebody holds takes them in place."""
        self._shape = values.shape
        self.pending[which] = None
        array = self._storages[which][0] if self.held(which) else None
        if array is not None and array.shape == values.shape:
            array[...] = values
        elif isinstance(values, OnDevice) and values.dtype == np.float32:
            self._storages[which][0] = values
        else:
            self._storages[which][0] = np.require(values, np.float32, ["C", "W", "A"])

    def postpone(self, which: int, compute: partial[None]) -> None:
        """New values that are computed when they are read; memory that nobody holds is given back.

        The first argument of `compute` is what `waits_for` tells.
        """
        self.pending[which] = compute
        if not self.held(which):
            self._storages[which][0] = None

    def waits_for(self, which: int, source: Any) -> bool:
        """Whether the array is pending, and to be computed by `source`."""
        pending = self.pending[which]
        return pending is not None and pending.args[0] is source

    def share(self, other: Blob) -> None:
        """Use the other's memory for the data."""
        self._storages[DATA] = other.storage(DATA)

    def forget_shape(self) -> None:
        """The shape follows from the net's inputs, which have changed."""
        if self.infer is not None:
            self._shape = None

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as a tuple."""
        if self._shape is None:
            assert self.infer is not None
            self.infer()
            assert self._shape is not None
        return self._shape

    @property
    def shape(self) -> list[int]:
        """The shape as pycaffe gives it."""
        return list(self.dims)

    @property
    def count(self) -> int:
        return math.prod(self.dims)

    @property
    def num_axes(self) -> int:
        return len(self.dims)

    @property
    def num(self) -> int:
        return self._axis(0)

    @property
    def channels(self) -> int:
        return self._axis(1)

    @property
    def height(self) -> int:
        return self._axis(2)

    @property
    def width(self) -> int:
        return self._axis(3)

    def _axis(self, index: int) -> int:
        if len(self.dims) > 4:
            raise SizeError("cannot use legacy accessors on blobs with > 4 axes.", where="Blob")
        return self.dims[index] if index < len(self.dims) else 1

    def reshape(self, *shape: int) -> None:
        """Give the blob another shape; numbers stay, in memory order, as far as they fit."""
        new = tuple(int(n) for n in shape)
        if any(not 0 <= n <= _MOST for n in new) or math.prod(new) > _MOST or len(new) > 32:
            raise SizeError(f"a blob of shape {new}: up to 32 sizes of at least 0, {_MOST} numbers", where="Blob")
        if new == self._shape:
            return
        count = math.prod(new)
        for which, storage in enumerate(self._storages):
            self.pending[which] = None
            array = move_back(storage)
            if array is not None:
                # one who shares the data keeps them as they are
                self._storages[which] = [array.reshape(-1)[:count].reshape(new) if array.size >= count else None]
        self._shape = new

    def __repr__(self) -> str:
        return f"<Blob {self._shape}>"


class ParamBlob(Blob):
    """A parameter: its data are the very memory that compiled code reads."""

    def __init__(self, variable: Any):
        self.variable = variable
        super().__init__(variable.get_value(borrow=True).shape)
        watch(variable.container)
        self._storages[DATA] = variable.container.storage

    @property
    def data(self) -> np.ndarray:
        return move_back(self._storages[DATA])

    def held(self, which: int) -> bool:
        return held(self._storages[DATA]) if which == DATA else super().held(which)

    def share(self, other: Blob) -> None:
        super().share(other)
        share(self.variable.container, self._storages[DATA])

    def reshape(self, *shape: int) -> None:
        if tuple(shape) != self.dims:
            raise SizeError(
                f"a parameter of shape {self.dims} cannot become {tuple(shape)}: the net is compiled for it; change "
                "the prototxt",
                where="Blob",
            )


class BlobVec(list):
    """A list of blobs, to which a layer in Python adds its parameters."""

    def add_blob(self, *shape: int) -> None:
        self.append(Blob(shape))
