"""``MRG_RandomStreams``: the same generator in Aesara bears another name; the streams are bit for bit the same."""

from __future__ import annotations

from typing import Any

from aesara.sandbox.rng_mrg import MRG_RandomStream

__all__ = ["CURAND_RandomStreams", "MRG_RandomStreams"]


class MRG_RandomStreams(MRG_RandomStream):
    """Streams of uniform, normal, binomial and multinomial numbers, sizes first.

    ``use_cuda`` was an argument up to Theano 0.9 and does nothing.
    """

    def __init__(self, seed: Any = 12345, use_cuda: Any = None):
        super().__init__(seed)


class CURAND_RandomStreams(MRG_RandomStreams):
    """NVIDIA's generator of Theano 0.6-0.9: served by MRG, whose numbers are others."""
