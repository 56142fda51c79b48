"""From a NetParameter to a graph of layers."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.caffe import types as _types  # noqa: F401  (fills the registry)
from deconv_legacy.caffe._files import read_text
from deconv_legacy.caffe._lexer import Place, type_places
from deconv_legacy.caffe.caffemodel import StoredLayer, read_layers
from deconv_legacy.caffe.filter import filter_net, unique_names
from deconv_legacy.caffe.registry import LAYERS
from deconv_legacy.errors import DeconvLegacyError, FileFormatError, MismatchError, SizeError, listed
from deconv_legacy.layers import InputLayer, Layer, Network

__all__ = ["Build", "BuiltNet", "assumed_inputs", "build_net", "make_layer", "refuse_unknown", "top_names"]

TRAIN, TEST = 0, 1
_MOST = 2**31 - 1


class BuiltNet:
    """The layers of a net.

    Attributes
    ----------
    spec : NetParameter
        The net as filtered for the phase.
    layers : dict
        Layer name -> Layer, in the net's order.
    blobs : dict
        Blob name -> the Layer whose output it is at the end (the last version where layers work in place).
    inputs : list of str
        Blobs that are fed, in the net's order.
    outputs : list of str
        Blobs that no layer reads, alphabetical as in Caffe.
    input_layers : list of InputLayer
        Those behind `inputs`.
    network : Network
        All of it.
    """

    def __init__(
        self, spec: Any, layers: dict[str, Layer], blobs: dict[str, Layer], inputs: list[InputLayer], read: set[str]
    ):
        self.spec = spec
        self.layers = layers
        self.blobs = blobs
        self.input_layers = inputs
        self.inputs = [layer.name for layer in inputs]
        self.outputs = sorted(name for name in blobs if name not in read) or sorted(blobs)
        self.network = Network([blobs[name] for name in self.outputs])

    def params(self) -> dict[str, list[Any]]:
        """Shared variables of each layer that has parameters, in the net's order."""
        return {name: layer.params for name, layer in self.layers.items() if layer.params}

    def load(self, weights: str | Path | Sequence[StoredLayer], *, missing: bool = False) -> list[str]:
        """Copy weights by layer name, as ``Net::CopyTrainedLayersFrom`` does.

        Parameters
        ----------
        weights
            A caffemodel or HDF5 file, or what `read_layers` made of it.
        missing
            Whether a layer with parameters may have no weights; it then keeps what its fillers gave.

        Returns
        -------
        list of str
            Layers of the file that the net does not have, whose weights are therefore not used.

        Raises
        ------
        MismatchError
            Listing every missing name and every wrong shape; nothing has been changed then.
        """
        stored = weights if isinstance(weights, Sequence) and not isinstance(weights, str) else read_layers(weights)
        source = "" if stored is weights else f"{weights}: "
        found = {layer.name: layer for layer in stored}
        params, problems, chosen = self.params(), [], []
        unused = [layer.name for layer in stored if layer.blobs and layer.name not in params]
        for name, variables in params.items():
            if name not in found or (not found[name].blobs and missing):
                if not missing:
                    near = difflib.get_close_matches(name, unused, n=1)
                    problems.append(
                        f"no weights for layer {name!r}" + (f" (there are some for {near[0]!r})" if near else "")
                    )
                continue
            blobs = found[name].blobs
            if len(blobs) != len(variables):
                problems.append(f"layer {name!r} has {len(variables)} parameters, the weights {len(blobs)}")
                continue
            for index, (variable, blob) in enumerate(zip(variables, blobs, strict=True)):
                shape = tuple(variable.type.shape)
                if blob is None:  # an HDF5 file leaves it to the layer that owns it
                    continue
                if not blob.fits(shape):
                    problems.append(
                        f"layer {name!r}, parameter {index}: the net needs shape {shape}, "
                        f"the weights have {blob.data.shape}"
                    )
                    continue
                chosen.append((variable, blob.data, shape))
        if problems:
            raise MismatchError(f"{source}these weights do not belong to the net: " + listed(problems))
        for variable, data, shape in chosen:
            values = np.array(data, variable.dtype).reshape(shape)  # the one copy: the file's may be unaligned
            variable.set_value(values, borrow=True)
        return unused

    def function(self, outputs: Sequence[str] | None = None, *, backend: str | None = None) -> Any:
        """Compile it: arrays for `inputs` in, a list of the blobs named (by default `outputs`) out."""
        from deconv_legacy import engine

        names = self.outputs if outputs is None else outputs
        unknown = [name for name in names if name not in self.blobs]
        if unknown:
            raise MismatchError(f"no blob is called {unknown[0]!r}; there are {', '.join(self.blobs)}")
        return engine.compile(
            [layer.output for layer in self.input_layers],
            [self.blobs[name].output for name in names],
            backend=backend,
            on_unused_input="ignore",
        )


class Build:
    """A net under construction: what the builders in `deconv_legacy.caffe.types` may ask."""

    def __init__(
        self,
        phase: int,
        input_shapes: Mapping[str, Sequence[int | None]],
        free: bool,
        rng: Any,
        params: Mapping[str, Sequence[Any]] | None = None,
        memory: dict[str, Any] | None = None,
    ):
        self.phase = phase
        self.train = phase == TRAIN
        self.rng = np.random.default_rng(rng)
        self.input_shapes = input_shapes
        self.free = free
        self.inputs: list[InputLayer] = []
        self.caffe_cpu_sum = False
        self.memory = {} if memory is None else memory  # what builders keep for the next build of the net
        self._params = params or {}  # those of a build before
        self._shared: dict[str, Any] = {}

    def input(self, blob: str, shape: Sequence[int | None] | None) -> InputLayer:
        """A blob that is fed, with what is known of its shape."""
        if blob in self.input_shapes:
            shape = self.input_shapes[blob]
        elif shape is None:
            raise MismatchError(
                f"the shape of blob {blob!r} comes from a data layer that is not run; name it, as in "
                f"{blob}=1,3,500,500, or take the deploy prototxt"
            )
        elif self.free and len(shape) == 4:
            # Caffe's nets are reshaped to each image: only the channels are fixed
            shape = (None, shape[1], None, None)
        if any(n is not None and not 0 <= n <= _MOST for n in shape) or math.prod(n or 1 for n in shape) > _MOST:
            raise SizeError(f"blob {blob!r} of shape {tuple(shape)}: sizes of at least 0, {_MOST:,} numbers at most")
        layer = InputLayer(shape, name=blob)
        self.inputs.append(layer)
        return layer

    def filler(self, message: Any) -> Any:
        """A filler function from a FillerParameter."""
        fields = {field.name: value for field, value in message.ListFields()}
        if "variance_norm" in fields:
            fields["variance_norm"] = ("FAN_IN", "FAN_OUT", "AVERAGE")[fields["variance_norm"]]
        kind = fields.pop("type", "constant")

        def fill(shape: Sequence[int], rng: Any, dtype: Any) -> np.ndarray:
            need_room(shape)
            return fillers.fill(shape, kind, rng, dtype, **fields)

        return fill

    def shared(self, spec: Any, index: int) -> Any:
        """The parameter that another layer owns under the same ``param { name }``, or this layer in a build of the
        net before; else None."""
        if spec.name in self._params:
            params = self._params[spec.name]
            return params[index] if index < len(params) else None
        name = spec.param[index].name if index < len(spec.param) else ""
        return self._shared.get(name) if name else None

    def own(self, spec: Any, layer: Layer) -> None:
        """Note the layer's named parameters, and freeze it where nothing of it learns."""
        for index, variable in enumerate(layer.params):
            if index < len(spec.param) and spec.param[index].name:
                self._shared.setdefault(spec.param[index].name, variable)
        rates = [spec.param[i].lr_mult if i < len(spec.param) else 1.0 for i in range(len(layer.params))]
        layer.frozen = layer.frozen or (bool(rates) and not any(rates))


def build_net(
    net: Any,
    phase: int = TEST,
    *,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    free: bool = True,
    rng: Any = None,
    path: Any = None,
) -> BuiltNet:
    """Build the layers of a NetParameter (V2).

    Parameters
    ----------
    net
        As `deconv_legacy.caffe.prototxt.read_net` gives it.
    phase
        0 (TRAIN) or 1 (TEST), for include and exclude rules and for dropout.
    input_shapes
        Shapes of input blobs, entries None where free, in place of those of the file.
    free
        Whether inputs of four axes take any batch and image size, as Caffe's do after a reshape. False fixes the
        shapes of the file, so that every layer's ``output_shape`` is known.
    rng
        Seed or generator for the fillers.
    path
        Of the prototxt, for errors.

    Raises
    ------
    FileFormatError
        Listing every layer of a type that there is not, with line and column where `path` is given.
    SizeError, MismatchError
        Naming the layer.

    Examples
    --------
    >>> from deconv_legacy.caffe.prototxt import parse_net
    >>> net = build_net(parse_net('''
    ...     layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 5, 7] } } }
    ...     layer { name: "up" type: "Deconvolution" bottom: "x" top: "up"
    ...             convolution_param { num_output: 3 kernel_size: 4 stride: 2 } }'''), free=False)
    >>> net.blobs["up"].output_shape, net.inputs, net.outputs
    ((1, 3, 12, 16), ['x'], ['up'])
    """
    spec = filter_net(net, phase=phase)
    refuse_unknown(spec, path)
    unique_names(spec)
    scripted = [
        f"{layer.name!r} ({layer.python_param.layer})"
        for layer in spec.layer
        if layer.type == "Python" and layer.bottom
    ]
    if scripted:
        raise MismatchError(f"layers written in Python that read blobs need pycaffe's Net: {', '.join(scripted)}")
    build = Build(phase, dict(input_shapes or {}), free, rng)
    layers: dict[str, Layer] = {}
    blobs: dict[str, Layer] = {}
    read: set[str] = set()
    for layer in spec.layer:
        bottoms = []
        for name in layer.bottom:
            if name not in blobs:
                near = difflib.get_close_matches(name, blobs, n=1)
                raise MismatchError(
                    f"layer {layer.name!r} ({layer.type}): unknown bottom blob {name!r}"
                    + (f"; did you mean {near[0]!r}?" if near else "")
                )
            bottoms.append(blobs[name])
            read.add(name)
        made, tops = make_layer(layer, bottoms, build)
        if made is not None:
            layers[layer.name] = made
        for name, top in tops.items():
            in_place = name in layer.bottom
            if name in blobs and not in_place:
                raise MismatchError(
                    f"layer {layer.name!r} ({layer.type}): top blob {name!r} was made by a layer before it"
                )
            blobs[name] = top
            if in_place:
                read.discard(name)
    if not blobs:
        raise FileFormatError("the net has no layers in this phase", path=path)
    unknown = sorted(build.input_shapes.keys() - {layer.name for layer in build.inputs})
    if unknown:
        there = ", ".join(layer.name for layer in build.inputs) or "none"
        raise MismatchError(f"a shape is given for {unknown[0]!r}, which is no input of the net; its inputs: {there}")
    return BuiltNet(spec, layers, blobs, build.inputs, read)


def assumed_inputs(spec: Any) -> dict[str, tuple[int | None, ...]]:
    """Shapes for the tops of data layers, which tell none: images of 3 channels, and one channel for what a loss
    compares with; batches and sizes stay free.

    Parameters
    ----------
    spec
        A NetParameter, filtered for its phase.

    Examples
    --------
    >>> from deconv_legacy.caffe.prototxt import parse_net
    >>> assumed_inputs(parse_net('''
    ...     layer { name: "data" type: "Python" top: "data" top: "label" }
    ...     layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }'''))
    {'data': (None, 3, None, None), 'label': (None, 1, None, None)}
    """
    labels = {blob for layer in spec.layer if layer.type.endswith("Loss") for blob in layer.bottom[1:]}
    tops = [top for layer in spec.layer if not layer.bottom and layer.type != "Input" for top in layer.top]
    return {top: (None, 1 if top in labels else 3, None, None) for top in tops}


def make_layer(spec: Any, bottoms: Sequence[Layer], build: Build) -> tuple[Layer | None, dict[str, Layer]]:
    """A layer from its LayerParameter, None for one that only brings data; and its tops by name."""
    try:
        made = LAYERS[spec.type](spec, bottoms, build)
    except SizeError as error:
        where = f"{spec.name} ({spec.type})"
        if error.where is None or error.where.startswith(f"{spec.name} ("):  # as the prototxt calls it, once
            error.cause, error.where = error.cause.removeprefix(f"{where}: "), None
            raise error.at(where) from None
        raise
    except DeconvLegacyError:
        raise
    except OSError as error:  # a file that the layer names
        cause = f"layer {spec.name!r} ({spec.type}): {error.strerror or error}"
        raise FileFormatError(cause, path=error.filename) from error
    except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
        # sizes that NumPy or Aesara refuse
        first = (str(error).splitlines() or ["out of memory"])[0]
        raise SizeError(f"cannot be built: {first}", where=f"{spec.name} ({spec.type})") from error
    names = top_names(spec)
    outputs = len(made) if isinstance(made, list) else len(made.outputs)
    if len(names) > outputs or (outputs and not names):
        raise MismatchError(f"layer {spec.name!r} ({spec.type}): {len(names)} top blob(s), it makes {outputs}")
    if isinstance(made, list):
        return None, dict(zip(names, made, strict=True))
    made.spec = spec
    build.own(spec, made)
    for top in made.outputs:
        if math.prod(n or 1 for n in top.type.shape) > _MOST:
            raise SizeError(
                f"a blob of shape {top.type.shape}: {_MOST:,} numbers at most", where=f"{spec.name} ({spec.type})"
            )
    return made, {name: made.top(i) for i, name in enumerate(names)}


def need_room(shape: Sequence[int]) -> None:
    """Refuse a parameter that Caffe cannot count, or that this machine cannot hold."""
    count = math.prod(shape)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if min(shape, default=0) < 0 or count > _MOST or 4 * count > memory:
        raise SizeError(
            f"a parameter of shape {tuple(shape)} has {count:,} numbers; {min(_MOST, memory // 4):,} are the most, "
            "for Caffe and for this machine's memory"
        )


def top_names(spec: Any) -> list[str]:
    """The tops of a layer; Caffe names that of a loss itself where a net does not."""
    return list(spec.top) or (["(automatic)"] if spec.type.endswith("Loss") else [])


def refuse_unknown(net: Any, path: Any) -> None:
    """Raise a FileFormatError that lists every layer of a type that there is not, with its place in the file."""
    unknown = [layer for layer in net.layer if layer.type not in LAYERS]
    if not unknown:
        return
    places: dict[tuple[str, str], list[Place]] = {}
    if path is not None:
        with contextlib.suppress(OSError, FileFormatError):  # gone since it was read
            places = type_places(read_text(path))
    notes, first = [], None
    for layer in unknown:
        there = places.get((layer.name, layer.type), [])  # several where train and test net have one each
        first = first or (there[0] if there else None)
        near = difflib.get_close_matches(layer.type, LAYERS, n=1)
        notes.append(
            f"{layer.type!r} of layer {layer.name!r}"
            + (" at " + " and ".join(f"{line}:{column}" for line, column in there) if there else "")
            + (f" (did you mean {near[0]!r}?)" if near else "")
        )
    raise FileFormatError(
        f"unknown layer type{'s' if len(notes) > 1 else ''} {', '.join(notes)}; there are {', '.join(sorted(LAYERS))}; "
        "deconv_legacy.caffe.registry says how to add one",
        path=path,
        line=first and first[0],
        column=first and first[1],
    )
