"""How far two right computations of a net may lie apart: from the dtype and from how many products each number adds up.

A sum of K products, added in another order, differs by about ``eps sqrt(K)`` of its size, and errors of layers behind
one another add up as random ones do: ``tolerance = 4 eps sqrt(sum of K along the net)``, in units of the blob's largest
magnitude. Caffe on two BLAS kernels differs by 6e-6 in a net for which this gives 3e-5; one row of misalignment gives
1e-2 or more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, DenseLayer, PoolLayer, ReluLayer
from deconv_legacy.testing.subject import Stage, Subject

__all__ = ["DEFAULT_LENGTH", "of_dtype", "of_net", "of_stages", "reduction_length"]

DEFAULT_LENGTH = 65536
"""Products added up along a net of which nothing is known: about those of FCN-32s."""
SAFETY = 4.0


def reduction_length(stage: Stage) -> int:
    """How many rounded operations stand behind each number that a layer makes."""
    layer: Any = stage.layer
    if isinstance(layer, DeconvolutionLayer):
        taps = math.prod(-(-k // s) for k, s in zip(layer.kernel, layer.stride, strict=True))
        return max(layer.filter_shape[0] // layer.groups * taps, 1)
    if isinstance(layer, ConvolutionLayer):
        return math.prod(layer.filter_shape[1:])
    if isinstance(layer, DenseLayer):
        shape = layer.params[0].get_value(borrow=True).shape
        return max(math.prod(shape) // max(layer.output_shape[-1] or 1, 1), 1)
    if isinstance(layer, PoolLayer):
        return 0 if layer.mode == "max" else math.prod(layer.kernel or (1,))
    if isinstance(layer, ReluLayer) or stage.type in ("Crop", "CropLayer", "Split", "Concat", "ConcatLayer"):
        return 0
    if type(layer).__name__ != "GraphLayer":
        return 8
    # between two names of a plain graph anything may stand: what its filters say
    return sum(max(v.get_value(borrow=True).size // max(v.get_value(borrow=True).shape[0], 1), 8) for v in layer.params
               if v.type.ndim >= 2) or 64  # fmt: skip


def of_dtype(dtype: str, length: float = DEFAULT_LENGTH) -> float:
    """The tolerance for numbers of `dtype` with `length` products behind them; 0 for integers.

    >>> f"{of_dtype('float32', 4096):.1e} {of_dtype('float64', 4096):.1e}"
    '3.1e-05 5.7e-14'
    """
    if np.dtype(dtype).kind not in "fc":
        return 0.0
    return SAFETY * float(np.finfo(dtype).eps) * math.sqrt(max(length, 4.0))


def of_net(subject: Subject) -> dict[str, float]:
    """A tolerance for each blob, versions before in-place layers included."""
    lengths: dict[str, float] = dict.fromkeys(subject.inputs, 0.0)
    result = {name: 0.0 for name in subject.inputs}
    for stage in subject.stages:
        length = max((lengths[name] for name in stage.bottoms), default=0.0) + reduction_length(stage)
        for top in stage.tops:
            lengths[top] = length
            result[top] = of_dtype(subject.variables[top].dtype, length)
    return result


def of_stages(stages: list[Stage], dtype: str) -> float:
    """The tolerance for some layers behind one another, fed the same numbers."""
    return of_dtype(dtype, sum(map(reduction_length, stages)) + 16)
