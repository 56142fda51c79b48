"""``theano.tensor.nnet.conv`` and the conv2d of ``theano.tensor.nnet``: the interfaces before abstract_conv."""

from __future__ import annotations

import warnings
from typing import Any

from aesara.tensor.nnet.conv import ConvOp

from deconv_legacy.theano.old import abstract_conv
from deconv_legacy.theano.old.abstract_conv import (
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv2d_transpose,
    conv3d,
)

__all__ = [
    "ConvOp",
    "abstract_conv2d",
    "conv2d",
    "conv2d_grad_wrt_inputs",
    "conv2d_grad_wrt_weights",
    "conv2d_transpose",
    "conv3d",
]

abstract_conv2d = abstract_conv.conv2d


def conv2d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    image_shape: Any = None,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
    **kwargs: Any,
) -> Any:
    """``theano.tensor.nnet.conv2d``: `abstract_conv.conv2d`, with ``image_shape`` for ``input_shape``.

    Other keywords (``unroll_batch``, ``version``, ...) named ways to compute and are ignored with a warning.
    """
    if "imshp_logical" in kwargs or "kshp_logical" in kwargs:
        raise ValueError(
            "Keyword arguments 'imshp_logical' and 'kshp_logical' for conv2d are not supported anymore (and have not "
            "been a reliable way to perform upsampling). That feature is still available by calling "
            "theano.tensor.nnet.conv.conv2d() for the time being."
        )
    if kwargs:
        warnings.warn(f"{sorted(kwargs)} are now deprecated in `tensor.nnet.conv2d` and will be ignored.", stacklevel=2)
    if image_shape is not None:
        if input_shape is not None:
            raise ValueError("input_shape and image_shape should not be provided at the same time.")
        input_shape = image_shape
    return abstract_conv.conv2d(
        input,
        filters,
        input_shape,
        filter_shape,
        border_mode,
        subsample,
        filter_flip,
        filter_dilation,
        num_groups,
        unshared,
    )
