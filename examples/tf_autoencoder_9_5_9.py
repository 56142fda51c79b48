"""The contrib autoencoder of 9x9 images: 9 becomes 5, 5 becomes 10, and the post crops the wrong side.

python examples/tf_autoencoder_9_5_9.py
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options

from deconv_legacy import tf


def main(argv=None):
    arguments = options(__doc__, argv)
    rng = np.random.default_rng(0)
    found = {}
    print("A deconvolution of 5 to 10 and to 9: SAME takes its pads from the output's size, so they begin differently")
    for k in range(1, 6):
        z, w = rng.standard_normal((1, 5, 5, 2)), rng.standard_normal((k, k, 3, 2))
        ten, nine = (tf.nn.conv2d_transpose(z, w, [1, n, n, 3], 2, "SAME").eval() for n in (10, 9))
        found[k] = [name for name, crop in (("first", np.s_[:, 1:, 1:]), ("last", np.s_[:, :-1, :-1]))
                    if np.array_equal(ten[crop], nine)]  # fmt: skip
        print(f"   kernel {k}: dropping the {' or the '.join(found[k])} row and column gives 9x9 exactly")
    print("The post drops the last, [:, 0:-1, 0:-1], with a 3x3 kernel: every pixel is off by one.")

    x = tf.placeholder("float32", [None, 9, 9, 1], name="x")
    code = tf.contrib.layers.conv2d(x, 16, 3, stride=2, rng=1)
    ten = tf.contrib.layers.conv2d_transpose(code, 1, 3, stride=2, activation_fn=None, rng=2)
    found["sizes"] = [v.type.shape[1] for v in (x, code, ten)]
    print(f"conv2d and conv2d_transpose of contrib: {found['sizes']}")
    y = ten[:, 1:, 1:]
    loss = tf.losses.mean_squared_error(x, y)
    step = tf.train.function([x], loss, tf.train.AdamOptimizer(0.01), outputs=[y], backend="numpy")
    images = np.pad(digits(), ((0, 0), (1, 0), (1, 0)))[..., None]
    steps = 80 if arguments.quick else 600
    for i in range(steps):
        value, pictures = step(images[rng.integers(0, len(images), 64)])
        found.setdefault("first", float(value))
        if i % 100 == 0:
            print(f"   step {i}: squared error {value:.4f}")
    found["last"], pictures = step(images[:8])
    print(f"   last: {found['last']:.4f}")
    found["picture"] = draw_images(
        arguments.out / "tf_autoencoder_9_5_9.png",
        {"digits": list(images[:8, :, :, 0]), "through 5x5 and back": list(pictures[:, :, :, 0])},
    )
    return found


if __name__ == "__main__":
    main()
