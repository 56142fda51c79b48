"""The layer types, by theme: each function translates a LayerParameter into a layer of `deconv_legacy.layers`."""

from deconv_legacy.caffe.types import data, forks, losses, neurons, normalization, shapes, windows

__all__ = ["data", "forks", "losses", "neurons", "normalization", "shapes", "windows"]
