"""TensorFlow 1's pooling."""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine
from deconv_legacy.errors import SizeError
from deconv_legacy.tf._layout import Layout, tensor

__all__ = ["avg_pool", "max_pool", "max_pool_with_argmax"]


def _windows(
    where: str, value: Any, ksize: Any, strides: Any, padding: Any, data_format: Any
) -> tuple[Layout, tuple[Any, Any, Any, Any]]:
    try:
        layout = Layout.of(data_format, 2)
        x = layout.need_rank(tensor(value), "value")
        kernel, stride = layout.numbers(ksize, "ksize"), layout.numbers(strides, "strides")
        return layout, (layout.to_engine(x), kernel, stride, layout.padding(padding, explicit=False))
    except SizeError as error:
        raise error.at(where) from None


def max_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.max_pool`` of ``[N, H, W, C]``.

    `ksize` and `strides` are a number, two or four as for `conv2d`; `padding` is ``"SAME"`` or ``"VALID"``. Padding is
    never a maximum; of equal maxima the first takes the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> x = np.arange(15, dtype="float32").reshape(1, 3, 5, 1)
    >>> tf.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME").eval()[0, :, :, 0]
    array([[ 6.,  8.,  9.],
           [11., 13., 14.]], dtype=float32)
    """
    layout, windows = _windows(name or "max_pool", value, ksize, strides, padding, data_format)
    return layout.from_engine(engine.max_pool(*windows))


def max_pool_with_argmax(
    input: Any, ksize: Any, strides: Any, padding: str, name: str | None = None
) -> tuple[Any, Any]:
    """``tf.nn.max_pool_with_argmax`` of ``[N, H, W, C]``: maxima, and their places ``(row W + column) C + channel``.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> x = np.array([[[[1, 8], [3, 2]]]], "float32")
    >>> tf.max_pool_with_argmax(x, [1, 1, 2, 1], [1, 1, 2, 1], "VALID")[1].eval()
    array([[[[2, 1]]]])
    """
    layout, windows = _windows(name or "max_pool_with_argmax", input, ksize, strides, padding, None)
    maxima, places = (layout.from_engine(y) for y in engine.max_pool_with_mask(*windows))
    channels = places.shape[3]
    return maxima, places * channels + engine.aesara.tensor.arange(channels)


def avg_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.avg_pool`` of ``[N, H, W, C]``; with ``"SAME"`` it divides by the cells that are in the image.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> x = np.arange(3, dtype="float32").reshape(1, 1, 3, 1)
    >>> tf.avg_pool(x, [1, 1, 2, 1], [1, 1, 2, 1], "SAME").eval().ravel()
    array([0.5, 2. ], dtype=float32)
    """
    layout, windows = _windows(name or "avg_pool", value, ksize, strides, padding, data_format)
    return layout.from_engine(engine.average_pool(*windows, divisor="real"))
