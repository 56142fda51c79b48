"""``theano.gof.graph``: graph walks that gave lists, and are generators of other names in Aesara; Variable."""

from __future__ import annotations

from collections import deque
from typing import Any

from deconv_legacy.engine import aesara

__all__ = [
    "Variable",
    "ancestors",
    "inputs",
    "nodes_constructed",
    "ops",
    "orphans",
    "stack_search",
    "variables",
    "variables_and_orphans",
]

basic = aesara.graph.basic


_Base: Any = basic.Variable


class _AnyVariable(type(_Base)):  # type: ignore[misc]
    """Every variable of Aesara is an instance; ``issubclass`` is left alone: Aesara asks it itself."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, basic.Variable) if cls is Variable else super().__instancecheck__(instance)


class Variable(_Base, metaclass=_AnyVariable):
    """A variable whose `owner` may be left out: ``Variable(type, owner=None, index=None, name=None)``."""

    def __init__(self, type: Any, owner: Any = None, index: int | None = None, name: str | None = None):
        # Theano takes anything for a type, and tests do so
        super().__init__(type if hasattr(type, "filter") else aesara.link.c.type.generic, owner, index, name)
        self.type = type


def inputs(variable_list: Any, blockers: Any = None) -> list[Any]:
    """The variables without an owner that others are computed from."""
    return list(basic.graph_inputs(variable_list, blockers))


def ancestors(variable_list: Any, blockers: Any = None) -> list[Any]:
    """The variables that others are computed from, themselves included."""
    return list(basic.ancestors(variable_list, blockers))


def variables(i: Any, o: Any) -> list[Any]:
    """The variables between inputs and outputs, both included."""
    return list(basic.vars_between(i, o))


def orphans(i: Any, o: Any) -> list[Any]:
    """The variables without an owner that `o` depends on and `i` does not name."""
    return list(basic.orphans_between(i, o))


def variables_and_orphans(i: Any, o: Any) -> tuple[list[Any], list[Any]]:
    return variables(i, o), orphans(i, o)


def ops(i: Any, o: Any) -> list[Any]:
    """The Apply nodes between inputs and outputs."""
    return list(basic.applys_between(i, o))


def stack_search(start: Any, expand: Any, mode: str = "bfs", build_inv: bool = False) -> Any:
    """Every object that `expand` reaches from `start`, each once."""
    if mode not in ("bfs", "dfs"):
        raise ValueError("mode should be bfs or dfs", mode)
    todo, seen, found = deque(start), set(), []
    inverse: dict[Any, Any] = {}
    while todo:
        item = todo.popleft() if mode == "bfs" else todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        found.append(item)
        for other in expand(item) or ():
            if build_inv:
                inverse.setdefault(other, []).append(item)
            todo.append(other)
    return (found, inverse) if build_inv else found


def nodes_constructed() -> Any:
    raise NotImplementedError("theano.gof.graph.nodes_constructed: Aesara does not report the nodes it builds")
