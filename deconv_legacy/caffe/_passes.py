"""A forward or backward through a segment of a net: what it started from, so that more of it can be computed later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

import numpy as np

from deconv_legacy.caffe._segment import Segment
from deconv_legacy.caffe.blob import DATA, DIFF, Blob, ParamBlob

__all__ = ["BackwardPass", "ForwardPass"]


class _Net(Protocol):
    """What a pass needs of a `Net`."""

    blobs: OrderedDict[str, Blob]
    _wanted: tuple[dict[str, None], dict[str, None]]
    _random: np.random.Generator
    _variables: dict[Any, ParamBlob]
    _shapes: list[tuple[int, ...]]

    def _given_shapes(self) -> list[tuple[int, ...]]: ...

    def _before_update(self) -> AbstractContextManager[None]: ...


class _Pass(ABC):
    """A pass that has `made` one array, `which`, of some blobs, or can make it."""

    def __init__(self, net: _Net, which: int, made: Sequence[str]):
        self.net, self.which, self.made = net, which, list(made)

    @abstractmethod
    def keep(self) -> None:
        """Give what the pass started from arrays of its own: the net's change."""

    @abstractmethod
    def run(self, names: Sequence[str]) -> list[Any]:
        """Arrays for the blobs named, perhaps others after them."""

    def finish(self, wanted: Sequence[str], results: Sequence[Any]) -> None:
        """Put the arrays in place that were asked for; the others wait until they are read."""
        # the pass is looked at again by backward and by blobs that are read
        self.keep()
        blobs = self.net.blobs
        for name, values in zip(wanted, results, strict=False):
            blobs[name].store(self.which, values)
        for name in self.made:
            if name not in wanted:
                blobs[name].postpone(self.which, partial(_Pass._read, self, name))

    def _read(self, name: str) -> None:
        """A blob that is pending is read: it is computed from now on. Who reads two reads more: then all are."""
        wanted, blobs = self.net._wanted[self.which], self.net.blobs
        wanted[name] = None
        if len(wanted) > 1:
            wanted.update(dict.fromkeys(self.made))
        asked = [n for n in self.made if blobs[n].waits_for(self.which, self) and n in wanted]
        with self.net._before_update():
            results = self.run(asked)
        for n, values in zip(asked, results, strict=False):
            blobs[n].store(self.which, values)


class ForwardPass(_Pass):
    """A forward through a segment."""

    def __init__(self, net: _Net, segment: Segment):
        super().__init__(net, DATA, list(segment.tops))
        self.segment = segment
        self.inputs = [net.blobs[name].data for name in segment.inputs]
        self.seeds = [int(seed) for seed in net._random.integers(2**63, size=len(segment.random))]

    def keep(self) -> None:
        self.inputs = [array.copy() for array in self.inputs]

    def run(self, names: Sequence[str], updates: bool = False) -> list[Any]:
        self.segment.draw(self.seeds)
        return self.segment.function(names, updates)(*self.inputs)

    def finish(self, wanted: Sequence[str], results: Sequence[Any]) -> None:
        """Moving averages too, which follow the tops that were asked for."""
        super().finish(wanted, results)
        if self.net._shapes != self.net._given_shapes():
            for name in self.made:
                if name not in wanted:
                    self.net.blobs[name].forget_shape()
        for (variable, _), values in zip(self.segment.updates, results[len(wanted) :], strict=False):
            self.net._variables[variable].store(DATA, values)


class BackwardPass(_Pass):
    """A backward through layers of a segment."""

    def __init__(self, forward: ForwardPass, layers: tuple[int, int]):
        self.forward, self.layers = forward, layers
        self.found = forward.segment.gradients(*layers)
        super().__init__(forward.net, DIFF, list(self.found.diffs))
        self.given = [self.net.blobs[name].diff for name in self.found.given]

    def keep(self) -> None:
        self.given = [array.copy() for array in self.given]

    def run(self, names: Sequence[str], tops: Sequence[str] = (), updates: bool = False) -> list[Any]:
        segment = self.forward.segment
        segment.draw(self.forward.seeds)
        return segment.function(tops, updates, self.layers, names)(*self.forward.inputs, *self.given)

    def finish(self, wanted: Sequence[str], results: Sequence[Any]) -> None:
        """Gradients of parameters too, which are added to their diffs."""
        super().finish(wanted, results)
        for variable, values in zip(self.found.params, results[len(wanted) :], strict=True):
            self.net._variables[variable].add(DIFF, values)
