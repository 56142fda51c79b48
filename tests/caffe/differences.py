# ruff: noqa: E501  (a table)
"""Every difference from Caffe that remains: the page docs/differences-caffe.md is made of this table, and each entry is
shown by the check of its name in test_differences.py. ``python tests/caffe/differences.py`` writes the page."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "differences-caffe.md"


class Difference(NamedTuple):
    name: str
    area: str
    caffe: str
    here: str
    why: str


MISSING = (
    *("BatchReindex", "ContrastiveLoss", "Embed", "Filter", "Im2col", "LSTM", "LSTMUnit"),
    *("MultinomialLogisticLoss", "Parameter", "RNN", "Recurrent", "SPP"),
)
"""Layer types of BVLC Caffe that are not here."""

DIFFERENCES = [
    Difference("label range", "Numbers", "a label that is no class reads beyond the scores", "error with layer, label and place", "it was undefined"),
    Difference("loss sum", "Numbers", "on a CPU a loss is added in float32, one pixel at a time", "exact; `caffe_cpu_sum=True` adds as Caffe does", "both are wanted: true numbers, and identical logs"),
    Difference("random numbers", "Numbers", "boost's Mersenne twister for fillers, dropout, shuffling", "NumPy's generator: other numbers of the same distributions; one seed gives one run", "no other implementation gives boost's stream"),
    Difference("pspnet backward", "Numbers", "PSPNet's BN in the TEST phase computes with stored moments, but differentiates as if they were the batch's", "the gradient of what was computed", "nobody trains in TEST"),
    Difference("in place", "Numbers", "the gradients of BNLL, Clip, Log and Power in place, and of a ReLU with a slope below 0, are wrong: they read what they have written over", "right, in place too", "nobody meant them"),
    Difference("scale of one image", "Numbers", "with one image, a Scale's gradient by its factors replaces what `iter_size` or an earlier backward has added up (several factors, or one for each number)", "is added, as every other layer's", "its own bias and all other layers add"),
    Difference("product of zeros", "Numbers", "`stable_prod_grad: false` divides a product by each factor: NaN where one is 0", "the product of the others, always", "it was only faster"),
    Difference("unpooling mask", "Numbers", "DeconvNet's Unpooling writes wherever its mask points", "a mask that points outside is an error", "it wrote to memory that was not its own"),
    Difference("upsample size", "Numbers", "SegNet's Upsample with a scale keeps the size of the first image for all", "follows the image", "the output no longer fitted"),
    Difference("grey images", "Numbers", "OpenCV makes colours grey as its version and the file's format have it", "Pillow's weights (.299, .587, .114), at most one of 255 apart", "OpenCV is no requirement"),
    Difference("cubic resizing", "Numbers", "`caffe.io.resize_image(interp_order=3)` is skimage's cubic", "SciPy's spline; orders 0 and 1, which pycaffe uses, are equal", "skimage is no requirement"),
    Difference("check", "Errors", "`CHECK` ends the process", "an exception that names the layer", "a session with results in it lives on"),
    Difference("all problems", "Errors", "reading a prototxt stops at its first problem", "all problems at once, with line and column", "one round instead of ten"),
    Difference("memory", "Errors", "sizes beyond memory end in the system's killer", "refused when the net is built", "a mistyped number should not take the machine down"),
    Difference("strict weights", "Errors", "names that are only in the net, or only in the weights, are passed over", "`caffe.Net` the same; `build_net(...).load` and the commands refuse a layer without weights", "a net with random layers looks like a bad net"),
    Difference("layer names", "Nets", "several layers may have one name", "the second of a name is called `name (2)`", "all can be reached by name"),
    Difference("parameter shapes", "Nets", "`net.params[...][i].reshape` takes any shape, which the next forward refuses", "refused at once", "the net is compiled for its shapes"),
    Difference("missing layers", "Nets", "has " + ", ".join(MISSING), "refused, all of a net's at once, with their places; `deconv_legacy.caffe.registry` says how to add one", "no segmentation net uses them"),
    Difference("stochastic pooling", "Nets", "pools at random", "refused", "no segmentation net uses it"),
    Difference("databases", "Nets", "Data reads LMDB and LevelDB", "refused by `caffe.Net`, with what to put in its place; commands that need only the graph take its tops' sizes", "both are libraries of their own"),
    Difference("hdf5 output", "Nets", "the second forward of an HDF5Output dies", "the file holds the last forward", "a net may run twice"),
    Difference("one process", "pycaffe", "several solvers, with NCCL", "one; more are refused", "there is one device"),
    Difference("selective search", "pycaffe", "`Detector.detect_selective_search` starts MATLAB", "refused; `detect_windows` takes windows", "that program is no part of Caffe"),
    Difference("drawing", "pycaffe", "`caffe.draw` needs pydot", "DOT text needs nothing, images graphviz's `dot`", "one library less"),
]  # fmt: skip


def page() -> str:
    """The text of the page."""
    parts = [
        "# Where this differs from Caffe\n",
        "Made by `tests/caffe/differences.py`; every line is shown by a check of `tests/caffe/test_differences.py`.\n"
        "What is not here is as in BVLC Caffe, its numbers within 2e-5 of the largest.\n",
    ]
    for area in dict.fromkeys(difference.area for difference in DIFFERENCES):
        parts.append(f"## {area}\n")
        rows = [f"| {d.caffe} | {d.here} | {d.why} |" for d in DIFFERENCES if d.area == area]
        parts.append("\n".join(["| Caffe | Here | Why |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
