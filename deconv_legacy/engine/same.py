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
    """x and y to y, a view, if their sizes agree on all axes, or on all but `but`.

    With an `axis`, y has fewer axes than x: they lie on those of x from `axis` on.

    The sizes of the result are those of x: what is computed from both then has one set of sizes, and Aesara has no
    reason to compare them itself, before this Op can say what is wrong.
    """

    # No C code: it looks at a few numbers.
    __props__: ClassVar[tuple[str, ...]] = ("but", "axis")
    view_map: ClassVar[dict[int, list[int]]] = {0: [1]}

    def __init__(self, but: int | None = None, axis: int | None = None):
        self.but, self.axis = but, axis

    def _meet(self, x, y):
        """For each axis of y: the size of x there, and that of y."""
        first = self.axis or 0
        facing = x[first : first + len(y)]
        if len(facing) != len(y) or (self.axis is None and len(x) != len(y)):
            self._refuse(x, y)
        return list(zip(facing, y, strict=True))

    def _check(self, x, y):
        """The sizes of y, as far as both shapes know them."""
        known = []
        for axis, (n, m) in enumerate(self._meet(x, y)):
            if None not in (n, m) and n != m and axis != self.but:
                self._refuse(x, y, axis + (self.axis or 0))
            known.append(n if m is None and axis != self.but else m)
        return tuple(known)

    def _refuse(self, x, y, axis=None):
        if self.axis is not None:
            cause = f"an input of shape {y} does not lie on one of shape {x} from axis {self.axis} on"
        elif len(x) != len(y):
            cause = f"inputs of {len(x)} and {len(y)} axes must have the same"
        else:
            except_ = "" if self.but is None else f" on all axes but {self.but}"
            cause = f"inputs of the shapes {x} and {y} must be of one size{except_}"
        raise SizeError(cause, axis=axis)

    def make_node(self, x, y):
        x, y = at.as_tensor_variable(x), at.as_tensor_variable(y)
        shape = self._check(x.type.shape, y.type.shape)
        return Apply(self, [x, y], [at.TensorType(y.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        self._check(x.shape, y.shape)
        output_storage[0][0] = y

    def infer_shape(self, fgraph, node, shapes):
        return [tuple(m if axis == self.but else n for axis, (n, m) in enumerate(self._meet(*shapes)))]

    def connection_pattern(self, node):
        return [[False], [True]]

    def L_op(self, inputs, outputs, gradients):
        return [DisconnectedType()(), gradients[0]]

    def R_op(self, inputs, eval_points):
        return [eval_points[1]]


def same_sizes(x: Any, y: Any, but: int | None = None, axis: int | None = None) -> Any:
    """`y`, if its sizes are those of `x` (on axis `but` it may have another); with an `axis`, those from there on.

    Raises
    ------
    SizeError
        Now where sizes are known, else when the function runs.

    Examples
    --------
    >>> import numpy as np
    >>> same_sizes(np.zeros((2, 3)), np.ones((2, 5)), but=1).eval().shape
    (2, 5)
    >>> same_sizes(np.zeros((2, 3, 4)), np.ones(3), axis=1).eval().shape
    (3,)
    """
    op = SameSizes(but, axis)
    node = op.make_node(x, y)
    pairs = enumerate(op._meet(*(variable.type.shape for variable in node.inputs)))
    if any(None in pair and index != but for index, pair in pairs):
        return node.outputs[0]
    return node.inputs[1]  # all is known
