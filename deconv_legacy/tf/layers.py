"""``tf.layers``: functions that make their variables at each call."""

from __future__ import annotations

from typing import Any

from deconv_legacy.tf import normalization
from deconv_legacy.tf._layout import tensor
from deconv_legacy.tf.keras.layers import Conv2D, Conv2DTranspose

__all__ = ["batch_normalization", "conv2d", "conv2d_transpose"]


def conv2d(inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """``Conv2D(...)(inputs)``: filters, kernel_size, strides=1, padding="valid", ... of `tf.keras.layers.Conv2D`."""
    return Conv2D(*args, **kwargs)(inputs)


def conv2d_transpose(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid", **kwargs: Any
) -> Any:
    """``Conv2DTranspose(...)(inputs)``; sizes SAME ``s n``, VALID ``s n + max(k - s, 0)``."""
    return Conv2DTranspose(filters, kernel_size, strides, padding, **kwargs)(inputs)


def batch_normalization(
    inputs: Any,
    axis: int = -1,
    momentum: float = 0.99,
    epsilon: float = 0.001,
    center: bool = True,
    scale: bool = True,
    *,
    training: Any = False,
    trainable: bool = True,
    fused: bool | None = None,
    variance_rule: str | None = None,
    initial: dict[str, Any] | None = None,
    name: str = "batch_normalization",
) -> Any:
    """Batch normalisation over all axes but `axis`, which is the last or axis 1.

    `training` is a bool or a symbolic one. In training the moving averages' updates are in `tf.update_ops`;
    `tf.train.function` runs them. Other arguments: `deconv_legacy.tf.normalization.batch_normalization`.

    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> y = tf.layers.batch_normalization(np.array([[1.0], [3.0]]), training=True, epsilon=0)
    >>> y.eval().ravel()
    array([-1.,  1.])
    """
    inputs = tensor(inputs)
    data_format = None if axis in (-1, inputs.ndim - 1) else "channels_first"
    if axis not in (-1, 1, inputs.ndim - 1):
        raise ValueError(f"axis {axis} is neither 1 nor the last")
    return normalization.batch_normalization(
        inputs,
        decay=momentum,
        epsilon=epsilon,
        center=center,
        scale=scale,
        training=training,
        trainable=trainable,
        fused=fused,
        variance_rule=variance_rule,
        data_format=data_format,
        initial=initial,
        name=name,
    )
