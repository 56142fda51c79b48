"""cuDNN and GpuCorrMM calls, served on the CPU: equal to the convolutions they stand for."""

import numpy as np
import pytest

from deconv_legacy.engine import aesara, compile, conv, conv_input_gradient, conv_weight_gradient, pooling
from deconv_legacy.theano.old import cuda, dnn, gpu_blas, gpuarray

at = aesara.tensor
rng = np.random.default_rng(0)


def array(*shape):
    return rng.standard_normal(shape).astype("float32")


X, W, G = array(2, 4, 9, 8), array(6, 4, 3, 2), array(2, 6, 4, 4)
PADS = dict(border_mode=(0, 1), stride=(2, 3))


def same(ours, theirs):
    a, b = compile([], [ours, theirs], backend="numpy")()
    assert a.size and np.array_equal(a, b)


@pytest.mark.parametrize("mode", ["conv", "cross"])
def test_cudnn_convolution_and_its_gradients(mode):
    flip = mode == "conv"
    described = [
        dnn.GpuDnnConvDesc(border_mode=(0, 1), subsample=(2, 3), conv_mode=mode)(X.shape, W.shape),
        dnn.GpuDnnConvDesc((0, 1), (2, 3), (1, 1), mode)(W.shape),  # Theano 0.9 and later
        dnn.GpuDnnConvDesc((0, 1), (2, 3), mode)(X.shape, W.shape),  # 0.7 and 0.8
    ]
    assert len(set(described)) == 1
    desc = described[0]
    forward = conv(X, W, flip=flip, **PADS)
    same(dnn.dnn_conv(at.constant(X), at.constant(W), (0, 1), (2, 3), conv_mode=mode), forward)
    out = cuda.gpu_alloc_empty(2, 6, 4, 3)
    same(dnn.GpuDnnConv()(cuda.gpu_contiguous(X), W, out, desc), forward)
    g = G[..., :3]
    back = conv_input_gradient(W, g, (9, 8), flip=flip, **PADS)
    same(dnn.GpuDnnConvGradI()(W, g, at.zeros(X.shape, "float32"), desc), back)
    same(dnn.GpuDnnConvGradI()(W, g, at.constant(X), desc, 2.0, 3.0), 2 * back + 3 * at.constant(X))
    same(dnn.dnn_gradinput(at.constant(W), at.constant(g), X.shape, (0, 1), (2, 3), conv_mode=mode), back)
    filters = conv_weight_gradient(X, g, (3, 2), flip=flip, **PADS)
    same(dnn.GpuDnnConvGradW()(X, g, at.zeros(W.shape, "float32"), desc), filters)
    same(dnn.dnn_gradweight(at.constant(X), at.constant(g), W.shape, (0, 1), (2, 3), conv_mode=mode), filters)


def test_the_deconvolution_of_dcgan():
    """``deconv`` of the DCGAN code, call by call."""
    subsample, w = (2, 2), array(6, 4, 5, 5)
    img, kerns = cuda.gpu_contiguous(at.constant(G)), cuda.gpu_contiguous(at.constant(w))
    sizes = (img.shape[0], kerns.shape[1], img.shape[2] * subsample[0], img.shape[3] * subsample[1])
    desc = dnn.GpuDnnConvDesc(border_mode=(2, 2), subsample=subsample, conv_mode="conv")(
        cuda.gpu_alloc_empty(*sizes).shape, kerns.shape
    )
    image = dnn.GpuDnnConvGradI()(kerns, img, cuda.gpu_alloc_empty(*sizes), desc)
    same(image, conv_input_gradient(w, G, (8, 8), border_mode=2, stride=2, flip=True))


def test_gpucorrmm():
    same(gpu_blas.GpuCorrMM("half", (2, 2))(X, W), conv(X, W, border_mode="half", stride=2))
    same(gpu_blas.GpuCorrMM(subsample=(1, 2), pad=(2, 1))(X, W), conv(X, W, border_mode=(2, 1), stride=(1, 2)))
    same(
        gpu_blas.GpuCorrMM_gradInputs((1, 0), (2, 2))(W, G, (7, 8)),
        conv_input_gradient(W, G, (7, 8), border_mode=(1, 0), stride=2),
    )
    same(gpu_blas.GpuCorrMM_gradInputs()(W, G), conv_input_gradient(W, G, (6, 5)))
    same(
        gpu_blas.GpuCorrMM_gradInputs("full", filter_dilation=(1, 2))(W, G),
        conv_input_gradient(W, G, (2, 2), border_mode="full", dilation=(1, 2)),
    )
    small = array(2, 4, 6, 5)
    same(gpu_blas.GpuCorrMM_gradWeights()(small, G), conv_weight_gradient(small, G, (3, 2)))
    with pytest.raises(ValueError, match="shape must be given"):
        gpu_blas.GpuCorrMM_gradInputs(subsample=(2, 2))(W, G)
    volumes, filters = array(1, 2, 4, 5, 3), array(3, 2, 2, 3, 2)
    same(gpu_blas.GpuCorr3dMM(subsample=(1, 2, 1))(volumes, filters), conv(volumes, filters, stride=(1, 2, 1)))


def test_pools_of_cudnn():
    same(dnn.dnn_pool(at.constant(X), (3, 2)), pooling.max_pool(X, (3, 2), 1))
    padded = dnn.dnn_pool(at.constant(X), (3, 2), (1, 1), "average_exc_pad", (2, 1))  # a pad above the stride
    same(padded, pooling.average_pool(X, (3, 2), 1, (2, 1), divisor="real"))
    desc = dnn.GpuDnnPoolDesc((3, 2), (2, 2), "max", (1, 0))()
    same(dnn.GpuDnnPool()(X, desc), pooling.max_pool(X, (3, 2), 2, (1, 0)))
    g = np.ones((2, 4, 4, 4), "float32")
    variable = at.constant(X)
    expected = aesara.grad(pooling.max_pool(variable, (3, 2), 2).sum(), variable)
    same(dnn.GpuDnnPoolGrad("max")(X, None, g, (3, 2), (2, 2), (0, 0)), expected)
    with pytest.raises(ValueError, match="'max' or one of"):
        dnn.dnn_pool(at.constant(X), (2, 2), mode="median")


def test_softmax_over_channels_or_all():
    x = array(2, 3, 4, 2).astype("float64")
    e = np.exp(x)
    for op, axes in (
        (dnn.GpuDnnSoftmax("bc01", "accurate", "channel"), 1),  # Theano 0.7 and 0.8
        (dnn.GpuDnnSoftmax("accurate", "instance"), (1, 2, 3)),
        (dnn.GpuDnnSoftmax("b01c", "fast", "channel"), 3),
    ):
        np.testing.assert_allclose(
            compile([], op(x), backend="numpy")(), e / e.sum(axis=axes, keepdims=True), rtol=1e-12
        )
    log = dnn.GpuDnnSoftmax("log", "channel")(x)
    np.testing.assert_allclose(
        compile([], log, backend="numpy")(), np.log(e / e.sum(axis=1, keepdims=True)), rtol=1e-10
    )


def test_transfers_do_nothing():
    x = at.tensor4()
    assert cuda.host_from_gpu(cuda.gpu_from_host(x)) is x and gpuarray.GpuFromHost(None)(x) is x
    assert gpuarray.gpu_alloc_empty(None, "float64")(2, 3).type.shape == (2, 3)
    assert cuda.CudaNdarrayType((False, True)) == at.TensorType("float32", (None, 1))
    assert cuda.float32_shared_constructor(np.zeros(3)).dtype == "float32"
