"""A layer by itself: run on given arrays, as it is, with other parameters, or made again with other settings.

Nothing here knows a layer's formula: a layer is cut out of its graph, or its own class is called again.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import ConvolutionLayer, CropLayer, DeconvolutionLayer, InputLayer, Layer

__all__ = ["Runner", "arguments_of", "rebuild", "sources"]


def sources(layer: Layer) -> list[Any]:
    """What `layer` reads, each once: a layer or a variable for each input, then the layers whose sizes it takes."""
    pairs = zip(layer.input_layers, layer.inputs, strict=True)
    read = [variable if source is None else source for source, variable in pairs]
    return list({id(source): source for source in (*read, *layer.references)}.values())


def variable_of(source: Any) -> Any:
    return source.output if isinstance(source, Layer) else source


class Runner:
    """Runs one layer alone; compiled once, when first asked.

    Parameters
    ----------
    layer
        Of a graph, which is left as it is.
    backend
        As for `deconv_legacy.engine.compile`.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy.layers import InputLayer, PoolLayer
    >>> pool = PoolLayer(InputLayer((None, 1, None, None)), 2, name="pool")
    >>> runner = Runner(pool, backend="numpy")
    >>> [out.shape for out in runner([np.ones((1, 1, 5, 5), "float32")])]
    [(1, 1, 2, 2)]
    >>> [out.shape for out in runner([np.ones((1, 1, 5, 5), "float32")], rounding="caffe")]
    [(1, 1, 3, 3)]
    """

    def __init__(self, layer: Layer, backend: str | None = None):
        self.layer, self.backend = layer, backend
        self._plain: Any = None
        self._with_params: Any = None

    def __call__(
        self,
        arrays: Sequence[np.ndarray],
        params: Mapping[int, np.ndarray] | None = None,
        **changes: Any,
    ) -> list[np.ndarray]:
        """The layer's outputs.

        Parameters
        ----------
        arrays
            One for each of `sources`.
        params
            Other values for some parameters, by their number.
        changes
            Other settings: keywords of the layer's class.
        """
        if changes:
            made = rebuild(self.layer, arrays, params=params, **changes)
            return self._compile([variable_of(s) for s in sources(made)], made.outputs, {})(*arrays)
        given = [variable_of(source) for source in sources(self.layer)]
        if not params:
            if self._plain is None:
                self._plain = self._compile(given, self.layer.outputs, {})
            return self._plain(*arrays)
        if self._with_params is None:
            stand_ins = [variable.type() for variable in self.layer.params]
            givens = dict(zip(self.layer.params, stand_ins, strict=True))
            self._with_params = self._compile([*given, *stand_ins], self.layer.outputs, givens)
        values = [
            np.asarray(params[i], v.dtype) if i in params else v.get_value(borrow=True)
            for i, v in enumerate(self.layer.params)
        ]
        return self._with_params(*arrays, *values)

    def _compile(self, inputs: Sequence[Any], outputs: Sequence[Any], givens: Any) -> Any:
        """Compiled, for inputs of which some may be the same variable; a source may be one of the outputs."""
        distinct: list[Any] = []
        for variable in inputs:
            if not any(variable is other for other in distinct):
                distinct.append(variable)
        function = engine.compile(
            distinct, list(outputs), givens=givens or None, backend=self.backend, on_unused_input="ignore"
        )
        first = [next(i for i, other in enumerate(inputs) if other is variable) for variable in distinct]

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            typed = [np.asarray(arrays[i], inputs[i].dtype) for i in first]
            return [np.asarray(value) for value in function(*typed)]

        return run


def rebuild(
    layer: Layer,
    inputs: Sequence[Any],
    *,
    dtype: str | None = None,
    params: Mapping[int, np.ndarray] | None = None,
    **changes: Any,
) -> Layer:
    """The same layer on new inputs: its class is called as it was, with `changes`.

    Parameters
    ----------
    inputs
        For each of `sources` an array (of which shape and dtype count) or a layer.
    dtype
        Of the new inputs, in place of the arrays'.
    params
        Values for some parameters by their number, in place of the layer's own.
    changes
        Keywords of the class. Convolutions and deconvolutions take ``filter_shape``, ``stride``, ``padding``,
        ``dilation``, ``groups``, ``filter_flip``, ``W`` and ``b`` whatever their class.

    Raises
    ------
    MismatchError
        If there are too few or too many inputs, or the class has no such keyword.
    """
    read = sources(layer)
    if len(read) != len(inputs):
        raise MismatchError(f"{layer.where}: {len(inputs)} inputs are given, it reads {len(read)}")
    fresh = [given if isinstance(given, Layer) else _input(given, dtype, i) for i, given in enumerate(inputs)]
    values = dict(enumerate(variable.get_value() for variable in layer.params))
    values.update(params or {})
    if isinstance(layer, (ConvolutionLayer, DeconvolutionLayer)):
        made = _filters_again(layer, fresh, values, changes)
    else:
        made = _again(layer, dict(zip(map(id, read), fresh, strict=True)), changes)
        if len(made.params) != len(layer.params):
            raise MismatchError(f"{layer.where}: made again it has {len(made.params)} parameters, not {len(values)}")
    made.spec = layer.spec
    for i, variable in enumerate(made.params):
        if any(variable is other for other in layer.params):
            raise MismatchError(f"{layer.where} shares its parameters with another layer")
        variable.set_value(np.asarray(values[i], variable.dtype))
    return made


def _input(array: Any, dtype: str | None, index: int) -> InputLayer:
    array = np.asarray(array)
    return InputLayer(array.shape, name=f"input{index}", dtype=dtype or str(array.dtype))


def _filters_again(layer: Any, fresh: Sequence[Layer], values: dict[int, Any], changes: dict[str, Any]) -> Layer:
    keywords: dict[str, Any] = {
        "filter_shape": layer.filter_shape,
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "filter_flip": layer.filter_flip,
        "W": values[0],
        "b": values.get(1),
    }
    keywords.update(changes)
    keywords["W"] = np.asarray(keywords["W"])
    keywords["filter_shape"] = keywords["W"].shape
    down = isinstance(layer, ConvolutionLayer)
    if not down and layer._sized and not {"output_size", "like"} & set(changes):
        keywords["like"] = fresh[1] if len(fresh) > 1 else None
        if len(fresh) == 1:
            keywords["output_size"] = layer.output_shape[2:]
    made = (ConvolutionLayer if down else DeconvolutionLayer)(fresh[0], name=layer.name, **keywords)
    values.update(enumerate(variable.get_value() for variable in made.params))
    return made


def arguments_of(layer: Layer) -> dict[str, Any]:
    """What its constructor was called with, by name, defaults included.

    >>> from deconv_legacy.layers import InputLayer, LRNLayer
    >>> arguments_of(LRNLayer(InputLayer((1, 5, 2, 2)), 3))["alpha"]
    1.0
    """
    arguments, keywords = layer.made_with
    bound = inspect.signature(type(layer).__init__).bind(layer, *arguments, **keywords)
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def _again(layer: Layer, replaced: Mapping[int, Layer], changes: dict[str, Any]) -> Layer:
    bound = {name: _replace(value, layer, replaced) for name, value in arguments_of(layer).items()}
    unknown = [name for name in changes if name not in inspect.signature(type(layer).__init__).parameters]
    if unknown:
        raise MismatchError(f"{layer.where} has no setting {unknown[0]!r}")
    if isinstance(layer, CropLayer):
        bound["offset"] = layer.offset  # one that was derived follows from layers that the new inputs do not have
    bound.update(changes)
    return type(layer)(**bound)


def _replace(value: Any, layer: Layer, replaced: Mapping[int, Layer]) -> Any:
    """Layers and variables of the old graph become the new ones, shared variables their values."""
    if isinstance(value, (list, tuple)):
        return type(value)(_replace(part, layer, replaced) for part in value)
    if id(value) in replaced:
        return replaced[id(value)]
    if isinstance(value, aesara.compile.SharedVariable):
        return value.get_value()
    return value
