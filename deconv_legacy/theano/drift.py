"""Bridges over what Python and NumPy changed since 2017, for `deconv-legacy run`.

``names``
    of modules: ``collections.Iterable``, ``np.float``, ``inspect.getargspec``, ``time.clock``. Each module answers for
    its old names through a module ``__getattr__``; nothing else of it changes. (``_names.py`` lists them.)
``pickle``
    files that Python 2 wrote are read with ``encoding="latin1"`` where the default fails.
``text``
    ``np.genfromtxt`` gives strings, as it did when these were bytes.
``linspace``
    ``np.linspace`` takes a float for its count and cuts it to an integer, as it did before NumPy 1.18.
``palette``
    Pillow stores an image of mode P without a palette with greys; since Pillow 8.3 all its values above 0 become 1.
``random``
    once Python 2 code was met, ``random.randint``, ``choice``, ``shuffle``, ... draw what they drew there.
``parent``
    modules of the folder above the script's, where the FCN repository keeps ``surgery.py``, are found.
source
    of the script, of modules in its folder and of packages named by the caller: Python 2 syntax is converted, its
    ``/`` of integers stays a floor, a list of slices used as an index becomes the tuple that NumPy took it for, and
    arrays have the methods that NumPy 2 dropped.

Every bridge can be left out, and tells once, at its first use, what it bridged and where.
"""

from __future__ import annotations

import ast
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
from typing import Any, NamedTuple

import numpy as np

from deconv_legacy.theano import _names, _random2
from deconv_legacy.theano._python2 import decode, is_python2, parse, to_python3

__all__ = ["BRIDGES", "Bridges", "divide", "index", "method"]

BRIDGES = {
    "collections": "collections.Iterable and other abstract classes, now in collections.abc",
    "numpy": "np.float, np.int, np.bool and others, which were Python's own types; what NumPy 2 dropped",
    "inspect": "inspect.getargspec",
    "time": "time.clock",
    "pickle": "pickles written by Python 2",
    "text": "np.genfromtxt gives strings, no bytes",
    "linspace": "np.linspace with a float as count",
    "palette": "a Pillow image of mode P without a palette is saved with greys, as FCN's score.py saves labels",
    "random": "what a seeded random.randint, choice, shuffle, ... drew under Python 2",
    "parent": "modules of the folder above the script's",
    "python2": "Python 2 syntax and its integer division",
    "list-index": "a list of slices used as an index of an array",
}


class _Place(NamedTuple):
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def _caller() -> _Place:
    """The first frame outside this file and the import system."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return _Place(frame.f_code.co_filename, frame.f_lineno)


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
                self._replace(random, name, self._drawing(name, getattr(random, name)))
        if self.names & {"numpy", "python2", "list-index"}:
            finder = _Finder(self, _folders(folder), tuple(packages))
            sys.meta_path.insert(0, finder)
            self._undo.append(lambda: sys.meta_path.remove(finder))
        if "parent" in self.names and folder is not None:
            above = _Above(self, folder.resolve().parent)
            finders = [getattr(finder, "__name__", "") for finder in sys.meta_path]
            sys.meta_path.insert(finders.index("PathFinder") + 1, above)
            self._undo.append(lambda: sys.meta_path.remove(above))

    def remove(self) -> None:
        """Take the bridges down."""
        while self._undo:
            self._undo.pop()()

    def _serve(self, bridge: str, module: types.ModuleType, old: dict[str, Any]) -> None:
        before = module.__dict__.get("__getattr__")

        def __getattr__(name: str) -> Any:
            if name in old:
                self.tell(bridge, f"{module.__name__}.{name}", _caller())
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
                self.tell("text", "np.genfromtxt, with strings", _caller())
                options["encoding"] = "latin1"
            return original(*args, **options)

        return genfromtxt

    def _linspace(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def linspace(start: Any, stop: Any, num: Any = 50, *args: Any, **options: Any) -> Any:
            if isinstance(num, (float, np.floating)):
                self.tell("linspace", f"np.linspace, with {num} values", _caller())
                num = int(num)
            return original(start, stop, num, *args, **options)

        return linspace

    def _saving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def save(image: Any, *args: Any, **options: Any) -> Any:
            if image.mode == "P" and not image.getpalette():
                self.tell("palette", "an image of mode P without a palette, saved with greys", _caller())
                image = image.copy()
                image.putpalette(bytes(grey for grey in range(256) for _ in range(3)))
            return original(image, *args, **options)

        return save

    def _drawing(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def draw(*args: Any, **options: Any) -> Any:
            if "python2" not in self.told:
                return original(*args, **options)
            self.tell("random", f"random.{name} draws as Python 2 did", _caller())
            return getattr(_random2, name)(*args, **options)

        return draw

    def _serve_pickle(self) -> None:
        load, loads = pickle.load, pickle.loads

        def load_(file: Any, **options: Any) -> Any:
            start = file.tell() if not options and hasattr(file, "seek") else None
            try:
                return load(file, **options)
            except UnicodeDecodeError:
                if start is None:
                    raise
                self.tell("pickle", "a pickle of Python 2, read as latin1", _caller())
                file.seek(start)
                return load(file, encoding="latin1")

        def loads_(data: Any, **options: Any) -> Any:
            return load_(io.BytesIO(data), **options) if not options else loads(data, **options)

        pickle.load, pickle.loads = load_, loads_

        def undo() -> None:
            pickle.load, pickle.loads = load, loads

        self._undo.append(undo)

    def compile(self, data: bytes, path: str) -> types.CodeType:
        """The code of a source file, bridged."""
        text = decode(data)
        tree, error = parse(text, path)
        if "python2" in self.names and (tree is None or is_python2(tree)):
            what = "Python 2 syntax" if tree is None else "Python 2 names"
            text = to_python3(text, path)
            tree, error = parse(text, path)
            if tree is not None:
                self.tell("python2", f"{what}, converted", path)
                tree = _Division().apply(tree)
        if tree is None:
            assert error is not None
            raise error
        if "list-index" in self.names:
            tree = _Indices().apply(tree)
        if "numpy" in self.names:
            tree = _Methods().apply(tree)
        _last.append(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # as in parse
            return compile(tree, path, "exec", dont_inherit=True)


def divide(a: Any, b: Any) -> Any:
    """``a / b`` of Python 2: the floor where both are integers, also arrays and Theano's variables of them."""
    return a // b if _integral(a) and _integral(b) else a / b


def _integral(value: Any) -> bool:
    if isinstance(value, (int, np.integer)):
        return True
    try:
        return np.dtype(value.dtype).kind in "iub"
    except (AttributeError, TypeError):
        return False


_last: list[Bridges] = []


def index(key: Any) -> Any:
    """The index that NumPy before 1.23 took a list for: a tuple, if a slice, None, Ellipsis or sequence is in it."""
    if (
        type(key) is list
        and len(key) <= 32
        and any(item is None or item is Ellipsis or isinstance(item, (slice, list, tuple, np.ndarray)) for item in key)
    ):
        if _last:
            _last[-1].tell("list-index", "a list of slices as an index", _caller())
        return tuple(key)
    return key


def method(value: Any, name: str) -> Any:
    """``value.name``, also where NumPy 2 dropped that method of arrays."""
    if isinstance(value, (np.ndarray, np.generic)) and not hasattr(value, name):
        if _last:
            _last[-1].tell("numpy", f"an array's {name}", _caller())
        return functools.partial(_names.METHODS[name], value)
    return getattr(value, name)


class _Transformer(ast.NodeTransformer):
    """Replaces expressions by calls of a function of this module, which it imports under a private name."""

    function: str

    def apply(self, tree: ast.Module) -> ast.Module:
        tree = self.visit(tree)
        line = f"from {__name__} import {self.function} as _deconv_legacy_{self.function}"
        place = 0
        for place, node in enumerate(tree.body):
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and place == 0
            if not docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                break
        else:
            place = len(tree.body)
        tree.body[place:place] = ast.parse(line).body
        return ast.fix_missing_locations(tree)

    def call(self, *arguments: ast.expr) -> ast.Call:
        name = ast.Name(f"_deconv_legacy_{self.function}", ast.Load())
        return ast.copy_location(ast.Call(name, list(arguments), []), arguments[0])


class _Division(_Transformer):
    function = "divide"

    def apply(self, tree: ast.Module) -> ast.Module:
        future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        true_division = any(alias.name == "division" for node in future for alias in node.names)
        return tree if true_division else super().apply(tree)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self.call(node.left, node.right) if isinstance(node.op, ast.Div) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not isinstance(node.target, ast.Name):
            return node
        value = self.call(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target), node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)


class _Indices(_Transformer):
    function = "index"

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.slice, (ast.Constant, ast.Slice, ast.Tuple, ast.UnaryOp, ast.Compare, ast.JoinedStr)):
            return node
        node.slice = self.call(node.slice)
        return node


class _Methods(_Transformer):
    function = "method"

    def apply(self, tree: ast.Module) -> ast.Module:
        lost = any(isinstance(node, ast.Attribute) and node.attr in _names.METHODS for node in ast.walk(tree))
        return super().apply(tree) if lost else tree

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if node.attr not in _names.METHODS or not isinstance(node.ctx, ast.Load):
            return node
        return self.call(node.value, ast.Constant(node.attr))


def _folders(folder: Path | None) -> list[Path]:
    """Where a script's own modules lie: beside it, and where PYTHONPATH says."""
    ours = Path(__file__).resolve().parents[2]
    named = [Path(place).resolve() for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return [*([folder.resolve()] if folder is not None else []), *(place for place in named if place != ours)]


class _Finder(importlib.abc.MetaPathFinder):
    """Gives modules of the script's folders, and of the named packages, a loader that bridges their source."""

    def __init__(self, bridges: Bridges, folders: Iterable[Path], packages: tuple[str, ...]):
        self.bridges, self.packages, self.folders = bridges, packages, tuple(folders)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader) or spec.origin is None:
            return None
        named = fullname.partition(".")[0] in self.packages
        if not named and not self._beside(Path(spec.origin).resolve()):
            return None
        spec.loader = _Loader(self.bridges, fullname, spec.origin)
        return spec

    def _beside(self, file: Path) -> bool:
        installed = {"site-packages", "dist-packages"} & set(file.parts)
        return not installed and any(folder in file.parents for folder in self.folders)


class _Above(importlib.abc.MetaPathFinder):
    """Finds, where nothing else did, modules in the folder above the script's."""

    def __init__(self, bridges: Bridges, folder: Path):
        self.bridges, self.folder = bridges, folder

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        file = self.folder / f"{fullname}.py"
        if path is not None or "." in fullname or not file.is_file():
            return None
        self.bridges.tell("parent", f"module {fullname} from {file}", _caller())
        loader = _Loader(self.bridges, fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, bridges: Bridges, fullname: str, path: str):
        super().__init__(fullname, path)
        self.bridges = bridges

    def get_code(self, fullname: str) -> types.CodeType:
        # no __pycache__: what lies there is the code without bridges
        return self.bridges.compile(self.get_data(self.path), self.path)
