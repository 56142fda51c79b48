"""Finding where a name of Theano lives now: `_table` says where to look.

``names.txt`` lists the public names of Theano 1.0.5, module by module, those of modules with a slash: it decides what
``dir()`` and ``import *`` show, and what an error can say.
"""

from __future__ import annotations

import functools
import importlib
import types
import warnings
from pathlib import Path
from typing import NamedTuple

from deconv_legacy.theano._table import MOVED, SOURCES

__all__ = ["Home", "explain", "find", "holds", "is_there", "known_names", "served_names", "sources", "star_names"]

_OLD = "deconv_legacy.theano.old"


class Home(NamedTuple):
    """A module, and a name in it; name None is the module itself."""

    module: str
    name: str | None

    @property
    def target(self) -> str:
        return self.module if self.name is None else f"{self.module}.{self.name}"


def _expand(module: str) -> str:
    return f"{_OLD}.{module[4:]}" if module.startswith("old.") else module


@functools.cache
def known_names() -> dict[str, dict[str, bool]]:
    """For each module of Theano 1.0.5 its public names, and whether each is a module."""
    text = (Path(__file__).parent / "names.txt").read_text()
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {module: {name.rstrip("/"): name.endswith("/") for name in names} for module, *names in rows}


def _import(module: str) -> types.ModuleType | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError:
        if module.startswith(_OLD):
            raise
        return None  # a module that this version of Aesara lacks


def _home(place: str) -> Home:
    module, _, name = place.partition(":")
    return Home(module, name or None)


def is_there(module: str) -> bool:
    """Whether a module of Aesara can be imported."""
    return _import(module) is not None


def sources(module: str) -> tuple[str, ...]:
    """The modules that hold the names of one of Theano's, in the order of search."""
    return tuple(map(_expand, SOURCES.get(module, ())))


def holds(source: str, name: str) -> bool:
    """Whether a source has a name, its own or by Aesara's warnings on old names."""
    module = _import(source)
    if module is None:
        return False
    if source.startswith(_OLD):
        return name in module.__all__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = getattr(module, name)
        except (AttributeError, RuntimeError):
            return False
    # Aesara's own modules stay hidden behind Theano's of the same name
    return not (isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] == "aesara")


@functools.cache
def find(module: str, name: str) -> Home | None:
    """Where ``module.name`` of Theano lives; None if it is not served."""
    if name.startswith("__") and name not in ("__version__", "__api_version__"):
        return None
    known = known_names().get(module, {})
    keys = [module, "*"] if not known.get(name) or f"{module}.{name}" in SOURCES else [module, "*", "**"]
    for key in keys:
        if name in MOVED.get(key, {}):
            return _home(MOVED[key][name])
    submodule = f"{module}.{name}"
    if submodule in SOURCES and known.get(name, True):
        return Home(submodule, None)
    for source in sources(module):
        if holds(source, name):
            return Home(source, name)
    if submodule in SOURCES:
        return Home(submodule, None)
    return _home(MOVED["**"][name]) if name in known and name in MOVED["**"] else None


@functools.cache
def served_names(module: str) -> tuple[str, ...]:
    """What ``dir()`` of a module shows: Theano's public names that are served, and those of older versions."""
    names = [name for name in known_names().get(module, {}) if find(module, name) is not None]
    ours = next(iter(SOURCES.get(module, ())), "")
    if ours.startswith("old."):
        names += [name for name in importlib.import_module(_expand(ours)).__all__ if not name.startswith("_")]
    depth = module.count(".") + 1
    names += [
        other.rpartition(".")[2] for other in SOURCES if other.startswith(module + ".") and other.count(".") == depth
    ]
    return tuple(sorted(set(names)))


def star_names(module: str) -> list[str]:
    """What ``from module import *`` brings: no names that Aesara added, which would hide builtins such as ``abs``."""
    return [name for name in served_names(module) if name != "theano"]


def explain(module: str, name: str) -> str:
    """Why a name is not there."""
    full = f"{module}.{name}" if module else name
    if name in known_names().get(module, {}) or full in known_names():
        return f"{full} of Theano 1.0.5 is not served by deconv_legacy: Aesara has nothing in its place"
    return f"{full} is no name of Theano that deconv_legacy knows"
