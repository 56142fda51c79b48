"""`check`: every layer of a net against its specification, and what is suspicious about its parameters and files."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy import fillers
from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.layers import ConvolutionLayer, CropLayer, DeconvolutionLayer, InputLayer, crop_offsets
from deconv_legacy.testing.adapters import built_subject, file_digest, free_net, subject_of
from deconv_legacy.testing.rebuild import rebuild, sources, variable_of
from deconv_legacy.testing.subject import Stage, Subject
from deconv_legacy.testing.trial import Bench, Result

FILTERS = (ConvolutionLayer, DeconvolutionLayer)

__all__ = ["Check", "LayerCheck", "Problem", "check", "check_files"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong (``serious``) or that one should know."""

    layer: str
    kind: str
    text: str
    serious: bool = True


@dataclass
class LayerCheck:
    """What was tried on a layer.

    Attributes
    ----------
    values, gradients : list of Result
        Empty where the specification does not have the layer (`note` says why), or it has no gradient.
    flip
        Of filters: ``"correlates"``, ``"convolves"``, or ``"either"`` where they are symmetric and it does not matter.
    """

    name: str
    type: str
    values: list[Result] = field(default_factory=list)
    gradients: list[Result] = field(default_factory=list)
    flip: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        return all(result.ok for result in (*self.values, *self.gradients))


@dataclass
class Check:
    """What `check` found."""

    layers: list[LayerCheck] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(layer.ok for layer in self.layers) and not any(problem.serious for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "layers": [{**asdict(layer), "ok": layer.ok} for layer in self.layers],
            "problems": [asdict(problem) for problem in self.problems],
        }

    def summary(self) -> str:
        """One sentence."""
        tried = [layer for layer in self.layers if layer.values]
        wrong = [layer.name for layer in self.layers if not layer.ok]
        serious = [problem for problem in self.problems if problem.serious]
        text = f"{len(tried)} of {len(self.layers)} layers tried against the reference"
        text += f", {len(wrong)} wrong ({', '.join(wrong[:4])})" if wrong else ", all right"
        return text + (f"; {len(serious)} problems" if serious else "; no problem")


def check(
    net: Any,
    *,
    gradients: bool = True,
    dtypes: Sequence[str] = ("float32", "float64"),
    backends: Sequence[str] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    both_flips: bool = False,
) -> Check:
    """Try every layer of a net, alone and on a small input, and look at its parameters.

    Parameters
    ----------
    net
        A `Subject`, or what `subject_of` takes.
    gradients
        Whether to try these too, against central differences in float64.
    dtypes, backends
        On which to try; by default both of each.
    inputs
        If given, the net is run on them, and blobs of NaN or zeros are reported.
    both_flips
        Try convolutions turned the other way as well: for weights whose file does not say which way they are.

    Examples
    --------
    >>> from deconv_legacy.layers import DeconvolutionLayer, InputLayer
    >>> up = DeconvolutionLayer(InputLayer((None, 2, None, None)), (2, 2, 4, 4), 2, 1, "up", W=np.zeros((2, 2, 4, 4)))
    >>> found = check(up, backends=["numpy"])
    >>> found.layers[0].ok, [problem.text for problem in found.problems]
    (True, ['up.W is all zero: its output is zero, or its bias alone'])
    """
    subject = subject_of(net)
    bench = Bench()
    result = Check()
    for stage in subject.stages:
        result.layers.append(_try(bench, stage, gradients, dtypes, backends, both_flips))
        result.problems += _parameters(stage)
        if not any(problem.kind == "crop offset" for problem in result.problems):
            result.problems += _crops(stage)  # those behind a wrong one follow it
    if inputs is not None:
        result.problems += _numbers(subject, inputs)
    return result


def check_files(prototxt: str | Path, weights: str | Path, *, allow_unknown: bool = False, **options: Any) -> Check:
    """`check` of a Caffe net (of a fork, where `allow_unknown`), and whether its two files belong together; options are
    those of `check`."""
    from deconv_legacy.caffe import read_layers

    stored = read_layers(weights)
    built = free_net(prototxt, allow_unknown=allow_unknown)
    names = list(built.params())
    problems = list(_unmatched(names, [layer.name for layer in stored if layer.blobs]))
    ours = [layer for layer in stored if layer.name in names and layer.blobs]
    try:
        built.load(ours, missing=True)
    except DeconvLegacyError as error:
        problems.append(Problem("", "shapes", str(error)))
    subject = built_subject(built)
    subject.files = {Path(path).name: file_digest(path) for path in (prototxt, weights)}
    result = check(subject, **options)
    result.problems = problems + result.problems + list(_losses(built.spec))
    return result


def _try(
    bench: Bench,
    stage: Stage,
    gradients: bool,
    dtypes: Sequence[str],
    backends: Sequence[str] | None,
    both_flips: bool,
) -> LayerCheck:
    result = LayerCheck(stage.name, stage.type)
    try:
        try:
            result.values = bench.values(stage.layer, dtypes=dtypes, backends=backends)
            if both_flips and isinstance(stage.layer, FILTERS):
                result.values += bench.values(turned(stage.layer), dtypes=dtypes, backends=backends)
        except NotImplementedError as why:
            result.note = f"not in the specification: {why}"
        if gradients:
            result.gradients = bench.gradients(stage.layer, backends=backends)
    except (DeconvLegacyError, TypeError, ValueError) as error:  # the last two where Aesara refuses a small input
        result.note = f"not tried: {str(error).splitlines()[0]}"
    if isinstance(stage.layer, FILTERS):
        result.flip = _flip(stage.layer)
    return result


def turned(layer: Any) -> Any:
    """The layer under the other flip convention."""
    fresh = [InputLayer(variable_of(s).type.shape, name=f"input{i}") for i, s in enumerate(sources(layer))]
    return rebuild(layer, fresh, filter_flip=not layer.filter_flip)


def _flip(layer: Any) -> str:
    """Which convention it has, and whether that matters for its filters."""
    w = layer.W.get_value(borrow=True)
    turned = np.flip(w, tuple(range(2, w.ndim)))
    size = float(np.abs(w).max()) if w.size else 0.0
    if size == 0 or float(np.abs(w - turned).max()) <= 1e-6 * size:
        return "either"
    return "convolves" if layer.filter_flip else "correlates"


def _parameters(stage: Stage) -> list[Problem]:
    found = []
    for variable in stage.layer.params:
        values = variable.get_value(borrow=True)
        name = str(variable.name)
        if values.size and not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            found.append(Problem(stage.name, "NaN", f"{name} has {count} numbers that are NaN or infinite"))
        elif values.size and values.ndim > 1 and stage.type != "BN" and not values.any():  # BN's shift is 1 x C x 1 x 1
            text = f"{name} is all zero: its output is zero, or its bias alone"
            found.append(Problem(stage.name, "zero weights", text))
        elif values.ndim > 1 and values.shape[0] > 1 and values.size > 4 and np.ptp(values) == 0:
            found.append(Problem(stage.name, "unset weights", f"{name} is {values.flat[0]:g} everywhere"))
    if isinstance(stage.layer, DeconvolutionLayer) and not found:
        found += _bilinear(stage)
    return found


def _bilinear(stage: Stage) -> list[Problem]:
    """What an upscoring layer's filters are: interpolation, its common mistake, or something else."""
    layer: Any = stage.layer
    w = layer.W.get_value(borrow=True)
    if any(k < s for k, s in zip(layer.kernel, layer.stride, strict=True)) or max(layer.stride) < 2:
        return []
    distance = {}
    for kind in ("diagonal", "grouped", "every_pair"):
        if (kind == "grouped") != (w.shape[1] == 1 and layer.groups > 1) or (kind == "diagonal") > (
            w.shape[0] == w.shape[1]
        ):
            continue
        distance[kind] = float(np.abs(fillers.bilinear(w.shape, dtype=w.dtype, kind=kind) - w).max())
    if not distance:
        return []
    kind = min(distance, key=lambda k: distance[k])
    if distance[kind] <= 1e-4:
        if kind == "every_pair" and w.shape[1] > 1:
            text = (
                f"{stage.name}.W interpolates between every pair of channels: each output is the sum of all inputs; "
                "Caffe's bilinear filler needs group equal to the number of channels"
            )
            return [Problem(stage.name, "bilinear filler", text)]
        return []
    text = f"{stage.name}.W is no bilinear interpolation: {distance[kind]:.2g} away from the kind {kind!r}"
    return [Problem(stage.name, "not bilinear", text, serious=False)]


def _crops(stage: Stage) -> list[Problem]:
    layer = stage.layer
    if not isinstance(layer, CropLayer) or layer.axis != 2 or not layer.references or layer.input_layers[0] is None:
        return []
    try:
        derived = crop_offsets(layer.input_layers[0], layer.references[0], len(layer.offset))
    except DeconvLegacyError:
        return []
    if tuple(derived) == tuple(layer.offset):
        return []
    text = f"its offset is {tuple(layer.offset)}, from the layers follows {tuple(derived)}"
    return [Problem(stage.name, "crop offset", text)]


def _unmatched(names: Sequence[str], stored: Sequence[str]) -> list[Problem]:
    found = []
    unused = [name for name in stored if name not in names]
    for name in names:
        if name not in stored:
            near = difflib.get_close_matches(name, unused, n=1)
            hint = f"; there are some for {near[0]!r}" if near else ""
            found.append(Problem(name, "unset weights", f"no weights in the file: its fillers' are used{hint}"))
    for name in unused:
        text = f"the weights have layer {name!r}, the net has not"
        found.append(Problem(name, "unused weights", text, serious=False))
    return found


def _losses(spec: Any) -> list[Problem]:
    """What explains losses in the 1e5s."""
    found = []
    for layer in spec.layer:
        param = layer.loss_param
        summed = param.HasField("normalize") and not param.normalize and not param.HasField("normalization")
        if layer.type == "SoftmaxWithLoss" and (
            summed or (param.HasField("normalization") and param.normalization > 1)
        ):
            pixels = 500 * 500
            text = (
                "it adds over pixels and does not divide by their number: with 21 classes a net that knows nothing "
                f"starts at {math.log(21) * pixels:,.0f} for {pixels:,} pixels"
            )
            found.append(Problem(layer.name, "loss not normalised", text, serious=False))
    return found


def _numbers(subject: Subject, inputs: Mapping[str, np.ndarray]) -> list[Problem]:
    found = []
    for name, array in subject.run(inputs).items():
        if name in subject.inputs or not array.size:
            continue
        if not np.isfinite(array).all():
            found.append(Problem(name, "NaN", f"blob {name!r} has {int((~np.isfinite(array)).sum())} NaN or infinite"))
        elif not array.any():
            found.append(Problem(name, "zero output", f"blob {name!r} is all zero"))
    return found
