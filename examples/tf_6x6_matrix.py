"""What one deconvolution of stride 2 does, number by number: 3x3 to 6x6 with a 2x2 filter.

python examples/tf_6x6_matrix.py
"""

from __future__ import annotations

import numpy as np
from _example import draw, options

from deconv_legacy import tf


def main(argv=None):
    arguments = options(__doc__, argv)
    a = np.array([[0, 0, 1.5], [0, 1, 0], [0, 0, 0]], "float32").reshape(1, 3, 3, 1)
    w = np.array([[1, 2], [3, 4]], "float32").reshape(2, 2, 1, 1)
    y = tf.nn.conv2d_transpose(a, w, output_shape=[1, 6, 6, 1], strides=[1, 2, 2, 1], padding="SAME").eval()
    print("Each cell of the input puts itself times the filter into its own 2x2 block; nothing is learned or guessed:")
    print(y[0, :, :, 0])

    def paint(figure):
        for axis, (name, image) in zip(
            figure.subplots(1, 3), {"input": a[0], "filter": w[..., 0], "output": y[0]}.items(), strict=True
        ):
            axis.imshow(image[:, :, 0], cmap="Blues", vmin=0, vmax=12)  # pale enough for black numbers
            axis.set_title(name)
            axis.set_xticks(range(image.shape[1]))
            axis.set_yticks(range(image.shape[0]))
            for (row, column), value in np.ndenumerate(image[:, :, 0]):
                axis.text(column, row, f"{value:g}", ha="center", va="center")

    return {"matrix": y[0, :, :, 0], "picture": draw(arguments.out / "tf_6x6_matrix.png", paint, (8, 3))}


if __name__ == "__main__":
    main()
