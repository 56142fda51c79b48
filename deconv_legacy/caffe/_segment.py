"""A run of a net's layers as one graph: what it computes from the blobs in front of it, and their gradients.

Gradients are taken layer by layer, as Caffe takes them: each layer reads the diff of its tops and writes that of its
bottoms, so that every blob's diff is at hand, and a layer that is left out stays out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.caffe import _state
from deconv_legacy.caffe.blob import Blob
from deconv_legacy.caffe.build import Build, make_layer
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import InputLayer
from deconv_legacy.layers import Layer as GraphLayer

__all__ = ["Gradients", "Node", "Segment", "Segments", "link", "static_shape"]

at = aesara.tensor

_RUN_BY = {
    "softmax_loss": ("SoftmaxWithLoss",),
    "sigmoid_cross_entropy_loss": ("SigmoidCrossEntropyLoss",),
    "unpool": ("Upsample", "Unpooling"),
    "resize": ("Interp",),
}
"""How the errors of an Op start -> the layer types that it computes; it does not know its layer's name."""


@dataclass
class Node:
    """A layer of a net: what the files say of it, and what the net found out."""

    spec: Any
    index: int
    bottoms: list[str]
    tops: list[str]
    host: Any = None  # a layer in Python
    blobs: list[Any] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)  # parameters, for compiled layers
    learns: list[bool] = field(default_factory=list)
    fixed: list[bool] = field(default_factory=list)  # parameters that are not learned whatever their rate
    loss_weights: list[float] = field(default_factory=list)
    need_backward: bool = False
    bottom_need: list[bool] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def type(self) -> str:
        return self.spec.type


def link(node: Node, blobs: dict[str, GraphLayer], build: Build) -> tuple[GraphLayer | None, dict[str, GraphLayer]]:
    """The layer of a node on the blobs so far, and its tops by name."""
    build.train = node.spec.phase == 0
    return make_layer(node.spec, [blobs[name] for name in node.bottoms], build)


def static_shape(variable: Any) -> tuple[int, ...]:
    """The shape of a variable whose inputs have static shapes."""
    shape = tuple(variable.type.shape)
    if None not in shape:
        return shape
    # a layer whose expression hides its sizes: they are computed
    roots = [v for v in aesara.graph.basic.graph_inputs([variable]) if v.owner is None and v.name]
    inputs = [v for v in roots if not isinstance(v, aesara.compile.SharedVariable) and not hasattr(v, "data")]
    function = engine.compile(inputs, variable.shape, backend="numpy", on_unused_input="ignore")
    return tuple(int(n) for n in function(*(np.zeros(v.type.shape, v.dtype) for v in inputs)))


@dataclass
class Gradients:
    """Symbolic gradients of some layers of a segment."""

    given: dict[str, Any]  # blob -> the diff that is read from it
    diffs: dict[str, Any]  # blob -> the diff that is written to it
    params: dict[Any, Any]  # shared variable -> what is added to its diff


class Segment:
    """Layers ``start .. end`` of a net, none of them in Python.

    Attributes
    ----------
    inputs : list of str
        Blobs that are read from outside.
    tops : dict
        Blob name -> variable, the last version of each.
    updates : list of (shared variable, new value)
        What a forward also changes: moving averages.
    """

    def __init__(
        self, nodes: Sequence[Node], shapes: dict[str, tuple[int | None, ...]], build: Build, caffe_cpu_sum: bool
    ):
        self.nodes = nodes
        build.caffe_cpu_sum = caffe_cpu_sum
        blobs: dict[str, GraphLayer] = {}
        self._variables: dict[str, Any] = {}
        self.tops: dict[str, Any] = {}
        self.updates: list[tuple[Any, Any]] = []
        self._ends: list[tuple[list[Any], list[Any], list[Any]]] = []  # bottoms, tops, learning parameters
        for node in nodes:
            for name in node.bottoms:
                if name not in blobs:
                    blobs[name] = InputLayer(shapes[name], name=name)
                    self._variables[name] = blobs[name].output
            bottoms = [blobs[name].output for name in node.bottoms]
            layer, tops = link(node, blobs, build)
            assert layer is not None
            self.updates += layer.updates
            layer.frozen = False  # the net knows what learns
            learning = set(layer.trainable_params)
            self._ends.append(
                (
                    bottoms,
                    [top.output for top in tops.values()],
                    [v for v, learns in zip(layer.params, node.learns, strict=True) if learns and v in learning],
                )
            )
            blobs.update(tops)
            self.tops.update((name, top.output) for name, top in tops.items())
        roots = aesara.graph.basic.graph_inputs(list(self.tops.values()))
        self.random = [v for v in roots if isinstance(v.type, at.random.type.RandomType)]
        self.inputs = list(self._variables)
        self._functions: dict[Any, Any] = {}
        self._gradients: dict[tuple[int, int], Gradients] = {}

    def gradients(self, first: int, last: int) -> Gradients:
        """Of the net's layers ``last`` down to ``first``, as far as they lie in here."""
        key = first, last
        if key not in self._gradients:
            self._gradients[key] = self._differentiate(first, last)
        return self._gradients[key]

    def _differentiate(self, first: int, last: int) -> Gradients:
        given: dict[str, Any] = {}
        diffs: dict[str, Any] = {}
        params: dict[Any, Any] = {}
        for node, (bottoms, tops, learning) in reversed(list(zip(self.nodes, self._ends, strict=True))):
            if not (first <= node.index <= last and node.need_backward):
                continue
            known = {}
            for name, top in zip(node.tops, tops, strict=True):
                if name not in diffs:
                    shape = tuple(top.type.shape)
                    diffs[name] = given[name] = at.TensorType(top.dtype, shape=shape)(f"{name}.diff")
                # an in-place layer that does nothing gives its bottom back: one variable
                known[top] = diffs[name]
            wanted = [i for i, need in enumerate(node.bottom_need) if need]
            variables = [bottoms[i] for i in wanted] + learning
            if not variables:
                continue
            try:
                found = aesara.grad(
                    None, variables, known_grads=known, disconnected_inputs="ignore", return_disconnected="zero"
                )
            except NotImplementedError as error:
                raise SizeError(f"no gradient: {error}", where=f"{node.name} ({node.type})") from error
            for i, gradient in zip(wanted, found, strict=False):
                diffs[node.bottoms[i]] = gradient
            for variable, gradient in zip(learning, found[len(wanted) :], strict=True):
                params[variable] = params[variable] + gradient if variable in params else gradient
        return Gradients(given, {name: d for name, d in diffs.items() if d is not given.get(name)}, params)

    def function(
        self,
        tops: Sequence[str],
        updates: bool = False,
        grads: tuple[int, int] | None = None,
        diffs: Sequence[str] = (),
    ) -> Any:
        """Compiled, once: arrays of `inputs`, and of ``gradients(*grads).given``, to the tops named, the new values of
        `updates`, the diffs named and all gradients of parameters. Parameter values may change between calls. What JAX
        computes stays on its device."""
        key = _state.backend, tuple(tops), updates, grads, tuple(diffs)
        if key not in self._functions:
            arguments = list(self._variables.values())
            results = [self.tops[name] for name in tops]
            if updates:
                results += [new for _, new in self.updates]
            if grads is not None:
                found = self.gradients(*grads)
                arguments += found.given.values()
                results += [found.diffs[name] for name in diffs] + list(found.params.values())
            compiled = engine.compile(
                arguments, results, backend=_state.backend, on_unused_input="ignore", no_default_updates=True
            )
            self._functions[key] = partial(self._call, getattr(compiled, "on_device", compiled))
        return self._functions[key]

    def _call(self, compiled: Any, *arrays: np.ndarray) -> list[Any]:
        try:
            return compiled(*arrays)
        except ValueError as error:  # SizeError too
            # Aesara adds what its graph looks like
            cause = str(error).partition("\nApply node")[0].strip()
            if any(f"{node.name} (" in cause for node in self.nodes):
                raise SizeError(cause) from error
            kinds = next((kinds for start, kinds in _RUN_BY.items() if cause.startswith(start)), None)
            nodes = [node for node in self.nodes if kinds is None or node.type in kinds]
            where = f"{nodes[0].name} ({nodes[0].type})" if nodes else "the net"
            if len(nodes) > 1:
                where = f"one of the layers {nodes[0].name} .. {nodes[-1].name}"
            raise SizeError(cause, where=where) from error

    def draw(self, seeds: Sequence[int]) -> None:
        """Set the random streams: the same seeds give the same dropout."""
        for variable, seed in zip(self.random, seeds, strict=True):
            variable.set_value(np.random.default_rng(seed), borrow=True)


class Segments(dict[Any, Segment]):
    """The segments of a net that were run: one for images of all sizes, or one for each size where a layer must know.

    `build` makes the construction that a segment starts with.
    """

    def __init__(self, nodes: Sequence[Node], build: Callable[[], Build], caffe_cpu_sum: bool):
        super().__init__()
        self._nodes, self._build, self._caffe_cpu_sum = nodes, build, caffe_cpu_sum

    def between(self, start: int, end: int, blobs: Mapping[str, Blob]) -> Segment:
        """That of the net's layers ``start .. end``, for the shapes that blobs have now."""
        nodes = self._nodes[start : end + 1]
        outside: dict[str, tuple[int | None, ...]] = {}
        seen: set[str] = set()
        for node in nodes:
            outside.update((name, blobs[name].dims) for name in node.bottoms if name not in seen)
            seen.update(node.tops)
        free = {name: _free(shape) for name, shape in outside.items()}
        for shapes in (free, outside):
            key = start, end, tuple(shapes.values())
            if key in self:
                return self[key]
            try:
                segment = Segment(nodes, shapes, self._build(), self._caffe_cpu_sum)
            except SizeError:
                if shapes is outside:
                    raise
                continue
            self[key] = segment
            return segment
        raise AssertionError


def _free(shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """What compiled code takes for granted of a blob: its channels."""
    return tuple(n if axis == 1 else None for axis, n in enumerate(shape))
