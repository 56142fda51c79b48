"""How long each layer of a net takes, forward and backward, and the net as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy.caffe.net import Net

__all__ = ["LayerTime", "Timing", "time_layers"]


@dataclass
class LayerTime:
    """Mean milliseconds of a layer run by itself; ``backward`` is None where a backward leaves the layer out."""

    name: str
    type: str
    forward: float
    backward: float | None


@dataclass
class Timing:
    """`layers`, each by itself, and the mean milliseconds of the net as it is run: a forward, and a forward and
    backward together, which share work and join layers (a convolution, its bias and its ReLU are one pass)."""

    layers: list[LayerTime]
    forward: float
    forward_backward: float


def time_layers(net: Net, iterations: Iterable[Any] | int = 10) -> Timing:
    """Time a net's layers over some iterations, on what its inputs hold.

    A layer's backward by itself includes what it must compute again of its forward.

    Examples
    --------
    >>> from deconv_legacy.caffe import parse_net
    >>> net = Net(parse_net('''
    ...     layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 2, 3] } } }
    ...     layer { name: "half" type: "Power" bottom: "x" top: "y" power_param { scale: 0.5 } }'''), 0)
    >>> [(layer.name, layer.forward > 0, layer.backward) for layer in time_layers(net, 2).layers]
    [('in', True, None), ('half', True, None)]
    """
    forwards, backwards = _runs(net)
    last = len(net.layers) - 1
    whole = [lambda: net._run_forward(0, last, net.outputs), net._forward_backward]
    for run in (*forwards, *(b for b in backwards if b is not None), *whole):
        run()  # what is compiled or read at first is no part of it
    net.clear_param_diffs()
    spent = [np.zeros(2) for _ in forwards]
    total = np.zeros(2)
    count = 0
    for _ in range(iterations) if isinstance(iterations, int) else iterations:
        count += 1
        for index, run in enumerate(forwards):
            spent[index][0] += _seconds(run)
        for index, run in reversed(list(enumerate(backwards))):
            spent[index][1] += _seconds(run) if run is not None else 0
        total += [_seconds(run) for run in whole]
        net.clear_param_diffs()
    means = [1e3 * s / max(count, 1) for s in spent]
    layers = [
        LayerTime(node.name, node.type, float(mean[0]), None if run is None else float(mean[1]))
        for node, mean, run in zip(net._nodes, means, backwards, strict=True)
    ]
    return Timing(layers, *(float(t) for t in 1e3 * total / max(count, 1)))


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _runs(net: Net) -> tuple[list[Callable[[], Any]], list[Callable[[], Any] | None]]:
    """What runs each layer forward, and backward; arrays of blobs are filled as the forwards run."""
    data: dict[str, np.ndarray] = {}
    forwards: list[Callable[[], Any]] = []
    backwards: list[Callable[[], Any] | None] = []
    for node in net._nodes:
        forwards.append(_host(net, node, data) if node.host is not None else _forward(net, node, data))
        if not node.need_backward:
            backwards.append(None)
        elif node.host is not None:
            bottoms, tops = net._ends(node)
            backwards.append(partial(node.host.backward, tops, node.bottom_need, bottoms))
        else:
            backwards.append(_backward(net, node, data))
    return forwards, backwards


def _host(net: Net, node: Any, data: dict[str, np.ndarray]) -> Callable[[], Any]:
    def run() -> None:
        for name in node.bottoms:
            if name in data:
                net.blobs[name].data[...] = data[name]
        net._host_forward(node)
        data.update((name, net.blobs[name].data) for name in node.tops)

    return run


def _forward(net: Net, node: Any, data: dict[str, np.ndarray]) -> Callable[[], Any]:
    segment = net._segment(node.index, node.index)
    function = segment.function(list(segment.tops), True)

    def run() -> None:
        results = map(np.asarray, function(*(data[name] for name in segment.inputs)))
        data.update(zip(segment.tops, results, strict=False))

    return run


def _backward(net: Net, node: Any, data: dict[str, np.ndarray]) -> Callable[[], Any]:
    segment = net._segment(node.index, node.index)
    here = node.index, node.index
    found = segment.gradients(*here)
    function = segment.function((), False, here, list(found.diffs))
    weights = dict(zip(node.tops, node.loss_weights, strict=True))

    def run() -> None:
        # a layer in place has overwritten its bottom; only the time counts
        diffs = [np.full_like(data[name], weights.get(name) or 1) for name in found.given]
        function(*(data[name] for name in segment.inputs), *diffs)

    return run
