"""``theano.compat``: the bridges between Python 2 and 3 that Theano carried."""

from __future__ import annotations

import collections
import functools
import itertools
import os
from collections import Counter, OrderedDict, defaultdict
from typing import Any

__all__ = [
    "PY3",
    "Counter",
    "DefaultOrderedDict",
    "OrderedDict",
    "all",
    "any",
    "b",
    "cmp",
    "cmp_to_key",
    "decode",
    "decode_iter",
    "decode_with",
    "defaultdict",
    "exc_message",
    "get_unbound_function",
    "ifilter",
    "imap",
    "izip",
    "maybe_add_to_os_environ_pathlist",
    "next",
    "partial",
    "product",
]

PY3 = True
all, any, next = all, any, next
izip, imap, ifilter = zip, map, filter
product, partial, cmp_to_key = itertools.product, functools.partial, functools.cmp_to_key


def cmp(a: Any, b: Any) -> int:
    """-1, 0 or 1, as Python 2's builtin."""
    return (a > b) - (a < b)


def b(text: str) -> bytes:
    return text.encode("latin-1")


def decode(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def decode_with(value: Any, encoding: str) -> str:
    return value.decode(encoding) if isinstance(value, bytes) else value


def decode_iter(values: Any) -> Any:
    return map(decode, values)


def exc_message(error: BaseException) -> Any:
    return error.args[0] if error.args else ""


def get_unbound_function(method: Any) -> Any:
    return getattr(method, "__func__", method)


def maybe_add_to_os_environ_pathlist(var: str, newpath: str) -> None:
    """Put a folder in front of a path variable of the environment."""
    if os.path.isabs(newpath):
        old = [path for path in os.environ.get(var, "").split(os.pathsep) if path]
        if newpath not in old:
            os.environ[var] = os.pathsep.join([newpath, *old])


class DefaultOrderedDict(collections.OrderedDict):
    """An OrderedDict that makes its missing values."""

    def __init__(self, default_factory: Any = None, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.default_factory = default_factory

    def __missing__(self, key: Any) -> Any:
        if self.default_factory is None:
            raise KeyError(key)
        self[key] = self.default_factory()
        return self[key]

    def copy(self) -> DefaultOrderedDict:
        return type(self)(self.default_factory, self)
