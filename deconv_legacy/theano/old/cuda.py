"""``theano.sandbox.cuda``, the GPU back-end of Theano 0.6-0.9, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.tensor.basic import AllocEmpty

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import gpu, gpu_ops
from deconv_legacy.theano.old.gpu_ops import *  # noqa: F403 - both back-ends have these names

__all__ = [
    *gpu_ops.__all__,
    "CudaNdarray",
    "CudaNdarrayConstant",
    "CudaNdarraySharedVariable",
    "CudaNdarrayType",
    "CudaNdarrayVariable",
    "GpuAlloc",
    "GpuAllocEmpty",
    "active_device_number",
    "as_cuda_ndarray_variable",
    "cuda_available",  # noqa: F405 - by __getattr__
    "cuda_enabled",  # noqa: F405 - by __getattr__
    "cuda_ndarray",
    "cuda_shared_constructor",
    "float32_shared_constructor",
    "gpu_alloc",
    "gpu_alloc_empty",
    "gpu_from_host",
    "gpu_optimizer",
    "handle_shared_float32",
    "mem_info",
    "set_cuda_disabled",
    "shared_constructor",
    "test_nvidia_driver1",
    "unuse",
    "use",
]

at = aesara.tensor

CudaNdarray = np.ndarray
CudaNdarrayVariable, CudaNdarrayConstant = at.TensorVariable, at.TensorConstant
CudaNdarraySharedVariable = at.sharedvar.TensorSharedVariable
cuda_ndarray = np
gpu_optimizer = aesara.graph.rewriting.db.EquilibriumDB()


def __getattr__(name: str) -> Any:
    if name in ("cuda_available", "cuda_enabled"):
        return gpu.available()
    raise AttributeError(name)


def CudaNdarrayType(broadcastable: Any, name: str | None = None, dtype: str = "float32") -> Any:
    """The type of arrays on the GPU: a float32 tensor."""
    return at.TensorType(dtype, tuple(broadcastable), name)


def as_cuda_ndarray_variable(x: Any) -> Any:
    """`x` as a tensor variable."""
    return at.as_tensor_variable(x)


gpu_from_host = as_cuda_ndarray_variable


def _empty(*sizes: Any) -> Any:
    return AllocEmpty("float32")(*sizes)


def GpuAllocEmpty() -> Any:
    return gpu_alloc_empty


def gpu_alloc_empty(*sizes: Any) -> Any:
    """A float32 array of these sizes, whatever it holds."""
    return _empty(*sizes)


def GpuAlloc(memset_0: bool = False) -> Any:
    return gpu_alloc


def gpu_alloc(value: Any, *sizes: Any) -> Any:
    """A value broadcast to these sizes."""
    return at.alloc(value, *sizes)


def float32_shared_constructor(value: Any, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
    """A shared variable of float32."""
    kwargs.pop("target", None)
    return aesara.shared(np.asarray(value, "float32"), name, **kwargs)


shared_constructor = cuda_shared_constructor = float32_shared_constructor


def use(device: Any, *args: Any, **kwargs: Any) -> None:
    """Choosing a GPU has no effect."""


def unuse() -> None:
    """Has no effect."""


def handle_shared_float32(tf: bool) -> None:
    """Has no effect."""


def set_cuda_disabled() -> None:
    gpu.pretend(False)


def test_nvidia_driver1() -> None:
    """There is no driver to test."""


def active_device_number() -> int:
    return 0


def mem_info() -> tuple[int, int]:
    """Free and whole memory; of no GPU, 0."""
    return 0, 0
