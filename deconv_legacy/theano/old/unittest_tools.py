"""``theano.tests.unittest_tools``: what libraries' own tests take from it."""

from __future__ import annotations

import functools
import sys
import unittest
from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import numpy as np

from deconv_legacy.engine import aesara
from deconv_legacy.theano.old.configuration import config

__all__ = [
    "AttemptManyTimes",
    "InferShapeTester",
    "MockRandomState",
    "T_OpContractMixin",
    "TestOptimizationMixin",
    "WrongValue",
    "assertFailure_fast",
    "assert_allclose",
    "custom_name_func",
    "fetch_seed",
    "seed_rng",
    "str_diagnostic",
    "verify_grad",
]

assertFailure_fast = unittest.expectedFailure


def fetch_seed(pseed: Any = None) -> int | None:
    """The seed given, else that of the flag ``unittests.rseed``."""
    seed = pseed or config.unittests.rseed
    return None if str(seed).lower() == "random" else int(seed)


def seed_rng(pseed: Any = None) -> int | None:
    """Seed NumPy's global generator."""
    seed = fetch_seed(pseed)
    np.random.seed(seed)
    return seed


def verify_grad(op: Any, pt: Any, n_tests: int = 2, rng: Any = None, *args: Any, **kwargs: Any) -> None:
    """Compare a symbolic with a numeric gradient."""
    aesara.gradient.verify_grad(
        op, pt, n_tests, np.random.RandomState(fetch_seed()) if rng is None else rng, *args, **kwargs
    )


verify_grad.E_grad = aesara.gradient.GradientError  # type: ignore[attr-defined]


class MockRandomState:
    """Gives one value for every number."""

    def __init__(self, val: float):
        self.val = val

    def rand(self, *shape: int) -> np.ndarray:
        return np.zeros(shape, dtype="float64") + self.val

    def randint(self, minval: int, maxval: int | None = None, size: Any = 1) -> np.ndarray:
        return np.zeros(size, dtype="int64") + minval


class WrongValue(Exception):
    def __init__(self, expected_val: Any, val: Any, rtol: Any, atol: Any):
        super().__init__(str_diagnostic(expected_val, val, rtol, atol))
        self.val1, self.val2, self.rtol, self.atol = expected_val, val, rtol, atol


def _tolerances(a: Any, b: Any, rtol: float | None, atol: float | None) -> tuple[float, float]:
    narrow = any(str(getattr(v, "dtype", "")) in ("float32", "complex64") for v in (a, b))
    own_rtol, own_atol = (1e-5, 1e-5) if narrow else (1e-5, 1e-8)
    return own_rtol if rtol is None else rtol, own_atol if atol is None else atol


def str_diagnostic(expected: Any, value: Any, rtol: float | None, atol: float | None) -> str:
    rtol, atol = _tolerances(expected, value, rtol, atol)
    differences = np.abs(np.asarray(expected) - np.asarray(value))
    return (
        f"WrongValue: shapes {np.shape(expected)} and {np.shape(value)}, largest difference {differences.max()}, "
        f"rtol {rtol}, atol {atol}"
    )


def assert_allclose(expected: Any, value: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Raise WrongValue unless the arrays, which may broadcast, agree; by default to the tolerance of their dtype."""
    limits = _tolerances(expected, value, rtol, atol)
    if not np.allclose(expected, value, *limits, equal_nan=True):
        raise WrongValue(expected, value, rtol, atol)


def custom_name_func(testcase_func: Any, param_num: Any, param: Any) -> str:
    return f"{testcase_func.__name__}_{'_'.join(str(part).replace(' ', '') for part in [param_num, *param.args])}"


class TestOptimizationMixin:
    """Assertions on the Ops of a compiled function."""

    __test__ = False

    def assertFunctionContains(self, f: Any, op: Any, min: int = 1, max: int = sys.maxsize) -> None:
        self._count(f, sum(node.op == op for node in f.maker.fgraph.toposort()), op, min, max)

    def assertFunctionContainsClass(self, f: Any, op: Any, min: int = 1, max: int = sys.maxsize) -> None:
        self._count(f, sum(isinstance(node.op, op) for node in f.maker.fgraph.toposort()), op, min, max)

    def _count(self, f: Any, count: int, op: Any, low: int, high: int) -> None:
        assert low <= count <= high, (f.maker.fgraph.toposort(), count, str(op), low, high)

    def assertFunctionContains0(self, f: Any, op: Any) -> None:
        self.assertFunctionContains(f, op, min=0, max=0)

    def assertFunctionContains1(self, f: Any, op: Any) -> None:
        self.assertFunctionContains(f, op, min=1, max=1)

    def assertFunctionContainsN(self, f: Any, op: Any, N: int) -> None:
        self.assertFunctionContains(f, op, min=N, max=N)

    def assertFunctionContainsClassN(self, f: Any, op: Any, N: int) -> None:
        self.assertFunctionContainsClass(f, op, min=N, max=N)

    def SkipTest(self, msg: str = "Skip this test") -> None:
        raise unittest.SkipTest(msg)


class T_OpContractMixin:
    """Equality, hash and name of Ops: the class names ``ops`` and ``other_op``."""

    def copy(self, x: Any) -> Any:
        return copy(x)

    def deepcopy(self, x: Any) -> Any:
        return deepcopy(x)

    def clone(self, op: Any) -> Any:
        raise NotImplementedError("return new instance like `op`")

    def test_eq(self) -> None:
        for i, op in enumerate(self.ops):  # type: ignore[attr-defined]
            assert op == op and op != self.other_op  # type: ignore[attr-defined]
            assert op == self.clone(op)
            assert all(op != other for j, other in enumerate(self.ops) if i != j)  # type: ignore[attr-defined]

    def test_hash(self) -> None:
        for op in self.ops:  # type: ignore[attr-defined]
            assert hash(op) == hash(self.clone(op))

    def test_name(self) -> None:
        for op in self.ops:  # type: ignore[attr-defined]
            assert str(op)


class InferShapeTester(unittest.TestCase):
    """Compares the shapes that ``infer_shape`` gives with those of the values."""

    def setUp(self) -> None:
        seed_rng()
        mode = getattr(self, "mode", None) or aesara.compile.get_default_mode()
        self.mode = mode.including("canonicalize", "ShapeOpt", "local_shape_to_shape_i")

    def _compile_and_check(
        self,
        inputs: Any,
        outputs: Any,
        numeric_inputs: Any,
        cls: Any,
        excluding: Any = None,
        warn: bool = True,
        check_topo: bool = True,
    ) -> None:
        mode = self.mode.excluding(*excluding) if excluding else self.mode
        values = aesara.function(inputs, outputs, mode=mode)(*numeric_inputs)
        shapes = aesara.function(inputs, [out.shape for out in outputs], mode=mode)
        if check_topo:
            assert not any(isinstance(node.op, cls) for node in shapes.maker.fgraph.toposort())
        for value, shape in zip(values, shapes(*numeric_inputs), strict=True):
            assert np.all(np.shape(value) == shape), (np.shape(value), shape)


class AttemptManyTimes:
    """A decorator: the test passes when some of its attempts do."""

    def __init__(self, n_attempts: int, n_req_successes: int = 1):
        assert n_attempts >= n_req_successes
        self.n_attempts, self.n_req_successes = n_attempts, n_req_successes

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def attempt(*args: Any, **kwargs: Any) -> None:
            successes = 0
            for i in range(self.n_attempts):
                try:
                    function(*args, **kwargs)
                    successes += 1
                except Exception:
                    if self.n_attempts - 1 - i < self.n_req_successes - successes:
                        raise
                if successes == self.n_req_successes:
                    return

        return attempt
