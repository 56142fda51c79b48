"""DCGAN on real handwritten digits: generator and discriminator play, and the generator's digits are drawn.

python examples/dcgan_digits.py                   # a few minutes; --quick for seconds
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options

from deconv_legacy import tf, training
from deconv_legacy.engine import aesara, compile
from deconv_legacy.layers import InputLayer
from deconv_legacy.networks import dcgan_discriminator, dcgan_generator

at = aesara.tensor
CODE = 20


def main(argv=None):
    arguments = options(__doc__, argv)
    backend = "numpy" if arguments.quick else None
    widths, steps, batch = ((8, 6), 30, 24) if arguments.quick else ((64, 32), 3000, 64)
    images = 2 * digits()[:, None] - 1  # the generator ends in a hyperbolic tangent

    # kernel 4 with stride 2: every cell is reached equally often
    generator = dcgan_generator((*widths, 1), CODE, start=2, kernel=4, train=True, rng=0)
    shape = {"channels": widths[::-1], "in_channels": 1, "size": 8, "kernel": 4, "train": True}
    on_real = dcgan_discriminator(input=InputLayer((None, 1, 8, 8), name="real"), rng=1, **shape)
    on_fake = dcgan_discriminator(input=generator["image"], twin=on_real, **shape)

    real, codes = on_real["real"].output, generator["code"].output
    scores = [net["score"].output for net in (on_real, on_fake)]

    def cost(score, real):
        return tf.losses.sigmoid_cross_entropy(at.zeros_like(score) + real, score)

    # 0.9: one-sided label smoothing, which keeps the discriminator from being too sure
    judge = cost(scores[0], 0.9) + cost(scores[1], 0.0)
    forger = cost(scores[1], 1.0)
    rate = 0.0005
    judge_step = compile(
        [real, codes],
        judge,
        updates=[*training.adam(judge, on_real.param_list(trainable=True), rate, 0.5), *on_real.updates],
        backend=backend,
    )
    forger_step = compile(
        [codes],
        forger,
        updates=[*training.adam(forger, generator.param_list(trainable=True), rate, 0.5), *generator.updates],
        backend=backend,
    )
    make = generator.function(backend=backend)
    rng = np.random.default_rng(0)

    def draw_codes(count=batch):
        return rng.standard_normal((count, CODE, 1, 1)).astype("float32")

    shown = draw_codes(30)
    before = make(shown)
    found = {"judge": [], "forger": []}
    for i in range(steps):
        found["judge"].append(float(judge_step(images[rng.integers(0, len(images), batch)], draw_codes())))
        found["forger"].append(float(forger_step(draw_codes())))
        if i % 250 == 0:
            print(f"   step {i}: discriminator {found['judge'][-1]:.3f}, generator {found['forger'][-1]:.3f}")
    after = make(shown)
    # how far the mean picture is from that of real digits
    found["distance"] = [float(np.abs(made.mean(0) - images.mean(0)).mean()) for made in (before, after)]
    print(f"mean picture's distance from that of real digits: {found['distance'][0]:.3f}, {found['distance'][1]:.3f}")
    found["picture"] = draw_images(
        arguments.out / "dcgan_digits.png",
        {
            "real": list(images[:10, 0]),
            "at first": list(before[:10, 0]),
            "at last": list(after[:10, 0]),
            " ": list(after[10:20, 0]),
            "  ": list(after[20:, 0]),
        },
        vmin=-1,
    )
    return found


if __name__ == "__main__":
    main()
