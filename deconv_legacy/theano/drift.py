"""Bridges over what Python and NumPy changed since 2017, for `deconv-legacy run`.

``names``
    of modules: ``collections.Iterable``, ``np.float``, ``inspect.getargspec``, ``time.clock``. Each module answers for
    its old names through a module ``__getattr__``; nothing else of it changes. (``_names.py`` lists them.)
    So do ``scipy.misc.imread``, ``imsave``, ``imresize``, ... (``_scipy_misc.py`` has them).
``modules``
    that went as a whole: ``imp``, whose ``load_source`` bridges what it loads, ``sklearn.externals.joblib``.
``pickle``
    files that Python 2 wrote are read with ``encoding="latin1"`` where the default fails; files opened as text will do.
``text``
    ``np.genfromtxt`` gives strings, as it did when these were bytes.
``linspace``
    ``np.linspace`` takes a float for its count and cuts it to an integer, as it did before NumPy 1.18.
``palette``
    Pillow stores an image of mode P without a palette with greys; since Pillow 8.3 all its values above 0 become 1.
``random``
    once Python 2 code was met, ``random.randint``, ``choice``, ``shuffle``, ... draw what they drew there; methods of
    ``random.Random``, too, and of arrays.
``parent``
    modules of the folder above the script's, where the FCN repository keeps ``surgery.py``, are found.
source
    of the script, of modules in its folder and of packages named by the caller: Python 2 syntax is converted, its
    ``/`` of integers stays a floor, ``"{:<9}"`` takes tuples and None, files opened as "wb" take strings; a list of
    slices used as an index becomes the tuple that NumPy took it for, and arrays have the methods that NumPy 2 dropped.
    (``_source.py`` does it.)

Every bridge can be left out, and tells once, at its first use, what it bridged and where.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import pickle
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from deconv_legacy.theano import _names, _random2
from deconv_legacy.theano._python2 import decode, imports_beside, is_python2, parse, to_python3
from deconv_legacy.theano._source import Division, Files, Formats, Indices, Methods, caller, listeners

__all__ = ["BRIDGES", "Bridges"]

BRIDGES = {
    "collections": "collections.Iterable and other abstract classes, now in collections.abc",
    "numpy": "np.float, np.int, np.bool and others, which were Python's own types; what NumPy 2 dropped",
    "inspect": "inspect.getargspec",
    "time": "time.clock",
    "scipy": "scipy.misc.imread, imsave, imresize, toimage, logsumexp and others, which SciPy dropped or moved",
    "modules": "imp.load_source, whose source is bridged; sklearn.externals.joblib",
    "pickle": "pickles written by Python 2; pickles in files that are opened as text",
    "text": "np.genfromtxt gives strings, no bytes",
    "linspace": "np.linspace with a float as count",
    "palette": "a Pillow image of mode P without a palette is saved with greys, as FCN's score.py saves labels",
    "random": "what a seeded random.randint, choice, shuffle, ... drew under Python 2",
    "parent": "modules of the folder above the script's",
    "python2": "Python 2 syntax and its integer division",
    "list-index": "a list of slices used as an index of an array",
}


class Bridges:
    """The bridges of one run.

    Parameters
    ----------
    names
        Which of `BRIDGES` are in use.
    report
        Called with a sentence at the first use of each.
    """

    def __init__(self, names: Iterable[str] = BRIDGES, report: Callable[[str], None] = print):
        self.names = set(names)
        unknown = self.names - set(BRIDGES)
        if unknown:
            raise ValueError(f"no bridge is called {sorted(unknown)}; there are {', '.join(BRIDGES)}")
        self.report, self.told = report, set[str]()
        self._undo: list[Callable[[], None]] = []

    def tell(self, name: str, what: str, where: Any) -> None:
        if name not in self.told:
            self.told.add(name)
            self.report(f"bridge {name!r} in use: {what} ({where})")

    def build(self, folder: Path | None = None, packages: Iterable[str] = ()) -> None:
        """Put the bridges up; those of source code serve modules in `folder`, in the folder above it, in those of
        PYTHONPATH, and the named packages."""
        for name, (module, old) in _names.NAMES.items():
            if name in self.names:
                self._serve(name, module, old)
        if "modules" in self.names:
            self._serve_imp()
            moved = _Moved(self)
            sys.meta_path.append(moved)
            self._undo.append(lambda: sys.meta_path.remove(moved))
        if "pickle" in self.names:
            self._serve_pickle()
        if "text" in self.names:
            self._replace(np, "genfromtxt", self._genfromtxt(np.genfromtxt))
        if "linspace" in self.names:
            self._replace(np, "linspace", self._linspace(np.linspace))
        if "palette" in self.names and importlib.util.find_spec("PIL"):
            from PIL import Image

            self._replace(Image.Image, "save", self._saving(Image.Image.save))
        if "random" in self.names:
            for name in _random2.FUNCTIONS:
                ours = getattr(_random2.shared, name)
                self._replace(random, name, self._drawing(name, getattr(random, name), ours))
            methods = {
                name: self._drawing(name, getattr(random.Random, name), getattr(_random2.Random, name))
                for name in _random2.FUNCTIONS
            }
            self._replace(random, "Random", type("Random", (_random2.Random,), methods))
        if self.names & {"numpy", "python2", "list-index"}:
            above = folder.resolve().parent if folder is not None and "parent" in self.names else None
            finder = _Finder(self, _folders(folder), above, tuple(packages))
            sys.meta_path.insert(0, finder)
            self._undo.append(lambda: sys.meta_path.remove(finder))
        if "parent" in self.names and folder is not None:
            last = _Above(self, folder.resolve().parent)
            finders = [getattr(finder, "__name__", "") for finder in sys.meta_path]
            sys.meta_path.insert(finders.index("PathFinder") + 1, last)
            self._undo.append(lambda: sys.meta_path.remove(last))

    def remove(self) -> None:
        """Take the bridges down."""
        while self._undo:
            self._undo.pop()()

    def _serve(self, bridge: str, module: types.ModuleType, old: dict[str, Any]) -> None:
        before = module.__dict__.get("__getattr__")

        def __getattr__(name: str) -> Any:
            if name in old:
                self.tell(bridge, f"{module.__name__}.{name}", caller())
                return old[name]
            if before is not None:
                return before(name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        def undo() -> None:
            if before is None:
                del vars(module)["__getattr__"]
            else:
                vars(module)["__getattr__"] = before

        vars(module)["__getattr__"] = __getattr__
        self._undo.append(undo)

    def _replace(self, module: Any, name: str, new: Any) -> None:
        old = getattr(module, name)
        setattr(module, name, new)
        self._undo.append(lambda: setattr(module, name, old))

    def _genfromtxt(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def genfromtxt(*args: Any, **options: Any) -> Any:
            if "encoding" not in options:
                self.tell("text", "np.genfromtxt, with strings", caller())
                options["encoding"] = "latin1"
            return original(*args, **options)

        return genfromtxt

    def _linspace(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def linspace(start: Any, stop: Any, num: Any = 50, *args: Any, **options: Any) -> Any:
            if isinstance(num, (float, np.floating)):
                self.tell("linspace", f"np.linspace, with {num} values", caller())
                num = int(num)
            return original(start, stop, num, *args, **options)

        return linspace

    def _saving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def save(image: Any, *args: Any, **options: Any) -> Any:
            if image.mode == "P" and not image.getpalette():
                self.tell("palette", "an image of mode P without a palette, saved with greys", caller())
                image = image.copy()
                image.putpalette(bytes(grey for grey in range(256) for _ in range(3)))
            return original(image, *args, **options)

        return save

    def _drawing(self, name: str, original: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def draw(*args: Any, **options: Any) -> Any:
            if "python2" not in self.told:
                return original(*args, **options)
            self.tell("random", f"random.{name} draws as Python 2 did", caller())
            return ours(*args, **options)

        return draw

    def _serve_imp(self) -> None:
        """``imp.load_source`` bridges its source; ``imp`` itself went with Python 3.12."""

        def load_source(name: str, pathname: Any, file: Any = None) -> types.ModuleType:
            self.tell("modules", f"imp.load_source of {pathname}", caller())
            path = os.fspath(pathname)
            spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(self, name, path))
            assert spec is not None and spec.loader is not None
            module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
            spec.loader.exec_module(module)
            return module

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                imp = importlib.import_module("imp")
        except ModuleNotFoundError:
            imp = types.ModuleType("imp")
            vars(imp).update(load_source=load_source, reload=importlib.reload, new_module=types.ModuleType)
            sys.modules["imp"] = imp
            self._undo.append(functools.partial(sys.modules.__delitem__, "imp"))
        else:
            self._replace(imp, "load_source", load_source)

    def _binary(self, file: Any) -> Any:
        """The bytes below a file that is opened as text, as Python 2 needed no more for a pickle."""
        if not isinstance(file, io.TextIOBase) or not hasattr(file, "buffer"):
            return file
        self.tell("pickle", "a pickle in a file that is opened as text", caller())
        return file.buffer

    def _serve_pickle(self) -> None:
        load, loads, dump = pickle.load, pickle.loads, pickle.dump

        def dump_(value: Any, file: Any, *args: Any, **options: Any) -> None:
            dump(value, self._binary(file), *args, **options)

        def load_(file: Any, **options: Any) -> Any:
            file = self._binary(file)
            start = file.tell() if not options and hasattr(file, "seek") else None
            try:
                return load(file, **options)
            except UnicodeDecodeError:
                if start is None:
                    raise
                self.tell("pickle", "a pickle of Python 2, read as latin1", caller())
                file.seek(start)
                return load(file, encoding="latin1")

        def loads_(data: Any, **options: Any) -> Any:
            return load_(io.BytesIO(data), **options) if not options else loads(data, **options)

        for name, new in (("load", load_), ("loads", loads_), ("dump", dump_)):
            self._replace(pickle, name, new)

    def compile(self, data: bytes, path: str) -> types.CodeType:
        """The code of a source file, bridged."""
        text = decode(data)
        tree, error = parse(text, path)
        if "python2" in self.names and (tree is None or is_python2(tree) or imports_beside(tree, path)):
            what = "Python 2 syntax" if tree is None else "Python 2 names"
            text = to_python3(text, path)
            tree, error = parse(text, path)
            if tree is not None:
                self.tell("python2", f"{what}, converted", path)
                tree = Files().apply(Formats().apply(Division().apply(tree)))
        if tree is None:
            assert error is not None
            raise error
        if "list-index" in self.names:
            tree = Indices().apply(tree)
        if "numpy" in self.names:
            tree = Methods().apply(tree)
        listeners.append(self.tell)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # as in parse
            return compile(tree, path, "exec", dont_inherit=True)


def _folders(folder: Path | None) -> list[Path]:
    """Where a script's own modules lie: beside it, and where PYTHONPATH says."""
    ours = Path(__file__).resolve().parents[2]
    named = [Path(place).resolve() for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return [*([folder.resolve()] if folder is not None else []), *(place for place in named if place != ours)]


class _Finder(importlib.abc.MetaPathFinder):
    """Gives modules of the script's folders, what lies right in the folder above, and the named packages a loader that
    bridges their source."""

    def __init__(self, bridges: Bridges, folders: Iterable[Path], above: Path | None, packages: tuple[str, ...]):
        self.bridges, self.packages, self.folders, self.above = bridges, packages, tuple(folders), above

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader) or spec.origin is None:
            return None
        named = fullname.partition(".")[0] in self.packages
        if not named and not self._beside(Path(spec.origin).resolve(), fullname):
            return None
        spec.loader = _Loader(self.bridges, fullname, spec.origin)
        return spec

    def _beside(self, file: Path, name: str) -> bool:
        installed = {"site-packages", "dist-packages"} & set(file.parts)
        if installed or Path(__file__).resolve().parents[1] in file.parents:
            return False
        # a script that adds '..' to its path finds packages there; what else that folder holds is no concern of ours
        top = file.parents[name.count(".") + (file.name == "__init__.py")]
        return top == self.above or any(folder in file.parents for folder in self.folders)


class _Above(importlib.abc.MetaPathFinder):
    """Finds, where nothing else did, modules in the folder above the script's."""

    def __init__(self, bridges: Bridges, folder: Path):
        self.bridges, self.folder = bridges, folder

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        file = self.folder / f"{fullname}.py"
        if path is not None or "." in fullname or not file.is_file():
            return None
        self.bridges.tell("parent", f"module {fullname} from {file}", caller())
        loader = _Loader(self.bridges, fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives, where nothing else did, the module that a lost one became."""

    def __init__(self, bridges: Bridges):
        self.bridges = bridges
        self._specs: dict[str, Any] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname not in _names.MODULES:
            return None
        self.bridges.tell("modules", f"{fullname}, now {_names.MODULES[fullname]}", caller())
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: Any) -> types.ModuleType:
        module = importlib.import_module(_names.MODULES[spec.name])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name)  # the import system has told it the other name


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, bridges: Bridges, fullname: str, path: str):
        super().__init__(fullname, path)
        self.bridges = bridges

    def get_code(self, fullname: str) -> types.CodeType:
        # no __pycache__: what lies there is the code without bridges
        return self.bridges.compile(self.get_data(self.path), self.path)
