"""Which function builds which layer type: ``LAYERS``, filled by the decorator `layer_type`.

A type that is missing takes a few lines::

    from deconv_legacy.caffe.registry import layer_type
    from deconv_legacy.layers import Layer

    class Double(Layer):
        keeps_coordinates = True
        def __init__(self, input, name="double"):
            super().__init__([input], name)
            self.outputs = [2 * self.input]

    @layer_type("Double")
    def _(spec, bottoms, build):
        return Double(bottoms[0], spec.name)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deconv_legacy.layers import Layer

__all__ = ["LAYERS", "layer_type"]

Builder = Callable[[Any, Sequence[Layer], Any], Layer | list[Layer]]

LAYERS: dict[str, Builder] = {}
"""Layer type as in a prototxt -> ``builder(spec, bottoms, build)``.

``spec`` is the LayerParameter, ``bottoms`` the layers it reads, ``build`` the `deconv_legacy.caffe.build.Build` that
is under way (phase, shared parameters, fillers); the result's outputs are the layer's tops. A builder of a layer that
only brings data returns a list: the input layer that stands for each top.
"""


def layer_type(*names: str) -> Callable[[Builder], Builder]:
    """Decorator: this function builds layers of these types."""

    def register(builder: Builder) -> Builder:
        for name in names:
            LAYERS[name] = builder
        return builder

    return register
