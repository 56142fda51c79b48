"""Which output_shape does tf.nn.conv3d_transpose take, and what stands in it?

A value of one cell, filter 5x5x5, stride 4: the post's own numbers, and what it says of them.

    python examples/tf_conv3d_transpose_sizes.py
"""

from __future__ import annotations

import numpy as np
from _example import draw, options

from deconv_legacy import tf
from deconv_legacy.errors import SizeError


def outcome(size, padding, kernel=5, stride=4):
    """None where the size is taken, else what a convolution would make of it."""
    value, filter = np.ones((10, 1, 1, 1, 10), "float32"), np.ones((*(kernel,) * 3, 20, 10), "float32")
    try:
        tf.nn.conv3d_transpose(value, filter, [10, size, size, size, 20], [1, stride, stride, stride, 1], padding)
    except SizeError as error:
        return error.computed
    return None


def main(argv=None):
    arguments = options(__doc__, argv)
    found = {}
    for padding in ("VALID", "SAME"):
        found[padding] = {size: outcome(size, padding) for size in range(1, 12)}
        print(f"{padding}, kernel 5, stride 4, input 1:")
        for size, computed in found[padding].items():
            print(f"   {size:2}: " + ("taken" if computed is None else f"refused: it would have come from {computed}"))
    print("TensorFlow asks which of the sizes it was before the convolution: stride 4 takes four of them to 1.")

    print("'SAME makes every size work' is wrong: stride 1, kernel 3, output 3")
    found["claim"] = {padding: outcome(3, padding, 3, 1) for padding in ("SAME", "VALID")}
    print(f"   SAME: refused, 3 would have come from {found['claim']['SAME']}; VALID: taken")
    print("   and size 4 is reached by SAME of stride 4 with any kernel, by VALID with kernel 4:")
    found["four"] = [outcome(4, "SAME", kernel) for kernel in (1, 3, 5, 7)] + [outcome(4, "VALID", 4)]
    print(f"   {found['four']}")

    rng = np.random.default_rng(0)
    value = rng.integers(-8, 9, (10, 1, 1, 1, 10)).astype("float32") / 4
    filter = rng.integers(-8, 9, (5, 5, 5, 20, 10)).astype("float32") / 4
    y = tf.nn.conv3d_transpose(value, filter, [10, 8, 8, 8, 20], [1, 4, 4, 4, 1], "VALID").eval()
    block = np.einsum("nc,ijkoc->nijko", value[:, 0, 0, 0], filter)
    found["block"] = np.array_equal(y[:, :5, :5, :5], block) and np.count_nonzero(y[:, 5:]) == 0
    print(f"Size 8 is the filter times the value in the first 5x5x5 cells, and zeros beyond: {found['block']}")
    print("   Nothing is blown up to 17 first, and the zeros spoil nothing: they are where no cell reaches.")

    def paint(figure):
        axes = figure.subplots(1, 2)
        for axis, padding in zip(axes, ("VALID", "SAME"), strict=True):
            legal = [computed is None for computed in found[padding].values()]
            axis.bar(range(1, 12), [0 if c is None else c for c in found[padding].values()], color="tab:red")
            axis.plot(range(1, 12), np.ones(11), "k--", lw=1)
            axis.plot([s for s, ok in zip(range(1, 12), legal, strict=True) if ok], [1] * sum(legal), "go")
            axis.set(title=f"{padding}: legal sizes green", xlabel="output size", xticks=range(1, 12))
            axis.set(ylabel="what its convolution gives; the input has 1", yticks=range(4))

    found["picture"] = draw(arguments.out / "tf_conv3d_transpose_sizes.png", paint)
    return found


if __name__ == "__main__":
    main()
