"""`Layer`, the node of a graph: built on symbolic variables or on other layers, it holds parameters and an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine import aesara
from deconv_legacy.engine.where import mark
from deconv_legacy.errors import SizeError

at = aesara.tensor

__all__ = ["InputLayer", "Layer", "all_layers", "all_params"]

Shape = tuple[Any, ...]


class Layer:
    """One step of a network.

    Parameters
    ----------
    inputs
        Layers or symbolic variables that it reads.
    name
        Appears in errors and names the parameters: ``name.W``, ``name.b``.

    Attributes
    ----------
    inputs : list of symbolic variables
    input_layers : list of Layer or None
        The layer behind each input, None where a plain variable was given.
    outputs, output : list of symbolic variables, and the first of them
    output_shape : tuple
        Shape of `output`: an int for each size that is known when the graph is built, None for the others
        (``layer.output.shape`` is symbolic and always there).
    params : list of shared variables
        The parameters, weights before biases.
    updates : list of (shared variable, new value)
        What a training step must also do: moving averages.
    frozen : bool
        Whether training leaves the parameters alone.
    spec
        What the file says that it was built from (Caffe's LayerParameter); None where there was none.

    A subclass sets ``self.outputs`` in its constructor; see `deconv_legacy.layers` for those there are.
    """

    params: list[Any]
    updates: list[tuple[Any, Any]]
    spec: Any = None
    kind: str | None = None
    """What errors call this type of layer, where that is not its class: the type that a file says, say."""
    made_with: tuple[tuple[Any, ...], dict[str, Any]]
    """The arguments and keywords of its constructor, so that it can be made again on other inputs."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Layer:
        layer = super().__new__(cls)
        layer.made_with = arguments, keywords
        return layer

    def __init__(self, inputs: Sequence[Any], name: str, *, frozen: bool = False):
        self.name = name
        self.frozen = bool(frozen)
        self.params = []
        self.updates = []
        self.references: list[Layer] = []  # layers of which only the sizes are used
        self.input_layers = [i if isinstance(i, Layer) else None for i in inputs]
        self.inputs = [i.output if isinstance(i, Layer) else at.as_tensor_variable(i) for i in inputs]
        self.outputs = []

    @property
    def input(self) -> Any:
        return self.inputs[0]

    @property
    def outputs(self) -> list[Any]:
        return self._outputs

    @outputs.setter
    def outputs(self, variables: list[Any]) -> None:
        self._outputs = variables
        mark(variables, self.inputs, self.where)

    @property
    def output(self) -> Any:
        return self.outputs[0]

    @property
    def input_shape(self) -> Shape:
        return tuple(self.inputs[0].type.shape)

    @property
    def output_shape(self) -> Shape:
        return tuple(self.output.type.shape)

    @property
    def trainable_params(self) -> list[Any]:
        """The parameters that training changes: none of a frozen layer's."""
        return [] if self.frozen else list(self.params)

    @property
    def where(self) -> str:
        """Name and type, for errors."""
        return f"{self.name} ({self.kind or type(self).__name__})"

    def __repr__(self) -> str:
        return f"<{self.kind or type(self).__name__} {self.name!r} {_shape_text(self.output_shape)}>"

    def top(self, index: int) -> Layer:
        """The output number `index` as a layer, for layers that have several."""
        return self if index == 0 else _Top(self, index)

    # For subclasses

    keeps_coordinates = False
    """Whether output cell i stands for input cell i: true of layers that work cell by cell."""

    def step(self, axis: int) -> geometry.Step | None:
        """What this layer does to coordinates on `axis` (2, 3, ...), None where it does not keep them."""
        return geometry.Step("identity", name=self.name) if self.keeps_coordinates else None

    def add_param(
        self,
        given: Any,
        shape: Sequence[int],
        suffix: str,
        filler: Callable[..., np.ndarray],
        rng: Any = None,
    ) -> Any:
        """A parameter of this layer: a shared variable, from an array, a shared variable (which is then shared
        between layers) or, where `given` is None, from a filler ``filler(shape, rng, dtype)``."""
        shape = tuple(shape)
        if isinstance(given, aesara.compile.SharedVariable):
            values = given.get_value(borrow=True)
        elif isinstance(given, at.Variable):
            raise TypeError(
                f"{self.where}: parameter {suffix} is an expression; an array or a shared variable is legal"
            )
        else:
            dtype = self.input.dtype if self.input.dtype in ("float32", "float64") else aesara.config.floatX
            # a copy of the caller's array: training works in place
            values = filler(shape, rng, dtype) if given is None else np.array(given, dtype)
        if values.shape != shape:
            raise SizeError(
                f"parameter {suffix} of shape {values.shape} was given, {shape} is needed", where=self.where
            )
        if not isinstance(given, at.Variable):
            given = aesara.shared(values, name=f"{self.name}.{suffix}", borrow=True, shape=shape)
        self.params.append(given)
        return given

    def need_rank(self, *ranks: int, index: int = 0) -> None:
        """Refuse an input whose rank is none of `ranks`."""
        ndim = self.inputs[index].ndim
        if ndim not in ranks:
            legal = " or ".join(map(str, ranks))
            raise SizeError(f"the input has {ndim} axes, {legal} are needed", where=self.where)

    def need_axis(self, axis: int) -> int:
        """The axis of the input, counted from 0; refuse one that there is not."""
        ndim = self.input.ndim
        if not -ndim <= axis < ndim:
            raise SizeError(f"axis {axis} of an input of {ndim} axes", where=self.where)
        return axis % ndim

    def located(self, build: Callable[..., Any]) -> Any:
        """Run `build`; an error in it says which layer it comes from."""
        try:
            return build()
        except SizeError as error:
            raise error.at(self.where) from None


class _Top(Layer):
    """One output of a layer that has several."""

    keeps_coordinates = True

    def __init__(self, layer: Layer, index: int):
        super().__init__([layer], f"{layer.name}[{index}]")
        self.kind = layer.kind or type(layer).__name__
        self.outputs = [layer.outputs[index]]


def _shape_text(shape: Sequence[Any]) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"


class InputLayer(Layer):
    """Where data enter: a symbolic variable with what is known of its shape.

    Parameters
    ----------
    shape
        Sizes, None where unknown, e.g. ``(None, 3, None, None)`` for images ``(N, channels, rows, columns)``.
    input
        A variable to use; by default one is made.
    dtype
        Of the variable made: float32 as Caffe has it, or what is asked.

    Examples
    --------
    >>> InputLayer((None, 3, 224, None)).output_shape
    (None, 3, 224, None)
    """

    def __init__(self, shape: Sequence[int | None], input: Any = None, name: str = "data", dtype: str = "float32"):
        shape = tuple(None if n is None else int(n) for n in shape)
        if input is None:
            input = at.TensorType(dtype, shape=shape)(name)
        super().__init__([input], name)
        self.need_rank(len(shape))
        variable = self.inputs[0]
        if variable.type.shape != shape and any(n is not None for n in shape):
            variable = self.located(lambda: _specify(variable, shape))
        self.outputs = [variable]


def _specify(variable: Any, shape: Shape) -> Any:
    for axis, (known, said) in enumerate(zip(variable.type.shape, shape, strict=True)):
        if None not in (known, said) and known != said:
            raise SizeError(f"axis {axis} of the variable has size {known}, not {said}", axis=axis)
    return at.specify_shape(variable, shape)


def all_layers(*outputs: Layer) -> list[Layer]:
    """Every layer that `outputs` depend on, each after those it reads, the outputs included."""
    order: dict[Layer, None] = {}
    # an explicit stack: deep nets would exceed Python's
    stack = [(layer, False) for layer in reversed(outputs)]
    while stack:
        layer, ready = stack.pop()
        if layer in order:
            continue
        if ready:
            order[layer] = None
            continue
        stack.append((layer, True))
        parents = [parent for parent in layer.input_layers if parent is not None]
        stack.extend((parent, False) for parent in reversed(parents + layer.references))
    return list(order)


def all_params(*outputs: Layer, trainable: bool = False) -> list[Any]:
    """The parameters of every layer that `outputs` depend on, each once; only those that training changes if asked."""
    found: dict[Any, None] = {}
    for layer in all_layers(*outputs):
        for parameter in layer.trainable_params if trainable else layer.params:
            found[parameter] = None
    return list(found)
