"""Worker: torch, eager (NCHW or channels_last) or compiled."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import harness
import numpy as np
import torch
import torch.nn.functional as F
from layers import CASES


def network(task, device="cpu", weights=None):
    """FCN-32s, 16s or 8s as a function of (weights, images), and its weights."""
    layout = torch.channels_last if task["peer"].endswith("channels_last") else torch.contiguous_format
    layers = harness.fcn32s_layers(task["width"], task["classes"])

    def there(array):
        tensor = torch.from_numpy(array).to(device)
        return tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor

    def scores(weights, x):
        y, pools = x.contiguous(memory_format=layout), {}
        for index, (name, _, pad) in enumerate(layers):
            y = F.conv2d(y, *weights[name], padding=pad)
            if name != "score_fr":
                y = F.relu_(y)
            if name.startswith("conv") and name[4] != layers[index + 1][0][4:5]:
                y = pools[f"pool{name[4]}"] = F.max_pool2d(y, 2, 2, ceil_mode=True)
        for up, stride, pool, offset in harness.SKIPS[task.get("net", "fcn32s")]:
            y = F.conv_transpose2d(y, weights[up][0], stride=stride)
            if pool is None:
                return y[:, :, offset : offset + x.shape[2], offset : offset + x.shape[3]]
            scored = F.conv2d(pools[pool], *weights[f"score_{pool}"])
            y = y + scored[:, :, offset : offset + y.shape[2], offset : offset + y.shape[3]]

    if weights is None:
        weights = harness.fcn32s_weights(task["width"], task["classes"])
    return scores, {name: [there(a) for a in arrays] for name, arrays in weights.items()}


def fcn32s(task):
    scores, weights = network(task)
    x = torch.from_numpy(harness.image(task["size"]))
    with torch.no_grad():
        seconds = harness.timed(lambda: scores(weights, x).contiguous(), task["budget"])
        np.save(Path(task["folder"]) / f"{task['peer']}.npy", scores(weights, x).numpy())
    return {"seconds": [seconds], "peak_mb": harness.peak_mb()}


def training(task):
    """Loss and gradients of all filters and biases but the upscore's."""
    scores, weights = network(task)
    layers = harness.fcn32s_layers(task["width"], task["classes"])
    learned = [a.requires_grad_() for name, _, _ in layers for a in weights[name]]
    x, truth = map(torch.from_numpy, harness.pair(task))
    truth = truth[:, 0].long()
    kept = {}

    def call():
        for a in learned:
            a.grad = None
        loss = F.cross_entropy(scores(weights, x), truth, ignore_index=255)
        loss.backward()
        kept["loss"] = loss.item()

    wall, processor = harness.timed_step(call, task["calls"])
    gradients = {name: weights[name][0].grad.numpy() for name, _, _ in layers}
    harness.save_step(task, task["peer"], kept["loss"], gradients)
    return {"seconds": [wall, processor], "peak_mb": harness.peak_mb()}


def networks(task):
    """Forward, and a training step with momentum, of one of the three FCNs."""
    scores, weights = network(task, weights=harness.fcn_weights(task["net"], task["width"], task["classes"]))
    x, truth = (torch.from_numpy(np.repeat(a, task["batch"], axis=0)) for a in harness.pair(task))
    with torch.no_grad():
        forward = harness.timed_step(lambda: scores(weights, x).contiguous(), task["calls"])
    fixed = {up for up, *_ in harness.SKIPS[task["net"]]}
    learned = [a.requires_grad_() for name, arrays in weights.items() if name not in fixed for a in arrays]
    optimizer = torch.optim.SGD(learned, lr=1e-4, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(scores(weights, x), truth[:, 0].long(), ignore_index=255).backward()
        optimizer.step()

    training = harness.timed_step(step, task["calls"])
    return {"seconds": [*forward, *training], "peak_mb": harness.peak_mb()}


def gpu(task):
    """See `gpu.py`. bfloat16 is autocast's: the weights stay float32, as ours do."""
    device = "cuda" if task["device"] == "gpu" else "cpu"
    torch.backends.cudnn.benchmark = True
    compiled = torch.compile if task["peer"].endswith("compile") else lambda function: function
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def served(call, set_precision):
        def run(n):
            set_precision()
            for _ in range(n):
                call()
            wait()

        result = call()
        return run, result.detach().cpu().numpy() if isinstance(result, torch.Tensor) else result

    def single(case, gradients, set_precision):
        x, w = (torch.from_numpy(a).to(device).requires_grad_(gradients) for a in harness.layer_arrays(case))
        apply = F.conv2d if case["kind"] == "conv" else F.conv_transpose2d
        call = partial(apply, x, w, stride=case["stride"], padding=case["pad"])
        if not gradients:
            return served(call, set_precision)
        y = call()
        g = torch.ones_like(y)
        return served(lambda: torch.autograd.grad(y, (w, x), g, retain_graph=True)[0], set_precision)

    def prepare(work, batch, precision, net="fcn32s"):
        def set_precision():
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

        set_precision()
        if work in ("layer", "gradients"):
            return single(CASES[int(batch)], work == "gradients", set_precision)
        filters = harness.fcn_weights(net, task["width"], task["classes"])
        scores, weights = network({**task, "net": net}, device, filters)
        x, truth = (torch.from_numpy(np.repeat(a, int(batch), axis=0)) for a in harness.pair(task))
        half = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=work == "step")
        if work == "step":
            fixed = {up for up, *_ in harness.SKIPS[net]}
            learned = [a.requires_grad_() for name, arrays in weights.items() if name not in fixed for a in arrays]
            optimizer = torch.optim.SGD(learned, lr=1e-9, momentum=0.9)
            loss_of = compiled(
                lambda x, truth: F.cross_entropy(scores(weights, x).float(), truth[:, 0].long(), ignore_index=255)
            )

            def call():
                optimizer.zero_grad(set_to_none=True)
                with half:
                    loss = loss_of(x.to(device), truth.to(device))
                loss.backward()
                optimizer.step()
                return loss.item()

        else:
            segment, there = compiled(lambda x: scores(weights, x).float().contiguous()), x.to(device)

            def call():
                with torch.no_grad(), half:
                    return segment(there) if work == "forward" else segment(x.to(device)).cpu().numpy()

        return served(call, set_precision)

    where = torch.cuda.get_device_name() if device == "cuda" else device
    harness.serve(task, f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()} on {where}", prepare)


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
    result = globals()[task["work"]](task)
    if result is not None:
        print(json.dumps(result))
