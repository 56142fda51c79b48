"""The stride-2 convolutional autoencoder of 112x112x3 images, its error, and three ways out.

The post builds five convolutions of stride 2 and asks its first deconvolution for the size that it has already:

    python examples/tf_autoencoder_112.py            # a few minutes of training; --quick for seconds
"""

from __future__ import annotations

import numpy as np
from _example import draw_images, options, photograph

from deconv_legacy import tf
from deconv_legacy.errors import SizeError

CHANNELS = (32, 64, 128, 256)


def variable(rng, *shape):
    """He's start, in TensorFlow's layout."""
    return tf.Variable((rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype("float32"))


def conv(x, channels, stride, rng):
    w = variable(rng, 3, 3, x.type.shape[3], channels)
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, [1, stride, stride, 1], "SAME"), variable(rng, channels) * 0))


def deconv(x, output_shape, stride, rng, name):
    w = variable(rng, 3, 3, output_shape[3], x.type.shape[3])
    y = tf.nn.conv2d_transpose(x, w, output_shape, [1, stride, stride, 1], "SAME", name=name)
    return tf.nn.bias_add(y, tf.Variable(np.zeros(output_shape[3], "float32")))


def encode(x, code_stride, rng, channels):
    """The code, and what each convolution read."""
    read = []
    for n in channels:
        read.append(x)
        x = conv(x, n, 2, rng)
    read.append(x)
    return conv(x, channels[-1], code_stride, rng), read


def sizes(layers):
    return [layer.type.shape[1] for layer in layers]


def main(argv=None):
    arguments = options(__doc__, argv)
    rng = np.random.default_rng(0)
    channels = (4, 6, 8, 8) if arguments.quick else CHANNELS
    x = tf.placeholder("float32", [None, 112, 112, 3], name="x")
    found = {}

    print("1. The post's network: five convolutions of stride 2")
    z, read = encode(x, 2, rng, channels)
    found["encoder"] = sizes([*read, z])
    print(f"   sizes {found['encoder']}: the code is 4x4 (the post says 3x3: SAME rounds up)")

    print("2. Its deconvolution asks for the size that the code has already")
    n, h, w, _ = (tf.shape(z)[i] for i in range(4))
    try:
        deconv(z, [n, h, w, channels[-2]], 2, rng, "deconv1")
    except SizeError as error:
        found["error"] = error
        print(f"   {error}")
    print("   A convolution of stride 2 makes 2 of 4, so nothing of size 4 can have been 4 before; 7 and 8 can.")

    print("3. Doubling works, and then the cost has another error: 64 is not 112")
    y, doubled = z, [z]
    for i, outputs in enumerate((*channels[-2::-1], 3), 1):
        n, h, w, _ = (tf.shape(y)[i] for i in range(4))
        y = deconv(y, [n, 2 * h, 2 * w, outputs], 2, rng, f"deconv{i}")
        doubled.append(y)
    found["doubled"] = sizes(doubled)
    print(f"   sizes {found['doubled']}")
    try:
        tf.losses.mean_squared_error(x, y)
    except SizeError as error:
        found["cost"] = error
        print(f"   {error}")

    print("4. The post's fix: the code with stride 1, then doubling")
    code, read1 = encode(x, 1, rng, channels)
    fixed, y = [code], code
    for i, outputs in enumerate((*channels[-2::-1], 3), 1):
        n, h, w, _ = (tf.shape(y)[i] for i in range(4))
        y = deconv(y, [n, 2 * h, 2 * w, outputs], 2, rng, f"deconv{i}")
        fixed.append(y)
    found["fixed"] = sizes([*read1, *fixed])
    print(f"   sizes {found['fixed']}; it needs a size that can be halved four times")

    print("5. The mirror: each deconvolution takes the size that its convolution read, whatever that is")
    y, mirror = z, [z]
    for i, source in enumerate(reversed(read), 1):
        shape = [tf.shape(source)[0], *source.type.shape[1:]]
        y = deconv(y, shape, 2, rng, f"mirror{i}")
        mirror.append(y)
    found["mirror"] = sizes(mirror)
    print(f"   sizes {found['mirror']}")
    found["selu"] = [float(f([-1.0]).eval()[0]) for f in (tf.elu, tf.selu)]
    print(f"   (the post's 'selu' calls elu: elu(-1) = {found['selu'][0]:.5f}, selu(-1) = {found['selu'][1]:.5f})")

    print("6. Training the mirror on windows of a photograph, a sigmoid at the end")
    loss = tf.losses.sigmoid_cross_entropy(x, y)
    backend = "numpy" if arguments.quick else None
    step = tf.train.function([x], loss, tf.train.AdamOptimizer(0.002), outputs=[tf.sigmoid(y)], backend=backend)
    photo, count = photograph(), 2 if arguments.quick else 4
    found["losses"] = []
    for i in range(4 if arguments.quick else 150):
        tops, lefts = rng.integers(0, photo.shape[0] - 112, count), rng.integers(0, photo.shape[1] - 112, count)
        batch = np.stack([photo[t : t + 112, c : c + 112] for t, c in zip(tops, lefts, strict=True)])
        value, pictures = step(batch)
        found["losses"].append(float(value))
        if i % 25 == 0:
            print(f"   step {i}: {value:.4f}")
    print(f"   last: {found['losses'][-1]:.4f}")
    found["picture"] = draw_images(
        arguments.out / "tf_autoencoder_112.png", {"photograph": batch, "reconstruction": pictures}, 1.6
    )
    return found


if __name__ == "__main__":
    main()
