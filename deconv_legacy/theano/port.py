"""Rewrite an old script to plain Aesara and deconv_legacy, for those who want to leave the facade behind.

Names of Theano are replaced by the names they have now, wherever they are reached through an import of the file; what
Aesara has not, or does otherwise, comes from `deconv_legacy.theano.old`, which works without `install`. Layout and
comments stay. What cannot be decided from the text is listed as notes.
"""

from __future__ import annotations

import ast
import difflib
import types
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deconv_legacy.theano import _lookup, _modules, _table
from deconv_legacy.theano._python2 import is_python2, to_python3

__all__ = ["Note", "Ported", "port_source"]

# Functions of ours which only check more or take older arguments: plain Aesara's do, once deconv_legacy is imported.
_PLAIN = {
    "deconv_legacy.theano.old.function": "aesara",
    "deconv_legacy.theano.old.abstract_conv": "aesara.tensor.nnet.abstract_conv",
    "deconv_legacy.theano.old.conv": "aesara.tensor.nnet",
    "deconv_legacy.theano.old.pool": "aesara.tensor.signal.pool",
    "deconv_legacy.theano.old.rng_mrg": "aesara.sandbox.rng_mrg",
}
_PLAIN_TENSOR = {"dot": "dot", "flatten": "flatten", "diag": "diag", "unravel_index": "unravel_index"}
_RENAMED = {"MRG_RandomStreams": "MRG_RandomStream"}
_POOL = {"ds": "ws", "st": "stride", "padding": "pad"}
_KEYWORDS = {"pool_2d": _POOL, "pool_3d": _POOL, "flatten": {"outdim": "ndim"}}
# Libraries that import Theano themselves.
_ON_THEANO = {"lasagne", "nolearn", "blocks", "pylearn2"}
# Where a name is best taken from, if it is there: the shortest first.
_FRONTS = ("aesara", "aesara.tensor", "aesara.tensor.nnet", "aesara.tensor.special", "aesara.scalar", "aesara.gradient")


class Note(NamedTuple):
    """What the user must look at: a line of the old file, and why."""

    line: int
    text: str


@dataclass
class Ported:
    """The new text of a file, and what could not be decided."""

    old: str
    new: str
    notes: list[Note] = field(default_factory=list)

    def diff(self, name: str) -> str:
        """The change as a unified diff."""
        lines = difflib.unified_diff(
            self.old.splitlines(keepends=True), self.new.splitlines(keepends=True), name, f"{name} (ported)"
        )
        return "".join(lines)


def _module_now(module: str) -> str:
    """The module that stands for one of Theano's in new code: Aesara's of the same place, or its first source."""
    twin = module.replace("theano", "aesara", 1)
    if _lookup.is_there(twin):
        return twin
    sources = _lookup.sources(module)
    return next((source for source in sources if source.startswith("aesara.")), sources[0] if sources else "aesara")


class _Place(NamedTuple):
    """A name of today: module, attribute."""

    module: str
    name: str


def _place_of(home: _lookup.Home, *preferred: str) -> _Place:
    """Where new code should take an object from; the preferred modules are asked first."""
    assert home.name is not None
    value = _modules.load(home)
    module, name = home.module, home.name
    if module == "deconv_legacy.theano.old.tensor" and name in _PLAIN_TENSOR:
        module, name = "aesara.tensor", _PLAIN_TENSOR[name]
        value = _modules.load(_lookup.Home(module, name))
    if module in _PLAIN:
        plain = _Place(_PLAIN[module], _RENAMED.get(name, name))
        if _lookup.holds(*plain):
            module, name = plain
            value = _modules.load(_lookup.Home(module, name))
    defined = str(getattr(value, "__module__", ""))
    if defined.startswith("deconv_legacy"):
        return _Place(defined if _lookup.holds(defined, name) else module, name)
    for front in (*preferred, *_FRONTS):
        public = _modules.load(_lookup.Home(front, None))
        for candidate in (name, *(other for other in dir(public) if not other.startswith("_"))):
            if _defines(public, candidate) and getattr(public, candidate) is value:
                return _Place(front, candidate)
    return _Place(module, name)


def _defines(module: types.ModuleType, name: str) -> bool:
    """Whether the module has the name itself, not through its warnings on old names."""
    return name in module.__dict__


class _Porter(ast.NodeVisitor):
    def __init__(self, text: str):
        self.text, self.lines = text, text.splitlines(keepends=True)
        starts, total = [], 0
        for line in self.lines:
            starts.append(total)
            total += len(line)
        self.starts = starts
        self.notes: list[Note] = []
        self.edits: list[tuple[int, int, str]] = []
        self.modules: dict[str, str] = {}  # local name -> module of Theano
        self.names: dict[str, _Place] = {}  # local name -> where it comes from now
        self.needed: set[str] = set()  # modules that the new text names in full
        self.imported: set[str] = set()
        self.libraries: set[str] = set()

    def offset(self, line: int, column: int) -> int:
        # columns are counted in UTF-8 bytes
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def replace(self, node: Any, new: str) -> None:
        self.edits.append(
            (self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset), new)
        )

    def note(self, node: Any, text: str) -> None:
        self.notes.append(Note(node.lineno, text))

    # --- imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._library(node, alias.name)
        if not any(_is_theano(alias.name) for alias in node.names):
            return
        parts, later = [], []
        for alias in node.names:
            if not _is_theano(alias.name):
                parts.append(ast.unparse(ast.Import([alias])).removeprefix("import "))
                continue
            if alias.name not in _table.SOURCES:
                self.note(node, _lookup.explain(*alias.name.rpartition(".")[::2]))
                parts.append(ast.unparse(ast.Import([alias])).removeprefix("import "))
                continue
            now = _module_now(alias.name)
            self.modules[alias.asname or "theano"] = alias.name if alias.asname else "theano"
            if alias.asname:
                parts.append(f"{now} as {alias.asname}")
            else:
                parts.append(now)
                later.append(now)
        self.imported.update(later)
        self.replace(node, "import " + ", ".join(dict.fromkeys(parts)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            return
        self._library(node, node.module or "")
        if not _is_theano(node.module or ""):
            return
        module = str(node.module)
        groups: dict[str, list[str]] = {}
        for alias in node.names:
            if alias.name == "*":
                self.note(
                    node, f"from {module} import *: which names are used cannot be seen; name them, then port again"
                )
                return
            home = _lookup.find(module, alias.name)
            if home is None:
                self.note(node, _lookup.explain(module, alias.name))
                return
            local = alias.asname or alias.name
            if home.name is None:  # a module
                self.modules[local] = home.module
                package, _, name = _module_now(home.module).rpartition(".")
            elif alias.name in ("config", "change_flags"):
                package, name = ("aesara", "config") if alias.name == "config" else ("aesara.config", "change_flags")
                if alias.name == "change_flags":
                    self.note(node, "change_flags is aesara.config.change_flags now, with __ for the dot in names")
                    package, name, local = "aesara", "config", "config"
                self.modules[local] = "theano.config"
            else:
                place = _place_of(home)
                package, name = place
                self.names[local] = place
                self._remark(node, alias.name, place)
            groups.setdefault(package, []).append(name if name == local else f"{name} as {local}")
        indent = "\n" + " " * node.col_offset
        self.replace(
            node,
            indent.join(
                f"from {p} import {', '.join(names)}" if p else f"import {', '.join(names)}"
                for p, names in groups.items()
            ),
        )

    def _library(self, node: Any, module: str) -> None:
        root = module.partition(".")[0]
        if root in _ON_THEANO and root not in self.libraries:
            self.libraries.add(root)
            self.note(
                node,
                f"{root} imports Theano itself: port it too, or let `deconv_legacy.theano.install()` come before it "
                "(its variables are Aesara's own)",
            )

    # --- uses

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = _chain(node)
        if chain is None or chain[0] not in self.modules:
            self.generic_visit(node)
            return
        self._port_chain(node, chain)

    def visit_Name(self, node: ast.Name) -> None:
        if self.modules.get(node.id) == "theano" and isinstance(node.ctx, ast.Load):
            self.replace(node, "aesara")

    def _port_chain(self, node: ast.Attribute, chain: list[str]) -> None:
        root, *rest = chain
        module, local = self.modules[root], root if self.modules[root] != "theano" else None
        if module == "theano.config":
            self._port_config(node, root, rest)
            return
        while rest:
            if rest[0] == "config":
                self._port_config(node, "aesara.config", rest[1:])
                return
            if rest[0] == "change_flags":
                self.replace(node, "aesara.config.change_flags")
                self.note(node, "change_flags: write __ for the dot in the names of flags")
                self.needed.add("aesara")
                return
            home = _lookup.find(module, rest[0])
            if home is None:
                self.note(node, _lookup.explain(module, rest[0]))
                return
            rest = rest[1:]
            if home.name is None:
                module, local = home.module, None
                continue
            place = _place_of(home, *(["aesara.tensor"] if module == "theano.tensor" else []))
            self._remark(node, ".".join(chain), place)
            self.replace(node, ".".join([self._spell(place, root), *rest]))
            return
        now = _module_now(module)
        self.replace(node, local or now)
        if local is None:
            self.needed.add(now)

    def _spell(self, place: _Place, root: str) -> str:
        """How the new text reaches a place: through the alias that the old one used, or another, where that has it."""
        for alias in (root, *self.modules):
            module = self.modules[alias]
            if alias != "theano" and module != "theano.config" and _module_now(module) == place.module:
                return f"{alias}.{place.name}"
        self.needed.add(place.module)
        return f"{place.module}.{place.name}"

    def _port_config(self, node: ast.Attribute, root: str, rest: list[str]) -> None:
        from deconv_legacy.engine import aesara

        if root == "aesara.config":
            self.needed.add("aesara")
        known = aesara.config._config_var_dict
        for count in range(len(rest), 0, -1):
            flag = "__".join(rest[:count])
            if flag in known and flag != "device":
                self.replace(node, ".".join([root, flag, *rest[count:]]))
                return
        self.note(node, f"theano.config.{'.'.join(rest)}: Aesara has no such flag, or none that can be set")
        self.replace(node, ".".join([root, "__".join(rest)]))

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        chain = _chain(node.func)
        ours = chain is not None and (chain[0] in self.modules or chain[0] in self.names)
        for keyword in node.keywords if ours else ():
            new = _KEYWORDS.get(name, {}).get(keyword.arg or "")
            if new is not None:
                start = self.offset(keyword.lineno, keyword.col_offset)
                self.edits.append((start, start + len(keyword.arg or ""), new))
        if name in ("getattr", "__import__", "import_module") and "theano" in ast.unparse(node):
            self.note(node, f"{ast.unparse(node)}: a name made while running is left as it is")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "THEANO" in node.value:
            self.note(node, f"{node.value!r}: the environment variables of Aesara are AESARA_FLAGS and AESARARC")

    def _remark(self, node: Any, name: str, place: _Place) -> None:
        if place.module.endswith((".old.gpuarray", ".old.cuda", ".old.dnn", ".old.gpu_blas", ".old.gpu_ops")):
            self.note(node, f"{name}: a call of the GPU, which {place.module} computes on the CPU")
        elif place.module.endswith(".old.nnet") and place.name == "softmax":
            self.note(
                node, f"{name}: gives a vector as one row, as Theano did; aesara.tensor.special.softmax keeps its shape"
            )
        elif place.module.endswith(".old.gof"):
            self.note(node, f"{name}: Aesara's Op and node_rewriter take the FunctionGraph as one more argument")


def _is_theano(module: str) -> bool:
    return module.partition(".")[0] == "theano"


def _chain(node: ast.AST) -> list[str] | None:
    """``a.b.c`` as its names; None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def port_source(text: str, name: str = "<string>") -> Ported:
    """The new text of a script, and notes on what could not be decided.

    Python 2 is converted first. Imports inside functions count for the whole file.

    >>> print(port_source("import theano.tensor as T\\ny = T.sqr(T.nnet.sigmoid(T.vector()))\\n").new)
    import deconv_legacy
    import aesara.tensor as T
    y = T.square(T.sigmoid(T.vector()))
    <BLANKLINE>
    """
    old = text
    try:
        tree = ast.parse(text, name)
        convert = is_python2(tree)
    except SyntaxError:
        convert = True
    if convert:
        text = to_python3(text, name)
        tree = ast.parse(text, name)
    porter = _Porter(text)
    for node in ast.walk(tree):  # imports first: code above them may use them, too
        if isinstance(node, ast.Import):
            porter.visit_Import(node)
        elif isinstance(node, ast.ImportFrom):
            porter.visit_ImportFrom(node)
    porter.visit_Import = porter.visit_ImportFrom = lambda node: None  # type: ignore[method-assign, assignment]
    porter.visit(tree)
    if not porter.edits:
        return Ported(old, text, sorted(porter.notes))
    new = text
    for start, end, replacement in sorted(set(porter.edits), reverse=True):
        new = new[:start] + replacement + new[end:]
    lines = ["import deconv_legacy"]
    lines += [f"import {module}" for module in sorted(porter.needed - porter.imported) if module != "deconv_legacy"]
    new = _insert(new, lines)
    return Ported(old, new, sorted(set(porter.notes)))


def _insert(text: str, imports: list[str]) -> str:
    """The text with imports before its first import that is not from __future__."""
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and getattr(node, "module", None) != "__future__":
            lines = text.splitlines(keepends=True)
            present = {line.strip() for line in lines}
            lines[node.lineno - 1 : node.lineno - 1] = [f"{line}\n" for line in imports if line not in present]
            return "".join(lines)
    return text
