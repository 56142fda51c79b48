"""Layers that change the spatial sizes without filters: pooling, un-pooling, cropping."""

from __future__ import annotations

from typing import Any

from deconv_legacy import engine, geometry
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers.base import Layer
from deconv_legacy.layers.coordinates import crop_offsets

at = aesara.tensor

__all__ = ["CropLayer", "PoolLayer", "UnpoolLayer"]

POOL_MODES = ("max", "average", "average_exc_pad", "sum")


class PoolLayer(Layer):
    """Pool ``(N, C, *sizes)`` into ``(N, C, *sizes)``.

    Parameters
    ----------
    kernel, stride
        A number or one for each axis; a kernel of None is the whole image, a stride of None the kernel.
    padding
        As for `ConvolutionLayer`; padding is never a maximum.
    mode
        ``"max"``; ``"average"`` (padding counts: Caffe, Theano's average_inc_pad); ``"average_exc_pad"`` (real cells
        only: TensorFlow); ``"sum"``.
    rounding
        How the windows are counted, a name of `deconv_legacy.geometry.POOL_ROUNDINGS`: ``"floor"`` (Theano's
        ignore_border=True, TensorFlow, torch), ``"caffe"`` (rounds up), ``"ceil"``, ``"theano"``.
    ties
        Which of equal maxima takes the gradient: the ``"first"`` (Caffe, TensorFlow, torch) or ``"all"`` (Theano).
    with_mask
        A second output: the row-major place of each maximum in its plane, int64, for `UnpoolLayer`.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, PoolLayer
    >>> data = InputLayer((None, 64, 175, 175))
    >>> PoolLayer(data, 2).output_shape, PoolLayer(data, 2, rounding="caffe").output_shape
    ((None, 64, 87, 87), (None, 64, 88, 88))
    """

    kernel: Any
    stride: Any
    padding: Any

    def __init__(
        self,
        input: Any,
        kernel: Any,
        stride: Any = None,
        padding: Any = 0,
        mode: str = "max",
        name: str = "pool",
        *,
        rounding: str = "floor",
        ties: str = "first",
        with_mask: bool = False,
    ):
        super().__init__([input], name)
        if mode not in POOL_MODES:
            raise SizeError(f"mode {mode!r} is unknown; legal are {', '.join(map(repr, POOL_MODES))}", where=self.where)
        if with_mask and (mode != "max" or ties != "first"):
            raise SizeError("only max pooling with ties='first' has a mask", where=self.where)
        self.need_rank(3, 4, 5)
        ndim = self.input.ndim - 2

        def normalize():
            if kernel is None:
                self.kernel, self.stride, self.padding = None, None, "valid"
                return
            self.kernel = geometry.per_axis(kernel, ndim, "kernel", 1)
            self.stride = self.kernel if stride is None else geometry.per_axis(stride, ndim, "stride", 1)
            self.padding = geometry.normalize_border_mode(padding, ndim, "padding")

        self.located(normalize)
        self.mode, self.rounding = mode, rounding
        window = (self.input, self.kernel, self.stride, self.padding, rounding)
        if with_mask:
            self.outputs = list(self.located(lambda: engine.max_pool_with_mask(*window)))
        elif mode == "max":
            self.outputs = [self.located(lambda: engine.max_pool(*window, ties=ties))]
        else:
            divisor = {"average": "padded", "average_exc_pad": "real", "sum": "one"}[mode]
            self.outputs = [self.located(lambda: engine.average_pool(*window, divisor=divisor))]

    @property
    def mask(self) -> Any:
        """The places of the maxima, where the layer was made with ``with_mask=True``."""
        if len(self.outputs) < 2:
            raise SizeError("this pooling has no mask; make it with with_mask=True", where=self.where)
        return self.outputs[1]

    def step(self, axis: int) -> geometry.Step | None:
        if self.kernel is None:
            return None
        kernel, stride, padding = (values[axis - 2] for values in (self.kernel, self.stride, self.padding))
        return geometry.Step("pool", kernel, stride, padding, rounding=self.rounding, name=self.name)


class UnpoolLayer(Layer):
    """Undo a pooling: by its mask (DeconvNet, SegNet) or by repetition (average un-pooling).

    Parameters
    ----------
    input
        ``(N, C, *sizes)``.
    factor
        Without `pool`: how often each cell is repeated, a number or one for each axis.
    pool
        The `PoolLayer` to undo, made with ``with_mask=True``: each number goes to the place of its maximum, all
        other cells are 0; the output has the sizes that the pooling's input had.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, PoolLayer, UnpoolLayer
    >>> pool = PoolLayer(InputLayer((1, 2, 7, 9)), 2, with_mask=True, rounding="caffe")
    >>> UnpoolLayer(pool, pool=pool).output_shape, UnpoolLayer(pool, 2).output_shape
    ((1, 2, 7, 9), (1, 2, 8, 10))
    """

    def __init__(self, input: Any, factor: Any = None, *, pool: PoolLayer | None = None, name: str = "unpool"):
        super().__init__([input], name)
        if (factor is None) == (pool is None):
            raise SizeError("give either factor or pool", where=self.where)
        if pool is not None:
            self.references = [pool]
            shape = pool.input.type.shape
            sizes = [pool.input.shape[i] if n is None else n for i, n in enumerate(shape) if i >= 2]
            self.outputs = [self.located(lambda: engine.unpool(self.input, pool.mask, sizes))]
        else:
            self.outputs = [self.located(lambda: engine.repeat(self.input, factor))]


class CropLayer(Layer):
    """Crop a layer to the sizes of another, as Caffe's Crop does: from an offset on, not from the centre.

    Parameters
    ----------
    input
        What is cropped.
    like
        A layer or variable whose sizes, from `axis` on, the output takes. It gets no gradient.
    offset
        The first cell kept, one for all axes or one for each. None derives it from the layers between the two, so
        that cells of both lie on one another: 19 for FCN-32s.
    axis
        The first axis that is cropped.

    Raises
    ------
    SizeError
        If the crop does not lie inside, or no offset can be derived.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer, CropLayer
    >>> CropLayer(InputLayer((1, 21, 544, 544)), InputLayer((1, 3, 500, 500), name="data"), 19).output_shape
    (1, 21, 500, 500)

    References
    ----------
    Caffe ``crop_layer.cpp``, ``coord_map.py``.
    """

    def __init__(self, input: Any, like: Any, offset: Any = None, name: str = "crop", *, axis: int = 2):
        super().__init__([input], name)
        reference = like.output if isinstance(like, Layer) else at.as_tensor_variable(like)
        self.references = [like] if isinstance(like, Layer) else []
        axis = self.need_axis(axis)
        if reference.ndim != self.input.ndim:
            raise SizeError(f"an input of {self.input.ndim} axes and a reference of {reference.ndim}", where=self.where)
        count = self.input.ndim - axis
        if offset is None:
            source = self.input_layers[0]
            if axis != 2 or source is None or not isinstance(like, Layer):
                raise SizeError("an offset is derived for axis=2 and layers only; name the offset", where=self.where)
            self.offset = self.located(lambda: crop_offsets(source, like, count))
        else:
            self.offset = self.located(lambda: geometry.per_axis(offset, count, "offset", 0))
        self.axis = axis
        sizes = [reference.shape[i] if n is None else n for i, n in enumerate(reference.type.shape) if i >= axis]
        self.outputs = [self.located(lambda: engine.crop(self.input, sizes, axis=axis, offsets=self.offset))]

    def step(self, axis: int) -> geometry.Step:
        if axis < self.axis:
            return geometry.Step("identity", name=self.name)
        return geometry.Step(
            "crop", offset=self.offset[axis - self.axis], output_size=self.output_shape[axis], name=self.name
        )
