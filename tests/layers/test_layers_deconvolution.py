"""The deconvolution layer: Theano's own numbers, the sizes it may have, and how it refuses the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_helpers import BACKENDS, at, gradients

from deconv_legacy import engine, geometry, reference
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    ConvolutionLayer,
    Deconvolution3DLayer,
    DeconvolutionLayer,
    InputLayer,
    PoolLayer,
    UpscoreLayer,
    maps_from_ancestors,
)

THEANO = np.load(Path(__file__).parents[1] / "data" / "theano" / "deconvolutions.npz")
THEANO_CASES = list(enumerate(json.loads(str(THEANO["notes"]))))


def keywords_of(case):
    pad = case["pad"] if isinstance(case["pad"], str) else tuple(case["pad"])
    rule = dict(stride=case["stride"], padding=pad, dilation=case["dilation"], groups=case["groups"])
    return dict(rule, filter_flip=case["flip"])


def layer_of(number, case, **more):
    x = InputLayer((None, case["filter_shape"][0], *(None,) * len(case["n"])), name="x")
    return x, DeconvolutionLayer(x, case["filter_shape"], **keywords_of(case), W=THEANO[f"{number}/w"], **more)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("number", "case"), THEANO_CASES)
def test_equals_theano_bit_for_bit(number, case, backend):
    """Values and both gradients, for the smallest and the largest legal size; all sums are exact in float32."""
    size, g = at.lvector("size"), at.tensor("float32", shape=(None,) * (2 + len(case["n"])))
    x, layer = layer_of(number, case, output_size=size)
    outputs = [layer.output, *gradients(layer.output, [x.output, layer.W], g)]
    function = engine.compile([x.output, size, g], outputs, backend=backend)
    for name in ("smallest", "largest"):
        expected = [THEANO[f"{number}/{name}/{key}"] for key in ("y", "gx", "gw")]
        asked = expected[0].shape[2:]
        for value, wanted in zip(
            function(THEANO[f"{number}/x"], asked, THEANO[f"{number}/{name}/g"]), expected, strict=True
        ):
            np.testing.assert_array_equal(value, wanted)
            assert value.dtype == wanted.dtype == np.float32


@pytest.mark.parametrize(("number", "case"), THEANO_CASES)
def test_takes_the_sizes_that_theano_takes(number, case):
    smallest = [sizes[0] for sizes in case["legal"]]
    x = InputLayer((2, case["filter_shape"][0], *case["n"]))
    keywords = keywords_of(case)
    assert DeconvolutionLayer(x, case["filter_shape"], **keywords).output_shape[2:] == tuple(smallest)
    for axis, tried in enumerate(case["tried"]):
        for size in tried:
            asked = [*smallest[:axis], size, *smallest[axis + 1 :]]
            if size in case["legal"][axis]:
                layer = DeconvolutionLayer(x, case["filter_shape"], **keywords, output_size=asked)
                assert layer.output_shape[2:] == tuple(asked)
                continue
            with pytest.raises(SizeError) as error:
                DeconvolutionLayer(x, case["filter_shape"], **keywords, output_size=asked)
            assert list(error.value.legal) == case["legal"][axis]
            assert (error.value.axis, error.value.actual) == (2 + axis, case["n"][axis])


def test_signature_and_attributes_of_the_post():
    x = at.tensor4("x", dtype="float32")
    layer = DeconvolutionLayer(x, (4, 3, 5, 2), (2, 3), (1, 0), "up")
    assert [p.name for p in layer.params] == ["up.W"] and layer.params[0] is layer.W
    assert layer.W.get_value().shape == (4, 3, 5, 2)
    assert 0.005 < layer.W.get_value().std() < 0.02
    assert layer.output_shape == (None, 3, None, None)
    assert layer.input is x and layer.b is None and not layer.frozen
    assert DeconvolutionLayer(x, (4, 3, 5, 2), 2).padding == ((0, 0), (0, 0))
    assert DeconvolutionLayer(x, (4, 3, 5, 2), 2).name == "deconv"


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_function_for_images_of_every_size(backend):
    x = at.tensor4("x", dtype="float64")
    w = np.random.default_rng(0).standard_normal((3, 2, 4, 3))
    layer = DeconvolutionLayer(x, (3, 2, 4, 3), (2, 3), (1, 0), W=w, name="up")
    function = engine.compile([x], layer.output, backend=backend)
    for batch, *n in [(1, 1, 1), (2, 3, 5), (1, 6, 2)]:
        value = np.random.default_rng(1).standard_normal((batch, 3, *n))
        size = [2 * (n[0] - 1) + 4 - 2, 3 * (n[1] - 1) + 3]
        expected = reference.conv_input_grad(w, value, size, (2, 3), (1, 0), flip=True)
        assert_close(function(value), expected)


@pytest.mark.parametrize("mode", ["valid", "half", "full", "same", "same_lower", (1, 0), ((0, 1), (1, 2))])
def test_symbolic_default_sizes_are_those_of_known_ones(mode):
    """The smallest size computed by the graph is the one that geometry gives, for every border mode."""
    x = at.tensor4("x", dtype="float32")
    layer = DeconvolutionLayer(x, (2, 1, 3, 2), (3, 2), mode, dilation=(1, 3))
    shape = engine.compile([x], layer.output.shape, backend="numpy")
    for n in [(3, 4), (5, 3)]:
        known = DeconvolutionLayer(InputLayer((1, 2, *n)), (2, 1, 3, 2), (3, 2), mode, dilation=(1, 3))
        assert tuple(shape(np.zeros((1, 2, *n), "float32"))) == known.output_shape


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5), st.integers(0, 3), st.integers(1, 3))
def test_stride_sizes_are_legal_and_all_others_refused(n, kernel, stride, pad, dilation):
    """By counting: a size is legal if a forward convolution layer makes n of it."""
    span = dilation * (kernel - 1) + 1
    smallest = stride * (n - 1) + span - 2 * pad
    if smallest < 1:
        return
    x = InputLayer((1, 1, n, 1))
    rule = dict(stride=(stride, 1), padding=(pad, 0), dilation=(dilation, 1))

    def forward(size):
        try:
            return ConvolutionLayer(InputLayer((1, 1, size, 1)), (1, 1, kernel, 1), **rule).output_shape[2]
        except SizeError:
            return 0

    legal = [size for size in range(1, smallest + 2 * stride + span) if forward(size) == n]
    assert len(legal) == stride
    assert DeconvolutionLayer(x, (1, 1, kernel, 1), **rule).output_shape[2] == legal[0]
    for size in {*range(max(1, legal[0] - 2), legal[-1] + 3)}:
        ask = dict(output_size=(size, None), name="up")
        if size in legal:
            assert DeconvolutionLayer(x, (1, 1, kernel, 1), **rule, **ask).output_shape == (1, 1, size, 1)
            continue
        with pytest.raises(SizeError, match=r"up \(DeconvolutionLayer\): axis 2: ") as error:
            DeconvolutionLayer(x, (1, 1, kernel, 1), **rule, **ask)
        found = error.value
        assert (found.axis, found.actual, found.computed) == (2, n, forward(size))
        assert list(found.legal) == legal


@pytest.mark.parametrize(
    ("n", "asked", "axis", "actual", "computed", "legal"),
    [
        ((4, 4), (4, 4), 2, 4, 2, (7, 8)),
        ((7, 7), (7, 7), 2, 7, 4, (13, 14)),
        ((7, 4), (14, 9), 3, 4, 5, (7, 8)),
        ((4, 7), (9, 14), 2, 4, 5, (7, 8)),
    ],
)
def test_the_sizes_that_were_asked_for(n, asked, axis, actual, computed, legal):
    """The autoencoder of 2016: stride 2, SAME, the encoder's 112-56-28-14-7-4 and its wrong way back."""
    with pytest.raises(SizeError, match=r"^deconv3 \(DeconvolutionLayer\): ") as error:
        DeconvolutionLayer(InputLayer((None, 8, *n)), (8, 3, 3, 3), 2, "same", "deconv3", output_size=asked)
    found = error.value
    assert (found.axis, found.actual, found.computed, found.legal) == (axis, actual, computed, legal)
    for text in (
        f"size {actual} (actual)",
        f"{computed} (computed)",
        f"legal sizes: {legal[0]}, {legal[1]}",
        "stride 2",
    ):
        assert text in str(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_illegal_size_is_refused_when_it_runs(backend):
    x, size = at.tensor4("x", dtype="float32"), at.lscalar("size")
    layer = DeconvolutionLayer(x, (3, 2, 3, 4), (2, 3), name="up", output_size=(size, None))
    function = engine.compile([x, size], layer.output, backend=backend)
    image = np.zeros((1, 3, 4, 5), "float32")
    assert function(image, 9).shape == (1, 2, 9, 16) and function(image, 10).shape == (1, 2, 10, 16)
    with pytest.raises(SizeError, match=r"^up \(DeconvolutionLayer\): .*axis 2.*legal sizes: 9, 10") as error:
        function(image, 12)
    found = error.value
    assert (found.axis, found.actual, found.computed, found.legal) == (2, 4, 5, (9, 10))


def test_numbers_of_the_volumes_post():
    """A 1x1x1 volume, kernel 5, stride 4: 5 .. 8 are legal, in the layer for volumes as in the general one."""
    x, shape = InputLayer((10, 10, 1, 1, 1)), (10, 20, 5, 5, 5)
    assert Deconvolution3DLayer(x, shape, 4).output_shape == (10, 20, 5, 5, 5)
    for size in range(1, 12):
        for layer in (Deconvolution3DLayer, DeconvolutionLayer):
            if 5 <= size <= 8:
                assert layer(x, shape, 4, output_size=size).output_shape[2:] == (size,) * 3
            else:
                with pytest.raises(SizeError) as error:
                    layer(x, shape, 4, output_size=size)
                assert error.value.computed == (0 if size < 5 else 2) and error.value.legal == (5, 6, 7, 8)
    with pytest.raises(SizeError, match=r"deconv3d \(Deconvolution3DLayer\).*5 entries"):
        Deconvolution3DLayer(InputLayer((1, 2, 3, 4)), (2, 1, 3, 3), 2)


def test_the_beginning_of_a_larger_output_is_the_smaller_one_and_the_rest_zeros():
    x = InputLayer((1, 3, 1, 1, 1), dtype="float64")
    w = np.random.default_rng(3).standard_normal((3, 2, 5, 5, 5))
    layer = Deconvolution3DLayer(x, w.shape, 4, output_size=(8, 7, 5), W=w, filter_flip=False)
    value = np.array([0.5, -2.0, 1.0]).reshape(1, 3, 1, 1, 1)
    y = engine.compile([x.output], layer.output, backend="numpy")(value)
    expected = np.zeros((1, 2, 8, 7, 5))
    expected[:, :, :5, :5, :5] = np.einsum("nc...,cm...->nm...", value, w)
    assert_close(y, expected)


def encoder(x, kernel, stride, padding, steps):
    layers = [x]
    for i in range(steps):
        shape = (i + 2, layers[-1].output_shape[1], *kernel)
        layers.append(ConvolutionLayer(layers[-1], shape, stride, padding, f"conv{i}"))
    return layers


def test_a_mirror_leads_back_where_doubling_does_not():
    """112-56-28-14-7-4 and back, with the numbers of the post; `like` names each size."""
    layers = encoder(InputLayer((None, 3, 112, 112)), (3, 3), 2, "same", 5)
    assert [layer.output_shape[2] for layer in layers] == [112, 56, 28, 14, 7, 4]
    top, sizes = layers[-1], []
    for i, mirrored in reversed(list(enumerate(layers[:-1]))):
        shape = (top.output_shape[1], mirrored.output_shape[1], 3, 3)
        top = DeconvolutionLayer(top, shape, 2, "same", f"deconv{i}", like=mirrored)
        sizes.append(top.output_shape[2])
    assert sizes == [7, 14, 28, 56, 112]
    assert top.output_shape == (None, 3, 112, 112)
    doubled = layers[-1]
    for _ in range(4):
        shape = (doubled.output_shape[1], 3, 3, 3)
        doubled = DeconvolutionLayer(doubled, shape, 2, "same", output_size=2 * doubled.output_shape[2])
    assert doubled.output_shape[2] == 64


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mirror_of_unknown_sizes(backend):
    """Also rectangular, with asymmetric strides and with a plain variable for `like`; one function for all images."""
    x = at.tensor4("x", dtype="float32")
    data = InputLayer((None, 3, None, None), x)
    layers = encoder(data, (3, 2), (2, 3), (1, 0), 2)
    middle = DeconvolutionLayer(layers[2], (3, 2, 3, 2), (2, 3), (1, 0), "up1", like=layers[1])
    back = DeconvolutionLayer(middle, (2, 3, 3, 2), (2, 3), (1, 0), "up0", like=x)
    assert back.output_shape == (None, 3, None, None)
    function = engine.compile([x], back.output, backend=backend)
    for shape in [(1, 3, 11, 23), (2, 3, 12, 20), (1, 3, 9, 5)]:
        assert function(np.ones(shape, "float32")).shape == shape


def test_like_another_layer_of_no_legal_size():
    with pytest.raises(SizeError, match=r"up \(DeconvolutionLayer\).*legal sizes: 7, 8") as error:
        DeconvolutionLayer(
            InputLayer((1, 2, 4, 4)), (2, 1, 3, 3), 2, "same", "up", like=InputLayer((1, 5, 8, 9), name="other")
        )
    assert error.value.axis == 3
    with pytest.raises(SizeError, match="not both"):
        DeconvolutionLayer(InputLayer((1, 2, 4, 4)), (2, 1, 3, 3), 2, output_size=9, like=InputLayer((1, 2, 9, 9)))


@pytest.mark.parametrize(
    "size", [(8, 9), [8, 9], np.array([8, 9]), (np.int64(8), np.int32(9)), at.constant(np.array([8, 9])), None]
)
def test_a_size_in_every_form(size):
    x = InputLayer((1, 2, 4, 4))
    layer = DeconvolutionLayer(x, (2, 3, 2, 3), 2, output_size=size)
    function = engine.compile([x.output], layer.output, backend="numpy")
    assert function(np.zeros((1, 2, 4, 4), "float32")).shape == (1, 3, 8, 9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 0), "`stride`.*0"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), (2, 0)), "`stride`.*0"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), (2,)), "`stride`"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 1.5), "`stride`"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, -1), "`padding`.*-1"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, "middle"), "`padding`.*middle"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, dilation=0), "`dilation`.*0"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, groups=0), "`groups`.*0"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, groups=3), "cannot be cut into 3 groups"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 0, 3), 2), "`filter_shape`.*0"),
        (lambda x: DeconvolutionLayer(x, (4, 3), 2), "2 entries; 3, 4 or 5"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3), 2), "4 axes, 3 are needed"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3, 3), 2), "4 axes, 5 are needed"),
        (lambda x: DeconvolutionLayer(x, (5, 3, 3, 3), 2), r"4 channels \(axis 1\).*takes 5"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, 3), "nothing is left.*axis|axis.*nothing is left"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, output_size=(3, 3, 3)), "3 entries for 2 axes"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, output_size=0), "output size"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, output_size=5.5), "output size"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, W=np.zeros((4, 3, 3, 2))), r"W of shape \(4, 3, 3, 2\)"),
        (lambda x: DeconvolutionLayer(x, (4, 3, 3, 3), 2, b=np.zeros(4)), r"b of shape \(4,\).*\(3,\)"),
        (lambda x: ConvolutionLayer(x, (6, 4, 3, 3), 0), "`stride`.*0"),
        (lambda x: ConvolutionLayer(x, (6, 3, 3, 3)), r"4 channels \(axis 1\).*takes 3"),
        (lambda x: ConvolutionLayer(x, (6, 2, 3, 3), groups=3), r"4 channels \(axis 1\).*groups=3 takes 6"),
        (lambda x: ConvolutionLayer(x, (6, 4, 3, 3)), "axis 2"),
        (lambda x: UpscoreLayer(x, 0), "`filter_shape`|`stride`"),
        (lambda x: UpscoreLayer(at.tensor4(), 2), "channels.*known"),
    ],
)
def test_what_cannot_be_is_refused_by_the_layer(make, words):
    """At once, by name; the image is 1x1, so that a stride of 0 would be reached by any code behind."""
    with pytest.raises(SizeError, match=words) as error:
        make(InputLayer((2, 4, 1, 1)))
    assert "Layer): " in str(error.value)


def test_parameters_given():
    x = InputLayer((1, 2, 4, 5), dtype="float64")
    mine = np.ones((2, 3, 2, 2), "float64")
    layer = DeconvolutionLayer(x, mine.shape, 2, W=mine, b=[1, 2, 3])
    mine[:] = 7
    assert (layer.W.get_value() == 1).all()
    assert layer.b.get_value().tolist() == [1, 2, 3] and layer.b.dtype == "float64"
    # a shared variable that does not say its shape, as Theano's never did
    shared = aesara.shared(np.ones((2, 3, 2, 2)))
    assert shared.type.shape == (None,) * 4
    tied = DeconvolutionLayer(x, (2, 3, 2, 2), 2, W=shared, b=True)
    assert tied.params[0] is shared and tied.output_shape == (1, 3, 8, 10)
    assert tied.b.get_value().tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match=r"deconv \(DeconvolutionLayer\): parameter W is an expression"):
        DeconvolutionLayer(x, (2, 3, 2, 2), 2, W=2 * shared)
    with pytest.raises(SizeError, match=r"W of shape \(2, 3, 2, 2\) was given, \(2, 3, 3, 2\) is needed"):
        DeconvolutionLayer(x, (2, 3, 3, 2), 2, W=shared)


def test_a_tied_autoencoder_shares_its_filters():
    x = InputLayer((None, 3, 9, 8))
    code = ConvolutionLayer(x, (4, 3, 3, 2), 2, 1, "code")
    back = DeconvolutionLayer(code, (4, 3, 3, 2), 2, 1, "back", W=code.W, like=x)
    assert back.output_shape == x.output_shape
    assert back.W is code.W


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("of_input", "of_filters"), [("float64", "float32"), ("float32", "float64")])
def test_mixed_dtypes_meet_in_float64(of_input, of_filters, backend):
    x = InputLayer((None, 2, None, None), dtype=of_input)
    w = np.random.default_rng(0).standard_normal((2, 3, 2, 3)).astype(of_filters)
    layer = DeconvolutionLayer(x, w.shape, 2, W=aesara.shared(w), filter_flip=False)
    value = np.random.default_rng(1).standard_normal((1, 2, 3, 4)).astype(of_input)
    y, gradient = engine.compile([x.output], [layer.output, aesara.grad(layer.output.sum(), layer.W)], backend=backend)(
        value
    )
    assert y.dtype == "float64" and gradient.dtype == of_filters
    expected = reference.conv_input_grad(w, value, (6, 9), 2)
    assert_close(y, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_goes_where_its_cell_reaches_and_nowhere_else(backend):
    x = InputLayer((None, 2, None, None), dtype="float64")
    layer = DeconvolutionLayer(x, (2, 3, 2, 3), (3, 2), (0, 1), W=np.ones((2, 3, 2, 3)))
    value = np.ones((1, 2, 3, 4))
    value[0, 1, 1, 2] = np.nan
    y = engine.compile([x.output], layer.output, backend=backend)(value)
    reached = np.zeros((8, 7), bool)
    reached[3:5, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(reached, y.shape))


def test_upscore_starts_as_interpolation():
    """Bilinear on the diagonal, zeros between channels, frozen, no bias; away from the border it is interpolation."""
    data = np.random.default_rng(2).standard_normal((1, 3, 5, 6))
    values = {}
    for grouped in (False, True):
        x = InputLayer((None, 3, None, None), dtype="float64")
        layer = UpscoreLayer(x, 4, grouped=grouped)
        assert layer.frozen and layer.trainable_params == [] and layer.b is None
        assert layer.filter_shape == ((3, 1, 8, 8) if grouped else (3, 3, 8, 8))
        values[grouped] = engine.compile([x.output], layer.output, backend="numpy")(data)
    assert_close(values[False], values[True])
    assert values[True].shape == (1, 3, 24, 28)
    wanted = reference.linear_resize(data, (20, 24))
    assert_close(values[True][:, :, 4:-4, 4:-4], wanted[:, :, 2:-2, 2:-2])


def test_coordinates_of_layers_are_those_of_geometry():
    """Through a path of every kind of layer that keeps coordinates."""
    x = InputLayer((1, 3, 50, 61))
    conv = ConvolutionLayer(x, (2, 3, 5, 3), (2, 1), (3, 1), "c", dilation=(2, 1))
    pool = PoolLayer(conv, (3, 2), (2, 3), (1, 0), rounding="caffe", name="p")
    up = DeconvolutionLayer(pool, (2, 2, 8, 6), (4, 3), (1, 2), "u")
    for axis, expected in [
        (2, "conv 5 2 3 2, pool 3 2 1, deconv 8 4 1"),
        (3, "conv 3 1 1 1, pool 2 3 0, deconv 6 3 2"),
    ]:
        total = geometry.CoordMap()
        for text in expected.split(", "):
            kind, kernel, stride, pad, *dilation = text.split()
            step = geometry.Step(kind, int(kernel), int(stride), int(pad), *map(int, dilation))
            total = geometry.coord_map(step) @ total
        assert maps_from_ancestors(up, axis)[x] == total


@st.composite
def deconvolutions(draw):
    """Shapes and options of a deconvolution in one to three axes, and one of its legal output sizes."""
    ndim = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    n, kernel, stride, dilation, groups = each(1, 4), each(1, 4), each(1, 3), each(1, 2), draw(st.integers(1, 3))
    # pads that leave something
    most = [(s * (m - 1) + d * (k - 1)) // 2 for m, k, s, d in zip(n, kernel, stride, dilation, strict=True)]
    pads = tuple((draw(st.integers(0, p)), draw(st.integers(0, p))) for p in most)
    rule = zip(n, kernel, stride, pads, dilation, strict=True)
    size = tuple(draw(st.sampled_from(geometry.deconv_output_sizes(*numbers))) for numbers in rule)
    shapes = (draw(st.integers(1, 2)), groups * draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return n, kernel, stride, pads, dilation, groups, size, shapes, draw(st.booleans())


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=20, deadline=None)
@given(deconvolutions())
def test_random_configurations(backend, configuration):
    n, kernel, stride, pads, dilation, groups, size, (batch, channels, outputs), flip = configuration
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((batch, channels, *n)), rng.standard_normal((channels, outputs, *kernel))
    data = InputLayer((None, channels, *(None,) * len(n)), dtype="float64")
    rule = dict(stride=stride, dilation=dilation, groups=groups)
    layer = DeconvolutionLayer(data, w.shape, padding=pads, W=w, output_size=size, filter_flip=flip, **rule)
    y = engine.compile([data.output], layer.output, backend=backend)(x)
    expected = reference.conv_input_grad(w, x, size, pads=pads, flip=flip, **rule)
    assert y.shape == (batch, outputs * groups, *size)
    assert_close(y, expected)
