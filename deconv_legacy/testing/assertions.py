"""Assertions for tests: a layer against its specification, its gradients, numbers against a recording.

They take our layers, functions that build Aesara expressions, and plain functions of arrays from any framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deconv_legacy.layers import ExpressionLayer, InputLayer, Layer
from deconv_legacy.testing.bisect import bisect
from deconv_legacy.testing.compare import compare
from deconv_legacy.testing.measure import figures_of
from deconv_legacy.testing.recording import Recording
from deconv_legacy.testing.tolerance import of_dtype
from deconv_legacy.testing.trial import Bench, Result

__all__ = ["assert_gradients", "assert_matches_reference", "assert_same"]


def assert_matches_reference(
    layer: Layer | Callable[..., Any],
    reference: Callable[..., Any] | None = None,
    inputs: Sequence[Any] | None = None,
    *,
    dtypes: Sequence[str] = ("float32", "float64"),
    backends: Sequence[str] | None = None,
    shapes: Sequence[Sequence[int]] | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> None:
    """A layer computes what the NumPy and SciPy specification says, in every dtype and on every backend.

    Parameters
    ----------
    layer
        One of ours; or a function of arrays that gives an array, of any framework, and then `reference` is one too,
        such as those of `deconv_legacy.reference`, and `inputs` are its arguments.
    shapes
        Of the inputs of a layer, by default small ones that fit its windows.
    rtol
        Largest error over the largest magnitude; by default from dtype and reduction length, for a function 65536.

    Raises
    ------
    AssertionError
        With a line for each try.

    Examples
    --------
    >>> from deconv_legacy import reference
    >>> from deconv_legacy.layers import InputLayer, PoolLayer
    >>> assert_matches_reference(PoolLayer(InputLayer((1, 3, None, None)), 3, 2, rounding="caffe"), backends=["numpy"])
    >>> assert_matches_reference(lambda x: np.maximum(x, 0), reference.relu, [np.array([[-1.0, 2.0]])])
    """
    __tracebackhide__ = True
    if not isinstance(layer, Layer):
        if reference is None or inputs is None:
            raise TypeError("a function is compared with a reference on inputs: give both")
        _assert_function(layer, reference, inputs, dtypes, rtol)
        return
    try:
        results = Bench().values(layer, dtypes=dtypes, backends=backends, shapes=shapes, seed=seed)
    except NotImplementedError as why:
        raise AssertionError(f"{layer.where}: the specification does not have this layer: {why}") from None
    if rtol is not None:
        results = [Result(r.what, r.dtype, r.backend, r.error, rtol, r.note) for r in results]
    _report(f"{layer.where} does not match the reference", results)


def _assert_function(
    function: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Any],
    dtypes: Sequence[str],
    rtol: float | None,
) -> None:
    __tracebackhide__ = True
    results = []
    for dtype in dtypes:
        typed = [np.asarray(x, dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in inputs]
        wanted, made = np.asarray(reference(*typed)), np.asarray(function(*typed))
        limit = of_dtype(dtype) if rtol is None else rtol
        if wanted.shape != made.shape:
            note = f"shape {made.shape}, the reference has {wanted.shape}"
            results.append(Result("value", dtype, "", float("inf"), limit, note))
        else:
            results.append(Result("value", dtype, "", figures_of(wanted, made)["relative"], limit))
    _report("the function does not match the reference", results)


def assert_gradients(
    layer: Layer | Callable[..., Any],
    inputs: Sequence[Any] | None = None,
    *,
    backends: Sequence[str] | None = None,
    shapes: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> None:
    """The gradients of a layer agree with central differences in float64, for all inputs and parameters.

    Parameters
    ----------
    layer
        One of ours; or a function that makes an Aesara variable of Aesara variables, and then `inputs` are arrays for
        them, of which the shapes count.

    Raises
    ------
    AssertionError
        With a line for each input and parameter, or if there is no gradient at all.

    Examples
    --------
    >>> from deconv_legacy.engine import relu
    >>> assert_gradients(lambda x: relu(x, 0.1), [np.ones((2, 3))], backends=["numpy"])
    """
    __tracebackhide__ = True
    if not isinstance(layer, Layer):
        if inputs is None:
            raise TypeError("a function is differentiated at inputs: give them")
        shapes = [np.shape(x) for x in inputs] if shapes is None else shapes
        sources = [InputLayer(np.shape(x), name=f"x{i}", dtype="float64") for i, x in enumerate(inputs)]
        layer = ExpressionLayer(sources, layer, getattr(layer, "__name__", "function"))
    results = Bench().gradients(layer, backends=backends, shapes=shapes, seed=seed)
    if not results:
        raise AssertionError(f"{layer.where} has no gradient")
    _report(f"{layer.where}: its gradients differ from finite differences", results)


def _report(title: str, results: Sequence[Result]) -> None:
    __tracebackhide__ = True
    if all(result.ok for result in results):
        return
    lines = [
        f"  {r.what:10} {r.dtype:8} {r.backend:6} error {r.error:.1e}  allowed {r.tolerance:.1e}  "
        f"{'ok' if r.ok else 'WRONG'}  {r.note}".rstrip()
        for r in results
    ]
    raise AssertionError("\n".join([title, *lines]))


def assert_same(recorded: Recording, other: Any, *, rtol: float | None = None, backend: str | None = None) -> None:
    """`compare` finds nothing: else an AssertionError with its table and, for a net, the first layer that differs.

    Examples
    --------
    >>> golden = Recording.from_arrays({"y": np.array([1.0, 2.0])})
    >>> assert_same(golden, Recording.from_arrays({"y": np.array([1.0, 2.0])}))
    """
    __tracebackhide__ = True
    found = compare(recorded, other, rtol=rtol, backend=backend)
    if found.ok:
        return
    lines = [found.summary(), *found.settings]
    if found.rows(everything=False):
        lines += ["", found.table()]
    if not isinstance(other, Recording) and found.first is not None and recorded.input_arrays:
        lines += ["", bisect(recorded, other, rtol=rtol, backend=backend).text()]
    raise AssertionError("\n".join(lines))
