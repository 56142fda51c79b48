"""``tf.nn``: the names by which TensorFlow 1 scripts call the functions of this room."""

from deconv_legacy.tf.activations import (
    bias_add,
    elu,
    l2_loss,
    leaky_relu,
    relu,
    selu,
    sigmoid,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
    tanh,
)
from deconv_legacy.tf.convolution import (
    conv2d,
    conv2d_backprop_filter,
    conv2d_backprop_input,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
)
from deconv_legacy.tf.pooling import avg_pool, max_pool, max_pool_with_argmax

__all__ = [
    "avg_pool",
    "bias_add",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "elu",
    "l2_loss",
    "leaky_relu",
    "max_pool",
    "max_pool_with_argmax",
    "relu",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "tanh",
]
