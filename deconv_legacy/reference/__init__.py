"""The specification: what every operation of this package computes, in plain NumPy and SciPy.

Nothing here is fast, and nothing of the fast path calls it: tests, ``deconv-legacy check`` and
``deconv_legacy.testing`` do. It derives its own sizes and imports nothing from the package but the errors, so
that it can bear witness against the rest.

Common to all functions:

* arrays are ``(N, C, *spatial)`` with one, two, three or more spatial axes;
* weights of a convolution are ``(out, in / groups, *kernel)``; those of a deconvolution, which is the input
  gradient of that convolution, are therefore ``(deconvolution in, deconvolution out / groups, *kernel)``;
* float32 and float64 go in; everything is computed and returned in float64;
* ``kernel``, ``stride``, ``dilation``, ``pad`` are one int for all spatial axes or one int per axis;
  ``pads`` of a convolution may also be one pair ``(before, after)`` per axis;
* ``f_grad`` is the gradient of ``sum(g * f(x))``, where ``g`` has the shape of ``f``'s output.
"""

from .convolution import conv, conv_input_grad, conv_matrix, conv_weight_grad
from .elementwise import (
    dropout,
    eltwise,
    eltwise_grad,
    elu,
    elu_grad,
    inner_product,
    inner_product_grad,
    power,
    power_grad,
    prelu,
    prelu_grad,
    relu,
    relu_grad,
    scale,
    scale_grad,
    selu,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
)
from .losses import (
    euclidean_loss,
    euclidean_loss_grad,
    sigmoid_cross_entropy_loss,
    sigmoid_cross_entropy_loss_grad,
    softmax,
    softmax_grad,
    softmax_loss,
    softmax_loss_grad,
)
from .normalization import (
    batch_moments,
    batch_norm,
    batch_norm_grad,
    caffe_batch_norm_blobs,
    caffe_batch_norm_moments,
    lrn_across,
    lrn_across_grad,
    lrn_within,
    lrn_within_grad,
)
from .pooling import (
    caffe_ave_pool,
    caffe_ave_pool_grad,
    caffe_max_pool,
    caffe_pool_sizes,
    max_pool_grad,
    tf_avg_pool,
    tf_avg_pool_grad,
    tf_max_pool,
    theano_pool,
    theano_pool_grad,
)
from .resampling import (
    crop,
    crop_grad,
    linear_resize,
    linear_resize_grad,
    nearest_resize,
    repeat,
    unpool,
    unpool_grad,
    upsample_by_deconvolution,
    zero_insert,
)
from .scipy_convolution import conv_by_scipy, conv_input_grad_by_scipy, conv_weight_grad_by_scipy

__all__ = [
    "batch_moments",
    "batch_norm",
    "batch_norm_grad",
    "caffe_ave_pool",
    "caffe_ave_pool_grad",
    "caffe_batch_norm_blobs",
    "caffe_batch_norm_moments",
    "caffe_max_pool",
    "caffe_pool_sizes",
    "conv",
    "conv_by_scipy",
    "conv_input_grad",
    "conv_input_grad_by_scipy",
    "conv_matrix",
    "conv_weight_grad",
    "conv_weight_grad_by_scipy",
    "crop",
    "crop_grad",
    "dropout",
    "eltwise",
    "eltwise_grad",
    "elu",
    "elu_grad",
    "euclidean_loss",
    "euclidean_loss_grad",
    "inner_product",
    "inner_product_grad",
    "linear_resize",
    "linear_resize_grad",
    "lrn_across",
    "lrn_across_grad",
    "lrn_within",
    "lrn_within_grad",
    "max_pool_grad",
    "nearest_resize",
    "power",
    "power_grad",
    "prelu",
    "prelu_grad",
    "relu",
    "relu_grad",
    "repeat",
    "scale",
    "scale_grad",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_loss",
    "sigmoid_cross_entropy_loss_grad",
    "sigmoid_grad",
    "softmax",
    "softmax_grad",
    "softmax_loss",
    "softmax_loss_grad",
    "tanh",
    "tanh_grad",
    "tf_avg_pool",
    "tf_avg_pool_grad",
    "tf_max_pool",
    "theano_pool",
    "theano_pool_grad",
    "unpool",
    "unpool_grad",
    "upsample_by_deconvolution",
    "zero_insert",
]
