"""The compute engine: Ops on Aesara with C code, NumPy code and gradients, and their compilation.

The only room that imports Aesara's compiler. Importing it registers the rewrites that put our convolutions in the
place of Aesara's; nothing else of Aesara changes, and nothing is compiled.
"""

from deconv_legacy.engine import rewrites
from deconv_legacy.engine._aesara import aesara, have_compiler
from deconv_legacy.engine.compile import BACKENDS, NoCompilerWarning, compile
from deconv_legacy.engine.convolution import (
    Conv,
    ConvInputGradient,
    ConvWeightGradient,
    conv,
    conv_input_gradient,
    conv_weight_gradient,
)
from deconv_legacy.engine.relu import relu

__all__ = [
    "BACKENDS",
    "Conv",
    "ConvInputGradient",
    "ConvWeightGradient",
    "NoCompilerWarning",
    "aesara",
    "compile",
    "conv",
    "conv_input_gradient",
    "conv_weight_gradient",
    "have_compiler",
    "relu",
]

rewrites.register()
