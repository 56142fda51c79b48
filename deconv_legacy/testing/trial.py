"""One layer against its specification and against finite differences, in a dtype, on a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, Layer
from deconv_legacy.testing.cases import GROUPS, Case, case_of
from deconv_legacy.testing.measure import figures_of
from deconv_legacy.testing.rebuild import arguments_of, rebuild, sources, variable_of
from deconv_legacy.testing.references import reference_of
from deconv_legacy.testing.settings import settings_of
from deconv_legacy.testing.tolerance import of_dtype

__all__ = ["GRADIENT_TOLERANCE", "Bench", "Result"]

GRADIENT_TOLERANCE = 1e-6
"""Between a derivative and central differences of step 1e-5, in float64, over the derivative's magnitude."""


@dataclass(frozen=True)
class Result:
    """A value or a derivative that was checked.

    Attributes
    ----------
    what
        ``"value"``, or the name of the input or parameter that was differentiated for.
    """

    what: str
    dtype: str
    backend: str
    error: float
    tolerance: float
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance


class Bench:
    """Tries layers; what is compiled for one serves all others with the same settings.

    Examples
    --------
    >>> from deconv_legacy.layers import InputLayer
    >>> conv = ConvolutionLayer(InputLayer((None, 3, None, None)), (4, 3, 3, 5), 2, 1, rng=0)
    >>> bench = Bench()
    >>> [result.ok for result in bench.values(conv, backends=["numpy"])]
    [True, True]
    >>> all(result.ok for result in bench.gradients(conv, backends=["numpy"]))
    True
    """

    def __init__(self) -> None:
        self._compiled: dict[Any, Any] = {}

    def values(
        self,
        layer: Layer,
        *,
        dtypes: Sequence[str] = ("float32", "float64"),
        backends: Sequence[str] | None = None,
        shapes: Any = None,
        seed: int = 0,
    ) -> list[Result]:
        """Against the specification.

        Raises
        ------
        NotImplementedError
            Saying why it does not have the layer.
        """
        reference_of(layer)
        results = []
        for dtype in dtypes:
            case = _typed(case_of(layer, shapes, seed), dtype)
            again = _made(case, dtype)
            wanted = reference_of(again)(case.inputs, case.params)[: len(again.outputs)]
            if len(wanted) < len(again.outputs):
                raise NotImplementedError(f"output {len(wanted)} has no reference")
            for backend in backends or engine_backends():
                made = self._forward(case, dtype, backend)(*case.inputs, *case.params)
                limit = of_dtype(
                    dtype, 8 * max((p.size / max(p.shape[0], 1) for p in case.params if p.ndim), default=8)
                )
                error, note = 0.0, ""
                for a, b in zip(wanted, made, strict=True):
                    if np.shape(a) != np.shape(b):
                        error, note = float("inf"), f"shape {np.shape(b)}, the reference has {np.shape(a)}"
                    else:
                        error = max(error, figures_of(a, b)["relative"])
                results.append(Result("value", dtype, backend, error, limit, note))
        return results

    def gradients(
        self, layer: Layer, *, backends: Sequence[str] | None = None, shapes: Any = None, seed: int = 0
    ) -> list[Result]:
        """Of the sum of its outputs, times normal numbers, against central differences; empty where there is none."""
        case = _typed(case_of(layer, shapes, seed), "float64")
        rng = np.random.default_rng(seed + 1)
        results = []
        for backend in backends or engine_backends():
            forward = self._forward(case, "float64", backend)
            point = [*case.inputs, *case.params]
            tops = forward(*point)
            # an integer, a place, has no derivative
            weights = [rng.standard_normal(top.shape) if top.dtype.kind == "f" else np.zeros_like(top) for top in tops]
            names, derivatives = self._derivatives(case, backend)
            if not names:
                continue
            slopes = derivatives(*point, *weights)
            for index, slope in zip(names, slopes, strict=True):
                results.append(_differences(forward, point, weights, index, slope, case, backend, rng))
        return results

    def _forward(self, case: Case, dtype: str, backend: str) -> Any:
        return self._of(case, dtype, backend, "values")[0]

    def _derivatives(self, case: Case, backend: str) -> tuple[list[int], Any]:
        return self._of(case, "float64", backend, "derivatives")

    def _of(self, case: Case, dtype: str, backend: str, what: str) -> Any:
        shapes = tuple(np.shape(a) for a in (*case.inputs, *case.params))
        key = (what, dtype, backend, shapes, *signature(case.layer))
        if key not in self._compiled:
            self._compiled[key] = _compile(case, dtype, backend, what)
        return self._compiled[key]


def engine_backends() -> list[str]:
    return ["c", "numpy"] if engine.have_compiler() else ["numpy"]


def signature(layer: Layer) -> tuple[Any, ...]:
    """What two layers have in common if they differ in their numbers only; the layer itself where that is not known."""
    if type(layer).__name__ in ("ExpressionLayer", "GraphLayer") or type(layer).__name__.startswith("_"):
        return (layer,) if layer.spec is None else (type(layer), _written(layer.spec), bool(layer.updates))
    plain = {n: v for n, v in arguments_of(layer).items() if isinstance(v, (int, float, str, bool, tuple, type(None)))}
    plain.pop("name", None)
    return type(layer), str(settings_of(layer)), str(sorted(plain.items(), key=str))


def _written(spec: Any) -> bytes:
    """What a file says about a layer, but for names; how many bottoms and tops it has counts."""
    bare = type(spec)()
    bare.CopyFrom(spec)
    bare.name = ""
    bare.ClearField("param")
    order = {name: str(number) for number, name in enumerate(dict.fromkeys(spec.bottom))}
    bare.bottom[:] = [order[name] for name in spec.bottom]
    bare.top[:] = [""] * len(spec.top)
    return bare.SerializePartialToString(deterministic=True)


def _typed(case: Case, dtype: str) -> Case:
    """The same numbers as `dtype` has them, so that both sides start from one point."""
    return Case(case.layer, *([a.astype(dtype) for a in arrays] for arrays in (case.inputs, case.params)))


def _made(case: Case, dtype: str) -> Layer:
    """The layer on the case's inputs; the net's own where it cannot be made again."""
    try:
        return _again(case, dtype)
    except (TypeError, DeconvLegacyError):
        if dtype != case.layer.output.dtype:
            raise
        return case.layer


def _again(case: Case, dtype: str) -> Layer:
    filters = isinstance(case.layer, (ConvolutionLayer, DeconvolutionLayer))
    extra: dict[str, Any] = {"W": case.params[0], "groups": _groups(case.layer, case)} if filters else {}
    inputs = [a.astype(dtype) for a in case.inputs]
    return rebuild(case.layer, inputs, params=dict(enumerate(case.params)), **extra)


def _groups(layer: Any, case: Case) -> int:
    return layer.groups if case.params[0].shape == tuple(layer.filter_shape) else min(layer.groups, GROUPS)


def _compile(case: Case, dtype: str, backend: str, what: str) -> Any:
    made = _made(case, dtype)
    inputs = [variable_of(source) for source in sources(made)]
    stand_ins = [variable.type() for variable in made.params]
    givens = dict(zip(made.params, stand_ins, strict=True))
    arguments = [*inputs, *stand_ins]
    if what == "values":
        return [
            engine.compile(arguments, made.outputs, givens=givens or None, backend=backend, on_unused_input="ignore")
        ]
    weights = [top.type() for top in made.outputs]
    tops = [(top, weight) for top, weight in zip(made.outputs, weights, strict=True) if top.dtype.startswith("float")]
    wanted, indices = [], []
    for index, variable in enumerate([*inputs, *made.params]):
        if variable.dtype.startswith("float"):
            wanted.append(variable)
            indices.append(index)
    try:
        # one sum: known gradients of several tops would hide the way from one to another
        cost = sum((top * weight).sum() for top, weight in tops)
        slopes = aesara.grad(cost, wanted, disconnected_inputs="ignore", return_disconnected="none") if tops else []
    except (NotImplementedError, aesara.gradient.NullTypeGradError):
        return [], None
    found = [(i, s) for i, s in zip(indices, slopes, strict=False) if s is not None]
    function = engine.compile(
        [*arguments, *weights], [s for _, s in found], givens=givens or None, backend=backend, on_unused_input="ignore"
    )
    return [i for i, _ in found], function


def _differences(
    forward: Any,
    point: list[np.ndarray],
    weights: Sequence[np.ndarray],
    index: int,
    slope: np.ndarray,
    case: Case,
    backend: str,
    rng: np.random.Generator,
) -> Result:
    """Along two directions of one input or parameter."""
    worst, step = 0.0, 1e-5
    for _ in range(2):
        direction = rng.choice((-1.0, 1.0), np.shape(point[index]))
        ends = []
        for side in (step, -step):
            moved = [*point[:index], point[index] + side * direction, *point[index + 1 :]]
            ends.append(sum(float((w * np.asarray(t)).sum()) for w, t in zip(weights, forward(*moved), strict=True)))
        numeric, exact = (ends[0] - ends[1]) / (2 * step), float((slope * direction).sum())
        scale = max(float(np.abs(slope).sum()), abs(numeric), 1e-12)
        worst = max(worst, abs(numeric - exact) / scale)
    if index < len(case.inputs):
        name = f"input {index}"
    else:
        name = str(case.layer.params[index - len(case.inputs)].name).rsplit(".", 1)[-1]
    return Result(name, "float64", backend, worst, GRADIENT_TOLERANCE)
