"""``tf.keras``: the layers alone."""

from deconv_legacy.tf.keras import layers

__all__ = ["layers"]
