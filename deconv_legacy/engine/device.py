"""Where the value of a shared variable lives: on the host, or on a device of JAX, never on both.

A function of the JAX backend moves the values that it reads to its device, where they stay from call to call; the
variable's storage then holds an `OnDevice`. Whoever reads the value (``get_value``) brings it back, since the memory
that is handed out may be written to, and so does every function that `engine.compile` makes for another backend; the
next call takes it to the device again. An array that somebody holds stays where it is, and is copied at each call.
A storage is a list of one; whatever else keeps an array in one, as a blob of Caffe does, follows the same rule.

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

__all__ = ["LOCK", "FetchFirst", "OnDevice", "held", "move_back", "put", "send", "share", "to_host", "watch"]

Container: Any = aesara.link.basic.Container

LOCK = threading.RLock()
"""Held while values move, and while a function that replaces them is started."""


class OnDevice:
    """An array on a device, in the place of a host's."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.array.dtype)

    def on_device_of(self, other: OnDevice) -> bool:
        """Whether both lie on one device."""
        return self.array.devices() == other.array.devices()

    def __add__(self, other: OnDevice) -> OnDevice:
        return OnDevice(self.array + other.array)

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
        return move_back(self.storage)

    value = data = property(_value, Container.__set__)


def watch(container: Any) -> None:
    """Let reads of a shared variable bring its value back, for one who will put it on a device."""
    if type(container) is Container:
        container.__class__ = _Container


def move_back(storage: list[Any]) -> Any:
    """What a storage holds, on the host from now on."""
    if isinstance(storage[0], OnDevice):
        with LOCK:
            if isinstance(storage[0], OnDevice):
                storage[0] = storage[0].pull()
    return storage[0]


def share(container: Any, storage: list[Any]) -> None:
    """Let a shared variable have the value in another's storage from now on, whoever replaces it. A function made
    before reads it, but must not replace it."""
    container.storage = storage


def to_host(variables: Iterable[Any]) -> None:
    """Bring the values of shared variables back to the host, as far as they are on a device."""
    for variable in variables:
        move_back(variable.container.storage)


class FetchFirst:
    """The virtual machine of an Aesara function, which first brings back what is on a device.

    Its code reads the storages that the variables had when it was made; they get the value of those that do `share`.
    """

    def __init__(self, vm: Any, containers: list[Any]):
        self._vm = vm
        self._shared = [(container, container.storage) for container in containers]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for container, storage in self._shared:
            value = move_back(container.storage)
            if storage is not container.storage:
                storage[0] = value
        return self._vm(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vm, name)


def send(storage: list[Any], device: Any, device_put: Any) -> Any:
    """The value as an array on `device`, where it stays unless somebody holds the host's; `device_put` is JAX's."""
    if isinstance(storage[0], OnDevice):
        array = storage[0].array
        if device in array.devices():
            return array
        move_back(storage)
    # a copy: JAX may use the memory that it is given
    array = device_put(np.array(storage[0]), device)
    if not held(storage):
        storage[0] = OnDevice(array)
    return array


def put(storage: list[Any], value: OnDevice) -> None:
    """Make an array on a device the value; a host's that somebody holds takes its numbers."""
    if held(storage):
        storage[0][...] = value
    else:
        storage[0] = value


def held(storage: list[Any]) -> bool:
    """Whether anybody but the storage has the array, or memory that it is a view of."""
    value = storage[0]
    if value is None or isinstance(value, OnDevice):
        return False
    # this name, the storage's and the call's
    return not isinstance(value, np.ndarray) or value.base is not None or sys.getrefcount(value) > 3
