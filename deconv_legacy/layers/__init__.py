"""Layer classes in the style of Theano's time: built on a symbolic variable or another layer, with parameters,
``output`` and ``output_shape``.

>>> from deconv_legacy.layers import InputLayer, ConvolutionLayer, DeconvolutionLayer
>>> data = InputLayer((None, 3, 9, 11))
>>> code = ConvolutionLayer(data, (8, 3, 3, 3), stride=2, padding=1)
>>> DeconvolutionLayer(code, (8, 3, 3, 3), stride=2, padding=1, like=data).output_shape
(None, 3, 9, 11)
"""

from deconv_legacy.layers.base import InputLayer, Layer, all_layers, all_params
from deconv_legacy.layers.channels import LRNLayer, SoftmaxLayer
from deconv_legacy.layers.convolution import ConvolutionLayer, Deconvolution3DLayer, DeconvolutionLayer, UpscoreLayer
from deconv_legacy.layers.coordinates import crop_offsets, maps_from_ancestors, path_between
from deconv_legacy.layers.elementwise import (
    ConcatLayer,
    DropoutLayer,
    EltwiseLayer,
    ReluLayer,
    ScaleLayer,
    SigmoidLayer,
    TanhLayer,
)
from deconv_legacy.layers.expression import BiasLayer, DenseLayer, ExpressionLayer, PReluLayer
from deconv_legacy.layers.losses import SoftmaxLossLayer
from deconv_legacy.layers.network import Network
from deconv_legacy.layers.normalization import BatchNormLayer
from deconv_legacy.layers.spatial import CropLayer, PoolLayer, UnpoolLayer

__all__ = [
    "BatchNormLayer",
    "BiasLayer",
    "ConcatLayer",
    "ConvolutionLayer",
    "CropLayer",
    "Deconvolution3DLayer",
    "DeconvolutionLayer",
    "DenseLayer",
    "DropoutLayer",
    "EltwiseLayer",
    "ExpressionLayer",
    "InputLayer",
    "LRNLayer",
    "Layer",
    "Network",
    "PReluLayer",
    "PoolLayer",
    "ReluLayer",
    "ScaleLayer",
    "SigmoidLayer",
    "SoftmaxLayer",
    "SoftmaxLossLayer",
    "TanhLayer",
    "UnpoolLayer",
    "UpscoreLayer",
    "all_layers",
    "all_params",
    "crop_offsets",
    "maps_from_ancestors",
    "path_between",
]
