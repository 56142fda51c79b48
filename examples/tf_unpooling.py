"""Un-pooling: by repetition in three ways, and by the switches of a max pooling.

python examples/tf_unpooling.py
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options

from deconv_legacy import tf
from deconv_legacy.engine import compile
from deconv_legacy.layers import InputLayer, PoolLayer, UnpoolLayer


def main(argv=None):
    arguments = options(__doc__, argv)
    found = {}
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 3)).astype("float32")
    identity = np.zeros((2, 2, 3, 3), "float32")
    identity[:, :, range(3), range(3)] = 1
    ways = {
        "resize_nearest_neighbor": tf.resize_nearest_neighbor(x, [8, 8]).eval(),
        "conv2d_transpose, the identity for each channel": tf.conv2d_transpose(x, identity, [1, 8, 8, 3], 2).eval(),
        "numpy.repeat": x.repeat(2, axis=1).repeat(2, axis=2),
    }
    first = ways["numpy.repeat"]
    found["equal"] = all(np.array_equal(value, first) for value in ways.values())
    print(f"Average un-pooling {x.shape} -> {first.shape}: {', '.join(ways)} are equal: {found['equal']}")
    found["inverse"] = np.array_equal(tf.avg_pool(first, 2, 2, "SAME").eval(), x)
    print(f"   and avg_pool undoes it: {found['inverse']}")
    mixed = tf.conv2d_transpose(x, np.ones_like(identity), [1, 8, 8, 3], 2).eval()
    found["mixed"] = float(np.abs(mixed - first).max())
    print(
        f"   The post's filter of ones is right for one channel; for three it adds them up: off by {found['mixed']:.2f}"
    )

    images = digits()[:8, None]
    data = InputLayer((None, 1, 8, 8))
    pool = PoolLayer(data, 2, with_mask=True)
    layers = [pool, UnpoolLayer(pool, 2), UnpoolLayer(pool, pool=pool)]
    pooled, repeated, switched = compile([data.output], [layer.output for layer in layers], backend="numpy")(images)
    kept = switched != 0
    found["switches"] = bool((switched[kept] == images[kept]).all())
    print(f"Max un-pooling puts the maxima where they came from (DeconvNet, SegNet): {found['switches']}")
    rows = {"digits": images, "max pooled": pooled, "repeated": repeated, "by switches": switched}
    found["picture"] = draw_images(
        arguments.out / "tf_unpooling.png", {name: list(row[:, 0]) for name, row in rows.items()}
    )
    return found


if __name__ == "__main__":
    main()
