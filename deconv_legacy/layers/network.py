"""`Network`: the layers of a graph by name, their parameters, and functions compiled from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError, listed
from deconv_legacy.layers.base import InputLayer, Layer, all_layers, all_params

__all__ = ["Network"]


class Network:
    """All layers that some outputs depend on.

    Parameters
    ----------
    outputs
        One layer or several.

    Attributes
    ----------
    outputs : list of Layer
    layers : dict
        Every layer by its name, in an order in which each follows what it reads.
    inputs : list of InputLayer

    Raises
    ------
    MismatchError
        If two layers have one name.

    Examples
    --------
    >>> import numpy as np
    >>> from deconv_legacy.layers import InputLayer, ConvolutionLayer, Network
    >>> data = InputLayer((None, 3, None, None))
    >>> net = Network(ConvolutionLayer(data, (2, 3, 1, 1), name="score"))
    >>> net.load({"score": [np.ones((2, 3, 1, 1))]})
    >>> net.function(backend="numpy")(np.ones((1, 3, 2, 2), "float32"))[0, 0]
    array([[3., 3.],
           [3., 3.]], dtype=float32)
    """

    def __init__(self, outputs: Layer | Sequence[Layer]):
        self.outputs = [outputs] if isinstance(outputs, Layer) else list(outputs)
        self.layers: dict[str, Layer] = {}
        for layer in all_layers(*self.outputs):
            if layer.name in self.layers:
                raise MismatchError(
                    f"two layers are called {layer.name!r}; every layer of a network has a name of its own"
                )
            self.layers[layer.name] = layer
        self.inputs = [layer for layer in self.layers.values() if isinstance(layer, InputLayer)]

    def __getitem__(self, name: str) -> Layer:
        if name not in self.layers:
            raise MismatchError(f"no layer is called {name!r}; there are {', '.join(self.layers)}")
        return self.layers[name]

    def __repr__(self) -> str:
        return f"<Network of {len(self.layers)} layers: {', '.join(i.name for i in self.inputs)} -> " + (
            ", ".join(o.name for o in self.outputs) + ">"
        )

    @property
    def params(self) -> dict[str, list[Any]]:
        """The shared variables of each layer that has any, weights before biases."""
        return {name: layer.params for name, layer in self.layers.items() if layer.params}

    def param_list(self, trainable: bool = False) -> list[Any]:
        """All parameters, each once; only those that training changes if asked."""
        return all_params(*self.outputs, trainable=trainable)

    @property
    def updates(self) -> list[tuple[Any, Any]]:
        """What a training step must also do: the moving averages of all layers."""
        return [update for layer in self.layers.values() for update in layer.updates]

    @property
    def input_variables(self) -> list[Any]:
        """What a function of the network takes: the variables of `inputs`, then plain ones that layers read."""
        fed = [layer.output for layer in self.inputs]
        roots = aesara.graph.basic.graph_inputs([layer.output for layer in self.outputs], blockers=fed)
        constant = (aesara.graph.basic.Constant, aesara.compile.SharedVariable)
        return fed + [v for v in roots if v not in fed and not isinstance(v, constant)]

    def load(self, weights: Mapping[str, Sequence[Any]], *, missing: bool = False, unknown: bool = False) -> None:
        """Give the parameters new values.

        Parameters
        ----------
        weights
            Arrays for each layer's name, weights before biases, of the parameters' shapes. They are copied.
        missing, unknown
            Whether it is right that a layer with parameters has no entry (it keeps its values), or that an entry
            has no layer (it is not used).

        Raises
        ------
        MismatchError
            Listing every name and shape that does not fit, or if this is no mapping; then nothing has been changed.
        """
        if not isinstance(weights, Mapping):
            raise MismatchError(
                f"load takes arrays by layer name, not {type(weights).__name__} {weights!r}; "
                "a Caffe file is read by deconv_legacy.caffe.build_net(...).load(file)"
            )
        problems, params = [], self.params
        absent = [name for name in params if name not in weights]
        extra = [name for name in weights if name not in params and len(weights[name])]
        if absent and not missing:
            problems.append(f"no weights for {_names(absent)}")
        if extra and not unknown:
            problems.append(f"weights for {_names(extra)}, which the network does not have")
        chosen = []
        for name, variables in params.items():
            if name not in weights:
                continue
            arrays = list(weights[name])
            if len(arrays) != len(variables):
                problems.append(f"{name}: {len(arrays)} arrays for {len(variables)} parameters")
                continue
            for variable, array in zip(variables, arrays, strict=True):
                shape = variable.get_value(borrow=True).shape
                if np.shape(array) != shape:
                    problems.append(f"{name}: an array of shape {np.shape(array)} for a parameter of shape {shape}")
                chosen.append((variable, array))
        if problems:
            raise MismatchError("these weights do not belong to this network: " + listed(problems))
        for variable, array in chosen:
            variable.get_value(borrow=True)[...] = array  # in place: large nets need the memory but once

    def weights(self) -> dict[str, list[np.ndarray]]:
        """The values of the parameters, by layer; copies."""
        return {name: [v.get_value() for v in variables] for name, variables in self.params.items()}

    def function(
        self, outputs: Sequence[str] | str | None = None, *, backend: str | None = None, **options: Any
    ) -> Any:
        """Compile the network: arrays for `inputs` in, the outputs (or the layers named) out.

        Plain variables that layers were built on follow the `inputs`, in the order in which they are read. One output
        is returned as an array, several as a list. `backend` and `options` are those of
        `deconv_legacy.engine.compile`.
        """
        if isinstance(outputs, str):
            results: Any = self[outputs].output
        elif outputs is not None:
            results = [self[name].output for name in outputs]
        else:
            results = [layer.output for layer in self.outputs]
            results = results[0] if len(results) == 1 else results
        options.setdefault("on_unused_input", "ignore")  # an output may need some of the inputs only
        return engine.compile(self.input_variables, results, backend=backend, **options)


def _names(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
