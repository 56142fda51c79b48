"""What may have happened to a layer, cause by cause: see `deconv_legacy.testing.causes`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deconv_legacy import fillers, geometry
from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    DenseLayer,
    DropoutLayer,
    PoolLayer,
    crop_offsets,
)
from deconv_legacy.testing.recording import Recording
from deconv_legacy.testing.subject import Stage, Subject

__all__ = ["KNOWN", "Change", "Context"]

_LARGE = 20_000_000  # weights of which no fifty copies are made
FILTERS = (ConvolutionLayer, DeconvolutionLayer)


@dataclass(frozen=True)
class Context:
    """A layer under suspicion.

    Attributes
    ----------
    bottoms
        The recorded numbers that it reads, None where they are not known before it runs.
    wanted, shape
        What it should make, where it is the last before a recorded blob.
    after_relu
        What should be there behind the layer, ReLUs and other layers that leave positive numbers alone.
    """

    subject: Subject
    recorded: Recording
    stage: Stage
    bottoms: Sequence[np.ndarray | None]
    wanted: np.ndarray | None
    shape: tuple[int, ...] | None
    after_relu: np.ndarray | None = None

    @property
    def layer(self) -> Any:
        return self.stage.layer

    @property
    def params(self) -> list[np.ndarray]:
        return [variable.get_value(borrow=True) for variable in self.layer.params]

    @property
    def filters(self) -> np.ndarray | None:
        """Its filters ``(out or in, ..., *kernel)``, if it has any."""
        if isinstance(self.layer, FILTERS):
            return self.params[0]
        return next((p for p in self.params if p.ndim >= 3), None)

    @property
    def reads_input(self) -> bool:
        return any(name in self.subject.inputs for name in self.stage.bottoms)


@dataclass(frozen=True)
class Change:
    """One change to a layer: parameters by number, settings, and functions of arrays: ``bottoms(bottoms)``,
    ``tops(tops, bottoms)``, and ``instead(bottoms)``, which gives the tops."""

    text: str
    params: Mapping[int, np.ndarray] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    bottoms: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None = None
    tops: Callable[..., list[np.ndarray]] | None = None
    instead: Callable[..., list[np.ndarray]] | None = None

    def run(self, layer: Callable[..., list[np.ndarray]], bottoms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The tops of the changed layer."""
        if self.bottoms is not None:
            bottoms = self.bottoms(bottoms)
        if self.instead is not None:
            return self.instead(bottoms)
        tops = layer(bottoms, self.params or None, **self.settings)
        return self.tops(tops, bottoms) if self.tops is not None else tops


Cause = Callable[[Context], Iterator[Change]]
KNOWN: dict[str, Cause] = {}
"""Name of a cause -> the changes to try on a layer."""


def _cause(name: str) -> Callable[[Cause], Cause]:
    def register(function: Cause) -> Cause:
        KNOWN[name] = function
        return function

    return register


def _filters_index(context: Context) -> int:
    return next(i for i, p in enumerate(context.params) if p is context.filters)


@_cause("crop offset")
def _crop_offset(context: Context) -> Iterator[Change]:
    layer = context.layer
    if not isinstance(layer, CropLayer) or context.shape is None or context.bottoms[0] is None:
        return
    image, shape, first = context.bottoms[0], context.shape, layer.axis
    room = [image.shape[a] - shape[a] for a in range(first, image.ndim)]
    if min(room, default=-1) < 0 or image.shape[:first] != shape[:first]:
        return
    likely = [(n,) * len(room) for n in range(min(room) + 1)]
    source, like = layer.input_layers[0], layer.references[0] if layer.references else None
    if first == 2 and source is not None and like is not None:
        with contextlib.suppress(DeconvLegacyError):
            likely.insert(0, crop_offsets(source, like, len(room)))
    if context.wanted is not None:
        likely += _by_search(image, context.wanted, first, room)
    for offset in dict.fromkeys(likely):
        if tuple(offset) == tuple(layer.offset) or any(o > r for o, r in zip(offset, room, strict=True)):
            continue
        yield Change(
            f"offset {_axes(offset)} was used, here it is {_axes(layer.offset)}",
            instead=lambda b, offset=offset: [_cut(b[0], shape, first, offset)],
        )


def _cut(image: np.ndarray, shape: Sequence[int], first: int, offset: Sequence[int]) -> np.ndarray:
    window = [slice(None)] * first + [slice(o, o + n) for o, n in zip(offset, shape[first:], strict=True)]
    return image[tuple(window)]


def _by_search(image: np.ndarray, wanted: np.ndarray, first: int, room: Sequence[int]) -> list[tuple[int, ...]]:
    """Offsets that put the wanted corner where the image has the same number, few of them."""
    corner = (0,) * wanted.ndim
    lead = image[(0,) * first][tuple(slice(0, r + 1) for r in room)]
    value = float(wanted[corner])
    close = np.argwhere(np.abs(lead - value) <= 1e-4 * max(abs(value), 1e-30))
    return [tuple(map(int, place)) for place in close[:64]]


def _axes(values: Sequence[Any]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))


@_cause("ceil or floor pooling")
def _rounding(context: Context) -> Iterator[Change]:
    layer = context.layer
    if not isinstance(layer, PoolLayer) or layer.kernel is None:
        return
    words = {"caffe": "rounded up, as Caffe does,", "floor": "rounded down", "ceil": "rounded up"}
    for rounding, text in words.items():
        if rounding != layer.rounding:
            yield Change(
                f"its windows were {text} and here they are {words.get(layer.rounding, layer.rounding).rstrip(',')}",
                settings={"rounding": rounding},
            )


@_cause("filter flip")
def _flip(context: Context) -> Iterator[Change]:
    w = context.filters
    if w is None or max(w.shape[2:], default=1) < 2:
        return
    turned = np.flip(w, tuple(range(2, w.ndim)))
    yield Change(
        "its filters are turned by 180 degrees (convolution and correlation)", {_filters_index(context): turned}
    )
    for axis in range(2, w.ndim):
        yield Change(f"its filters are mirrored along axis {axis}", {_filters_index(context): np.flip(w, axis)})


@_cause("channel order")
def _channel_order(context: Context) -> Iterator[Change]:
    w = context.filters
    if context.reads_input:
        number = next(i for i, name in enumerate(context.stage.bottoms) if name in context.subject.inputs)
        array = context.bottoms[number]
        if array is not None and array.ndim >= 3 and array.shape[1] == 3:
            yield Change(
                "the three channels of the input are in the other order (RGB and BGR)",
                bottoms=lambda b: [x[:, ::-1] if i == number else x for i, x in enumerate(b)],
            )
    if w is None:
        return
    number = _filters_index(context)
    for axis, what in ((1, "second"), (0, "first")):
        if w.shape[axis] > 1:
            text = f"the channels on the {what} axis of its filters are in reverse order"
            yield Change(text, {number: np.flip(w, axis)})


@_cause("kernel layout")
def _layout(context: Context) -> Iterator[Change]:
    w = context.filters
    if w is None or w.ndim > 5:
        if w is None and isinstance(context.layer, DenseLayer) and context.params[0].ndim == 2:
            dense = context.params[0]
            if dense.shape[0] == dense.shape[1]:
                yield Change("its matrix is transposed", {0: dense.T})
            yield Change("its matrix was read row by row in the other layout", {0: dense.reshape(dense.shape[::-1]).T})
        return
    ends = {ConvolutionLayer: ("out", "in"), DeconvolutionLayer: ("in", "out")}
    channels = next((names for cls, names in ends.items() if isinstance(context.layer, cls)), ("first", "second"))
    names = (*channels, *("depth", "rows", "columns")[5 - w.ndim :])
    orders = [p for p in itertools.permutations(range(w.ndim)) if p != tuple(range(w.ndim))]
    number = _filters_index(context)
    # exchanged axes, which a square filter does not refuse
    for order in sorted(orders, key=lambda p: sum(i != j for i, j in enumerate(p))):
        if tuple(w.shape[i] for i in order) == w.shape:
            moved = ", ".join(names[i] for i in order)
            yield Change(f"its axes are exchanged: ({moved})", {number: w.transpose(order)})
    if w.size > _LARGE:
        return
    # or memory in one layout that was read as another
    for order in orders:
        shape = tuple(w.shape[i] for i in order)
        there = ", ".join(names[i] for i in order)
        back = np.argsort(order)
        yield Change(f"its memory, laid out as ({there}), was read without a transposition",
                     {number: w.reshape(shape).transpose(back)})  # fmt: skip
        yield Change(f"its memory was written as ({there}) and read without a transposition",
                     {number: np.ascontiguousarray(w.transpose(order)).reshape(w.shape)})  # fmt: skip


@_cause("bilinear filler")
def _bilinear(context: Context) -> Iterator[Change]:
    layer = context.layer
    if not isinstance(layer, DeconvolutionLayer):
        return
    w = context.params[0]
    for kind in ("diagonal", "every_pair", "grouped"):
        try:
            values = fillers.bilinear(w.shape, None, w.dtype, kind=kind)
        except DeconvLegacyError:
            continue
        text = f"bilinear filters of the kind {kind!r} were used"
        yield Change(text, {0: values})
        if w.shape[1] > 1 and kind == "every_pair":
            yield Change(f"{text}, divided by the number of channels", {0: values / w.shape[0]})
    kernel = w.shape[2:]
    for corner, text in ((0.0, "aligned to its first cell"), (0.5, "with the centre between cells")):
        yield Change(f"bilinear filters {text} were used", {0: _interpolation(w.shape, kernel, layer.stride, corner)})


def _interpolation(shape: Sequence[int], kernel: Sequence[int], stride: Sequence[int], shift: float) -> np.ndarray:
    """Filters of linear interpolation whose centre is not the one that the FCN code takes."""
    plane = np.ones(())
    for k, s in zip(kernel, stride, strict=True):
        centre = (k - 1) / 2 + shift - (0.5 if k % 2 == 0 else 0.0)
        plane = np.multiply.outer(plane, np.maximum(0, 1 - np.abs(np.arange(k) - centre) / s))
    values = np.zeros(shape)
    diagonal = np.arange(min(shape[:2]))
    values[diagonal if shape[1] > 1 else slice(None), diagonal if shape[1] > 1 else 0] = plane
    return values


@_cause("pad side")
def _pad_side(context: Context) -> Iterator[Change]:
    layer = context.layer
    if not isinstance(layer, (*FILTERS, PoolLayer)) or layer.kernel is None:
        return
    try:
        pads = geometry.normalize_pads(layer.padding, len(layer.kernel))
    except (DeconvLegacyError, TypeError):
        return
    for shift in (1, -1, 2, -2):
        if all(before - shift >= 0 and after + shift >= 0 for before, after in pads):
            moved = [(before - shift, after + shift) for before, after in pads]
            yield Change(
                f"its pads were {_axes(moved)}, here they are {_axes(list(pads))}", settings={"padding": moved}
            )
    for more in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        moved = [(before + more[0], after + more[1]) for before, after in pads]
        if min(map(min, moved)) >= 0:
            yield Change(
                f"its pads were {_axes(moved)}, here they are {_axes(list(pads))}", settings={"padding": moved}
            )


_MEANS = {
    "Caffe's mean (BGR 104.007, 116.669, 122.679)": (104.00699, 116.66877, 122.67892),
    "the mean in RGB order": (122.67892, 116.66877, 104.00699),
    "VGG's mean (BGR 103.939, 116.779, 123.68)": (103.939, 116.779, 123.68),
    "VGG's mean in RGB order": (123.68, 116.779, 103.939),
    "128": (128.0,),
    "127.5": (127.5,),
    "0.5": (0.5,),
}
_SCALES = {"255": 255.0, "127.5": 127.5, "128": 128.0, "256": 256.0, "58.8 (times 0.017)": 1 / 0.017}


@_cause("mean and scale")
def _mean_and_scale(context: Context) -> Iterator[Change]:
    if not context.reads_input:
        return
    number = next(i for i, name in enumerate(context.stage.bottoms) if name in context.subject.inputs)
    array = context.bottoms[number]
    if array is None or array.dtype.kind != "f" or not any(p.ndim > 1 for p in context.params):
        return
    name = context.stage.bottoms[number]

    def change(text: str, function: Callable[..., np.ndarray]) -> Change:
        return Change(
            f"{text} of the input {name!r}",
            bottoms=lambda b: [function(x).astype(x.dtype) if i == number else x for i, x in enumerate(b)],
        )

    def across(mean: Sequence[float]) -> np.ndarray:
        return np.reshape(mean, (1, -1, *(1,) * (array.ndim - 2)))

    for text, scale in _SCALES.items():
        yield change(f"a division by {text}", lambda x, s=scale: x / s)
        yield change(f"a multiplication by {text}", lambda x, s=scale: x * s)
    for text, mean in _MEANS.items():
        if len(mean) not in (1, array.shape[1] if array.ndim > 1 else 1):
            continue
        m = across(mean)
        yield change(f"a subtraction of {text}", lambda x, m=m: x - m)
        yield change(f"an addition of {text}", lambda x, m=m: x + m)
        for word, scale in _SCALES.items():
            yield change(f"a subtraction of {text} and a division by {word}", lambda x, m=m, s=scale: (x - m) / s)
            yield change(f"a division by {word} and a subtraction of {text}", lambda x, m=m, s=scale: x / s - m)


@_cause("dropout scaling")
def _dropout(context: Context) -> Iterator[Change]:
    layer = context.layer
    if not isinstance(layer, DropoutLayer) or not layer.p:
        return
    kept = 1 - layer.p
    for factor, text in ((kept, f"multiplied by {kept:g}"), (1 / kept, f"divided by {kept:g}")):
        yield Change(
            f"at test time its output was {text} (dropout that is not inverted), here it is left alone",
            tops=lambda tops, _, f=factor: [(tops[0] * f).astype(tops[0].dtype)],
        )


@_cause("batch-norm variance")
def _variance(context: Context) -> Iterator[Change]:
    layer = context.layer
    names = [str(variable.name).rsplit(".", 1)[-1] for variable in layer.params]
    if "variance" not in names or "mean" not in names:
        return
    number = names.index("variance")
    variance = context.params[number].astype(np.float64)
    count = float(context.params[names.index("count")].ravel()[0]) if "count" in names else 1.0
    real = variance / count if count else variance
    ways = {
        "its variance is a standard deviation on the other side": np.sqrt(real),
        "its standard deviation was taken for the variance": real**2,
        "its variance is stored as 1 / deviation": 1 / np.sqrt(np.maximum(real, 1e-30)),
        "1 / deviation was taken for the variance": 1 / np.maximum(real, 1e-30) ** 2,
    }
    for text, values in ways.items():
        yield Change(text, {number: values * count})
    if "count" in names and count not in (0.0, 1.0):
        one = {names.index("count"): np.ones_like(context.params[names.index("count")])}
        yield Change("mean and variance were not divided by the number of batches (the third blob)", one)
    other = _other_count(context, context.params[names.index("mean")], count) if "count" in names else None
    if other is not None:
        text = (
            f"mean and variance were divided by {other:.6g}, the number of batches (the third blob); here by {count:g}"
        )
        yield Change(text, {names.index("count"): np.full_like(context.params[names.index("count")], other)})
    for eps in (1e-3, 1e-4, 1e-5, 2e-5, 1e-9, 0.0):
        for other in (1e-5, 1e-3, 1e-4, 1e-9, 2e-5):
            if eps != other:
                yield Change(f"epsilon {eps:g} was added to the variance, here {other:g}",
                             {number: (real + eps - other) * count})  # fmt: skip
    x = context.bottoms[0]
    if x is not None and x.ndim > 1:
        axes = tuple(i for i in range(x.ndim) if i != 1)
        batch = x.astype(np.float64)
        moments = {names.index("mean"): batch.mean(axes) * count, number: batch.var(axes) * count}
        yield Change("it used the moments of the batch, not the stored ones (training mode)", moments)
        n = x.size // x.shape[1]
        for factor, text in ((n / max(n - 1, 1), "n / (n - 1)"), (max(n - 1, 1) / n, "(n - 1) / n")):
            yield Change(f"its variance is {text} times this one (biased and unbiased)", {number: variance * factor})


def _other_count(context: Context, mean: np.ndarray, count: float) -> float | None:
    """By what the stored mean must be divided to give the one that the recorded numbers are less by."""
    x, y = context.bottoms[0], context.after_relu if context.wanted is None else context.wanted
    if x is None or y is None or x.shape != y.shape or x.ndim < 2 or not mean.any():
        return None
    channel = int(np.abs(mean).argmax())
    a, b = (np.moveaxis(v, 1, 0)[channel].astype(np.float64).ravel() for v in (x, y))
    seen = b != 0
    if seen.sum() < 2:
        return None
    slope, offset = np.polyfit(a[seen], b[seen], 1)
    real = -offset / slope if slope else 0.0
    return float(mean[channel]) / real if real and abs(float(mean[channel]) / real - count) > 1e-3 * count else None


@_cause("bias shape")
def _bias(context: Context) -> Iterator[Change]:
    layer, params = context.layer, context.params
    if isinstance(layer, (*FILTERS, DenseLayer)):
        if len(params) == 2:
            bias, number = params[1], 1
        elif len(params) == 1:
            yield from _missing_bias(context)
            return
        else:
            return
    elif isinstance(layer, BatchNormLayer) or not params:
        return
    else:
        endings = (".bias", ".b", ".beta", "_b", "_bias")
        named = (i for i, v in enumerate(layer.params) if str(v.name).endswith(endings) or v.name in ("b", "bias"))
        number = next(named, -1)
        if number < 0:
            return
        bias = params[number]
    zero = np.zeros_like(bias)
    if not bias.any():
        yield from _missing_bias(context)
        return
    yield Change("its bias was left out", {number: zero})
    yield Change("its bias was added twice", {number: 2 * bias})
    if bias.size > 1:
        yield Change("its first bias was added to all channels", {number: np.full_like(bias, bias.ravel()[0])})
        yield Change("the mean of its biases was added to all channels", {number: np.full_like(bias, bias.mean())})
        yield Change("its biases are in reverse order", {number: bias[::-1]})

    def along(axis: int) -> Callable[[list[np.ndarray], Any], list[np.ndarray]]:
        def add(tops: list[np.ndarray], _: Any) -> list[np.ndarray]:
            shape = [1] * tops[0].ndim
            shape[axis] = bias.size
            return [tops[0] + bias.reshape(shape)]

        return add

    for axis, word in ((-1, "columns"), (-2, "rows")):
        yield Change(f"its bias was spread along the {word}, not the channels", {number: zero}, tops=along(axis))


def _missing_bias(context: Context) -> Iterator[Change]:
    """The recording has a bias that the layer lacks: one number for each channel explains the difference."""
    wanted, bottoms = context.after_relu, [b for b in context.bottoms if b is not None]
    if wanted is None or len(bottoms) < len(context.bottoms):
        return
    made = context.subject.run_stage(context.stage, bottoms)[0].astype(np.float64)
    if made.shape != wanted.shape or made.ndim < 2:
        return
    axes = tuple(i for i in range(made.ndim) if i != 1)
    counted = wanted > 0 if context.wanted is None else np.ones(made.shape, bool)
    gap = np.where(counted, wanted - made, 0).sum(axes, keepdims=True) / np.maximum(counted.sum(axes, keepdims=True), 1)
    yield Change("a bias was added, here there is none", tops=lambda tops, _: [(tops[0] + gap).astype(tops[0].dtype)])
