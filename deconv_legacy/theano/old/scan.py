"""``theano.clone`` and what ``theano.scan_module`` held besides scan."""

from __future__ import annotations

from typing import Any

from aesara.graph.basic import equal_computations
from aesara.scan.views import foldl, foldr, map, reduce

from deconv_legacy.engine import aesara

__all__ = ["clone", "equal_computations", "foldl", "foldr", "infer_shape", "isNaN_or_Inf_or_None", "map", "reduce"]


def clone(
    output: Any,
    replace: Any = None,
    strict: bool = True,
    share_inputs: bool = True,
    copy_inputs: bool | None = None,
) -> Any:
    """A copy of a graph with parts of it replaced; a list for a list, one variable for one variable."""
    options = dict(rebuild_strict=strict, copy_inputs_over=share_inputs if copy_inputs is None else copy_inputs)
    return aesara.clone_replace(output, replace, **options)


def infer_shape(outs: Any, inputs: Any, input_shapes: Any) -> list[Any]:
    """The symbolic shapes of `outs`, given those of `inputs`."""
    feature = aesara.tensor.rewriting.shape.ShapeFeature()
    graph = aesara.graph.fg.FunctionGraph([], [], features=[feature], clone=False)
    for variable, shape in zip(inputs, input_shapes, strict=True):
        feature.set_shape(variable, shape)
    for out in outs:
        for node in aesara.graph.basic.io_toposort(inputs, [out]):
            for variable in node.inputs:
                if variable not in feature.shape_of:
                    feature.init_r(variable)
            feature.on_import(graph, node, "infer_shape")
    return [feature.shape_of[out] for out in outs]


def isNaN_or_Inf_or_None(x: Any) -> bool:
    """Whether a value is none of a number: NaN, infinite or None, also as a constant of a graph."""
    import numpy as np

    if x is None:
        return True
    value = getattr(x, "data", x)
    try:
        return bool(np.isnan(value) or np.isinf(value))
    except TypeError:
        return False
