"""`JaxFunction`: what ``engine.compile(..., backend="jax")`` returns, called as Aesara's functions are."""

from __future__ import annotations

import contextlib
import copy
import functools
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from aesara.compile.function.pfunc import construct_pfunc_ins_and_outs
from aesara.compile.function.types import FunctionMaker

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.announce import announced
from deconv_legacy.engine.device import LOCK, OnDevice, put, send, watch
from deconv_legacy.engine.jax import _aesara_ops, _convolution, _pointwise, _pooling  # noqa: F401 they register
from deconv_legacy.engine.jax._import import compiled_folder, device_of, jax, with_64_bits
from deconv_legacy.engine.jax.translate import DataDependentError, run
from deconv_legacy.engine.modes import mode_of
from deconv_legacy.errors import DeconvLegacyError

__all__ = ["DeviceMemoryError", "JaxFunction", "Replacement", "rewritten"]

RandomType = aesara.tensor.random.type.RandomType


class DeviceMemoryError(DeconvLegacyError, MemoryError):
    """The device has too little memory for a call."""


def rewritten(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """A graph of clones with the rewrites that suit JAX."""
    fgraph = aesara.graph.fg.FunctionGraph(list(inputs), list(outputs), clone=True)
    with aesara.config.change_flags(cxx="", compute_test_value="off"):
        mode_of("numpy").optimizer.rewrite(fgraph)
    return fgraph


def as_key(generator: Any, advance: bool) -> np.ndarray:
    """The data of a JAX key, drawn from one of NumPy's generators; the same state gives the same key."""
    if not advance:
        generator = copy.deepcopy(generator)
    if isinstance(generator, np.random.RandomState):
        return generator.randint(0, 2**32, 2, dtype=np.uint32)
    return generator.integers(0, 2**32, 2, dtype=np.uint32)


def _static_ancestors(variable: Any, inputs: Sequence[Any]) -> set[int]:
    """Inputs that are whole numbers, few of them, and that `variable` is computed from."""
    wanted = set(aesara.graph.basic.ancestors([variable]))
    return {
        i
        for i, v in enumerate(inputs)
        if v in wanted and getattr(v.type, "dtype", "float").startswith(("int", "uint", "bool")) and v.ndim <= 1
    }


class JaxFunction:
    """A compiled function of the JAX backend.

    Called with the inputs in order or by name; returns NumPy arrays. A new size of an input is compiled anew, and so
    is a new value of an integer that sizes depend on.

    Attributes
    ----------
    name : str or None
    device : jax.Device
        Where it computes.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any = None,
        *,
        updates: Any = None,
        givens: Any = None,
        precision: str = "float32",
        deterministic: bool = False,
        device: str | None = None,
        progress: bool = True,
        name: str | None = None,
        on_unused_input: str | None = None,
        allow_input_downcast: bool | None = None,
        no_default_updates: Any = False,
        rebuild_strict: bool = True,
    ):
        self.name, self.device, self._precision = name, device_of(device), precision
        self._options = {"xla_gpu_deterministic_ops": True} if deterministic else None
        self._keys = sorted(outputs) if isinstance(outputs, dict) else None
        results = [outputs[key] for key in self._keys] if self._keys is not None else outputs
        self._single = results is not None and not isinstance(results, (list, tuple))
        results = [] if results is None else [results] if self._single else list(results)
        results = [out.variable if isinstance(out, aesara.Out) else out for out in results]
        results = [aesara.tensor.as_tensor_variable(out) for out in results]
        with aesara.config.change_flags(cxx=""):
            specs, results = construct_pfunc_ins_and_outs(
                list(inputs),
                results,
                None,
                [] if updates is None else updates,
                [] if givens is None else givens,
                no_default_updates,
                rebuild_strict,
                allow_input_downcast,
            )
        FunctionMaker.check_unused_inputs(specs, [FunctionMaker.wrap_out(out) for out in results], on_unused_input)
        self._arguments = [spec for spec in specs if not spec.shared]
        self._shared = [spec for spec in specs if spec.shared]
        if any(spec.update is not None for spec in self._arguments):
            raise NotImplementedError("the JAX backend updates shared variables only, not inputs with a state")
        for spec in self._shared:
            watch(spec.value)
        self._ordered = self._arguments + self._shared
        self._updated = [i for i, s in enumerate(self._shared) if s.update is not None and not _is_random(s)]
        updates_ = [self._shared[i].update for i in self._updated]
        self._count = len(results)
        self._fgraph = rewritten([s.variable for s in self._ordered], [*results, *updates_])
        self._static: set[int] = set()
        self._jitted: dict[Any, Any] = {}
        self._progress, self._sizes = progress, set[Any]()

    def __repr__(self) -> str:
        return f"<JaxFunction {self.name or ''} of {len(self._arguments)} inputs on {self.device}>"

    # A call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arrays = [_fetched(result.array) for result in self.on_device(*args, **kwargs)]
        if self._keys is not None:
            return dict(zip(self._keys, arrays, strict=True))
        return arrays[0] if self._single else arrays

    def on_device(self, *args: Any, **kwargs: Any) -> list[OnDevice]:
        """The same call, whose results stay on the device; those of a dict in the order of its keys."""
        values = self._bind(args, kwargs)
        with with_64_bits():
            while True:
                try:
                    results, failed = self._run(values)
                    # while it runs it may still read the memory of its arguments
                    jax.block_until_ready(results)
                    break
                except DataDependentError as error:
                    static = (
                        _static_ancestors(error.variable, self._fgraph.inputs) if error.variable is not None else ()
                    )
                    if not set(static) - self._static:
                        raise
                    self._static |= set(static)
                except jax.errors.JaxRuntimeError as error:
                    raise _memory_error(error, self.device) from error
            if failed is not None:
                failed()
        return [OnDevice(result) for result in results]

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """A value for each input, checked and cast as Aesara does."""
        where = f"function {self.name!r}" if self.name else "this function"
        if len(args) > len(self._arguments):
            raise TypeError(f"{where} takes {len(self._arguments)} inputs, {len(args)} were given")
        given = dict(enumerate(args))
        names = {spec.name or spec.variable.name: i for i, spec in enumerate(self._arguments)}
        for key, value in kwargs.items():
            if key not in names:
                raise TypeError(f"{where} has no input called {key!r}")
            if names[key] in given:
                raise TypeError(f"{where}: input {key!r} is given twice")
            given[names[key]] = value
        values = []
        for i, spec in enumerate(self._arguments):
            label = spec.name or spec.variable.name or f"number {i}"
            if i not in given:
                default = getattr(spec, "value", None)
                if default is None:
                    raise TypeError(f"{where}: input {label!r} is missing")
                given[i] = default.storage[0] if hasattr(default, "storage") else default
            values.append(self._cast(spec, given[i], label))
        return values

    @staticmethod
    def _cast(spec: Any, value: Any, label: str) -> Any:
        type_ = spec.variable.type
        if isinstance(value, jax.Array) and value.dtype == type_.dtype and value.ndim == type_.ndim:
            return value  # it may be on the device already
        try:
            return type_.filter(value, strict=spec.strict, allow_downcast=spec.allow_downcast)
        except Exception as error:
            error.args = (f"Bad input {label!r}: {error.args[0] if error.args else error}", *error.args[1:])
            raise

    def _run(self, values: list[Any]) -> tuple[list[Any], Any]:
        static = self._static
        with LOCK:
            shared: list[Any] = []
            for i, spec in enumerate(self._shared, len(values)):
                container = spec.value
                if _is_random(spec):
                    shared.append(as_key(container.storage[0], spec.update is not None))
                elif i in static:
                    shared.append(np.array(container.storage[0]))
                else:
                    shared.append(send(container.storage, self.device, jax.device_put))
            everything = values + shared
            first = len(values)
            changing = {first + i: everything[first + i] for i in self._updated if first + i not in static}
            rest = [v for i, v in enumerate(everything) if i not in changing and i not in static]
            fixed = {i: np.asarray(everything[i]) for i in sorted(static)}
            key = tuple((i, v.shape, v.tobytes()) for i, v in fixed.items())
            if key not in self._jitted:
                self._jitted[key] = self._compile(fixed, set(changing))
            step, explain = self._jitted[key]
            rest = jax.device_put(rest, self.device)
            with warnings.catch_warnings(), self._announced((key, *(v.shape for v in values))):
                # where a variable changes its size its memory cannot be used again
                warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
                results, new, checks = step(list(changing.values()), rest)
            for i, array in zip(self._updated, new, strict=True):
                self._shared[i].value.storage[0] = OnDevice(array)
        failed = None
        for (wrong, notes), explanation in zip(checks, explain, strict=True):
            if wrong:
                failed = lambda e=explanation, n=notes: e(*(np.asarray(note) for note in n))  # noqa: E731
                break
        return results, failed

    def _announced(self, sizes: Any) -> Any:
        """Within it the step runs: for sizes that it did not meet before, it is compiled."""
        if not self._progress or sizes in self._sizes:
            return contextlib.nullcontext()
        self._sizes.add(sizes)
        folder = compiled_folder()
        kept = f", kept in {folder}" if folder else ""
        return announced(f"compiling with XLA for {self.device}, once for each size of the inputs{kept}")

    def _compile(self, fixed: dict[int, np.ndarray], changing: set[int]) -> tuple[Any, list[Any]]:
        """The jitted function of (values that are replaced, the others), and what its checks say."""
        explain: list[Any] = []
        random = {i for i, spec in enumerate(self._ordered) if _is_random(spec)}

        def step(replaced: list[Any], rest: list[Any]) -> Any:
            replaced_, rest_ = iter(replaced), iter(rest)
            inputs: list[Any] = []
            for i in range(len(self._ordered)):
                if i in fixed:
                    inputs.append(fixed[i])
                elif i in changing:
                    inputs.append(next(replaced_))
                elif i in random:
                    inputs.append(jax.random.wrap_key_data(next(rest_), impl="threefry2x32"))
                else:
                    inputs.append(next(rest_))
            outputs, checks = run(self._fgraph, inputs, self._precision)
            outputs = [jax.numpy.asarray(out) for out in outputs]
            explain[:] = [check.explain for check in checks]
            results, new = outputs[: self._count], outputs[self._count :]
            if checks and replaced:
                # a call that fails changes nothing
                wrong = functools.reduce(operator.or_, [check.wrong for check in checks])
                new = [
                    jax.numpy.where(wrong, old, value) if old.shape == value.shape else value
                    for old, value in zip(replaced, new, strict=False)
                ]
            return results, new, [(check.wrong, check.notes) for check in checks]

        return jax.jit(step, donate_argnums=0, compiler_options=self._options), explain


class Replacement:
    """A function of JAX that replaces arrays wherever they lie: ``call(storages, *args)``, rows of storages, where
    ``step(arrays, *args)`` makes the new rows of arrays of the old. They lie on the device afterwards; an array that
    somebody holds stays on the host and takes the new numbers.
    """

    def __init__(self, step: Callable[..., Any], device: Any):
        self._step, self._device = jax.jit(step, donate_argnums=0), device

    def __call__(self, storages: Sequence[Sequence[list[Any]]], *args: Any) -> None:
        with LOCK, with_64_bits():
            arrays = [[send(storage, self._device, jax.device_put) for storage in row] for row in storages]
            try:
                new = self._step(arrays, *args)
            except jax.errors.JaxRuntimeError as error:
                raise _memory_error(error, self._device) from error
            for row, made in zip(storages, new, strict=True):
                for storage, array in zip(row, made, strict=True):
                    put(storage, OnDevice(array))


def _fetched(array: Any) -> np.ndarray:
    """The numbers of an array that nobody else has, in memory that may be written to."""
    fetched = np.asarray(array)
    if all(device.platform != "cpu" for device in array.devices()):
        try:
            fetched.flags.writeable = True  # a copy already, which JAX would keep for the next to ask
            return fetched
        except ValueError:
            pass
    return fetched.copy()


def _memory_error(error: Exception, device: Any) -> Exception:
    said = next((line for line in str(error).splitlines() if "RESOURCE_EXHAUSTED" in line), None)
    if said is None:
        return error
    return DeviceMemoryError(
        f"{device} has too little memory for this call: give smaller images or a smaller batch, "
        f'backend="jax:bfloat16", or backend="c" ({said[said.index("RESOURCE_EXHAUSTED") :]})'
    )


def _is_random(spec: Any) -> bool:
    return isinstance(spec.variable.type, RandomType)
