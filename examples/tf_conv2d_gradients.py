"""conv2d, its gradient with respect to the image in four ways, and with respect to the filter in three.

Also what the post's hand-written ways need for a stride above 1, and where its claim "works in other cases" ends.

    python examples/tf_conv2d_gradients.py
"""

from __future__ import annotations

import numpy as np
from _example import draw_images, options

from deconv_legacy import tf
from deconv_legacy.engine import aesara

at = aesara.tensor


def turned(w):
    """The filter rotated by 180 degrees, its channels swapped."""
    return w[::-1, ::-1].transpose(0, 1, 3, 2)


def stuffed(g, stride, sizes):
    """Zeros between the cells of a gradient, and behind them up to `sizes`."""
    result = np.zeros((g.shape[0], *sizes, g.shape[3]), g.dtype)
    result[:, : g.shape[1] * stride : stride, : g.shape[2] * stride : stride] = g
    return result


def ways(size, kernel, stride, rng):
    """d_x in four ways and d_w in three, for padding VALID; the image fits the stride."""
    x, w = rng.standard_normal((2, *size, 3)), rng.standard_normal((*kernel, 3, 4))
    image, filters = at.as_tensor_variable(x), at.as_tensor_variable(w)
    y = tf.nn.conv2d(image, filters, stride, "VALID")
    g = rng.standard_normal(y.type.shape)
    cost = (y * g).sum()
    # by hand: as many zeros around as full convolution needs, none of them a special case for stride 1
    plain = stuffed(g, stride, [n - k + 1 for n, k in zip(size, kernel, strict=True)])
    pads = [[0, 0], [kernel[0] - 1] * 2, [kernel[1] - 1] * 2, [0, 0]]
    by_hand = tf.nn.conv2d(plain, turned(w), 1, pads)
    # the image's channels as a batch, the gradient as one large filter
    dw = tf.nn.conv2d(x.transpose(3, 1, 2, 0), plain.transpose(1, 2, 0, 3), 1, "VALID").dimshuffle(1, 2, 0, 3)
    return (
        {
            "autodiff": aesara.grad(cost, image).eval(),
            "by hand": by_hand.eval(),
            "conv2d_backprop_input": tf.nn.conv2d_backprop_input(x.shape, w, g, stride, "VALID").eval(),
            "conv2d_transpose": tf.nn.conv2d_transpose(g, w, x.shape, stride, "VALID").eval(),
        },
        {
            "autodiff": aesara.grad(cost, filters).eval(),
            "by hand": dw.eval(),
            "conv2d_backprop_filter": tf.nn.conv2d_backprop_filter(x, w.shape, g, stride, "VALID").eval(),
        },
    )


def spread(results):
    first = next(iter(results.values()))
    return max(float(np.abs(value - first).max()) for value in results.values())


def main(argv=None):
    arguments = options(__doc__, argv)
    rng = np.random.default_rng(0)
    found = {}
    for size, kernel, stride in (((7, 9), (3, 2), 1), ((9, 8), (3, 2), 2)):
        dx, dw = ways(size, kernel, stride, rng)
        found[stride] = (spread(dx), spread(dw))
        print(f"stride {stride}: d_x in {len(dx)} ways differs by {found[stride][0]:.1e}")
        print(f"          d_w in {len(dw)} ways differs by {found[stride][1]:.1e}")
    print(
        "For stride 2 the ways by hand put zeros between the cells of the gradient; without, they have another shape."
    )

    print("The post: 28x28x1, 7x7 filters, 32 channels, SAME, stride 1")
    a, w = rng.standard_normal((1, 28, 28, 32)), rng.standard_normal((7, 7, 1, 32))
    three = {
        "conv2d_transpose": tf.nn.conv2d_transpose(a, w, [1, 28, 28, 1], 1, "SAME").eval(),
        "conv2d_backprop_input": tf.nn.conv2d_backprop_input([1, 28, 28, 1], w, a, 1, "SAME").eval(),
        "conv2d, filter turned": tf.nn.conv2d(a, turned(w), 1, "SAME").eval(),
    }
    found["post"] = spread(three)
    print(f"   three deconvolutions differ by {found['post']:.1e}")

    print('"Works in other cases": not for an even kernel. SAME puts the odd zero after; turned, it belongs before.')
    a, w = rng.standard_normal((1, 8, 9, 2)), rng.standard_normal((4, 4, 1, 2))
    transpose = tf.nn.conv2d_transpose(a, w, [1, 8, 9, 1], 1, "SAME").eval()
    flipped = tf.nn.conv2d(a, turned(w), 1, "SAME").eval()
    found["even"] = float(np.abs(transpose - flipped).max())
    found["shifted"] = float(np.abs(transpose[:, 1:, 1:] - flipped[:, :-1, :-1]).max())
    print(f"   4x4: they differ by {found['even']:.2f}, and by {found['shifted']:.1e} if one is moved by a cell")

    x, w = rng.standard_normal((1, 6, 6, 1)), rng.standard_normal((3, 3, 1, 1))
    back = tf.nn.conv2d_transpose(tf.nn.conv2d(x, w, 1, "VALID"), w, x.shape, 1, "VALID").eval()
    found["inverse"] = float(np.abs(back - x).max())
    print(f"A transpose is no inverse: conv2d_transpose(conv2d(x)) is {found['inverse']:.1f} away from x")
    found["picture"] = draw_images(
        arguments.out / "tf_conv2d_gradients.png",
        {
            "d_x: autodiff, by hand, backprop_input, transpose": [value[0, :, :, 0] for value in dx.values()],
            "d_w: autodiff, by hand, backprop_filter": [value[:, :, 0, 0] for value in dw.values()],
            "4x4 filter: transpose, turned filter": [transpose[0, :, :, 0], flipped[0, :, :, 0]],
        },
        1.5,
        vmin=None,  # gradients have no range of their own: each picture its own
        vmax=None,
    )
    return found


if __name__ == "__main__":
    main()
