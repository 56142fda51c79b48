"""Batch normalisation, with every system's rule for the moving averages by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers.base import Layer

at = aesara.tensor

__all__ = ["BatchNormLayer"]


class BatchNormLayer(Layer):
    """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` for each channel (axis 1).

    In training mean and (biased) variance are the batch's, and the moving averages become
    ``decay moving + (1 - decay) batch``; they are in ``layer.updates``, which a training function must run. Else the
    moving averages are used.

    Parameters
    ----------
    epsilon, decay
        Lasagne: 1e-4, 0.9; TensorFlow's contrib: 0.001, 0.999; tf.layers: 0.001, 0.99; torch: 1e-5, 0.9 (its
        momentum is 1 - decay); Caffe: 1e-5, 0.999.
    gamma, beta
        Arrays or shared variables; True starts with ones and zeros, None has none (Caffe, contrib's gamma).
    mean, variance
        Starting values of the moving averages.
    unbiased
        Whether the moving variance takes ``n / (n - 1)`` of the batch's (TF-1 fused, torch, Caffe) or not (Lasagne,
        Keras 3, TF-1 not fused).
    train
        Whether this graph is for training.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, BatchNormLayer
    >>> BatchNormLayer(InputLayer((None, 3, None, None)), train=True).output_shape
    (None, 3, None, None)

    References
    ----------
    Ioffe & Szegedy, arXiv 1502.03167.
    """

    keeps_coordinates = True

    def __init__(
        self,
        input: Any,
        epsilon: float = 1e-5,
        decay: float = 0.9,
        gamma: Any = True,
        beta: Any = True,
        mean: Any = None,
        variance: Any = None,
        name: str = "bn",
        *,
        unbiased: bool = False,
        train: bool = False,
        frozen: bool = False,
    ):
        super().__init__([input], name, frozen=frozen)
        self.need_rank(2, 3, 4, 5)
        x = self.input
        channels = self.input_shape[1]
        if channels is None:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=self.where)
        ones = lambda shape, rng, dtype: fillers.constant(shape, rng, dtype, value=1)  # noqa: E731
        self.gamma = self.beta = None
        if gamma is not None and gamma is not False:
            self.gamma = self.add_param(None if gamma is True else gamma, (channels,), "gamma", ones)
        if beta is not None and beta is not False:
            self.beta = self.add_param(None if beta is True else beta, (channels,), "beta", fillers.constant)
        learned = len(self.params)
        self.mean = self.add_param(mean, (channels,), "mean", fillers.constant)
        self.variance = self.add_param(variance, (channels,), "variance", ones)
        self._learned = self.params[:learned]

        axes = [i for i in range(x.ndim) if i != 1]
        pattern = ["x", 0] + ["x"] * (x.ndim - 2)
        m, v = self.mean, self.variance
        if train:
            m = x.mean(axis=axes)
            v = at.square(x - m.dimshuffle(pattern)).mean(axis=axes)
            count = at.cast(x.size // channels, x.dtype)
            stored = v * count / at.maximum(count - 1, 1) if unbiased else v
            kept, fresh = np.asarray(decay, x.dtype), np.asarray(1 - decay, x.dtype)
            self.updates = (
                []
                if frozen
                else [
                    (self.mean, at.cast(kept * self.mean + fresh * m, x.dtype)),
                    (self.variance, at.cast(kept * self.variance + fresh * stored, x.dtype)),
                ]
            )
        scale = 1 / at.sqrt(v + np.asarray(epsilon, x.dtype))
        if self.gamma is not None:
            scale = scale * self.gamma
        y = (x - m.dimshuffle(pattern)) * scale.dimshuffle(pattern)
        if self.beta is not None:
            y = y + self.beta.dimshuffle(pattern)
        self.outputs = [y]

    @property
    def trainable_params(self) -> list[Any]:
        """gamma and beta; the moving averages are not trained."""
        return [] if self.frozen else list(self._learned)
