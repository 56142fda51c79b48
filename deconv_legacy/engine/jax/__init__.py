"""The bridge to JAX: every Op of the engine, and Aesara's own as far as layers, networks and losses use them.

Imported only when it is asked for; ``pip install "deconv_legacy[jax]"`` for the CPU, ``[cuda]`` for NVIDIA GPUs.
"""

from deconv_legacy.engine.device import to_host
from deconv_legacy.engine.jax import _indices, _linalg, _nnet, _numbers, _random, _scan  # noqa: F401 they register
from deconv_legacy.engine.jax._import import compiled_folder, device_of, jax
from deconv_legacy.engine.jax.function import DeviceMemoryError, JaxFunction, Replacement
from deconv_legacy.engine.jax.graph import JaxGraph, as_jax
from deconv_legacy.engine.jax.translate import DataDependentError, register

__all__ = [
    "DataDependentError",
    "DeviceMemoryError",
    "JaxFunction",
    "JaxGraph",
    "Replacement",
    "as_jax",
    "compiled_folder",
    "device_of",
    "jax",
    "register",
    "to_host",
]
