"""`Net`: pycaffe's net, compiled.

The layers between two layers in Python are one function, compiled when it is first needed and kept: values, weights
and image sizes may change from call to call. It computes the net's outputs; the blob of a layer inside is computed
when it is first read, and from then on by every forward.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy.caffe import _batches, _state
from deconv_legacy.caffe._backward import plan_backward
from deconv_legacy.caffe._passes import BackwardPass, ForwardPass
from deconv_legacy.caffe._segment import Node, Segment, Segments, link, static_shape
from deconv_legacy.caffe._weights import NetWeights
from deconv_legacy.caffe.blob import DATA, DIFF, Blob, BlobVec, ParamBlob
from deconv_legacy.caffe.build import Build, refuse_unknown, top_names
from deconv_legacy.caffe.filter import filter_net, unique_names
from deconv_legacy.caffe.host_data import refuse_not_run
from deconv_legacy.caffe.hosts import HOSTS, make_host
from deconv_legacy.caffe.prototxt import read_net
from deconv_legacy.caffe.splits import insert_splits
from deconv_legacy.errors import FileFormatError, MismatchError, SizeError
from deconv_legacy.layers import InputLayer

__all__ = ["Net", "NetLayer"]


class NetLayer:
    """A compiled layer as ``net.layers`` shows it: its ``type`` and its ``blobs``."""

    def __init__(self, node: Node):
        self.type = node.type
        self.blobs = BlobVec(node.blobs)

    def __repr__(self) -> str:
        return f"<{self.type} layer with {len(self.blobs)} blobs>"


class Net(NetWeights):
    """A net from a prototxt, with pycaffe's interface.

    ``Net(file, phase, level=0, stages=None, weights=None)``, or as of old ``Net(file, weights, phase)``.

    Parameters
    ----------
    network_file
        A prototxt of any age, or a NetParameter.
    phase
        ``caffe.TRAIN`` (0) or ``caffe.TEST`` (1).
    level, stages
        For the include and exclude rules.
    weights
        A caffemodel or HDF5 file; see `copy_from`.
    forks
        Read a fork's net: its fields are known, others are skipped with a warning, and a Crop without parameters
        finds its offset.
    caffe_cpu_sum
        Add losses in float32, one by one, as Caffe on a CPU does, for identical logs; by default as
        `set_caffe_cpu_sum` says.

    Attributes
    ----------
    blobs, params : OrderedDict
        Name -> `Blob`; name of a layer -> list of its parameters.
    layers : list
        Layer objects, those in Python themselves.
    layer_dict, top_names, bottom_names : OrderedDict
        By name of the layer.
    inputs, outputs : list of str
        In definition order; alphabetical, as in Caffe.

    Raises
    ------
    FileFormatError, MismatchError, SizeError
        Naming the layer. An exception of a layer in Python comes out unchanged.

    Examples
    --------
    >>> from deconv_legacy.caffe import parse_net
    >>> net = Net(parse_net('''
    ...     layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 2, 3] } } }
    ...     layer { name: "half" type: "Power" bottom: "x" top: "y" power_param { scale: 0.5 } }'''), 1)
    >>> net.blobs["x"].data[...] = 4
    >>> net.forward()["y"].shape, float(net.blobs["y"].data.max())
    ((1, 2, 2, 3), 2.0)
    """

    def __init__(
        self,
        network_file: Any,
        phase: Any = None,
        level: Any = 0,
        stages: Iterable[str] | None = None,
        weights: Any = None,
        *,
        forks: bool = False,
        caffe_cpu_sum: bool | None = None,
    ):
        if isinstance(phase, (str, os.PathLike)):  # Net(file, weights, phase)
            weights, phase, level = phase, level, 0
        if phase not in (0, 1):
            raise MismatchError(f"phase {phase!r} of a net is caffe.TRAIN (0) or caffe.TEST (1)")
        if isinstance(network_file, (str, os.PathLike)):
            path, net = network_file, read_net(network_file, allow_unknown=forks)
        else:
            path, net = None, network_file
        self.phase = int(phase)
        self._caffe_cpu_sum = _state.caffe_cpu_sum if caffe_cpu_sum is None else caffe_cpu_sum
        self._random = np.random.default_rng(_state.seed())
        spec = filter_net(net, phase=self.phase, level=int(level), stages=list(stages or ()))
        for layer in spec.layer:
            if not layer.HasField("phase"):
                layer.phase = self.phase
        refuse_unknown(spec, path)
        refuse_not_run(spec)
        unique_names(spec)
        self._spec = insert_splits(spec)
        self._build_all(path)
        if weights is not None:
            self.copy_from(weights)

    # Construction

    def _build_all(self, path: Any) -> None:
        spec = self._spec
        self.name = spec.name
        self.blobs: OrderedDict[str, Blob] = OrderedDict()
        self._nodes: list[Node] = []
        self._variables: dict[Any, ParamBlob] = {}  # shared variable -> its blob
        self._params: dict[str, list[Any]] = {}  # layer -> shared variables, for builds to come
        self._memory: dict[str, Any] = {}
        builds = partial(Build, self.phase, {}, False, 0, self._params, self._memory)
        self._segments = Segments(self._nodes, builds, self._caffe_cpu_sum)
        self._passes: dict[int, ForwardPass] = {}  # by layer: the last forward through it
        self._wanted: tuple[dict[str, None], dict[str, None]] = ({}, {})
        self._callbacks: dict[str, list[Callable[[int], Any]]] = {}
        read: dict[str, None] = {}
        makers: dict[str, int] = {}
        for index, layer in enumerate(spec.layer):
            node = Node(layer, index, list(layer.bottom), top_names(layer))
            for name in node.tops:
                if name in self.blobs and name not in node.bottoms:
                    raise MismatchError(
                        f"layer {node.name!r} ({node.type}): top blob {name!r} was made by layer "
                        f"{spec.layer[makers[name]].name!r} before it"
                    )
                makers[name] = index
                self.blobs.setdefault(name, Blob())
            for name in node.bottoms:
                read[name] = None
            for name in node.tops:
                read.pop(name, None)
            given = list(layer.loss_weight)
            if given and len(given) != len(node.tops):
                raise MismatchError(f"layer {node.name!r}: loss_weight must be unspecified or specified once per top")
            is_loss = node.type.endswith("Loss") and not given
            node.loss_weights = given or [float(is_loss and i == 0) for i in range(len(node.tops))]
            self._nodes.append(node)
        if not self._nodes:
            raise FileFormatError("the net has no layers in this phase", path=path)
        self.outputs = sorted(name for name in self.blobs if name not in read and name != "(automatic)")
        self.inputs = [top for node in self._nodes if node.type == "Input" for top in node.tops]
        self._infer(first=True)
        for name, blob in self.blobs.items():
            if self._nodes[makers[name]].host is None:
                blob.infer = self._infer
        plan_backward(self._nodes, self.blobs, self._spec.force_backward)
        self._layer_names = [node.name for node in self._nodes]
        self.layers = [node.host if node.host is not None else NetLayer(node) for node in self._nodes]
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((node.name, node.blobs) for node in self._nodes if node.blobs)
        self.top_names = OrderedDict((node.name, list(node.tops)) for node in self._nodes)
        self.bottom_names = OrderedDict((node.name, list(node.bottoms)) for node in self._nodes)

    def _infer(self, first: bool = False, hosts: bool = False) -> None:
        """Find the shape of every blob from those of the inputs; the first time, make all parameters too."""
        build = Build(self.phase, {}, False, _state.seed() if first else 0, self._params, self._memory)
        graph: dict[str, Any] = {}
        for node in self._nodes:
            bottoms, tops = self._ends(node)
            if node.type in HOSTS:
                if first:
                    node.host = make_host(node.spec)
                    with _naming(node):
                        node.host.setup(bottoms, tops)
                    node.blobs = node.host.blobs
                    node.learns = [self._rate(node, i) != 0 for i in range(len(node.blobs))]
                if first or hosts:
                    node.host.reshape(bottoms, tops)
                graph.update((name, InputLayer(self.blobs[name].dims, name=name)) for name in node.tops)
                continue
            layer, made = link(node, graph, build)
            graph.update(made)
            for name, top in made.items():
                self.blobs[name]._shape = static_shape(top.output)
            if first and layer is not None and layer.params:
                node.variables = list(layer.params)
                self._params[node.name] = node.variables
                learned = set(layer.params) if layer.frozen else set(layer.trainable_params)
                node.fixed = [v not in learned for v in node.variables]
                node.learns = [self._rate(node, i) != 0 and v in learned for i, v in enumerate(node.variables)]
                node.blobs = BlobVec(self._variables.setdefault(v, ParamBlob(v)) for v in node.variables)

        self._shapes = self._given_shapes()

    def _given_shapes(self) -> list[tuple[int, ...]]:
        """The shapes that all others follow from."""
        return [self.blobs[name].dims for node in self._nodes if node.host is not None for name in node.tops]

    @staticmethod
    def _rate(node: Node, index: int) -> float:
        return node.spec.param[index].lr_mult if index < len(node.spec.param) else 1.0

    def _ends(self, node: Node) -> tuple[list[Blob], list[Blob]]:
        return [self.blobs[name] for name in node.bottoms], [self.blobs[name] for name in node.tops]

    # Shapes and data

    def reshape(self) -> None:
        """Carry the shapes of the inputs through the net, as forward does by itself."""
        self._infer(hosts=True)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Give a MemoryData layer its numbers."""
        host = self._nodes[0].host
        if not hasattr(host, "set_input_arrays"):
            raise MismatchError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        host.set_input_arrays(data, labels)

    # Forward

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: Any,
    ) -> dict[str, np.ndarray]:
        """Run the layers ``start .. end`` (all by default).

        Parameters
        ----------
        blobs
            Names of blobs to return beside the outputs.
        start, end
            Names of layers.
        kwargs
            Arrays for all inputs by name; without them the inputs are what their blobs hold.

        Returns
        -------
        dict
            Name -> data of the outputs (of the tops of `end`); the blobs' own arrays, which the next forward
            overwrites.
        """
        extra = list(blobs or [])
        first = self._index(start) if start is not None else 0
        if end is not None:
            last = self._index(end)
            names = self.top_names[end] + extra
        else:
            last = len(self._nodes) - 1
            names = self.outputs + extra
        self._known(names)
        if kwargs:
            if set(kwargs) != set(self.inputs):
                raise MismatchError(f"the inputs are {', '.join(self.inputs)}; not {', '.join(kwargs)}")
            for name, values in kwargs.items():
                if np.shape(values)[:1] != self.blobs[name].dims[:1]:
                    raise SizeError(
                        f"input {name!r} is not batch sized: {np.shape(values)} for a blob of {self.blobs[name].dims}"
                    )
                self.blobs[name].data[...] = values
        self._run_forward(first, last, names)
        return {name: self.blobs[name].data for name in dict.fromkeys(names)}

    def _index(self, layer: str) -> int:
        if layer not in self._layer_names:
            raise MismatchError(f"no layer is called {layer!r}; there are {', '.join(self._layer_names)}")
        return self._layer_names.index(layer)

    def _known(self, blobs: Iterable[str]) -> None:
        for name in blobs:
            if name not in self.blobs:
                raise MismatchError(f"no blob is called {name!r}; there are {', '.join(self.blobs)}")

    def _pieces(self, first: int, last: int) -> list[tuple[int, int]]:
        """Layers ``first .. last`` cut at those in Python; one by one where there are callbacks."""
        pieces: list[tuple[int, int]] = []
        for index in range(first, last + 1):
            alone = self._nodes[index].host is not None or bool(self._callbacks)
            if pieces and not alone and self._nodes[pieces[-1][1]].host is None:
                pieces[-1] = (pieces[-1][0], index)
            else:
                pieces.append((index, index))
        return pieces

    def _forward(self, first: int, last: int) -> float:
        """Run layers by number; their part in the loss, as pycaffe returns it."""
        self._run_forward(first, last, self._loss_weights(first, last))
        return self._loss(first, last)

    def _run_forward(self, first: int, last: int, names: Iterable[str] = ()) -> None:
        pieces = self._pieces(first, last)
        for number, (start, end) in enumerate(pieces):
            node = self._nodes[start]
            self._call("before_forward", start)
            if node.host is not None:
                self._host_forward(node)
                self._call("after_forward", start)
                continue
            # what layers in Python that are about to run will read
            soon = {b for s, e in pieces[number + 1 :] for i in range(s, e + 1) for b in self._nodes[i].bottoms}
            taken = self._start(start, end)
            wanted = [name for name in taken.made if name in soon or self._is_wanted(DATA, name, names)]
            results = taken.run(wanted, updates=True)
            taken.finish(wanted, results)
            self._call("after_forward", start)

    def before_forward(self, run: Callable[[int], Any]) -> None:
        """Call ``run(index)`` before every layer's forward. Where there are callbacks, layers run one by one, each
        compiled on its own."""
        self._callbacks.setdefault("before_forward", []).append(run)

    def after_forward(self, run: Callable[[int], Any]) -> None:
        """The same after a layer's forward."""
        self._callbacks.setdefault("after_forward", []).append(run)

    def before_backward(self, run: Callable[[int], Any]) -> None:
        """The same before a layer's backward."""
        self._callbacks.setdefault("before_backward", []).append(run)

    def after_backward(self, run: Callable[[int], Any]) -> None:
        """The same after it."""
        self._callbacks.setdefault("after_backward", []).append(run)

    def _call(self, kind: str, layer: int) -> None:
        for run in self._callbacks.get(kind, ()):
            run(layer)

    def _host_forward(self, node: Node) -> None:
        bottoms, tops = self._ends(node)
        node.host.reshape(bottoms, tops)
        node.host.forward(bottoms, tops)

    def _is_wanted(self, which: int, name: str, names: Iterable[str]) -> bool:
        return name in names or name in self._wanted[which] or self.blobs[name].held(which)

    def _start(self, start: int, end: int) -> ForwardPass:
        taken = ForwardPass(self, self._segment(start, end))
        for index in range(start, end + 1):
            self._passes[index] = taken
        self._updated = ()
        return taken

    def _segment(self, start: int, end: int) -> Segment:
        return self._segments.between(start, end, self.blobs)

    # Backward

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: Any,
    ) -> dict[str, np.ndarray]:
        """Run the layers backward from `start` down to `end` (all by default).

        Diffs of parameters add up over calls, those of blobs are overwritten; layers under no loss are skipped, as
        in Caffe, unless the net has ``force_backward: true``.

        Parameters
        ----------
        diffs
            Names of blobs whose diffs to return beside the inputs'.
        kwargs
            Diffs for all outputs by name.
        """
        extra = list(diffs or [])
        first = self._index(start) if start is not None else len(self._nodes) - 1
        if end is not None:
            last = self._index(end)
            names = self.bottom_names[end] + extra
        else:
            last, names = 0, self.inputs + extra
        self._known(names)
        if kwargs:
            if set(kwargs) != set(self.outputs):
                raise MismatchError(f"the outputs are {', '.join(self.outputs)}; not {', '.join(kwargs)}")
            for name, values in kwargs.items():
                if np.shape(values)[:1] != self.blobs[name].dims[:1]:
                    raise SizeError(
                        f"diff of {name!r} is not batch sized: {np.shape(values)} for {self.blobs[name].dims}"
                    )
                self.blobs[name].diff[...] = values
        self._backward(first, last, names)
        return {name: self.blobs[name].diff for name in dict.fromkeys(names)}

    def _backward(self, first: int, last: int, names: Iterable[str] = ()) -> None:
        for start, end in reversed(self._pieces(last, first)):
            self._call("before_backward", start)
            self._piece_backward(start, end, names)
            self._call("after_backward", start)

    def _piece_backward(self, start: int, end: int, names: Iterable[str]) -> None:
        node = self._nodes[start]
        if node.host is not None:
            if node.need_backward:
                bottoms, tops = self._ends(node)
                node.host.backward(tops, node.bottom_need, bottoms)
            return
        if not any(n.need_backward for n in self._nodes[start : end + 1]):
            return
        taken = self._passes.get(start)
        if taken is None or self._passes.get(end) is not taken:
            taken = ForwardPass(self, self._segment(start, end))
        down = BackwardPass(taken, (start, end))
        wanted = self._wanted_diffs(down, names)
        down.finish(wanted, down.run(wanted))

    def _wanted_diffs(self, down: BackwardPass, names: Iterable[str]) -> list[str]:
        """Those that are read: by name, or by a layer below this piece."""
        inside = set(down.forward.made)
        return [n for n in down.made if n not in inside or self._is_wanted(DIFF, n, names)]

    def _forward_backward(self) -> None:
        """A forward and a backward, in one compiled function where no layer in Python lies between."""
        pieces = self._pieces(0, len(self._nodes) - 1)
        compiled = [piece for piece in pieces if self._nodes[piece[0]].host is None]
        last = len(self._nodes) - 1
        if len(compiled) != 1 or compiled[0][1] != last or self._callbacks:
            self._run_forward(0, last, self.outputs)
            self._backward(last, 0)
            return
        start, end = compiled[0]
        self._run_forward(0, start - 1)
        taken = self._start(start, end)
        wanted = [name for name in taken.made if self._is_wanted(DATA, name, self.outputs)]
        down = BackwardPass(taken, (start, end))
        diffs = self._wanted_diffs(down, ())
        results = down.run(diffs, wanted, updates=True)
        count = len(wanted) + len(taken.segment.updates)
        taken.finish(wanted, results[:count])
        down.finish(diffs, results[count:])

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Blob -> the weight of its numbers in the loss, mostly 0."""
        weights = self._loss_weights()
        return OrderedDict((name, weights.get(name, 0.0)) for name in self.blobs)

    def _loss_weights(self, first: int = 0, last: int | None = None) -> dict[str, float]:
        """Blob that one of the layers makes -> its part in the loss, where it has one."""
        return {
            name: weight
            for node in self._nodes[first : None if last is None else last + 1]
            for name, weight in zip(node.tops, node.loss_weights, strict=True)
            if weight
        }

    def _loss(self, first: int = 0, last: int | None = None) -> float:
        """The weighted sum of the losses of the last forward."""
        weights = self._loss_weights(first, last)
        return float(sum(weight * self.blobs[name].data.sum() for name, weight in weights.items()))

    # Batches

    def forward_all(self, blobs: Sequence[str] | None = None, **kwargs: Any) -> dict[str, np.ndarray]:
        """Run forward on any number of inputs, batch by batch; the results have as many rows as the inputs."""
        return _batches.forward_all(self, blobs or [], kwargs)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Forward and backward, batch by batch; `kwargs` are inputs and diffs of outputs, by name."""
        return _batches.forward_backward_all(self, blobs or [], diffs or [], kwargs)

    def __repr__(self) -> str:
        return f"<Net {self.name!r}: {len(self._nodes)} layers, {', '.join(self.inputs)} -> {', '.join(self.outputs)}>"


@contextlib.contextmanager
def _naming(node: Node) -> Iterator[None]:
    """Errors of a blob's size name the layer; what users' layers raise comes out as it is."""
    try:
        yield
    except SizeError as error:
        if node.type == "Python" or error.where != "Blob":
            raise
        raise error.at(f"{node.name} ({node.type})") from None
