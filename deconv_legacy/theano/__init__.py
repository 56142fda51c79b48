"""Theano-era code on Aesara: after `install`, ``import theano`` gives Theano's names of 0.6 to 1.0 over Aesara.

>>> from deconv_legacy import theano as theano_compat
>>> theano_compat.install()  # doctest: +SKIP
>>> import theano, lasagne  # doctest: +SKIP

Importing this package changes nothing; `install` adds an import hook for ``theano`` and its modules, takes over
THEANO_FLAGS and .theanorc, and mends three faults of Aesara where it finds them. docs/compat-theano.md lists the names.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings

from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.theano import _faults, _modules

__all__ = ["TheanoFlagsWarning", "TheanoPresentError", "install", "installed", "uninstall"]


class TheanoPresentError(DeconvLegacyError, ImportError):
    """Real Theano can be imported here, so its name is not taken."""


class TheanoFlagsWarning(UserWarning):
    """A flag of THEANO_FLAGS or .theanorc that Aesara does not take, or not any more."""


_finder = _modules.Finder()


def installed() -> bool:
    """Whether ``import theano`` gives this facade."""
    return _finder in sys.meta_path


def install(*, gpu: bool = False, flags: bool = True) -> None:
    """Let ``import theano`` and its submodules give Theano's names over Aesara, in this process.

    Parameters
    ----------
    gpu
        Tell code that asks that there is a GPU with cuDNN; its calls are computed on the CPU either way.
    flags
        Apply THEANO_FLAGS and .theanorc to Aesara's configuration; what cannot be applied is a `TheanoFlagsWarning`.

    Raises
    ------
    TheanoPresentError
        If a Theano is imported already, or importable.

    Notes
    -----
    Calling it again is harmless and may change `gpu`. `uninstall` takes the modules and the hook away; the mended
    faults of Aesara stay mended, and flags keep their values.
    """
    if not installed():
        found = sys.modules.get("theano") or importlib.util.find_spec("theano")
        if found is not None:
            place = getattr(found, "origin", None) or getattr(found, "__file__", None)
            raise TheanoPresentError(f"there is a Theano at {place}: use it, or uninstall it first")
        _faults.mend()
        sys.meta_path.insert(0, _finder)
    from deconv_legacy.theano.old import configuration
    from deconv_legacy.theano.old import gpu as pretended

    pretended.pretend(gpu)
    if flags:
        for sentence in configuration.apply_settings(configuration.theano_settings()):
            warnings.warn(sentence, TheanoFlagsWarning, stacklevel=2)
    importlib.import_module("theano")


def uninstall() -> None:
    """Take ``theano`` and its submodules out of this process again."""
    if installed():
        sys.meta_path.remove(_finder)
        _modules.forget()
