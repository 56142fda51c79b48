"""Aesara's own convolutions run on ours, and a bias and a ReLU join their convolution."""

import numpy as np
import pytest
from agreement import assert_close
from engine_helpers import BACKENDS, aesara, at, tensors

from deconv_legacy import engine, geometry, reference
from deconv_legacy.engine import Conv, ConvInputGradient, ConvWeightGradient
from deconv_legacy.engine.convolution import FusedConv
from deconv_legacy.engine.modes import mode_of
from deconv_legacy.engine.relu import Relu
from deconv_legacy.errors import SizeError

nnet = aesara.tensor.nnet
abstract = nnet.abstract_conv
RNG = np.random.default_rng(11)
MODES = ["FAST_COMPILE", *(["FAST_RUN"] if "c" in BACKENDS else [])]
OURS = (Conv, ConvInputGradient, ConvWeightGradient, FusedConv)


def nodes(function, *kinds):
    return [node.op for node in function.maker.fgraph.toposort() if isinstance(node.op, kinds or OURS)]


def normal(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


ARGUMENTS = [
    dict(),
    dict(border_mode="half", subsample=(2, 3)),
    dict(border_mode="full", filter_flip=False, filter_dilation=(2, 1)),
    dict(border_mode=2, num_groups=2, subsample=(1, 2)),
    dict(border_mode=(1, 3), filter_dilation=(1, 2), num_groups=3),
    dict(border_mode=((1, 0), (2, 3)), filter_flip=False, num_groups=2),
]


def arrays_for(arguments, sizes, kernel):
    """x, w, y for arguments in Theano's words, and these in the words of the reference."""
    groups, axes = arguments.get("num_groups", 1), len(sizes)
    stride = arguments.get("subsample", (1,) * axes)
    dilation = arguments.get("filter_dilation", (1,) * axes)
    border_mode = arguments.get("border_mode", "valid")
    pads = geometry.resolve_all_pads(border_mode, sizes, kernel, stride, dilation)
    flip = arguments.get("filter_flip", True)
    how = dict(stride=stride, pads=pads, dilation=dilation, groups=groups, flip=flip)
    out = geometry.conv_output_shape(sizes, kernel, stride, border_mode, dilation)
    x, w, y = normal(2, 2 * groups, *sizes), normal(3 * groups, 2, *kernel), normal(2, 3 * groups, *out)
    expected = [
        reference.conv(x, w, **how),
        reference.conv_input_grad(w, y, sizes, **how),
        reference.conv_weight_grad(x, y, kernel, **how),
    ]
    return (x, w, y), expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_conv2d(arguments, mode):
    arrays, (plain, image, filters) = arrays_for(arguments, (9, 8), (3, 2))
    x, w, y = tensors(*arrays)
    convolved = nnet.conv2d(x, w, **arguments)
    outputs = [
        convolved,
        abstract.conv2d_grad_wrt_inputs(y, w, (None, None, 9, 8), **arguments),
        abstract.conv2d_grad_wrt_weights(x, y, (None, None, 3, 2), **arguments),
        abstract.conv2d_transpose(y, w, (None, None, 9, 8), **_transposed(arguments)),
        *aesara.grad((convolved * y).sum(), [x, w]),
    ]
    f = aesara.function([x, w, y], outputs, mode=mode)
    assert {type(op) for op in nodes(f)} == {Conv, ConvInputGradient, ConvWeightGradient}
    assert not nodes(f, abstract.BaseAbstractConv)
    for value, expected in zip(f(*arrays), [plain, image, filters, image, image, filters], strict=True):
        assert_close(value, expected)


def _transposed(arguments):
    arguments = dict(arguments)
    if "subsample" in arguments:
        arguments["input_dilation"] = arguments.pop("subsample")
    return arguments


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "arguments",
    [
        dict(border_mode="half", subsample=(2, 1, 3)),
        dict(border_mode=(1, 0, 2), filter_flip=False, num_groups=2, filter_dilation=(1, 2, 1)),
    ],
    ids=str,
)
def test_conv3d(arguments, mode):
    arrays, expected = arrays_for(arguments, (5, 6, 4), (2, 3, 1))
    x, w, y = tensors(*arrays)
    outputs = [
        nnet.conv3d(x, w, **arguments),
        abstract.conv3d_grad_wrt_inputs(y, w, (None, None, 5, 6, 4), **arguments),
        abstract.conv3d_grad_wrt_weights(x, y, (None, None, 2, 3, 1), **arguments),
    ]
    f = aesara.function([x, w, y], outputs, mode=mode)
    assert len(nodes(f)) == 3
    for value, wanted in zip(f(*arrays), expected, strict=True):
        assert_close(value, wanted)


def test_types_stay():
    """What the old node promised, its dtype and its known sizes, the new one keeps."""
    (x, w, _), (plain, *_) = arrays_for({}, (9, 8), (3, 2))
    for image, filters in (("float32", "float64"), ("float64", "float32")):
        variables = at.TensorType(image, (None,) * 4)(), at.TensorType(filters, (None,) * 4)()
        output = nnet.conv2d(*variables, input_shape=(2, 2, 9, 8), filter_shape=(3, 2, 3, 2))
        f = aesara.function(variables, output, mode="FAST_COMPILE")
        assert f.maker.fgraph.outputs[0].type.dtype == output.dtype == image
        value = f(x.astype(image), w.astype(filters))
        assert value.dtype == image
        assert_close(value.astype("float32"), plain, "float32")  # one of the two was rounded


def test_what_is_built_on_conv2d():
    (x, w, _), _ = arrays_for({}, (9, 8), (3, 2))
    image, filters = tensors(x, w)
    depthwise, pointwise = normal(4, 1, 3, 2), normal(5, 4, 1, 1)
    ahead = aesara.tensor.as_tensor_variable
    separable = abstract.separable_conv2d(image, ahead(depthwise), ahead(pointwise), 2)
    causal = abstract.causal_conv1d(image[:, :, :, 0], filters[:, :, :, 0], (3, 2, 3), subsample=2)
    up = abstract.bilinear_upsampling(image, 2, batch_size=2, num_input_channels=2)
    f = aesara.function([image, filters], [separable, causal, up], mode="FAST_COMPILE")
    assert nodes(f) and not nodes(f, abstract.BaseAbstractConv)
    separable, causal, up = f(x, w)
    assert_close(separable, reference.conv(reference.conv(x, depthwise, groups=2, flip=True), pointwise))
    line = x[..., 0]
    assert_close(causal, reference.conv(line, w[..., 0], 2, ((2, 0),), flip=True))
    assert up.shape == (2, 2, 18, 16)
    np.testing.assert_allclose(up[:, :, 2:14:2, 2:12:2], x[:, :, 1:7, 1:6])


@pytest.mark.parametrize("mode", MODES)
def test_training(mode):
    """A 2-D autoencoder in the words of Theano learns; its first step is that of the reference."""
    x, w0 = normal(3, 2, 8, 7), 0.3 * normal(4, 2, 3, 2)
    w, image = aesara.shared(w0), at.dtensor4("x")
    code = nnet.conv2d(image, w, subsample=(2, 1), border_mode="half")
    sizes = image.shape[2], image.shape[3]
    back = abstract.conv2d_grad_wrt_inputs(code, w, (None, None, *sizes), subsample=(2, 1), border_mode="half")
    loss = ((back - image) ** 2).mean()
    train = aesara.function([image], loss, updates=[(w, w - 0.5 * aesara.grad(loss, w))], mode=mode)
    first = float(train(x))
    how = dict(stride=(2, 1), pads=((1, 1), (1, 1)), flip=True)
    code = reference.conv(x, w0, **how)
    back = reference.conv_input_grad(w0, code, (8, 7), **how)
    g = 2 * (back - x) / x.size
    assert first == pytest.approx(((back - x) ** 2).mean(), rel=1e-12)
    gradient = reference.conv_weight_grad(g, code, (3, 2), **how)
    gradient += reference.conv_weight_grad(x, reference.conv(g, w0, **how), (3, 2), **how)
    assert_close(w.get_value(), w0 - 0.5 * gradient)
    for _ in range(30):
        last = train(x)
    assert last < first / 3


def test_inside_scan():
    x, w = normal(1, 2, 6, 5), normal(2, 2, 3, 1)
    image, filters = tensors(x, w)
    steps, _ = aesara.scan(lambda h: nnet.conv2d(h, filters, border_mode="half"), outputs_info=image, n_steps=2)
    cost = steps[-1].sum()
    f = engine.compile([image, filters], [steps[-1], aesara.grad(cost, image)], backend="numpy")
    how = dict(pads=((1, 1), (0, 0)), flip=True)
    value, gradient = f(x, w)
    assert_close(value, reference.conv(reference.conv(x, w, **how), w, **how))
    back = reference.conv_input_grad(w, np.ones_like(x), (6, 5), **how)
    assert_close(gradient, reference.conv_input_grad(w, back, (6, 5), **how))


def test_without_us():
    """Where our name is excluded, Aesara is as it was: no forward convolution, the gradients on its own Ops."""
    mode = aesara.compile.mode.get_mode("FAST_COMPILE").excluding("deconv_legacy")
    x, w, y = at.dtensor4s("x", "w", "y")
    with pytest.raises(Exception, match="AbstractConv2d Aesara rewriting failed"):
        aesara.function([x, w], nnet.conv2d(x, w), mode=mode)
    rewritten = abstract.conv2d_grad_wrt_inputs(y, w, (None, None, 9, 8))
    graph = aesara.graph.fg.FunctionGraph([y, w], [rewritten], clone=True)
    mode.optimizer.rewrite(graph)
    assert [type(node.op) for node in graph.toposort() if isinstance(node.op, nnet.corr.BaseCorrMM)]
    assert not any(isinstance(node.op, OURS) for node in graph.toposort())


# Fusion


FUSING = mode_of("numpy")


def compiled(outputs, *inputs, mode=FUSING):
    return aesara.function(list(inputs), outputs, mode=mode)


def per_filter(bias, ndim=2):
    return bias.dimshuffle("x", 0, *("x",) * ndim)


@pytest.mark.skipif("c" not in BACKENDS, reason="no C++ compiler")
def test_plain_convolutions_share_the_module_of_fused_ones():
    x, w, b = normal(2, 2, 6, 5), normal(2, 2, 3, 3), normal(2)
    variables = tensors(x, w, b)
    plain = engine.conv(*variables[:2], border_mode="same")
    both = engine.conv(engine.relu(plain + per_filter(variables[2], 2)), variables[1], stride=2)
    f, alone = engine.compile(variables, both, backend="c"), engine.compile(variables[:2], plain, backend="c")
    assert sorted(map(str, nodes(f, *OURS))) == sorted(map(str, (FusedConv(2, "same"), FusedConv(2, stride=2))))
    assert nodes(alone, *OURS) == [Conv(2, "same")]
    pads = geometry.resolve_all_pads("same", x.shape[2:], w.shape[2:], (1, 1), (1, 1))
    hidden = np.maximum(reference.conv(x, w, pads=pads) + b.reshape(-1, 1, 1), 0)
    assert_close(f(x, w, b), reference.conv(hidden, w, stride=2))
    with pytest.raises(SizeError, match="has 4 channels"):
        f(normal(2, 4, 6, 5), w, b)


@pytest.mark.parametrize("backend", ["numpy", *(["c"] if "c" in BACKENDS else [])])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_bias_and_relu_join(ndim, backend):
    x, w, b = normal(2, 2, *(6, 5, 4)[:ndim]), normal(3, 2, *(2, 3, 1)[:ndim]), normal(3)
    variables = tensors(x, w, b)
    plain = engine.conv(*variables[:2], border_mode="same")
    biased = per_filter(variables[2], ndim) + plain
    f = engine.compile(variables, engine.relu(biased), backend=backend)
    assert nodes(f) == [FusedConv(ndim, "same", relu=True)] and not nodes(f, Relu)
    g = engine.compile(variables, biased, backend=backend)
    assert nodes(g) == [FusedConv(ndim, "same")]
    pads = geometry.resolve_all_pads("same", x.shape[2:], w.shape[2:], (1,) * ndim, (1,) * ndim)
    expected = reference.conv(x, w, pads=pads) + b.reshape(-1, *(1,) * ndim)
    assert_close(g(x, w, b), expected)
    assert_close(f(x, w, b), np.maximum(expected, 0))
    # a shared vector of one number is a bias of all filters, as it was before
    assert_close(g(x, w, b[:1]), expected + b[0] - b.reshape(-1, *(1,) * ndim))


X, W, B = at.dtensor4("x"), at.dtensor4("w"), at.dvector("b")


@pytest.mark.parametrize(
    "build, expected",
    [
        (lambda y: y, [Conv]),
        (lambda y: engine.relu(y), [Conv, Relu]),
        (lambda y: y + B, [Conv]),
        (lambda y: y + per_filter(B, 1), [Conv]),
        (lambda y: y + B.dimshuffle(0, "x", "x", "x"), [Conv]),
        (lambda y: y * per_filter(B), [Conv]),
        (lambda y: y.astype("float32") + per_filter(B), [Conv]),
        (lambda y: engine.relu(y + per_filter(B), 0.1), [FusedConv]),
        (lambda y: [y, y + per_filter(B)], [Conv]),
        (lambda y: [y + per_filter(B), y * 2], [Conv]),
        (lambda y: [engine.relu(y + per_filter(B)), (y + per_filter(B)) * 2], [FusedConv, Relu]),
        (lambda y: per_filter(B) + y + y.sum(), [Conv]),
        (lambda y: engine.relu(engine.conv(engine.relu(y + per_filter(B)), W) + per_filter(B)), [FusedConv] * 2),
    ],
)
def test_what_joins_and_what_does_not(build, expected):
    f = compiled(build(engine.conv(X, W)), X, W, *([B] if "B" in build.__code__.co_names else []))
    found = nodes(f, *OURS, Relu)
    assert sorted(type(op).__name__ for op in found) == sorted(kind.__name__ for kind in expected)


def test_only_the_joining_is_excluded_too():
    output = engine.relu(engine.conv(X, W) + per_filter(B))
    assert [type(op) for op in nodes(compiled(output, X, W, B), *OURS, Relu)] == [FusedConv]
    f = compiled(output, X, W, B, mode=FUSING.excluding("deconv_legacy_fusion"))
    assert [type(op) for op in nodes(f, *OURS, Relu)] == [Conv, Relu]


def test_sizes_of_a_broadcast():
    """A bias of one number for all filters, and one filter for many biases."""
    x, w = at.TensorType("float64", (2, 2, 5, 4))(), at.TensorType("float64", (3, 2, 2, 3))()
    b = at.TensorType("float64", (1,))()
    f = compiled(engine.conv(x, w) + per_filter(b), x, w, b)
    image, filters = normal(2, 2, 5, 4), normal(3, 2, 2, 3)
    assert_close(f(image, filters, np.array([0.5])), reference.conv(image, filters) + 0.5)
    one = at.TensorType("float64", (1, 2, 2, 3))()
    many = at.TensorType("float64", (3,))()
    g = compiled(engine.conv(x, one) + per_filter(many), x, one, many)
    biases = np.arange(3.0)
    expected = reference.conv(image, filters[:1]) + biases.reshape(-1, 1, 1)
    assert_close(g(image, filters[:1], biases), expected)


@pytest.mark.parametrize("backend", ["numpy", *(["c"] if "c" in BACKENDS else [])])
def test_gradients_through_what_joins(backend):
    x, w, b, g = normal(2, 2, 6, 5), normal(3, 2, 2, 3), normal(3), normal(2, 3, 3, 3)
    image, filters, bias, weight = tensors(x, w, b, g)
    output = engine.relu(engine.conv(image, filters, stride=(2, 1)) + per_filter(bias))
    gradients = aesara.grad((output * weight).sum(), [image, filters, bias])
    f = engine.compile([image, filters, bias, weight], [output, *gradients], backend=backend)
    # the gradient needs the rectified value alone, so that the forward pass is joined in training too
    assert {type(op) for op in nodes(f, *OURS, Relu)} == {FusedConv, ConvInputGradient, ConvWeightGradient}
    y = np.maximum(reference.conv(x, w, (2, 1)) + b.reshape(-1, 1, 1), 0)
    inner = g * (y > 0)
    expected = [
        y,
        reference.conv_input_grad(w, inner, (6, 5), (2, 1)),
        reference.conv_weight_grad(x, inner, (2, 3), (2, 1)),
        inner.sum((0, 2, 3)),
    ]
    for value, wanted in zip(f(x, w, b, g), expected, strict=True):
        assert_close(value, wanted)
