"""The update of a net's parameters by a solver's rule.

On the host it runs in place, piece by piece. Where nets compute with JAX it is one function of JAX, and parameters,
diffs and history stay on its device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy.caffe import _state
from deconv_legacy.caffe.blob import DATA, DIFF, Blob
from deconv_legacy.engine.modes import jax_options

__all__ = ["Learned", "Update"]


@dataclass
class Learned:
    """A parameter that is changed."""

    blob: Blob
    history: list[Blob]
    rate: np.float32
    decay: np.float32


class Update:
    """Clips and scales gradients, adds the weight decay, and subtracts what the rule makes of them.

    ``rule(diff, history, rate, xp)`` returns what is subtracted and the new history. NumPy's arrays may change in
    place, as in ``diff *= 2``, which gives JAX's another value; `xp` has the functions for both.
    """

    def __init__(self, param: Any, rule: Callable[..., tuple[Any, Sequence[Any]]]):
        self._param, self._rule = param, rule
        self._compiled: dict[Any, Any] = {}

    def __call__(self, learned: Sequence[Learned]) -> None:
        """Change the parameters; each diff becomes what was subtracted."""
        # two in one memory are changed one after the other
        apart = len({id(parameter.blob.storage(DATA)) for parameter in learned}) == len(learned)
        if apart and _state.backend is not None and _state.backend.startswith("jax"):
            self._on_device(learned, _state.backend)
        else:
            self._on_host(learned)

    def _change(
        self, data: Any, diff: Any, history: Sequence[Any], rate: Any, decay: np.float32, factor: Any, xp: Any
    ) -> tuple[Any, Any, Sequence[Any]]:
        """New data, diff and history."""
        if factor is not None:
            diff *= factor
        if decay:
            diff += decay * (data if self._param.regularization_type == "L2" else xp.sign(data))
        step, history = self._rule(diff, history, rate, xp)
        data -= step
        return data, step, history

    def _on_host(self, learned: Sequence[Learned]) -> None:
        clip, factor = self._param.clip_gradients, 1.0
        if clip >= 0:
            # by the norm before it is divided by iter_size
            norm = math.sqrt(sum(float(np.vdot(p.blob.diff, p.blob.diff)) for p in learned))
            factor = clip / norm if norm > clip else 1.0
        factor /= self._param.iter_size
        scale = np.float32(factor) if factor != 1 else None
        for p in learned:
            for data, diff, *history in _pieces(p.blob.data, p.blob.diff, *(blob.data for blob in p.history)):
                _, step, _ = self._change(data, diff, history, p.rate, p.decay, scale, np)
                if step is not diff:
                    diff[...] = step

    def _on_device(self, learned: Sequence[Learned], backend: str) -> None:
        from deconv_legacy.engine.jax import Replacement, device_of

        device = device_of(jax_options(backend).get("device"))
        param = self._param
        settings = param.momentum, param.momentum2, param.rms_decay, param.delta, param.regularization_type
        key = device, settings, param.clip_gradients, param.iter_size, tuple(p.decay for p in learned)
        if key not in self._compiled:
            self._compiled[key] = Replacement(self._step([p.decay for p in learned]), device)
        storages = [
            [blob.storage(which) for blob, which in ((p.blob, DATA), (p.blob, DIFF), *((h, DATA) for h in p.history))]
            for p in learned
        ]
        self._compiled[key](storages, np.array([p.rate for p in learned], np.float32))

    def _step(self, decays: Sequence[np.float32]) -> Callable[..., Any]:
        """The function of JAX: data, diff and history of each parameter, and the rates, to the new ones."""
        from deconv_legacy.engine.jax import jax

        xp, clip, passes = jax.numpy, self._param.clip_gradients, self._param.iter_size

        def step(arrays: Sequence[Sequence[Any]], rates: Any) -> Any:
            factor = None if passes == 1 else np.float32(1 / passes)
            if clip >= 0:
                norm = xp.sqrt(sum(xp.square(diff.astype("float64")).sum() for _, diff, *_ in arrays))
                factor = (xp.where(norm > clip, clip / norm, 1.0) / passes).astype("float32")
            new = []
            for (data, diff, *history), rate, decay in zip(arrays, rates, decays, strict=True):
                changed = self._change(data, diff, history, rate, decay, factor, xp)
                new.append([*changed[:2], *changed[2]])
            return new

        return step


_PIECE = 2**16  # numbers that stay in the cache while a rule passes over them; a large layer needs no copy of itself


def _pieces(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Views of the same places in arrays of one shape."""
    flat = [array.reshape(-1) for array in arrays]
    if not all(np.may_share_memory(view, array) for view, array in zip(flat, arrays, strict=True) if array.size):
        yield arrays
        return
    for start in range(0, flat[0].size, _PIECE):
        yield tuple(array[start : start + _PIECE] for array in flat)
