"""Which BLAS is found, that its functions lie where we say, and the user's word on it."""

import ctypes

import numpy as np
import pytest

from deconv_legacy.engine import _blas, _blas_flags


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Sets AESARA_FLAGS and the text of a .aesararc."""

    def set_(flags=None, text=None):
        path = tmp_path / "rc"
        if text is not None:
            path.write_text(text)
        monkeypatch.setenv("AESARARC", str(path))
        if flags is None:
            monkeypatch.delenv("AESARA_FLAGS", raising=False)
        else:
            monkeypatch.setenv("AESARA_FLAGS", flags)

    return set_


@pytest.mark.parametrize(
    "flags, text, expected",
    [
        (None, None, None),
        ("floatX=float32", "[global]\nfloatX = float32\n", None),
        ("blas__ldflags=", None, ""),
        ('floatX=float32,blas__ldflags="-L/a/b,c -lblas"', None, "-L/a/b,c -lblas"),
        (None, "[blas]\nldflags = -lopenblas\n", "-lopenblas"),
        (None, "[global]\nblas__ldflags = -lmkl_rt\n", "-lmkl_rt"),
        (None, "[blas]\nldflags =\n", ""),
        ("blas__ldflags=-lcblas", "[blas]\nldflags = -lopenblas\n", "-lcblas"),
        (None, "no section\n", None),
    ],
)
def test_user_ldflags(settings, flags, text, expected):
    settings(flags, text)
    assert _blas_flags.user_ldflags() == expected


@pytest.mark.parametrize(
    "name, flags",
    [
        ("site/scipy.libs/libopenblasp-r0-1a.so", "-L{}/site/scipy.libs -l:libopenblasp-r0-1a.so"),
        ("site/scipy.libs/libscipy_openblas-1a.so", None),  # its symbols have another name
        ("my site/scipy.libs/libopenblasp-r0-1a.so", None),  # Aesara cuts its flags at blanks
        ("site/other.libs/libopenblasp-r0-1a.so", None),
    ],
)
def test_scipy_ldflags(monkeypatch, tmp_path, name, flags):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setattr("sys.path", [str(tmp_path / name.split("/")[0])])
    assert _blas_flags.scipy_ldflags() == (flags and flags.format(tmp_path))


def test_libraries_by_their_flags():
    if WHEEL is not None and not WHEEL.name.startswith("libscipy_"):  # whose symbols have another name
        assert _blas._library_of(f"-L/nowhere -L{WHEEL.parent} -l:{WHEEL.name}") == str(WHEEL)
    assert _blas._library_of("-lm") is None  # it has no gemm
    assert _blas._library_of("-L/nowhere -lno_such_library") is None
    assert _blas._library_of("") is None


WHEEL = _blas_flags.scipy_openblas()
SOURCES = {"found": _blas.find, "cython": _blas._from_cython}
if WHEEL is not None:
    SOURCES["wheel"] = lambda: _blas._from_library(str(WHEEL))


@pytest.mark.parametrize("get", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_addresses_are_those_of_gemm(get, dtype):
    blas = get()
    real = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
    pointer = ctypes.c_void_p
    gemm = ctypes.CFUNCTYPE(None, *[pointer] * 13)(blas.sgemm if dtype == "float32" else blas.dgemm)
    rng = np.random.default_rng(1)
    a, b = (np.asfortranarray(rng.standard_normal(shape).astype(dtype)) for shape in ((4, 3), (3, 2)))
    c = np.full((4, 2), np.nan, dtype, order="F")

    def integer(n):
        return ctypes.byref(ctypes.c_int(n))

    no, one, zero = ctypes.c_char_p(b"N"), ctypes.byref(real(1)), ctypes.byref(real(0))
    numbers = [integer(n) for n in (4, 2, 3)]
    gemm(no, no, *numbers, one, a.ctypes.data, integer(4), b.ctypes.data, integer(3), zero, c.ctypes.data, integer(4))
    np.testing.assert_allclose(c, a @ b, rtol=1e-6)


def test_threads_are_adjustable_or_not_offered():
    *_, get_threads, set_threads, state = _blas.addresses()
    assert bool(get_threads) == bool(set_threads)
    assert state == _blas.addresses()[-1]  # one for all modules
