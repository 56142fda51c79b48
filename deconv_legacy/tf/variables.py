"""Placeholders, variables, and what a graph depends on.

TensorFlow keeps variables and update ops in collections of a global graph. Here a graph is an expression, and these
functions read from it what it depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from deconv_legacy.engine import aesara
from deconv_legacy.tf._layout import tensor

at = aesara.tensor

__all__ = ["Variable", "global_variables", "placeholder", "shape", "trainable_variables", "update_ops"]


def placeholder(dtype: Any = "float32", shape: Sequence[int | None] | None = None, name: str | None = None) -> Any:
    """``tf.placeholder``: a symbolic variable with what is known of its shape.

    Examples
    --------
    >>> from deconv_legacy import tf
    >>> tf.placeholder("float32", [None, 28, 28, 1], name="x").type.shape
    (None, 28, 28, 1)
    """
    if shape is None:
        raise TypeError("a placeholder's rank must be known: `shape` with None for each unknown size")
    return at.TensorType(np.dtype(dtype).name, shape=tuple(shape))(name)


def Variable(initial_value: Any, trainable: bool = True, name: str | None = None) -> Any:
    """``tf.Variable``: an Aesara shared variable with a copy of the value; Python floats are float32."""
    value = np.array(
        initial_value if isinstance(initial_value, (np.ndarray, np.generic)) else tensor(initial_value).data
    )
    variable = aesara.shared(value, name=name, shape=value.shape)
    variable.tag.trainable = trainable
    return variable


def shape(input: Any, name: str | None = None) -> Any:
    """``tf.shape``: the shape as a vector, for ``output_shape`` of unknown sizes."""
    return tensor(input).shape


def _ancestors(outputs: Any) -> Iterator[Any]:
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    # a moving average is an ancestor of the test graph only, and reaches the training graph through its update
    seen: dict[Any, None] = {}
    while outputs:
        new = [v for v in aesara.graph.basic.ancestors(outputs) if v not in seen]
        seen.update(dict.fromkeys(new))
        outputs = [expression for v in new for pair in getattr(v.tag, "update_ops", ()) for expression in pair]
    return iter(seen)


def global_variables(outputs: Any) -> list[Any]:
    """All variables that `outputs` (one or a list) depend on, moving averages included."""
    shared = aesara.compile.SharedVariable
    return [v for v in _ancestors(outputs) if isinstance(v, shared) and isinstance(v.type, at.TensorType)]


def trainable_variables(outputs: Any) -> list[Any]:
    """The variables that `outputs` depend on and that training changes: all of floats, but those made otherwise."""
    floats = [v for v in global_variables(outputs) if v.dtype.startswith("float")]
    return [v for v in floats if getattr(v.tag, "trainable", True)]


def update_ops(outputs: Any) -> list[tuple[Any, Any]]:
    """``tf.get_collection(tf.GraphKeys.UPDATE_OPS)`` of what `outputs` depend on: (moving average, its new value)."""
    found: dict[Any, Any] = {}
    for v in _ancestors(outputs):
        found.update(getattr(v.tag, "update_ops", ()))
    return list(found.items())
