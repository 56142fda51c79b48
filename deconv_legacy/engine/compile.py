"""`compile`: Aesara's ``function`` with a choice of backend, a word while C code is compiled, and clear errors."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deconv_legacy.engine._aesara import aesara, have_compiler
from deconv_legacy.engine._device import FetchFirst
from deconv_legacy.engine.where import LocatingFunction

__all__ = ["BACKENDS", "HOW_TO_INSTALL", "NoCompilerWarning", "compile"]

BACKENDS = ("c", "numpy", "jax")

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


_INTERVAL = 0.5  # seconds between two looks at the cache
_said = False


def _modules(folder: Path) -> int:
    """How many compiled modules the cache holds."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.name.startswith("tmp") for entry in entries)
    except OSError:
        return 0


@contextlib.contextmanager
def _progress(enabled: bool) -> Iterator[None]:
    """While the body compiles modules, say so on stderr: counting on a terminal, once in a process elsewhere.

    Aesara has no hook for it; a thread looks at the cache folder, where each new module appears.
    """
    if not enabled:
        yield
        return
    folder = Path(aesara.config.compiledir)
    before, start, done = _modules(folder), time.monotonic(), threading.Event()
    terminal = sys.stderr.isatty()

    def watch() -> None:
        global _said
        told = 0
        while not done.wait(_INTERVAL):
            new = _modules(folder) - before
            if new <= told or (_said and not terminal):
                continue
            told, _said = new, True
            seconds = time.monotonic() - start
            text = f"compiling C code, once for this machine (kept in {folder})"
            if terminal:
                text = f"\r{text}: {new} modules, {seconds:.0f} s "
            print(text, end="" if terminal else "\n", file=sys.stderr, flush=True)
        if told and terminal:
            print(file=sys.stderr, flush=True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _check_backend(backend: str | None) -> None:
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend {backend!r} is unknown; legal are {', '.join(map(repr, BACKENDS))}")


def mode_of(backend: str | None) -> Any:
    """The Aesara mode of a backend: ``"c"`` (also the default), or ``"numpy"``, which uses no compiled code."""
    _check_backend(backend)
    if backend == "jax":
        raise ValueError("backend 'jax' has no mode of Aesara's: use `compile`")
    if backend == "numpy":
        # rewrites that would put in Ops which exist in C only
        return aesara.compile.mode.Mode("py", "fast_run").excluding("cxx_only", "BlasOpt", "inplace", "fusion")
    if not have_compiler():
        _warn_once()
        return mode_of("numpy")
    return aesara.compile.mode.get_default_mode()


def _locating(mode: Any) -> Any:
    """A mode whose functions say in which layer a size is wrong; a mode with functions of its own stays as it is."""
    mode = aesara.compile.mode.get_mode(mode)
    if not hasattr(mode, "function_maker"):
        mode = copy.copy(mode)
        mode.function_maker = functools.partial(
            aesara.compile.function.types.FunctionMaker, function_builder=LocatingFunction
        )
    return mode


def compile(
    inputs: Any,
    outputs: Any = None,
    *,
    updates: Any = None,
    givens: Any = None,
    backend: str | None = None,
    progress: bool = True,
    precision: str | None = None,
    deterministic: bool = False,
    device: str | None = None,
    **options: Any,
) -> Any:
    """A callable that computes `outputs` from `inputs`, as ``aesara.function`` does.

    Parameters
    ----------
    inputs, outputs, updates, givens, options
        As in ``aesara.function``.
    backend
        ``"c"``: compiled code for every Op that has it (the default); ``"numpy"``: none at all. Without a compiler
        the default is ``"numpy"``, after one `NoCompilerWarning`. ``"jax"``: compiled by JAX for its device, a GPU
        where there is one; the values of shared variables stay there between calls (``engine/_device.py``).
    progress
        Say on stderr when C code must be compiled first, which happens once for each kind of Op on a machine.
        Several processes may compile at the same time; they share the cache.
    precision
        For JAX, of convolutions and products: ``"float32"`` (the default), exact; ``"tf32"``, what a GPU may shorten
        float32 to, elsewhere exact; ``"bfloat16"``.
    deterministic
        For JAX on a GPU: the same numbers in each run, at some cost. Other devices and backends always give them.
    device
        For JAX: ``"cpu"``, ``"gpu"``, ``"gpu:1"``; by default the one that JAX prefers.

    Returns
    -------
    Aesara's function, or for JAX a `JaxFunction`, which is called in the same way.

    Raises
    ------
    MissingExtraError
        For JAX where it is not installed.
    NotImplementedError
        By JAX, at the call, where a size depends on numbers, and for an Op that it cannot compute.

    Examples
    --------
    >>> from deconv_legacy.engine import aesara, compile, relu
    >>> x = aesara.tensor.vector("x", dtype="float64")
    >>> compile([x], relu(x), backend="numpy")([-1.0, 2.0])
    array([0., 2.])
    """
    _check_backend(backend)
    if "mode" in options and backend is not None:
        raise TypeError("`mode` and `backend` both say how to compile: give one of them")
    if backend == "jax":
        from deconv_legacy.engine.jax import JaxFunction

        hardware = {"precision": precision, "deterministic": deterministic, "device": device}
        return JaxFunction(inputs, outputs, updates=updates, givens=givens, **hardware, **options)
    if precision not in (None, "float32") or device not in (None, "cpu"):
        raise ValueError(f"precision {precision!r} on device {device!r} needs backend='jax'")
    if "mode" not in options:
        options["mode"] = mode_of(backend)
    options["mode"] = _locating(options["mode"])
    # constant folding would compile whatever the mode
    only_numpy = aesara.config.change_flags(cxx="") if backend == "numpy" else contextlib.nullcontext()
    with only_numpy, _progress(progress and have_compiler()):
        function = aesara.function(inputs, outputs, updates=updates, givens=givens, **options)
    storages = [spec.value.storage for spec in function.maker.inputs if getattr(spec, "shared", False)]
    if storages:
        function.vm = FetchFirst(function.vm, storages)
    return function
