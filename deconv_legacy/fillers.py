"""Initial weights as NumPy arrays.

Every filler is a plain function ``filler(shape, rng=None, dtype="float32", *, parameters)``. ``rng`` is a
``numpy.random.Generator``, a seed, or None for fresh randomness. Numbers are drawn in ``dtype`` (float32 or
float64), so one seed gives other numbers in the other.

Shapes are those of weights: ``(out, in / groups, *kernel)`` of a convolution, ``(in, out / groups, *kernel)``
of a deconvolution, ``(out, in)`` of Caffe's inner product, ``(in, out)`` of Lasagne's dense layer.

`FILLERS` holds the fillers that a prototxt can name; `fill` calls them by name.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from .errors import MismatchError, SizeError

__all__ = [
    "FILLERS",
    "bilinear",
    "caffe_filler",
    "constant",
    "deconv_fan_in",
    "fill",
    "gaussian",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "icnr",
    "msra",
    "positive_unitball",
    "uniform",
    "xavier",
]

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"
Rng: TypeAlias = "np.random.Generator | int | None"
Filler: TypeAlias = Callable[..., Array]
VarianceNorm = Literal["FAN_IN", "FAN_OUT", "AVERAGE"]
BilinearKind = Literal["every_pair", "diagonal", "grouped"]
Gain: TypeAlias = "float | Literal['relu']"

FILLERS: dict[str, Filler] = {}
"""Caffe's fillers by their ``type`` in a prototxt; parameters are named like FillerParameter's fields."""


def caffe_filler(function: Filler) -> Filler:
    """Decorator: make ``function`` known to prototxts by its own name."""
    FILLERS[function.__name__] = function
    return function


def fill(
    shape: Sequence[int], type: str = "constant", rng: Rng = None, dtype: DTypeLike = "float32", **fields: Any
) -> Array:
    """Weights by a FillerParameter: its ``type``, and the other fields that are set.

    As in Caffe a filler ignores the fields of others, but for ``sparse``, which only gaussian has.
    Raises `MismatchError` for an unknown type (it lists what there is) and for a wrong ``sparse``.

    >>> fill((2,), "constant", value=3, std=0.01)
    array([3., 3.], dtype=float32)
    """
    if type not in FILLERS:
        near = difflib.get_close_matches(type, FILLERS, n=1)
        raise MismatchError(
            f"unknown filler {type!r}{f' (did you mean {near[0]!r}?)' if near else ''}; there are "
            f"{', '.join(sorted(FILLERS))}; deconv_legacy.fillers.caffe_filler adds a function of yours"
        )
    known = inspect.signature(FILLERS[type]).parameters
    if fields.get("sparse", -1) != -1 and "sparse" not in known:
        raise MismatchError(f"sparse={fields['sparse']} goes with the gaussian filler, not with {type}")
    return FILLERS[type](shape, rng, dtype, **{name: v for name, v in fields.items() if name in known})


def _normal(shape: Sequence[int], rng: Rng, dtype: DTypeLike, mean: float, std: float) -> Array:
    values = np.random.default_rng(rng).standard_normal(tuple(shape), dtype=np.dtype(dtype))  # type: ignore[arg-type]
    # In place: fc6 of an FCN alone has 103 million weights.
    values *= std
    values += mean
    return values


def _uniform(shape: Sequence[int], rng: Rng, dtype: DTypeLike, low: float, high: float) -> Array:
    values = np.random.default_rng(rng).random(tuple(shape), dtype=np.dtype(dtype))  # type: ignore[arg-type]
    values *= high - low
    values += low
    return values


# Caffe


@caffe_filler
def constant(shape: Sequence[int], rng: Rng = None, dtype: DTypeLike = "float32", *, value: float = 0.0) -> Array:
    """The same ``value`` everywhere; Caffe's default filler, with 0.

    >>> constant((1, 2), value=0.5)
    array([[0.5, 0.5]], dtype=float32)
    """
    return np.full(tuple(shape), value, dtype=dtype)


@caffe_filler
def uniform(
    shape: Sequence[int], rng: Rng = None, dtype: DTypeLike = "float32", *, min: float = 0.0, max: float = 1.0
) -> Array:
    """Uniform between ``min`` and ``max``.

    >>> bool(abs(uniform((3, 4), rng=1, min=-2, max=-1) + 1.5).max() <= 0.5)
    True
    """
    return _uniform(shape, rng, dtype, min, max)


@caffe_filler
def gaussian(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    mean: float = 0.0,
    std: float = 1.0,
    sparse: int = -1,
) -> Array:
    """Normal with ``mean`` and standard deviation ``std``.

    With ``sparse >= 0`` each weight is kept with probability ``sparse / shape[0]`` and is 0 otherwise. (Caffe
    calls ``sparse`` the number of inputs kept for each output; that holds for square matrices only.)

    >>> gaussian((2, 3, 4, 5), rng=1, std=0.01).shape
    (2, 3, 4, 5)
    """
    if sparse < -1:
        raise SizeError(f"sparse {sparse} must be -1 (none) or at least 0")
    generator = np.random.default_rng(rng)
    values = _normal(shape, generator, dtype, mean, std)
    if sparse >= 0:
        values *= generator.random(values.shape) < sparse / shape[0]
    return values


@caffe_filler
def positive_unitball(shape: Sequence[int], rng: Rng = None, dtype: DTypeLike = "float32") -> Array:
    """Uniform positive weights, scaled so that those of each ``shape[0]`` add up to 1.

    >>> positive_unitball((2, 3, 5), rng=1).sum(axis=(1, 2)).round(5)
    array([1., 1.], dtype=float32)
    """
    values = _uniform(shape, rng, dtype, 0.0, 1.0)
    values /= values.sum(axis=tuple(range(1, values.ndim)), keepdims=True)
    return values


def _fan(shape: Sequence[int], variance_norm: VarianceNorm) -> float:
    """Caffe's ``n``: fan_in is the count over shape[0], fan_out the count over shape[1].

    For a deconvolution shape[0] is the input, so that "fan_in" is ``out / groups * kernel``.
    """
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    fans = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}
    if variance_norm not in fans:
        raise MismatchError(f"variance_norm is FAN_IN, FAN_OUT or AVERAGE, not {variance_norm!r}")
    return fans[variance_norm]


@caffe_filler
def xavier(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    variance_norm: VarianceNorm = "FAN_IN",
) -> Array:
    """Caffe's xavier: uniform within ``sqrt(3 / n)``, that is variance ``1 / n``.

    ``n`` is ``prod(shape[1:])`` (FAN_IN), ``prod(shape) / shape[1]`` (FAN_OUT) or their mean (AVERAGE).

    >>> bool(abs(xavier((7, 3, 2, 2), rng=1)).max() <= 0.5)
    True
    """
    bound = math.sqrt(3 / _fan(shape, variance_norm))
    return _uniform(shape, rng, dtype, -bound, bound)


@caffe_filler
def msra(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    variance_norm: VarianceNorm = "FAN_IN",
) -> Array:
    """Caffe's msra (He et al., arXiv 1502.01852): normal with variance ``2 / n``, ``n`` as for `xavier`.

    >>> msra((7, 3, 2, 2), rng=1).dtype
    dtype('float32')
    """
    return _normal(shape, rng, dtype, 0.0, math.sqrt(2 / _fan(shape, variance_norm)))


@caffe_filler
def bilinear(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    kind: BilinearKind = "every_pair",
) -> Array:
    """Deconvolution weights ``(in, out / groups, *kernel)`` that interpolate linearly.

    Along an axis of ``k`` cells: ``f = ceil(k / 2)``, ``c = (k - 1) / (2 f)``, ``w[x] = 1 - |x / f - c|``; in
    more axes the product. With stride ``f`` and pad ``ceil((f - 1) / 2)`` it enlarges ``f`` times.

    Which channels are connected is the ``kind``:

    * ``"every_pair"``: each input with each output. Caffe's ``bilinear`` filler; each output then is a sum over
      all inputs, so it interpolates only where ``group`` equals the number of channels (``shape[1] == 1``).
    * ``"diagonal"``: input ``i`` with output ``i``, the rest zeros. What ``surgery.interp`` of the FCN
      repository writes into a dense deconvolution. Needs ``shape[0] == shape[1]``.
    * ``"grouped"``: one output for each input: ``shape[1] == 1``, with as many groups as channels.

    ``rng`` is there for the common signature and not used. Raises `SizeError` for a shape that the kind
    cannot have.

    >>> bilinear((2, 2, 3), kind="diagonal")
    array([[[0.5, 1. , 0.5],
            [0. , 0. , 0. ]],
    <BLANKLINE>
           [[0. , 0. , 0. ],
            [0.5, 1. , 0.5]]], dtype=float32)
    """
    inputs, outputs = shape[:2]
    connected = np.ones((inputs, outputs))
    if kind == "diagonal":
        if inputs != outputs:
            raise SizeError(f"kind 'diagonal' needs as many outputs as inputs, the shape is {tuple(shape)}", axis=1)
        connected = np.eye(inputs)
    elif kind == "grouped":
        if outputs != 1:
            raise SizeError(f"kind 'grouped' needs shape[1] == 1, the shape is {tuple(shape)}", axis=1)
    elif kind != "every_pair":
        raise MismatchError(f"kind is 'every_pair', 'diagonal' or 'grouped', not {kind!r}")
    weights = connected
    for k in shape[2:]:
        f = math.ceil(k / 2)
        c = (k - 1) / (2 * f)
        weights = np.multiply.outer(weights, 1 - np.abs(np.arange(k) / f - c))
    return weights.astype(dtype)


# Lasagne, and deconvolutions


def _gain(gain: Gain) -> float:
    return math.sqrt(2) if gain == "relu" else float(gain)


def _glorot_std(shape: Sequence[int], gain: Gain) -> float:
    return _gain(gain) * math.sqrt(2 / ((shape[0] + shape[1]) * math.prod(shape[2:])))


def glorot_normal(shape: Sequence[int], rng: Rng = None, dtype: DTypeLike = "float32", *, gain: Gain = 1.0) -> Array:
    """Lasagne's GlorotNormal: variance ``gain^2 * 2 / ((shape[0] + shape[1]) * kernel cells)``.

    ``gain`` "relu" is ``sqrt(2)``.

    >>> glorot_normal((4, 3, 5, 5), rng=1).shape
    (4, 3, 5, 5)
    """
    return _normal(shape, rng, dtype, 0.0, _glorot_std(shape, gain))


def glorot_uniform(shape: Sequence[int], rng: Rng = None, dtype: DTypeLike = "float32", *, gain: Gain = 1.0) -> Array:
    """Lasagne's GlorotUniform, its default for every layer: uniform, of the variance of `glorot_normal`.

    >>> bool(abs(glorot_uniform((4, 2, 1, 1), rng=1)).max() <= 1)
    True
    """
    bound = math.sqrt(3) * _glorot_std(shape, gain)
    return _uniform(shape, rng, dtype, -bound, bound)


def _he_std(shape: Sequence[int], gain: Gain, fan_in: float | None) -> float:
    if fan_in is None:
        fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    return _gain(gain) / math.sqrt(fan_in)


def he_normal(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    gain: Gain = 1.0,
    fan_in: float | None = None,
) -> Array:
    """Lasagne's HeNormal: variance ``gain^2 / fan_in``; ``gain`` "relu" is ``sqrt(2)``.

    ``fan_in`` is Lasagne's by default: ``shape[0]`` of a dense layer, ``prod(shape[1:])`` of a convolution.
    Of a deconvolution that is not the number of inputs of an output cell; pass `deconv_fan_in`'s answer.

    >>> he_normal((8, 3, 4, 4), rng=1, gain="relu", fan_in=deconv_fan_in((8, 3, 4, 4), stride=2)).shape
    (8, 3, 4, 4)
    """
    return _normal(shape, rng, dtype, 0.0, _he_std(shape, gain, fan_in))


def he_uniform(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    gain: Gain = 1.0,
    fan_in: float | None = None,
) -> Array:
    """Lasagne's HeUniform: uniform, of the variance of `he_normal`.

    >>> bool(abs(he_uniform((3, 5), rng=1)).max() <= 1)
    True
    """
    bound = math.sqrt(3) * _he_std(shape, gain, fan_in)
    return _uniform(shape, rng, dtype, -bound, bound)


def deconv_fan_in(shape: Sequence[int], stride: int | Sequence[int] = 1, groups: int = 1) -> float:
    """How many inputs an output cell of a deconvolution adds up, on average and away from the border.

    ``shape`` is ``(in, out / groups, *kernel)``: ``in / groups * prod(kernel) / prod(stride)``.

    >>> deconv_fan_in((21, 21, 64, 64), stride=32)
    84.0
    """
    strides = [stride] * len(shape[2:]) if isinstance(stride, int) else stride
    return shape[0] / groups * math.prod(shape[2:]) / math.prod(strides)


def icnr(
    shape: Sequence[int],
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    *,
    stride: int | Sequence[int],
    filler: Filler = glorot_uniform,
) -> Array:
    """Deconvolution weights ``(in, out / groups, *kernel)`` without a checkerboard (ICNR, arXiv 1707.02937).

    ``filler`` makes a kernel ``stride`` times smaller, each cell of which is repeated ``stride`` times along
    each axis: the deconvolution is then that small convolution followed by nearest-neighbour enlargement.
    Raises `SizeError` unless each kernel size is a multiple of its stride.

    >>> icnr((1, 1, 4), stride=2, filler=lambda shape, rng, dtype: np.array([[[3, 5]]], dtype))
    array([[[3., 3., 5., 5.]]], dtype=float32)
    """
    kernel = tuple(shape[2:])
    strides = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
    for axis, (k, s) in enumerate(zip(kernel, strides, strict=True), start=2):
        if k % s:
            raise SizeError(f"kernel {k} on axis {axis} is no multiple of stride {s}", axis=axis)
    small = tuple(k // s for k, s in zip(kernel, strides, strict=True))
    weights = filler((*shape[:2], *small), rng, dtype)
    for axis, s in enumerate(strides, start=2):
        weights = weights.repeat(s, axis=axis)
    return weights
