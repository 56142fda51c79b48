"""The Theano DeconvolutionLayer, and the answer to its question: why is input_shape needed if the padding is known?

python examples/theano_deconvolution_layer.py
"""

from __future__ import annotations

import numpy as np
from _example import draw, options

from deconv_legacy import geometry
from deconv_legacy.engine import aesara, compile
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import ConvolutionLayer, DeconvolutionLayer, InputLayer


def main(argv=None):
    arguments = options(__doc__, argv)
    found = {}
    x = aesara.tensor.tensor4("x", dtype="float32")
    layer = DeconvolutionLayer(x, filter_shape=(3, 2, 4, 4), stride=(2, 2), padding=(1, 1), name="deconv")
    function = compile([x], layer.output, backend="numpy")
    found["shapes"] = [function(np.ones((1, 3, n, n + 1), "float32")).shape for n in (4, 7)]
    print(f"{layer}: W {layer.W.get_value().shape}, sizes 2 (n - 1) + 4 - 2: {found['shapes']}")

    print("Why input_shape? A convolution of stride 3 rounds down, so three sizes become 4:")
    found["forward"] = {n: geometry.conv_output_size(n, 5, 3, 1) for n in range(10, 19)}
    print("   " + ", ".join(f"{n} -> {m}" for n, m in found["forward"].items()))
    found["legal"] = list(geometry.deconv_output_sizes(4, 5, 3, 1))
    print(f"   from 4 alone nobody can tell which of {found['legal']} it was: a = (o + 2p - k) mod s is free")
    score = InputLayer((1, 3, 4, 4), name="score")
    arguments_of = {"filter_shape": (3, 2, 5, 5), "stride": 3, "padding": 1}
    found["smallest"] = DeconvolutionLayer(score, **arguments_of).output_shape[2:]
    found["named"] = DeconvolutionLayer(score, output_size=(13, 14), **arguments_of).output_shape[2:]
    data = InputLayer((1, 2, 14, 12))
    code = ConvolutionLayer(data, (3, 2, 5, 5), 3, 1)
    found["like"] = DeconvolutionLayer(code, like=data, **arguments_of).output_shape[2:]
    print(f"   the smallest by default {found['smallest']}, named {found['named']}, like a layer {found['like']}")
    try:
        DeconvolutionLayer(score, output_size=15, **arguments_of)
    except SizeError as error:
        found["error"] = error
        print(f"   {error}")

    def paint(figure):
        axis = figure.subplots()
        axis.plot(list(found["forward"]), list(found["forward"].values()), "o")
        axis.axhline(4, color="k", lw=0.5)
        axis.plot(found["legal"], [4] * 3, "ro")
        axis.set(xlabel="size", ylabel="size after kernel 5, stride 3, pad 1", title="Red: all that become 4")
        axis.set_yticks(range(3, 7))

    found["picture"] = draw(arguments.out / "theano_deconvolution_layer.png", paint)
    return found


if __name__ == "__main__":
    main()
