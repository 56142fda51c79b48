"""What a forward or backward through a segment of a net started from, so that more of it can be computed later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deconv_legacy.caffe._segment import Segment
from deconv_legacy.caffe.blob import DATA, DIFF

if TYPE_CHECKING:
    from deconv_legacy.caffe.net import Net

__all__ = ["BackwardPass", "ForwardPass"]


class ForwardPass:
    """A forward through a segment: what it started from, so that more of it can be computed later."""

    def __init__(self, net: Net, segment: Segment):
        self.net, self.segment = net, segment
        self.inputs = [net.blobs[name].data for name in segment.inputs]
        self.seeds = [int(seed) for seed in net._random.integers(2**63, size=len(segment.random))]

    def keep(self) -> None:
        """Arrays of its own: the net's change."""
        self.inputs = [array.copy() for array in self.inputs]

    def run(self, tops: Sequence[str], updates: bool = False) -> list[np.ndarray]:
        self.segment.draw(self.seeds)
        return self.segment.function(tops, updates)(*self.inputs)

    def compute(self) -> None:
        """Everything of this pass that is pending."""
        blobs = self.net.blobs
        names = [name for name in self.segment.tops if blobs[name].waits_for(DATA, self)]
        asked = [name for name in names if name in self.net._wanted[DATA]]
        for name, values in zip(asked, self.run(asked), strict=True):
            blobs[name].store(DATA, values)


class BackwardPass:
    """The same for gradients."""

    def __init__(self, forward: ForwardPass, layers: tuple[int, int]):
        self.net, self.forward, self.layers = forward.net, forward, layers
        self.found = forward.segment.gradients(*layers)
        self.given = [self.net.blobs[name].diff for name in self.found.given]

    def keep(self) -> None:
        self.given = [array.copy() for array in self.given]

    def run(self, diffs: Sequence[str], tops: Sequence[str] = (), updates: bool = False) -> list[np.ndarray]:
        segment = self.forward.segment
        segment.draw(self.forward.seeds)
        return segment.function(tops, updates, self.layers, diffs)(*self.forward.inputs, *self.given)

    def compute(self) -> None:
        blobs = self.net.blobs
        names = [name for name in self.found.diffs if blobs[name].waits_for(DIFF, self)]
        asked = [name for name in names if name in self.net._wanted[DIFF]]
        for name, values in zip(asked, self.run(asked), strict=False):
            blobs[name].store(DIFF, values)
