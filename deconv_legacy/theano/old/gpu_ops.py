"""What both GPU back-ends had under the same names, on the CPU: transfers do nothing, arrays are NumPy's."""

from __future__ import annotations

from typing import Any

from aesara.tensor.nnet.neighbours import Images2Neibs
from aesara.tensor.shape import Reshape, shape

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import nnet

__all__ = [
    "GpuContiguous",
    "GpuDimShuffle",
    "GpuElemwise",
    "GpuFromHost",
    "GpuImages2Neibs",
    "GpuJoin",
    "GpuOp",
    "GpuReshape",
    "GpuSoftmax",
    "GpuSoftmaxWithBias",
    "GpuSubtensor",
    "HostFromGpu",
    "gpu_contiguous",
    "gpu_join",
    "gpu_shape",
    "host_from_gpu",
]

at = aesara.tensor

GpuOp = aesara.graph.op.Op
GpuElemwise, GpuDimShuffle = at.elemwise.Elemwise, at.elemwise.DimShuffle
GpuReshape, GpuJoin, GpuSubtensor = Reshape, at.basic.Join, at.subtensor.Subtensor
GpuImages2Neibs = Images2Neibs
GpuSoftmax = nnet.Softmax
gpu_join, gpu_shape = at.basic.Join(), shape


def GpuSoftmaxWithBias() -> Any:
    return at.nnet.basic.softmax_with_bias


def gpu_contiguous(x: Any) -> Any:
    """`x` itself: the engine takes any strides."""
    return at.as_tensor_variable(x)


def host_from_gpu(x: Any) -> Any:
    """`x` itself."""
    return at.as_tensor_variable(x)


def GpuContiguous() -> Any:
    return gpu_contiguous


def HostFromGpu(*args: Any) -> Any:
    return host_from_gpu


def GpuFromHost(*context: Any) -> Any:
    """The Op that brought an array to a GPU, or with an array (Theano 0.6) that array."""
    return at.as_tensor_variable
