"""The module tree ``theano.*``: lazy modules that look every name up in the table, and the finder that serves them."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from typing import Any

from deconv_legacy.theano import _lookup, _table

__all__ = ["Finder", "LegacyModule"]


class LegacyModule(types.ModuleType):
    """A module of Theano: its names are found on first use, and then kept."""

    def __getattr__(self, name: str) -> Any:
        # never the module's own attributes here: the import system asks for __path__, __file__, ... of every module
        module = types.ModuleType.__getattribute__(self, "__name__")
        if name == "__all__":
            return _lookup.star_names(module)
        home = _lookup.find(module, name)
        if home is None:
            raise AttributeError(_lookup.explain(module, name))
        value = load(home)
        types.ModuleType.__setattr__(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets each imported submodule on its parent, also where Theano has a function of that
        # name there (theano.compile.function, theano.tensor.sort, ...).
        if isinstance(value, LegacyModule) and value.__name__ == f"{self.__name__}.{name}":
            home = _lookup.find(self.__name__, name)
            if home is not None and home.target != value.__name__:
                return
        types.ModuleType.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*_lookup.served_names(self.__name__), *self.__dict__})

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, served by deconv_legacy over Aesara>"


def load(home: _lookup.Home) -> Any:
    """The object at a place of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Aesara's notes that these names are old: that is why they stand here
        module = importlib.import_module(home.module)
        return module if home.name is None else getattr(module, home.name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves ``import theano`` and its submodules."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] != "theano":
            return None
        if fullname not in _table.SOURCES:
            raise ModuleNotFoundError(_lookup.explain(*fullname.rpartition(".")[::2]), name=fullname)
        # every module may have submodules: nothing is gained by telling packages apart
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        return LegacyModule(spec.name, f"{spec.name} of Theano, over Aesara; see docs/compat-theano.md.")

    def exec_module(self, module: types.ModuleType) -> None:
        module.__file__ = __file__  # some code asks where Theano lies


def forget() -> None:
    """Take every ``theano`` module out of ``sys.modules``."""
    for name in [name for name, module in sys.modules.items() if isinstance(module, LegacyModule)]:
        del sys.modules[name]
