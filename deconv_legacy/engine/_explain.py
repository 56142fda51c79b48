"""What C calls when shapes do not fit.

The C code only notices that something is wrong; the checks and their words are those of graph building and NumPy.
"""

from __future__ import annotations

from deconv_legacy.engine._shapes import check_bias, check_length, check_shapes
from deconv_legacy.engine.convolution import Conv, ConvInputGradient, ConvWeightGradient, FusedConv
from deconv_legacy.engine.update import check_update as update

__all__ = ["convolution", "update"]


def convolution(numbers, direction, a, b, size) -> None:
    """Called by c/convolution.h with `Op.numbers`, the direction, the shapes of both tensors and the size input."""
    kinds = {cls.direction: cls for cls in (Conv, ConvInputGradient, ConvWeightGradient)}
    op = kinds.get(direction, FusedConv).from_numbers(numbers)
    if direction == "bias":
        check_bias(op, a, b)
        return
    if direction == "forward":
        check_shapes(op, a, b, None)
        return
    check_length(op, size)
    if direction == "input gradient":
        check_shapes(op, (b[0], a[1] * op.groups, *size), a, b)
    else:
        check_shapes(op, a, (b[1], a[1] // op.groups, *size), b)
