"""Worker: torch, eager, NCHW or channels_last."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import harness
import numpy as np
import torch
import torch.nn.functional as F


def fcn32s(task):
    last = task["peer"].endswith("channels_last")
    layout = torch.channels_last if last else torch.contiguous_format
    weights = {
        name: [
            torch.from_numpy(a).contiguous(memory_format=layout) if a.ndim == 4 else torch.from_numpy(a) for a in arrays
        ]
        for name, arrays in harness.fcn32s_weights(task["width"], task["classes"]).items()
    }
    layers = harness.fcn32s_layers(task["width"], task["classes"])
    x = torch.from_numpy(harness.image(task["size"])).contiguous(memory_format=layout)

    def segment():
        y = x
        for index, (name, _, pad) in enumerate(layers):
            y = F.conv2d(y, *weights[name], padding=pad)
            if name != "score_fr":
                y = F.relu_(y)
            if name.startswith("conv") and name[4] != layers[index + 1][0][4:5]:
                y = F.max_pool2d(y, 2, 2, ceil_mode=True)
        y = F.conv_transpose2d(y, weights["upscore"][0], stride=32)
        return y[:, :, 19 : 19 + x.shape[2], 19 : 19 + x.shape[3]].contiguous()

    with torch.no_grad():
        seconds = harness.timed(segment, task["budget"])
        np.save(Path(task["folder"]) / f"{task['peer']}.npy", segment().numpy())
    return {"seconds": [seconds], "peak_mb": harness.peak_mb()}


def training(task):
    """Loss and gradients of all filters and biases but the upscore's."""
    weights = {
        name: [torch.from_numpy(a).requires_grad_(name != "upscore") for a in arrays]
        for name, arrays in harness.fcn32s_weights(task["width"], task["classes"]).items()
    }
    layers = harness.fcn32s_layers(task["width"], task["classes"])
    learned = [a for name, _, _ in layers for a in weights[name]]
    x = torch.from_numpy(harness.image(task["size"]))
    truth = torch.from_numpy(harness.labels(task["size"], task["classes"]))[:, 0].long()
    kept = {}

    def call():
        for a in learned:
            a.grad = None
        y = x
        for index, (name, _, pad) in enumerate(layers):
            y = F.conv2d(y, *weights[name], padding=pad)
            if name != "score_fr":
                y = F.relu_(y)
            if name.startswith("conv") and name[4] != layers[index + 1][0][4:5]:
                y = F.max_pool2d(y, 2, 2, ceil_mode=True)
        y = F.conv_transpose2d(y, weights["upscore"][0], stride=32)
        loss = F.cross_entropy(y[:, :, 19 : 19 + x.shape[2], 19 : 19 + x.shape[3]], truth, ignore_index=255)
        loss.backward()
        kept["loss"] = loss.item()

    wall, processor = harness.timed_step(call, task["calls"])
    gradients = {name: weights[name][0].grad.numpy() for name, _, _ in layers}
    harness.save_step(task, task["peer"], kept["loss"], gradients)
    return {"seconds": [wall, processor], "peak_mb": harness.peak_mb()}


def layers(task):
    seconds = []
    for index, case in enumerate(task["cases"]):
        x, w = (torch.from_numpy(a).requires_grad_() for a in harness.layer_arrays(case))
        apply = F.conv2d if case["kind"] == "conv" else F.conv_transpose2d

        def forward(x=x, w=w, apply=apply, case=case):
            return apply(x, w, stride=case["stride"], padding=case["pad"])

        with torch.no_grad():
            forward_seconds = harness.timed(forward, task["budget"])
            np.save(Path(task["folder"]) / f"{task['peer']}_{index}.npy", forward().numpy())
        y = forward()
        g = torch.ones_like(y)
        backward = harness.timed(
            lambda y=y, x=x, w=w, g=g: torch.autograd.grad(y, (x, w), g, retain_graph=True), task["budget"]
        )
        seconds.append([forward_seconds, backward])
    return {"seconds": seconds}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    print(json.dumps({"fcn32s": fcn32s, "layers": layers, "training": training}[task["work"]](task)))
