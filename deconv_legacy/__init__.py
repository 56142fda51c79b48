"""Run the deconvolution code of 2014-2017 today, with the same numbers.

``import deconv_legacy`` makes Aesara's own ``conv2d`` compile and train (see `deconv_legacy.engine.rewrites`). The
rooms are imported by name: ``geometry``, ``layers``, ``networks``, ``training``, ``caffe``, ``theano``, ``tf``,
``testing``.
"""

from typing import Any

from deconv_legacy import engine, geometry
from deconv_legacy._version import __version__

__all__ = ["__version__", "as_jax", "engine", "geometry"]


def __getattr__(name: str) -> Any:
    if name == "as_jax":  # JAX is imported when it is asked for
        from deconv_legacy.engine.jax import as_jax

        return as_jax
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
