"""The GPU's "CorrMM" convolutions: correlation (no flip) by matrix products. Here the engine computes them."""

from __future__ import annotations

from typing import Any, ClassVar

from aesara.tensor.blas import batched_dot as gpu_batched_dot

from deconv_legacy import geometry
from deconv_legacy.engine import aesara
from deconv_legacy.engine.convolution import Conv, ConvInputGradient, ConvWeightGradient

__all__ = [
    "GpuCorr3dMM",
    "GpuCorr3dMM_gradInputs",
    "GpuCorr3dMM_gradWeights",
    "GpuCorrMM",
    "GpuCorrMM_gradInputs",
    "GpuCorrMM_gradWeights",
    "GpuDot22",
    "GpuGemm",
    "gpu_batched_dot",
    "gpu_dot22",
]

at = aesara.tensor
gpu_dot22 = at.blas._dot22
GpuDot22, GpuGemm = type(gpu_dot22), at.blas.Gemm


class _CorrMM:
    ndim: ClassVar[int] = 2
    kind: ClassVar[Any]

    def __init__(
        self,
        border_mode: Any = "valid",
        subsample: Any = None,
        filter_dilation: Any = None,
        num_groups: int = 1,
        unshared: bool = False,
        pad: Any = None,
    ):
        if unshared:
            raise NotImplementedError(f"{type(self).__name__}: unshared convolutions are served by AbstractConv2d")
        # "pad" was the name of border_mode before Theano 0.8
        mode = border_mode if pad is None or not any(geometry.per_axis(pad, self.ndim, "pad", minimum=0)) else pad
        ones = (1,) * self.ndim
        self.border_mode, self.subsample = mode, subsample or ones
        self.op = self.kind(self.ndim, mode, subsample or ones, filter_dilation or ones, num_groups, False)

    def _sizes(self, shape: Any, formula: Any) -> Any:
        """The sizes asked for, or the only ones there are at stride 1."""
        if shape is not None:
            return [shape[i] for i in range(self.ndim)]
        if self.op.stride != (1,) * self.ndim or self.border_mode == "half":
            raise ValueError('shape must be given if subsample != (1, 1) or border_mode == "half"')
        return [formula(axis) for axis in range(self.ndim)]

    def _pad(self, axis: int, kernel: Any) -> Any:
        mode = self.op.border_mode[axis]
        return 2 * (kernel - 1) * self.op.dilation[axis] if mode == "full" else sum(mode)


class GpuCorrMM(_CorrMM):
    """``GpuCorrMM(border_mode, subsample, filter_dilation)(img, kern)``."""

    kind = Conv

    def __call__(self, img: Any, kern: Any) -> Any:
        return self.op(img, kern)


class GpuCorrMM_gradInputs(_CorrMM):
    """``GpuCorrMM_gradInputs(border_mode, subsample)(kern, topgrad, shape)``: the deconvolution."""

    kind = ConvInputGradient

    def __call__(self, kern: Any, topgrad: Any, shape: Any = None) -> Any:
        kern, topgrad = at.as_tensor_variable(kern), at.as_tensor_variable(topgrad)

        def size(axis: int) -> Any:
            kernel = kern.shape[2 + axis]
            extent = (kernel - 1) * self.op.dilation[axis]
            return topgrad.shape[2 + axis] + extent - self._pad(axis, kernel)

        return self.op(kern, topgrad, self._sizes(shape, size))


class GpuCorrMM_gradWeights(_CorrMM):
    """``GpuCorrMM_gradWeights(border_mode, subsample)(img, topgrad, shape)``."""

    kind = ConvWeightGradient

    def __call__(self, img: Any, topgrad: Any, shape: Any = None) -> Any:
        img, topgrad = at.as_tensor_variable(img), at.as_tensor_variable(topgrad)

        def size(axis: int) -> Any:
            if self.op.border_mode[axis] == "full":
                return topgrad.shape[2 + axis] - img.shape[2 + axis] + 1
            return img.shape[2 + axis] + self._pad(axis, None) - topgrad.shape[2 + axis] + 1

        return self.op(img, topgrad, self._sizes(shape, size))


class GpuCorr3dMM(GpuCorrMM):
    """`GpuCorrMM` for volumes."""

    ndim = 3


class GpuCorr3dMM_gradInputs(GpuCorrMM_gradInputs):
    """`GpuCorrMM_gradInputs` for volumes."""

    ndim = 3


class GpuCorr3dMM_gradWeights(GpuCorrMM_gradWeights):
    """`GpuCorrMM_gradWeights` for volumes."""

    ndim = 3
