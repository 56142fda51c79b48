"""`training_function`: one step of training as a compiled function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deconv_legacy import engine
from deconv_legacy.errors import MismatchError, SizeError
from deconv_legacy.layers import Network, all_params

__all__ = ["training_function"]

Rule = Callable[[Any, Sequence[Any]], list[tuple[Any, Any]]]


def training_function(
    network: Network, rule: Rule, loss: str | None = None, *, backend: str | None = None, **options: Any
) -> Any:
    """Compile one step: arrays for the network's inputs in, the loss before the step out.

    Each call changes the parameters that are not frozen, and runs what else a step must do, such as the moving
    averages of batch normalisation (``network.updates``).

    Parameters
    ----------
    network
        With dropout and batch normalisation built for training.
    rule
        ``rule(loss, params)`` gives the updates: one of `deconv_legacy.training` with its numbers, as in
        ``functools.partial(momentum, learning_rate=0.01)``.
    loss
        Name of a layer whose output is a scalar; by default the network's only output.
    backend, options
        As in `deconv_legacy.engine.compile`.

    Raises
    ------
    MismatchError, SizeError
        If the loss is not named, no scalar, or depends on no parameter that is trained.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
    >>> from deconv_legacy.layers import ConvolutionLayer, InputLayer, Network, SoftmaxLossLayer
    >>> from deconv_legacy.training import sgd, training_function
    >>> data, label = InputLayer((None, 3, None, None)), InputLayer((None, 1, None, None), name="label")
    >>> net = Network(SoftmaxLossLayer(ConvolutionLayer(data, (2, 3, 1, 1), rng=1), label))
    >>> step = training_function(net, partial(sgd, learning_rate=0.5), backend="numpy")
    >>> image, truth = np.ones((1, 3, 2, 2), "float32"), np.ones((1, 1, 2, 2), "float32")
    >>> bool(step(image, truth) > step(image, truth))
    True
    """
    if loss is None and len(network.outputs) != 1:
        raise MismatchError(f"the network has {len(network.outputs)} outputs; name the layer that is the loss")
    layer = network.outputs[0] if loss is None else network[loss]
    if layer.output.ndim:
        raise SizeError(f"a loss has no axes, this one has {layer.output.ndim}", where=layer.where)
    params = all_params(layer, trainable=True)
    if not params:
        raise MismatchError(f"{layer.where}: the loss depends on no parameter that is trained")
    options.setdefault("on_unused_input", "ignore")
    updates = [*rule(layer.output, params), *network.updates]
    return engine.compile(network.input_variables, layer.output, updates=updates, backend=backend, **options)
