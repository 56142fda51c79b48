"""Unshared ("locally connected") convolution: filters of their own at every place of the output. In NumPy only.

Theano's layout: w is ``(M, *out, C / groups, *kernel)``. Sizes, pads, strides, dilation, groups and flip are those of
`convolution`. Nothing but old Theano code asks for it, so there is no C code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy.engine import _taps
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import as_float_tensor, as_size_vector, common_dtype, static_sizes
from deconv_legacy.engine.convolution import _ConvOp, _spatial_shape
from deconv_legacy.errors import SizeError

at = aesara.tensor
Apply = aesara.graph.basic.Apply

__all__ = ["UnsharedConv", "UnsharedConvInputGradient", "UnsharedConvWeightGradient"]


class _UnsharedOp(_ConvOp):
    def c_code(self, *args: Any, **kwargs: Any) -> str:
        raise NotImplementedError(f"{type(self).__name__} runs on NumPy")

    def _check(self, x, w, y):
        n = self.ndim
        super()._check(x, (w[0], *w[1 + n :]), y)
        places = self.out_sizes(x[2:], w[2 + n :])
        for axis, (here, there) in enumerate(zip(w[1 : 1 + n], places, strict=True), 1):
            if here is not None and there is not None and here != there:
                raise SizeError(
                    f"filters for {here} places on axis {axis}, but the output has {there}",
                    axis=axis,
                    actual=here,
                    computed=there,
                    where=str(self),
                )

    def _taps(self, kernel, out):
        """For each tap its index in the filters, and the slices it meets of a padded image (N, groups, C, *in)."""
        for tap, window in _taps.taps(kernel, out, self.stride, self.dilation, self.flip):
            yield tap, (slice(None), *window)

    def _extent(self, size, kernel):
        """The pads, and where the image lies in its padding."""
        pads, *_ = self._numpy_arguments(size, kernel)
        return pads, (..., *(slice(before, before + n) for n, (before, _) in zip(size, pads, strict=True)))

    def _grouped(self, array, axis):
        """`array` with its channel axis cut in two: groups, channels of a group."""
        shape = array.shape
        return array.reshape(*shape[:axis], self.groups, shape[axis] // self.groups, *shape[axis + 1 :])


class UnsharedConv(_UnsharedOp):
    """y ``(N, M, *out)`` from x ``(N, C, *in)`` and w ``(M, *out, C / groups, *kernel)``."""

    direction = "forward"

    def make_node(self, x, w):
        x = as_float_tensor(str(self), "the input", x, self.ndim + 2)
        w = as_float_tensor(str(self), "the filters", w, 2 * self.ndim + 2)
        dtype = common_dtype(str(self), x, w)
        x, w = at.cast(x, dtype), at.cast(w, dtype)
        self._check(x.type.shape, w.type.shape, None)
        shape = (x.type.shape[0], *w.type.shape[: 1 + self.ndim])
        return Apply(self, [x, w], [at.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        x, w = inputs
        self._check(x.shape, w.shape, None)
        out, kernel = w.shape[1 : 1 + self.ndim], w.shape[2 + self.ndim :]
        pads, _ = self._extent(x.shape[2:], kernel)
        image, filters = self._grouped(np.pad(x, ((0, 0), (0, 0), *pads)), 1), self._grouped(w, 0)
        y = np.zeros((x.shape[0], *filters.shape[:2], *out), x.dtype)
        for tap, window in self._taps(kernel, out):
            y += np.einsum("gm...c,ngc...->ngm...", filters[tap], image[window])
        output_storage[0][0] = y.reshape(x.shape[0], w.shape[0], *out)

    def infer_shape(self, fgraph, node, shapes):
        x, w = shapes
        return [(x[0], *w[: 1 + self.ndim])]

    def L_op(self, inputs, outputs, gradients):
        x, w = inputs
        (g,) = gradients
        return [
            self._sibling(UnsharedConvInputGradient)(w, g, _spatial_shape(x)),
            self._sibling(UnsharedConvWeightGradient)(x, g, _spatial_shape(w)[self.ndim + 1 :]),
        ]


class UnsharedConvInputGradient(_UnsharedOp):
    """The transpose of `UnsharedConv` in x: inputs w, y and the spatial size of x."""

    direction = "input gradient"

    def make_node(self, w, y, size):
        w = as_float_tensor(str(self), "the filters", w, 2 * self.ndim + 2)
        y = as_float_tensor(str(self), "the input", y, self.ndim + 2)
        dtype = common_dtype(str(self), w, y)
        w, y = at.cast(w, dtype), at.cast(y, dtype)
        size = as_size_vector(str(self), "size", size, self.ndim)
        shape = (*self._leading(w.type.shape, y.type.shape), *static_sizes(size, self.ndim))
        self._check(shape, w.type.shape, y.type.shape)
        return Apply(self, [w, y, size], [at.TensorType(dtype, shape=shape)()])

    def _leading(self, w, y):
        channels = w[1 + self.ndim]
        return y[0], None if channels is None else channels * self.groups

    def perform(self, node, inputs, output_storage, params=None):
        w, y, size = inputs
        shape = (*self._leading(w.shape, y.shape), *self._as_sizes(size))
        self._check(shape, w.shape, y.shape)
        out, kernel = w.shape[1 : 1 + self.ndim], w.shape[2 + self.ndim :]
        pads, inside = self._extent(shape[2:], kernel)
        image = self._grouped(np.pad(np.zeros(shape, y.dtype), ((0, 0), (0, 0), *pads)), 1)
        filters, given = self._grouped(w, 0), self._grouped(y, 1)
        for tap, window in self._taps(kernel, out):
            image[window] += np.einsum("gm...c,ngm...->ngc...", filters[tap], given)
        output_storage[0][0] = np.ascontiguousarray(image[inside].reshape(shape))

    def infer_shape(self, fgraph, node, shapes):
        w, y, _ = shapes
        return [(*self._leading(w, y), *(node.inputs[2][i] for i in range(self.ndim)))]

    def L_op(self, inputs, outputs, gradients):
        w, y, _ = inputs
        (g,) = gradients
        return [
            self._sibling(UnsharedConvWeightGradient)(g, y, _spatial_shape(w)[self.ndim + 1 :]),
            self._sibling(UnsharedConv)(g, w),
            aesara.gradient.DisconnectedType()(),
        ]


class UnsharedConvWeightGradient(_UnsharedOp):
    """The transpose of `UnsharedConv` in w: inputs x, y and the spatial size of the filters."""

    direction = "weight gradient"

    def make_node(self, x, y, kernel):
        x = as_float_tensor(str(self), "the input", x, self.ndim + 2)
        y = as_float_tensor(str(self), "the output's gradient", y, self.ndim + 2)
        dtype = common_dtype(str(self), x, y)
        x, y = at.cast(x, dtype), at.cast(y, dtype)
        kernel = as_size_vector(str(self), "kernel", kernel, self.ndim)
        shape = self._shape(x.type.shape, y.type.shape, static_sizes(kernel, self.ndim))
        self._check(x.type.shape, shape, y.type.shape)
        return Apply(self, [x, y, kernel], [at.TensorType(dtype, shape=shape)()])

    def _shape(self, x, y, kernel):
        return (*y[1:], None if x[1] is None else x[1] // self.groups, *kernel)

    def perform(self, node, inputs, output_storage, params=None):
        x, y, kernel = inputs
        kernel = self._as_sizes(kernel)
        shape = self._shape(x.shape, y.shape, kernel)
        self._check(x.shape, shape, y.shape)
        pads, _ = self._extent(x.shape[2:], kernel)
        image, given = self._grouped(np.pad(x, ((0, 0), (0, 0), *pads)), 1), self._grouped(y, 1)
        w = np.zeros(shape, x.dtype)
        filters = self._grouped(w, 0)
        for tap, window in self._taps(kernel, y.shape[2:]):
            filters[tap] = np.einsum("ngc...,ngm...->gm...c", image[window], given)
        output_storage[0][0] = w

    def infer_shape(self, fgraph, node, shapes):
        x, y, _ = shapes
        return [self._shape(x, y, [node.inputs[2][i] for i in range(self.ndim)])]

    def L_op(self, inputs, outputs, gradients):
        x, y, _ = inputs
        (g,) = gradients
        return [
            self._sibling(UnsharedConvInputGradient)(g, y, _spatial_shape(x)),
            self._sibling(UnsharedConv)(x, g),
            aesara.gradient.DisconnectedType()(),
        ]
