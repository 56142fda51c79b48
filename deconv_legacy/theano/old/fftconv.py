"""``theano.sandbox.cuda.fftconv``: the results of its convolutions, computed directly."""

from __future__ import annotations

from typing import Any

from deconv_legacy.theano.old import abstract_conv

__all__ = ["conv2d_fft", "conv3d_fft"]


def conv2d_fft(
    input: Any,
    filters: Any,
    image_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    pad_last_dim: bool = False,
) -> Any:
    """``nnet.conv2d``; `pad_last_dim` mattered to the transform alone."""
    return abstract_conv.conv2d(input, filters, image_shape, filter_shape, border_mode)


def conv3d_fft(
    input: Any,
    filters: Any,
    image_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    pad_last_dim: bool = False,
) -> Any:
    """``nnet.conv3d``."""
    return abstract_conv.conv3d(input, filters, image_shape, filter_shape, border_mode)
