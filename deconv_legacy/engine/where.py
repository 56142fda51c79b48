"""Which layer a node of the graph belongs to.

It is noted in the trace that Aesara keeps of each variable's origin, which rewrites hand on to what they put in its
place; so the layer is also in the backtrace that Aesara prints. The gradients of our Ops are noted where they are
taken (`HandsOn`); Aesara gives no way to note those of its own.
"""

from __future__ import annotations

import copyreg
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deconv_legacy.engine._aesara import aesara
from deconv_legacy.errors import SizeError

__all__ = ["HandsOn", "LocatingFunction", "located", "mark"]

types = aesara.compile.function.types
Function: Any = types.Function

_FILE = "<layer>"  # in a trace, what stands where others have their file


def mark(outputs: Iterable[Any], inputs: Iterable[Any], where: str) -> None:
    """Note that everything computed between `inputs` and `outputs`, and not noted before, belongs to `where`."""
    seen, left = set(inputs), list(outputs)
    while left:
        variable = left.pop()
        if variable in seen or variable.owner is None or _layers(getattr(variable.tag, "trace", ())):
            continue
        for made in variable.owner.outputs:
            seen.add(made)
            made.tag.trace = [*getattr(made.tag, "trace", ()), [(_FILE, 0, where, None)]]
        left.extend(variable.owner.inputs)


def _layers(trace: Sequence[Sequence[tuple[Any, ...]]]) -> list[str]:
    """The layers in a trace; several where one node does the work of several."""
    return list(dict.fromkeys(frame[2] for stack in trace for frame in stack if frame[0] == _FILE))


def located(error: Exception, trace: Sequence[Sequence[tuple[Any, ...]]]) -> SizeError | None:
    """What a node with this trace raised, as an error that names the layer; None where there is none."""
    layers = _layers(trace)
    if not layers:
        return None
    cause = error if isinstance(error, SizeError) else SizeError(str(error).partition("\n")[0])
    if any(str(error).startswith(layer.partition(" (")[0] + " (") for layer in layers):
        return cause  # it says so already
    return cause.at(" and ".join(layers))


class HandsOn:
    """Mixed into Ops: the gradients of a node belong to the layer that the node belongs to."""

    L_op: Callable[..., Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        take = cls.__dict__.get("L_op")
        if take is None:
            return

        @functools.wraps(take)
        def take_and_note(self: Any, inputs: Any, outputs: Any, gradients: Any) -> Any:
            taken = take(self, inputs, outputs, gradients)
            layers = _layers(getattr(outputs[0].tag, "trace", ()))
            if layers:
                mark(taken, [*inputs, *outputs, *gradients], " and ".join(layers))
            return taken

        cls.L_op = take_and_note


class LocatingFunction(Function):
    """Aesara's compiled function; what it raises about sizes says in which layer."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except (SizeError, ValueError, AssertionError) as error:
            # Aesara raises again what an Op has raised, with more text; the trace is at the first
            first = error.__context__
            found = located(first, getattr(first, "__thunk_trace__", ())) if isinstance(first, Exception) else None
            if found is None:
                raise
            raise found from error


copyreg.pickle(LocatingFunction, types._pickle_Function)  # Aesara registers its own class only
