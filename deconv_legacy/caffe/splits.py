"""The implicit Split layers: a top with k > 1 consumers gets one, so that its k gradients are added up.

They show in a net's blobs and layer names: ``<blob>_<layer>_<top index>_split`` with the tops ``..._split_0``,
``..._split_1``, ... A layer that works in place makes a new version of its blob: the consumers of the old one
and of the new one are counted apart.

Source: ``src/caffe/util/insert_splits.cpp`` of BVLC/caffe.
"""

from __future__ import annotations

import difflib
from collections import Counter
from typing import Any

from deconv_legacy.errors import MismatchError

__all__ = ["insert_splits"]

_Top = tuple[int, int]  # (layer, top) of a net


def insert_splits(net: Any) -> Any:
    """The net with its Split layers; the given one (V2, filtered) stays as it is.

    Raises
    ------
    MismatchError
        A bottom that no layer before it makes.

    Examples
    --------
    >>> from deconv_legacy.caffe.prototxt import parse_net
    >>> net = parse_net('''
    ...     layer { name: "input" type: "Input" top: "x" }
    ...     layer { name: "score" type: "Convolution" bottom: "x" top: "score" }
    ...     layer { name: "crop" type: "Crop" bottom: "score" bottom: "x" top: "y" }''')
    >>> split = insert_splits(net)
    >>> [(layer.name, list(layer.bottom)) for layer in split.layer]  # doctest: +NORMALIZE_WHITESPACE
    [('input', []), ('x_input_0_split', ['x']), ('score', ['x_input_0_split_0']),
     ('crop', ['score', 'x_input_0_split_1'])]
    """
    sources = _sources(net)
    consumers = Counter(source for of_layer in sources for source in of_layer)
    losses: dict[_Top, float] = {}
    for index, layer in enumerate(net.layer):
        # A loss weight is one more consumer of its top: it becomes the weight of the first split.
        for top, weight in list(enumerate(layer.loss_weight))[: len(layer.top)]:
            if weight:
                losses[index, top] = weight
                consumers[index, top] += 1

    result = type(net)()
    result.CopyFrom(net)
    result.ClearField("layer")
    used: Counter[_Top] = Counter()
    for index, layer in enumerate(net.layer):
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for bottom, source in enumerate(sources[index]):
            if consumers[source] > 1:
                copy.bottom[bottom] = f"{_split_name(net, source)}_{used[source]}"
                used[source] += 1
        for top, blob in enumerate(layer.top):
            count = consumers[index, top]
            if count < 2:
                continue
            name = _split_name(net, (index, top))
            tops = [f"{name}_{number}" for number in range(count)]
            split = result.layer.add(name=name, type="Split", bottom=[blob], top=tops)
            if (index, top) in losses:
                split.loss_weight.extend([losses[index, top]] + [0] * (count - 1))
                copy.ClearField("loss_weight")
                used[index, top] += 1
    return result


def _sources(net: Any) -> list[list[_Top]]:
    """For each layer the tops that its bottoms are, the last version before the layer."""
    last: dict[str, _Top] = {}
    sources = []
    for index, layer in enumerate(net.layer):
        for bottom, blob in enumerate(layer.bottom):
            if blob not in last:
                near = difflib.get_close_matches(blob, last, 3)
                hint = f"; near names: {', '.join(near)}" if near else ""
                raise MismatchError(f"unknown bottom blob {blob!r} (layer {layer.name!r}, bottom {bottom}){hint}")
        sources.append([last[blob] for blob in layer.bottom])
        last.update((blob, (index, top)) for top, blob in enumerate(layer.top))
    return sources


def _split_name(net: Any, source: _Top) -> str:
    index, top = source
    layer = net.layer[index]
    return f"{layer.top[top]}_{layer.name}_{top}_split"
