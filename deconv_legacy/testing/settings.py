"""The settings of a layer as plain numbers, so that two nets can be compared by what is written in them."""

from __future__ import annotations

from typing import Any

from deconv_legacy.layers import ConvolutionLayer, CropLayer, DeconvolutionLayer, DropoutLayer, Layer, PoolLayer

__all__ = ["settings_of"]

_NAMES: tuple[tuple[type | tuple[type, ...], tuple[str, ...]], ...] = (
    (
        (ConvolutionLayer, DeconvolutionLayer),
        ("filter_shape", "stride", "padding", "dilation", "groups", "filter_flip"),
    ),
    (PoolLayer, ("kernel", "stride", "padding", "mode", "rounding")),
    (CropLayer, ("axis", "offset")),
    (DropoutLayer, ("p",)),
)


def settings_of(layer: Layer) -> dict[str, Any]:
    """What a window layer was made with; nothing for layers that the kit does not know by name.

    >>> from deconv_legacy.layers import InputLayer
    >>> settings_of(CropLayer(InputLayer((1, 2, 9, 9)), InputLayer((1, 2, 5, 5)), 3))
    {'axis': 2, 'offset': [3, 3]}
    """
    for kinds, names in _NAMES:
        if isinstance(layer, kinds):
            return {name: _plain(getattr(layer, name)) for name in names}
    return {}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
