"""Where the cells of one layer lie in another, and the crop offsets that follow: Caffe's ``coord_map``, for layers."""

from __future__ import annotations

from deconv_legacy import geometry
from deconv_legacy.errors import SizeError
from deconv_legacy.geometry import CoordMap
from deconv_legacy.layers.base import Layer

__all__ = ["crop_offsets", "maps_from_ancestors", "path_between"]


def maps_from_ancestors(layer: Layer, axis: int) -> dict[Layer, CoordMap]:
    """For every layer that `layer` is computed from, nearest first: the map from its coordinates on `axis` (2, 3, ...)
    to those of `layer`. Layers behind one that keeps no coordinates (an inner product, say) are not in it."""
    found = {layer: CoordMap()}
    waiting = [layer]
    for node in waiting:
        step = node.step(axis)
        if step is None:
            continue
        for parent in node.input_layers:
            if parent is None or parent in found:
                continue
            found[parent] = found[node] @ geometry.coord_map(step, parent.output_shape[axis])
            waiting.append(parent)
    return found


def crop_offsets(source: Layer, target: Layer, ndim: int) -> tuple[int, ...]:
    """For each of `ndim` spatial axes: the first cell of `source` that a crop to `target` keeps, so that cells of
    both lie on one another.

    Raises
    ------
    SizeError
        If the two have no layer in common, differ in scale, or lie between each other's cells.
    """
    offsets = []
    for axis in range(2, 2 + ndim):
        sources, targets = maps_from_ancestors(source, axis), maps_from_ancestors(target, axis)
        common = next((layer for layer in sources if layer in targets), None)
        if common is None:
            raise SizeError(
                f"no crop offset can be derived: {source.name!r} and {target.name!r} are not computed from a common "
                "layer through layers that keep coordinates; name the offset"
            )
        offsets.append(
            geometry.crop_offset(
                sources[common], targets[common], source_name=source.name, target_name=target.name, axis=axis
            )
        )
    return tuple(offsets)


def path_between(ancestor: Layer, layer: Layer, axis: int) -> list[geometry.Step] | None:
    """The steps of a shortest way from `ancestor` to `layer`, in the order in which data take them, or None."""
    came: dict[Layer, Layer | None] = {layer: None}
    waiting = [layer]
    for node in waiting:
        if node is ancestor:
            break
        if node.step(axis) is None:
            continue
        for parent in node.input_layers:
            if parent is not None and parent not in came:
                came[parent] = node
                waiting.append(parent)
    if ancestor not in came:
        return None
    steps = []
    after = came[ancestor]
    while after is not None:
        step = after.step(axis)
        assert step is not None
        steps.append(step)
        after = came[after]
    return steps
