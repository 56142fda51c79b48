"""The reference against numbers of real Caffe (tests/data/caffe)."""

from pathlib import Path

import numpy as np
import pytest

from deconv_legacy import reference as ref

CASES = Path(__file__).parents[1] / "data" / "caffe" / "layers"


def load(case):
    with np.load(CASES / case / "io.npz") as file:
        return {key: file[key] for key in file.files}


def close(actual, expected, name=""):
    assert np.shape(actual) == expected.shape, name
    assert np.abs(actual - expected).max() <= 2e-5 * np.abs(expected).max(), name


def with_bias(y, z):
    return y if "param/l/1" not in z else ref.scale(y, np.ones(y.shape[1]), z["param/l/1"])


CONVOLUTIONS = {"conv_basic": dict(pads=1), "conv_pad100": dict(pads=100)}
DECONVOLUTIONS = {
    "deconv_group_bilinear_even": ((10, 12), dict(stride=2, pads=1, groups=4)),
    "deconv_k16s8_interp": ((56, 48), dict(stride=8)),
    "deconv_k4s2": ((12, 10), dict(stride=2)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case):
    z, how = load(case), CONVOLUTIONS[case]
    x, w, g = z["in/data"], z["param/l/0"], z["top_diff/out"]
    close(with_bias(ref.conv(x, w, **how), z), z["out/out"])
    close(ref.conv_input_grad(w, g, x.shape[2:], **how), z["in_diff/data"])
    close(ref.conv_weight_grad(x, g, w.shape[2:], **how), z["param_diff/l/0"])
    close(ref.scale_grad(z["out/out"], g, np.ones(g.shape[1]))[2], z["param_diff/l/1"])


@pytest.mark.parametrize("case", DECONVOLUTIONS)
def test_deconvolution(case):
    z, (size, how) = load(case), DECONVOLUTIONS[case]
    x, w, g = z["in/data"], z["param/l/0"], z["top_diff/out"]
    close(ref.conv_input_grad(w, x, size, **how), z["out/out"])
    close(ref.conv(g, w, **how), z["in_diff/data"])
    close(ref.conv_weight_grad(g, x, w.shape[2:], **how), z["param_diff/l/0"])


def test_upsampling_by_the_bilinear_filler():
    z = load("deconv_group_bilinear_even")
    close(ref.upsample_by_deconvolution(z["in/data"], 2), z["out/out"])


def test_relu_in_place():
    z = load("relu_inplace")
    before = with_bias(ref.conv(z["in/data"], z["param/l/0"]), z)
    close(ref.relu(before), z["out/out"])
    g = ref.relu_grad(before, z["top_diff/out"])
    close(ref.conv_input_grad(z["param/l/0"], g, (4, 5)), z["in_diff/data"])


def test_max_pooling():
    z = load("pool_max_k2s2_odd")
    y, mask = ref.caffe_max_pool(z["in/data"], 2, 2)
    close(y, z["out/out"])
    close(ref.max_pool_grad(mask, z["top_diff/out"], (7, 9)), z["in_diff/data"])


def test_average_pooling():
    z = load("pool_ave_k3s2p1")
    close(ref.caffe_ave_pool(z["in/data"], 3, 2, 1), z["out/out"])
    close(ref.caffe_ave_pool_grad(z["top_diff/out"], (7, 8), 3, 2, 1), z["in_diff/data"])


@pytest.mark.parametrize(("case", "offset"), [("crop_default", 0), ("crop_axis2_offset1", 3)])
def test_crop(case, offset):
    z = load(case)
    close(ref.crop(z["in/data"], z["in/ref"].shape, offset), z["out/out"])
    close(ref.crop_grad(z["top_diff/out"], z["in/data"].shape, offset), z["in_diff/data"])


def test_lrn():
    z, how = load("lrn_across"), dict(size=5, alpha=1e-4, beta=0.75)
    close(ref.lrn_across(z["in/data"], **how), z["out/out"])
    close(ref.lrn_across_grad(z["in/data"], z["top_diff/out"], **how), z["in_diff/data"])


def test_batch_norm_and_scale():
    z = load("bn_scale_test")
    x, g, gamma = z["in/data"], z["top_diff/out"], z["param/sc/0"]
    mean, var = ref.caffe_batch_norm_moments([z[f"param/bn/{i}"] for i in range(3)])
    normed = ref.batch_norm(x, mean, var, eps=1e-5)
    close(normed, z["out/n"])
    close(ref.scale(normed, gamma, z["param/sc/1"]), z["out/out"])
    g_normed, g_gamma, g_beta = ref.scale_grad(normed, g, gamma)
    close(g_gamma, z["param_diff/sc/0"])
    close(g_beta, z["param_diff/sc/1"])
    close(ref.batch_norm_grad(x, g_normed, mean, var, eps=1e-5, train=False), z["in_diff/data"])


def test_scale_by_a_constant():
    z = load("scale_const")
    close(ref.scale(z["in/data"], z["param/l/0"]), z["out/out"])
    # lr_mult 0: Caffe leaves the gradient of the parameter alone.
    close(ref.scale_grad(z["in/data"], z["top_diff/out"], z["param/l/0"])[0], z["in_diff/data"])


def test_eltwise():
    z = load("eltwise_sum_coeff")
    inputs = [z["in/x0"], z["in/x1"]]
    close(ref.eltwise(inputs, "SUM", [0.5, -2]), z["out/out"])
    for i, g in enumerate(ref.eltwise_grad(inputs, z["top_diff/out"], "SUM", [0.5, -2])):
        close(g, z[f"in_diff/x{i}"])


def test_inner_product():
    z = load("innerproduct")
    x, w, g = z["in/data"], z["param/l/0"], z["top_diff/out"]
    close(ref.inner_product(x, w, z["param/l/1"]), z["out/out"])
    names = ("in_diff/data", "param_diff/l/0", "param_diff/l/1")
    for got, name in zip(ref.inner_product_grad(x, g, w), names, strict=True):
        close(got, z[name], name)


def test_power():
    z, how = load("power"), dict(power=2, scale=0.5, shift=-1)
    close(ref.power(z["in/data"], **how), z["out/out"])
    close(ref.power_grad(z["in/data"], z["top_diff/out"], **how), z["in_diff/data"])


def test_prelu():
    z = load("prelu")
    close(ref.prelu(z["in/data"], z["param/l/0"]), z["out/out"])
    g_x, g_slope = ref.prelu_grad(z["in/data"], z["top_diff/out"], z["param/l/0"])
    close(g_x, z["in_diff/data"])
    close(g_slope, z["param_diff/l/0"])


def test_sigmoid_tanh_elu():
    z = load("sigmoid_tanh_elu")
    x = z["in/data"]
    for name, function in (("s", ref.sigmoid), ("t", ref.tanh), ("e", ref.elu)):
        close(function(x), z[f"out/{name}"], name)
    gradients = (("s", ref.sigmoid_grad), ("t", ref.tanh_grad), ("e", ref.elu_grad))
    close(sum(grad(x, z[f"top_diff/{name}"]) for name, grad in gradients), z["in_diff/data"])


def test_softmax():
    z = load("softmax_axis1")
    close(ref.softmax(z["in/data"]), z["out/out"])
    close(ref.softmax_grad(z["in/data"], z["top_diff/out"]), z["in_diff/data"])


@pytest.mark.parametrize(
    ("case", "normalization"), [("softmaxloss_fcn", "BATCH_SIZE"), ("softmaxloss_normalize_true", "VALID")]
)
def test_softmax_loss(case, normalization):
    z = load(case)
    how = dict(ignore_label=255, normalization=normalization)
    for in_float32 in (False, True):
        loss = ref.softmax_loss(z["in/data"], z["in/label"], **how, caffe_cpu_sum=in_float32)
        close(loss, z["out/loss"])
    close(ref.softmax_loss_grad(z["in/data"], z["in/label"], **how), z["in_diff/data"])


def test_euclidean_loss():
    z = load("euclidean")
    close(ref.euclidean_loss(z["in/data"], z["in/label"]), z["out/loss"])
    close(ref.euclidean_loss_grad(z["in/data"], z["in/label"])[0], z["in_diff/data"])
