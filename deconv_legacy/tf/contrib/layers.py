"""``tf.contrib.layers``: functions that make their variables at each call. By default they end in a rectifier.

What TensorFlow shares by name scopes and ``reuse`` is shared here by keeping the result, or by a layer object of
`tf.keras.layers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deconv_legacy.tf import normalization
from deconv_legacy.tf._layers import Convolution, Deconvolution, activation_of
from deconv_legacy.tf._layout import tensor
from deconv_legacy.tf.activations import relu

__all__ = ["batch_norm", "conv2d", "conv2d_transpose"]


def _convolution(
    cls: type[Convolution], inputs: Any, normalizer_fn: Any, normalizer_params: Any, **arguments: Any
) -> Any:
    activation = activation_of(arguments.pop("activation"))
    # a normaliser takes the place of the bias
    layer = cls(
        2, activation=None, use_bias=arguments["bias_initializer"] is not None and normalizer_fn is None, **arguments
    )
    y = layer(inputs)
    return activation(y if normalizer_fn is None else normalizer_fn(y, **(normalizer_params or {})))


def conv2d(
    inputs: Any,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: Any = 1,
    activation_fn: Callable[..., Any] | str | None = relu,
    normalizer_fn: Callable[..., Any] | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Any = "glorot_uniform",
    biases_initializer: Any = "zeros",
    trainable: bool = True,
    scope: str | None = None,
    *,
    rng: Any = None,
) -> Any:
    """``activation_fn(conv(inputs) + bias)`` of ``[N, H, W, C]``.

    `weights_initializer` is a name, an array ``[kh, kw, in, num_outputs]`` or a function of the shape; None for
    `biases_initializer` has no bias; `normalizer_fn` (`batch_norm`) takes the bias's place.

    >>> from deconv_legacy import tf
    >>> x = tf.placeholder("float32", [None, 9, 9, 1])
    >>> tf.contrib.layers.conv2d(x, 32, 3, stride=2).type.shape
    (None, 5, 5, 32)
    """
    return _convolution(
        Convolution,
        inputs,
        normalizer_fn,
        normalizer_params,
        filters=num_outputs,
        kernel_size=kernel_size,
        strides=stride,
        padding=padding,
        data_format=data_format,
        dilation_rate=rate,
        activation=activation_fn,
        kernel_initializer=weights_initializer,
        bias_initializer=biases_initializer,
        trainable=trainable,
        name=scope or "Conv",
        rng=rng,
    )


def conv2d_transpose(
    inputs: Any,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    activation_fn: Callable[..., Any] | str | None = relu,
    normalizer_fn: Callable[..., Any] | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Any = "glorot_uniform",
    biases_initializer: Any = "zeros",
    trainable: bool = True,
    scope: str | None = None,
    *,
    rng: Any = None,
) -> Any:
    """The deconvolution of ``[N, H, W, C]``, to sizes SAME ``s n``, VALID ``s n + max(k - s, 0)``.

    There is no argument for another size (9 -> 5 comes back as 10): use `tf.conv2d_transpose`, or call
    ``tf.keras.layers.Conv2DTranspose(...)(x, output_shape=(9, 9))``. `weights_initializer` takes an array
    ``[kh, kw, num_outputs, in]``. Other arguments are those of `conv2d`.

    >>> from deconv_legacy import tf
    >>> x = tf.placeholder("float32", [None, 5, 5, 32])
    >>> tf.contrib.layers.conv2d_transpose(x, 1, 3, stride=2).type.shape
    (None, 10, 10, 1)
    """
    return _convolution(
        Deconvolution,
        inputs,
        normalizer_fn,
        normalizer_params,
        filters=num_outputs,
        kernel_size=kernel_size,
        strides=stride,
        padding=padding,
        data_format=data_format,
        activation=activation_fn,
        kernel_initializer=weights_initializer,
        bias_initializer=biases_initializer,
        trainable=trainable,
        name=scope or "Conv2d_transpose",
        rng=rng,
    )


def batch_norm(
    inputs: Any,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: Callable[..., Any] | str | None = None,
    param_initializers: dict[str, Any] | None = None,
    *,
    is_training: Any = True,
    trainable: bool = True,
    fused: bool | None = None,
    data_format: str | None = None,
    scope: str = "BatchNorm",
    variance_rule: str | None = None,
) -> Any:
    """Batch normalisation with contrib's defaults: decay 0.999, epsilon 0.001, a beta and no gamma.

    `is_training` is a bool or a symbolic one; in training the moving averages' updates are in `tf.update_ops`, and
    `tf.train.function` runs them. `param_initializers` are arrays or shared variables for ``"gamma"``, ``"beta"``,
    ``"moving_mean"``, ``"moving_variance"``. `variance_rule` is a name of
    `deconv_legacy.tf.normalization.VARIANCE_RULES`.
    """
    inputs = tensor(inputs)
    if fused is None:  # also with two axes, unlike tf.layers
        fused = inputs.ndim in (2, 4) and inputs.dtype == "float32"
    initial = {key.removeprefix("moving_"): value for key, value in (param_initializers or {}).items()}
    y = normalization.batch_normalization(
        inputs,
        decay=decay,
        epsilon=epsilon,
        center=center,
        scale=scale,
        training=is_training,
        trainable=trainable,
        fused=fused,
        variance_rule=variance_rule,
        data_format=data_format,
        initial=initial,
        name=scope,
    )
    return activation_of(activation_fn)(y)
