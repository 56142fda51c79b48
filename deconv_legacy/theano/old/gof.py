"""Names of ``theano.gof``: Op and the optimizers with the calling conventions of old."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from deconv_legacy.engine import aesara

__all__ = [
    "CLinkerOp",
    "CLinkerType",
    "MethodNotDefined",
    "Op",
    "Optimizer",
    "Params",
    "PureOp",
    "PureType",
    "Query",
    "difference",
    "from_return_values",
    "generic",
    "hashtype",
    "hist",
    "local_optimizer",
    "memoize",
    "object2",
    "remove",
    "scratchpad",
    "to_return_values",
    "uniq",
    "unique",
]

generic = aesara.link.c.type.generic
MethodNotDefined = aesara.graph.utils.MethodNotDefined
Optimizer = aesara.graph.rewriting.basic.GraphRewriter
Query = aesara.graph.rewriting.db.RewriteDatabaseQuery
scratchpad = aesara.graph.utils.Scratchpad
Params = aesara.link.c.params_type.Params
CLinkerOp = aesara.link.c.op.COp
CLinkerType = aesara.link.c.type.CType
PureType = aesara.graph.type.Type
object2 = object


class _AnyOp(type(aesara.graph.op.Op)):  # type: ignore[misc]
    """Every Op of Aesara is an instance of Theano's Op; ``issubclass`` is left alone, for Aesara asks it itself."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, aesara.graph.op.Op) if cls is Op else super().__instancecheck__(instance)


def _takes(method: Any, count: int) -> bool:
    """Whether a method takes exactly `count` arguments after self."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(method).parameters.values())
    return all(p.kind in kinds for p in parameters) and len(parameters) == count + 1


class Op(aesara.graph.op.Op, metaclass=_AnyOp):
    """The base of Ops written for Theano: ``infer_shape(self, node, shapes)`` is adapted, C code is not used."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        method = cls.__dict__.get("infer_shape")
        if method is not None and _takes(method, 2):

            def infer_shape(self: Any, fgraph: Any, node: Any, shapes: Any) -> Any:
                return method(self, node, shapes)

            cls.infer_shape = infer_shape
        if "c_code" in cls.__dict__:
            warnings.warn(f"{cls.__name__}: its C code was written for Theano and is not used; its perform() runs")


PureOp = Op


def local_optimizer(tracks: Any, inplace: bool = False, requirements: Any = ()) -> Any:
    """A decorator for ``f(node)``, or Aesara's ``f(fgraph, node)``."""

    def decorate(function: Any) -> Any:
        rewrite = function
        if len(inspect.signature(function).parameters) == 1:

            def rewrite(fgraph: Any, node: Any) -> Any:
                return function(node)

            rewrite.__name__, rewrite.__doc__ = function.__name__, function.__doc__
        return aesara.graph.rewriting.basic.node_rewriter(tracks, inplace, requirements)(rewrite)

    return decorate


def hashtype(self: Any) -> int:
    return hash(type(self).__name__) ^ hash(type(self).__module__)


def memoize(function: Any) -> Any:
    """Keep the results of a function, by its positional arguments."""
    cache: dict[Any, Any] = {}

    def remembered(*args: Any) -> Any:
        if args not in cache:
            cache[args] = function(*args)
        return cache[args]

    return remembered


def uniq(seq: Any) -> list[Any]:
    """The items of a sequence, each once, in order."""
    return list(dict.fromkeys(seq))


def unique(x: Any) -> bool:
    return len(set(x)) == len(x)


def difference(seq1: Any, seq2: Any) -> list[Any]:
    """The items of the first that are not in the second."""
    return [x for x in seq1 if x not in seq2]


def remove(predicate: Any, coll: Any) -> list[Any]:
    return [x for x in coll if not predicate(x)]


def hist(coll: Any) -> dict[Any, int]:
    """How often each item occurs."""
    counts: dict[Any, int] = {}
    for item in coll:
        counts[item] = counts.get(item, 0) + 1
    return counts


def to_return_values(values: Any) -> Any:
    return values[0] if len(values) == 1 else values


def from_return_values(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]
