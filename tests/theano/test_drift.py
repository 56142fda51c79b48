"""The bridges of `deconv-legacy run`: each works, tells once, and can be left out."""

import ast
import fractions
import importlib
import inspect
import pickle
import sys
import warnings

import numpy as np
import pytest

from deconv_legacy.errors import DeconvLegacyError
from deconv_legacy.theano import _names, _source, drift
from deconv_legacy.theano._python2 import imports_beside, is_python2, to_python3

SCRIPT = """\
# -*- coding: latin-1 -*-
import collections, inspect, sys, time
import cPickle
import numpy as np
import beside
print "arguments", sys.argv[1:]
print 7 / 2, 7 / 2.0, np.arange(5) / 2, beside.third(7)
x = np.arange(12).reshape(3, 4)
window = [slice(None), slice(1, 3)]
print x[window].shape, x[[0, 2]].shape
print isinstance({}, collections.Mapping), issubclass(dict, collections.MutableMapping), np.float(3) + np.int(1)
print inspect.getargspec(lambda a, *b: None).args, time.clock() > 0, {1: 2}.has_key(1)
print cPickle.loads(%r)[0].shape
"""
# what Python 2 writes for [numpy.arange(3)], with bytes that are no ASCII
PICKLED = pickle.dumps([np.array([1, 200, 70000])], 2)


@pytest.fixture
def script(tmp_path):
    (tmp_path / "beside.py").write_text("def third(n):\n    return n / 3\n\nxrange(1)\n")
    path = tmp_path / "script.py"
    path.write_bytes((SCRIPT % PICKLED).encode("latin-1"))
    return path


def run(python, *words, **options):
    return python(["-m", "deconv_legacy", "run", *map(str, words)], **options)


def test_a_script_of_python_2(python, script):
    done = run(python, script, "-a", "b")
    assert done.stdout.splitlines() == [
        "arguments ['-a', 'b']",
        "3 3.5 [0 0 1 1 2] 2",
        "(3, 2) (2, 4)",
        "True True 4.0",
        "['a'] True True",
        "(3,)",
    ]
    told = [line.split("'")[1] for line in done.stderr.splitlines() if "bridge" in line]
    expected = {"collections", "numpy", "time", "python2", "list-index"}
    assert len(told) == len(set(told)) and expected <= set(told)
    assert "script.py:10" in done.stderr.split("'list-index'")[1].splitlines()[0]


def test_a_bridge_left_out(python, script):
    done = run(python, "--without", "numpy", script, ok=False)
    assert done.returncode == 1 and "has no attribute 'float'" in done.stderr
    done = run(python, "--without", "python2", script, ok=False)
    assert (done.returncode == 1 and "SyntaxError" in done.stderr) or done.returncode == 2
    done = run(python, "--no-bridges", script, ok=False)
    assert "bridge" not in done.stderr


def test_exit_status_and_traceback_are_the_scripts(python, tmp_path):
    path = tmp_path / "fails.py"
    path.write_text("import sys, theano\nassert __name__ == '__main__' and sys.argv == [__file__]\nsys.exit(5)\n")
    assert run(python, path, ok=False).returncode == 5
    path.write_text("def f():\n    1 / 0\nf()\n")
    done = run(python, path, ok=False)
    assert (
        done.returncode == 1 and "ZeroDivisionError" in done.stderr and "deconv_legacy/theano/run.py" not in done.stderr
    )
    missing = run(python, tmp_path / "none.py", ok=False)
    assert missing.returncode == 2 and missing.stderr.startswith("deconv-legacy: error: ")


def test_flags_that_aesara_takes_only_at_its_start(python, tmp_path):
    path = tmp_path / "flags.py"
    path.write_text("import theano\nprint(theano.config.optimizer_excluding, theano.config.floatX)\n")
    done = run(python, path, THEANO_FLAGS="optimizer_excluding=inplace,floatX=float32")
    assert done.stdout == "inplace float32\n" and done.stderr == ""


def test_lists_that_numpy_took_for_tuples():
    cut = slice(1, 2)
    assert _source.index([cut, 3]) == (cut, 3) and _source.index([None, 0]) == (None, 0)
    assert _source.index([[0, 1], [1, 2]]) == ([0, 1], [1, 2])
    for unchanged in ([0, 2], (cut, 3), cut, 4, [0] * 40):
        assert _source.index(unchanged) is unchanged


def test_division_of_python_2():
    assert (_source.divide(7, 2), _source.divide(-7, 2), _source.divide(7.0, 2)) == (3, -4, 3.5)
    assert _source.divide(np.arange(4), 2).dtype.kind == "i" and _source.divide(np.arange(4), 2.0).dtype.kind == "f"


@pytest.mark.parametrize(
    "source, old",
    [
        ("for i in xrange(3): pass", True),
        ("{}.iteritems()", True),
        ("import cPickle", True),
        ("try:\n    import cPickle\nexcept ImportError:\n    import pickle", False),
        ("from six.moves import xrange\nxrange(3)", False),
        ("import six\nsix.iteritems({})", False),
        ("def f(reduce): return reduce(1)", False),
        ("print(1 / 2)", False),
    ],
)
def test_what_counts_as_python_2(source, old):
    assert is_python2(ast.parse(source)) is old


def test_what_is_no_python_at_all():
    with pytest.raises(DeconvLegacyError, match="neither Python 3 nor Python 2"):
        to_python3("if if", "x.py")


def test_old_habits_of_syntax_give_no_warnings():
    code = drift.Bridges(report=print).compile(b"y = 'a' is 'b'\nz = '\\d'\n", "old.py")
    namespace = {}
    exec(code, namespace)
    assert namespace["y"] is False and namespace["z"] == "\\d"


def test_bridges_are_taken_down_again():
    import collections

    bridges = drift.Bridges(report=lambda text: None)
    load = pickle.load
    bridges.build()
    assert collections.Iterable and pickle.load is not load
    bridges.remove()
    assert not hasattr(collections, "Iterable") and pickle.load is load
    with pytest.raises(AttributeError, match="deprecated alias"):
        np.float  # noqa: B018
    with pytest.raises(ValueError, match="no bridge is called"):
        drift.Bridges(["numpi"])


def test_random_numbers_are_those_of_python_2_once_there_is_python_2():
    import random

    told = []
    bridges = drift.Bridges(["random", "python2", "text"], told.append)
    bridges.build()
    try:
        random.seed(0)
        new = random.randint(1, 10)
        own = random.Random(0)
        assert own.randint(1, 10) == new
        bridges.compile(b"print 1", "old.py")
        own.seed(0)
        assert [own.randint(1, 10) for _ in range(5)] == [9, 8, 5, 3, 6]
        assert len(set(own.sample(np.arange(50), 20))) == 20
        random.seed(0)
        assert [random.randint(1, 10) for _ in range(5)] == [9, 8, 5, 3, 6]
        random.seed(1)
        draw = random.Random(1).random
        items = list("abcdefg")
        random.shuffle(items)
        expected = list("abcdefg")
        for i in range(6, 0, -1):
            j = int(draw() * (i + 1))
            expected[i], expected[j] = expected[j], expected[i]
        assert items == expected
        random.seed(2)
        first = random.sample(range(1000), 3)
        assert len(set(first)) == 3 and random.choice([5]) == 5 and random.randrange(3, 9, 2) in (3, 5, 7)
        table = np.genfromtxt(["1: sky blue", "2: sea"], delimiter=":", dtype=None)
        assert table[0][1].strip() == "sky blue"
    finally:
        bridges.remove()
    random.seed(0)
    assert random.randint(1, 10) == new
    assert sum("random" in text for text in told) == 1


def bridged(name, use):
    """What `use` gives over one bridge, and how often that was told when it is used twice."""
    told = []
    bridges = drift.Bridges([name], told.append)
    bridges.build()
    try:
        use()
        return use(), [text.split("'")[1] for text in told]
    finally:
        bridges.remove()


def test_linspace_with_a_float_count():
    with pytest.raises(TypeError):
        np.linspace(-1, 1, 5.0)
    points, told = bridged("linspace", lambda: [np.linspace(-1, 1, n) for n in (np.sqrt(25), 5.9, np.float32(5))])
    assert all(np.array_equal(p, [-1, -0.5, 0, 0.5, 1]) for p in points) and told == ["linspace"]
    (points, step), told = bridged("linspace", lambda: np.linspace(0, 4, num=4, endpoint=False, retstep=True))
    assert np.array_equal(points, [0, 1, 2, 3]) and step == 1 and told == []  # an integer: nothing to bridge
    assert bridged("linspace", lambda: len(np.linspace(0, 1)))[0] == 50
    with pytest.raises(TypeError):
        bridged("numpy", lambda: np.linspace(-1, 1, 5.0))


def test_label_images_without_a_palette(tmp_path):
    """As score.py of the FCN repository saves them."""
    pillow = pytest.importorskip("PIL.Image")
    labels = np.array([[0, 17, 3], [20, 1, 255]], np.uint8)

    def stored(palette=None):
        image = pillow.frombytes("P", (3, 2), labels.tobytes())
        if palette:
            image.putpalette(palette)
        image.save(tmp_path / "labels.png")
        assert bool(image.getpalette()) == bool(palette)  # it is left as it was
        with pillow.open(tmp_path / "labels.png") as image:
            return image.mode, np.array(image).tolist(), image.getpalette()[:6]

    assert bridged("palette", stored) == (("P", labels.tolist(), [0, 0, 0, 1, 1, 1]), ["palette"])
    assert bridged("palette", lambda: stored([7] * 768)) == (("P", labels.tolist(), [7] * 6), [])
    assert bridged("numpy", stored)[0][1] == (labels > 0).tolist()


OLD_NUMPY = """
import numpy as np
a = np.array([[3.0, 1.0], [2.0, 7.0]])
numbers = [np.product([2, 3]), np.alltrue([1, 0]), np.sometrue([1, 0]), np.round_(2.5), np.trapz([1, 2, 4])]
assert numbers == [6, False, True, 2.0, 4.5] and np.float_(2) == 2 and np.Inf == -np.NINF == np.infty
assert np.NaN != np.NaN
assert np.in1d([[1, 2], [3, 4]], [2, 4]).tolist() == [False, True, False, True]
assert np.msort(a).tolist() == [[2, 1], [3, 7]] and np.row_stack(([1, 2], [3, 4])).tolist() == [[1, 2], [3, 4]]
assert np.asfarray([1, 2], dtype=int).dtype == "float64" and np.cumproduct([2, 3]).tolist() == [2, 6]
assert np.mat("1 2; 3 4").T.tolist() == [[1, 3], [2, 4]] and np.string_("a") == b"a" and np.unicode_ is not np.complex_
assert a.ptp() == 6 and a.ptp(axis=0).tolist() == [1, 6]
assert a.astype("u1").tostring() == b"\\3\\1\\2\\7" == np.uint32(0x07020103).tostring()
a.itemset(1, 9)
a.itemset((1, 0), 8)
a.itemset(1, 1, 4)
assert a.tolist() == [[3, 9], [8, 4]] and np.arange(2, dtype=">i2").newbyteorder().tolist() == [0, 256]

class Element:
    tostring = staticmethod(lambda root, encoding: (root, encoding))

assert Element().tostring(1, encoding=2) == (1, 2)
"""


def test_what_numpy_2_dropped():
    told = []
    bridges = drift.Bridges(["numpy"], told.append)
    bridges.build()
    try:
        with warnings.catch_warnings():
            # NumPy 1 has them still, and says that they will go; matrices are frowned upon
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            exec(bridges.compile(OLD_NUMPY.encode(), "old.py"), {})
    finally:
        bridges.remove()
    assert len(told) == (np.__version__ >= "2")


@pytest.mark.skipif(hasattr(inspect, "getargspec"), reason="Python 3.10 has it still")
def test_getargspec():
    spec, told = bridged("inspect", lambda: inspect.getargspec(lambda a, b=2, *c, **d: None))
    assert spec == (["a", "b"], "c", "d", (2,)) and spec.keywords == "d" and told == ["inspect"]
    with pytest.raises(AttributeError, match="getargspec"):
        bridged("time", lambda: inspect.getargspec)


def test_pickles_of_python_2(tmp_path):
    values = np.array([1, 200, 70000], "<i8")
    # numpy.array([1, 200, 70000]), its bytes a str of Python 2 (opcode U)
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03\x85"
        b"cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U\x18" + values.tobytes() + b"tb."
    )
    path = tmp_path / "array.pkl"
    path.write_bytes(b"before" + data)

    def load():
        with open(path, "rb") as file:
            file.seek(6)
            return pickle.load(file)

    for use in (load, lambda: pickle.loads(data)):
        with pytest.raises(UnicodeDecodeError):
            use()
        array, told = bridged("pickle", use)
        assert np.array_equal(array, values) and array.dtype == "<i8" and told == ["pickle"]
    assert bridged("pickle", lambda: pickle.loads(pickle.dumps("new"))) == ("new", [])
    with pytest.raises(UnicodeDecodeError):
        bridged("pickle", lambda: pickle.loads(data, encoding="ascii"))  # who names an encoding means it


@pytest.mark.parametrize("source", ["d.keys()[0]", "zip(a, b)[1]", "len(map(f, x))", "d.items()[-1][0]"])
def test_lists_that_became_views_are_python_2(source):
    assert is_python2(ast.parse(source))
    assert not is_python2(ast.parse("list(d.keys())[0]; d.pop(0)[0]; len(list(x))"))


@pytest.mark.parametrize(
    "source",
    ["for i in range(n / 2):\n    pass\n", "x = y[: n / 2]\n", "x = y[0, n / 2 :]\n"],
)
def test_counts_by_division_are_python_2(source):
    assert is_python2(ast.parse(source))
    assert not is_python2(ast.parse("from __future__ import division\n" + source))
    assert not is_python2(ast.parse(source.replace("/", "//")))
    assert not is_python2(ast.parse("x = d[n / 2]\n"))


def test_widths_of_python_2_are_for_all_values():
    assert _source.fill("{:<8}|{:>6}|{n:06.2f}|{{}}", (1, 2), None, n=1.5) == "(1, 2)  |  None|001.50|{}"
    tree = _source.Formats().apply(ast.parse("x = '{0:>9}{1[1]!r:3}{k:d}'.format([], (4, 5), k=6)\n"))
    names = {}
    exec(compile(tree, "", "exec"), names)
    assert names["x"] == "       []5  6"
    with pytest.raises(TypeError):
        f"{(1, 2):<8}"


GREY_BYTES = [[0, 64, 80], [128, 255, 191]]
GREY_BYTES_0_2 = [[10, 10, 34], [105, 200, 200]]
COLOUR_NEAREST = [
    [[30, 40, 50], [90, 100, 110]],
    [[150, 160, 170], [210, 220, 230]],
    [[150, 160, 170], [210, 220, 230]],
]
GREY_TWICE = [
    [0, 16, 48, 68, 76, 80],
    [32, 52, 92, 111, 109, 108],
    [96, 124, 179, 196, 174, 163],
    [128, 160, 223, 239, 207, 191],
]


def test_functions_that_scipy_misc_had(tmp_path):
    """The numbers are SciPy 1.1.0's, with Pillow 5.4.1."""
    pytest.importorskip("PIL", reason="the images of scipy.misc are Pillow's, of the extra caffe")
    told = []
    bridges = drift.Bridges(["scipy"], told.append)
    bridges.build()
    try:
        from scipy.misc import bytescale, fromimage, imread, imresize, imrotate, imsave, logsumexp, toimage

        grey = np.array([[-1.0, 0.0, 0.25], [1.0, 3.0, 2.0]])
        colour = np.arange(24, dtype="uint8").reshape(2, 4, 3) * 10
        assert bytescale(grey).tolist() == GREY_BYTES
        assert bytescale(grey, cmin=0, cmax=2, high=200, low=10).tolist() == GREY_BYTES_0_2
        assert fromimage(toimage(np.moveaxis(colour, 2, 0))).tolist() == colour.tolist()
        assert imresize(colour, (3, 2), interp="nearest").tolist() == COLOUR_NEAREST
        assert imresize(grey, 200, interp="bilinear").tolist() == GREY_TWICE
        assert imresize(grey, 0.5, interp="bilinear").shape == (1, 1)
        assert imrotate(colour, 180, "nearest").tolist() == colour[::-1, ::-1].tolist()
        path = tmp_path / "image.png"
        imsave(path, grey)
        assert imread(path).tolist() == GREY_BYTES and imread(path, flatten=True).dtype == "float32"
        imsave(path, colour)
        assert imread(path).tolist() == colour.tolist() and imread(path, mode="L").shape == (2, 4)
        with pytest.raises(ValueError, match="3 channels; legal: RGB, YCbCr"):
            toimage(colour, mode="L")
        with pytest.raises(ValueError, match=r"\(2, 2, 2\) is no image"):
            toimage(np.zeros((2, 2, 2)))
        assert logsumexp([1.0, 2.0]) == pytest.approx(2.313261687518223, abs=1e-15)
    finally:
        bridges.remove()
    assert len(told) == 1 and "scipy.misc.bytescale" in told[0] and "test_drift.py" in told[0]
    with pytest.raises(ImportError):
        from scipy.misc import imresize


def test_source_that_imp_loads_is_bridged(tmp_path):
    path = tmp_path / "a-config.py"
    path.write_text("print 'loaded'\nhalf = 7 / 2\n")
    (tmp_path / "twice.py").write_text("n = 1\n")
    told = []
    bridges = drift.Bridges(["modules", "python2"], told.append)
    bridges.build()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import imp
        module = imp.load_source("a_config_of_this_test", str(path))
        assert module.half == 3 and sys.modules["a_config_of_this_test"] is module
        path.write_text("other = 1\n")
        assert imp.load_source("a_config_of_this_test", str(path)) is module and module.half == module.other + 2
        assert imp.new_module("x").__name__ == "x" and callable(imp.reload)
    finally:
        bridges.remove()
        sys.modules.pop("a_config_of_this_test", None)
    assert sum("imp.load_source" in sentence for sentence in told) == 1


def test_modules_that_moved(monkeypatch):
    told = []
    bridges = drift.Bridges(["modules"], told.append)
    monkeypatch.setitem(_names.MODULES, "json.gone_since_2017", "fractions")
    bridges.build()
    try:
        import json.gone_since_2017 as moved

        assert moved is fractions and fractions.__spec__.name == "fractions"
    finally:
        bridges.remove()
        sys.modules.pop("json.gone_since_2017", None)
    assert len(told) == 1 and "json.gone_since_2017, now fractions" in told[0]


def test_pickles_in_files_that_are_opened_as_text(tmp_path):
    path, told = tmp_path / "a.pkl", []
    bridges = drift.Bridges(["pickle"], told.append)
    bridges.build()
    try:
        with open(path, "w") as file:
            pickle.dump({"a": np.arange(3)}, file, 2)
        with open(path) as file:
            assert pickle.load(file)["a"].tolist() == [0, 1, 2]
        with open(path, "rb") as file:
            assert pickle.load(file)["a"].tolist() == [0, 1, 2]
    finally:
        bridges.remove()
    assert len(told) == 1 and "opened as text" in told[0]
    with open(path, "w") as file, pytest.raises(TypeError):
        pickle.dump(1, file)


def test_files_of_python_2_that_are_written_in_binary_take_strings(tmp_path):
    path = tmp_path / "log"
    tree = _source.Files().apply(
        ast.parse(f"f = open({str(path)!r}, 'wb')\nf.write('a\\xe9')\nf.write(b'c')\nf.close()\n")
    )
    exec(compile(tree, "", "exec"), {})
    assert path.read_bytes() == b"a\xe9c"
    with _source.open_file(path, "ab") as file:
        pickle.dump([1], file, 2)
    with _source.open_file(path, "rb") as file:
        assert file.read(3) == b"a\xe9c" and pickle.load(file) == [1]
    with _source.open_file(path, "w", encoding="utf-8") as file:
        file.write("text")
    assert path.read_text() == "text"


def test_packages_of_the_folder_above_and_their_bare_imports(tmp_path):
    """A script that adds '..' to its path; a package whose only sign of Python 2 is an import of what lies beside."""
    name = "package_of_2015"
    for file, text in {
        f"{name}/__init__.py": "",
        f"{name}/ops_of_2015.py": "from helpers_of_2015 import half\nimport json\n",
        f"{name}/helpers_of_2015.py": "def half(n):\n    print 'half'\n    return n / 2\n",
        "scripts/main.py": "",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    told, before = [], sys.path[:]
    bridges = drift.Bridges(["python2", "parent"], told.append)
    bridges.build(tmp_path / "scripts")
    sys.path.append(str(tmp_path / "scripts" / ".."))
    try:
        ops = importlib.import_module(f"{name}.ops_of_2015")
        assert ops.half(7) == 3 and ops.half.__module__ == f"{name}.helpers_of_2015"
        assert not list(tmp_path.rglob("__pycache__"))
    finally:
        bridges.remove()
        sys.path[:] = before
        for module in [module for module in sys.modules if module.startswith(name)]:
            del sys.modules[module]
    parsed = ast.parse("import json, ops_of_2015\n")
    assert imports_beside(parsed, str(tmp_path / name / "new.py"))
    assert not imports_beside(parsed, str(tmp_path / "scripts" / "main.py"))
    assert not imports_beside(ast.parse("from . import ops_of_2015\nimport json\n"), str(tmp_path / name / "new.py"))
