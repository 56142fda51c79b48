"""Aesara's `scan` in JAX: the inner graph in a loop that keeps what the Op keeps, so that gradients are loops too.

A state lies in a buffer, as in Aesara: as many steps as the outer graph asks for, the oldest one overwritten. Step `i`
reads its taps and writes its result at ``(first + i + tap) % length``, `first` being the number of initial steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aesara.scan.op import Scan

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.engine.jax._import import jax
from deconv_legacy.engine.jax.function import rewritten
from deconv_legacy.engine.jax.translate import Check, DataDependentError, concrete, known, register, run, trace

jnp, lax = jax.numpy, jax.lax

__all__: list[str] = []

_UNROLLED = 64  # steps at most that are written out one after the other


class _Loop:
    """One scan while it is traced: its node, and the values of the node's inputs."""

    def __init__(self, node: Any, arguments: Sequence[Any]):
        op = node.op
        self.node, self.info, self.precision = node, op.info, trace().precision
        if not hasattr(node.tag, "inner_for_jax"):
            node.tag.inner_for_jax = rewritten(op.inner_inputs, op.inner_outputs)
        self.inner = node.tag.inner_for_jax
        self.steps = int(concrete(arguments[0], "the number of steps", 0))
        if self.steps < 0:
            raise IndexError(f"Scan was asked to run for negative number of step {self.steps}")
        self.sequences = op.outer_seqs(arguments)
        for number, sequence in enumerate(self.sequences):
            if len(sequence) < self.steps:
                raise ValueError(
                    f"Sequence {number} has shape {sequence.shape} "
                    f"but the Scan's required number of steps is {self.steps}"
                )
        self.states = [
            jnp.asarray(s) for of in (op.outer_mitmot, op.outer_mitsot, op.outer_sitsot) for s in of(arguments)
        ]
        self.shared = [jnp.asarray(s) for s in op.outer_shared(arguments)]
        self.fixed = op.outer_non_seqs(arguments)
        position = len(arguments) - len(self.fixed) - self.info.n_nit_sot
        self.kept = [
            int(concrete(n, "the number of steps that are kept", position + i))
            for i, n in enumerate(op.outer_nitsot(arguments))
        ]
        # of each buffer
        self.taps = [*self.info.tap_array, *[()] * self.info.n_nit_sot]
        self.first = [-min(taps, default=0) for taps in self.taps]
        self.writes = [*self.info.mit_mot_out_slices, *[(0,)] * (len(self.taps) - self.info.n_mit_mot)]
        self.explain: list[Any] = []

    def _run(self, i: Any, slices: Any, states: Any, shared: Any) -> tuple[list[Any], list[Any]]:
        """The inner graph of one step: its outputs, and what its checks say."""
        taps = [
            lax.dynamic_index_in_dim(buffer, (first + i + tap) % len(buffer), keepdims=False)
            for buffer, first, wanted in zip(states, self.first, self.taps, strict=False)
            for tap in wanted
        ]
        try:
            results, checks = run(self.inner, [*slices, *taps, *shared, *self.fixed], self.precision)
        except DataDependentError as error:
            raise self._outside(error) from None
        self.explain[:] = [check.explain for check in checks]
        return [jnp.asarray(r) for r in results], [(c.wrong, tuple(map(jnp.asarray, c.notes))) for c in checks]

    def _outside(self, error: DataDependentError) -> DataDependentError:
        """The error with a variable of the outer graph, if what must be known is the same at each step."""
        needed = set(aesara.graph.basic.ancestors([error.variable]))
        count = len(self.fixed)
        if not count:
            return DataDependentError(str(error), self.node.inputs[0])
        pairs = zip(self.inner.inputs[-count:], self.node.inputs[-count:], self.fixed, strict=True)
        unknown = [outer for inner, outer, value in pairs if inner in needed and not known(value)]
        return DataDependentError(str(error), unknown[0] if unknown else self.node.inputs[0])

    def _step(self, carry: Any, each: Any) -> tuple[Any, None]:
        """What is carried on after a step, given its number and slices."""
        (buffers, shared, found), (i, slices) = carry, each
        results, checks = self._run(i, slices, buffers[: len(self.states)], shared)
        outputs = iter(results)
        new = []
        for buffer, first, writes in zip(buffers, self.first, self.writes, strict=True):
            for tap in writes:
                buffer = buffer.at[(first + i + tap) % len(buffer)].set(next(outputs))
            new.append(buffer)
        shared = [next(outputs).astype(old.dtype) for old in shared]
        # of several steps that went wrong the first speaks
        found = [
            (before | wrong, tuple(jnp.where(before, old, note) for old, note in zip(notes, news, strict=True)))
            for (before, notes), (wrong, news) in zip(found, checks, strict=True)
        ]
        return (new, shared, found), None

    def _start(self) -> Any:
        """What is carried before the first step: sizes of what has no initial step are those of the inner graph."""
        slices = [s[0] for s in self.sequences]
        zero = jnp.zeros((), jax.dtypes.canonicalize_dtype("int64"))
        results, checks = jax.eval_shape(lambda i, *rest: self._run(i, slices, *rest), zero, self.states, self.shared)
        written = sum(map(len, self.writes)) - len(self.kept)
        fresh = [
            jnp.zeros((n, *r.shape), r.dtype)
            for n, r in zip(self.kept, results[written : written + len(self.kept)], strict=True)
        ]
        found = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), checks)
        return [*self.states, *fresh], self.shared, found

    def _ordered(self, buffer: Any, first: int) -> Any:
        """From the oldest step that is kept to the last; zeros where no step has come."""
        length, filled = len(buffer), first + self.steps
        return jnp.roll(buffer, -(filled % length), 0) if filled > length else buffer.at[filled:].set(0)

    def _all_steps(self) -> Any:
        """What is carried after the last step."""
        indices = jnp.arange(self.steps, dtype=jax.dtypes.canonicalize_dtype("int64"))
        slices = [jnp.asarray(s[: self.steps]) for s in self.sequences]
        try:
            return lax.scan(self._step, self._start(), (indices, slices))[0]
        except DataDependentError:
            if self.steps > _UNROLLED or not any(known(s) for s in self.sequences):
                raise
        # the bounds of a slice may follow from a known sequence, such as the number of the step
        carry = self._start()
        for i in range(self.steps):
            carry, _ = self._step(carry, (i, [s[i] for s in self.sequences]))
        return carry

    def outputs(self) -> list[Any]:
        """The outputs of the node."""
        if not self.steps:
            new = [jnp.zeros((0,) * v.ndim, v.dtype) for v in self.node.op.outer_nitsot_outs(self.node.outputs)]
            return [*self.states, *new, *self.shared]
        buffers, shared, found = self._all_steps()
        trace().checks.extend(
            Check(wrong, notes, explain) for (wrong, notes), explain in zip(found, self.explain, strict=True)
        )
        many = self.info.n_mit_mot
        ends = [self._ordered(b, f) for b, f in zip(buffers[many:], self.first[many:], strict=True)]
        return [*buffers[:many], *ends, *shared]


@register(Scan)
def scan(op, node):
    if op.info.as_while:
        raise NotImplementedError(
            f"{op}: the JAX backend has no way to compute a scan that ends by a condition, as the number of its steps "
            "is known only when it runs; backend 'c' or 'numpy' has"
        )

    def loop(*arguments):
        outputs = _Loop(node, arguments).outputs()
        return outputs if len(outputs) > 1 else outputs[0]

    return loop
