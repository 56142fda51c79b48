"""``tf.contrib``: the layers alone."""

from deconv_legacy.tf.contrib import layers

__all__ = ["layers"]
