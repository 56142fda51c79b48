"""The base of the engine's Ops: C++ from engine/c for float32 and float64, NumPy where there is no compiler.

An Op's numbers (strides, pads, ...) reach the C code as one vector of int64, ``Op.spec``, and are not written into
the source: all nodes of an Op class and dtype share one compiled module.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deconv_legacy import geometry
from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.where import HandsOn
from deconv_legacy.errors import SizeError

at = aesara.tensor
COp: Any = aesara.link.c.op.COp
ParamsType = aesara.link.c.params_type.ParamsType
TensorType = at.type.TensorType

__all__ = ["EngineOp", "as_float_tensor", "as_size_vector", "common_dtype", "static_sizes"]

_C_FOLDER = Path(__file__).parent / "c"
_C_TYPES = {"float32": "npy_float32", "float64": "npy_float64"}


@functools.cache
def _source(names: tuple[str, ...]) -> str:
    return "\n".join((_C_FOLDER / name).read_text() for name in names)


@functools.cache
def _openmp_flags() -> tuple[str, ...]:
    """``-fopenmp`` where the compiler has it: asked once per compile directory, for the answer costs a compilation."""
    from aesara.link.c.op import OpenMPOp

    note = Path(aesara.config.compiledir) / "deconv_legacy_openmp"
    compiler = aesara.config.cxx
    try:
        known = dict(line.split("\t") for line in note.read_text().splitlines())
    except (OSError, ValueError):
        known = {}
    if compiler not in known:
        known[compiler] = "yes" if OpenMPOp.test_gxx_support() else "no"
        with contextlib.suppress(OSError):  # a read-only cache: ask again next time
            note.write_text("".join(f"{key}\t{value}\n" for key, value in known.items()))
    return ("-fopenmp",) if known[compiler] == "yes" else ()


class EngineOp(HandsOn, COp):
    """An Op whose C function ``c_function<T>(inputs..., &outputs..., spec)`` stands in ``c_files``.

    Subclasses define ``__props__``, ``numbers`` and ``perform``; the C function returns 0, or 1 with a Python
    exception set.
    """

    c_files: ClassVar[tuple[str, ...]]
    c_function: str  # of the class, or of the Op where it follows a number
    uses_blas: ClassVar[bool] = False
    params_type = ParamsType(spec=TensorType("int64", shape=(None,)))

    def numbers(self) -> Sequence[int]:
        """The Op's numbers, as the C function reads them."""
        raise NotImplementedError(f"{type(self).__name__} defines no numbers")

    @property
    def spec(self) -> np.ndarray:
        return np.asarray(self.numbers(), np.int64)

    def _files(self) -> tuple[str, ...]:
        return ("common.h", *(("blas.h",) if self.uses_blas else ()), *self.c_files)

    def c_headers(self, **kwargs: Any) -> list[str]:
        return []

    def c_support_code(self, **kwargs: Any) -> str:
        return _source(self._files())

    def c_init_code(self, **kwargs: Any) -> list[str]:
        return ["if (!dl::load_blas()) return NULL;"] if self.uses_blas else []

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return list(_openmp_flags())

    def c_code_cache_version(self) -> tuple[Any, ...]:
        return (hashlib.sha256(_source(self._files()).encode()).hexdigest(),)

    def c_types(self, node: Any) -> str:
        """The template arguments of the C function."""
        return _C_TYPES[node.outputs[0].dtype]

    def c_code(self, node: Any, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]) -> str:
        arguments = ", ".join([*inputs, *(f"&{output}" for output in outputs), f"{sub['params']}->spec"])
        return f"if (dl::{self.c_function}<{self.c_types(node)}>({arguments})) {{ {sub['fail']} }}"


def common_dtype(op: str, *variables: Any) -> str:
    """float32 or float64: what the inputs have in common. Mixed inputs meet in float64, as NumPy's do."""
    dtype = aesara.scalar.upcast(*(v.dtype for v in variables))
    if dtype not in _C_TYPES:
        given = ", ".join(v.dtype for v in variables)
        raise TypeError(f"{op}: inputs of dtype {given}; float32 and float64 are served: cast them first")
    return dtype


def as_float_tensor(op: str, name: str, variable: Any, ndim: int) -> Any:
    """A tensor variable of rank `ndim`, or a SizeError that says which argument has the wrong rank."""
    variable = at.as_tensor_variable(variable)
    if variable.ndim != ndim:
        raise SizeError(f"{name}: {variable.ndim} axes where {ndim} are needed", where=op)
    return variable


def as_size_vector(op: str, name: str, sizes: Any, ndim: int) -> Any:
    """Spatial sizes as an int64 vector: from ints, NumPy ints, symbolic scalars, or one symbolic vector."""
    if isinstance(sizes, at.TensorConstant):
        sizes = sizes.data
    if isinstance(sizes, at.Variable):
        vector = sizes
    elif isinstance(sizes, Iterable) and any(isinstance(size, at.Variable) for size in sizes):
        scalars = [at.as_tensor_variable(size) for size in sizes]
        # each by itself, so that `static_sizes` still sees the numbers among them
        vector = at.stack([at.cast(s, "int64") if s.dtype.startswith(("int", "uint")) else s for s in scalars])
    else:
        try:
            numbers = geometry.per_axis(sizes, ndim, name, minimum=1)
        except SizeError as error:
            raise error.at(op) from None
        return at.constant(np.asarray(numbers, np.int64))
    if vector.ndim != 1 or not vector.dtype.startswith(("int", "uint")):
        raise TypeError(f"{op}: `{name}` is a {vector.type}; a vector of integers or one for each axis is legal")
    known = static_sizes(vector, ndim)
    if len(known) != ndim or any(n is not None and n < 1 for n in known):
        shown = ", ".join("?" if n is None else str(n) for n in known)
        raise SizeError(f"`{name}` (=({shown})) must be {ndim} integers of at least 1", where=op)
    return at.cast(vector, "int64")


def static_sizes(vector: Any, ndim: int) -> tuple[int | None, ...]:
    """What is known of a size vector when the graph is built."""
    if isinstance(vector, at.TensorConstant):
        return tuple(int(v) for v in vector.data)
    if vector.owner is not None and isinstance(vector.owner.op, at.basic.MakeVector):
        return tuple(_static_scalar(v) for v in vector.owner.inputs)
    length = vector.type.shape[0]
    return (None,) * (ndim if length is None else length)


def _static_scalar(variable: Any) -> int | None:
    try:
        return int(at.get_scalar_constant_value(variable, only_process_constants=False, max_recur=10))
    except at.exceptions.NotScalarConstantError:
        return None
