"""Which layers of a net belong to a phase: the include and exclude rules of ``NetStateRule``.

Source: ``FilterNet`` and ``StateMeetsRule`` in ``src/caffe/net.cpp`` of BVLC/caffe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deconv_legacy.errors import MismatchError

__all__ = ["filter_net", "meets_rule", "unique_names"]


def filter_net(net: Any, phase: int | None = None, level: int | None = None, stages: Sequence[str] = ()) -> Any:
    """The net without the layers that its state leaves out; the given one stays as it is.

    A layer with ``include`` rules is in if the state meets any of them, one with ``exclude`` rules if it meets
    none, one without rules always.

    Parameters
    ----------
    net
        A NetParameter (V2).
    phase, level, stages
        As the arguments of ``caffe.Net``: phase (``messages().TRAIN`` or ``TEST``) and level replace those of
        ``net.state``, stages add to its. The result's ``state`` has them.

    Raises
    ------
    MismatchError
        A layer has both include and exclude rules.

    Examples
    --------
    >>> from deconv_legacy.caffe.prototxt import parse_net
    >>> net = parse_net('layer { name: "loss" include { phase: TRAIN } } layer { name: "score" }')
    >>> [layer.name for layer in filter_net(net, phase=1).layer]  # 1 is TEST
    ['score']
    """
    result = type(net)()
    result.CopyFrom(net)
    result.ClearField("layer")
    state = result.state
    if phase is not None:
        state.phase = phase
    if level is not None:
        state.level = level
    state.stage.extend(stages)
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise MismatchError(f"layer {layer.name!r}: specify either include rules or exclude rules, not both")
        if layer.include:
            kept = any(meets_rule(state, rule) for rule in layer.include)
        else:
            kept = not any(meets_rule(state, rule) for rule in layer.exclude)
        if kept:
            result.layer.add().CopyFrom(layer)
    return result


def unique_names(net: Any) -> None:
    """Call the second layer of a name ``<name> (2)``, and so on: Caffe takes several of one name, as HED's crops.

    >>> from deconv_legacy.caffe.prototxt import parse_net
    >>> net = parse_net('layer { name: "crop" } layer { name: "crop" }')
    >>> unique_names(net)
    >>> [layer.name for layer in net.layer]
    ['crop', 'crop (2)']
    """
    taken = {layer.name for layer in net.layer}
    if len(taken) == len(net.layer):
        return
    count: dict[str, int] = {}
    for layer in net.layer:
        name = layer.name
        count[name] = count.get(name, 0) + 1
        if count[name] > 1:
            number = next(n for n in range(count[name], len(net.layer) + 2) if f"{name} ({n})" not in taken)
            layer.name, count[name] = f"{name} ({number})", number
            taken.add(layer.name)


def meets_rule(state: Any, rule: Any) -> bool:
    """Whether a NetState meets a NetStateRule: its phase, its level, all of its stages, none of its not_stages."""
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or rule.min_level <= state.level)
        and (not rule.HasField("max_level") or rule.max_level >= state.level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )
