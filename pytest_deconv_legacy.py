"""The pytest plugin of deconv_legacy: golden numbers that are recorded once and compared from then on.

A module beside the package, and without imports of it: nothing of Aesara is loaded until a test asks for a fixture.

    def test_head(deconv_golden):
        deconv_golden(net, {"data": x})             # any net that deconv_legacy.testing takes
        deconv_golden({"score": array})             # or arrays, of any framework

``pytest --deconv-record`` writes them (``golden/`` beside the test file), every other run compares.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

BACKENDS, DTYPES = ("c", "numpy"), ("float32",)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deconv_legacy")
    group.addoption("--deconv-record", action="store_true", help="write the golden numbers of deconv_golden anew")
    parser.addini("deconv_golden_dir", "folder of the golden numbers, beside each test file", default="golden")
    parser.addini("deconv_backends", "backends of deconv_golden", type="args", default=list(BACKENDS))
    parser.addini("deconv_dtypes", "dtypes of deconv_golden", type="args", default=list(DTYPES))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "deconv(backends=..., dtypes=...): on which the test's deconv_golden is run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "deconv_golden" not in metafunc.fixturenames:
        return
    asked: dict[str, Any] = {}
    for marker in metafunc.definition.iter_markers("deconv"):
        asked = {**marker.kwargs, **asked}
    backends = asked.get("backends") or metafunc.config.getini("deconv_backends")
    dtypes = asked.get("dtypes") or metafunc.config.getini("deconv_dtypes")
    cases = [(backend, dtype, backend == backends[0]) for dtype in dtypes for backend in backends]
    metafunc.parametrize("deconv_golden", cases, ids=[f"{b}-{d}" for b, d, _ in cases], indirect=True)


class Golden:
    """What the fixture gives: call it with a net and inputs, or with arrays by name.

    Attributes
    ----------
    backend, dtype : str
        Of this run of the test; build the net and the inputs in this dtype.
    """

    def __init__(self, folder: Path, stem: str, backend: str, dtype: str, writes: bool):
        self.folder, self.stem, self.backend, self.dtype, self.writes = folder, stem, backend, dtype, writes
        self._used: set[str] = set()

    def path(self, name: str = "") -> Path:
        """The file of the numbers called `name`: one for each dtype, for all backends."""
        return self.folder / f"{self.stem}{'-' + name if name else ''}-{self.dtype}.npz"

    def __call__(
        self, thing: Any, inputs: Any = None, *, name: str = "", rtol: float | None = None, gradients: bool = False
    ) -> None:
        """Compare with the golden numbers, or write them under ``--deconv-record``.

        Parameters
        ----------
        thing
            Arrays by name; or a net, which is run on `inputs`, arrays by name.
        name
            Tells several calls of one test apart.
        rtol
            A tolerance in place of the derived one, over each blob's largest magnitude.
        gradients
            Whether a net's gradients belong to the numbers.
        """
        __tracebackhide__ = True
        from deconv_legacy.testing import Recording, assert_same, read_recording, record, subject_of

        if name in self._used:
            pytest.fail(f"deconv_golden was called twice with name={name!r} in this test", pytrace=False)
        self._used.add(name)
        if isinstance(thing, dict) and all(hasattr(value, "__array__") for value in thing.values()):
            thing = Recording.from_arrays(thing, inputs)
        elif not isinstance(thing, Recording):
            thing = subject_of(thing, backend=self.backend)
        path = self.path(name)
        if self.writes:
            kept = thing if isinstance(thing, Recording) else record(thing, inputs or {}, gradients=gradients)
            path.parent.mkdir(parents=True, exist_ok=True)
            kept.save(path)
            return
        if not path.exists():
            pytest.fail(f"there are no golden numbers {path}: run pytest --deconv-record", pytrace=False)
        try:
            assert_same(read_recording(path), thing, rtol=rtol)
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from None


@pytest.fixture
def deconv_golden(request: pytest.FixtureRequest) -> Golden:
    """Golden numbers of this test: see `Golden`."""
    backend, dtype, first = request.param
    if backend == "c":
        from deconv_legacy.engine import have_compiler

        if not have_compiler():
            pytest.skip("no C++ compiler")
    folder = Path(request.path).parent / request.config.getini("deconv_golden_dir")
    # the other parameters of the test stay in the name, the fixture's own do not
    name = request.node.name.replace(f"{backend}-{dtype}", "").replace("[-", "[").replace("-]", "]").replace("[]", "")
    stem = re.sub(r"[^\w.=-]+", "_", f"{Path(request.path).stem}.{name}").strip("_")
    writes = bool(request.config.getoption("--deconv-record")) and first
    return Golden(folder, stem, backend, dtype, writes)
