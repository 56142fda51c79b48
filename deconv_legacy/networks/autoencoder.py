"""Convolutional autoencoders: plain, and variational (Kingma & Welling 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, InputLayer, Layer, Network, ReluLayer

at = aesara.tensor

__all__ = ["GaussianSampleLayer", "conv_autoencoder", "conv_vae", "kl_divergence"]


class _Builder:
    """What both kinds share: convolutions that shrink, and deconvolutions that mirror them."""

    def __init__(self, input: Any, shape: Sequence[int | None], kernel: int, rng: Any):
        self.data: Layer = input if isinstance(input, Layer) else InputLayer(shape, input)
        self.kernel = kernel
        self.rng = np.random.default_rng(rng)
        self.options: dict[str, Any] = {"filter_flip": False, "b": True, "filler": fillers.msra, "rng": self.rng}

    def conv(self, top: Layer, n: int, name: str, stride: int = 2) -> Layer:
        shape = (n, top.output_shape[1], self.kernel, self.kernel)
        return ConvolutionLayer(top, shape, stride, "same", name, **self.options)

    def encode(self, channels: Sequence[int], stride: int) -> tuple[Layer, list[Layer]]:
        """The last rectified convolution, and what each convolution read."""
        top, read = self.data, []
        for i, n in enumerate(channels, 1):
            read.append(top)
            top = ReluLayer(self.conv(top, n, f"conv{i}", stride), name=f"relu{i}")
        return top, read

    def deconv(
        self, top: Layer, shape: Sequence[int], stride: int, padding: Any, name: str, twin: Network | None, **size: Any
    ) -> Layer:
        """A deconvolution with parameters of its own, or those of the layer of its name in `twin`."""
        options = dict(self.options)
        if twin is not None:
            options.update(W=twin[name].params[0], b=twin[name].params[1])
        return DeconvolutionLayer(top, shape, stride, padding, name, **size, **options)

    def decode(
        self,
        top: Layer,
        read: Sequence[Layer],
        stride: int,
        name: str,
        rectified: bool,
        twin: Network | None = None,
    ) -> Layer:
        """Back through the sizes and channels of what the convolutions read, the last first."""
        for i, like in reversed(list(enumerate(read, 1))):
            shape = (top.output_shape[1], like.output_shape[1], self.kernel, self.kernel)
            sizes = like.output_shape[2:]
            # a known size ties the decoder to no encoder
            size = {"like": like} if None in sizes else {"output_size": sizes}
            top = self.deconv(top, shape, stride, "same", name if i == 1 else f"deconv{i}", twin, **size)
            if rectified and i > 1:
                top = ReluLayer(top, name=f"derelu{i}")
        return top


def conv_autoencoder(
    channels: Sequence[int] = (32, 64, 128, 256),
    code: int = 256,
    input: Any = None,
    *,
    in_channels: int = 3,
    kernel: int = 3,
    stride: int = 2,
    rectified: bool = False,
    rng: Any = None,
) -> Network:
    """Convolutions down to a code, and deconvolutions that mirror them to the very size of the data.

    Each deconvolution takes the size that its convolution read: 112-56-28-14-7-4 and back 4-7-14-28-56-112, where
    doubling would give 8-16-32-64.

    Parameters
    ----------
    channels
        Of the rectified convolutions.
    code
        Channels of the last convolution, ``code``, of the same stride.
    input
        A layer or variable ``(N, in_channels, rows, columns)`` of any, also unknown, size; by default an
        `InputLayer` named ``data``.
    kernel, stride
        Of all convolutions and deconvolutions; padding is SAME.
    rectified
        Whether the deconvolutions but the last are rectified; by default they are linear.
    rng
        Seed or generator for the initial weights (He's).

    Returns
    -------
    Network
        Its output ``reconstruction`` has the shape of the data.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer
    >>> net = conv_autoencoder(input=InputLayer((None, 3, 112, 112)))
    >>> net["code"].output_shape, net["reconstruction"].output_shape
    ((None, 256, 4, 4), (None, 3, 112, 112))
    """
    net = _Builder(input, (None, in_channels, None, None), kernel, rng)
    top, read = net.encode(channels, stride)
    coded = net.conv(top, code, "code", stride)
    return Network(net.decode(coded, [*read, top], stride, "reconstruction", rectified))


class GaussianSampleLayer(Layer):
    """``mean + exp(log_variance / 2) noise``: a sample that gradients pass through (the reparametrisation).

    Parameters
    ----------
    inputs
        Layers or variables of one shape: the mean and the logarithm of the variance.
    train
        False gives the mean.
    seed
        Of the noise; each call of a function draws anew.

    References
    ----------
    Kingma & Welling, arXiv 1312.6114.
    """

    keeps_coordinates = True

    def __init__(self, inputs: Sequence[Any], name: str = "sample", *, train: bool = True, seed: int | None = None):
        super().__init__(inputs, name)
        mean, log_variance = self.inputs
        if not train:
            self.outputs = [mean]
            return
        noise = at.random.utils.RandomStream(seed).normal(size=mean.shape)
        self.outputs = [mean + at.exp(log_variance / 2) * at.cast(noise, mean.dtype)]


def kl_divergence(mean: Any, log_variance: Any) -> Any:
    """``-1/2 sum(1 + log_variance - mean^2 - exp(log_variance))`` over all axes but the first: ``(N,)``.

    The Kullback-Leibler divergence of a diagonal Gaussian from the standard one.

    >>> import numpy as np
    >>> kl_divergence(np.array([[0.0, 2.0]]), np.zeros((1, 2))).eval()
    array([2.])
    """
    m, v = at.as_tensor_variable(mean), at.as_tensor_variable(log_variance)
    return -0.5 * (1 + v - at.square(m) - at.exp(v)).sum(axis=tuple(range(1, m.ndim)))


def conv_vae(
    shape: Sequence[int | None] = (None, 1, 28, 28),
    channels: Sequence[int] = (32, 64),
    code: int = 20,
    input: Any = None,
    *,
    kernel: int = 3,
    stride: int = 2,
    train: bool = True,
    rng: Any = None,
) -> tuple[Network, Network]:
    """A variational autoencoder: the whole network, and the decoder alone with the same parameters.

    Parameters
    ----------
    shape
        Of the data, ``(N, channels, rows, columns)``; all but N must be known.
    channels
        Of the rectified convolutions, and mirrored of the rectified deconvolutions.
    code
        Numbers of a code, ``(N, code, 1, 1)``.
    kernel, stride
        Of the convolutions and their mirror; padding is SAME.
    train
        Whether ``sample`` draws; else it is ``mean``.
    rng
        Seed or generator for the initial weights and the noise.

    Returns
    -------
    Network, Network
        The first has the layers ``mean``, ``log_variance``, ``sample`` and the output ``logits`` (the sigmoid of which
        is the picture); the loss is the sum of `kl_divergence` and the sigmoid cross-entropy with the data. The second
        takes codes to ``logits``.

    Raises
    ------
    SizeError
        If a size is unknown.

    Examples
    --------
    >>> whole, decoder = conv_vae((None, 1, 7, 9), (4, 8), 3)
    >>> whole["mean"].output_shape, whole["logits"].output_shape, decoder["logits"].output_shape
    ((None, 3, 1, 1), (None, 1, 7, 9), (None, 1, 7, 9))

    References
    ----------
    Kingma & Welling, arXiv 1312.6114.
    """
    net = _Builder(input, shape, kernel, rng)
    if None in net.data.output_shape[1:]:
        raise SizeError(f"a shape {net.data.output_shape}: all sizes but the first must be known", where="conv_vae")
    top, read = net.encode(channels, stride)
    dense = (*top.output_shape[1:],)
    # over all that is left: dense layers
    options = {**net.options, "filler": fillers.xavier}
    mean, log_variance = (
        ConvolutionLayer(top, (code, *dense), name=name, **options) for name in ("mean", "log_variance")
    )
    seed = int(net.rng.integers(2**31))
    sample = GaussianSampleLayer([mean, log_variance], train=train, seed=seed)

    def decoder(top: Layer, twin: Network | None = None) -> Network:
        projected = net.deconv(top, (code, *dense), 1, 0, "project", twin)
        top = ReluLayer(projected, name="project_relu")
        return Network(net.decode(top, read, stride, "logits", True, twin))

    whole = decoder(sample)
    return whole, decoder(InputLayer((None, code, 1, 1), name="code"), whole)
