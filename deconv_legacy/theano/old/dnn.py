"""cuDNN as Theano called it (``theano.sandbox.cuda.dnn``, ``theano.gpuarray.dnn``), computed by the engine on the CPU.

``conv_mode="conv"`` flips the filters, ``"cross"`` does not. Algorithms, workspaces and precisions are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deconv_legacy.engine import aesara, conv, conv_input_gradient, conv_weight_gradient, pooling
from deconv_legacy.theano.old import gpu

__all__ = [
    "DnnBase",
    "GpuDnnBatchNorm",
    "GpuDnnBatchNormInference",
    "GpuDnnConv",
    "GpuDnnConv3d",
    "GpuDnnConv3dGradI",
    "GpuDnnConv3dGradW",
    "GpuDnnConvDesc",
    "GpuDnnConvGradI",
    "GpuDnnConvGradW",
    "GpuDnnPool",
    "GpuDnnPoolDesc",
    "GpuDnnPoolGrad",
    "GpuDnnSoftmax",
    "GpuDnnSoftmaxGrad",
    "dnn_available",
    "dnn_batch_normalization_test",
    "dnn_batch_normalization_train",
    "dnn_conv",
    "dnn_conv3d",
    "dnn_gradinput",
    "dnn_gradinput3d",
    "dnn_gradweight",
    "dnn_gradweight3d",
    "dnn_pool",
    "dnn_present",
    "version",
]

at = aesara.tensor
DnnBase = aesara.graph.op.Op


def dnn_available(context_name: Any = None) -> bool:
    """True only when a GPU is pretended; the calls below work either way."""
    dnn_available.msg = None if gpu.available() else "there is no GPU: cuDNN's calls are computed on the CPU"  # type: ignore[attr-defined]
    return gpu.available()


def dnn_present() -> bool:
    return dnn_available()


dnn_available()
dnn_present.avail = None  # type: ignore[attr-defined]
dnn_present.msg = None  # type: ignore[attr-defined]


def version(raises: bool = True) -> Any:
    """The version told while a GPU is pretended: cuDNN 5.1, which all that is here knew."""
    if gpu.available():
        return 5110
    if raises:
        raise RuntimeError("We can't determine the cudnn version as it is not available: there is no GPU")
    return -1


@dataclass(frozen=True)
class ConvDescriptor:
    """The options of a convolution, as the engine takes them."""

    border_mode: Any
    subsample: tuple[int, ...]
    dilation: tuple[int, ...]
    conv_mode: str
    num_groups: int = 1

    def options(self, num_groups: int) -> dict[str, Any]:
        return dict(
            border_mode=self.border_mode,
            stride=self.subsample,
            dilation=self.dilation,
            groups=max(num_groups, self.num_groups),
            flip=self.conv_mode == "conv",
        )


class GpuDnnConvDesc:
    """``GpuDnnConvDesc(border_mode, subsample, conv_mode)(img_shape, kern_shape)``; the shapes are not needed."""

    def __init__(
        self,
        border_mode: Any,
        subsample: Any = (1, 1),
        *args: Any,
        dilation: Any = None,
        conv_mode: str | None = None,
        precision: str = "float32",
        num_groups: int = 1,
    ):
        # Theano 1.0 has dilation in third place, earlier versions conv_mode
        for value in args:
            if value in ("conv", "cross"):
                conv_mode = value
            elif isinstance(value, (tuple, list)):
                dilation = value
        conv_mode = conv_mode or "conv"
        if conv_mode not in ("conv", "cross"):
            raise ValueError(f"conv_mode is {conv_mode!r}: 'conv' or 'cross' is legal")
        ndim = len(subsample)
        self.descriptor = ConvDescriptor(
            border_mode if isinstance(border_mode, str) or np.ndim(border_mode) else (border_mode,) * ndim,
            tuple(subsample),
            tuple(dilation or (1,) * ndim),
            conv_mode,
            num_groups,
        )

    def __call__(self, *shapes: Any) -> ConvDescriptor:
        return self.descriptor


def _scaled(result: Any, output: Any, alpha: Any, beta: Any) -> Any:
    """cuDNN's ``alpha * result + beta * output``; alpha None is 1, beta None is 0."""
    if alpha is not None and not _is(alpha, 1):
        result = at.cast(alpha, result.dtype) * result
    if beta is not None and not _is(beta, 0):
        result = result + at.cast(beta, result.dtype) * output
    return result


def _is(value: Any, number: float) -> bool:
    try:
        return float(at.get_scalar_constant_value(value)) == number
    except at.exceptions.NotScalarConstantError:
        return False


class _ConvCall:
    def __init__(self, *args: Any, num_groups: int = 1, **options: Any):
        self.num_groups = num_groups  # inplace, workmem and algo say how, not what


class GpuDnnConv(_ConvCall):
    """``GpuDnnConv()(img, kern, output, desc, alpha=1, beta=0)``."""

    def __call__(
        self, img: Any, kern: Any, output: Any, desc: ConvDescriptor, alpha: Any = None, beta: Any = None
    ) -> Any:
        return _scaled(conv(img, kern, **desc.options(self.num_groups)), output, alpha, beta)


class GpuDnnConvGradI(_ConvCall):
    """``GpuDnnConvGradI()(kern, topgrad, output, desc, alpha=1, beta=0)``: the deconvolution, as large as `output`."""

    def __call__(
        self, kern: Any, topgrad: Any, output: Any, desc: ConvDescriptor, alpha: Any = None, beta: Any = None
    ) -> Any:
        output = at.as_tensor_variable(output)
        size = [output.shape[i] for i in range(2, output.ndim)]
        result = conv_input_gradient(kern, topgrad, size, **desc.options(self.num_groups))
        return _scaled(result, output, alpha, beta)


class GpuDnnConvGradW(_ConvCall):
    """``GpuDnnConvGradW()(img, topgrad, output, desc, alpha=1, beta=0)``, of the size of `output`."""

    def __call__(
        self, img: Any, topgrad: Any, output: Any, desc: ConvDescriptor, alpha: Any = None, beta: Any = None
    ) -> Any:
        output = at.as_tensor_variable(output)
        kernel = [output.shape[i] for i in range(2, output.ndim)]
        result = conv_weight_gradient(img, topgrad, kernel, **desc.options(self.num_groups))
        return _scaled(result, output, alpha, beta)


GpuDnnConv3d, GpuDnnConv3dGradI, GpuDnnConv3dGradW = GpuDnnConv, GpuDnnConvGradI, GpuDnnConvGradW


def dnn_conv(
    img: Any,
    kerns: Any,
    border_mode: Any = "valid",
    subsample: Any = None,
    dilation: Any = None,
    conv_mode: str = "conv",
    direction_hint: Any = None,
    workmem: Any = None,
    algo: Any = None,
    precision: Any = None,
    num_groups: int = 1,
) -> Any:
    """Convolve ``(N, C, H, W)`` images; `direction_hint`, which chose among equal computations, is ignored.

    Up to Theano 0.8 `conv_mode` came before `dilation`; a word there is taken for it.
    """
    img = at.as_tensor_variable(img)
    if isinstance(dilation, str):
        conv_mode, dilation = dilation, None
    ones = (1,) * (img.ndim - 2)
    desc = GpuDnnConvDesc(border_mode, subsample or ones, dilation=dilation, conv_mode=conv_mode)()
    return conv(img, kerns, **desc.options(num_groups))


dnn_conv3d = dnn_conv


def _ones(subsample: Any, tensor: Any) -> Any:
    return subsample or (1,) * (at.as_tensor_variable(tensor).ndim - 2)


def dnn_gradweight(
    img: Any,
    topgrad: Any,
    kerns_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = None,
    *args: Any,
    dilation: Any = None,
    conv_mode: str | None = None,
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of `dnn_conv` in its filters, whose whole shape is `kerns_shp`."""
    desc = GpuDnnConvDesc(border_mode, _ones(subsample, img), *args, dilation=dilation, conv_mode=conv_mode)()
    return conv_weight_gradient(img, topgrad, _sizes(kerns_shp), **desc.options(num_groups))


def dnn_gradinput(
    kerns: Any,
    topgrad: Any,
    img_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = None,
    *args: Any,
    dilation: Any = None,
    conv_mode: str | None = None,
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of `dnn_conv` in its images, whose whole shape is `img_shp`."""
    desc = GpuDnnConvDesc(border_mode, _ones(subsample, kerns), *args, dilation=dilation, conv_mode=conv_mode)()
    return conv_input_gradient(kerns, topgrad, _sizes(img_shp), **desc.options(num_groups))


dnn_gradweight3d, dnn_gradinput3d = dnn_gradweight, dnn_gradinput


def _sizes(shape: Any) -> Any:
    """The spatial part of a whole shape, given as numbers or as a vector."""
    return [shape[i] for i in range(2, len(shape) if isinstance(shape, (tuple, list)) else at.get_vector_length(shape))]


def dnn_pool(img: Any, ws: Any, stride: Any = None, mode: str = "max", pad: Any = None) -> Any:
    """Pool with cuDNN's rule: windows that do not fit are dropped, steps of 1 by default, any pad below the window.

    `mode` is ``"max"`` (also ``"max_deterministic"``), ``"average_inc_pad"``, ``"average_exc_pad"``, ``"average"``
    (the first of these, Theano 0.7) or ``"sum"``.
    """
    ndim = len(ws)
    stride, pad = tuple(stride or (1,) * ndim), tuple(pad or (0,) * ndim)
    if mode in ("max", "max_deterministic"):
        return pooling.max_pool(img, tuple(ws), stride, pad)
    divisors = {"average_inc_pad": "padded", "average": "padded", "average_exc_pad": "real", "sum": "one"}
    if mode not in divisors:
        raise ValueError(f"mode is {mode!r}: 'max' or one of {', '.join(map(repr, divisors))} is legal")
    return pooling.average_pool(img, tuple(ws), stride, pad, divisor=divisors[mode])


class GpuDnnPoolDesc:
    """``GpuDnnPoolDesc(ws, stride, mode, pad)()``."""

    def __init__(self, ws: Any = (1, 1), stride: Any = (1, 1), mode: str = "max", pad: Any = (0, 0)):
        self.arguments = (tuple(ws), tuple(stride), mode, tuple(pad))

    def __call__(self) -> GpuDnnPoolDesc:
        return self


class GpuDnnPool:
    """``GpuDnnPool(mode)(img, ws, stride, pad)``, before Theano 0.8 ``GpuDnnPool()(img, desc)``."""

    def __init__(self, mode: str = "max"):
        self.mode = mode

    def __call__(self, img: Any, ws: Any, stride: Any = None, pad: Any = None) -> Any:
        if isinstance(ws, GpuDnnPoolDesc):
            ws, stride, mode, pad = ws.arguments
            return dnn_pool(img, ws, stride, mode, pad)
        return dnn_pool(img, ws, stride, self.mode, pad)


class GpuDnnPoolGrad:
    """``GpuDnnPoolGrad(mode)(inp, out, out_grad, ws, stride, pad)``, once ``(inp, out, out_grad, desc)``."""

    def __init__(self, mode: str = "max"):
        self.mode = mode

    def __call__(self, inp: Any, out: Any, out_grad: Any, ws: Any, stride: Any = None, pad: Any = None) -> Any:
        inp = at.as_tensor_variable(inp)
        return aesara.gradient.Lop(GpuDnnPool(self.mode)(inp, ws, stride, pad), inp, out_grad)


def _softmax_axes(x: Any, mode: str) -> Any:
    if mode not in ("channel", "instance"):
        raise ValueError(f"mode is {mode!r}: 'channel' or 'instance' is legal")
    return 1 if mode == "channel" else tuple(range(1, x.ndim))


class GpuDnnSoftmax:
    """``GpuDnnSoftmax(algo, mode)(x)``, before Theano 0.9 with ``tensor_format`` first; over channels or all."""

    formats: ClassVar[tuple[str, ...]] = ("bc01", "b01c")

    def __init__(self, *args: Any, tensor_format: str = "bc01", algo: str = "accurate", mode: str = "channel"):
        words = [word for word in args if word not in self.formats]
        given = dict(zip(("algo", "mode"), words, strict=False))
        self.algo, self.mode = given.get("algo", algo), given.get("mode", mode)
        self.tensor_format = next((word for word in args if word in self.formats), tensor_format)

    def __call__(self, x: Any) -> Any:
        x = at.as_tensor_variable(x)
        axes = x.ndim - 1 if (self.mode, self.tensor_format) == ("channel", "b01c") else _softmax_axes(x, self.mode)
        exponential = at.exp(x - x.max(axis=axes, keepdims=True))
        sums = exponential.sum(axis=axes, keepdims=True)
        return x - x.max(axis=axes, keepdims=True) - at.log(sums) if self.algo == "log" else exponential / sums


class GpuDnnSoftmaxGrad(GpuDnnSoftmax):
    """``GpuDnnSoftmaxGrad(algo, mode)(dy, sm)``."""

    def __call__(self, dy: Any, sm: Any) -> Any:  # type: ignore[override]
        dy, sm = at.as_tensor_variable(dy), at.as_tensor_variable(sm)
        axes = sm.ndim - 1 if (self.mode, self.tensor_format) == ("channel", "b01c") else _softmax_axes(sm, self.mode)
        if self.algo == "log":
            return dy - at.exp(sm) * dy.sum(axis=axes, keepdims=True)
        return sm * (dy - (dy * sm).sum(axis=axes, keepdims=True))


def dnn_batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mode: Any = "per-activation",
    epsilon: float = 1e-4,
    running_average_factor: Any = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> Any:
    """`batch_normalization_train` of ``nnet.bn``: output, mean, 1 / standard deviation, new running averages."""
    result = at.nnet.batchnorm.batch_normalization_train(
        inputs, gamma, beta, mode, epsilon, running_average_factor, running_mean, running_var
    )
    return tuple(result)


def dnn_batch_normalization_test(
    inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, mode: Any = "per-activation", epsilon: float = 1e-4
) -> Any:
    """`batch_normalization_test` of ``nnet.bn``."""
    return at.nnet.batchnorm.batch_normalization_test(inputs, gamma, beta, mean, var, mode, epsilon)


class GpuDnnBatchNorm:
    """``GpuDnnBatchNorm(mode, ...)(x, scale, bias, epsilon, ...)``."""

    def __init__(self, mode: str = "per-activation", *args: Any, **options: Any):
        self.mode = mode

    def __call__(self, x: Any, scale: Any, bias: Any, epsilon: float = 1e-4, *args: Any, **running: Any) -> Any:
        return dnn_batch_normalization_train(x, scale, bias, self.mode, epsilon, *args, **running)


class GpuDnnBatchNormInference:
    """``GpuDnnBatchNormInference(mode)(x, scale, bias, mean, variance, epsilon)``."""

    def __init__(self, mode: str = "per-activation", inplace: bool = False):
        self.mode = mode

    def __call__(self, x: Any, scale: Any, bias: Any, mean: Any, variance: Any, epsilon: float = 1e-4) -> Any:
        return dnn_batch_normalization_test(x, scale, bias, mean, variance, self.mode, epsilon)
