"""The class of each pixel, from scores: a byte for each, where the scores take four for each class."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.errors import SizeError

at = aesara.tensor
Op: Any = aesara.graph.op.Op
Apply = aesara.graph.basic.Apply

__all__ = ["Labels", "labels"]

_CLASSES = 256
_BLOCK = 1 << 17  # scores looked at at a time: a cache holds them


class Labels(Op):
    """Scores ``(N, classes, rows, columns)`` to the class of the highest, uint8 ``(N, rows, columns)``."""

    # No C code: in blocks NumPy takes half the time of its own argmax, and a module would have to be compiled.
    __props__: ClassVar[tuple[str, ...]] = ()

    def check(self, shape):
        if shape[1] is not None and not 1 <= shape[1] <= _CLASSES:
            raise SizeError(f"scores of {shape[1]} classes (axis 1); 1 to {_CLASSES} have a label", axis=1)

    def make_node(self, scores):
        scores = at.as_tensor_variable(scores)
        if scores.ndim != 4:
            raise SizeError(f"scores of {scores.ndim} axes; (N, classes, rows, columns) are needed")
        self.check(scores.type.shape)
        n, _, *sizes = scores.type.shape
        return Apply(self, [scores], [at.TensorType("uint8", shape=(n, *sizes))()])

    def perform(self, node, inputs, output_storage):
        (scores,) = inputs
        self.check(scores.shape)
        n, classes, rows, columns = scores.shape
        found = np.empty((n, rows, columns), np.uint8)
        # the first of equal scores has the greatest of these
        rank = np.arange(_CLASSES - 1, _CLASSES - 1 - classes, -1).astype(np.uint8)[:, None, None]
        step = max(1, _BLOCK // max(1, classes * columns))
        for image, result in zip(scores, found, strict=True):
            for row in range(0, rows, step):
                block = image[:, row : row + step]
                best = block.max(axis=0)
                if np.isnan(best).any():  # the first of these, as NumPy has it
                    result[row : row + step] = block.argmax(axis=0)
                    continue
                is_best = (block == best).view(np.uint8)
                is_best *= rank
                np.subtract(np.uint8(_CLASSES - 1), is_best.max(axis=0), out=result[row : row + step])
        output_storage[0][0] = found

    def infer_shape(self, fgraph, node, shapes):
        n, _, *sizes = shapes[0]
        return [(n, *sizes)]

    def connection_pattern(self, node):
        return [[False]]

    def L_op(self, inputs, outputs, gradients):
        return [aesara.gradient.DisconnectedType()()]


def labels(scores: Any) -> Any:
    """The class of the highest score of each pixel; of equal ones the first, and NaN is the highest, as in NumPy.

    Parameters
    ----------
    scores
        ``(N, classes, rows, columns)``, 1 to 256 classes.

    Returns
    -------
    uint8 ``(N, rows, columns)``, without a gradient.

    Raises
    ------
    SizeError
        For other axes, or more classes.

    Examples
    --------
    >>> import numpy as np
    >>> labels(np.array([[[[1.0, 2, 3]], [[5, 2, 1]]]])).eval()
    array([[[1, 0, 0]]], dtype=uint8)
    """
    return Labels()(scores)
