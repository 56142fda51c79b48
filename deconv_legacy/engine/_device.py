"""Where the value of a shared variable lives: on the host, or on a device of JAX, never on both.

A function of the JAX backend moves the values that it reads to its device, where they stay from call to call; the
variable's storage then holds an `OnDevice`. Whoever reads the value (``get_value``) brings it back, since the memory
that is handed out may be written to, and so does every function that `engine.compile` makes for another backend; the
next call takes it to the device again. An array that somebody holds stays where it is, and is copied at each call.

A function of plain ``aesara.function`` knows nothing of devices: it computes with the numbers on the device or fails
("expected an ndarray"), and never takes old ones. `to_host` brings values back for it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.errors import DeconvLegacyError

__all__ = ["LOCK", "FetchFirst", "OnDevice", "keep", "send", "to_host"]

Container: Any = aesara.link.basic.Container

LOCK = threading.RLock()
"""Held while values move, and while a function that replaces them is started."""


class OnDevice:
    """An array on a device, in the place of a host's."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def pull(self) -> np.ndarray:
        """The numbers, in memory of their own."""
        if self.array.is_deleted():
            raise DeconvLegacyError(
                "the value of a shared variable was lost when a training step failed on the device: set it again "
                "(`set_value`), or read the weights from the last snapshot"
            )
        return np.array(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.pull().astype(dtype or self.array.dtype, copy=False)

    def __deepcopy__(self, memo: Any) -> np.ndarray:
        return self.pull()

    def __reduce__(self) -> Any:
        return np.array, (self.pull(),)

    def __repr__(self) -> str:
        return f"OnDevice({self.array.dtype}{self.array.shape})"


class _Container(Container):
    """A shared variable's container: its value moves back when it is read."""

    def _value(self) -> Any:
        _move_back(self.storage)
        return self.storage[0]

    value = data = property(_value, Container.__set__)


def _move_back(storage: list[Any]) -> None:
    if isinstance(storage[0], OnDevice):
        with LOCK:
            if isinstance(storage[0], OnDevice):
                storage[0] = storage[0].pull()


def to_host(variables: Iterable[Any]) -> None:
    """Bring the values of shared variables back to the host, as far as they are on a device."""
    for variable in variables:
        _move_back(variable.container.storage)


class FetchFirst:
    """The virtual machine of an Aesara function, which first brings back what is on a device."""

    def __init__(self, vm: Any, storages: list[list[Any]]):
        self._vm, self._storages = vm, storages

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for storage in self._storages:
            _move_back(storage)
        return self._vm(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vm, name)


def send(container: Any, device: Any, put: Any) -> Any:
    """The value as an array on `device`, where it stays unless somebody holds the host's; `put` is JAX's."""
    storage = container.storage
    if isinstance(storage[0], OnDevice):
        array = storage[0].array
        if device in array.devices():
            return array
        _move_back(storage)
    # a copy: JAX may use the memory that it is given
    array = put(np.array(storage[0]), device)
    if not _held(storage):
        keep(container, array)
    return array


def _held(storage: list[Any]) -> bool:
    """Whether anybody but the storage has the array, or memory that it is a view of."""
    value = storage[0]
    # this name, the storage's and the call's
    return not isinstance(value, np.ndarray) or value.base is not None or sys.getrefcount(value) > 3


def keep(container: Any, array: Any) -> None:
    """Make an array on a device the value."""
    if type(container) is Container:
        container.__class__ = _Container
    container.storage[0] = OnDevice(array)
