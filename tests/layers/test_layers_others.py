"""What layers refuse, batch norm's moving averages, dropout's masks, crops, ties, and the graph of layers itself."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_close
from layer_helpers import BACKENDS, at

from deconv_legacy import engine, reference
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    BatchNormLayer,
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    DropoutLayer,
    EltwiseLayer,
    InputLayer,
    Layer,
    LRNLayer,
    PoolLayer,
    ReluLayer,
    ScaleLayer,
    SigmoidLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    TanhLayer,
    UnpoolLayer,
    UpscoreLayer,
    all_layers,
    all_params,
    crop_offsets,
    path_between,
)


def image(*shape, name="data", dtype="float32"):
    return InputLayer(shape, name=name, dtype=dtype)


X = image(2, 3, 6, 7)
FLAT = image(2, 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InputLayer((1, 3, 4), at.tensor4()), "data.*4 axes, 3 are needed"),
        (lambda: InputLayer((1, 3, 4, 5), at.tensor("float32", shape=(1, 4, 4, 5))), "data.*axis 1.*size 4, not 3"),
        (lambda: PoolLayer(X, 0), "pool .*`kernel`.*0"),
        (lambda: PoolLayer(X, 2, 0), "pool .*`stride`.*0"),
        (lambda: PoolLayer(X, (2, 2, 2)), "pool .*`kernel`"),
        (lambda: PoolLayer(X, 2, padding=2), "pool .*pad"),
        (lambda: PoolLayer(X, 9), "pool .*9"),
        (lambda: PoolLayer(X, 2, mode="median"), "pool .*'median'.*'max'"),
        (lambda: PoolLayer(X, 2, rounding="up"), "pool .*up.*caffe"),
        (lambda: PoolLayer(X, 2, mode="sum", with_mask=True), "pool .*max pooling.*mask"),
        (lambda: PoolLayer(FLAT, 2), "pool .*2 axes, 3 or 4 or 5"),
        (lambda: PoolLayer(X, 2).mask, "pool .*with_mask=True"),
        (lambda: UnpoolLayer(X), "unpool .*factor or pool"),
        (lambda: UnpoolLayer(X, 2, pool=PoolLayer(X, 2)), "unpool .*factor or pool"),
        (lambda: UnpoolLayer(X, 0), "unpool .*0"),
        (lambda: UnpoolLayer(PoolLayer(X, 2), pool=PoolLayer(X, 2)), "unpool .*pool .*with_mask=True"),
        (lambda: UnpoolLayer(X, pool=PoolLayer(X, 2, with_mask=True)), "unpool "),
        (lambda: CropLayer(X, image(2, 3, 4, 4), (3, 0)), "crop .*axis 2"),
        (lambda: CropLayer(X, image(2, 3, 4, 4), (0, -1)), "crop .*offset.*-1"),
        (lambda: CropLayer(X, image(2, 3, 4, 4), (0, 0, 0)), "crop .*offset"),
        (lambda: CropLayer(X, image(2, 3, 4), 0), "crop .*4 axes.*3"),
        (lambda: CropLayer(X, image(2, 3, 4, 4), 0, axis=4), "crop .*axis 4 of an input of 4 axes"),
        (lambda: CropLayer(X, image(2, 3, 4, 4)), "crop .*'data' and 'data'.*common"),
        (lambda: CropLayer(X, at.tensor4()), "crop .*name the offset"),
        (lambda: EltwiseLayer([X]), "eltwise .*1 inputs"),
        (lambda: EltwiseLayer([X, X], "mean"), "eltwise .*'mean'.*'sum'"),
        (lambda: EltwiseLayer([X, X], coeff=(1,)), "eltwise .*1 coefficients"),
        (lambda: EltwiseLayer([X, X], "prod", coeff=(1, 2)), "eltwise .*'prod'"),
        (lambda: EltwiseLayer([X, image(2, 3, 6, 1)]), "eltwise .*3, 6, 7.*3, 6, 1"),
        (lambda: EltwiseLayer([X, X, FLAT]), "eltwise .*4 and 2 axes"),
        (lambda: ConcatLayer([]), "concat .*no inputs"),
        (lambda: ConcatLayer([X, image(2, 5, 6, 8)]), "concat .*6, 7.*6, 8.* but 1"),
        (lambda: ConcatLayer([X, FLAT]), "concat .*4 and 2 axes"),
        (lambda: ConcatLayer([X, X], 4), "concat .*axis 4"),
        (lambda: ScaleLayer(X, 4), "scale .*axis 4"),
        (lambda: ScaleLayer(X, 3, 2), "scale .*num_axes 2"),
        (lambda: ScaleLayer(X, 1, -2), "scale .*num_axes -2"),
        (lambda: ScaleLayer(image(2, 3, None, 5), 1, 2), "scale .*known"),
        (lambda: ScaleLayer(X, scale=np.ones(4)), r"scale .*\(4,\).*\(3,\)"),
        (lambda: BatchNormLayer(image(2, None, 4)), "bn .*channels"),
        (lambda: BatchNormLayer(image(2)), "bn .*1 axes"),
        (lambda: BatchNormLayer(X, mean=np.zeros(2)), r"bn .*mean.*\(2,\)"),
        (lambda: DropoutLayer(X, 1.0), "dropout .*1.0"),
        (lambda: DropoutLayer(X, -0.1), "dropout .*-0.1"),
        (lambda: LRNLayer(X, 4), "lrn .*4"),
        (lambda: LRNLayer(X, 0), "lrn .*0"),
        (lambda: SoftmaxLayer(X, 4), "softmax .*axis 4"),
        (lambda: SoftmaxLossLayer(X, image(2, 1, 6, 6)), "loss .*labels of shape"),
        (lambda: SoftmaxLossLayer(X, image(2, 1, 6, 7), axis=-5), "loss .*axis -5"),
        (lambda: UpscoreLayer(FLAT, 2), "upscore .*2 entries"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, words):
    with pytest.raises(SizeError, match="^" + words):
        make()


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_of_unequal_sizes_are_refused_when_it_runs(backend):
    """Aesara alone would broadcast 1 against 3, which Caffe never does."""
    a, b = image(None, None, None, None, name="a"), image(None, 1, None, None, name="b")
    outputs = [EltwiseLayer([a, b], name="fuse").output, ConcatLayer([a, b], name="join").output]
    for output, name, wrong in [(outputs[0], "fuse", (1, 3, 4, 5)), (outputs[1], "join", (1, 3, 1, 5))]:
        function = engine.compile([a.output, b.output], output, backend=backend)
        right = np.ones((1, 1, 4, 5), "float32")
        function(right, right)
        with pytest.raises(SizeError, match=f"^{name} .*must be of one size"):
            function(np.ones(wrong, "float32"), right)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_equal_maxima_send_their_gradient(backend):
    """To the second of the first two inputs, and to a later one only if it is greater: Caffe's two comparisons."""
    arrays = [np.array([1.0, 1, 1, 0, 2]), np.array([1.0, 0, 1, 1, 0]), np.array([1.0, 1, 0, 1, 3])]
    arrays = [a.reshape(1, 1, 5) for a in arrays]
    inputs = [image(None, 1, None, name=f"i{i}", dtype="float64") for i in range(3)]
    layer = EltwiseLayer(inputs, "max")
    variables = [i.output for i in inputs]
    results = engine.compile(variables, aesara.grad(layer.output.sum(), variables), backend=backend)(*arrays)
    for result, expected in zip(results, reference.eltwise_grad(arrays, np.ones((1, 1, 5)), "MAX"), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_and_infinity_stay(backend):
    """Nothing turns a NaN of a cell into a number, but a maximum, which no comparison with NaN holds for."""
    data = np.linspace(-1, 1, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    data[0, 1, 2, 3] = np.nan
    x = image(None, 3, None, None, dtype="float64")
    here = np.isnan(data)
    column = np.broadcast_to(here.any(axis=1, keepdims=True), data.shape)
    layers = {
        ReluLayer(x): here,
        ReluLayer(x, 0.5): here,
        SigmoidLayer(x): here,
        TanhLayer(x): here,
        ScaleLayer(x, bias=True): here,
        EltwiseLayer([x, x], coeff=(0.5, -2)): here,
        EltwiseLayer([x, x], "prod"): here,
        DropoutLayer(x): here,
        BatchNormLayer(x): here,
        SoftmaxLayer(x): column,
        LRNLayer(x, 3): column,
    }
    results = engine.compile([x.output], [layer.output for layer in layers], backend=backend)(data)
    for (layer, expected), result in zip(layers.items(), results, strict=True):
        np.testing.assert_array_equal(np.isnan(result), expected, err_msg=str(layer))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("unbiased", [False, True])
def test_batch_norm_moves_its_averages(unbiased, backend):
    """Over three steps of unequal batches; and only where the updates are run."""
    rng = np.random.default_rng(4)
    x = image(None, 3, None, None, dtype="float64")
    layer = BatchNormLayer(x, 1e-3, 0.8, gamma=None, beta=None, unbiased=unbiased, train=True)
    train = engine.compile([x.output], layer.output, updates=layer.updates, backend=backend)
    look = engine.compile([x.output], layer.output, backend=backend)
    mean, variance = np.zeros(3), np.ones(3)
    for batch in (2, 5, 1):
        data = rng.standard_normal((batch, 3, 4, 2)) * [[[[2.0]], [[1.0]], [[0.5]]]] + 3
        y = train(data)
        m, v = reference.batch_moments(data)
        assert_close(y, reference.batch_norm(data, m, v, 1e-3))
        n = batch * 8
        mean = 0.8 * mean + 0.2 * m
        variance = 0.8 * variance + 0.2 * v * (n / (n - 1) if unbiased else 1)
        look(data)
        assert_close(layer.mean.get_value(), mean)
        assert_close(layer.variance.get_value(), variance)
    use = BatchNormLayer(x, 1e-3, gamma=None, beta=None, mean=layer.mean, variance=layer.variance, name="use")
    used = engine.compile([x.output], use.output, backend=backend)(data)
    assert_close(used, reference.batch_norm(data, mean, variance, 1e-3))
    assert use.updates == [] and use.params[0] is layer.mean


def test_batch_norm_of_one_number_has_no_unbiased_variance():
    """n / (n - 1) would be 1 / 0: the biased variance, 0, stays."""
    x = image(None, 2, dtype="float64")
    layer = BatchNormLayer(x, unbiased=True, train=True)
    engine.compile([x.output], layer.output, updates=layer.updates, backend="numpy")(np.ones((1, 2)))
    np.testing.assert_allclose(layer.variance.get_value(), [0.9, 0.9])


def test_what_batch_norm_trains():
    layer = BatchNormLayer(X, train=True)
    assert layer.params == [layer.gamma, layer.beta, layer.mean, layer.variance]
    assert layer.trainable_params == [layer.gamma, layer.beta]
    assert [v for v, _ in layer.updates] == [layer.mean, layer.variance]
    frozen = BatchNormLayer(X, train=True, frozen=True)
    assert frozen.trainable_params == [] and frozen.updates == []
    bare = BatchNormLayer(X, gamma=None, beta=np.array([1, 2, 3]))
    assert bare.gamma is None and bare.trainable_params == [bare.beta]


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout(backend):
    """Zeros at the rate asked for, the rest scaled up; anew at each call, and again the same from the same seed."""
    x = image(None, None, dtype="float32")

    def masks(seed, p=0.3):
        layer = DropoutLayer(x, p, train=True, seed=seed)
        function = engine.compile(
            [x.output], [layer.output, aesara.grad(layer.output.sum(), x.output)], backend=backend
        )
        return [function(np.full((200, 300), 2, "float32")) for _ in range(2)]

    (first, gradient), (second, _) = masks(1)
    assert first.dtype == "float32"
    np.testing.assert_allclose(np.unique(first), [0, 2 / 0.7], rtol=1e-6)
    deviation = np.sqrt(0.3 * 0.7 / first.size)
    for values in (first, second):
        assert abs((values == 0).mean() - 0.3) < 5 * deviation
    for axis in (0, 1):  # no row and no column is favoured
        assert abs((first == 0).mean(axis=axis) - 0.3).max() < 5.5 * np.sqrt(0.21 / first.shape[axis])
    # independent from call to call, and the gradient has the mask of its own call
    assert abs(((first == 0) & (second == 0)).mean() - 0.09) < 5 * np.sqrt(0.09 * 0.91 / first.size)
    np.testing.assert_array_equal(gradient == 0, first == 0)
    again = masks(1)
    np.testing.assert_array_equal(again[0][0], first)
    np.testing.assert_array_equal(again[1][0], second)
    assert not np.array_equal(masks(2)[0][0], first)
    assert DropoutLayer(x, 0, train=True).output is x.output
    assert DropoutLayer(x, 0.5).output is x.output


@pytest.mark.parametrize("backend", BACKENDS)
def test_crop_to_sizes_known_only_when_it_runs(backend):
    """Batch and channels stay the input's own; a crop that does not fit says so."""
    x, like = image(None, 3, None, None), image(None, 1, None, None, name="like")
    function = engine.compile([x.output, like.output], CropLayer(x, like, (1, 2)).output, backend=backend)
    data = np.arange(2 * 3 * 5 * 6, dtype="float32").reshape(2, 3, 5, 6)
    for rows, columns in [(4, 4), (1, 3)]:
        y = function(data, np.zeros((1, 1, rows, columns), "float32"))
        np.testing.assert_array_equal(y, data[:, :, 1 : 1 + rows, 2 : 2 + columns])
    with pytest.raises(SizeError, match="axis 3"):
        function(data, np.zeros((1, 1, 4, 5), "float32"))


def test_crop_has_no_gradient_for_what_it_is_like():
    x, like = image(1, 1, 4, 4, dtype="float64"), image(1, 1, 2, 3, name="like", dtype="float64")
    cost = CropLayer(x, like, 1).output.sum()
    with pytest.raises(aesara.gradient.DisconnectedInputError):
        aesara.grad(cost, like.output)


@pytest.mark.parametrize("rounding", ["caffe", "floor"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_unpooling_takes_the_sizes_from_the_pooling(rounding, backend):
    x = image(None, 2, None, None, dtype="float64")
    pool = PoolLayer(x, 2, rounding=rounding, with_mask=True)
    function = engine.compile([x.output], UnpoolLayer(pool, pool=pool).output, backend=backend)
    for sizes in [(5, 7), (4, 6)]:
        data = np.random.default_rng(0).permutation(2 * sizes[0] * sizes[1]).reshape(1, 2, *sizes) + 1.0
        y = function(data)
        assert y.shape == data.shape
        kept = y != 0
        np.testing.assert_array_equal(y[kept], data[kept])
        windows = [-(-n // 2) if rounding == "caffe" else n // 2 for n in sizes]
        assert kept.sum() == 2 * windows[0] * windows[1]


def test_offsets_along_a_path():
    """Padding a convolution adds to the offset, padding a deconvolution takes from it; where scales differ, or cells
    lie between cells, there is none."""
    data = image(None, 3, None, None)
    conv = ConvolutionLayer(data, (2, 3, 5, 3), 2, (12, 11), "conv")
    up = DeconvolutionLayer(conv, (2, 3, 5, 5), 2, (0, 1), "up")
    assert crop_offsets(up, data, 2) == (12, 11)
    assert CropLayer(up, data).offset == (12, 11)
    kinds = [step.kind for step in path_between(data, up, 2)]
    assert kinds == ["conv", "deconv"] and path_between(up, data, 2) is None
    with pytest.raises(SizeError, match=r"crop \(CropLayer\).*conv to data.*strides"):
        CropLayer(conv, data)
    even = DeconvolutionLayer(conv, (2, 3, 3, 3), 2, 0, "even")
    with pytest.raises(SizeError, match=r"crop \(CropLayer\).*even to relu.*no cell"):
        CropLayer(even, ReluLayer(ConvolutionLayer(data, (3, 3, 2, 2), name="half")))
    flat = DropoutLayer(PoolLayer(data, 3, 1, 1))
    assert CropLayer(flat, data).offset == (0, 0)
    with pytest.raises(SizeError, match="keep coordinates"):
        CropLayer(ConcatLayer([data, data], 2), data)


def test_graph_of_layers():
    data = image(1, 3, 8, 8)
    a = ConvolutionLayer(data, (2, 3, 1, 1), name="a")
    b = ConvolutionLayer(data, (2, 3, 1, 1), name="b", W=a.W, frozen=True)
    both = EltwiseLayer([b, a], name="both")
    small = CropLayer(both, image(1, 1, 4, 4, name="small"), 0)
    assert [layer.name for layer in all_layers(small)] == ["data", "b", "a", "both", "small", "crop"]
    assert all_params(small) == [a.W] and all_params(b, trainable=True) == []
    assert all_params(both, trainable=True) == [a.W]
    assert both.input_layers == [b, a] and both.input is b.output and both.input_shape == (1, 2, 8, 8)
    assert repr(a) == "<ConvolutionLayer 'a' (1, 2, 8, 8)>"
    deep: Layer = data
    for _ in range(3000):
        deep = _Same(deep)
    assert len(all_layers(deep)) == 3001


class _Same(Layer):
    def __init__(self, input):
        super().__init__([input], "same")
        self.outputs = [self.input]


def test_an_input_layer_on_a_variable():
    x = at.tensor4("x", dtype="float64")
    assert InputLayer((None,) * 4, x).output is x
    known = InputLayer((None, 3, None, None), x)
    assert known.output_shape == (None, 3, None, None)
    with pytest.raises(AssertionError):
        known.output.eval({x: np.zeros((1, 2, 4, 4))})
    assert InputLayer((2, 3), dtype="float64").output.dtype == "float64"
