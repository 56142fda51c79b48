"""A look at sizes: tensors that must agree, where Aesara would broadcast them or say less."""

from __future__ import annotations

from typing import Any, ClassVar

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.where import HandsOn
from deconv_legacy.errors import SizeError

at = aesara.tensor
Op: Any = aesara.graph.op.Op
Apply = aesara.graph.basic.Apply
DisconnectedType = aesara.gradient.DisconnectedType

__all__ = ["SameSizes", "same_sizes"]


class SameSizes(HandsOn, Op):
    """x and y to y, a view, if their sizes agree on all axes, or on all but `but`."""

    # No C code: it looks at a few numbers.
    __props__: ClassVar[tuple[str, ...]] = ("but",)
    view_map: ClassVar[dict[int, list[int]]] = {0: [1]}

    def __init__(self, but: int | None = None):
        self.but = but

    def _check(self, x, y):
        """The sizes of y, as far as both shapes know them."""
        except_ = "" if self.but is None else f" on all axes but {self.but}"
        if len(x) != len(y):
            raise SizeError(f"inputs of {len(x)} and {len(y)} axes must have the same")
        known = []
        for axis, (n, m) in enumerate(zip(x, y, strict=True)):
            if None not in (n, m) and n != m and axis != self.but:
                raise SizeError(f"inputs of the shapes {x} and {y} must be of one size{except_}", axis=axis)
            known.append(n if m is None and axis != self.but else m)
        return tuple(known)

    def make_node(self, x, y):
        x, y = at.as_tensor_variable(x), at.as_tensor_variable(y)
        shape = self._check(x.type.shape, y.type.shape)
        return Apply(self, [x, y], [at.TensorType(y.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        self._check(x.shape, y.shape)
        output_storage[0][0] = y

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[False], [True]]

    def L_op(self, inputs, outputs, gradients):
        return [DisconnectedType()(), gradients[0]]

    def R_op(self, inputs, eval_points):
        return [eval_points[1]]


def same_sizes(x: Any, y: Any, but: int | None = None) -> Any:
    """`y`, if its sizes are those of `x` (on axis `but` it may have another).

    Raises
    ------
    SizeError
        Now where sizes are known, else when the function runs.

    Examples
    --------
    >>> import numpy as np
    >>> same_sizes(np.zeros((2, 3)), np.ones((2, 5)), but=1).eval().shape
    (2, 5)
    """
    op = SameSizes(but)
    node = op.make_node(x, y)
    pairs = enumerate(zip(node.inputs[0].type.shape, node.inputs[1].type.shape, strict=True))
    if any(None in pair and axis != but for axis, pair in pairs):
        return node.outputs[0]
    return node.inputs[1]  # all is known
