"""What source of 2014-2017 becomes, for the bridges of `drift`: an expression that means something else today is
replaced by a call of a function of this module."""

from __future__ import annotations

import ast
import functools
import io
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deconv_legacy.theano import _names
from deconv_legacy.theano._python2 import divides_truly

__all__ = [
    "Division",
    "Files",
    "Formats",
    "Indices",
    "Methods",
    "Place",
    "caller",
    "divide",
    "fill",
    "index",
    "listeners",
    "method",
    "open_file",
]

_OURS = {__file__, str(Path(__file__).with_name("drift.py"))}

listeners: list[Callable[[str, str, Any], None]] = []
"""Who is told of what happens while bridged code runs: the last of them."""


class Place(NamedTuple):
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def caller() -> Place:
    """The first frame outside the bridges and the import system."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and (frame.f_code.co_filename in _OURS or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def _tell(bridge: str, what: str) -> None:
    if listeners:
        listeners[-1](bridge, what, caller())


def divide(a: Any, b: Any) -> Any:
    """``a / b`` of Python 2: the floor where both are integers, also arrays and Theano's variables of them."""
    return a // b if _integral(a) and _integral(b) else a / b


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        plain = type(value).__format__ is object.__format__
        return format(str(value) if plain else value, format_spec)


def fill(text: str, *args: Any, **options: Any) -> str:
    """``text.format(...)`` of Python 2, where a width and the like are for all values: tuples, lists, None."""
    return _Formatter().format(text, *args, **options)


class _Written(io.BufferedWriter):
    def write(self, data: Any) -> int:
        return super().write(data.encode("latin1") if isinstance(data, str) else data)


def open_file(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """``open`` of Python 2, where a file that is written in binary takes strings, too."""
    if mode in ("wb", "ab") and not args and not options:
        return _Written(io.FileIO(file, mode))
    return open(file, mode, *args, **options)


def _integral(value: Any) -> bool:
    if isinstance(value, (int, np.integer)):
        return True
    try:
        return np.dtype(value.dtype).kind in "iub"
    except (AttributeError, TypeError):
        return False


def index(key: Any) -> Any:
    """The index that NumPy before 1.23 took a list for: a tuple, if a slice, None, Ellipsis or sequence is in it."""
    if (
        type(key) is list
        and len(key) <= 32
        and any(item is None or item is Ellipsis or isinstance(item, (slice, list, tuple, np.ndarray)) for item in key)
    ):
        _tell("list-index", "a list of slices as an index")
        return tuple(key)
    return key


def method(value: Any, name: str) -> Any:
    """``value.name``, also where NumPy 2 dropped that method of arrays."""
    if isinstance(value, (np.ndarray, np.generic)) and not hasattr(value, name):
        _tell("numpy", f"an array's {name}")
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


class Division(_Transformer):
    function = "divide"

    def apply(self, tree: ast.Module) -> ast.Module:
        return tree if divides_truly(tree) else super().apply(tree)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self.call(node.left, node.right) if isinstance(node.op, ast.Div) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not isinstance(node.target, ast.Name):
            return node
        value = self.call(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target), node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)


class Formats(_Transformer):
    function = "fill"

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        place = node.func
        if not isinstance(place, ast.Attribute) or place.attr != "format":
            return node
        if not isinstance(place.value, ast.Constant) or not isinstance(place.value.value, str):
            return node
        called = self.call(place.value, *node.args)
        called.keywords = node.keywords
        return called


class Files(_Transformer):
    function = "open_file"

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != "open" or not node.args:
            return node
        called = self.call(*node.args)
        called.keywords = node.keywords
        return called


class Indices(_Transformer):
    function = "index"

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.slice, (ast.Constant, ast.Slice, ast.Tuple, ast.UnaryOp, ast.Compare, ast.JoinedStr)):
            return node
        node.slice = self.call(node.slice)
        return node


class Methods(_Transformer):
    function = "method"

    def apply(self, tree: ast.Module) -> ast.Module:
        lost = any(isinstance(node, ast.Attribute) and node.attr in _names.METHODS for node in ast.walk(tree))
        return super().apply(tree) if lost else tree

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if node.attr not in _names.METHODS or not isinstance(node.ctx, ast.Load):
            return node
        return self.call(node.value, ast.Constant(node.attr))
