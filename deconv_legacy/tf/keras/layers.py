"""``tf.keras.layers``: the deconvolutions, and the convolution that they mirror. Layer objects are called."""

from __future__ import annotations

from typing import Any

from deconv_legacy.tf._layers import Convolution, Deconvolution

__all__ = ["Conv2D", "Conv2DTranspose", "Conv3DTranspose"]


class Conv2D(Convolution):
    """``y = activation(conv(x) + bias)`` of ``[N, H, W, C]``; kernel ``[kh, kw, in, filters]``.

    Parameters
    ----------
    kernel_initializer, bias_initializer
        A name (``"glorot_uniform"``, ``"zeros"``, ...), an array, or a function of the shape.
    rng
        Seed or generator for the initial kernel.

    >>> from deconv_legacy import tf
    >>> x = tf.placeholder("float32", [None, 7, 9, 3])
    >>> tf.keras.layers.Conv2D(8, (3, 3), strides=2, padding="same", activation="relu")(x).type.shape
    (None, 4, 5, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool = True,
        name: str | None = None,
        rng: Any = None,
    ):
        super().__init__(
            2, filters, kernel_size, strides, padding, None, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, trainable, name, rng,
        )  # fmt: skip


class Conv2DTranspose(Deconvolution):
    """The deconvolution of ``[N, H, W, C]``; kernel ``[kh, kw, filters, in]``.

    Sizes: without `output_padding` SAME ``s n``, VALID ``s n + max(k - s, 0)``; with it SAME
    ``s (n - 1) + k - 2 (k // 2) + output_padding``, VALID ``s (n - 1) + k + output_padding``. Sizes that no forward
    convolution would take to n are refused: SAME with an even kernel and output_padding 0 always is such a one.
    ``layer(x, output_shape=(rows, columns))`` names the size instead.

    Parameters
    ----------
    kernel_initializer
        As for `Conv2D`; ``"bilinear"`` with ``trainable=False`` is the frozen bilinear enlargement (kernel
        ``2 s - s % 2``, as many filters as channels).

    >>> from deconv_legacy import tf
    >>> x = tf.placeholder("float32", [None, 7, 9, 16])
    >>> tf.keras.layers.Conv2DTranspose(64, (2, 2), strides=(2, 2))(x).type.shape
    (None, 14, 18, 64)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool = True,
        name: str | None = None,
        rng: Any = None,
    ):
        super().__init__(
            2, filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation,
            use_bias, kernel_initializer, bias_initializer, trainable, name, rng,
        )  # fmt: skip


class Conv3DTranspose(Deconvolution):
    """`Conv2DTranspose` for ``[N, D, H, W, C]``; kernel ``[kd, kh, kw, filters, in]``.

    >>> from deconv_legacy import tf
    >>> x = tf.placeholder("float32", [None, 3, 4, 5, 2])
    >>> tf.keras.layers.Conv3DTranspose(6, 3, strides=2, padding="same")(x).type.shape
    (None, 6, 8, 10, 6)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool = True,
        name: str | None = None,
        rng: Any = None,
    ):
        super().__init__(
            3, filters, kernel_size, strides, padding, output_padding, data_format, 1, activation,
            use_bias, kernel_initializer, bias_initializer, trainable, name, rng,
        )  # fmt: skip
