"""The Caffe front end: prototxt and caffemodel files, and the nets that they describe.

>>> from deconv_legacy.caffe import parse_net, build_net
>>> net = build_net(parse_net('''
...     input: "data" input_dim: [1, 3, 20, 30]
...     layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
...             convolution_param { num_output: 2 kernel_size: 3 pad: 100 } }'''), free=False)
>>> net.blobs["conv"].output_shape
(1, 2, 218, 228)
"""

from deconv_legacy.caffe.build import BuiltNet, build_net
from deconv_legacy.caffe.caffemodel import read_layers, read_mean, read_weights, write_mean, write_weights
from deconv_legacy.caffe.prototxt import parse_net, parse_solver, read_net, read_solver, write_net
from deconv_legacy.caffe.registry import LAYERS, layer_type

__all__ = [
    "LAYERS",
    "BuiltNet",
    "build_net",
    "layer_type",
    "parse_net",
    "parse_solver",
    "read_layers",
    "read_mean",
    "read_net",
    "read_solver",
    "read_weights",
    "write_mean",
    "write_net",
    "write_weights",
]
