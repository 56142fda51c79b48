"""Trains the small FCN-8s that ships in the package: handwritten digits on photographs, 11 classes.

    pip install ".[caffe]" scikit-learn scikit-image
    python examples/train_digits.py --out model

writes weights.caffemodel, deploy.prototxt, train.prototxt
and model.json (classes, palette, mean, seed, mean IU on held-out digits and photographs) to the folder. The nets are
those of deconv_legacy/cli/model; `digits_on_photos.py` makes the pictures.

The way there: filters are scaled so that every convolution begins with outputs of deviation 1 on real pictures; Adam
on one picture at a time, each seen once, with a rate that falls to 0; the first pictures have pale backgrounds; the
three deconvolutions interpolate and are not trained, as in FCN. One core trains, a second one makes the pictures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

# Before NumPy comes: two threads would wait for one another while the other process makes pictures.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np

import deconv_legacy
from deconv_legacy import engine, fillers, training
from deconv_legacy.caffe import build_net, read_net, write_weights

sys.path.insert(0, str(Path(__file__).parent))
from digits_on_photos import CLASSES, MEAN_BGR, caffe_blob, make_picture

MODEL = Path(deconv_legacy.__file__).parent / "cli" / "model"
TRAIN_SIZE = (320, 320)
TEST_SIZE = (240, 320)
PALE = 1200  # pictures until the photographs have their full contrast
AHEAD = 64  # pictures made and not yet used, at most
PEAK_RATE, WARM_UP, BETA2 = 3e-3, 50, 0.99
INPUT_SCALE = np.float32(64)


def training_picture(seed: int, index: int):
    """Picture number `index` of the training split; the first ones are pale."""
    return make_picture("train", *TRAIN_SIZE, seed, index, min(1.0, 0.1 + 0.9 * index / PALE))


def arrays(picture, labels):
    """A step's two inputs. The picture is divided by INPUT_SCALE, so that the first filters are of the size of the
    others, which Adam needs; at the end the first filters are divided instead."""
    return caffe_blob(picture)[None] / INPUT_SCALE, labels[None, None].astype(np.float32)


def pictures(seed: int, steps: int):
    """One new training picture for each step, made by a second process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        waiting = deque()
        for step in range(steps + AHEAD):
            if step < steps:
                waiting.append(pool.apply_async(training_picture, (seed, step)))
            if step >= AHEAD:
                yield arrays(*waiting.popleft().get())


def scale_filters(net, images) -> None:
    """Scale the filters of each convolution, first to last, so that its outputs have mean 0 and deviation 1."""
    names = [name for name in net.layers if name.startswith(("conv", "fc"))]
    outputs = engine.compile(
        [layer.output for layer in net.input_layers],
        [net.layers[name].output for name in names],
        on_unused_input="ignore",
    )
    for index, name in enumerate(names):
        sums = []
        for image, label in images:
            y = outputs(image, label)[index].astype(np.float64)
            sums.append((y.mean((0, 2, 3)), (y**2).mean((0, 2, 3))))
        mean, square = np.mean(sums, axis=0)
        deviation = np.sqrt(square - mean**2) + 1e-6
        weight, bias = net.layers[name].params
        weight.set_value((weight.get_value() / deviation[:, None, None, None]).astype(np.float32))
        bias.set_value((-mean / deviation).astype(np.float32))


def held_out_scores(weights, seed: int, count: int) -> training.Scores:
    """The scores of the deploy net on held-out digits over held-out photographs."""
    net = build_net(read_net(MODEL / "deploy.prototxt"))
    net.network.load(weights)
    segment = net.function(["score"])
    histogram = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for index in range(count):
        picture, labels = make_picture("held-out", *TEST_SIZE, seed, index)
        (score,) = segment(caffe_blob(picture)[None])
        histogram += training.confusion(labels, score[0].argmax(0), len(CLASSES))
    return training.scores(histogram)


def palette() -> list[list[int]]:
    """Black, and ten colours far apart."""
    import colorsys

    tones = [colorsys.hsv_to_rgb(i / 10, 1 if i % 2 else 0.65, 1 if i % 3 else 0.85) for i in range(10)]
    return [[0, 0, 0], *([round(255 * channel) for channel in tone] for tone in tones)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--pictures", type=int, default=200, help="held-out pictures for the score")
    options = parser.parse_args()
    start = time.monotonic()

    net = build_net(read_net(MODEL / "train.prototxt"), phase=0, rng=options.seed)
    for name in ("upscore2", "upscore_pool4", "upscore8"):
        (weight,) = net.layers[name].params
        weight.set_value(fillers.bilinear(weight.get_value().shape, kind="diagonal"))
    scale_filters(net, [arrays(*make_picture("train", *TRAIN_SIZE, options.seed, 10**6 + i)) for i in range(8)])

    rate = engine.aesara.shared(np.float32(0), name="rate")
    step = training.training_function(net.network, partial(training.adam, learning_rate=rate, beta2=BETA2))
    loss = None
    for number, batch in enumerate(pictures(options.seed, options.steps)):
        rate.set_value(np.float32(PEAK_RATE * min((number + 1) / WARM_UP, 1 - number / options.steps)))
        now = float(step(*batch))
        loss = now if loss is None else 0.98 * loss + 0.02 * now
        if (number + 1) % 500 == 0:
            print(f"step {number + 1}: loss {loss:.4f}, {time.monotonic() - start:.0f} s", flush=True)

    weights = {name: [v.get_value() for v in variables] for name, variables in net.params().items()}
    weights["conv1_1"][0] /= INPUT_SCALE
    scores = held_out_scores(weights, options.seed, options.pictures)
    seconds = time.monotonic() - start
    print(f"held-out mean IU {scores.mean_iu:.4f}, {seconds / 60:.1f} minutes")
    for name, iu in zip(CLASSES, scores.iu, strict=True):
        print(f"  {name:10s} {iu:.3f}")

    options.out.mkdir(parents=True, exist_ok=True)
    write_weights(options.out / "weights.caffemodel", weights)
    for name in ("deploy.prototxt", "train.prototxt"):
        if (options.out / name).resolve() != (MODEL / name).resolve():
            shutil.copy(MODEL / name, options.out / name)
    description = {
        "classes": list(CLASSES),
        "palette": palette(),
        "mean": [float(value) for value in MEAN_BGR],
        "seed": options.seed,
        "steps": options.steps,
        "held_out_pictures": options.pictures,
        "mean_iu": round(scores.mean_iu, 4),
        "iu": [round(value, 4) for value in scores.iu],
        "minutes": round(seconds / 60, 1),
    }
    (options.out / "model.json").write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
