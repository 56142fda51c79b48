"""What the tests of the engine's Ops share: one graph, run in C, in NumPy and, where it is installed, in JAX."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine._aesara import aesara, have_compiler

at = aesara.tensor

CAFFE_LAYERS = Path(__file__).parents[1] / "data" / "caffe" / "layers"
PYTHON = aesara.compile.mode.Mode(linker="py", optimizer=None)
C = aesara.compile.mode.Mode(linker="cvm", optimizer=None)
HAVE_JAX = importlib.util.find_spec("jax") is not None
BACKENDS = ["python", *(["c"] if have_compiler() else []), *(["jax"] if HAVE_JAX else [])]


def tensors(*arrays):
    """A variable for each array."""
    return [at.tensor(a.dtype, shape=(None,) * a.ndim) for a in arrays]


def run(backend, build, *arrays):
    """The values of what `build` makes of variables for `arrays`; in C and NumPy without any rewrite of the graph."""
    variables = tensors(*arrays)
    outputs = build(*variables)
    several = isinstance(outputs, list)
    if backend == "jax":
        function = engine.compile(variables, outputs, backend="jax", on_unused_input="ignore")
    else:
        function = aesara.function(variables, outputs, mode=C if backend == "c" else PYTHON, on_unused_input="ignore")
    values = function(*arrays)
    return values if several else np.asarray(values)


def gradient(output, variable, output_gradient):
    return aesara.grad(None, variable, known_grads={output: output_gradient}, disconnected_inputs="ignore")


def caffe_case(name):
    """The arrays of a case that real Caffe computed, and its notes."""
    with np.load(CAFFE_LAYERS / name / "io.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(str(arrays.pop("meta")))
