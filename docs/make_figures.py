"""Draws the figures of these pages with the package's own geometry: ``pip install matplotlib``, then
``python docs/make_figures.py`` writes docs/figures/*.png."""

from __future__ import annotations

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


def pad_100() -> None:
    """How far the upscored map reaches beyond the image, for each image size, with several pads."""
    sizes = np.arange(40, 400)
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for pad, colour in ((90, GREY), (97, ORANGE), (100, BLUE)):
        path = fcn32s(pad)
        offset = geometry.crop_offset(path)
        margins = [geometry.chain_sizes(int(size), path)[-1] - offset - size for size in sizes]
        axes.plot(sizes, margins, color=colour, label=f"pad {pad}")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("image size")
    axes.set_ylabel("cells left after the crop")
    axes.set_title(
        "FCN-32s: what remains of the upscored map behind the crop; below 0 the crop does not fit", fontsize=9
    )
    axes.legend()
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
    for size in range(5, 14):
        n = geometry.conv_output_size(size, kernel, stride, 1)
        axes.annotate("", xy=(n * 2 - 1, 0), xytext=(size, 1), arrowprops={"arrowstyle": "->", "color": GREY})
        axes.text(size, 1.08, str(size), ha="center", color=BLUE, fontsize=11)
        axes.text(n * 2 - 1, -0.16, str(n), ha="center", color=ORANGE, fontsize=11)
    axes.set_xlim(4, 14)
    axes.set_ylim(-0.3, 1.3)
    axes.axis("off")
    axes.set_title(
        f"kernel {kernel}, stride {stride}, pad 1: each {stride} neighbouring sizes (blue) become one size (orange);\n"
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


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for draw in (pad_100, crop_offset, ambiguous_sizes, checkerboard):
        draw()
        print(FOLDER / f"{draw.__name__}.png")
