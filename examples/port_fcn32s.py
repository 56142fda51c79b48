"""FCN-32s, ported step by step: from a classifier by net surgery to a net that labels every pixel.

    pip install ".[caffe]" matplotlib
    python examples/port_fcn32s.py --out out

It makes a small data set in PASCAL VOC's folders, a small "VGG" (prototxt, weights, trained for a moment to name the
class of a texture), turns it into FCN-32s as Long, Shelhamer and Darrell did, trains it, scores it, and labels a
picture. The code is what a script of 2015 had: NetSpec, transplant, interp, a solver, seg_tests. About ten minutes on
one core.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
from _example import draw, options
from PIL import Image

from deconv_legacy import caffe
from deconv_legacy.caffe import NetSpec, score, surgery
from deconv_legacy.caffe import layers as L
from deconv_legacy.caffe import params as P
from deconv_legacy.caffe.coord_map import crop
from deconv_legacy.training import scores

CLASSES = ("sky", "sea", "meadow", "house")
COLOURS = np.array([(120, 170, 230), (30, 70, 140), (90, 150, 60), (170, 80, 60)], np.float32)
MEAN = (104.0, 117.0, 123.0)  # BGR
FIRST = dict(weight_filler=dict(type="gaussian", std=0.005), bias_filler=dict(type="constant"))
FILL = dict(weight_filler=dict(type="msra"), bias_filler=dict(type="constant"))
LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]


# Step 1: data, in the folders of PASCAL VOC


def texture(rng, shape, kind):
    """Noise around a class's colour."""
    return np.clip(COLOURS[kind] + rng.normal(0, 18, (*shape, 3)) + rng.normal(0, 12, 3), 0, 255)


def landscape(rng, size):
    """A picture and its labels: a sky, a slanting coast, and in most a house."""
    y, x = np.mgrid[:size, :size] / size
    label = np.zeros((size, size), np.uint8)
    horizon = rng.uniform(0.3, 0.45)
    label[y > horizon] = 1
    label[(y > horizon) & (x > rng.uniform(0.35, 0.65) + rng.uniform(-0.5, 0.5) * (y - 0.7))] = 2
    if rng.random() < 0.8:
        top, left = rng.uniform(0.15, 0.4), rng.uniform(0.05, 0.55)
        label[(y > top) & (y < top + 0.45) & (x > left) & (x < left + 0.4)] = 3
    picture = np.zeros((size, size, 3), np.uint8)
    for kind in range(len(CLASSES)):
        picture[label == kind] = texture(rng, label.shape, kind)[label == kind]
    label[:2] = 255  # a border that does not count, as VOC has around its objects
    return picture, label


def make_data(folder: Path, count: int, size: int) -> list[str]:
    rng = np.random.default_rng(0)
    names = [f"2024_{i:06d}" for i in range(count)]
    for place in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name in names:
        picture, label = landscape(rng, size)
        Image.fromarray(picture).save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
        paletted = Image.fromarray(label)
        paletted.putpalette([*COLOURS.astype(np.uint8).ravel(), *[224] * (768 - COLOURS.size)])
        paletted.save(folder / "SegmentationClass" / f"{name}.png")
    # a list whose name has "train" in it is drawn at random, others are read in order
    for split in ("train", "all"):
        (folder / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return names


# Step 2: the nets, as net.py has them


def conv_relu(bottom, outputs, kernel=3, pad=1, fill=FILL):
    conv = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, pad=pad, param=LEARN, **fill)
    return conv, L.ReLU(conv, in_place=True)


def body(n, width, pad):
    """VGG-16's convolutions, narrower, on n.data."""
    top = n.data
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for i in range(1, count + 1):
            first = (stage, i) == (1, 1)
            made = conv_relu(top, max(2, outputs // width), pad=pad if first else 1, fill=FIRST if first else FILL)
            n[f"conv{stage}_{i}"], n[f"relu{stage}_{i}"] = made
            top = made[1]
        n[f"pool{stage}"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    return top


def vgg(width, size, train):
    n = NetSpec()
    if train:
        shapes = [dict(dim=[8, 3, size, size]), dict(dim=[8])]
        n.data, n.label = L.Input(ntop=2, shape=shapes)
    else:
        n.data = L.Input(shape=dict(dim=[1, 3, size, size]))
    top = body(n, width, pad=1)
    for i in (6, 7):
        n[f"fc{i}"] = L.InnerProduct(top, num_output=4096 // width, param=LEARN, **FILL)
        n[f"relu{i}"] = L.ReLU(n[f"fc{i}"], in_place=True)
        top = n[f"relu{i}"]
    n.fc8 = L.InnerProduct(top, num_output=len(CLASSES), param=LEARN, **FILL)
    if train:
        n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    return n.to_proto()


def fcn32s(width, split=None, folder="VOC", kernel=7):
    """The train net of a split, or without one the deploy net."""
    n = NetSpec()
    if split:
        params = dict(voc_dir=str(folder), split=split, mean=MEAN, seed=1337)
        n.data, n.label = L.Python(module="voc_layers", layer="VOCSegDataLayer", ntop=2, param_str=str(params))
    else:
        n.data = L.Input(shape=dict(dim=[1, 3, 500, 500]))
    top = body(n, width, pad=100)
    for i, k in ((6, kernel), (7, 1)):
        n[f"fc{i}"], n[f"relu{i}"] = conv_relu(top, 4096 // width, k, 0)
        n[f"drop{i}"] = top = L.Dropout(n[f"relu{i}"], dropout_ratio=0.2, in_place=True)
    # no filler: the scores begin at zero
    n.score_fr = L.Convolution(top, num_output=len(CLASSES), kernel_size=1, param=LEARN)
    n.upscore = L.Deconvolution(
        n.score_fr,
        convolution_param=dict(num_output=len(CLASSES), kernel_size=64, stride=32, bias_term=False),
        param=[dict(lr_mult=0)],
    )
    n.score = crop(n.upscore, n.data)
    if split:
        n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=True, ignore_label=255))
    return n.to_proto()


# Step 3: train


def solver_for(folder, name, steps, rate, **fields):
    """A solver prototxt, and the solver."""
    path = folder / f"{name}_solver.prototxt"
    lines = {
        "type": '"Adam"', "base_lr": rate, "momentum": 0.9, "momentum2": 0.99, "delta": 1e-8,
        "lr_policy": '"poly"', "power": 1, "max_iter": steps, "random_seed": 1, **fields,
    }  # fmt: skip
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return caffe.get_solver(str(path))


def train_vgg(folder, width, size, steps):
    """Teach the classifier, for a moment, which class fills a picture; write its weights and its deploy net."""
    (folder / "vgg.prototxt").write_text(str(vgg(width, size, train=False)))
    (folder / "vgg_train.prototxt").write_text(str(vgg(width, size, train=True)))
    solver = solver_for(folder, "vgg", steps, 1e-3, net=f'"{folder}/vgg_train.prototxt"')
    rng = np.random.default_rng(1)
    losses = []
    for _ in range(steps):
        kinds = rng.integers(0, len(CLASSES), 8)
        pictures = np.stack([texture(rng, (size, size), kind) for kind in kinds])
        solver.net.blobs["data"].data[...] = (pictures[..., ::-1] - MEAN).transpose(0, 3, 1, 2)
        solver.net.blobs["label"].data[...] = kinds
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    solver.net.save(str(folder / "vgg.caffemodel"))
    return losses


def main(argv=None):
    arguments = options(__doc__, argv)
    folder = arguments.out / "fcn32s"
    folder.mkdir(parents=True, exist_ok=True)
    # narrower by `width`; fc6 sees kernel x kernel cells of pool5, all of the classifier's picture
    width, size, count, first, steps, kernel = (64, 64, 3, 2, 4, 2) if arguments.quick else (8, 224, 8, 30, 600, 7)
    found = {"losses": []}

    names = make_data(folder / "VOC", count, size)
    print(f"1. {count} pictures of {size}x{size} in {folder / 'VOC'}, classes {', '.join(CLASSES)}")

    found["classifier"] = train_vgg(folder, width, 32 * kernel, first)
    print(f"2. a small VGG: loss {found['classifier'][0]:.3f} -> {found['classifier'][-1]:.3f}")

    for split in ("train", "all"):
        (folder / f"{split}.prototxt").write_text(str(fcn32s(width, split, folder / "VOC", kernel)))
    (folder / "deploy.prototxt").write_text(str(fcn32s(width, kernel=kernel)))
    solver = solver_for(
        folder, "fcn", steps, 1e-3,
        train_net=f'"{folder}/train.prototxt"', test_net=f'"{folder}/all.prototxt"', test_iter=count,
        test_interval=999999999, test_initialization="false", snapshot_prefix=f'"{folder}/train"',
    )  # fmt: skip
    classifier = caffe.Net(str(folder / "vgg.prototxt"), str(folder / "vgg.caffemodel"), caffe.TEST)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        surgery.transplant(solver.net, classifier)
    surgery.interp(solver.net, [name for name in solver.net.params if "up" in name])
    found["surgery"] = told.getvalue().splitlines()
    print("3. net surgery:", "; ".join(found["surgery"]))

    solver.after_step.append(found["losses"].append)
    for quarter in range(1, 5):
        solver.step(steps * quarter // 4 - solver.iter)
        print(f"4. step {solver.iter}: loss {np.mean(found['losses'][-25:]):.4f}", flush=True)

    with contextlib.redirect_stdout(io.StringIO()) as said:
        score.seg_tests(solver, str(folder / "seg{}"), names)
        histogram = score.do_seg_tests(solver.test_nets[0], solver.iter, False, names)
    found["scores"] = scores(histogram)
    print(
        f"5. on the {count} pictures:", *(line.partition("Iteration")[2] for line in said.getvalue().splitlines()[-4:])
    )

    model = folder / "fcn32s.caffemodel"
    solver.net.save(str(model))
    net = caffe.Net(str(folder / "deploy.prototxt"), str(model), caffe.TEST)
    picture = np.asarray(Image.open(folder / "VOC" / "JPEGImages" / f"{names[0]}.jpg"))
    data = (picture[..., ::-1].astype(np.float32) - np.float32(MEAN)).transpose(2, 0, 1)
    net.blobs["data"].reshape(1, *data.shape)
    net.blobs["data"].data[...] = data
    labels = net.forward()["score"][0].argmax(0)
    found["labels"] = labels
    truth = np.asarray(Image.open(folder / "VOC" / "SegmentationClass" / f"{names[0]}.png"))
    print(f"6. a picture, labelled by deploy.prototxt and fcn32s.caffemodel; {os.fspath(folder)} has it all")

    def paint(figure):
        curve, *panels = figure.subplots(1, 4, width_ratios=(2, 1, 1, 1))
        curve.plot(found["losses"], lw=0.6, color="0.6")
        window = max(1, len(found["losses"]) // 24)
        smooth = np.convolve(found["losses"], np.ones(window) / window, "valid")
        curve.plot(np.arange(len(smooth)) + window - 1, smooth)
        curve.set(xlabel="step", ylabel="loss", yscale="log")
        curve.set_title(f"mean IU on these pictures: {found['scores'].mean_iu:.3f}", fontsize=9)
        shown = {"picture": picture, "truth": colour(truth), "FCN-32s": colour(labels)}
        for panel, (title, image) in zip(panels, shown.items(), strict=True):
            panel.imshow(image)
            panel.set_axis_off()
            panel.set_title(title, fontsize=9)

    found["picture"] = draw(arguments.out / "port_fcn32s.png", paint, (10, 2.8))
    return found


def colour(labels):
    return np.where((labels == 255)[..., None], 224, COLOURS[labels % len(CLASSES)]).astype(np.uint8)


if __name__ == "__main__":
    main()
