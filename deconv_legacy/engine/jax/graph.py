"""`as_jax`: a graph as a pure function of JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import device_of, jax, with_64_bits
from deconv_legacy.engine.jax.function import RandomType, rewritten
from deconv_legacy.engine.jax.translate import run
from deconv_legacy.engine.modes import PRECISIONS
from deconv_legacy.errors import MismatchError

__all__ = ["JaxGraph", "as_jax"]

SharedVariable = aesara.compile.sharedvalue.SharedVariable


class JaxGraph:
    """``graph(params, *inputs, key=None)``: a pure function of JAX; see `as_jax`.

    Attributes
    ----------
    variables : dict
        Name in the pytree -> shared variable.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Any, precision: str = "float32"):
        if precision not in PRECISIONS:
            raise ValueError(f"precision {precision!r} is unknown; legal are {', '.join(map(repr, PRECISIONS))}")
        self._single, self._precision = not isinstance(outputs, (list, tuple)), precision
        outputs = [outputs] if self._single else list(outputs)
        roots = [v for v in aesara.graph.basic.graph_inputs(outputs) if v not in inputs]
        missing = [v for v in roots if not isinstance(v, (SharedVariable, aesara.graph.basic.Constant))]
        if missing:
            raise MismatchError(f"the outputs depend on {missing[0]}, which is not among the inputs")
        shared = [v for v in roots if isinstance(v, SharedVariable)]
        self._random = [v for v in shared if isinstance(v.type, RandomType)]
        self.variables: dict[str, Any] = {}
        for variable in shared:
            if variable not in self._random:
                self.variables[self._free_name(variable.name or "param")] = variable
        self._inputs = len(inputs)
        self._fgraph = rewritten([*inputs, *self.variables.values(), *self._random], outputs)
        self._dtypes = {v.dtype for v in self._fgraph.variables if hasattr(v.type, "dtype")}

    def _free_name(self, name: str) -> str:
        number, free = 1, name
        while free in self.variables:
            number += 1
            free = f"{name}#{number}"
        return free

    def __call__(self, params: Mapping[str, Any], *inputs: Any, key: Any = None) -> Any:
        if set(params) != set(self.variables):
            odd = sorted(set(params) ^ set(self.variables))
            raise MismatchError(f"the parameters are {', '.join(self.variables)}; {odd[0]!r} is missing or too much")
        if len(inputs) != self._inputs:
            raise TypeError(f"{self._inputs} inputs are needed, {len(inputs)} were given")
        if "float64" in self._dtypes and not jax.config.jax_enable_x64:
            raise TypeError(
                "this graph computes in float64, which JAX has switched off: call it in `with jax.enable_x64(True)`, "
                "in older versions `with jax.experimental.enable_x64()`, or build the graph of float32"
            )
        if self._random and key is None:
            raise TypeError("this graph draws random numbers: give `key`, such as jax.random.key(0)")
        keys = [jax.random.fold_in(key, i) for i in range(len(self._random))]
        values = [*inputs, *(params[name] for name in self.variables), *keys]
        values = [v if isinstance(v, (jax.Array, np.ndarray)) else np.asarray(v) for v in values]
        outputs, _ = run(self._fgraph, values, self._precision)
        return outputs[0] if self._single else outputs

    def params(self, device: str | None = None) -> dict[str, Any]:
        """The parameters' values now, as a pytree of arrays on a device."""
        place = device_of(device)
        with with_64_bits():
            return {n: jax.device_put(v.get_value(), place) for n, v in self.variables.items()}

    def store(self, params: Mapping[str, Any]) -> None:
        """Write values back to the shared variables."""
        for name, variable in self.variables.items():
            variable.set_value(np.array(params[name]), borrow=True)


def as_jax(
    inputs: Sequence[Any], outputs: Any, *, precision: str = "float32", device: str | None = None
) -> tuple[JaxGraph, dict[str, Any]]:
    """A graph as a pure function of JAX, and its parameters as a pytree: ``function(params, *inputs)``.

    ``jax.jit`` (with donation), ``jax.grad``, ``jax.value_and_grad`` and ``jax.vmap`` take it as any other function;
    the gradients of this package's Ops are those of the other backends (Caffe's first maximum, 0 at a rectifier's 0).

    Parameters
    ----------
    inputs, outputs
        Variables; a list of outputs, or one.
    precision
        Of convolutions and products: ``"float32"``, exact; ``"tf32"``, what a GPU may shorten to; ``"bfloat16"``.
    device
        Where the parameters go: ``"cpu"``, ``"gpu"``, ``"gpu:1"``; by default where JAX prefers.

    Returns
    -------
    function : JaxGraph
        A graph with dropout takes ``key=`` as well. ``function.variables`` says which shared variable each parameter
        is, ``function.store(params)`` writes values back.
    params : dict
        Name -> array on the device. Parameters of one name are numbered: ``W``, ``W#2``.

    Raises
    ------
    MissingExtraError
        Without JAX.
    NotImplementedError
        When called, for a size that depends on the numbers in a traced input, and for an Op that JAX cannot compute.

    What only the numbers tell, such as a label that is no class, goes unnoticed here; ``compile(backend="jax")``
    reports it.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from deconv_legacy.layers import DeconvolutionLayer, InputLayer
    >>> x = InputLayer((None, 2, None, None))
    >>> layer = DeconvolutionLayer(x, (2, 3, 4, 4), stride=(2, 2), rng=1)
    >>> function, params = as_jax([x.output], layer.output.sum())
    >>> gradients = jax.jit(jax.grad(function))(params, np.ones((1, 2, 5, 6), "float32"))
    >>> {name: g.shape for name, g in gradients.items()}
    {'deconv.W': (2, 3, 4, 4)}
    """
    function = JaxGraph(list(inputs), outputs, precision)
    return function, function.params(device)
