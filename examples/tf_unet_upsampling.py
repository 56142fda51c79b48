"""U-Net's up-sampling: a 2x2 deconvolution of stride 2, what it can do, and frozen bilinear interpolation instead.

python examples/tf_unet_upsampling.py
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options

from deconv_legacy import tf


def main(argv=None):
    arguments = options(__doc__, argv)
    found = {}
    up = tf.keras.layers.Conv2DTranspose(64, (2, 2), strides=(2, 2))
    found["shape"] = up(tf.placeholder("float32", [None, 7, 9, 16])).type.shape
    print(f"Conv2DTranspose(64, (2, 2), strides=(2, 2)): 7x9x16 becomes {found['shape'][1:]}")
    print(f"   kernel [rows, columns, OUT, IN] {up.kernel.type.shape}: no cell of the output is reached twice")

    x = np.arange(15.0).reshape(1, 3, 5, 1)
    ones = tf.keras.layers.Conv2DTranspose(1, 2, 2, kernel_initializer="ones", use_bias=False)
    found["ones"] = np.array_equal(ones(x).eval(), x.repeat(2, axis=1).repeat(2, axis=2))
    print(f"With ones it repeats each cell, as keras' UpSampling2D does: {found['ones']}")

    print("Learned: it starts as noise, and learns to enlarge digits of 4x4 cells to 8x8")
    images = digits()[..., None]
    small = tf.avg_pool(images, 2, 2, "VALID").eval()
    inputs = {"small": tf.placeholder("float32", [None, 4, 4, 1]), "large": tf.placeholder("float32", [None, 8, 8, 1])}
    learned = tf.keras.layers.Conv2DTranspose(1, 4, 2, "same", rng=0)(inputs["small"])
    frozen = tf.keras.layers.Conv2DTranspose(
        1, 4, 2, "same", kernel_initializer="bilinear", use_bias=False, trainable=False
    )(inputs["small"])
    loss = tf.losses.mean_squared_error(inputs["large"], learned)
    error = tf.losses.mean_squared_error(inputs["large"], frozen)
    step = tf.train.function(
        list(inputs.values()), loss, tf.train.AdamOptimizer(0.02), outputs=[error, learned, frozen], backend="numpy"
    )
    steps = 60 if arguments.quick else 400
    for i in range(steps):
        part = np.random.default_rng(i).integers(0, 1500, 64)
        value, fixed, _, _ = step(small[part], images[part])
        found.setdefault("first", float(value))
        if i % 100 == 0:
            print(f"   step {i}: squared error {value:.4f}, frozen bilinear {fixed:.4f}")
    found["learned"], found["frozen"], a, b = step(small[1500:], images[1500:])
    print(f"   digits never seen: learned {found['learned']:.4f}, frozen bilinear {found['frozen']:.4f}")
    rows = {"4x4": small[1500:], "learned 4x4 filter": a, "frozen bilinear": b, "8x8, the truth": images[1500:]}
    found["picture"] = draw_images(
        arguments.out / "tf_unet_upsampling.png", {name: list(row[:8, :, :, 0]) for name, row in rows.items()}
    )
    return found


if __name__ == "__main__":
    main()
