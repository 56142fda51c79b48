"""What is known of a BLAS before Aesara is imported: the user's flags, and the library that scipy's wheel carries."""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from pathlib import Path

__all__ = ["scipy_ldflags", "scipy_openblas", "user_ldflags"]


def user_ldflags() -> str | None:
    """``blas__ldflags`` as the user set it in AESARA_FLAGS or a .aesararc file; None when nowhere."""
    splitter = shlex.shlex(os.environ.get("AESARA_FLAGS", ""), posix=True)
    splitter.whitespace = ","
    splitter.whitespace_split = True
    flags = dict(item.strip().split("=", 1) for item in splitter if "=" in item)
    if "blas__ldflags" in flags:
        return flags["blas__ldflags"]
    files = os.environ.get("AESARARC", "~/.aesararc").split(os.pathsep)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(os.path.expanduser(name) for name in files)
    except configparser.Error:
        return None  # Aesara reports a broken file itself
    for section, key in (("blas", "ldflags"), ("global", "blas__ldflags")):
        if parser.has_option(section, key):
            return parser.get(section, key)
    return None


def scipy_openblas() -> Path | None:
    """The OpenBLAS inside scipy's wheel (Linux layout), found without importing scipy."""
    for entry in sys.path:
        for pattern in ("libopenblas*.so*", "libscipy_openblas*.so*"):
            for path in sorted(Path(entry or ".", "scipy.libs").glob(pattern)):
                return path.resolve()
    return None


def scipy_ldflags() -> str | None:
    """Flags that link Aesara's own Ops with scipy's OpenBLAS; None where its names or its path do not allow it."""
    path = scipy_openblas()
    # scipy >= 1.13 prefixes the symbols, which Aesara's code does not know; its flags are split at blanks
    if path is None or path.name.startswith("libscipy_") or any(c in str(path) for c in " ,'\"\t"):
        return None
    return f"-L{path.parent} -l:{path.name}"
