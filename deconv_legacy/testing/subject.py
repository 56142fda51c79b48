"""What the kit works on: a `Subject` has named blobs and layers between them, and runs whole or layer by layer.

Caffe files, a `deconv_legacy.layers.Network` and a plain Aesara graph with named variables all become one:
`deconv_legacy.testing.adapters` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import MismatchError
from deconv_legacy.layers import Layer
from deconv_legacy.testing.rebuild import Runner

__all__ = ["Stage", "Subject"]


@dataclass(frozen=True)
class Stage:
    """A layer between blobs.

    Attributes
    ----------
    name, type
        As the net has them.
    layer
        The `Layer`.
    bottoms, tops
        Blobs that it reads, in the order of `deconv_legacy.testing.rebuild.sources`, and that it makes. The value of
        a blob before a layer that works in place is ``blob@layer``, with the layer that made it.
    """

    name: str
    type: str
    layer: Layer
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.name} ({self.type})"


class Subject:
    """A net under test.

    Attributes
    ----------
    inputs : list of str
        Blobs that are fed.
    stages : list of Stage
        Each after those it reads.
    blobs : list of str
        All blobs that have a name of their own, inputs first, in order.
    outputs : list of str
        Blobs that no stage reads.
    files : dict
        Where it comes from: file name -> SHA-256.
    shapes : dict
        Of the inputs, None where any size will do; a prototxt's are those that it names.
    dtype : str
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        inputs: Sequence[str],
        stages: Sequence[Stage],
        *,
        backend: str | None = None,
        files: Mapping[str, str] | None = None,
    ):
        self.variables = dict(variables)
        self.inputs = list(inputs)
        self.stages = list(stages)
        self.backend = backend
        self.files = dict(files or {})
        made = [top for stage in self.stages for top in stage.tops]
        self.blobs = [*self.inputs, *(name for name in made if "@" not in name and name not in self.inputs)]
        read = {name for stage in self.stages for name in stage.bottoms}
        self.outputs = [name for name in self.blobs if name not in read and name not in self.inputs] or self.blobs[-1:]
        self.shapes = {name: tuple(self.variables[name].type.shape) for name in self.inputs}
        self.dtype = next((d for d in (v.dtype for v in self.variables.values()) if d.startswith("float")), "float32")
        self._functions: dict[tuple[str, ...], Any] = {}
        self._runners: dict[str, Runner] = {}

    def __repr__(self) -> str:
        return f"<Subject of {len(self.stages)} layers: {', '.join(self.inputs)} -> {', '.join(self.outputs)}>"

    @property
    def params(self) -> dict[str, Any]:
        """The shared variables by name, each once."""
        found: dict[str, Any] = {}
        for stage in self.stages:
            for index, variable in enumerate(stage.layer.params):
                if not any(variable is other for other in found.values()):
                    name = variable.name or f"{stage.name}.{index}"
                    found[name if name not in found else f"{stage.name}.{index}"] = variable
        return found

    def stage(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise MismatchError(f"no layer is called {name!r}; there are {', '.join(s.name for s in self.stages)}")

    def check_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise MismatchError(f"no values for input {missing[0]!r}; the net reads {', '.join(self.inputs)}")

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Values of the blobs named, by default all; compiled once for each choice of names."""
        self.check_inputs(inputs)
        names = self.blobs if names is None else list(names)
        given = [name for name in names if name in self.inputs]
        made = [name for name in names if name not in self.inputs]
        unknown = [name for name in made if name not in self.variables]
        if unknown:
            raise MismatchError(f"no blob is called {unknown[0]!r}; there are {', '.join(self.blobs)}")
        result = {name: np.asarray(inputs[name], self.variables[name].dtype) for name in given}
        if made:
            key = tuple(made)
            if key not in self._functions:
                self._functions[key] = engine.compile(
                    [self.variables[name] for name in self.inputs],
                    [self.variables[name] for name in made],
                    backend=self.backend,
                    on_unused_input="ignore",
                )
            arrays = [np.asarray(inputs[name], self.variables[name].dtype) for name in self.inputs]
            result.update(zip(made, map(np.asarray, self._functions[key](*arrays)), strict=True))
        return {name: result[name] for name in names}

    def run_stage(
        self,
        stage: Stage,
        bottoms: Sequence[np.ndarray],
        params: Mapping[int, np.ndarray] | None = None,
        **changes: Any,
    ) -> list[np.ndarray]:
        """The tops of one layer, alone, from its bottoms; `Runner` says what may be changed."""
        if stage.name not in self._runners:
            self._runners[stage.name] = Runner(stage.layer, self.backend)
        return self._runners[stage.name](bottoms, params, **changes)

    def gradients(
        self, inputs: Mapping[str, np.ndarray], seed: int = 0, loss: str | None = None
    ) -> dict[str, np.ndarray]:
        """Gradients with respect to all parameters and floating inputs, by name.

        Of `loss`, a scalar blob, by default the only output if that is a scalar; else of the sum of all outputs, each
        times normal numbers of `seed`.
        """
        self.check_inputs(inputs)
        scalars = [name for name in self.outputs if self.variables[name].ndim == 0]
        if loss is None and len(scalars) == 1:
            loss = scalars[0]
        wanted = {**{f"{n}": self.variables[n] for n in self.inputs if self.variables[n].dtype.startswith("float")}}
        wanted.update(self.params)
        known: dict[Any, Any] = {}
        arrays = [np.asarray(inputs[name], self.variables[name].dtype) for name in self.inputs]
        arguments = [self.variables[name] for name in self.inputs]
        if loss is not None:
            known[self.variables[loss]] = aesara.tensor.ones_like(self.variables[loss])
        else:
            rng = np.random.default_rng(seed)
            for name, value in self.run(inputs, self.outputs).items():
                stand_in = self.variables[name].type()
                known[self.variables[name]] = stand_in
                arguments.append(stand_in)
                arrays.append(rng.standard_normal(value.shape).astype(value.dtype))
        found = aesara.grad(
            None, list(wanted.values()), known_grads=known, disconnected_inputs="ignore", return_disconnected="zero"
        )
        function = engine.compile(arguments, found, backend=self.backend, on_unused_input="ignore")
        return dict(zip(wanted, map(np.asarray, function(*arrays)), strict=True))
