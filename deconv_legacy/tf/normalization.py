"""Batch normalisation by every system's rule for the moving variance."""

from __future__ import annotations

from typing import Any

from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import BatchNormLayer
from deconv_legacy.tf._layout import Layout, tensor

at = aesara.tensor

__all__ = ["VARIANCE_RULES", "batch_normalization"]

VARIANCE_RULES = {
    "tf_fused": True,
    "tf_keras_float32": True,
    "torch": True,
    "caffe": True,
    "tf_unfused": False,
    "keras3": False,
    "lasagne": False,
}
"""Whether a system's moving variance is the unbiased one, ``n / (n - 1)`` times the batch's; the batch itself is always
normalised by the biased one."""

_FUSED_EPSILON = 1.001e-5  # the least that TensorFlow's fused kernel takes


def batch_normalization(
    x: Any,
    *,
    decay: float,
    epsilon: float,
    center: bool = True,
    scale: bool = True,
    training: Any = False,
    trainable: bool = True,
    fused: bool | None = None,
    variance_rule: str | None = None,
    data_format: str | None = None,
    initial: dict[str, Any] | None = None,
    name: str = "batch_normalization",
) -> Any:
    """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` for each channel of `x` ``[N, C]`` to ``[N, D, H, W, C]``.

    Parameters
    ----------
    decay, epsilon
        Moving averages become ``decay m + (1 - decay) batch``.
    center, scale
        Whether there are a beta and a gamma.
    training
        True: the batch's mean and variance, and updates in `tf.update_ops`; False: the moving averages; or a symbolic
        bool that chooses when the function runs.
    fused
        Which of TensorFlow's kernels gives the variance rule: None is the fused one for float32 with 4 axes.
    variance_rule
        A name of `VARIANCE_RULES` instead.
    initial
        Arrays or shared variables for ``"gamma"``, ``"beta"``, ``"mean"``, ``"variance"``.

    `tf.contrib.layers.batch_norm` and `tf.layers.batch_normalization` call it with their defaults.
    """
    x = tensor(x)
    if x.ndim not in (2, 3, 4, 5):
        raise SizeError(f"an input of {x.ndim} axes; 2 to 5 are legal", where=name)
    try:
        layout = Layout.of(data_format, x.ndim - 2)
    except SizeError as error:
        raise error.at(name) from None
    if x.type.shape[layout.channel_axis] is None:
        raise SizeError("the number of channels must be known", axis=layout.channel_axis, where=name)
    if variance_rule is not None and variance_rule not in VARIANCE_RULES:
        raise ValueError(f"variance_rule {variance_rule!r} is unknown; there are {', '.join(VARIANCE_RULES)}")
    if fused is None:
        fused = x.ndim == 4 and x.dtype == "float32"
    if fused:
        epsilon = max(epsilon, _FUSED_EPSILON)
    unbiased = VARIANCE_RULES[variance_rule or ("tf_fused" if fused else "tf_unfused")]
    start = {"gamma": scale, "beta": center, "mean": None, "variance": None, **(initial or {})}
    engine_x = layout.to_engine(x)

    def layer(train: bool, values: dict[str, Any]) -> BatchNormLayer:
        return BatchNormLayer(
            engine_x, epsilon, decay, **values, name=name, unbiased=unbiased, train=train, frozen=not trainable
        )

    if isinstance(training, at.Variable):
        trained = layer(True, start)
        tested = layer(False, {key: getattr(trained, key) for key in start})
        y = at.switch(training, trained.output, tested.output)
        updates = [(v, at.switch(training, new, v)) for v, new in trained.updates]
    else:
        trained = layer(bool(training), start)
        y, updates = trained.output, trained.updates
    for v in trained.params:
        v.tag.trainable = v in trained.trainable_params
    y = layout.from_engine(y)
    y.tag.update_ops = updates
    return y
