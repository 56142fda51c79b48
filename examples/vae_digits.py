"""A convolutional variational autoencoder, trained on real handwritten digits; its reconstructions and samples.

The first post's title promises one, and its code has none: no mean, no variance, no divergence. Here they are.

    python examples/vae_digits.py                     # a few minutes; --quick for seconds
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options

from deconv_legacy import tf, training
from deconv_legacy.engine import aesara, compile
from deconv_legacy.networks import conv_vae, kl_divergence

at = aesara.tensor
CODE, BATCH, HELD_OUT = 8, 100, 297


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def main(argv=None):
    arguments = options(__doc__, argv)
    backend = "numpy" if arguments.quick else None
    channels, epochs = ((8, 12), 4) if arguments.quick else ((32, 64), 150)
    images = digits()[:, None]
    train, test = images[:-HELD_OUT], images[-HELD_OUT:]
    whole, decoder = conv_vae((None, 1, 8, 8), channels, CODE, rng=0)

    data = whole["data"].output
    cross_entropy = tf.sigmoid_cross_entropy_with_logits(labels=data, logits=whole["logits"].output)
    reconstruction = cross_entropy.sum(axis=(1, 2, 3)).mean()
    divergence = kl_divergence(whole["mean"].output, whole["log_variance"].output).mean()
    loss = reconstruction + divergence
    updates = training.adam(loss, whole.param_list(trainable=True), 0.005 if arguments.quick else 0.001)
    step = compile([data], [loss, reconstruction, divergence], updates=updates, backend=backend)
    measure = compile([data], [loss, reconstruction, divergence], backend=backend)

    rng = np.random.default_rng(0)
    found = {"before": [float(value) for value in measure(test)]}
    print("            loss, of it cross-entropy and divergence, on digits never trained on")
    print(f"   at first {found['before']}")
    for epoch in range(epochs):
        order = rng.permutation(len(train))
        for first in range(0, len(train) - BATCH + 1, BATCH):
            step(train[order[first : first + BATCH]])
        if epoch % 10 == 9:
            print("   epoch {}: {:.2f} = {:.2f} + {:.2f}".format(epoch + 1, *(float(v) for v in measure(test))))
    found["after"] = [float(value) for value in measure(test)]
    print(f"   at last  {found['after']}")

    back = sigmoid(whole.function(backend=backend)(test[:10]))
    codes = rng.standard_normal((20, CODE, 1, 1)).astype("float32")
    samples = sigmoid(decoder.function(backend=backend)(codes))
    line = np.linspace(0, 1, 10, dtype="float32")[:, None, None, None]
    means = whole.function("mean", backend=backend)(test[:2])
    between = sigmoid(decoder.function(backend=backend)((1 - line) * means[:1] + line * means[1:]))
    found["error"] = float(np.abs(back - test[:10]).mean())
    found["picture"] = draw_images(
        arguments.out / "vae_digits.png",
        {
            "digits never trained on": list(test[:10, 0]),
            "through the code of 8 numbers and back": list(back[:, 0]),
            "samples: codes drawn from a normal distribution": list(samples[:10, 0]),
            "": list(samples[10:, 0]),
            "from the first digit's code to the second's": list(between[:, 0]),
        },
    )
    return found


if __name__ == "__main__":
    main()
