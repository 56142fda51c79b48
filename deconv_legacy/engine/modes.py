"""The backends, and Aesara's mode for each; what is said where there is no compiler."""

from __future__ import annotations

import warnings
from typing import Any

from deconv_legacy.engine import elementwise, sizes
from deconv_legacy.engine._aesara import aesara, have_compiler

__all__ = [
    "BACKENDS",
    "HOW_TO_INSTALL",
    "PRECISIONS",
    "NoCompilerWarning",
    "check_backend",
    "jax_options",
    "mode_of",
]

BACKENDS = ("c", "numpy", "jax")

PRECISIONS = ("float32", "tf32", "bfloat16")
"""Of convolutions and products in JAX."""

HOW_TO_INSTALL = (
    "install one for speed (Debian/Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; "
    "conda: conda install gxx_linux-64; macOS: xcode-select --install)"
)


class NoCompilerWarning(UserWarning):
    """No C++ compiler was found, so everything runs on NumPy."""


_warned = False


def _warn_once() -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"no C++ compiler was found: everything runs on NumPy, several times slower; {HOW_TO_INSTALL}",
            NoCompilerWarning,
            stacklevel=4,  # the caller of `compile`
        )


def check_backend(backend: str | None) -> str | None:
    """The backend, if it is one: see `compile`.

    >>> check_backend("jax:gpu:1:tf32")
    'jax:gpu:1:tf32'
    """
    if backend in (None, "c", "numpy"):
        return backend
    if not isinstance(backend, str) or backend.split(":")[0] != "jax":
        raise ValueError(
            f"backend {backend!r} is unknown; legal are {', '.join(map(repr, BACKENDS))}, "
            "and 'jax:...' with a device, a precision"
        )
    jax_options(backend)
    return backend


def jax_options(backend: str) -> dict[str, Any]:
    """What follows ``jax`` in the name of a backend: device, precision, determinism.

    >>> jax_options("jax:gpu:1:tf32")
    {'device': 'gpu:1', 'precision': 'tf32'}
    """
    options: dict[str, Any] = {}
    for word in backend.split(":")[1:]:
        if word in ("cpu", "gpu"):
            options["device"] = word
        elif word.isdigit() and "device" in options:
            options["device"] += f":{word}"
        elif word in PRECISIONS:
            options["precision"] = word
        elif word == "deterministic":
            options["deterministic"] = True
        else:
            raise ValueError(
                f"backend {backend!r}: {word!r} is unknown; after 'jax' may follow 'cpu', 'gpu' or 'gpu:1', one of "
                f"{', '.join(map(repr, PRECISIONS))}, and 'deterministic', with colons between"
            )
    return options


def mode_of(backend: str | None) -> Any:
    """The Aesara mode of a backend: ``"c"`` (also the default), or ``"numpy"``, which uses no compiled code."""
    if check_backend(backend) not in (None, "c", "numpy"):
        raise ValueError(f"backend {backend!r} has no mode of Aesara's: use `compile`")
    if backend == "numpy":
        # rewrites that would put in Ops which exist in C only
        mode = aesara.compile.mode.Mode("py", "fast_run").excluding("cxx_only", "BlasOpt", "inplace", "fusion")
        return mode.including(elementwise.NAME)
    if not have_compiler():
        _warn_once()
        return mode_of("numpy")
    return aesara.compile.mode.get_default_mode().including(sizes.NAME)
