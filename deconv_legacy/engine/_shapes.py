"""What is wrong with the shapes of a convolution, in words: once for graph building, NumPy and, by ``_explain``, C."""

from __future__ import annotations

from deconv_legacy import geometry
from deconv_legacy.errors import SizeError

__all__ = ["check_bias", "check_length", "check_shapes"]


def check_shapes(op, x, w, y) -> None:
    """Raise unless x ``(N, C, *in)``, w ``(M, C/groups, *kernel)`` and y ``(N, M, *out)`` go together.

    Entries are None where unknown; `y` is None for the forward direction.
    """

    def differ(a, b):
        return a is not None and b is not None and a != b

    where, groups = str(op), op.groups
    if x[1] is not None and x[1] % groups:
        raise SizeError(f"{x[1]} input channels cannot be cut into {groups} groups", axis=1, where=where)
    if w[0] is not None and w[0] % groups:
        raise SizeError(f"{w[0]} filters cannot be cut into {groups} groups", axis=0, where=where)
    if w[1] is not None and differ(x[1], w[1] * groups):
        raise SizeError(
            f"the input has {x[1]} channels (axis 1), but the filters of shape {_shape(w)} with groups={groups} "
            f"take {w[1] * groups}",
            axis=1,
            where=where,
        )
    for axis, k in enumerate(w[2:], 2):
        if k is not None and k < 1:
            raise SizeError(f"the filters of shape {_shape(w)} have {k} taps on axis {axis}", axis=axis, where=where)
    if y is not None:
        if differ(y[1], w[0]):
            raise SizeError(
                f"{y[1]} channels (axis 1) meet {w[0]} filters of shape {_shape(w)}: the numbers must be equal",
                axis=1,
                where=where,
            )
        if differ(x[0], y[0]):
            raise SizeError(f"batches of {x[0]} and {y[0]} images must be equal", axis=0, where=where)
    try:
        for axis, out in enumerate(op.out_sizes(x[2:], w[2:]), 2):
            if y is None or not differ(y[axis], out):
                continue
            if op.direction == "input gradient":
                geometry.check_deconv_output_size(
                    x[axis],
                    y[axis],
                    w[axis],
                    op.stride[axis - 2],
                    op.border_mode[axis - 2],
                    op.dilation[axis - 2],
                    axis=axis,
                )
            raise SizeError(
                f"axis {axis}: an input of size {x[axis]} and filters of size {w[axis]} give an output of size "
                f"{out}, not {y[axis]}",
                axis=axis,
                actual=y[axis],
                computed=out,
            )
    except SizeError as error:
        raise error.at(where) from None


def check_length(op, size) -> None:
    """Raise unless a size vector has one entry per axis."""
    if len(size) != op.ndim:
        raise SizeError(f"a size of {len(size)} entries for {op.ndim} axes", where=str(op))


def check_bias(op, w, b) -> None:
    """Raise unless the bias has one number per filter, one for all, or none."""
    if b[0] not in (0, 1, w[0]):
        raise SizeError(f"a bias of {b[0]} numbers for {w[0]} filters of shape {_shape(w)}", axis=0, where=str(op))


def _shape(shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"
