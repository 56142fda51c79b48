"""The one place that imports JAX, and what must be settled before it is: memory, compiled programs, 64-bit numbers, the
device.

JAX's settings are the user's. 64-bit numbers are switched on around each of our own calls and nowhere else.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.errors import DeconvLegacyError, MismatchError, MissingExtraError

__all__ = ["compiled_folder", "device_of", "jax", "with_64_bits", "without_side_effects"]

# JAX would otherwise take three quarters of a GPU's memory at once; a script must be able to share it. Whoever sets
# the variable decides.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

# A large net compiles for 20 seconds, which the next process need not do again: programs lie beside Aesara's C code.
# JAX reads the variables once, when it is imported. With a largest size it locks the folder, so that processes can
# share it; what was not used for longest goes.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(aesara.config.base_compiledir) / "jax"))
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**30))

try:
    import jax as module
except ModuleNotFoundError as error:
    if error.name in ("jax", "jaxlib"):
        raise MissingExtraError("jax", "jax", "the JAX backend") from None
    raise
except Exception as error:  # versions that do not fit one another fail in many ways
    raise DeconvLegacyError(
        f"JAX is installed but cannot be imported ({type(error).__name__}: {error}): "
        'pip install --force-reinstall "deconv_legacy[jax]"'
    ) from error

jax: Any = module  # whose types differ from version to version


def compiled_folder() -> str | None:
    """Where JAX keeps compiled programs; None if it does not."""
    return jax.config.jax_compilation_cache_dir if jax.config.jax_enable_compilation_cache else None


def with_64_bits() -> Any:
    """A context in which JAX has float64 and int64, for this thread."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


@contextlib.contextmanager
def without_side_effects():
    """For the import of Aesara's own bridge to JAX, which sets 64-bit numbers for the whole process."""
    before = jax.config.jax_enable_x64
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


@functools.cache
def device_of(name: str | None) -> Any:
    """The device called ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ...; for None the one that JAX prefers (a GPU if any)."""
    kind, _, number = (name or "").partition(":")
    try:
        devices = jax.local_devices(backend=kind or None)
        return devices[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        there = ", ".join(f"{d.platform}:{d.id}" for d in jax.local_devices())
        more = '; for an NVIDIA GPU: pip install "deconv_legacy[cuda]"' if kind == "gpu" and "gpu:" not in there else ""
        there += "" if "cpu:" in there else " and cpu"
        raise MismatchError(f"JAX has no device {name!r} here; it has {there}{more} ({error})") from None
