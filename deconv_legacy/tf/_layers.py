"""Convolution layers with variables, behind `tf.layers`, `tf.keras.layers` and `tf.contrib.layers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import fillers, geometry
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.tf import activations
from deconv_legacy.tf._layout import Layout, tensor
from deconv_legacy.tf.convolution import conv2d, conv2d_transpose, conv3d, conv3d_transpose
from deconv_legacy.tf.variables import Variable

at = aesara.tensor

__all__ = ["ACTIVATIONS", "INITIALIZERS", "Convolution", "activation_of"]

ACTIVATIONS: dict[str, Callable[..., Any]] = {
    name: getattr(activations, name) for name in ("elu", "relu", "selu", "sigmoid", "softmax", "tanh")
}
ACTIVATIONS["linear"] = lambda x: x

INITIALIZERS: dict[str, Callable[..., np.ndarray]] = {
    "zeros": fillers.constant,
    "ones": partial(fillers.constant, value=1),
    "glorot_uniform": fillers.glorot_uniform,
    "glorot_normal": fillers.glorot_normal,
    "he_uniform": partial(fillers.he_uniform, gain="relu"),
    "he_normal": partial(fillers.he_normal, gain="relu"),
    "random_normal": partial(fillers.gaussian, std=0.05),
    "bilinear": partial(fillers.bilinear, kind="diagonal"),
}
"""By name; each gets the shape in the engine's order, ``(out, in, *kernel)``. ``bilinear`` (ours) enlarges."""


def activation_of(given: Any) -> Callable[..., Any]:
    if given is None:
        return ACTIVATIONS["linear"]
    if callable(given):
        return given
    if given not in ACTIVATIONS:
        raise ValueError(f"activation {given!r} is unknown; there are {', '.join(map(repr, ACTIVATIONS))}")
    return ACTIVATIONS[given]


def initial(given: Any, shape: Sequence[int], dtype: str, rng: Any, what: str) -> Any:
    """A starting value ``[*kernel, a, b]`` (or a vector): from an array, a function ``f(shape)`` or a name."""
    if isinstance(given, str):
        if given not in INITIALIZERS:
            raise ValueError(f"initializer {given!r} is unknown; there are {', '.join(map(repr, INITIALIZERS))}")
        if len(shape) == 1:
            return INITIALIZERS[given](shape, rng, dtype)
        kernel, (a, b) = shape[:-2], shape[-2:]
        value = INITIALIZERS[given]((b, a, *kernel), rng, dtype)
        return value.transpose(*range(2, value.ndim), 1, 0)
    value = np.asarray(given(tuple(shape)) if callable(given) else given, dtype)
    if value.shape != tuple(shape):
        raise SizeError(f"{what} of shape {value.shape} was given, {tuple(shape)} is needed")
    return value


class Convolution:
    """A convolution, or a deconvolution, with its kernel and bias, as a layer object of Keras' kind.

    ``layer(inputs)`` makes the variables at the first call and uses the same ones at every later one.
    """

    transposes = False

    def __init__(
        self,
        ndim: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        trainable: bool = True,
        name: str | None = None,
        rng: Any = None,
    ):
        self.name = name or type(self).__name__
        self.where = self.name if name is None else f"{name} ({type(self).__name__})"
        try:
            self.layout = Layout.of(data_format, ndim)
            self.filters = geometry.as_int(filters, "filters", 1)
            self.kernel_size = geometry.per_axis(kernel_size, ndim, "kernel_size", 1)
            self.strides = geometry.per_axis(strides, ndim, "strides", 1)
            self.dilation_rate = geometry.per_axis(dilation_rate, ndim, "dilation_rate", 1)
            self.output_padding = (
                None if output_padding is None else geometry.per_axis(output_padding, ndim, "output_padding", 0)
            )
            if not isinstance(padding, str) or padding.lower() not in ("same", "valid"):
                raise SizeError(f"`padding` (={padding!r}) is unknown; legal are 'valid' and 'same'")
        except SizeError as error:
            raise error.at(self.where) from None
        self.padding = padding.lower()
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.trainable, self._rng = trainable, rng
        self.kernel: Any = None
        self.bias: Any = None

    @property
    def weights(self) -> list[Any]:
        """Kernel and bias: shared variables, none before the first call."""
        return [v for v in (self.kernel, self.bias) if v is not None]

    @property
    def trainable_weights(self) -> list[Any]:
        return self.weights if self.trainable else []

    def get_weights(self) -> list[np.ndarray]:
        """Copies of kernel and bias as arrays."""
        return [v.get_value() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """New values for kernel and bias, of the same shapes; the layer must have been called once."""
        if len(weights) != len(self.weights):
            raise SizeError(f"{len(weights)} arrays for {len(self.weights)} weights", where=self.where)
        for v, value in zip(self.weights, weights, strict=True):
            if np.shape(value) != v.get_value(borrow=True).shape:
                raise SizeError(f"an array of shape {np.shape(value)} for {v.name} of {v.type.shape}", where=self.where)
        for v, value in zip(self.weights, weights, strict=True):
            v.set_value(np.array(value, v.dtype))

    def build(self, channels: int, dtype: str) -> None:
        """Make the variables."""
        ends = (self.filters, channels) if self.transposes else (channels, self.filters)
        shape = (*self.kernel_size, *ends)
        try:
            kernel = initial(self.kernel_initializer, shape, dtype, self._rng, "a kernel")
            self.kernel = Variable(kernel, self.trainable, f"{self.name}/kernel")
            if self.use_bias:
                bias = initial(self.bias_initializer, (self.filters,), dtype, self._rng, "a bias")
                self.bias = Variable(bias, self.trainable, f"{self.name}/bias")
        except SizeError as error:
            raise error.at(self.where) from None

    def __call__(self, inputs: Any, output_shape: Any = None) -> Any:
        """The layer's output; `output_shape` (deconvolutions) are the spatial sizes, instead of the default's."""
        x = tensor(inputs)
        try:
            self.layout.need_rank(x, "inputs")
            channels = x.type.shape[self.layout.channel_axis]
            if channels is None:
                raise SizeError("the number of channels must be known", axis=self.layout.channel_axis)
        except SizeError as error:
            raise error.at(self.where) from None
        if self.kernel is None:
            self.build(channels, x.dtype)
        rule = {
            "strides": self.strides,
            "padding": self.padding.upper(),
            "dilations": self.dilation_rate,
            "data_format": self.layout.letters,
            "name": self.name,
        }
        try:
            y = self._convolve(x, rule, output_shape)
        except SizeError as error:
            raise error if error.where is not None else error.at(self.where) from None
        if self.bias is not None:
            y = activations.bias_add(y, self.bias, self.layout.letters)
        return self.activation(y)

    def _convolve(self, x: Any, rule: dict[str, Any], output_shape: Any) -> Any:
        if output_shape is not None:
            raise SizeError("a convolution's output has one size only: `output_shape` is of deconvolutions")
        return {2: conv2d, 3: conv3d}[self.layout.ndim](x, self.kernel, **rule)


class Deconvolution(Convolution):
    transposes = True

    def default_sizes(self, sizes: Sequence[Any]) -> list[Any]:
        """Spatial output sizes for spatial input sizes; ints, or symbolic scalars."""
        convention = "tf" if self.output_padding is None else "keras"
        results = []
        for i, n in enumerate(sizes):
            added = 0 if self.output_padding is None else self.output_padding[i]
            rule = (self.kernel_size[i], self.strides[i], self.padding, self.dilation_rate[i])
            options: dict[str, Any] = {"convention": convention, "output_padding": added, "axis": self.layout.axes[i]}
            if isinstance(n, at.Variable):
                # every convention's size grows by the stride with n
                of_one: Any = geometry.deconv_default_size(1, *rule, **options)
                results.append(n * self.strides[i] + (of_one - self.strides[i]))
            else:
                results.append(geometry.deconv_default_size(n, *rule, **options))
        return results

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The output's shape; None stays None."""
        shape = list(input_shape)
        for axis, n in zip(self.layout.axes, self.default_sizes(self.layout.spatial(shape)), strict=True):
            shape[axis] = n
        shape[self.layout.channel_axis] = self.filters
        return tuple(shape)

    def _convolve(self, x: Any, rule: dict[str, Any], output_shape: Any) -> Any:
        entries = [x.shape[i] if n is None else n for i, n in enumerate(x.type.shape)]
        spatial = self.default_sizes(self.layout.spatial(entries))
        if output_shape is not None:
            spatial = list(output_shape) if isinstance(output_shape, Sequence) else [output_shape] * self.layout.ndim
            if len(spatial) != self.layout.ndim:
                raise SizeError(f"`output_shape` (={output_shape}) must have {self.layout.ndim} entries")
        for axis, size in zip(self.layout.axes, spatial, strict=True):
            entries[axis] = size
        entries[self.layout.channel_axis] = self.filters
        return {2: conv2d_transpose, 3: conv3d_transpose}[self.layout.ndim](x, self.kernel, entries, **rule)
