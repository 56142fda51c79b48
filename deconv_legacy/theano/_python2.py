"""Source of Python 2: whether it is, and its conversion."""

from __future__ import annotations

import ast
import importlib.machinery
import io
import sys
import tokenize
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deconv_legacy.errors import DeconvLegacyError, MissingExtraError

__all__ = ["decode", "divides_truly", "encode", "imports_beside", "is_python2", "parse", "to_python3"]


def encode(text: str) -> bytes:
    """The bytes of a source file, in the encoding that its first lines name."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(text.encode()).readline)
    return text.encode(encoding)


def decode(data: bytes) -> str:
    """Source text; what names no encoding and is not UTF-8 is Latin 1, as Python 2 files with a name in them are."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except (SyntaxError, UnicodeDecodeError):
        return data.decode("latin1").replace("\r\n", "\n")


def parse(text: str, path: str) -> tuple[ast.Module | None, SyntaxError | None]:
    """The tree, or the error; without the warnings that old code gives."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "is" with a literal, invalid escapes: the old code's own
            return ast.parse(text, path), None
    except SyntaxError as error:
        return None, error


_PYTHON2_NAMES = {"xrange", "unicode", "raw_input", "basestring", "unichr", "execfile", "long", "reduce", "reload"}
_PYTHON2_METHODS = {"iteritems", "itervalues", "iterkeys", "has_key"}
_PYTHON2_MODULES = {"cPickle", "StringIO", "cStringIO", "urllib2", "ConfigParser", "Queue", "__builtin__", "urlparse"}


def is_python2(tree: ast.Module) -> bool:
    """Whether code that parses was written for Python 2: it uses names of Python 2 that nothing in it defines."""
    guarded = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    true_division = divides_truly(tree)
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Name) and node.id in _PYTHON2_NAMES - bound:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PYTHON2_METHODS:
            return not isinstance(node.func.value, ast.Name) or node.func.value.id != "six"
        if _takes_a_list(node) or (not true_division and _counts_by_division(node)):
            return True
        if isinstance(node, ast.Import) and any(alias.name in _PYTHON2_MODULES for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module in _PYTHON2_MODULES:
            return True
    return False


def divides_truly(tree: ast.Module) -> bool:
    """Whether ``/`` is Python 3's, which ``from __future__ import division`` asks for."""
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return any(alias.name == "division" for node in future for alias in node.names)


def _takes_a_list(node: ast.AST) -> bool:
    """Whether it indexes, or takes the length of, what was a list: ``d.keys()[0]``, ``len(map(f, x))``."""
    if isinstance(node, ast.Subscript):
        inner: Any = node.value
        lists = {"map", "filter", "zip"}
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
        inner, lists = node.args[0], {"map", "filter", "zip"}
    else:
        return False
    if not isinstance(inner, ast.Call):
        return False
    if isinstance(inner.func, ast.Name):
        return inner.func.id in lists
    views = {"keys", "values", "items"} if isinstance(node, ast.Subscript) else set()
    return isinstance(inner.func, ast.Attribute) and inner.func.attr in views and not inner.args


def imports_beside(tree: ast.Module, path: str) -> bool:
    """Whether a module of a package imports one that lies beside it by its bare name, which nothing else has."""
    folder = Path(path).resolve().parent
    if not (folder / "__init__.py").is_file():
        return False
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    beside = {name for name in names if (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()}
    return any(
        name not in sys.stdlib_module_names and importlib.machinery.PathFinder.find_spec(name) is None
        for name in beside - set(sys.modules)
    )


def _counts_by_division(node: ast.AST) -> bool:
    """Whether it needs an integer and has what ``/`` gave: ``range(n / 2)``, ``x[: n / 2]``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        numbers: list[Any] = node.args
    elif isinstance(node, ast.Slice):
        numbers = [node.lower, node.upper, node.step]
    else:
        return False
    return any(isinstance(number, ast.BinOp) and isinstance(number.op, ast.Div) for number in numbers)


def to_python3(text: str, path: str) -> str:
    """Python 2 source as Python 3 source, by 2to3; a DeconvLegacyError where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from fissix import refactor  # the maintained fork, where it is installed

            package = "fissix.fixes"
        except ImportError:
            try:
                from lib2to3 import refactor

                package = "lib2to3.fixes"
            except ImportError:
                what = f"{path} is Python 2: to convert it, Python 3.13"
                raise MissingExtraError("fissix", "python2", what) from None
    tool = refactor.RefactoringTool(refactor.get_fixers_from_package(package))
    tool.log_error = _fail(path)
    try:
        return str(tool.refactor_string(text.expandtabs(8) + "\n", path))
    except DeconvLegacyError:
        raise
    except Exception as error:  # lib2to3's ParseError and TokenError share no base
        raise DeconvLegacyError(f"{path} is neither Python 3 nor Python 2: {error}") from None


def _fail(path: str) -> Callable[..., None]:
    def log_error(message: str, *args: Any, **kwargs: Any) -> None:
        raise DeconvLegacyError(f"{path} is neither Python 3 nor Python 2: {message % args}")

    return log_error
