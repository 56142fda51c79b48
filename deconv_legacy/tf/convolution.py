"""TensorFlow 1's convolutions, their gradients and transposes, with its argument orders and layouts.

Filters are ``[*kernel, in, out]`` of the forward convolution, which for a transposed one reads ``[*kernel, OUT, IN]``;
they are never flipped. Where an axis appears in an error it is counted as in the caller's layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.tf._check import ConvolutionCheck, checked
from deconv_legacy.tf._layout import Layout, filters_to_engine, shape_entries, tensor

at = aesara.tensor

__all__ = [
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
]


class _Call:
    """One call of a function here: its arguments in the engine's terms, and its name for errors."""

    def __init__(
        self, function: str, name: str | None, ndim: int, data_format: Any, strides: Any, padding: Any, dilations: Any
    ):
        self.where = function if name is None else f"{name} ({function})"

        def normalize():
            self.layout = Layout.of(data_format, ndim)
            self.stride = self.layout.numbers(strides, "strides")
            self.dilation = self.layout.numbers(1 if dilations is None else dilations, "dilations")
            self.border_mode = self.layout.padding(padding)

        self.located(normalize)
        self.arguments = {"border_mode": self.border_mode, "stride": self.stride, "dilation": self.dilation}

    def located(self, build: Callable[[], Any]) -> Any:
        try:
            return build()
        except SizeError as error:
            raise error.at(self.where) from None

    def image(self, value: Any, name: str) -> Any:
        return self.located(lambda: self.layout.need_rank(tensor(value), name))

    def shape(self, value: Any, name: str) -> list[Any]:
        return self.located(lambda: shape_entries(value, self.layout.ndim + 2, name))

    def checked(self, direction: str, names: tuple[str, str, str], variable: Any, x: Any, w: Any, y: Any) -> Any:
        mode = self.border_mode
        check = ConvolutionCheck(
            self.where,
            names,
            direction,
            self.layout,
            self.stride,
            mode if isinstance(mode, str) else tuple(mode),
            self.dilation,
        )
        return checked(check, variable, x, w, y)


def _sizes(variable: Any) -> list[Any]:
    """The shape of a variable: ints where known, else symbolic."""
    return [variable.shape[i] if n is None else n for i, n in enumerate(variable.type.shape)]


def _forward(call: _Call, input: Any, filter: Any) -> Any:
    x, w = call.image(input, "input"), call.image(filter, "filter")
    engine_x = call.checked(
        "forward", ("input", "filter", "output"), call.layout.to_engine(x), _sizes(x), _sizes(w), None
    )
    return call.layout.from_engine(engine.conv(engine_x, filters_to_engine(w), **call.arguments))


def _transpose(call: _Call, names: tuple[str, str, str], size: Any, filter: Any, small: Any) -> Any:
    """The gradient of a convolution with respect to its input; `names` are those of size, filter, small."""
    y, w = call.image(small, names[2]), call.image(filter, names[1])
    wanted = call.shape(size, names[0])
    engine_y = call.checked("transpose", names, call.layout.to_engine(y), wanted, _sizes(w), _sizes(y))
    result = engine.conv_input_gradient(filters_to_engine(w), engine_y, call.layout.spatial(wanted), **call.arguments)
    return call.layout.from_engine(result)


def conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    dilations: Any = None,
    *,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.conv2d``: correlate `input` with `filter`.

    Parameters
    ----------
    input
        ``[N, H, W, in]``; an array or a variable, float32 or float64.
    filter
        ``[kh, kw, in, out]``.
    strides, dilations
        A number, two (rows, columns) or four in the order of `data_format`, whose first and channel entry are 1.
    padding
        ``"SAME"``: output ``ceil(size / stride)``, an odd zero goes after; ``"VALID"``; or pairs of zeros
        ``[[0, 0], [top, bottom], [left, right], [0, 0]]``.
    data_format
        ``"NHWC"`` or ``"NCHW"``.

    Returns
    -------
    variable ``[N, H', W', out]``

    Raises
    ------
    SizeError
        For channel numbers that differ, filters that do not fit, and illegal arguments; axes as in `data_format`.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> tf.conv2d(np.ones((1, 5, 7, 2), "float32"), np.ones((3, 2, 2, 4), "float32"), [1, 2, 2, 1], "SAME").type.shape
    (1, 3, 4, 4)
    """
    return _forward(_Call("conv2d", name, 2, data_format, strides, padding, dilations), input, filter)


def conv3d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    dilations: Any = None,
    *,
    data_format: str | None = "NDHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.conv3d``: `conv2d` for volumes ``[N, D, H, W, in]`` and filters ``[kd, kh, kw, in, out]``."""
    return _forward(_Call("conv3d", name, 3, data_format, strides, padding, dilations), input, filter)


_VALUE_NAMES = ("output_shape", "filter", "value")


def conv2d_transpose(
    value: Any,
    filter: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    name: str | None = None,
    *,
    data_format: str | None = "NHWC",
    dilations: Any = None,
) -> Any:
    """``tf.nn.conv2d_transpose``: the deconvolution, the gradient of `conv2d` with respect to its input.

    Parameters
    ----------
    value
        ``[N, h, w, IN]``.
    filter
        ``[kh, kw, OUT, IN]``: those of the forward convolution.
    output_shape
        ``[N, H, W, OUT]``: a list of ints and symbolic scalars, an array, or a symbolic vector. Of H and of W exactly
        `stride` values are legal, those that the forward convolution takes to h and w: SAME ``(h - 1) s < H <= h s``,
        VALID ``(h - 1) s + k <= H < h s + k``. Where a SAME padding begins follows from H, so that H also moves
        the values.
    strides, padding, data_format, dilations
        As for `conv2d`.

    Raises
    ------
    SizeError
        With `axis`, `actual` (h), `computed` (what the forward convolution makes of H) and `legal`: when the graph is
        built if the sizes are known, else when it runs.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> z, w = np.ones((1, 4, 5, 2), "float32"), np.ones((3, 3, 6, 2), "float32")
    >>> tf.conv2d_transpose(z, w, [1, 7, 10, 6], strides=2).type.shape
    (1, 7, 10, 6)
    >>> tf.conv2d_transpose(z, w, [1, 4, 10, 6], strides=2, name="deconv1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    deconv_legacy.errors.SizeError: deconv1 (conv2d_transpose): axis 1: output size 4 is impossible: ... 7, 8 ...
    """
    call = _Call("conv2d_transpose", name, 2, data_format, strides, padding, dilations)
    return _transpose(call, _VALUE_NAMES, output_shape, filter, value)


def conv3d_transpose(
    value: Any,
    filter: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    name: str | None = None,
    *,
    data_format: str | None = "NDHWC",
    dilations: Any = None,
) -> Any:
    """``tf.nn.conv3d_transpose``: `conv2d_transpose` for ``[N, d, h, w, IN]`` and filters ``[kd, kh, kw, OUT, IN]``.

    TensorFlow 2 with oneDNN crops silently where `output_shape` is illegal; here it is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> value, filter = np.ones((10, 1, 1, 1, 10), "float32"), np.ones((5, 5, 5, 20, 10), "float32")
    >>> tf.conv3d_transpose(value, filter, [10, 8, 8, 8, 20], strides=4, padding="VALID").type.shape
    (10, 8, 8, 8, 20)
    """
    call = _Call("conv3d_transpose", name, 3, data_format, strides, padding, dilations)
    return _transpose(call, _VALUE_NAMES, output_shape, filter, value)


def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    dilations: Any = None,
    *,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.conv2d_backprop_input``: the gradient of `conv2d` with respect to its input.

    `input_sizes` is ``[N, H, W, in]``, `filter` ``[kh, kw, in, out]`` and `out_backprop` ``[N, h, w, out]``: the same
    function as `conv2d_transpose`, its arguments in another order. Errors are the same.
    """
    call = _Call("conv2d_backprop_input", name, 2, data_format, strides, padding, dilations)
    return _transpose(call, ("input_sizes", "filter", "out_backprop"), input_sizes, filter, out_backprop)


def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    dilations: Any = None,
    *,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Any:
    """``tf.nn.conv2d_backprop_filter``: the gradient of `conv2d` with respect to its filters, ``[kh, kw, in, out]``.

    `input` is ``[N, H, W, in]``, `filter_sizes` ``[kh, kw, in, out]`` as `output_shape` of `conv2d_transpose` can be,
    and `out_backprop` ``[N, h, w, out]``, of the size that the convolution gives, else a SizeError says which.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy import tf
    >>> x, g = np.ones((2, 5, 7, 3), "float32"), np.ones((2, 3, 4, 4), "float32")
    >>> tf.conv2d_backprop_filter(x, [3, 2, 3, 4], g, [1, 2, 2, 1], "SAME").type.shape
    (3, 2, 3, 4)
    """
    call = _Call("conv2d_backprop_filter", name, 2, data_format, strides, padding, dilations)
    x, y = call.image(input, "input"), call.image(out_backprop, "out_backprop")
    wanted = call.shape(filter_sizes, "filter_sizes")
    names = ("input", "filter_sizes", "out_backprop")
    engine_x = call.checked("filter", names, call.layout.to_engine(x), _sizes(x), wanted, _sizes(y))
    result = engine.conv_weight_gradient(engine_x, call.layout.to_engine(y), wanted[:2], **call.arguments)
    return result.dimshuffle(2, 3, 1, 0)
