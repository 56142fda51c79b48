"""Show what this installation runs on: versions, C++ compiler, BLAS and its measured speed, the cache of compiled code,
backends and their devices, and what is missing, with how to install it.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy._version import __version__
from deconv_legacy.cli._common import add_json, print_json, print_table
from deconv_legacy.engine import HOW_TO_INSTALL, Blas, aesara, find_blas, have_compiler
from deconv_legacy.errors import DeconvLegacyError, MissingExtraError

__all__ = ["add_arguments", "run"]

LIBRARIES = ("aesara", "numpy", "scipy", "jax", "jaxlib")
EXTRAS = {
    "protobuf": "reading and writing Caffe's files",
    "h5py": "reading and writing HDF5 weights",
    "Pillow": "reading and writing images",
    "tqdm": "the progress bar",
}
"""Library of the extra "caffe" -> what needs it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    facts = _facts()
    if args.json:
        print_json(facts)
        return
    missing = facts.pop("missing")
    rows = [
        (topic, name, "missing" if it is None else it) for topic, all_ in facts.items() for name, it in all_.items()
    ]
    print_table(("", "", ""), rows, "<<<")
    print("nothing is missing" if not missing else "\n".join(["missing:", *(f"  {line}" for line in missing)]))


def _facts() -> dict[str, Any]:
    """Topic -> facts by name; "missing" -> lines."""
    versions: dict[str, str | None] = {"deconv_legacy": __version__, "Python": platform.python_version()}
    versions |= {name: _version(name) for name in (*LIBRARIES, *EXTRAS)}
    missing = [str(MissingExtraError(name, "caffe", why)) for name, why in EXTRAS.items() if versions[name] is None]
    if not have_compiler():
        missing.append(f"no C++ compiler, so that everything runs on NumPy, several times slower: {HOW_TO_INSTALL}")
    cache = _cache(Path(aesara.config.compiledir))
    if not cache["writable"]:
        missing.append(f"{cache['folder']} cannot be written: name another folder, AESARA_FLAGS=base_compiledir=...")
    devices, without = _jax()
    if devices:
        from deconv_legacy.engine.jax import compiled_folder

        cache["of JAX"] = compiled_folder()
    missing += [without] if without else []
    return {
        "versions": versions,
        "machine": {"system": platform.platform(), "cores": len(os.sched_getaffinity(0))},
        "compiler": {"command": aesara.config.cxx or None, "version": _compiler_version(aesara.config.cxx)},
        "BLAS": _blas(find_blas()),
        "cache": cache,
        "backends": {
            "c": "compiled code" if have_compiler() else None,
            "numpy": "NumPy alone",
            "jax": ", ".join(devices) or None,
        },
        "missing": missing,
    }


def _jax() -> tuple[list[str], str | None]:
    """JAX's devices here, and what is missing for it or for its use of a GPU."""
    try:
        from deconv_legacy.engine.jax import jax
    except DeconvLegacyError as error:
        return [], str(error)
    devices = [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.local_devices()]
    if any(d.platform == "gpu" for d in jax.local_devices()) or not _nvidia():
        return devices, None
    return devices, 'this machine has an NVIDIA GPU, but JAX no CUDA: pip install "deconv_legacy[cuda]"'


def _nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _compiler_version(command: str) -> str | None:
    if not command:
        return None
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return next(iter(result.stdout.splitlines()), None)


def _blas(blas: Blas) -> dict[str, Any]:
    threads = ctypes.CFUNCTYPE(ctypes.c_int)(blas.get_threads)() if blas.get_threads else None
    return {"name": blas.name, "file": blas.path, "threads": threads, "sgemm GFLOP/s": round(sgemm_rate(blas), 1)}


def sgemm_rate(blas: Blas, size: int = 1024, seconds: float = 0.5) -> float:
    """The best rate of float32 products of two `size` x `size` matrices within some `seconds`, in 10^9 operations (a
    multiplication or an addition) per second."""
    sgemm = ctypes.CFUNCTYPE(None, *(ctypes.c_void_p,) * 13)(blas.sgemm)
    a, b, c = (np.full((size, size), value, np.float32) for value in (1, 0.5, 0))
    values = ctypes.c_char(b"N"), ctypes.c_int(size), ctypes.c_float(1), ctypes.c_float(0)
    plain, n, one, zero = [ctypes.byref(value) for value in values]
    matrices = [array.ctypes.data for array in (a, b, c)]
    arguments = (plain, plain, n, n, n, one, matrices[0], n, matrices[1], n, zero, matrices[2], n)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        sgemm(*arguments)
        best = min(best, time.perf_counter() - start)
    if not np.all(c == size / 2):
        raise ArithmeticError(f"{blas.path}: sgemm gives a wrong product")
    return 2 * size**3 / best / 1e9


def _cache(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "folder": str(folder),
        "modules": sum(path.suffix == ".so" for path in files),
        "MiB": round(sum(path.stat().st_size for path in files) / 2**20, 1),
        "writable": os.access(folder, os.W_OK),
    }
