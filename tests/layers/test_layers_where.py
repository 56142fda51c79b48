"""Errors of a running function name the layer: on either backend, whoever's Op it is, whatever the rewrites did."""

from __future__ import annotations

import numpy as np
import pytest
from layer_helpers import BACKENDS, at

from deconv_legacy import engine
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import (
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DeconvolutionLayer,
    EltwiseLayer,
    ExpressionLayer,
    InputLayer,
    Network,
    PoolLayer,
    ReluLayer,
    SoftmaxLossLayer,
    UpscoreLayer,
)


def net():
    data = InputLayer((None, 3, None, None))
    other = InputLayer((None, 4, None, None), name="other")
    size = at.ivector("size")
    conv = ReluLayer(ConvolutionLayer(data, (4, 3, 2, 5), 1, 0, "conv", b=True), name="rectified")
    both = ConcatLayer([conv, other], name="both")
    pool = PoolLayer(both, (2, 3), name="pool")
    up = DeconvolutionLayer(pool, (8, 2, 3, 4), 2, name="up", output_size=size)
    # Aesara's own Op, and what it says
    flat = ExpressionLayer(up, lambda x: at.dot(x.flatten(2), np.ones((60, 7), "float32")), "flat")
    return data, other, size, flat


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_layer_is_named(backend):
    data, other, size, flat = net()
    function = engine.compile([data.output, other.output, size], flat.output, backend=backend)
    sizes = {"data": (1, 3, 5, 10), "other": (1, 4, 4, 6), "size": (5, 6)}
    cases = [
        ({"data": (1, 3, 5, 4)}, r"conv \(ConvolutionLayer\)( and rectified \(ReluLayer\))?: .*kernel of 5", 3),
        ({"other": (1, 4, 4, 5)}, r"both \(ConcatLayer\): .*\(1, 4, 4, 6\) and \(1, 4, 4, 5\)", 3),
        ({"data": (1, 3, 2, 10), "other": (1, 4, 1, 6)}, r"pool \(PoolLayer\): .*window of 2", 2),
        ({"size": (7, 6)}, r"up \(DeconvolutionLayer\): ConvInputGradient.*axis 2", 2),
        ({"size": (6, 6)}, r"flat \(ExpressionLayer\): .*([Ss]hape|align|dim)", None),
    ]

    def run(shapes):
        images = [np.ones(shapes[name], "float32") for name in ("data", "other")]
        return function(*images, np.array(shapes["size"], "int32"))

    assert run(sizes).shape == (1, 7)
    if backend == "jax":
        cases.pop()  # JAX's words
    for changes, words, axis in cases:
        with pytest.raises(SizeError, match="^" + words) as error:
            run(sizes | changes)
        assert "\n" not in str(error.value)
        assert error.value.axis == axis
        assert backend == "jax" or "Apply node" in str(error.value.__cause__)


def skip(cropped):
    """A skip connection with too little padding, and scores that are enlarged and cropped to the photo."""
    data = InputLayer((None, 3, None, None))
    pool = PoolLayer(data, 2, name="pool")
    head = ConvolutionLayer(PoolLayer(pool, 2, name="pool2"), (3, 3, 4, 4), 1, 0, "head", filter_flip=False)
    up = UpscoreLayer(head, 2, "up")
    fuse = EltwiseLayer([up, CropLayer(pool, up, 0, name="near") if cropped else pool], name="fuse")
    return Network(CropLayer(UpscoreLayer(fuse, 2, "up2"), data, 0, name="score"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sizes_that_follow_from_two_inputs(backend):
    """The sizes of a sum decide those of layers after it; the check comes before Aesara's own, which names nothing."""
    function = skip(cropped=False).function(backend=backend)
    with pytest.raises(
        SizeError, match=r"^fuse \(EltwiseLayer\): inputs of the shapes \(1, 3, 16, 22\) and .* one size"
    ):
        function(np.ones((1, 3, 40, 52), "float32"))
    with pytest.raises(
        SizeError, match=r"^head \(ConvolutionLayer\): .*kernel of 4 is larger than the input of size 3"
    ):
        function(np.ones((1, 3, 12, 40), "float32"))
    function = skip(cropped=True).function(backend=backend)
    with pytest.raises(SizeError, match=r"^score \(CropLayer\): .*a crop to 40 .* beyond the 34"):
        function(np.ones((1, 3, 40, 52), "float32"))
    # whichever comes first: one needs the sizes alone, the other the numbers
    words = (
        r"^(near \(CropLayer\): Crop: axis 2: a crop of 4 cells to 0: .*too small|head \(ConvolutionLayer\): .*kernel)"
    )
    with pytest.raises(SizeError, match=words):
        function(np.ones((1, 3, 8, 40), "float32"))


def test_modes_of_ones_own():
    x = InputLayer((None, 2, None))
    output = PoolLayer(x, 3, name="pool").output
    for mode in ("FAST_COMPILE", aesara.compile.mode.Mode("py", "fast_compile")):
        function = engine.compile([x.output], output, mode=mode)
        np.testing.assert_array_equal(function(np.ones((1, 2, 4), "float32")), np.ones((1, 2, 1)))
        with pytest.raises(SizeError, match=r"^pool \(PoolLayer\): .*window of 3"):
            function(np.ones((1, 2, 2), "float32"))


def test_in_training():
    """In a graph with gradients and updates, and for labels that are no class."""
    x, labels = InputLayer((None, 2, None)), InputLayer((None, 1, None), name="labels", dtype="int64")
    score = ConvolutionLayer(x, (3, 2, 2), 1, 0, "score", rng=0)
    loss = SoftmaxLossLayer(score, labels, name="loss")
    gradient = aesara.grad(loss.output, score.W)
    step = engine.compile(
        [x.output, labels.output], loss.output, updates=[(score.W, score.W - gradient)], backend="numpy"
    )
    step(np.ones((1, 2, 4), "float32"), np.zeros((1, 1, 3), int))
    with pytest.raises(SizeError, match=r"^loss \(SoftmaxLossLayer\): .*label 5"):
        step(np.ones((1, 2, 4), "float32"), np.full((1, 1, 3), 5))
    with pytest.raises(SizeError, match=r"^score \(ConvolutionLayer\): .*kernel of 2"):
        step(np.ones((1, 2, 1), "float32"), np.zeros((1, 1, 3), int))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients(backend):
    """What fails in a gradient alone, where nothing needs the layer's value, belongs to the layer."""
    x = InputLayer((None, 2, None, None))
    conv = ConvolutionLayer(x, (3, 2, 2, 3), (1, 2), 0, "conv", rng=0)
    pool = PoolLayer(conv, (2, 1), name="pool")
    up = DeconvolutionLayer(pool, (3, 2, 2, 2), 2, name="up", rng=0)
    crop = CropLayer(up, InputLayer((None, 2, 3, 2), name="like"), 1, name="crop")
    cases = [
        (conv, conv.W, (1, 3, 4, 3), r"ConvWeightGradient"),
        (conv, x.output, (1, 3, 4, 3), r"ConvInputGradient"),
        (pool, conv.output, (1, 3, 4, 4), r"give \(1, 3, 2, 4\), not \(1, 3, 4, 4\)"),
        (up, up.W, (1, 2, 4, 5), r"ConvWeightGradient"),
        (crop, up.output, (1, 2, 9, 2), r"CropGradient: axis 2: a crop to 9 cells"),
    ]
    for layer, wanted, wrong, words in cases:
        g = at.tensor4("g", dtype="float32")
        slope = aesara.grad(None, wanted, known_grads={layer.output: g})
        function = engine.compile([x.output, g], slope, backend=backend, on_unused_input="ignore")
        data = np.ones((1, 2, 5, 9), "float32")
        right = {"conv": (1, 3, 4, 4), "pool": (1, 3, 2, 4), "up": (1, 2, 4, 8), "crop": (1, 2, 3, 2)}[layer.name]
        function(data, np.ones(right, "float32"))
        with pytest.raises(SizeError, match=rf"^{layer.name} \({type(layer).__name__}\): .*{words}"):
            function(data, np.ones(wrong, "float32"))


def test_a_graph_without_layers_says_what_it_said():
    x = at.tensor3()
    function = engine.compile([x], engine.max_pool(x, (3,)), backend="numpy")
    with pytest.raises(SizeError, match=r"(?s)^axis 2.*window of 3.*Apply node"):
        function(np.ones((1, 2, 2), x.dtype))
    with pytest.raises(TypeError, match="Bad input argument"):
        function(np.ones((1, 2), x.dtype))


def test_other_errors_stay_what_they_are():
    class Fails(aesara.graph.op.Op):
        __props__ = ()

        def make_node(self, x):
            return aesara.graph.basic.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, output_storage):
            raise KeyError("inside")

    x = InputLayer((None,))
    function = Network(ExpressionLayer(x, Fails(), "fails")).function(backend="numpy")
    with pytest.raises(KeyError, match="inside"):
        function(np.ones(2, "float32"))
