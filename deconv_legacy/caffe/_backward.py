"""Which layers of a net a backward runs through, by Caffe's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deconv_legacy.caffe._segment import Node
from deconv_legacy.caffe.blob import Blob
from deconv_legacy.errors import MismatchError

__all__ = ["plan_backward"]


def plan_backward(nodes: Sequence[Node], blobs: Mapping[str, Blob], force: bool) -> None:
    """Say in each node whether a backward runs through it and into which bottoms; losses get their weight as diff.

    It runs through layers under a loss that learn, or have something below that does; with `force`
    (``force_backward: true``) through all.

    Raises
    ------
    MismatchError
        A layer has a propagate_down, but not for every bottom.
    """
    needs: dict[str, bool] = {}
    for node in nodes:
        asked = list(node.spec.propagate_down)
        if asked and len(asked) != len(node.bottoms):
            raise MismatchError(f"layer {node.name!r}: propagate_down must be unspecified or once per bottom")
        node.bottom_need = asked or [needs[name] for name in node.bottoms]
        node.need_backward = any(node.bottom_need) or any(node.learns)
        if node.host is not None and not node.bottoms:
            node.need_backward = False
        needs.update(dict.fromkeys(node.tops, node.need_backward))
        for name, weight in zip(node.tops, node.loss_weights, strict=True):
            if weight:
                blobs[name].diff[...] = weight
    under_loss: set[str] = set()
    skipped: set[str] = set()
    for node in reversed(nodes):
        contributes = any(node.loss_weights) or any(name in under_loss for name in node.tops)
        skip = all(name in skipped for name in node.tops)
        if not contributes or (node.need_backward and skip):
            node.need_backward = False
            node.bottom_need = [False] * len(node.bottoms)
        for name, need in zip(node.bottoms, node.bottom_need, strict=True):
            if contributes:
                under_loss.add(name)
            if not need:
                skipped.add(name)
    if force:
        for node in nodes:
            node.need_backward = bool(node.bottoms)
            label = 1 if node.type.endswith("Loss") and node.type != "EuclideanLoss" else None
            node.bottom_need = [need or i != label for i, need in enumerate(node.bottom_need)]
            node.learns = [True] * len(node.learns)
