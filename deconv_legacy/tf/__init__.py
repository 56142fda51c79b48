"""TensorFlow 1's convolutions and what goes with them, with its argument orders, layouts, defaults and numbers.

Images are ``[N, H, W, C]``, filters ``[kh, kw, in, out]`` (of a transposed convolution ``[kh, kw, OUT, IN]``) and are
not flipped. Functions take arrays or variables and return Aesara variables: ``.eval()`` gives numbers, and
`deconv_legacy.engine.compile` a function. There are no sessions, scopes and collections: `tf.trainable_variables` and
`tf.update_ops` read from an expression what it depends on, and `tf.train.function` makes a training step.

>>> import numpy as np
>>> from deconv_legacy import tf
>>> a = np.array([[0, 0, 1.5], [0, 1, 0], [0, 0, 0]], "float32").reshape(1, 3, 3, 1)
>>> w = np.array([[1, 2], [3, 4]], "float32").reshape(2, 2, 1, 1)
>>> tf.nn.conv2d_transpose(a, w, output_shape=[1, 6, 6, 1], strides=[1, 2, 2, 1], padding="SAME").eval()[0, :2, :, 0]
array([[0. , 0. , 0. , 0. , 1.5, 3. ],
       [0. , 0. , 0. , 0. , 4.5, 6. ]], dtype=float32)
"""

from deconv_legacy.tf import contrib, image, keras, layers, losses, nn, train
from deconv_legacy.tf.activations import (
    elu,
    relu,
    selu,
    sigmoid,
    sigmoid_cross_entropy_with_logits,
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
from deconv_legacy.tf.image import resize_bilinear, resize_nearest_neighbor
from deconv_legacy.tf.normalization import VARIANCE_RULES
from deconv_legacy.tf.pooling import avg_pool, max_pool, max_pool_with_argmax
from deconv_legacy.tf.variables import (
    Variable,
    global_variables,
    placeholder,
    shape,
    trainable_variables,
    update_ops,
)

__all__ = [
    "VARIANCE_RULES",
    "Variable",
    "avg_pool",
    "contrib",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "elu",
    "global_variables",
    "image",
    "keras",
    "layers",
    "losses",
    "max_pool",
    "max_pool_with_argmax",
    "nn",
    "placeholder",
    "relu",
    "resize_bilinear",
    "resize_nearest_neighbor",
    "selu",
    "shape",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "tanh",
    "train",
    "trainable_variables",
    "update_ops",
]
