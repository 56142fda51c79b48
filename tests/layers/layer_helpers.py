"""What the tests of layers share: a layer's value and gradients on each backend, and comparison."""

from __future__ import annotations

import importlib.util

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.layers import InputLayer

at = aesara.tensor
HAVE_JAX = importlib.util.find_spec("jax") is not None
BACKENDS = ["numpy", *(["c"] if engine.have_compiler() else []), *(["jax"] if HAVE_JAX else [])]


def inputs_for(arrays):
    """An InputLayer for each array: channels known, everything else free."""
    return [
        InputLayer((None, *a.shape[1:2], *(None,) * (a.ndim - 2)), name=f"in{i}", dtype=a.dtype.name)
        for i, a in enumerate(arrays)
    ]


def gradients(output, wanted, g):
    """Gradients of ``sum(g * output)``."""
    return aesara.grad(None, wanted, known_grads={output: g})


def value_and_gradients(layer, inputs, g, backend):
    """A function of the arrays and g: the value, the gradient of each input, of each trainable parameter."""
    weight = at.tensor(layer.output.dtype, shape=(None,) * layer.output.ndim)
    wanted = [i.output for i in inputs] + layer.trainable_params
    results = [layer.output, *gradients(layer.output, wanted, weight)]
    return engine.compile([*(i.output for i in inputs), weight], results, backend=backend)
