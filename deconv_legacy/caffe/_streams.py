"""What a training has still to draw: random streams, and where each layer in Python stands in its data.

A solver's state has them beside the history, so that a restored run goes on as the first would have. Of a layer in
Python that is what changed since it was set up: its numbers, strings and lists of these, and its generators.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from deconv_legacy.caffe.net import Net

__all__ = ["collect", "layer_values", "restore"]

_SCALARS = (bool, int, float, str, np.bool_, np.integer, np.floating)
_LONGEST = 2**20


def layer_values(net: Net) -> dict[str, dict[str, Any]]:
    """Layer -> attribute -> value, of layers that run in Python, as far as JSON can hold it."""
    found = {}
    for node in net._nodes:
        if node.host is not None:
            pairs = {name: _plain(value) for name, value in vars(node.host).items()}
            found[node.name] = {name: value for name, value in pairs.items() if value is not None}
    return found


def _plain(value: Any) -> Any:
    """A value for JSON; None for what is not kept."""
    if isinstance(value, random.Random):
        return {"random": value.getstate()}
    if isinstance(value, np.random.Generator):
        return {"generator": value.bit_generator.state}
    if isinstance(value, np.random.RandomState):
        return {"state": _numpy_state(value)}
    if isinstance(value, _SCALARS):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.ndarray):
        return value.tolist() if value.ndim == 1 and value.size <= _LONGEST and value.dtype.kind in "biufU" else None
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST and all(isinstance(v, _SCALARS) for v in value):
        return [v.item() if isinstance(v, np.generic) else v for v in value]
    return None


def _numpy_state(state: Any) -> list[Any]:
    kind, keys, *rest = state.get_state()
    return [kind, keys.tolist(), *rest]


def _put(host: Any, name: str, saved: Any) -> None:
    now = getattr(host, name, None)
    if isinstance(saved, dict):
        ((kind, state),) = saved.items()
        if kind == "random" and isinstance(now, random.Random):
            now.setstate(_tuples(state))
        elif kind == "generator" and isinstance(now, np.random.Generator):
            now.bit_generator.state = state
        elif kind == "state" and isinstance(now, np.random.RandomState):
            now.set_state(tuple(state))
    elif isinstance(now, np.ndarray):
        setattr(host, name, np.asarray(saved, now.dtype))
    else:
        setattr(host, name, tuple(saved) if isinstance(now, tuple) else saved)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def collect(nets: Iterable[Net], starts: Iterable[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """The streams of the process and of the nets, for JSON; `starts` are their `layer_values` when they were made."""
    saved = []
    for net, start in zip(nets, starts, strict=True):
        always = {node.name: getattr(node.host, "positions", ()) for node in net._nodes}
        changed = {
            layer: {
                name: value
                for name, value in values.items()
                if name in always[layer] or isinstance(value, dict) or start.get(layer, {}).get(name) != value
            }
            for layer, values in layer_values(net).items()
        }
        saved.append({"random": net._random.bit_generator.state, "layers": {k: v for k, v in changed.items() if v}})
    return {"random": random.getstate(), "numpy": _numpy_state(np.random), "nets": saved}


def restore(saved: dict[str, Any], nets: Iterable[Net]) -> None:
    """Undo what was drawn since `collect`; layers and attributes that are not there any more are passed over."""
    python = False
    for net, streams in zip(nets, saved["nets"], strict=False):
        net._random.bit_generator.state = streams["random"]
        hosts = {node.name: node.host for node in net._nodes if node.host is not None}
        python = python or any(node.type == "Python" for node in net._nodes)
        for layer, values in streams["layers"].items():
            for name, value in values.items() if layer in hosts else ():
                _put(hosts[layer], name, value)
    if python:  # only these draw from the process's own streams
        random.setstate(_tuples(saved["random"]))
        np.random.set_state(tuple(saved["numpy"]))
