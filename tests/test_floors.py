"""The rooms of docs/design.md: who may import whom, read from the source."""

import ast
import functools
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "deconv_legacy"

FLOORS = {
    "errors": 0,
    "_version": 0,
    "geometry": 0,
    "reference": 0,
    "engine": 1,
    "fillers": 1,
    "layers": 2,
    "networks": 3,
    "training": 3,
    "caffe": 4,
    "theano": 4,
    "tf": 4,
    "testing": 5,
    "cli": 6,
    "__main__": 7,
}
EVERYWHERE = {"errors", "_version", "__version__"}
REQUIRED = {"aesara", "numpy", "scipy"}
OPTIONAL = {
    "google",
    "h5py",
    "PIL",
    "tqdm",
    "jax",
    "jaxlib",
    "distributed",
    "matplotlib",
    "fissix",
    "lib2to3",  # Python's own up to 3.12
    "safetensors",
    "hypothesis",
}
# the specification may not lean on what it specifies
REFERENCE_USERS = {"reference", "cli", "testing", "__main__"}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path):
    """The dotted name of the package that relative imports in a file start from."""
    return ("deconv_legacy", *path.relative_to(PACKAGE).parent.parts)


@functools.cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path):
    """(line, dotted name) of every import in a file, those inside functions too; relative ones resolved."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = module_of(path)[: len(module_of(path)) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, node.args[0].value


def sources():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def ours():
    """(place, room, imported room) of every import of our own rooms."""
    for path in sources():
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] == "deconv_legacy" and len(parts) > 1:
                yield f"{path.relative_to(PACKAGE)}:{line}: {name}", room_of(path), parts[1]


def test_every_room_has_a_floor():
    assert {room_of(path) for path in sources()} <= set(FLOORS)
    assert {room for _, _, room in ours()} - set(FLOORS) <= EVERYWHERE


def test_imports_go_down():
    wrong = [
        place
        for place, room, other in ours()
        if other != room and other not in EVERYWHERE and FLOORS[other] >= FLOORS[room]
    ]
    assert not wrong


def modules():
    """Name of each module -> those that it imports, for type checkers alone too."""
    names = {".".join(("deconv_legacy", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in sources()}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    found = {}
    for name, path in names.items():
        found[name] = set()
        for _, imported in imports(path):
            # a name in a module, or a module in a package
            while imported and imported not in names:
                imported = imported.rpartition(".")[0]
            found[name] |= {imported} - {"", name}
    return found


def test_no_module_imports_itself_by_way_of_others():
    left = modules()
    assert left["deconv_legacy.caffe.net"] >= {"deconv_legacy.caffe._passes", "deconv_legacy.errors"}
    while free := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in free}
    # what is left lies on a circle, or imports what does
    assert not left


def test_only_tests_and_checks_call_the_reference():
    assert not [place for place, room, other in ours() if other == "reference" and room not in REFERENCE_USERS]


def foreign():
    """(place, room, dotted name) of every import from outside the package and the standard library."""
    for path in sources():
        for line, name in imports(path):
            top = name.split(".")[0]
            if top != "deconv_legacy" and top not in sys.stdlib_module_names:
                yield f"{path.relative_to(PACKAGE)}:{line}: {name}", room_of(path), name


def test_libraries():
    """Floors 0-3 run on aesara, numpy and scipy alone; above them only the optional ones that are named."""
    wrong = []
    for place, room, name in foreign():
        top = name.split(".")[0]
        allowed = REQUIRED | (OPTIONAL if FLOORS[room] > 3 else set())
        # the engine's bridge to JAX is asked for by name, the facade stands for a library of its own name, and bridges
        # the `imp` that Python had until 3.11
        if top not in allowed and (room, top) not in {("engine", "jax"), ("theano", "theano"), ("theano", "imp")}:
            wrong.append(place)
    assert not wrong


def test_geometry_and_errors_need_nothing():
    assert not [place for place, room, _ in foreign() if room in ("geometry", "errors")]
    assert not [place for place, room, name in foreign() if room == "reference" and name.startswith("aesara")]


def test_only_the_engine_compiles():
    """Aesara comes through engine, whose import site sets it up; its compiler and linker belong to engine alone."""
    # theano hands Aesara's own names on, these too
    allowed = ("engine", "theano")
    assert not [place for place, room, name in foreign() if name.split(".")[0] == "aesara" and room not in allowed]
    compiler = ("aesara.compile.", "aesara.link.", "aesara.function")
    wrong = []
    for path in sources():
        if room_of(path) in allowed:
            continue
        for node in nodes(path):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if name.startswith(compiler) and not name.startswith("aesara.compile.SharedVariable"):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}")
    assert not wrong


@pytest.mark.parametrize(
    "text, names",
    [
        ("import deconv_legacy.caffe.net as n", ["deconv_legacy.caffe.net"]),
        ("from deconv_legacy import caffe, tf", ["deconv_legacy.caffe", "deconv_legacy.tf"]),
        ("from ..errors import SizeError", ["deconv_legacy.errors.SizeError"]),
        ("from . import sizes", ["deconv_legacy.geometry.sizes"]),
        ("def f():\n    from ..tf import conv2d", ["deconv_legacy.tf.conv2d"]),
        ("importlib.import_module('deconv_legacy.cli')", ["deconv_legacy.cli"]),
    ],
)
def test_how_imports_are_read(tmp_path, monkeypatch, text, names):
    monkeypatch.setattr("test_floors.PACKAGE", tmp_path)
    path = tmp_path / "geometry" / "x.py"
    path.parent.mkdir()
    path.write_text(text)
    assert [name for _, name in imports(path)] == names
