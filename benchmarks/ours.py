"""Worker: deconv_legacy."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import harness
import numpy as np


def fcn32s(task):
    from deconv_legacy.networks import fcn32s

    net = fcn32s(n_classes=task["classes"], width=task["width"])
    net.load(harness.fcn32s_weights(task["width"], task["classes"]))
    segment = net.function(progress=False)
    x = harness.image(task["size"])
    seconds = harness.timed(lambda: segment(x), task["budget"])
    np.save(Path(task["folder"]) / "deconv_legacy.npy", segment(x))
    return {"seconds": [seconds], "peak_mb": harness.peak_mb()}


def training(task):
    """Loss and gradients of all filters and biases but the upscore's, which FCN does not train."""
    from deconv_legacy import engine
    from deconv_legacy.layers import InputLayer, SoftmaxLossLayer
    from deconv_legacy.networks import fcn32s

    net = fcn32s(n_classes=task["classes"], width=task["width"])
    net.load(harness.fcn32s_weights(task["width"], task["classes"]))
    label = InputLayer((None, 1, None, None), name="label")
    loss = SoftmaxLossLayer(net["score"], label, ignore_label=255)
    names = [name for name, _, _ in harness.fcn32s_layers(task["width"], task["classes"])]
    params = [variable for name in names for variable in net[name].params]
    step = engine.compile(
        [net["data"].output, label.output],
        [loss.output, *engine.aesara.grad(loss.output, params)],
        progress=False,
    )
    x, truth = harness.image(task["size"]), harness.labels(task["size"], task["classes"])
    kept = {}

    def call():
        kept["results"] = None  # as torch's gradients are cleared
        kept["results"] = step(x, truth)

    wall, processor = harness.timed_step(call, task["calls"])
    harness.save_step(task, "deconv_legacy", kept["results"][0], dict(zip(names, kept["results"][1::2], strict=True)))
    return {"seconds": [wall, processor], "peak_mb": harness.peak_mb()}


def layers(task):
    from deconv_legacy import engine

    at = engine.aesara.tensor
    seconds = []
    for index, case in enumerate(task["cases"]):
        values, filters = harness.layer_arrays(case)
        x, w = at.tensor4("x", dtype="float32"), at.tensor4("w", dtype="float32")
        options = {"stride": case["stride"], "border_mode": case["pad"]}
        if case["kind"] == "conv":
            y = engine.conv(x, w, **options)
        else:
            size = [(case["size"] - 1) * case["stride"] + case["kernel"] - 2 * case["pad"]] * 2
            y = engine.conv_input_gradient(w, x, size, **options)
        forward = engine.compile([x, w], y, progress=False)
        g = at.tensor4("g", dtype="float32")
        backward = engine.compile([x, w, g], engine.aesara.grad(None, [x, w], known_grads={y: g}), progress=False)
        result = forward(values, filters)
        np.save(Path(task["folder"]) / f"deconv_legacy_{index}.npy", result)
        gradient = np.ones_like(result)
        seconds.append(
            [
                harness.timed(partial(forward, values, filters), task["budget"]),
                harness.timed(partial(backward, values, filters, gradient), task["budget"]),
            ]
        )
    return {"seconds": seconds}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"fcn32s": fcn32s, "layers": layers, "training": training}[task["work"]](task)))
