"""``theano.tensor.raw_random`` and ``shared_randomstreams``: sizes first, and Theano's very numbers.

Each variable draws from a NumPy RandomState of its own, seeded by ``RandomState(seed).randint(2**30)`` in the order in
which the variables were made; its state is a shared variable that a function updates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from aesara.tensor.random.type import RandomStateType, random_state_type
from aesara.tensor.random.var import RandomStateSharedVariable

from deconv_legacy.engine import aesara

__all__ = [
    "RandomFunction",
    "RandomStateSharedVariable",
    "RandomStateType",
    "RandomStreams",
    "RandomStreamsBase",
    "binomial",
    "choice",
    "choice_helper",
    "multinomial",
    "multinomial_helper",
    "normal",
    "permutation",
    "permutation_helper",
    "poisson",
    "random_integers",
    "random_integers_helper",
    "random_state_type",
    "randomstate_constructor",
    "uniform",
]

at = aesara.tensor


def randomstate_constructor(
    value: Any, name: str | None = None, strict: bool = False, allow_downcast: Any = None, borrow: bool = False
) -> Any:
    """A shared variable of a RandomState."""
    if not isinstance(value, np.random.RandomState):
        raise TypeError(f"{value!r} is no numpy.random.RandomState")
    return aesara.shared(
        value if borrow else copy.deepcopy(value), name=name, strict=strict, allow_downcast=allow_downcast
    )


class RandomFunction(aesara.graph.op.Op):
    """Draws from a RandomState: inputs are the state, the shape and the arguments of `fn`; outputs state and numbers.

    `fn` is the name of a method of RandomState, or a function ``fn(state, *arguments, shape)``. Its result has
    `ndim_added` axes more than the shape says.
    """

    __props__ = ("fn", "outtype", "inplace", "ndim_added")

    def __init__(self, fn: Any, outtype: Any, inplace: bool = False, ndim_added: int = 0):
        self.fn, self.outtype, self.inplace, self.ndim_added = fn, outtype, inplace, ndim_added
        if inplace:
            self.destroy_map = {0: [0]}

    def __str__(self) -> str:
        return f"RandomFunction{{{self.fn if isinstance(self.fn, str) else self.fn.__name__}}}"

    def make_node(self, r: Any, shape: Any, *args: Any) -> Any:
        shape = at.as_tensor_variable(np.zeros(0, "int64") if shape == () else shape, ndim=1)
        if shape.type.dtype not in ("int64", "int32"):
            raise TypeError(f"{self}: a shape of dtype {shape.type.dtype}; int64 or int32 is legal")
        return aesara.graph.basic.Apply(self, [r, shape, *map(at.as_tensor_variable, args)], [r.type(), self.outtype()])

    def infer_shape(self, fgraph: Any, node: Any, shapes: Any) -> Any:
        shape = node.inputs[1]
        if self.ndim_added or len(getattr(shape, "data", [0])) == 0:
            raise at.exceptions.ShapeError("the shape depends on the arguments")
        return [None, [shape[i] for i in range(node.outputs[1].ndim)]]

    def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
        state, shape, *args = inputs
        size = tuple(int(n) for n in shape) if len(shape) else None
        if not self.inplace:
            state = copy.copy(state)
        outputs[0][0] = state
        draw = getattr(np.random.RandomState, self.fn) if isinstance(self.fn, str) else self.fn
        value = np.asarray(draw(state, *args, size), dtype=self.outtype.dtype)
        if size is None and value.ndim == 0:
            value = value.reshape((1,) * self.outtype.ndim)
        if value.ndim != self.outtype.ndim:
            raise ValueError(f"{self}: a result of {value.ndim} axes, {self.outtype.ndim} were announced")
        if size is not None and value.shape[: value.ndim - self.ndim_added] != size:
            raise ValueError(f"{self}: a result of shape {value.shape} for the shape {size}")
        outputs[1][0] = value

    def grad(self, inputs: Any, gradients: Any) -> Any:
        comment = "No gradient defined through raw random numbers op"
        return [aesara.gradient.grad_undefined(self, k, inp, comment) for k, inp in enumerate(inputs)]

    def R_op(self, inputs: Any, eval_points: Any) -> Any:
        return [None for _ in eval_points]


def _entry_of(i: int, ndim: int, args: Sequence[Any]) -> tuple[Any, bool]:
    """What -1 at place `i` of a shape means: the size of the arguments there."""
    places = [(a, i + a.ndim - ndim) for a in args if i >= ndim - a.ndim]
    if not places:
        raise ValueError("Auto-shape of -1 must overlap with the shape of one of the broadcastable inputs")
    for a, axis in places:
        if not a.type.broadcastable[axis]:
            return a.shape[axis], False
    return at.constant(1, dtype="int64"), True


def _infer_ndim_bcast(ndim: int | None, shape: Any, *args: Any) -> tuple[int, Any, tuple[bool, ...]]:
    """The number of axes, the shape as an int64 vector, and the broadcast pattern of a draw."""
    if isinstance(shape, (tuple, list)):
        if ndim is not None and len(shape) != ndim:
            raise ValueError(f"ndim should be equal to len(shape), but ndim = {ndim}, shape = {shape}")
        ndim, entries, pattern = len(shape), [], []
        for i, entry in enumerate(shape):
            if isinstance(entry, at.Variable):
                value, one = entry, False
            elif entry == -1:
                value, one = _entry_of(i, ndim, args)
            elif entry >= 0:
                value, one = at.as_tensor_variable(entry), entry == 1
            else:
                raise ValueError(f"negative entry in the shape {shape}")
            entries.append(value)
            pattern.append(bool(one))
        vector = at.stack(entries) if entries else at.constant(np.zeros(0, "int64"))
    elif shape is None:
        if not args:
            raise TypeError("a shape or arguments with a shape are needed")
        template = sum(args[1:], args[0])
        ndim, vector, pattern = template.ndim, template.shape, list(template.type.broadcastable)
    else:
        vector = at.as_tensor_variable(shape)
        if ndim is None:
            ndim = at.get_vector_length(vector) if vector.ndim == 1 else 0
        pattern = [False] * ndim
    if vector.ndim != 1 or np.dtype(vector.dtype).kind not in "iu":
        raise TypeError(f"shape must be an integer vector or list of scalars, got {vector.type}")
    if max((a.ndim for a in args), default=0) > ndim:
        raise ValueError(f"ndim should be at least as big as required by args value: {ndim}, {args}")
    return ndim, at.cast(vector, "int64"), tuple(pattern)


def _broadcast(size: Any, *arrays: np.ndarray) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """A shape, by default that of the arrays together, and the arrays broadcast to it; they never have more axes."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays)) if size is None else tuple(size)
    return shape, [np.broadcast_to(a, shape) for a in arrays]


def uniform(
    random_state: Any, size: Any = None, low: Any = 0.0, high: Any = 1.0, ndim: Any = None, dtype: Any = None
) -> Any:
    """The new state and numbers between low and high, at least as precise as floatX."""
    return _real("uniform", random_state, size, low, high, ndim, dtype)


def normal(
    random_state: Any, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: Any = None, dtype: Any = None
) -> Any:
    """The new state and numbers around avg with the deviation std, at least as precise as floatX."""
    return _real("normal", random_state, size, avg, std, ndim, dtype)


def _real(name: str, random_state: Any, size: Any, a: Any, b: Any, ndim: Any, dtype: Any) -> Any:
    a, b = at.as_tensor_variable(a), at.as_tensor_variable(b)
    if dtype is None:
        dtype = aesara.scalar.upcast(aesara.config.floatX, a.dtype, b.dtype)
    ndim, size, pattern = _infer_ndim_bcast(ndim, size, a, b)
    return RandomFunction(name, at.TensorType(dtype, pattern))(random_state, size, a, b)


def binomial(
    random_state: Any,
    size: Any = None,
    n: Any = 1,
    p: Any = 0.5,
    ndim: Any = None,
    dtype: str = "int64",
    prob: Any = None,
) -> Any:
    """The new state and the numbers of successes among n trials of probability p (once ``prob``)."""
    n, p = at.as_tensor_variable(n), at.as_tensor_variable(p if prob is None else prob)
    ndim, size, _ = _infer_ndim_bcast(ndim, size, n, p)
    return RandomFunction("binomial", at.TensorType(dtype, (False,) * ndim))(random_state, size, n, p)


def random_integers_helper(random_state: Any, low: np.ndarray, high: np.ndarray, size: Any) -> np.ndarray:
    """One ``randint`` for each entry, in order: low and high, both included, may be arrays."""
    shape, (low, high) = _broadcast(size, low, high)
    out = np.empty(shape)
    for i in np.ndindex(*shape):
        out[i] = random_state.randint(low=low[i], high=high[i] + 1)
    return out


def random_integers(
    random_state: Any, size: Any = None, low: Any = 0, high: Any = 1, ndim: Any = None, dtype: str = "int64"
) -> Any:
    """The new state and integers between low and high, both included."""
    low, high = at.as_tensor_variable(low), at.as_tensor_variable(high)
    ndim, size, pattern = _infer_ndim_bcast(ndim, size, low, high)
    return RandomFunction(random_integers_helper, at.TensorType(dtype, pattern))(random_state, size, low, high)


def choice_helper(random_state: Any, a: np.ndarray, replace: Any, p: np.ndarray, size: Any) -> np.ndarray:
    """``RandomState.choice``, where an empty `p` means none."""
    if a.ndim > 1 or p.ndim != 1:
        raise ValueError(f"a has {a.ndim} axes (0 or 1 are legal), p has {p.ndim} (1 is legal)")
    return random_state.choice(a, size, bool(replace), p if p.size else None)


def choice(
    random_state: Any,
    size: Any = None,
    a: Any = 2,
    replace: Any = True,
    p: Any = None,
    ndim: Any = None,
    dtype: str = "int64",
) -> Any:
    """The new state and entries of the vector `a`, or of 0 .. a - 1."""
    replace = at.constant(replace, dtype="int8") if isinstance(replace, bool) else at.as_tensor_variable(replace)
    p = np.zeros(0, aesara.config.floatX) if p is None else p
    ndim, size, pattern = _infer_ndim_bcast(ndim, size)
    return RandomFunction(choice_helper, at.TensorType(dtype, pattern))(random_state, size, a, replace, p)


def poisson(random_state: Any, size: Any = None, lam: Any = 1.0, ndim: Any = None, dtype: str = "int64") -> Any:
    """The new state and counts of mean `lam`."""
    ndim, size, pattern = _infer_ndim_bcast(ndim, size)
    return RandomFunction("poisson", at.TensorType(dtype, pattern))(random_state, size, lam)


def permutation_helper(random_state: Any, n: np.ndarray, shape: Any) -> np.ndarray:
    """A permutation of 0 .. n - 1 for each entry of the shape."""
    shape = () if shape is None else shape
    out = np.empty((*shape, int(n)), int)
    for i in np.ndindex(*shape):
        out[i] = random_state.permutation(int(n))
    return out


def permutation(random_state: Any, size: Any = None, n: Any = 1, ndim: Any = None, dtype: str = "int64") -> Any:
    """The new state and permutations of 0 .. n - 1: one axis more than `size` says."""
    if size is None or size == ():
        if ndim not in (None, 1):
            raise TypeError("You asked for just one permutation but asked for more then 1 dimensions.")
        size, pattern = (), tuple[bool, ...]()
    else:
        ndim, size, pattern = _infer_ndim_bcast(ndim, size)
    outtype = at.TensorType(dtype, (*pattern, False))
    return RandomFunction(permutation_helper, outtype, ndim_added=1)(random_state, size, n)


def multinomial_helper(random_state: Any, n: np.ndarray, pvals: np.ndarray, size: Any) -> np.ndarray:
    """One multinomial draw for each entry, in order; `pvals` holds its probabilities on the last axis."""
    rows = np.empty(pvals.shape[:-1])
    shape, (n, _) = _broadcast(size, n, rows)
    pvals = np.broadcast_to(pvals, (*shape, pvals.shape[-1]))
    assert pvals.min() >= 0
    out = np.empty(pvals.shape)
    for i in np.ndindex(*shape):
        p = pvals[i]
        # NumPy refuses sums that rounding has brought above 1
        if 1.0 < p.sum() < 1.0 + 1e-5 or p[-1] < 5e-5:
            p = p * (1.0 - 5e-5)
        assert p.sum() <= 1.0, p.sum()
        out[i] = random_state.multinomial(n=n[i], pvals=p.astype("float64"))
    return out


def multinomial(
    random_state: Any, size: Any = None, n: Any = 1, pvals: Any = (0.5, 0.5), ndim: Any = None, dtype: str = "int64"
) -> Any:
    """The new state and counts of n experiments with the probabilities on the last axis of `pvals`."""
    n, pvals = at.as_tensor_variable(n), at.as_tensor_variable(pvals)
    ndim, size, pattern = _infer_ndim_bcast(ndim, size, n, pvals[..., 0])
    outtype = at.TensorType(dtype, (*pattern, pvals.type.broadcastable[-1]))
    return RandomFunction(multinomial_helper, outtype, ndim_added=1)(random_state, size, n, pvals)


class RandomStreamsBase:
    """The methods of random streams; a subclass defines ``gen(op, *args, **kwargs)``."""

    gen: Callable[..., Any]

    def binomial(
        self, size: Any = None, n: Any = 1, p: Any = 0.5, ndim: Any = None, dtype: str = "int64", prob: Any = None
    ) -> Any:
        return self.gen(binomial, size, n, p if prob is None else prob, ndim=ndim, dtype=dtype)

    def uniform(self, size: Any = None, low: Any = 0.0, high: Any = 1.0, ndim: Any = None, dtype: Any = None) -> Any:
        return self.gen(uniform, size, low, high, ndim=ndim, dtype=dtype)

    def normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: Any = None, dtype: Any = None) -> Any:
        return self.gen(normal, size, avg, std, ndim=ndim, dtype=dtype)

    def random_integers(
        self, size: Any = None, low: Any = 0, high: Any = 1, ndim: Any = None, dtype: str = "int64"
    ) -> Any:
        return self.gen(random_integers, size, low, high, ndim=ndim, dtype=dtype)

    def choice(
        self, size: Any = None, a: Any = 2, replace: Any = True, p: Any = None, ndim: Any = None, dtype: str = "int64"
    ) -> Any:
        return self.gen(choice, size, a, replace, p, ndim=ndim, dtype=dtype)

    def poisson(self, size: Any = None, lam: Any = 1.0, ndim: Any = None, dtype: str = "int64") -> Any:
        return self.gen(poisson, size, lam, ndim=ndim, dtype=dtype)

    def permutation(self, size: Any = None, n: Any = 1, ndim: Any = None, dtype: str = "int64") -> Any:
        return self.gen(permutation, size, n, ndim=ndim, dtype=dtype)

    def multinomial(
        self, size: Any = None, n: Any = 1, pvals: Any = (0.5, 0.5), ndim: Any = None, dtype: str = "int64"
    ) -> Any:
        return self.gen(multinomial, size, n, pvals, ndim=ndim, dtype=dtype)

    def shuffle_row_elements(self, input: Any) -> Any:
        """`input` with every row shuffled; the permutation is kept as ``.permutation``."""
        perm = self.permutation(size=input.shape[:-1], n=input.shape[-1], ndim=input.ndim - 1)
        shuffled = at.permute_row_elements(input, perm)
        shuffled.permutation = perm
        return shuffled


class RandomStreams(RandomStreamsBase):
    """Streams of random numbers in shared variables: ``RandomStreams(seed).uniform((2, 3))``."""

    def __init__(self, seed: int | None = None):
        self.state_updates: list[tuple[Any, Any]] = []
        self.default_instance_seed = seed
        self.gen_seedgen = np.random.RandomState(seed)

    def updates(self) -> list[tuple[Any, Any]]:
        """The pairs (state, new state) of all streams made so far."""
        return list(self.state_updates)

    def seed(self, seed: int | None = None) -> None:
        """Start all streams anew, from `seed` or the first one."""
        generator = np.random.RandomState(self.default_instance_seed if seed is None else seed)
        for state, _ in self.state_updates:
            state.set_value(np.random.RandomState(int(generator.randint(2**30))), borrow=True)

    def __getitem__(self, item: Any) -> np.random.RandomState:
        return item.get_value(borrow=True)

    def __setitem__(self, item: Any, val: np.random.RandomState) -> None:
        item.set_value(val, borrow=True)

    def gen(self, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A variable of this stream: what ``op(state, *args, **kwargs)`` draws."""
        state = aesara.shared(np.random.RandomState(int(self.gen_seedgen.randint(2**30))))
        state.tag.is_rng = True
        new_state, out = op(state, *args, **kwargs)
        out.rng, out.update = state, (state, new_state)
        self.state_updates.append(out.update)
        state.default_update = new_state
        return out
