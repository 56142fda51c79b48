"""Run the deconvolution code of 2014-2017 today, with the same numbers."""

from deconv_legacy._version import __version__

__all__ = ["__version__"]
