"""The compute engine: Ops on Aesara with C code, NumPy code and gradients, and their compilation.

The only room that imports Aesara's compiler. Importing it registers the rewrites that put our convolutions in the
place of Aesara's; nothing else of Aesara changes, and nothing is compiled.
"""

from deconv_legacy.engine import rewrites
from deconv_legacy.engine._aesara import aesara, have_compiler
from deconv_legacy.engine._blas import Blas
from deconv_legacy.engine._blas import find as find_blas
from deconv_legacy.engine.compile import compile, gpu_backend
from deconv_legacy.engine.convolution import (
    Conv,
    ConvInputGradient,
    ConvWeightGradient,
    conv,
    conv_input_gradient,
    conv_weight_gradient,
)
from deconv_legacy.engine.crop import crop
from deconv_legacy.engine.device import to_host
from deconv_legacy.engine.labels import labels
from deconv_legacy.engine.lrn import lrn_across, lrn_within
from deconv_legacy.engine.modes import BACKENDS, HOW_TO_INSTALL, PRECISIONS, NoCompilerWarning, check_backend
from deconv_legacy.engine.pooling import average_pool, max_pool, max_pool_with_mask
from deconv_legacy.engine.relu import relu
from deconv_legacy.engine.resize import linear_resize, nearest_resize
from deconv_legacy.engine.same import same_sizes
from deconv_legacy.engine.softmax import sigmoid_cross_entropy_loss, softmax, softmax_loss
from deconv_legacy.engine.unpooling import repeat, unpool, zero_insert
from deconv_legacy.engine.update import update

__all__ = [
    "BACKENDS",
    "HOW_TO_INSTALL",
    "PRECISIONS",
    "Blas",
    "Conv",
    "ConvInputGradient",
    "ConvWeightGradient",
    "NoCompilerWarning",
    "aesara",
    "average_pool",
    "check_backend",
    "compile",
    "conv",
    "conv_input_gradient",
    "conv_weight_gradient",
    "crop",
    "find_blas",
    "gpu_backend",
    "have_compiler",
    "labels",
    "linear_resize",
    "lrn_across",
    "lrn_within",
    "max_pool",
    "max_pool_with_mask",
    "nearest_resize",
    "relu",
    "repeat",
    "same_sizes",
    "sigmoid_cross_entropy_loss",
    "softmax",
    "softmax_loss",
    "to_host",
    "unpool",
    "update",
    "zero_insert",
]

rewrites.register()
