"""Draws the figures of these pages with the package's own code: ``pip install matplotlib``, then
``python docs/make_figures.py`` writes docs/figures/*.png."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from deconv_legacy import geometry
from deconv_legacy.geometry import Step

FOLDER = Path(__file__).parent / "figures"
BLUE, ORANGE, GREY, GREEN = "#2b6cb0", "#dd6b20", "#a0aec0", "#2f855a"


def vgg16(pad: int = 100) -> list[Step]:
    """FCN's path from the image to the scores."""
    steps = []
    for stage, count in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, count + 1):
            steps.append(Step("conv", 3, border_mode=pad if not steps else 1, name=f"conv{stage}_{i}"))
        steps.append(Step("pool", 2, 2, rounding="caffe", name=f"pool{stage}"))
    return [*steps, Step("conv", 7, name="fc6"), Step("conv", 1, name="fc7"), Step("conv", 1, name="score_fr")]


def fcn32s(pad: int = 100) -> list[Step]:
    return [*vgg16(pad), Step("deconv", 64, 32, name="upscore")]


def smallest_image(pad: int) -> int:
    """The least image size that the padded net and its crop can take."""
    path = fcn32s(pad)
    offset = geometry.crop_offset(path)
    for size in range(1, 300):
        try:
            if geometry.chain_sizes(size, path)[-1] >= offset + size:
                return size
        except ValueError:  # a kernel larger than what is left of the image
            continue
    raise AssertionError(f"no image fits with pad {pad}")


def _covers(pad: int) -> bool:
    try:
        return geometry.crop_offset(fcn32s(pad)) >= 0
    except ValueError:
        return False


def pad_100() -> None:
    """What each pad of the first convolution makes possible."""
    pads = range(60, 111)
    least = geometry.least_pad(fcn32s())
    first = next(pad for pad in pads if _covers(pad))
    covering = range(first, pads.stop)
    figure, axes = plt.subplots(figsize=(8, 3.2))
    axes.plot(covering, [smallest_image(pad) for pad in covering], color=BLUE, drawstyle="steps-post")
    axes.axvspan(60, first, color=GREY, alpha=0.5)
    axes.text(61, 20, "the upscored map begins\ninside the image:\nno crop can align them", fontsize=8)
    axes.axvline(least, color=ORANGE, linewidth=1)
    axes.text(least - 7.2, 20, f"{least}: every image\nfrom 1 pixel up", fontsize=8, color=ORANGE)
    axes.axvline(100, color=GREEN, linewidth=1)
    axes.text(100.3, 10, "100: Long et al.'s\nround number", fontsize=8, color=GREEN)
    axes.set_xlim(60, 110)
    axes.set_xlabel("pad of the first convolution")
    axes.set_ylabel("smallest image")
    axes.set_title("FCN-32s: the smallest image that the net takes, for each pad", fontsize=9)
    figure.tight_layout()
    figure.savefig(FOLDER / "pad_100.png", dpi=110)
    plt.close(figure)


def crop_offset() -> None:
    """The image, the padded image and the upscored map on one ruler."""
    size = 500
    up = geometry.chain_sizes(size, fcn32s())[-1]
    offset = geometry.crop_offset(fcn32s())
    field = geometry.receptive_field(vgg16())
    figure, axes = plt.subplots(figsize=(8, 2.6))
    rows = (
        ("padded image", -100, size + 200, GREY),
        ("image", 0, size, BLUE),
        (f"upscored map, {up} cells", -offset, up, ORANGE),
        ("what score cell 0 sees", field.span(0)[0], field.size, GREEN),
    )
    for i, (label, start, length, colour) in enumerate(rows):
        axes.barh(-i, length, left=start, color=colour, height=0.6, alpha=0.8)
        axes.text(start + 4, -i, f"{label}: {start} .. {start + length - 1}", va="center", fontsize=8)
    axes.set_yticks([])
    axes.set_xlabel("pixels of the image")
    axes.set_title(f"FCN-32s at {size} pixels: the crop begins at row {offset} of the upscored map", fontsize=9)
    figure.tight_layout()
    figure.savefig(FOLDER / "crop_offset.png", dpi=110)
    plt.close(figure)


def ambiguous_sizes() -> None:
    """Which sizes a strided convolution takes to which, and so which a deconvolution can come back to."""
    kernel, stride = 3, 2
    figure, axes = plt.subplots(figsize=(8, 3))
    for size in range(5, 15):
        n = geometry.conv_output_size(size, kernel, stride, 1)
        below = n * 2 - 0.5
        axes.annotate("", xy=(below, 0), xytext=(size, 1), arrowprops={"arrowstyle": "->", "color": GREY})
        axes.text(size, 1.08, str(size), ha="center", color=BLUE, fontsize=11)
        axes.text(below, -0.16, str(n), ha="center", color=ORANGE, fontsize=11)
    axes.set_xlim(4, 15)
    axes.set_ylim(-0.3, 1.3)
    axes.axis("off")
    axes.set_title(
        f"kernel {kernel}, stride {stride}, pad 1: {stride} neighbouring sizes (blue) become one (orange);\n"
        f"a deconvolution of 4 may end at {' or '.join(map(str, geometry.deconv_output_sizes(4, kernel, stride, 1)))}",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(FOLDER / "ambiguous_sizes.png", dpi=110)
    plt.close(figure)


def checkerboard() -> None:
    """How many inputs reach each output cell, for kernels that the stride divides and that it does not."""
    figure, panels = plt.subplots(1, 3, figsize=(8, 2.9))
    for axes, (kernel, stride) in zip(panels, ((3, 2), (4, 2), (5, 2)), strict=True):
        counts = np.array(geometry.overlap_counts(6, kernel, stride))
        axes.imshow(np.outer(counts, counts), cmap="viridis")
        axes.set_title(f"kernel {kernel}, stride {stride}", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle("inputs that reach each output cell: uneven unless the stride divides the kernel", fontsize=9)
    figure.tight_layout()
    figure.savefig(FOLDER / "checkerboard.png", dpi=110)
    plt.close(figure)


def segment() -> None:
    """The example photograph, and what `deconv-legacy segment` makes of it."""
    from PIL import Image

    photo = Path(__file__).parent.parent / "examples" / "photo.png"
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, "-m", "deconv_legacy", "segment", str(photo), "--out", out], check=True)
        parts = [Image.open(path).convert("RGB") for path in (photo, *sorted(Path(out).glob("photo_*.png"))[::-1])]
    width, height = parts[0].size
    sheet = Image.new("RGB", (len(parts) * (width + 8) - 8, height), "white")
    for i, part in enumerate(parts):
        sheet.paste(part, (i * (width + 8), 0))
    sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4), Image.Resampling.LANCZOS).save(FOLDER / "segment.png")


def explain_deconv() -> None:
    """`deconv-legacy explain deconv`: which inputs reach each output."""
    from deconv_legacy.cli import main

    rule = ("--input", "4", "--kernel", "3", "--stride", "2", "--pad", "1")
    main(["explain", "deconv", *rule, "--out", str(FOLDER / "explain_deconv.png"), "--json"])


def receptive_field() -> None:
    """`deconv-legacy explain net.prototxt`: what a pixel of FCN-8s sees of the example photograph."""
    from deconv_legacy.cli import main

    root = Path(__file__).parent.parent
    net = root / "tests" / "data" / "caffe" / "nets" / "fcn8s" / "deploy.prototxt"
    photo, out = root / "examples" / "photo.png", FOLDER / "receptive_field.png"
    main(["explain", str(net), "--photo", str(photo), "--pixel", "60,120", "--out", str(out), "--json"])


def off_by_one() -> None:
    """The error of the packaged net's scores where the last crop is one row and one column off."""
    from PIL import Image

    from deconv_legacy.caffe import parse_net
    from deconv_legacy.cli import _images, _segmenter
    from deconv_legacy.testing import caffe_subject, compare, record
    from deconv_legacy.testing.report import error_map, heat

    text = (_segmenter.MODEL / "deploy.prototxt").read_text()
    weights = _segmenter.MODEL / "weights.caffemodel"
    photo = _images.read_photo(Path(__file__).parent.parent / "examples" / "photo.png")
    data = {"data": _images.blob_of(photo, np.array(_segmenter.CAFFE_MEAN))}
    right = caffe_subject(parse_net(text), weights)
    last = right.stages[-1].layer.offset[0]
    wrong = caffe_subject(parse_net(text.replace(f"offset: {last}", f"offset: {last + 1}")), weights)
    name = right.outputs[0]
    recordings = [record(net, data, blobs=[name], full_bytes=1 << 28) for net in (right, wrong)]
    assert not compare(*recordings).ok
    plane, _ = error_map(*(recording[name] for recording in recordings))
    Image.fromarray(np.concatenate([photo, heat(plane)], axis=1)).save(FOLDER / "off_by_one.png")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    figures = (
        pad_100,
        crop_offset,
        ambiguous_sizes,
        checkerboard,
        segment,
        explain_deconv,
        receptive_field,
        off_by_one,
    )
    for draw in figures:
        draw()
        print(FOLDER / f"{draw.__name__}.png")
