"""The convolution Ops: C and NumPy against the reference, their laws, and what they refuse."""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, PYTHON, C, aesara, at, run, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from deconv_legacy import engine, geometry, reference
from deconv_legacy.engine import Conv, ConvInputGradient, ConvWeightGradient, _blas
from deconv_legacy.engine.convolution import FusedConv
from deconv_legacy.errors import SizeError

NAMED = ("half", "full", "same", "same_lower")


@dataclass
class Case:
    """One convolution: sizes and options; its arrays are drawn from a seed of its own."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    batch: int = 2
    channels: int = 3  # of one group
    filters: int = 2  # of one group
    stride: tuple[int, ...] | int = 1
    border_mode: tuple | str | int = "valid"
    dilation: tuple[int, ...] | int = 1
    groups: int = 1
    flip: bool = False
    seed: int = 0

    @property
    def options(self):
        names = ("border_mode", "stride", "dilation", "groups", "flip")
        return {name: getattr(self, name) for name in names}

    @property
    def reference_options(self):
        """The same for the reference, which knows no border modes."""
        options = self.options
        axes = (self.sizes, self.kernel, self.stride, self.dilation)
        options["pads"] = geometry.resolve_all_pads(options.pop("border_mode"), *axes)
        return options

    @property
    def out(self):
        return geometry.conv_output_shape(self.sizes, self.kernel, self.stride, self.border_mode, self.dilation)

    @cached_property
    def arrays(self):
        """x, w, y and a bias, float64."""
        rng = np.random.default_rng(self.seed)
        shapes = (
            (self.batch, self.groups * self.channels, *self.sizes),
            (self.groups * self.filters, self.channels, *self.kernel),
            (self.batch, self.groups * self.filters, *self.out),
            (self.groups * self.filters,),
        )
        return [rng.standard_normal(shape) for shape in shapes]

    @cached_property
    def expected(self):
        """Of each Op in turn, as `outputs` builds them."""
        x, w, y, b = self.arrays
        how = self.reference_options
        plain = reference.conv(x, w, **how)
        biased = plain + b.reshape(-1, *(1,) * len(self.sizes))
        input_gradient = reference.conv_input_grad(w, y, self.sizes, **how)
        weight_gradient = reference.conv_weight_grad(x, y, self.kernel, **how)
        return [plain, input_gradient, weight_gradient, biased, np.maximum(biased, 0)]

    @property
    def scales(self):
        """What each Op's results are measured by: the largest, or where the numbers that it adds up happen to cancel,
        the root of the sum of their squares."""
        x, w, y, b = (a * a for a in self.arrays)
        how = self.reference_options
        squares = [
            reference.conv(x, w, **how),
            reference.conv_input_grad(w, y, self.sizes, **how),
            reference.conv_weight_grad(x, y, self.kernel, **how),
        ]
        roots = [np.sqrt(np.abs(a)).max(initial=0) for a in squares]
        plain, *gradients, biased, _ = (np.abs(a).max(initial=0) for a in self.expected)
        both = max(plain, biased, roots[0], np.sqrt(b).max(initial=0))
        return [max(plain, roots[0]), *np.maximum(gradients, roots[1:]), both, both]

    def outputs(self, x, w, y, b):
        ndim = len(self.sizes)
        return [
            engine.conv(x, w, **self.options),
            engine.conv_input_gradient(w, y, self.sizes, **self.options),
            engine.conv_weight_gradient(x, y, self.kernel, **self.options),
            FusedConv(ndim, **self.options)(x, w, b),
            FusedConv(ndim, **self.options, relu=True)(x, w, b),
        ]

    def values(self, backend, dtype):
        return run(backend, self.outputs, *(a.astype(dtype) for a in self.arrays))


def all_close(values, expected, dtype, scales=None):
    scales = [None] * len(expected) if scales is None else scales
    for value, wanted, scale in zip(values, expected, scales, strict=True):
        assert_close(value, wanted, dtype, scale)


@st.composite
def cases(draw):
    ndim = draw(st.integers(1, 3))

    def each(strategy):
        return tuple(draw(strategy) for _ in range(ndim))

    border_mode = draw(
        st.one_of(
            st.sampled_from(("valid", *NAMED)),
            st.just(each(st.one_of(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.sampled_from(NAMED)))),
        )
    )
    kernel, dilation = each(st.integers(1, 4)), each(st.integers(1, 3))
    # large enough to hold the kernel without any pad
    sizes = tuple(d * (k - 1) + extra for k, d, extra in zip(kernel, dilation, each(st.integers(1, 7)), strict=True))
    return Case(
        sizes,
        kernel,
        *(draw(st.integers(1, high)) for high in (3, 4, 3)),
        each(st.integers(1, 3)),
        border_mode,
        dilation,
        draw(st.integers(1, 3)),
        draw(st.booleans()),
        draw(st.integers(0, 1000)),
    )


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "jax"])
@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_equals_the_reference(backend, case, dtype):
    all_close(case.values(backend, dtype), case.expected, dtype, case.scales)


@pytest.mark.skipif("jax" not in BACKENDS, reason="no JAX")
@settings(max_examples=10, deadline=None)
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_jax_equals_the_reference(case, dtype):
    # fewer: JAX compiles each of them
    all_close(case.values("jax", dtype), case.expected, dtype, case.scales)


JAX_FORMS = {
    "fewer cells than filters: one product": Case((5, 6), (3, 4), channels=4, filters=14, flip=True),
    "the same, padded and dilated": Case(
        (4, 5), (2, 3), channels=4, filters=20, stride=(2, 1), dilation=(1, 2), border_mode=((0, 1), (2, 0))
    ),
    "strides that fit the kernel: phases": Case(
        (21, 19), (8, 6), stride=(4, 6), border_mode=((3, 0), (1, 2)), groups=2
    ),
    "the same, one product": Case((10, 14), (8, 8), batch=1, stride=(4, 4), flip=True, border_mode=((1, 1), (0, 1))),
    "many channels, few filters: shifted": Case((6, 7), (2, 3), channels=13, filters=2, border_mode=((1, 0), (2, 1))),
    "the same, strides and dilation": Case((8, 9), (2, 2), channels=11, stride=(3, 2), dilation=(2, 1), flip=True),
    "pads larger than the kernel": Case((3, 4), (3, 2), stride=(1, 2), border_mode=((6, 5), (4, 9)), dilation=(1, 2)),
    "the same, strides larger too": Case((3, 4), (1, 2), stride=(3, 4), border_mode=((6, 5), (4, 9))),
    "wide pads, more filters than a cell sees": Case((7, 6), (3, 2), channels=2, filters=13, border_mode=11, flip=True),
    "wide pads, strides and dilation": Case(
        (9, 7), (2, 3), channels=2, filters=12, stride=(1, 2), border_mode=((5, 0), (1, 7)), dilation=(2, 1)
    ),
}


@pytest.mark.skipif("jax" not in BACKENDS, reason="no JAX")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("name", JAX_FORMS)
def test_jax_in_each_form(name, device, dtype, monkeypatch):
    case = JAX_FORMS[name]
    if device == "gpu":  # the forms that are taken there, wherever this runs
        from jax import lax

        monkeypatch.setattr(lax, "platform_dependent", lambda *args, default, **others: default(*args))
    all_close(case.values("jax", dtype), case.expected, dtype, case.scales)


@pytest.mark.parametrize("mode", NAMED)
def test_border_modes_on_each_axis_apart(mode):
    # a kernel that reaches beyond the image on one axis, pads of even and odd kernels, a named and a numbered axis
    for border_mode in (mode, (mode, (2, 1)), ((0, 3), mode)):
        case = Case((3, 8), (4, 3), stride=(2, 3), border_mode=border_mode, groups=2)
        if min(n + sum(p) - k for n, p, k in zip((3, 8), case.reference_options["pads"], (4, 3), strict=True)) < 0:
            continue
        for backend in BACKENDS:
            all_close(case.values(backend, "float64"), case.expected, "float64")


TILINGS = {
    "several images a tile, the last one smaller": Case((7, 9), (3, 2), batch=41, filters=4),
    "several images, groups": Case((5, 6), (2, 3), batch=23, channels=2, groups=3, stride=(1, 2), border_mode="half"),
    "several images, pointwise": Case((6, 5), (1, 1), batch=19, channels=5, filters=4),
    "blocks of channels": Case((9, 8), (3, 3), batch=1, channels=150, filters=5, border_mode=1),
    "blocks of channels, several images": Case((4, 5), (3, 3), batch=9, channels=140, filters=3, flip=True),
    "one image, many filters": Case((6, 5), (2, 3), batch=1, filters=37),
    "fewer filters than threads": Case((6, 5), (2, 3), batch=1, channels=7, filters=3),
    "pointwise": Case((61, 47), (1, 1), channels=5, filters=7),
    "pointwise, padded": Case((31, 47), (1, 1), channels=2, border_mode=((0, 2), (1, 0))),
    "pointwise, groups": Case((61, 47), (1, 1), channels=2, groups=3),
    "one channel": Case((11, 6), (3, 2), batch=1, channels=1, filters=1),
    "tiles of one large image": Case((83, 91), (3, 2), batch=1, border_mode=((2, 0), (1, 3))),
    "tiles of one large image, stride": Case((120, 131), (4, 3), batch=1, stride=(1, 2), dilation=(2, 1)),
    "tiles of large images, groups": Case((75, 61), (2, 3), channels=2, groups=2, flip=True),
    "more taps than rows of a block": Case((45, 41), (38, 33), batch=1, channels=2, border_mode="full", stride=(9, 8)),
    "one axis": Case((5003,), (5,), channels=2, stride=2, border_mode=((3, 1),)),
    "three axes": Case((13, 17, 15), (2, 3, 2), batch=1, channels=2, border_mode=((1, 0), (0, 2), (1, 1))),
    "rows longer than a tile": Case((3, 5000), (2, 3), batch=1, channels=1, stride=(1, 2)),
}


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    """The number of OpenMP threads of the C code."""
    library = ctypes.util.find_library("gomp")
    if not library or "c" not in BACKENDS:
        pytest.skip("no OpenMP")
    openmp = ctypes.CDLL(library)
    before = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(request.param)
    yield request.param
    openmp.omp_set_num_threads(before)


@pytest.mark.parametrize("case", TILINGS.values(), ids=TILINGS)
def test_tilings(case, threads):
    all_close(case.values("c", "float64"), case.expected, "float64")
    values = case.values("c", "float32")
    all_close(values, case.expected, "float32")
    # with one number of threads the same bits come out
    for value, again in zip(values, case.values("c", "float32"), strict=True):
        np.testing.assert_array_equal(value, again)


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "c"])
@pytest.mark.parametrize(
    "name",
    [
        "blocks of channels, several images",
        "tiles of one large image, stride",
        "tiles of large images, groups",
        "several images a tile, the last one smaller",
        "more taps than rows of a block",
        "one axis",
        "rows longer than a tile",
    ],
)
def test_long_sums_without_c(name, backend):
    case = TILINGS[name]
    all_close(case.values(backend, "float32"), case.expected, "float32", case.scales)


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
def test_threads_of_blas_are_given_back():
    blas = _blas.find()
    if not blas.get_threads:
        pytest.skip("a BLAS without adjustable threads")
    get_threads, set_threads = ctypes.CFUNCTYPE(ctypes.c_int), ctypes.CFUNCTYPE(None, ctypes.c_int)
    before = get_threads(blas.get_threads)()
    set_threads(blas.set_threads)(3)
    try:
        TILINGS["one axis"].values("c", "float32")
        assert get_threads(blas.get_threads)() == 3
    finally:
        set_threads(blas.set_threads)(before)


# Gradients


def bilinear(case):
    """For each Op: its function of two tensors, and two points."""
    x, w, y, _ = case.arrays
    return {
        "conv": (lambda a, b: engine.conv(a, b, **case.options), x, w),
        "input gradient": (lambda a, b: engine.conv_input_gradient(a, b, case.sizes, **case.options), w, y),
        "weight gradient": (lambda a, b: engine.conv_weight_gradient(a, b, case.kernel, **case.options), x, y),
    }


GRADIENTS = [
    Case((4,), (3,), 1, 2, 1, stride=2, border_mode="same_lower"),
    Case((4, 5), (2, 3), 2, 2, 1, (1, 2), ((1, 0), "half"), (2, 1), groups=2, flip=True),
    Case((2, 3, 4), (2, 1, 2), 1, 1, 2, (1, 2, 3), ((0, 1), (0, 0), (2, 0))),
]


@pytest.mark.parametrize("case", GRADIENTS, ids=["1d", "2d", "3d"])
@pytest.mark.parametrize("op", ["conv", "input gradient", "weight gradient"])
def test_numerical_gradient(op, case):
    f, a, b = bilinear(case)[op]
    aesara.gradient.verify_grad(f, [a, b], rng=np.random.RandomState(3), mode=C if "c" in BACKENDS else PYTHON)


@pytest.mark.parametrize("op", ["conv", "input gradient", "weight gradient"])
def test_numerical_second_gradient(op):
    case = Case((3, 4), (2, 2), 1, 1, 1, (1, 2), ((1, 0), (0, 1)), flip=True)
    f, a, b = bilinear(case)[op]

    def gradients(a, b):
        first = aesara.grad((f(a, b) ** 3).sum(), [a, b])
        return at.concatenate([g.flatten() for g in first])

    aesara.gradient.verify_grad(gradients, [a, b], rng=np.random.RandomState(3), mode=C if "c" in BACKENDS else PYTHON)


@pytest.mark.parametrize("op", ["conv", "input gradient", "weight gradient"])
def test_r_op(op):
    case = GRADIENTS[1]
    f, a, b = bilinear(case)[op]
    rng = np.random.default_rng(5)
    da, db = rng.standard_normal(a.shape), rng.standard_normal(b.shape)

    def build(a, b, da, db):
        y = f(a, b)
        # the difference quotient of a bilinear function is exact
        quotient = (f(a + da, b + db) - f(a - da, b - db)) / 2
        return [aesara.gradient.Rop(y, [a, b], [da, db]), quotient, aesara.gradient.Rop(y, b, db), f(a, db)]

    both, quotient, second, partial = run("python", build, a, b, da, db)
    np.testing.assert_allclose(both, quotient, rtol=0, atol=1e-12 * np.abs(quotient).max())
    np.testing.assert_array_equal(second, partial)


def test_gradient_past_symbolic_sizes():
    """A size made of the input's own shape carries no gradient, and does not stop one."""
    case = Case((9, 10), (3, 2), stride=2, border_mode=((1, 0), (0, 1)))
    x, w, y, _ = case.arrays

    def build(x, w, y):
        sizes = [x.shape[2], 2 * y.shape[3]]
        cost = (engine.conv_input_gradient(w, y, sizes, **case.options) ** 2).sum() / 2
        with pytest.raises(aesara.gradient.DisconnectedInputError):
            aesara.grad(cost, x)
        return [cost, *aesara.grad(cost, [w, y])]

    how = case.reference_options
    image = reference.conv_input_grad(w, y, case.sizes, **how)
    expected = [(image**2).sum() / 2, reference.conv_weight_grad(image, y, case.kernel, **how)]
    expected.append(reference.conv(image, w, **how))
    all_close(run("python", build, x, w, y), expected, "float64")


# Shapes


def engine_nodes(function):
    ops = (Conv, ConvInputGradient, ConvWeightGradient, FusedConv)
    return [node.op for node in function.maker.fgraph.toposort() if isinstance(node.op, ops)]


@pytest.mark.parametrize("border_mode", ["valid", *NAMED, ((0, 2), "same")])
def test_shapes_without_computing(border_mode):
    case = Case((8, 9), (3, 2), stride=(3, 2), border_mode=border_mode, dilation=(1, 3), groups=2)
    variables = tensors(*case.arrays)
    x, w, y, b = variables
    sizes = at.lvector("sizes")
    outputs = [
        engine.conv(x, w, **case.options),
        FusedConv(2, **case.options)(x, w, b),
        engine.conv_input_gradient(w, y, sizes, **case.options),
        engine.conv_weight_gradient(x, y, [w.shape[2], sizes[1] // 4], **case.options),
    ]
    shapes = engine.compile([*variables, sizes], [o.shape for o in outputs], backend="numpy", on_unused_input="ignore")
    assert not engine_nodes(shapes)
    plain, image, filters, fused, _ = case.expected
    values = shapes(*case.arrays, case.sizes)
    assert [tuple(v) for v in values] == [a.shape for a in (plain, fused, image, filters)]


def test_static_shapes():
    case = Case((8, 9), (3, 2), stride=(3, 2), border_mode=("same", (1, 0)), groups=2)
    static = [at.TensorType("float32", shape=a.shape)() for a in case.arrays]
    shapes = [output.type.shape for output in case.outputs(*static)]
    assert shapes == [value.shape for value in case.expected]
    partly = at.TensorType("float32", shape=(None, 6, None, 9))()
    assert engine.conv(partly, static[1], **case.options).type.shape == (None, 4, None, case.out[1])
    size = [at.lscalar(), np.int64(9)]
    assert engine.conv_input_gradient(static[1], static[2], size, **case.options).type.shape == (2, 6, None, 9)
    kernel = [3, at.lscalar()]
    assert engine.conv_weight_gradient(static[0], static[2], kernel, **case.options).type.shape == (4, 3, 3, None)


# What is accepted


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "size",
    [
        (9, 10),
        [np.int64(9), np.uint8(10)],
        np.array([9, 10]),
        at.constant(np.array([9, 10], "int32")),
        (at.constant(9), 10),
        (at.lscalar("n"), 10),
        (at.bscalar("n"), at.constant(np.int64(10))),
        at.lvector("sizes"),
        at.TensorType("int32", shape=(2,))("sizes"),
    ],
    ids=str,
)
def test_sizes_in_every_form(size, backend):
    case = Case((9, 10), (3, 2), stride=2, flip=True)
    _, w, y, _ = case.arrays
    variables = tensors(w, y)
    sizes = size if isinstance(size, tuple) else [size]
    free = [v for v in sizes if isinstance(v, at.TensorVariable) and not isinstance(v, at.TensorConstant)]
    image = engine.conv_input_gradient(*variables, size, **case.options)
    numbers = [(9, 10) if v.ndim else 9 for v in free]
    f = aesara.function([*variables, *free], image, mode=C if backend == "c" else PYTHON)
    all_close([f(w, y, *numbers)], case.expected[1:2], "float64")


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_inputs(backend):
    case = Case((6, 5), (3, 2), groups=2, stride=(2, 1))
    x, w, y, b = case.arrays
    views = [
        np.asfortranarray(x),
        np.ascontiguousarray(w[::-1, :, ::-1, ::-1])[::-1, :, ::-1, ::-1],
        np.repeat(y, 3, axis=3)[..., ::3],
        np.repeat(b, 2)[::2],
    ]
    assert not any(v.flags.c_contiguous for v in views)
    all_close(run(backend, case.outputs, *views), case.expected, "float64")
    # without a copy by the function's input: made inside the graph
    inside = run(backend, lambda x, w: engine.conv(x.transpose(0, 1, 3, 2), w, **case.options), x.swapaxes(2, 3), w)
    all_close([inside], case.expected[:1], "float64")


@pytest.mark.parametrize("backend", BACKENDS)
def test_storage_of_earlier_calls(backend):
    """Results of one call stay as they are when others follow, of other sizes and of the same."""
    x, w = tensors(*Case((3, 4), (2, 2)).arrays[:2])
    options = dict(stride=(1, 2), border_mode="half")
    outputs = [engine.conv(x, w, **options), engine.relu(engine.conv(x, w, **options))]
    mode = "c" if backend == "c" else "numpy"
    f = engine.compile([x, w], outputs, backend=mode)
    g = aesara.function([x, w], outputs[1].sum(), mode=aesara.compile.mode.Mode("vm", "fast_compile"))
    todo = [Case((5, 6), (2, 3), 2, seed=1, **options), Case((4, 7), (2, 3), 3, seed=2, **options)]
    results = [(case, f(*case.arrays[:2])) for case in todo * 2 + [todo[1]]]
    for case, values in results:
        plain = case.expected[0]
        all_close(values, [plain, np.maximum(plain, 0)], "float64")
        np.testing.assert_allclose(g(*case.arrays[:2]), np.maximum(plain, 0).sum())


@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_and_integer_inputs(backend):
    case = Case((5, 4), (2, 3), stride=2)
    x, w, y, b = case.arrays
    single = [x.astype("float32"), y.astype("float32")]
    case.arrays = [single[0].astype("float64"), w, single[1].astype("float64"), b]

    def build(x, y, w, b):
        with_doubles = case.outputs(x, w, y, b)
        with_doubles[2] = case.outputs(x, w, y.astype("float64"), b)[2]
        return with_doubles

    all_close(run(backend, build, *single, w, b), case.expected, "float64")
    # an integer image meets float filters as in NumPy
    assert engine.conv(at.TensorType("uint8", shape=(None,) * 4)(), at.ftensor4()).dtype == "float32"
    assert engine.conv(at.ltensor4(), at.ftensor4()).dtype == "float64"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_not_finite(backend, value):
    """It spreads to what it meets, and to nothing else."""
    case = Case((6, 7), (3, 2), stride=(2, 1), border_mode=((1, 0), (0, 1)), groups=2)
    x, _, y, b = case.arrays
    x[1, 4, 3, 2] = y[0, 1, 2, 3] = b[2] = value
    for result, expected in zip(case.values(backend, "float64"), case.expected, strict=True):
        np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
        np.testing.assert_array_equal(np.isinf(result), np.isinf(expected))
        finite = np.isfinite(expected)
        assert not finite.all() or value == -np.inf
        np.testing.assert_allclose(result[finite], expected[finite], rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("empty", ["batch", "channels", "filters"])
@pytest.mark.parametrize("groups", [1, 2])
def test_empty(backend, empty, groups):
    """Without images, channels or filters: the right shapes, and sums of nothing are 0."""
    case = Case((4, 5), (2, 3), stride=2, groups=groups, **{empty: 0})
    _, w, _, b = case.arrays
    plain, image, filters, biased, rectified = case.values(backend, "float64")
    assert plain.shape == (case.batch, w.shape[0], 2, 2) and image.shape == (case.batch, w.shape[1] * groups, 4, 5)
    assert filters.shape == w.shape
    assert not plain.any() and not image.any() and not filters.any()
    np.testing.assert_array_equal(biased, np.broadcast_to(b.reshape(-1, 1, 1), plain.shape))
    np.testing.assert_array_equal(rectified, np.maximum(biased, 0))


# What is refused


def shaped(*shape, dtype="float64"):
    return at.TensorType(dtype, shape=shape)()


X, W, Y = at.dtensor4("x"), at.dtensor4("w"), at.dtensor4("y")


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: engine.conv(X, W, stride=0), "stride"),
        (lambda: engine.conv(X, W, stride=(1, 0)), "stride"),
        (lambda: engine.conv(X, W, stride=(2,)), "stride"),
        (lambda: engine.conv(X, W, stride=1.5), "stride"),
        (lambda: engine.conv(X, W, dilation=0), "dilation"),
        (lambda: engine.conv(X, W, groups=0), "groups"),
        (lambda: engine.conv(X, W, groups=-1), "groups"),
        (lambda: engine.conv(X, W, border_mode=-1), "border_mode"),
        (lambda: engine.conv(X, W, border_mode="sane"), "'sane'.*'same'"),
        (lambda: engine.conv(X, W, border_mode=(1, 2, 3)), "border_mode"),
        (lambda: engine.conv(X, at.dtensor3()), "Conv.*filters: 3 axes where 4"),
        (lambda: engine.conv(at.dmatrix(), at.dmatrix()), "0 spatial axes"),
        (lambda: engine.conv(shaped(*(None,) * 6), W), "4 spatial axes"),
        (lambda: engine.conv(shaped(1, 3, 5, 5), shaped(2, 4, 3, 3)), "3 channels.*take 4"),
        (lambda: engine.conv(shaped(1, 4, 5, 5), shaped(2, 4, 3, 3), groups=2), "4 channels.*take 8"),
        (lambda: engine.conv(shaped(1, 3, 5, 5), W, groups=2), "3 input channels.*2 groups"),
        (lambda: engine.conv(X, shaped(3, 1, 2, 2), groups=2), "3 filters.*2 groups"),
        (lambda: engine.conv(shaped(1, 3, 5, 2), shaped(2, 3, 3, 3)), "axis 3: a kernel of 3.*size 2"),
        (lambda: engine.conv(shaped(1, 3, 5, 2), shaped(2, 3, 3, 0)), "0 taps on axis 3"),
        (lambda: engine.conv(shaped(1, 3, 0, 2), shaped(2, 3, 1, 1)), "size.*0"),
        (lambda: engine.conv_input_gradient(W, Y, (5, 0)), "size"),
        (lambda: engine.conv_input_gradient(W, Y, (5, 5, 5)), "size"),
        (lambda: engine.conv_input_gradient(W, Y, (5.0, 5)), "size"),
        (lambda: engine.conv_input_gradient(W, Y, at.constant([5, -5])), "size"),
        (lambda: engine.conv_input_gradient(W, Y, at.constant([5, 5, 5])), "size"),
        (lambda: engine.conv_input_gradient(W, Y, (at.lscalar(), at.lscalar(), 5)), "size"),
        (lambda: engine.conv_input_gradient(W, Y, (at.lscalar(), -5)), "size"),
        (lambda: engine.conv_input_gradient(W, Y, shaped(3, dtype="int64")), "size"),
        (lambda: engine.conv_input_gradient(shaped(3, 2, 1, 1), shaped(1, 4, 5, 5), (5, 5)), "4 channels.*3 filters"),
        (lambda: engine.conv_weight_gradient(shaped(2, 3, 5, 5), shaped(1, 4, 5, 5), (1, 1)), "batches of 2 and 1"),
        (lambda: engine.conv_weight_gradient(shaped(1, 3, 5, 5), shaped(1, 4, 5, 4), (1, 1)), "axis 3.*5, not 4"),
    ],
)
def test_refused_when_built(build, words):
    with pytest.raises(SizeError, match=words):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: engine.conv(at.ltensor4(), at.itensor4()),
        lambda: engine.conv(at.ztensor4(), W),
        lambda: engine.conv(X.astype("float16"), W.astype("float16")),
        lambda: engine.conv_input_gradient(W, Y, (at.dscalar(), 5)),
        lambda: engine.conv_input_gradient(W, Y, at.dvector()),
        lambda: engine.conv_input_gradient(W, Y, at.lmatrix()),
        lambda: engine.relu(at.lvector()),
        lambda: FusedConv(2)(X, W, at.fvector()),
    ],
)
def test_wrong_types(build):
    with pytest.raises(TypeError):
        build()


def test_illegal_size_names_the_legal_ones():
    """The post with 4 -> 4: axis, actual size, computed size and both legal sizes, and the first bad axis."""
    w, y = shaped(8, 3, 3, 3), shaped(None, 8, 4, 7)
    with pytest.raises(SizeError) as error:
        engine.conv_input_gradient(w, y, (4, 14), stride=2, border_mode="same")
    assert (error.value.axis, error.value.actual, error.value.computed) == (2, 4, 2)
    assert error.value.legal == (7, 8)
    assert "ConvInputGradient" in str(error.value)
    with pytest.raises(SizeError) as error:
        engine.conv_input_gradient(w, y, (at.lscalar(), 7), stride=2, border_mode="same")
    assert (error.value.axis, error.value.actual, error.value.computed, error.value.legal) == (3, 7, 4, (13, 14))


@pytest.mark.parametrize("backend", BACKENDS)
def test_refused_when_run(backend):
    ones = np.ones
    mode = C if backend == "c" else PYTHON
    size = at.lvector("size")
    forward = aesara.function([X, W], engine.conv(X, W, groups=2, border_mode=1), mode=mode)
    transpose = aesara.function([W, Y, size], engine.conv_input_gradient(W, Y, size, stride=2), mode=mode)
    filters = aesara.function([X, Y, size], engine.conv_weight_gradient(X, Y, size, stride=2, groups=2), mode=mode)
    b = at.dvector()
    fused = aesara.function([X, W, b], FusedConv(2)(X, W, b), mode=mode)
    x, w, y = ones((1, 4, 9, 9)), ones((2, 3, 3, 3)), ones((1, 2, 4, 4))
    fits = ones((2, 2, 2, 2))
    for call, words in [
        (lambda: forward(ones((1, 5, 3, 3)), fits), r"groups=2.*5 input channels cannot be cut into 2"),
        (lambda: forward(x, ones((3, 2, 2, 2))), "3 filters cannot be cut into 2"),
        (lambda: forward(ones((1, 6, 3, 3)), fits), "6 channels.*take 4"),
        (lambda: forward(ones((1, 4, 3, 3)), ones((2, 2, 6, 2))), "axis 2: a kernel of 6.*5 with its pads 1 and 1"),
        (lambda: forward(x, ones((2, 2, 0, 2))), "0 taps on axis 2"),
        (lambda: forward(ones((1, 4, 0, 3)), fits), "size.*0"),
        (lambda: transpose(w, y, [9, 12]), r"axis 3.*12.*4 \(actual\).*5 \(computed\); legal sizes: 9, 10"),
        (lambda: transpose(w, y, [8, 9]), "axis 2.*legal sizes: 9, 10"),
        (lambda: transpose(w, y, [9, 10**15]), "legal sizes: 9, 10"),
        (lambda: transpose(w, y, [9, 0]), "size.*0"),
        (lambda: transpose(w, y, [9, -1]), "size.*-1"),
        (lambda: transpose(w, y, [9]), "1 entries for 2 axes"),
        (lambda: transpose(w, y, [9, 9, 9]), "3 entries for 2 axes"),
        (lambda: transpose(w, y[:, :1], [9, 9]), "1 channels.*2 filters"),
        (lambda: filters(x[:, :3], y, [3, 3]), "3 input channels"),
        (lambda: filters(x, y[:, :1], [3, 3]), "1 filters"),
        (lambda: filters(x[[0, 0]], y, [3, 3]), "batches of 2 and 1"),
        (lambda: filters(x, y, [3, 5]), "axis 3.*3, not 4"),
        (lambda: filters(x, y, [3, 0]), "0 taps"),
        (lambda: filters(x, y, [3, -2]), "-2 taps"),
        (lambda: filters(x, y, [3]), "1 entries for 2 axes"),
        (lambda: fused(ones((1, 3, 4, 4)), w, ones(3)), "FusedConv.*3 numbers for 2 filters"),
        (lambda: fused(ones((1, 4, 4, 4)), w, ones(2)), "4 channels.*take 3"),
    ]:
        with pytest.raises(SizeError, match=words):
            call()
    assert forward(x, fits).shape == (1, 2, 10, 10)  # and nothing is broken afterwards


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
def test_wrong_data_of_another_op_is_noticed():
    """C code must not read what a faulty Op before it declared to be something else."""

    @aesara.compile.ops.as_op(itypes=[at.dtensor4], otypes=[at.dtensor4])
    def lies(x):
        return x.astype("float32")

    f = aesara.function([X, W], engine.conv(lies(X), W), mode=C)
    with pytest.raises(TypeError):
        f(np.ones((1, 1, 3, 3)), np.ones((1, 1, 1, 1)))
