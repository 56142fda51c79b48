"""The conv functions and Op classes: what they accept beyond Theano, and what they say about the rest."""

import numpy as np
import pytest

from deconv_legacy.engine import aesara
from deconv_legacy.engine.convolution import ConvInputGradient
from deconv_legacy.errors import SizeError
from deconv_legacy.theano.old import abstract_conv as ac
from deconv_legacy.theano.old import conv, corr, nnet_conv

at = aesara.tensor
W = np.zeros((3, 2, 3, 2), "float32")
G = np.zeros((1, 3, 4, 5), "float32")
BASE = aesara.tensor.nnet.abstract_conv


def deconvolve(shape=(None, None, 9, 10), **options):
    return ac.conv2d_grad_wrt_inputs(at.constant(G), at.constant(W), shape, subsample=(2, 2), **options)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.array, at.constant], ids=lambda kind: kind.__name__)
def test_sizes_may_be_numpy_integers_and_constants(kind):
    variable = deconvolve((kind(1), kind(2), kind(9), kind(10)))
    size = variable.owner.op.imshp[2]
    assert variable.ndim == 4 and getattr(size, "data", size) == 9


@pytest.mark.parametrize(
    "shape, text",
    [
        ((None, None, 9), "`input_shape` has 3 entries"),
        ((None, None, 9, 10, 11), "`input_shape` has 5 entries"),
        ((None, None, None, 10), r"input_shape\[2\] is None: .*symbolic integer scalar is legal; several sizes"),
        ((None, None, 9.0, 10), r"input_shape\[2\] is 9.0 \(float\)"),
        ((at.iscalar(), None, 9, 10), r"input_shape\[0\] is .* an int, a constant or None is legal"),
        ((None, None, 8, 10), "legal sizes: 9, 10"),
    ],
)
def test_sizes_that_cannot_be(shape, text):
    with pytest.raises(ValueError, match=text):
        deconvolve(shape)


@pytest.mark.parametrize(
    "option, text",
    [
        (dict(border_mode="same"), "'half' is what other libraries call 'same'"),
        (dict(border_mode=[1, 1]), r"write it as a tuple: \(1, 1\)"),
        (dict(border_mode=(1, -1)), "border mode"),
        (dict(subsample=(2,)), "subsample must have 2 elements, not 1"),
        (dict(subsample=(0, 1)), r"`subsample` \(=\(0, 1\)\) must be integers of at least 1"),
        (dict(filter_dilation=(1, 0)), "`filter_dilation`"),
        (dict(num_groups=0), "num_groups is 0"),
        (dict(imshp=(1, 2, 9)), "`imshp` has 3 entries"),
    ],
)
def test_options_that_cannot_be(option, text):
    for kind in (ac.AbstractConv2d, ac.AbstractConv2d_gradInputs, ac.AbstractConv2d_gradWeights):
        with pytest.raises(ValueError, match=text):
            kind(**option)


def test_the_filters_gradient_wants_its_shape():
    with pytest.raises(SizeError, match="`filter_shape` has 3 entries"):
        ac.conv2d_grad_wrt_weights(at.tensor4(), at.tensor4(), (3, 2, 3))
    with pytest.raises(ValueError, match=r"filter_shape\[3\] is None"):
        ac.conv2d_grad_wrt_weights(at.tensor4(), at.tensor4(), (3, 2, 3, None))


def test_wrong_sizes_that_only_show_when_the_function_runs():
    size = at.lscalar()
    function = aesara.function([size], deconvolve((None, None, size, 10)), mode="FAST_COMPILE")
    assert function(9).shape == (1, 2, 9, 10)
    with pytest.raises(SizeError, match="legal sizes: 9, 10") as caught:
        function(8)
    assert (caught.value.actual, caught.value.computed, caught.value.axis) == (4, 3, 2)


def test_a_stride_of_0_of_aesaras_own_class_is_an_error_when_it_is_compiled():
    images = at.tensor4(dtype="float32")
    output = BASE.AbstractConv2d_gradInputs(subsample=(0, 1))(at.constant(W), images, (9, 10))
    with pytest.raises(SizeError, match="stride"):
        aesara.function([images], output, mode="FAST_COMPILE")


def test_the_classes_are_aesaras():
    op = ac.AbstractConv2d_gradInputs(None, (3, 2, 3, 2), (np.int64(1), 0), (np.int64(2), 1), False)
    assert type(op) is BASE.AbstractConv2d_gradInputs and op.border_mode == (1, 0) and op.filter_flip is False
    assert isinstance(op, ac.AbstractConv2d_gradInputs) and not isinstance(op, ac.AbstractConv2d)
    assert op == BASE.AbstractConv2d_gradInputs(None, (3, 2, 3, 2), (1, 0), (2, 1), False)
    images = at.tensor4(dtype="float32")
    gradient = aesara.grad(ac.conv2d(images, at.constant(W)).sum(), images)
    ops = [v.owner.op for v in aesara.graph.basic.ancestors([gradient]) if v.owner is not None]
    assert any(isinstance(op, ac.AbstractConv2d_gradInputs) for op in ops)


def test_they_are_computed_by_our_engine():
    gradient = at.tensor4(dtype="float32")
    output = ac.conv2d_grad_wrt_inputs(gradient, at.constant(W), (None, None, 9, 10), subsample=(2, 2))
    function = aesara.function([gradient], output, mode="FAST_COMPILE")
    assert [n for n in function.maker.fgraph.apply_nodes if isinstance(n.op, ConvInputGradient)]


def test_who_looks_for_corrmm_finds_the_engine():
    gradient = at.tensor4(dtype="float32")
    output = ac.conv2d_grad_wrt_inputs(gradient, at.constant(W), (None, None, 9, 10), subsample=(2, 2))
    ops = [n.op for n in aesara.function([gradient], output, mode="FAST_COMPILE").maker.fgraph.apply_nodes]
    assert [op for op in ops if isinstance(op, corr.CorrMM_gradInputs)]
    for other in (corr.CorrMM, corr.CorrMM_gradWeights, corr.Corr3dMM_gradInputs):
        assert not [op for op in ops if isinstance(op, other)]
    op = corr.CorrMM("half", (2, 1))
    assert isinstance(op, corr.CorrMM) and isinstance(op, aesara.tensor.nnet.corr.CorrMM) and op.subsample == (2, 1)
    assert isinstance(aesara.tensor.nnet.corr.CorrMM(), corr.CorrMM)
    assert isinstance(corr.Corr3dMM(), corr.Corr3dMM) and not isinstance(corr.Corr3dMM(), corr.CorrMM)


def test_what_theano_passed_over():
    """Other filters than announced: Theano said nothing. Filters that cannot be: AssertionError, and no more."""
    images = at.constant(np.zeros((1, 2, 9, 10), "float32"))
    announced = dict(filter_shape=(3, 2, 5, 5))
    with pytest.raises(SizeError, match=r"`filter_shape` is \(3, 2, 5, 5\), but what is given has .*\(3, 2, 3, 2\)"):
        deconvolve(**announced)
    with pytest.raises(SizeError, match="`filter_shape` is"):
        ac.conv2d(images, at.constant(W), **announced)
    with pytest.raises(SizeError, match="`input_shape` is"):
        ac.conv2d_grad_wrt_weights(images, at.constant(G), W.shape, input_shape=(1, 2, 8, 10), subsample=(2, 2))
    with pytest.raises(ValueError, match="filters"):
        ac.conv2d_grad_wrt_weights(images, at.constant(G), (3, 2, 4, 9), subsample=(2, 2))


def test_dtypes_that_differ_are_told():
    """A float64 gradient with float32 filters: Theano gave float32 and said nothing."""
    with pytest.warns(UserWarning, match="from float64 and float32: its dtype is float32"):
        output = ac.conv2d_grad_wrt_inputs(at.constant(G.astype("float64")), at.constant(W), (None, None, 6, 6))
    assert output.dtype == "float32"


def test_nnet_conv2d_has_the_old_keywords():
    images = at.tensor4(dtype="float32")
    variable = conv.conv2d(images, at.constant(W), image_shape=(1, 2, 5, 6), filter_shape=W.shape)
    assert variable.owner.op.imshp == (1, 2, 5, 6)
    with pytest.raises(ValueError, match="image_shape should not be provided"):
        conv.conv2d(images, at.constant(W), image_shape=(1, 2, 5, 6), input_shape=(1, 2, 5, 6))
    with pytest.raises(ValueError, match="imshp_logical"):
        conv.conv2d(images, at.constant(W), imshp_logical=(2, 9, 9))
    with pytest.warns(UserWarning, match="unroll_batch"):
        conv.conv2d(images, at.constant(W), unroll_batch=1)
    with pytest.raises(TypeError, match="unexpected keyword arguments"):
        nnet_conv.conv2d(images, at.constant(W), strides=2)
