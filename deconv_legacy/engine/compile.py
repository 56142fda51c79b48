"""`compile`: Aesara's ``function`` with a choice of backend, a word while C code is compiled, and clear errors."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deconv_legacy.engine._aesara import aesara, have_compiler
from deconv_legacy.engine.device import FetchFirst
from deconv_legacy.engine.modes import check_backend, jax_options, mode_of
from deconv_legacy.engine.where import LocatingFunction
from deconv_legacy.errors import MismatchError

__all__ = ["compile", "gpu_backend"]

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


def gpu_backend(number: int = 0) -> str | None:
    """The backend that computes on a GPU, ``"jax:gpu:0"``; None without JAX, or where JAX has no such GPU."""
    if importlib.util.find_spec("jax") is None:
        return None
    from deconv_legacy.engine.jax import device_of

    try:
        device_of(f"gpu:{number}")
    except MismatchError:
        return None
    return f"jax:gpu:{number}"


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
    **options: Any,
) -> Any:
    """A callable that computes `outputs` from `inputs`, as ``aesara.function`` does.

    Parameters
    ----------
    inputs, outputs, updates, givens, options
        As in ``aesara.function``.
    backend
        ``"c"``: compiled code for every Op that has it (the default); ``"numpy"``: none at all. Without a compiler
        the default is ``"numpy"``, after one `NoCompilerWarning`. ``"jax"``: compiled by JAX, for a GPU where there is
        one; the values of shared variables stay on its device between calls (``engine/device.py``). It may be told
        more, as in ``"jax:gpu:1:tf32:deterministic"``: the device (``cpu``, ``gpu``, ``gpu:1``), the precision of
        convolutions and products (``float32``, the default, is exact; ``tf32`` is what a GPU may shorten float32 to,
        elsewhere exact; ``bfloat16``), and that a GPU shall give the same numbers in each run, at some cost.
    progress
        Say on stderr when C code must be compiled first, which happens once for each kind of Op on a machine, or that
        XLA compiles, at the first call with inputs of some size. Several processes may compile at the same time; they
        share the cache.

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
    check_backend(backend)
    if "mode" in options and backend is not None:
        raise TypeError("`mode` and `backend` both say how to compile: give one of them")
    if backend is not None and backend.startswith("jax"):
        from deconv_legacy.engine.jax import JaxFunction

        how = {"updates": updates, "givens": givens, "progress": progress, **jax_options(backend)}
        return JaxFunction(inputs, outputs, **how, **options)
    if "mode" not in options:
        options["mode"] = mode_of(backend)
    options["mode"] = _locating(options["mode"])
    # constant folding would compile whatever the mode
    only_numpy = aesara.config.change_flags(cxx="") if backend == "numpy" else contextlib.nullcontext()
    with only_numpy, _progress(progress and have_compiler()):
        function = aesara.function(inputs, outputs, updates=updates, givens=givens, **options)
    containers = [spec.value for spec in function.maker.inputs if getattr(spec, "shared", False)]
    if containers:
        function.vm = FetchFirst(function.vm, containers)
    return function
