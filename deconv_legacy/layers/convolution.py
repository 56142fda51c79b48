"""Convolution and deconvolution layers, for any number of spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deconv_legacy import engine, fillers, geometry
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers.base import Layer

at = aesara.tensor

__all__ = ["ConvolutionLayer", "Deconvolution3DLayer", "DeconvolutionLayer", "UpscoreLayer"]

Filler = Callable[..., Any]
_NORMAL = partial(fillers.gaussian, std=0.01)


class _FilterLayer(Layer):
    """Filters and an optional bias: what both directions share. `channels_axis` is the axis of `filter_shape` that
    meets the input's channels; the bias has one number for each output channel."""

    channels_axis: int
    bias_axis: int

    def __init__(
        self, input, filter_shape, stride, padding, name, dilation, groups, filter_flip, W, b, filler, rng, frozen
    ):
        super().__init__([input], name, frozen=frozen)
        ndim = len(tuple(filter_shape)) - 2
        if ndim not in (1, 2, 3):
            raise SizeError(
                f"filter_shape {tuple(filter_shape)} has {ndim + 2} entries; 3, 4 or 5 are legal", where=self.where
            )
        self.need_rank(ndim + 2)

        def normalize():
            self.filter_shape = geometry.per_axis(filter_shape, ndim + 2, "filter_shape", 1)
            self.stride = geometry.per_axis(stride, ndim, "stride", 1)
            self.padding = geometry.normalize_border_mode(padding, ndim, "padding")
            self.dilation = geometry.per_axis(dilation, ndim, "dilation", 1)
            self.groups = geometry.as_int(groups, "groups", 1)

        self.located(normalize)
        self.filter_flip = bool(filter_flip)
        if self.filter_shape[0] % self.groups:
            raise SizeError(
                f"filter_shape {self.filter_shape}: its first entry cannot be cut into {self.groups} groups",
                axis=0,
                where=self.where,
            )
        # a group takes 1 / groups of the channels on one side of the filters, and all of them stand on the other
        needed = self.filter_shape[self.channels_axis] * (self.groups if self.channels_axis == 1 else 1)
        channels = self.input_shape[1]
        if channels is not None and channels != needed:
            raise SizeError(
                f"the input has {channels} channels (axis 1), but filter_shape {self.filter_shape} with "
                f"groups={self.groups} takes {needed}",
                axis=1,
                where=self.where,
            )
        self.W = self.add_param(W, self.filter_shape, "W", filler or _NORMAL, rng)
        # a shared variable from elsewhere may not say its shape
        self._filters = self.W if None not in self.W.type.shape else at.specify_shape(self.W, self.filter_shape)
        outputs = self.filter_shape[self.bias_axis] * (self.groups if self.bias_axis == 1 else 1)
        self.b = None
        if b is not None and b is not False:
            given = None if b is True else b
            self.b = self.add_param(given, (outputs,), "b", fillers.constant)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Spatial sizes of the filters."""
        return self.filter_shape[2:]

    step_kind: str

    def _rule(self, axis: int) -> list[Any]:
        """Kernel, stride, padding and dilation on `axis`."""
        return [values[axis - 2] for values in (self.kernel, self.stride, self.padding, self.dilation)]

    def step(self, axis: int) -> geometry.Step:
        kernel, stride, padding, dilation = self._rule(axis)
        size = self._step_output_size(axis)
        return geometry.Step(self.step_kind, kernel, stride, padding, dilation, name=self.name, output_size=size)

    def _step_output_size(self, axis: int) -> int | None:
        return None

    def _arguments(self) -> dict[str, Any]:
        return {
            "border_mode": self.padding,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": self.groups,
            "flip": self.filter_flip,
        }

    def _finish(self, y: Any) -> None:
        if self.b is not None:
            y = y + self.b.dimshuffle("x", 0, *("x",) * len(self.kernel))
        self.outputs = [y]


class ConvolutionLayer(_FilterLayer):
    """Convolve ``(N, in, *sizes)`` into ``(N, out, *sizes)``.

    ``size_out = floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1``

    Parameters
    ----------
    input
        A layer or a symbolic variable ``(N, in, rows, columns)``; one or three spatial axes work as well.
    filter_shape
        ``(out, in / groups, rows, columns)``.
    stride, dilation
        A number or one for each axis.
    padding
        A number, one for each axis, a pair (before, after) for each axis, or ``"valid"``, ``"half"``, ``"full"``,
        ``"same"``, ``"same_lower"`` (`deconv_legacy.geometry.BORDER_MODES`).
    name
        Of the layer; its parameters are ``name.W`` and ``name.b``.
    groups
        Into how many groups the channels are cut.
    filter_flip
        True convolves as Theano does by default, False correlates as Caffe, TensorFlow and torch do.
    W, b
        Arrays or shared variables. `W` None takes `filler`; `b` True starts with zeros, None or False has none.
    filler
        ``filler(shape, rng, dtype)``, one of `deconv_legacy.fillers`; normal with deviation 0.01 by default.
    rng
        Seed or generator for the filler.
    frozen
        Leave the parameters alone in training.

    Raises
    ------
    SizeError
        Naming the layer, for sizes that do not go together.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, ConvolutionLayer
    >>> data = InputLayer((None, 3, 10, 11))
    >>> ConvolutionLayer(data, (8, 3, 3, 5), stride=2, padding=1).output_shape
    (None, 8, 5, 5)

    References
    ----------
    Theano 1.0 ``tensor.nnet.conv2d``; Caffe ``conv_layer.cpp``.
    """

    channels_axis, bias_axis, step_kind = 1, 0, "conv"

    def __init__(
        self,
        input: Any,
        filter_shape: Sequence[int],
        stride: Any = 1,
        padding: Any = 0,
        name: str = "conv",
        *,
        dilation: Any = 1,
        groups: int = 1,
        filter_flip: bool = True,
        W: Any = None,
        b: Any = None,
        filler: Filler | None = None,
        rng: Any = None,
        frozen: bool = False,
    ):
        super().__init__(
            input, filter_shape, stride, padding, name, dilation, groups, filter_flip, W, b, filler, rng, frozen
        )
        self._finish(self.located(lambda: engine.conv(self.input, self._filters, **self._arguments())))


class DeconvolutionLayer(_FilterLayer):
    """Deconvolve ``(N, in, *sizes)`` into ``(N, out, *sizes)``: the gradient of a convolution with respect to its
    input, that is Theano's ``conv2d_grad_wrt_inputs`` with its ``input_shape`` worked out.

    ``size_out = stride (size - 1) + dilation (kernel - 1) + 1 - before - after + a``

    Why ``input_shape`` is needed although the padding is known: the forward convolution rounds down, so `stride`
    neighbouring sizes, ``a = 0 .. stride - 1``, all become the same `size`, and nothing in `size` tells which one it
    was. The smallest is the default; `output_size` or `like` names another; every other size is refused, with the
    list of the legal ones.

    Parameters
    ----------
    input
        A layer or a symbolic variable ``(N, in, rows, columns)``; one or three spatial axes work as well.
    filter_shape
        ``(in, out / groups, rows, columns)``: that of the forward convolution, whose output is this input.
    stride, padding, dilation, groups, W, b, filler, rng, frozen, name
        As for `ConvolutionLayer`; all describe the forward convolution.
    output_size
        Spatial sizes of the output: one for all axes or one for each; ints, symbolic scalars, or None for the
        smallest; or a symbolic vector of them.
    like
        A layer or variable whose spatial sizes the output takes: the mirrored encoder's.
    filter_flip
        True, Theano's default, or False for filters from Caffe, TensorFlow or torch.

    Raises
    ------
    SizeError
        Naming the layer, the axis, the input's size (``actual``), what the forward convolution would make of the
        size asked for (``computed``) and the ``legal`` sizes.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, DeconvolutionLayer
    >>> score = InputLayer((None, 21, 16, 18))
    >>> DeconvolutionLayer(score, (21, 21, 64, 64), stride=(32, 32)).output_shape
    (None, 21, 544, 608)
    >>> DeconvolutionLayer(InputLayer((1, 8, 4, 4)), (8, 3, 3, 3), 2, 1, output_size=8).output_shape
    (1, 3, 8, 8)

    References
    ----------
    Theano 1.0 ``tensor.nnet.abstract_conv.conv2d_grad_wrt_inputs``; Dumoulin & Visin, arXiv 1603.07285, relation 14.
    """

    channels_axis, bias_axis, step_kind = 0, 1, "deconv"

    def __init__(
        self,
        input: Any,
        filter_shape: Sequence[int],
        stride: Any,
        padding: Any = (0, 0),
        name: str = "deconv",
        *,
        output_size: Any = None,
        like: Any = None,
        dilation: Any = 1,
        groups: int = 1,
        filter_flip: bool = True,
        W: Any = None,
        b: Any = None,
        filler: Filler | None = None,
        rng: Any = None,
        frozen: bool = False,
    ):
        if isinstance(padding, tuple) and padding == (0, 0):
            padding = 0  # the post's default, here for any number of axes
        super().__init__(
            input, filter_shape, stride, padding, name, dilation, groups, filter_flip, W, b, filler, rng, frozen
        )
        if output_size is not None and like is not None:
            raise SizeError("give output_size or like, not both", where=self.where)
        self.references = [like] if isinstance(like, Layer) else []
        self._sized = output_size is not None or like is not None
        if like is not None:
            output_size = _spatial(like.output if isinstance(like, Layer) else at.as_tensor_variable(like))
        size = self._output_size(output_size)
        self._finish(
            self.located(lambda: engine.conv_input_gradient(self._filters, self.input, size, **self._arguments()))
        )

    def _step_output_size(self, axis: int) -> int | None:
        return self.output_shape[axis] if self._sized else None

    def _output_size(self, wanted: Any) -> list[Any]:
        """One entry per axis: an int where it is known now, else symbolic."""
        ndim = len(self.kernel)
        if isinstance(wanted, at.Variable) and wanted.ndim == 1:
            wanted = [wanted[i] for i in range(ndim)]
        elif not isinstance(wanted, (list, tuple, np.ndarray)):
            wanted = (wanted,) * ndim
        if len(wanted) != ndim:
            raise SizeError(f"output_size {wanted} has {len(wanted)} entries for {ndim} axes", where=self.where)
        sizes = []
        for axis, asked in enumerate(wanted, 2):
            if isinstance(asked, at.Variable):
                sizes.append(asked)  # checked when it runs
                continue
            arguments = (self.input_shape[axis], *self._rule(axis), asked)
            size = self.located(partial(geometry.deconv_output_size, *arguments, axis=axis))
            sizes.append(self._smallest(self.input.shape[axis], *self._rule(axis)) if size is None else size)
        return sizes

    @staticmethod
    def _smallest(n: Any, kernel: int, stride: int, mode: Any, dilation: int) -> Any:
        """The default size for a symbolic `n`."""
        if mode in ("same", "same_lower"):
            return geometry.formulas.same_deconv_smallest(n, stride)
        extent = geometry.dilated_kernel(kernel, dilation)
        pads = geometry.resolve_pads(mode, None, kernel, stride, dilation) or ()
        return geometry.formulas.deconv_smallest(n, extent, stride, sum(pads))


def _spatial(variable: Any) -> list[Any]:
    """Spatial sizes: ints where known, else symbolic."""
    return [variable.shape[i] if n is None else n for i, n in enumerate(variable.type.shape) if i >= 2]


class Deconvolution3DLayer(DeconvolutionLayer):
    """`DeconvolutionLayer` for volumes ``(N, in, depth, rows, columns)``; refuses anything else.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, Deconvolution3DLayer
    >>> Deconvolution3DLayer(InputLayer((10, 10, 1, 1, 1)), (10, 20, 5, 5, 5), 4, 0, output_size=8).output_shape
    (10, 20, 8, 8, 8)
    """

    def __init__(
        self,
        input: Any,
        filter_shape: Sequence[int],
        stride: Any,
        padding: Any = 0,
        name: str = "deconv3d",
        **keywords: Any,
    ):
        if len(tuple(filter_shape)) != 5:
            raise SizeError(
                f"filter_shape {tuple(filter_shape)} must have 5 entries", where=f"{name} (Deconvolution3DLayer)"
            )
        super().__init__(input, filter_shape, stride, padding, name, **keywords)


class UpscoreLayer(DeconvolutionLayer):
    """Enlarge scores `factor` times by a deconvolution that starts as linear interpolation: FCN's upscore.

    Kernel ``2 factor``, stride `factor`, no padding and no bias, as in the FCN prototxts: output
    ``factor (n - 1) + 2 factor``, to be cropped. Frozen, as FCN's ``lr_mult: 0`` has it.

    Parameters
    ----------
    input
        Scores ``(N, channels, rows, columns)`` with a known number of channels.
    factor
        2, 8, 16, 32, ...
    grouped
        False: dense filters ``(channels, channels, k, k)`` with the interpolation on the diagonal, as FCN's surgery
        writes it. True: one filter per channel, the same numbers with 1 / channels of the work.
    kernel
        Another kernel than ``2 factor`` (FCN-AlexNet: 63 for 32).

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, UpscoreLayer
    >>> UpscoreLayer(InputLayer((1, 21, 16, 16)), 32).output_shape
    (1, 21, 544, 544)

    References
    ----------
    Long, Shelhamer & Darrell, Fully Convolutional Networks for Semantic Segmentation, 2015; ``surgery.py`` there.
    """

    def __init__(
        self,
        input: Any,
        factor: int,
        name: str = "upscore",
        *,
        grouped: bool = False,
        kernel: int | None = None,
        frozen: bool = True,
        W: Any = None,
        **keywords: Any,
    ):
        variable = input.output if isinstance(input, Layer) else input
        channels = variable.type.shape[1]
        if channels is None:
            raise SizeError("the number of channels (axis 1) must be known", axis=1, where=f"{name} (UpscoreLayer)")
        kernel = 2 * factor if kernel is None else kernel
        super().__init__(
            input,
            (channels, 1 if grouped else channels, *(kernel,) * (variable.ndim - 2)),
            factor,
            0,
            name,
            groups=channels if grouped else 1,
            filter_flip=False,
            W=W,
            filler=partial(fillers.bilinear, kind="grouped" if grouped else "diagonal"),
            frozen=frozen,
            **keywords,
        )
