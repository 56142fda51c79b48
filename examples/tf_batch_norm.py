"""Batch normalisation with and without its update ops: the training looks the same, the test does not.

python examples/tf_batch_norm.py
"""

from __future__ import annotations

import numpy as np
from _example import digits, draw, labels, options

from deconv_legacy import tf
from deconv_legacy.engine import aesara, compile


def network():
    """A classifier's graph: placeholders, loss and accuracy; `training` chooses the batch's or the moving averages."""
    x = tf.placeholder("float32", [None, 8, 8, 1])
    labels = tf.placeholder("int32", [None])
    training = aesara.tensor.bscalar("training")
    h = tf.contrib.layers.conv2d(
        x, 8, 3, stride=2, rng=0, normalizer_fn=tf.contrib.layers.batch_norm,
        normalizer_params={"is_training": training, "decay": 0.9},
    )  # fmt: skip
    scores = tf.contrib.layers.conv2d(h, 10, 4, padding="VALID", activation_fn=None, rng=1)[:, 0, 0]
    loss = tf.losses.sparse_softmax_cross_entropy(labels, scores)
    accuracy = aesara.tensor.eq(scores.argmax(axis=1), labels).mean()
    return [x, labels, training], loss, accuracy


def main(argv=None):
    arguments = options(__doc__, argv)
    images, classes = digits()[..., None] * 10 + 5, labels()
    steps = 60 if arguments.quick else 300
    found = {}
    for kind in ("without update ops", "with update ops"):
        inputs, loss, accuracy = network()
        optimizer = tf.train.AdamOptimizer(0.01)
        if kind.startswith("with "):
            step = tf.train.function(inputs, loss, optimizer, backend="numpy")
        else:  # what the post's first version does: minimize alone
            step = compile(inputs, loss, updates=optimizer.minimize(loss), backend="numpy")
        test = compile(inputs, accuracy, backend="numpy")
        path = []
        for i in range(steps):
            part = np.random.default_rng(i).integers(0, 1500, 64)
            step(images[part], classes[part], 1)
            if i % 5 == 4:
                path.append([float(test(images[1500:], classes[1500:], training)) for training in (1, 0)])
        mean = tf.update_ops(loss)[0][0].get_value()
        found[kind] = {"moved": bool(mean.any()), "batch": path[-1][0], "moving": path[-1][1], "path": path}
        print(f"{kind}: moving mean {mean[:3].round(3)} ...")
        print(f"   accuracy with the batch's averages {path[-1][0]:.3f}, with the moving ones {path[-1][1]:.3f}")
    print("optimizer.minimize changes the variables only. tf.train.function runs the update ops always.")

    def paint(figure):
        for axis, (kind, result) in zip(figure.subplots(1, 2, sharey=True), list(found.items()), strict=True):
            axis.plot(np.arange(1, len(result["path"]) + 1) * 5, result["path"])
            axis.legend(["batch's averages", "moving averages"])
            axis.set(title=kind, xlabel="steps", ylabel="accuracy on digits never seen")

    found["picture"] = draw(arguments.out / "tf_batch_norm.png", paint)
    return found


if __name__ == "__main__":
    main()
