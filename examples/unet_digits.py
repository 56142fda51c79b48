"""U-Net learns to find handwritten digits on a photograph, pixel by pixel; learned against frozen bilinear up-sampling.

python examples/unet_digits.py                    # a few minutes; --quick for seconds
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw_images, options, photograph

from deconv_legacy import training
from deconv_legacy.engine import aesara, compile, softmax_loss
from deconv_legacy.networks import unet

SIZE = (30, 36)  # not divisible by 4: an up-sampling takes the odd size of its skip


def batch(count, rng, scans, photo):
    """Grey windows of the photograph with two digits each ``(count, 1, *SIZE)``, and their ink as labels."""
    pictures, labels = np.empty((count, 1, *SIZE), "float32"), np.zeros((count, *SIZE), "int32")
    for picture, label in zip(pictures, labels, strict=True):
        top, left = (rng.integers(0, n - m) for n, m in zip(photo.shape, SIZE, strict=True))
        picture[0] = photo[top : top + SIZE[0], left : left + SIZE[1]]
        for _ in range(2):
            scan = scans[rng.integers(len(scans))].repeat(2, axis=0).repeat(2, axis=1)
            row, column = (rng.integers(0, n - 15) for n in SIZE)
            box = np.s_[row : row + 16, column : column + 16]
            colour = rng.uniform(0, 1)
            picture[0][box] += scan * (colour - picture[0][box])
            label[box] |= scan > 0.5
    return pictures, labels


def main(argv=None):
    arguments = options(__doc__, argv)
    backend = "numpy" if arguments.quick else None
    channels, steps, count = ((6, 8, 10), 30, 4) if arguments.quick else ((16, 32, 64), 400, 16)
    scans, photo = digits(), photograph().mean(axis=2)
    # the right third of the photograph and the last scans are for the test
    border = photo.shape[1] * 2 // 3
    test, truth = batch(24, np.random.default_rng(1), scans[1500:], photo[:, border:])
    found, rows = {}, {"pictures never trained on": list(test[:8, 0]), "ink": list(truth[:8])}
    for up in ("deconv", "bilinear"):
        net = unet(2, channels, up=up, rng=0)
        labels = aesara.tensor.itensor3("labels")
        loss = softmax_loss(net["score"].output, labels)
        updates = training.adam(loss, net.param_list(trainable=True), 0.003)
        step = compile([net["data"].output, labels], loss, updates=updates, backend=backend)
        predict = net.function(backend=backend)

        def score(predict=predict):
            found_ink = predict(test).argmax(axis=1)
            return training.scores(training.confusion(truth, found_ink, 2)), found_ink

        rng = np.random.default_rng(2)
        path = []
        for i in range(steps):
            path.append(float(step(*batch(count, rng, scans[:1500], photo[:, :border]))))
            if i % 50 == 0:
                print(f"   {up}, step {i}: loss {path[-1]:.3f}")
        result, ink = score()
        found[up] = {"losses": path, "iu": result.iu[1], "accuracy": result.pixel_accuracy}
        print(f"{up}: intersection over union of the ink {result.iu[1]:.3f}, pixels right {result.pixel_accuracy:.3f}")
        rows[f"found, up-sampling by {up}"] = list(ink[:8])
    found["picture"] = draw_images(arguments.out / "unet_digits.png", rows, 1.2)
    return found


if __name__ == "__main__":
    main()
