"""What ``import caffe`` finds in old scripts: this package's, and FCN's helpers where a folder has none."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from abc import abstractmethod
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["serve_caffe"]

_HELPERS = {"surgery": "deconv_legacy.caffe.surgery", "score": "deconv_legacy.caffe.score"}


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of ours under other names; nothing is imported before a name is asked for."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}

    @abstractmethod
    def target(self, fullname: str) -> str | None:
        """The name of our module for `fullname`; None for modules of others."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if self.target(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        name = self.target(spec.name)
        assert name is not None
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise ModuleNotFoundError(f"there is no module {spec.name}", name=spec.name) from None
        self._specs[spec.name] = module.__spec__, getattr(module, "__path__", None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # the import system has told it the other name
        module.__spec__, path = self._specs.pop(module.__spec__.name)  # type: ignore[union-attr]
        if path is None and hasattr(module, "__path__"):
            del module.__path__


class _Caffe(_Alias):
    def target(self, fullname: str) -> str | None:
        return f"deconv_legacy.{fullname}" if fullname.partition(".")[0] == "caffe" else None


class _Helpers(_Alias):
    def __init__(self, report: Callable[[str], None]):
        super().__init__()
        self.report = report

    def target(self, fullname: str) -> str | None:
        return _HELPERS.get(fullname)

    def create_module(self, spec: Any) -> ModuleType:
        self.report(f"no module {spec.name} beside the script: that is {_HELPERS[spec.name]}")
        return super().create_module(spec)


def serve_caffe(report: Callable[[str], None]) -> Callable[[], None]:
    """Let ``import caffe`` mean ours, whatever else is installed, and ``import surgery``, ``import score`` ours where
    there are no others; the result undoes it."""
    first, last = _Caffe(), _Helpers(report)
    sys.meta_path.insert(0, first)
    sys.meta_path.append(last)

    def undo() -> None:
        sys.meta_path.remove(first)
        sys.meta_path.remove(last)
        for name in [name for name in sys.modules if first.target(name) or last.target(name)]:
            if sys.modules[name].__name__.startswith("deconv_legacy."):
                del sys.modules[name]

    return undo
