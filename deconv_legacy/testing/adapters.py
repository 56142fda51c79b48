"""How Caffe files, layers and plain Aesara graphs become a `Subject`: `subject_of` tells what one has."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deconv_legacy.caffe import build_net, read_net
from deconv_legacy.caffe.build import BuiltNet, assumed_inputs, top_names
from deconv_legacy.caffe.filter import filter_net
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import InputLayer, Layer, Network
from deconv_legacy.testing.rebuild import sources
from deconv_legacy.testing.subject import Stage, Subject

__all__ = ["caffe_subject", "graph_subject", "network_subject", "subject_from_file", "subject_of"]


def file_digest(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def caffe_subject(
    net: Any,
    weights: str | Path | None = None,
    *,
    phase: str = "TEST",
    backend: str | None = None,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    allow_unknown: bool = False,
) -> Subject:
    """A Caffe net.

    Parameters
    ----------
    net
        A prototxt, or a NetParameter.
    weights
        A caffemodel or HDF5 file; without one, what the fillers give (seed 0).
    phase
        ``"TEST"`` or ``"TRAIN"``.
    input_shapes
        Of inputs; by default data layers bring 3 channels, or one where a loss compares with them, of any size.
    allow_unknown
        Whether a prototxt may have what forks of Caffe added.

    Raises
    ------
    FileFormatError, MismatchError, SizeError
    """
    files = {Path(net).name: file_digest(net)} if isinstance(net, (str, Path)) else {}
    built = free_net(net, phase, input_shapes, allow_unknown)
    if weights is not None:
        built.load(weights)
        files[Path(weights).name] = file_digest(weights)
    subject = built_subject(built, backend)
    subject.files = files
    return subject


def free_net(
    net: Any,
    phase: str = "TEST",
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    allow_unknown: bool = False,
) -> Any:
    """A `BuiltNet` for images of any size, whose data layers are inputs."""
    path, number = None, {"TRAIN": 0, "TEST": 1}[phase]
    if isinstance(net, (str, Path)):
        path, net = net, read_net(net, allow_unknown=allow_unknown)
    shapes = {**assumed_inputs(filter_net(net, phase=number)), **(input_shapes or {})}
    return build_net(net, number, path=path, rng=0, input_shapes=shapes)


def built_subject(built: Any, backend: str | None = None) -> Subject:
    """A subject from a `deconv_legacy.caffe.BuiltNet`."""
    specs = list(built.spec.layer)
    last = {top: spec.name for spec in specs for top in top_names(spec)}
    now: dict[str, str] = {}  # blob -> its version
    variables: dict[str, Any] = {}
    inputs, stages = [], []
    feeds = {layer.name: layer for layer in built.input_layers}
    for spec in specs:
        layer = built.layers.get(spec.name)
        bottoms = tuple(dict.fromkeys(now[name] for name in spec.bottom))
        tops = top_names(spec)
        for index, top in enumerate(tops):
            now[top] = top if last[top] == spec.name else f"{top}@{spec.name}"
            variables[now[top]] = (feeds[top] if layer is None else layer.top(index)).output
            if layer is None:
                inputs.append(now[top])
        if layer is not None and tops:
            stages.append(Stage(spec.name, spec.type, layer, bottoms, tuple(now[top] for top in tops)))
    subject = Subject(variables, inputs, stages, backend=backend)
    for spec in (spec for spec in specs if spec.type == "Input"):
        written = [tuple(shape.dim) for shape in spec.input_param.shape]
        subject.shapes.update(zip(spec.top, written * len(spec.top) if len(written) == 1 else written, strict=False))
    return subject


def network_subject(network: Network, *, backend: str | None = None) -> Subject:
    """A subject from layers: each blob has the name of the layer that makes it, ``name[1]`` for its second output."""
    variables: dict[str, Any] = {}
    inputs: list[str] = []
    stages: list[Stage] = []
    for source in network.inputs:
        inputs.append(source.name)
        variables[source.name] = source.output
    for number, variable in enumerate(v for v in network.input_variables if v not in variables.values()):
        name = variable.name or f"input{number}"
        inputs.append(name)
        variables[name] = variable

    def key(source: Any) -> str:
        if isinstance(source, Layer):
            if source.name in variables:
                return source.name
            source = source.output
        found = next((name for name, variable in variables.items() if variable is source), None)
        if found is None:
            raise MismatchError(f"{source} is computed outside of the layers: give the graph as named variables")
        return found

    for layer in network.layers.values():
        if isinstance(layer, InputLayer) or not layer.outputs or type(layer).__name__ == "_Top":
            continue
        bottoms = tuple(key(source) for source in sources(layer))
        tops = (layer.name, *(f"{layer.name}[{i}]" for i in range(1, len(layer.outputs))))
        variables.update(zip(tops, layer.outputs, strict=True))
        stages.append(Stage(layer.name, type(layer).__name__, layer, bottoms, tops))
    return Subject(variables, inputs, stages, backend=backend)


class GraphLayer(Layer):
    """What lies between some variables of a plain Aesara graph and one that is computed from them."""

    def __init__(self, inputs: Sequence[Any], output: Any, name: str):
        super().__init__(inputs, name)
        self.outputs = [output]
        roots = aesara.graph.basic.graph_inputs([output], blockers=list(inputs))
        self.params = [v for v in roots if isinstance(v, aesara.compile.SharedVariable) and hasattr(v.type, "ndim")]


def graph_subject(outputs: Any, *, backend: str | None = None) -> Subject:
    """A subject from plain variables, Theano's way.

    Parameters
    ----------
    outputs
        Name -> variable, for all that shall be compared; or one variable or a list, and then every variable with a
        name on the way to them is a blob.

    Examples
    --------
    >>> x = aesara.tensor.tensor4("x", dtype="float32")
    >>> hidden = 2 * x; hidden.name = "hidden"
    >>> graph_subject({"y": hidden.sum(axis=1), "hidden": hidden})
    <Subject of 2 layers: x -> y>
    """
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        ends = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        ways = aesara.graph.basic.ancestors(ends)
        named = {v.name: v for v in ways if v.name and v.owner is not None}
        named.update({v.name or f"output{i}": v for i, v in enumerate(ends)})
    constant = (aesara.graph.basic.Constant, aesara.compile.SharedVariable)
    roots = [v for v in aesara.graph.basic.graph_inputs(list(named.values())) if not isinstance(v, constant)]
    variables = {v.name or f"input{i}": v for i, v in enumerate(roots)}
    if len(variables) < len(roots):
        raise MismatchError("two inputs of the graph have one name; every input needs a name of its own")
    inputs = list(variables)
    order = {v: i for i, v in enumerate(aesara.graph.basic.io_toposort(roots, list(named.values())))}
    stages = []
    for name, variable in sorted(named.items(), key=lambda item: order.get(item[1].owner, -1)):
        if variable.owner is None:
            continue
        blockers = [v for v in variables.values() if v is not variable]
        reached = set(aesara.graph.basic.ancestors([variable], blockers=blockers))
        reads = {key: v for key, v in variables.items() if v in reached and v is not variable}
        kind = getattr(variable.owner.op, "name", None) or type(variable.owner.op).__name__
        stages.append(Stage(name, kind, GraphLayer(list(reads.values()), variable, name), tuple(reads), (name,)))
        variables[name] = variable
    return Subject(variables, inputs, stages, backend=backend)


def subject_of(thing: Any, *, backend: str | None = None) -> Subject:
    """A `Subject` from what one has: a Subject, a Network or layers, a BuiltNet, named variables of a plain graph.

    Raises
    ------
    MismatchError
        For anything else; numbers from elsewhere are a `deconv_legacy.testing.Recording`.
    """
    if isinstance(thing, Subject):
        return thing
    if isinstance(thing, Network):
        return network_subject(thing, backend=backend)
    if isinstance(thing, BuiltNet):
        return built_subject(thing, backend)
    parts = list(thing.values()) if isinstance(thing, Mapping) else thing
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    if parts and all(isinstance(part, Layer) for part in parts):
        return network_subject(Network(parts), backend=backend)
    if parts and all(isinstance(part, aesara.graph.basic.Variable) for part in parts):
        return graph_subject(thing, backend=backend)
    raise MismatchError(
        f"a {type(thing).__name__} is no net; legal are a Network, layers, a BuiltNet, named Aesara variables"
    )


def subject_from_file(
    path: str | Path, weights: str | Path | None = None, *, backend: str | None = None, allow_unknown: bool = False
) -> Subject:
    """A subject from a prototxt (of a fork, where `allow_unknown`) and its weights, or from ``FILE.py:NAME``: a net, or
    a function without arguments that returns one."""
    text = str(path)
    file, _, name = text.rpartition(":")
    if text.endswith(".py"):
        raise MismatchError(f"{text}: say which of its nets, as in {text}:NAME, a net or a function that makes one")
    if not file.endswith(".py"):
        return caffe_subject(path, weights, backend=backend, allow_unknown=allow_unknown)
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise MismatchError(f"{file} has no name {name!r}")
    thing = getattr(module, name)
    subject = subject_of(thing() if callable(thing) and not isinstance(thing, Layer) else thing, backend=backend)
    if weights is not None:
        raise MismatchError("a net made in Python loads its own weights; give no weights file with it")
    subject.files[Path(file).name] = file_digest(file)
    return subject
