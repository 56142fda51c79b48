"""The one place that imports Aesara, and the settings that must stand before it does.

Aesara looks for a BLAS while it is imported, through ``numpy.distutils``, which Python 3.12 no longer has and which
takes half a second elsewhere. Naming one beforehand avoids both. Nothing that the user set is touched.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings

from deconv_legacy.engine import _blas_flags, _numpy2
from deconv_legacy.errors import DeconvLegacyError

__all__ = ["aesara", "have_compiler"]


_NOTES = (
    "g++ not detected",
    "NumPy C-API based implementation",
    "We did not find a dynamic library",  # Aesara links with the ``-l:FILE`` of `scipy_ldflags`, but does not know it
)


class _OurWordsInstead(logging.Filter):
    """Holds back Aesara's own notes on a missing compiler or BLAS: `compile` says what matters, once."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not any(words in text for words in _NOTES)


def _import_aesara():
    if _numpy2.found():
        _numpy2.apply()
    first = "aesara" not in sys.modules
    before = os.environ.get("AESARA_FLAGS")
    if first and _blas_flags.user_ldflags() is None:
        ldflags = _blas_flags.scipy_ldflags()
        if ldflags is None and sys.version_info >= (3, 12):
            ldflags = ""  # Aesara's own search cannot run there
        if ldflags is not None:
            os.environ["AESARA_FLAGS"] = ",".join(filter(None, [before, f'blas__ldflags="{ldflags}"']))
    quiet = _OurWordsInstead()
    loggers = [logging.getLogger(name) for name in ("aesara.configdefaults", "aesara.tensor.blas")]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        with warnings.catch_warnings():
            # Aesara announces the end of the very modules that we keep alive, and uses a few that are ending
            # elsewhere; numpy.distutils reports each BLAS that it does not find
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            warnings.filterwarnings("ignore", module=r"numpy\.distutils")
            try:
                import aesara
            except ModuleNotFoundError as error:
                if error.name != "aesara":
                    raise
                raise DeconvLegacyError(
                    'Aesara is not installed: pip install --no-deps "aesara==2.9.*" (by itself, since its '
                    "pins exclude NumPy 2, which Python 3.13 needs)"
                ) from None
            import aesara.tensor.nnet.abstract_conv
            import aesara.tensor.signal.pool
        if aesara.config.blas__ldflags and aesara.config.blas__ldflags == _blas_flags.scipy_ldflags():
            # it looks for the library once in a process, and would warn then
            aesara.tensor.blas.ldflags(libs=False, libs_dir=True)
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)
        if before is None:
            os.environ.pop("AESARA_FLAGS", None)
        else:
            os.environ["AESARA_FLAGS"] = before
    if _numpy2.found():
        _numpy2.mend(aesara)
    # The user imported it first: only an absence is mended.
    if not first and not aesara.config.blas__ldflags and _blas_flags.user_ldflags() is None:
        aesara.config.blas__ldflags = _blas_flags.scipy_ldflags() or ""
    return aesara


aesara = _import_aesara()


def have_compiler() -> bool:
    """Whether Aesara can compile C code here."""
    return bool(aesara.config.cxx)
