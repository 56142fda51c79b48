"""The rectifier, with Caffe's rules: gradient 0 at 0, and a NaN stays a NaN.

An Op of its own, because its gradient needs only its output: in training the value before it is not kept, and a
convolution, its bias and its rectifier become one pass over memory (see ``rewrites.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine._cop import EngineOp, common_dtype

at = aesara.tensor

__all__ = ["Relu", "relu"]


class Relu(EngineOp):
    """``max(x, 0)`` of an array of any shape."""

    __props__ = ()
    c_files = ("relu.h",)
    c_function = "relu"

    def numbers(self):
        return ()

    def make_node(self, x):
        x = at.as_tensor_variable(x)
        x = at.cast(x, common_dtype("relu", x))
        return aesara.graph.basic.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage, params=None):
        output_storage[0][0] = np.maximum(inputs[0], inputs[0].dtype.type(0))

    def infer_shape(self, fgraph, node, shapes):
        return shapes

    def L_op(self, inputs, outputs, gradients):
        return [at.switch(outputs[0] > 0, gradients[0], np.asarray(0, gradients[0].dtype))]

    def R_op(self, inputs, eval_points):
        return self.L_op(inputs, [self(*inputs)], eval_points) if eval_points[0] is not None else [None]


_relu = Relu()


def relu(x: Any, negative_slope: float = 0.0) -> Any:
    """``max(x, 0)``, or ``x if x > 0 else negative_slope * x``; any shape, float32 or float64.

    The gradient at 0 is that of the negative side, as in Caffe.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0])).eval()
    array([0., 0., 2.])
    """
    x = at.as_tensor_variable(x)
    if negative_slope == 0:
        return _relu(x)
    x = at.cast(x, common_dtype("relu", x))
    return at.switch(x > 0, x, x * np.asarray(negative_slope, x.dtype))
