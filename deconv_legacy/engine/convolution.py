"""The convolution Ops: forward, input gradient (the deconvolution) and weight gradient, for 1 to 3 spatial axes.

Layouts: x ``(N, C, *in)``, w ``(M, C / groups, *kernel)``, y ``(N, M, *out)``. One convention inside: ``flip=False``
correlates, ``flip=True`` convolves (rotates the filter). All sizes come from `deconv_legacy.geometry`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine import _shapes, _taps
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, as_float_tensor, as_size_vector, common_dtype, static_sizes
from deconv_legacy.errors import SizeError

at = aesara.tensor

__all__ = [
    "Conv",
    "ConvInputGradient",
    "ConvWeightGradient",
    "conv",
    "conv_input_gradient",
    "conv_weight_gradient",
]

_MODES = ("explicit", "half", "full", "same", "same_lower")  # in the order of c/convolution.h


class _ConvOp(EngineOp):
    """What the three directions share: their numbers, and how these read in C."""

    __props__: ClassVar[tuple[str, ...]] = ("ndim", "border_mode", "stride", "dilation", "groups", "flip")
    c_files = ("convolution.h",)
    uses_blas = True
    direction: ClassVar[str]
    relu = False

    def __init__(self, ndim, border_mode="valid", stride=1, dilation=1, groups=1, flip=False):
        if ndim not in (1, 2, 3):
            raise SizeError(f"{ndim} spatial axes; 1, 2 or 3 are served", where=type(self).__name__)
        self.ndim = ndim
        modes = geometry.normalize_border_mode(border_mode, ndim)
        self.border_mode = tuple((0, 0) if mode == "valid" else mode for mode in modes)
        self.stride = geometry.per_axis(stride, ndim, "stride", minimum=1)
        self.dilation = geometry.per_axis(dilation, ndim, "dilation", minimum=1)
        (self.groups,) = geometry.per_axis(groups, 1, "groups", minimum=1)
        self.flip = bool(flip)

    def numbers(self) -> list[int]:
        """ndim, groups, flip, relu, then mode, stride, dilation, before, after: three each, leading axes first."""
        pads = [(0, 0) if isinstance(mode, str) else mode for mode in self.border_mode]
        modes = [_MODES.index(mode if isinstance(mode, str) else "explicit") for mode in self.border_mode]
        numbers = [self.ndim, self.groups, int(self.flip), int(self.relu)]
        missing = 3 - self.ndim
        for values, neutral in (
            (modes, 0),
            (self.stride, 1),
            (self.dilation, 1),
            ([before for before, _ in pads], 0),
            ([after for _, after in pads], 0),
        ):
            numbers += [neutral] * missing + list(values)
        return numbers

    @classmethod
    def from_numbers(cls, numbers) -> _ConvOp:
        """The Op whose `numbers` these are."""
        ndim, groups, flip, _ = numbers[:4]
        modes, stride, dilation, before, after = (numbers[i + 3 - ndim : i + 3] for i in range(4, 19, 3))
        border_mode = [(b, a) if mode == 0 else _MODES[mode] for mode, b, a in zip(modes, before, after, strict=True)]
        return cls(ndim, border_mode, stride, dilation, groups, bool(flip))

    def __str__(self) -> str:
        shown = [f"stride={self.stride}", f"pad={self.border_mode}"]
        shown += [f"dilation={self.dilation}"] if max(self.dilation) > 1 else []
        shown += [f"groups={self.groups}"] if self.groups > 1 else []
        return f"{type(self).__name__}{{{', '.join(shown)}{', flip' if self.flip else ''}}}"

    def _per_axis(self, size, kernel):
        return zip(size, kernel, self.stride, self.border_mode, self.dilation, strict=True)

    def out_sizes(self, size, kernel) -> tuple[Any, ...]:
        """Spatial sizes of y: ints, None where those of x or w are."""
        return tuple(
            None if k is None else geometry.conv_output_size(n, k, s, mode, d, axis=axis)
            for axis, (n, k, s, mode, d) in enumerate(self._per_axis(size, kernel), 2)
        )

    def _symbolic_out_sizes(self, size, kernel):
        formulas = geometry.formulas
        for n, k, s, mode, d in self._per_axis(size, kernel):
            if mode in ("same", "same_lower"):
                yield formulas.same(n, s)
                continue
            extent = formulas.dilated(k, d)
            pads = {"half": 2 * (extent // 2), "full": 2 * (extent - 1)}
            yield formulas.conv(n, extent, s, pads[mode] if isinstance(mode, str) else sum(mode))

    def _check(self, x_shape, w_shape, y_shape):
        """What is known of the three shapes must agree."""
        _shapes.check_shapes(self, x_shape, w_shape, y_shape)

    def _as_sizes(self, vector):
        _shapes.check_length(self, vector)
        return tuple(int(n) for n in vector)

    def _sibling(self, cls):
        return cls(self.ndim, self.border_mode, self.stride, self.dilation, self.groups, self.flip)

    def _numpy_arguments(self, size, kernel):
        pads = geometry.resolve_all_pads(self.border_mode, size, kernel, self.stride, self.dilation)
        return pads, self.stride, self.dilation, self.groups, self.flip

    def R_op(self, inputs, eval_points):
        # bilinear in the two tensors; the sizes carry nothing
        a, b, *sizes = inputs
        terms = []
        if eval_points[0] is not None:
            terms.append(self(eval_points[0], b, *sizes))
        if eval_points[1] is not None:
            terms.append(self(a, eval_points[1], *sizes))
        return [sum(terms[1:], terms[0]) if terms else None]

    def connection_pattern(self, node):
        return [[True], [True], [False]][: len(node.inputs)]


class Conv(_ConvOp):
    """y = w * x: inputs x ``(N, C, *in)`` and w ``(M, C / groups, *kernel)``, output ``(N, M, *out)``.

    ``out = (in + before + after - dilation * (kernel - 1) - 1) // stride + 1`` on each axis.
    """

    c_function = "conv_forward"
    direction = "forward"

    def make_node(self, x, w):
        x = as_float_tensor(str(self), "the input", x, self.ndim + 2)
        w = as_float_tensor(str(self), "the filters", w, self.ndim + 2)
        dtype = common_dtype(str(self), x, w)
        x, w = at.cast(x, dtype), at.cast(w, dtype)
        x_shape, w_shape = x.type.shape, w.type.shape
        self._check(x_shape, w_shape, None)
        shape = (x_shape[0], w_shape[0], *self.out_sizes(x_shape[2:], w_shape[2:]))
        return aesara.graph.basic.Apply(self, [x, w], [at.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        x, w = inputs
        self._check(x.shape, w.shape, None)
        out = self.out_sizes(x.shape[2:], w.shape[2:])
        output_storage[0][0] = _taps.conv(x, w, out, *self._numpy_arguments(x.shape[2:], w.shape[2:]))

    def infer_shape(self, fgraph, node, shapes):
        (x, w) = shapes
        # numbers where they are known: fewer nodes to fold
        kernel = [symbol if n is None else n for n, symbol in zip(node.inputs[1].type.shape, w, strict=True)][2:]
        return [(x[0], w[0], *self._symbolic_out_sizes(x[2:], kernel))]

    def L_op(self, inputs, outputs, gradients):
        x, w = inputs
        (g,) = gradients
        return [
            self._sibling(ConvInputGradient)(w, g, _spatial_shape(x)),
            self._sibling(ConvWeightGradient)(x, g, _spatial_shape(w)),
        ]


class FusedConv(_ConvOp):
    """``relu(w * x + b)`` or ``w * x + b`` in one pass over memory; b is ``(M,)``, or empty: no bias.

    Only the rewrites build it, after gradients have been taken.
    """

    __props__ = (*_ConvOp.__props__, "relu")
    __str__ = _ConvOp.__str__  # Aesara writes another for a class with __props__ of its own
    c_function = "conv_fused"
    direction = "forward"

    def __init__(self, ndim, border_mode="valid", stride=1, dilation=1, groups=1, flip=False, relu=False):
        super().__init__(ndim, border_mode, stride, dilation, groups, flip)
        self.relu = bool(relu)

    @classmethod
    def of(cls, op: Conv, relu: bool) -> FusedConv:
        return cls(op.ndim, op.border_mode, op.stride, op.dilation, op.groups, op.flip, relu)

    def make_node(self, x, w, b):
        plain = self._sibling(Conv).make_node(x, w)
        b = as_float_tensor(str(self), "the bias", b, 1)
        if b.dtype != plain.outputs[0].dtype:
            raise TypeError(f"{self}: a bias of dtype {b.dtype} for a result of {plain.outputs[0].dtype}")
        return aesara.graph.basic.Apply(self, [*plain.inputs, b], [plain.outputs[0].type()])

    def perform(self, node, inputs, output_storage, params=None):
        x, w, b = inputs
        _shapes.check_bias(self, w.shape, b.shape)
        self._sibling(Conv).perform(node, [x, w], output_storage)
        y = output_storage[0][0]
        if b.size:
            y += b.reshape(-1, *(1,) * self.ndim)
        if self.relu:
            np.maximum(y, 0, out=y)

    def infer_shape(self, fgraph, node, shapes):
        return self._sibling(Conv).infer_shape(fgraph, node, shapes[:2])


class ConvInputGradient(_ConvOp):
    """The transpose of `Conv` in x, which is the deconvolution: inputs w, y and the spatial size of x.

    ``size`` must be one that the forward convolution maps to the size of y.
    """

    c_function = "conv_input_gradient"
    direction = "input gradient"

    def make_node(self, w, y, size):
        w = as_float_tensor(str(self), "the filters", w, self.ndim + 2)
        y = as_float_tensor(str(self), "the input", y, self.ndim + 2)
        dtype = common_dtype(str(self), w, y)
        w, y = at.cast(w, dtype), at.cast(y, dtype)
        size = as_size_vector(str(self), "size", size, self.ndim)
        w_shape, y_shape, sizes = w.type.shape, y.type.shape, static_sizes(size, self.ndim)
        channels = None if w_shape[1] is None else w_shape[1] * self.groups
        shape = (y_shape[0], channels, *sizes)
        self._check(shape, w_shape, y_shape)
        return aesara.graph.basic.Apply(self, [w, y, size], [at.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        w, y, size = inputs
        size = self._as_sizes(size)
        self._check((y.shape[0], w.shape[1] * self.groups, *size), w.shape, y.shape)
        output_storage[0][0] = _taps.conv_input_gradient(w, y, size, *self._numpy_arguments(size, w.shape[2:]))

    def infer_shape(self, fgraph, node, shapes):
        w, y, _ = shapes
        size = node.inputs[2]
        return [(y[0], w[1] * self.groups, *(size[i] for i in range(self.ndim)))]

    def L_op(self, inputs, outputs, gradients):
        w, y, _ = inputs
        (g,) = gradients
        return [
            self._sibling(ConvWeightGradient)(g, y, _spatial_shape(w)),
            self._sibling(Conv)(g, w),
            aesara.gradient.DisconnectedType()(),
        ]


class ConvWeightGradient(_ConvOp):
    """The transpose of `Conv` in w: inputs x, y and the spatial size of the filters."""

    c_function = "conv_weight_gradient"
    direction = "weight gradient"

    def make_node(self, x, y, kernel):
        x = as_float_tensor(str(self), "the input", x, self.ndim + 2)
        y = as_float_tensor(str(self), "the output's gradient", y, self.ndim + 2)
        dtype = common_dtype(str(self), x, y)
        x, y = at.cast(x, dtype), at.cast(y, dtype)
        kernel = as_size_vector(str(self), "kernel", kernel, self.ndim)
        x_shape, y_shape = x.type.shape, y.type.shape
        channels = None if x_shape[1] is None else x_shape[1] // self.groups
        shape = (y_shape[1], channels, *static_sizes(kernel, self.ndim))
        self._check(x_shape, shape, y_shape)
        return aesara.graph.basic.Apply(self, [x, y, kernel], [at.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage, params=None):
        x, y, kernel = inputs
        kernel = self._as_sizes(kernel)
        self._check(x.shape, (y.shape[1], x.shape[1] // self.groups, *kernel), y.shape)
        output_storage[0][0] = _taps.conv_weight_gradient(x, y, kernel, *self._numpy_arguments(x.shape[2:], kernel))

    def infer_shape(self, fgraph, node, shapes):
        x, y, _ = shapes
        kernel = node.inputs[2]
        return [(y[1], x[1] // self.groups, *(kernel[i] for i in range(self.ndim)))]

    def L_op(self, inputs, outputs, gradients):
        x, y, _ = inputs
        (g,) = gradients
        return [
            self._sibling(ConvInputGradient)(g, y, _spatial_shape(x)),
            self._sibling(Conv)(x, g),
            aesara.gradient.DisconnectedType()(),
        ]


def _spatial_shape(variable):
    """The spatial sizes of a variable: as numbers where they are known, else symbolic."""
    return [n if n is not None else variable.shape[i] for i, n in enumerate(variable.type.shape) if i >= 2]


def conv(x: Any, w: Any, *, border_mode="valid", stride=1, dilation=1, groups=1, flip=False) -> Any:
    """Convolve `x` ``(N, C, *in)`` with filters `w` ``(M, C / groups, *kernel)`` into ``(N, M, *out)``.

    Parameters
    ----------
    border_mode
        ``"valid"``, ``"half"``, ``"full"``, ``"same"`` (TensorFlow's, ONNX's SAME_UPPER), ``"same_lower"``, a
        number of zeros, one per axis, or a pair ``(before, after)`` per axis.
    stride, dilation
        A number or one per axis, at least 1.
    groups
        Input and output channels are cut into as many groups, each convolved by itself.
    flip
        False correlates (Caffe, TensorFlow, torch), True convolves (Theano).

    Raises
    ------
    SizeError
        A rank, channel count, kernel, stride or pad that cannot be: now where sizes are known, else at the call.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 2, 5, 7), "float32"), np.ones((3, 2, 3, 2), "float32")
    >>> conv(x, w, border_mode=((1, 1), (0, 1)), stride=(2, 3)).eval().shape
    (1, 3, 3, 3)
    """
    x = at.as_tensor_variable(x)
    return Conv(x.ndim - 2, border_mode, stride, dilation, groups, flip)(x, w)


def conv_input_gradient(w: Any, y: Any, size: Any, *, border_mode="valid", stride=1, dilation=1, groups=1, flip=False):
    """The deconvolution: the gradient of `conv` with respect to its input, applied to `y` ``(N, M, *out)``.

    `w` ``(M, C / groups, *kernel)`` are the filters of the forward convolution, `size` the spatial sizes of the
    result ``(N, C, *size)``: ints, symbolic scalars or an integer vector. The other arguments are those of `conv`.

    Examples
    --------
    >>> import numpy as np
    >>> w, y = np.ones((3, 2, 3, 2), "float32"), np.ones((1, 3, 4, 5), "float32")
    >>> conv_input_gradient(w, y, (9, 10), stride=2).eval().shape
    (1, 2, 9, 10)
    """
    y = at.as_tensor_variable(y)
    return ConvInputGradient(y.ndim - 2, border_mode, stride, dilation, groups, flip)(w, y, size)


def conv_weight_gradient(
    x: Any, y: Any, kernel: Any, *, border_mode="valid", stride=1, dilation=1, groups=1, flip=False
):
    """The gradient of `conv` with respect to its filters, ``(M, C / groups, *kernel)``, from `x` and `y`'s gradient.

    `kernel` are the spatial sizes of the filters; the other arguments are those of `conv`.
    """
    x = at.as_tensor_variable(x)
    return ConvWeightGradient(x.ndim - 2, border_mode, stride, dilation, groups, flip)(x, y, kernel)
