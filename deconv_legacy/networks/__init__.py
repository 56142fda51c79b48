"""Networks of papers, built from layers: the fully convolutional ones."""

from deconv_legacy.networks.fcn import fcn8s, fcn16s, fcn32s, fcn_alexnet

__all__ = ["fcn8s", "fcn16s", "fcn32s", "fcn_alexnet"]
