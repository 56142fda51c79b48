"""``theano.gpuarray`` (``theano.sandbox.gpuarray`` in 0.7-0.8), the second GPU back-end, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from aesara.tensor.basic import AllocEmpty

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old import gpu, gpu_ops
from deconv_legacy.theano.old.gpu_ops import *  # noqa: F403 - both back-ends have these names

__all__ = [
    *gpu_ops.__all__,
    "ContextNotDefined",
    "GpuAlloc",
    "GpuAllocEmpty",
    "GpuArrayConstant",
    "GpuArraySharedVariable",
    "GpuArrayType",
    "GpuArrayVariable",
    "GpuFromCuda",
    "GpuToGpu",
    "as_gpuarray",
    "as_gpuarray_variable",
    "get_context",
    "gpu_alloc",
    "gpu_alloc_empty",
    "gpu_context_type",
    "gpu_from_host",
    "gpuarray_shared_constructor",
    "infer_context_name",
    "init_dev",
    "list_contexts",
    "pygpu",
    "pygpu_activated",  # noqa: F405 - by __getattr__
    "reg_context",
    "transfer",
    "use",
]

at = aesara.tensor

GpuArrayVariable, GpuArrayConstant = at.TensorVariable, at.TensorConstant
GpuArraySharedVariable = at.sharedvar.TensorSharedVariable
gpu_context_type = aesara.link.c.type.generic
pygpu = None


def __getattr__(name: str) -> Any:
    if name == "pygpu_activated":
        return gpu.available()
    raise AttributeError(name)


class ContextNotDefined(ValueError):
    """A GPU context that is not there."""


def GpuArrayType(dtype: str, broadcastable: Any, context_name: Any = None, name: str | None = None) -> Any:
    """The type of arrays on the GPU: a tensor of that dtype."""
    return at.TensorType(dtype, tuple(broadcastable), name)


def as_gpuarray_variable(x: Any, context_name: Any = None) -> Any:
    """`x` as a tensor variable."""
    return at.as_tensor_variable(x)


def as_gpuarray(x: Any, *args: Any) -> Any:
    return np.asarray(x)


def transfer(x: Any, target: Any = None) -> Any:
    return at.as_tensor_variable(x)


def GpuToGpu(context_name: Any) -> Any:
    return at.as_tensor_variable


def gpu_from_host(context_name: Any) -> Any:
    return at.as_tensor_variable


GpuFromCuda = gpu_from_host


def GpuAllocEmpty(dtype: str, context_name: Any = None) -> Any:
    """An Op that makes arrays of given sizes, whatever they hold."""
    return AllocEmpty(dtype)


def gpu_alloc_empty(ctx: Any, dtype: str) -> Any:
    """``gpu_alloc_empty(context, dtype)(*sizes)``."""
    return AllocEmpty(dtype)


def GpuAlloc(context_name: Any = None, memset_0: bool = False) -> Any:
    return at.alloc


def gpu_alloc(ctx: Any, memset_0: bool = False) -> Any:
    """``gpu_alloc(context)(value, *sizes)``."""
    return at.alloc


def gpuarray_shared_constructor(value: Any, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
    """A shared variable."""
    for gone in ("target", "context_name"):
        kwargs.pop(gone, None)
    return aesara.shared(np.asarray(value), name, **kwargs)


def infer_context_name(*variables: Any) -> None:
    """The one context there is."""


def get_context(name: Any) -> Any:
    raise ContextNotDefined(f"context name {name} not defined: everything runs on the CPU")


def list_contexts() -> list[Any]:
    return []


def reg_context(name: Any, ctx: Any) -> None:
    """Has no effect."""


def use(device: Any, *args: Any, **kwargs: Any) -> None:
    """Choosing a GPU has no effect."""


init_dev = use
