"""What `import theano` computes, case by case: run by real Theano 1.0.5 to write the golden numbers, and by the facade.

    THEANO_FLAGS=blas.ldflags=-lopenblas python cases.py data/theano_1_0_5.npz

with Python 3.8, numpy 1.21.6, scipy 1.7.3, Theano 1.0.5. Plain Python 3.8, so that both can run it.
"""

import sys

import numpy as np
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.nnet import abstract_conv, bn
from theano.tensor.nnet import conv as old_conv
from theano.tensor.nnet.neighbours import images2neibs
from theano.tensor.shared_randomstreams import RandomStreams
from theano.tensor.signal import pool

rng = np.random.RandomState(1)


def array(*shape):
    return rng.randn(*shape).astype("float32")


def convolutions():
    """Forward, input gradient and weight gradient by the functions and the Op classes, in two and three dimensions."""
    x, w, w_grouped = array(2, 4, 7, 9), array(6, 4, 3, 2), array(6, 2, 3, 2)
    options = {
        "valid": dict(),
        "full, stride": dict(border_mode="full", subsample=(2, 3)),
        "half, no flip": dict(border_mode="half", subsample=(3, 1), filter_flip=False),
        "pads, dilation": dict(border_mode=(2, 1), filter_dilation=(1, 3)),
        "asymmetric": dict(border_mode=((1, 0), (0, 2)), subsample=(2, 2)),
        "groups": dict(num_groups=2, subsample=(1, 2), border_mode=1),
    }
    for name, option in options.items():
        filters = w_grouped if "num_groups" in option else w
        y = T.nnet.conv2d(T.constant(x), T.constant(filters), **option)
        shape = tuple(
            abstract_conv.get_conv_output_shape(
                x.shape,
                filters.shape,
                option.get("border_mode", "valid"),
                option.get("subsample", (1, 1)),
                option.get("filter_dilation", (1, 1)),
            )
        )
        g = array(*shape)
        yield "conv2d " + name, y
        yield (
            "inputs " + name,
            abstract_conv.conv2d_grad_wrt_inputs(
                T.constant(g), T.constant(filters), (None, None, 7, 9), filter_shape=filters.shape, **option
            ),
        )
        op = abstract_conv.AbstractConv2d_gradWeights(kshp=filters.shape, **option)
        yield "weights " + name, op(T.constant(x), T.constant(g), (3, 2))
    v, u = array(1, 2, 5, 4, 6), array(3, 2, 2, 3, 2)
    option = dict(border_mode=(1, 0, 1), subsample=(2, 1, 2))
    y = T.nnet.conv3d(T.constant(v), T.constant(u), **option)
    yield "conv3d", y
    shape = abstract_conv.get_conv_output_shape(v.shape, u.shape, (1, 0, 1), (2, 1, 2))
    op = abstract_conv.AbstractConv3d_gradInputs(**option)
    yield "inputs 3d", op(T.constant(u), T.constant(array(*shape)), (5, 4, 6))
    yield (
        "transpose",
        T.nnet.conv2d_transpose(
            T.constant(array(2, 6, 3, 4)), T.constant(w), (None, None, 7, 11), input_dilation=(2, 3)
        )
        if hasattr(T.nnet, "conv2d_transpose")
        else None,
    )
    yield (
        "unshared",
        abstract_conv.conv2d(
            T.constant(x), T.constant(array(3, 4, 5, 4, 2, 1)), subsample=(2, 2), border_mode=(1, 0), unshared=True
        ),
    )
    yield (
        "separable",
        abstract_conv.separable_conv2d(
            T.constant(x), T.constant(array(8, 1, 3, 2)), T.constant(array(5, 8, 1, 1)), num_channels=4
        ),
    )
    yield (
        "causal",
        abstract_conv.causal_conv1d(
            T.constant(array(2, 3, 9)), T.constant(array(4, 3, 3)), (4, 3, 3), subsample=2, filter_dilation=2
        ),
    )
    yield "bilinear", abstract_conv.bilinear_upsampling(T.constant(x), 3, batch_size=2, num_input_channels=4)


def first_interface():
    """theano.tensor.nnet.conv.conv2d with its logical shapes, and theano.tensor.signal.conv."""
    x, w = array(2, 3, 4, 5), array(4, 3, 3, 2)
    shapes = dict(image_shape=x.shape, filter_shape=w.shape)
    yield "conv.conv2d", old_conv.conv2d(T.constant(x), T.constant(w), border_mode="full", subsample=(2, 1), **shapes)
    yield (
        "imshp_logical",
        old_conv.conv2d(T.constant(x), T.constant(w), border_mode="full", imshp_logical=(3, 8, 15), **shapes),
    )
    for aligned in (True, False):
        yield (
            "kshp_logical " + str(aligned),
            old_conv.conv2d(
                T.constant(x),
                T.constant(w),
                border_mode="full",
                kshp_logical=(6, 4),
                kshp_logical_top_aligned=aligned,
                **shapes,
            ),
        )


def pools():
    x = T.constant(array(2, 3, 7, 8))
    yield "max", pool.pool_2d(x, ws=(3, 2), ignore_border=True, stride=(2, 3))
    yield "max with border", pool.pool_2d(x, ws=(2, 3), ignore_border=False)
    yield "max of old", pool.pool_2d(x, ds=(2, 3), st=(3, 2), padding=(1, 1), ignore_border=True)
    for mode in ("sum", "average_inc_pad", "average_exc_pad"):
        yield mode, pool.pool_2d(x, ws=(3, 3), ignore_border=True, stride=(2, 2), pad=(1, 1), mode=mode)
    yield "max 3d", pool.pool_3d(x, ws=(1, 2, 3), ignore_border=True)
    yield "same size", pool.max_pool_2d_same_size(x, (2, 4))


def activations():
    x = T.constant(array(3, 4))
    yield "softmax of a vector", T.nnet.softmax(x[0])
    yield "softmax", T.nnet.softmax(x)
    yield "logsoftmax", T.nnet.logsoftmax(x)
    for name in ("sigmoid", "softplus", "hard_sigmoid", "elu", "softsign"):
        yield name, getattr(T.nnet, name)(x)
    yield "relu", T.nnet.relu(x, alpha=0.2)
    y = T.nnet.softmax(x)
    yield "cross-entropy", T.nnet.categorical_crossentropy(y, T.constant(np.array([1, 0, 3])))
    yield "binary cross-entropy", T.nnet.binary_crossentropy(T.nnet.sigmoid(x), T.nnet.sigmoid(-x))


def tensors():
    x = T.constant(array(1, 4))
    yield "patternbroadcast", T.patternbroadcast(x, (True, False)) + T.constant(array(3, 4))
    yield "addbroadcast", T.addbroadcast(T.constant(array(3, 1)), 1) * x
    yield "unbroadcast", T.unbroadcast(x, 0)
    yield "flatten", T.flatten(T.constant(array(2, 3, 4)), outdim=2)
    yield "int_div", T.int_div(T.constant(7), T.constant(2)) + T.floor_div(T.constant(-7), T.constant(2))
    yield "neighbours", images2neibs(T.constant(array(1, 2, 4, 6)), (2, 3))
    result, _ = theano.scan(
        lambda v, s: s + v, sequences=T.constant(array(4, 3)), outputs_info=T.zeros((3,), "float32")
    )
    yield "scan", result


def random_streams():
    """Drawn twice: the states are updated."""
    streams = RandomStreams(234)
    yield "uniform", streams.uniform((2, 3))
    yield (
        "uniform of vectors",
        streams.uniform(low=T.constant(np.array([0.0, 5.0])), high=T.constant(np.array([1.0, 6.0]))),
    )
    yield "uniform with -1", streams.uniform((2, -1), low=T.constant(np.array([0.0, 5.0, 2.0])), high=7.0)
    yield "normal", streams.normal((3, 2), avg=1, std=2)
    yield "binomial", streams.binomial((4, 5), n=1, p=0.3, dtype="float32")
    yield "random_integers", streams.random_integers((6,), 2, 9)
    yield "choice", streams.choice((5,), a=7, p=None)
    yield "poisson", streams.poisson((5,), lam=3.0)
    yield "permutation", streams.permutation((2,), n=6)
    yield "multinomial", streams.multinomial((2,), n=8, pvals=np.array([0.2, 0.5, 0.3]))
    yield "shuffle", streams.shuffle_row_elements(T.constant(np.arange(12).reshape(3, 4)))


def in_c():
    """What C and Python round differently, in Theano as here."""
    own = np.random.RandomState(2)
    x, scale, bias = (T.constant(own.randn(*shape).astype("float32")) for shape in ((3, 4), (1, 4), (1, 4)))
    yield "ultra_fast_sigmoid", T.nnet.ultra_fast_sigmoid(3 * x)
    yield "old names", T.abs_(x) + T.inv(x) + T.sqr(x) + T.true_div(x, 3)
    yield "clone", theano.clone(T.exp(x), replace={x: x * 2})
    yield "normalized", bn.batch_normalization_train(x, scale, bias)[0]


def mrg_streams():
    """The C and the Python version of MRG round float32 differently: C is meant, as in Theano's default mode."""
    streams = MRG_RandomStreams(77)
    yield "mrg uniform", streams.uniform((3, 4))
    yield "mrg normal", streams.normal((3, 3), avg=1.0, std=0.5)
    yield "mrg binomial", streams.binomial((4, 4), p=0.4)
    yield "mrg multinomial", streams.multinomial(n=1, pvals=T.constant(np.full((3, 4), 0.25, "float32")))


IN_PYTHON = (convolutions, first_interface, pools, activations, tensors, random_streams)
IN_C = (in_c, mrg_streams)


def results_of(groups, mode):
    """The groups' cases in one function; it is called twice, for the random ones."""
    theano.config.floatX = "float32"
    names, variables = [], []
    for group in groups:
        for name, variable in group():
            if variable is not None:
                names.append(group.__name__ + ": " + name)
                variables.append(variable)
    function = theano.function([], variables, mode=mode)
    first, second = function(), function()
    numbers = {name: np.asarray(first[i]) for i, name in enumerate(names)}
    again = [i for i, name in enumerate(names) if name.split(":")[0].endswith("streams")]
    numbers.update((names[i] + ", again", np.asarray(second[i])) for i in again)
    return numbers


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], **results_of(IN_PYTHON + IN_C, "FAST_RUN"))
