"""Worker: deconv_legacy."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import harness
import numpy as np
from layers import CASES


def backend_of(task):
    return "jax" if task["peer"].endswith("jax") else None


def fcn32s(task):
    from deconv_legacy.networks import fcn32s

    net = fcn32s(n_classes=task["classes"], width=task["width"])
    net.load(harness.fcn32s_weights(task["width"], task["classes"]))
    segment = net.function(backend=backend_of(task))
    x = harness.image(task["size"])
    seconds = harness.timed(lambda: segment(x), task["budget"])
    np.save(Path(task["folder"]) / f"{task['peer']}.npy", segment(x))
    return {"seconds": [seconds], "peak_mb": harness.peak_mb()}


def training_caffe(task):
    """The same through pycaffe: a solver's step without its update."""
    from deconv_legacy import caffe
    from deconv_legacy.caffe import layers as L
    from deconv_legacy.caffe.coord_map import crop

    x, truth = harness.image(task["size"]), harness.labels(task["size"], task["classes"])
    n = caffe.NetSpec()
    n.data, n.label = L.Input(ntop=2, shape=[dict(dim=list(a.shape)) for a in (x, truth)])
    top, layers = n.data, harness.fcn32s_layers(task["width"], task["classes"])
    for index, (name, shape, pad) in enumerate(layers):
        n[name] = top = L.Convolution(top, num_output=shape[0], kernel_size=shape[2], pad=pad)
        if name != "score_fr":
            n[f"{name}_relu"] = top = L.ReLU(top, in_place=True)
        if name.startswith("conv") and name[4] != layers[index + 1][0][4:5]:
            n[f"{name}_pool"] = top = L.Pooling(top, kernel_size=2, stride=2)
    convolution = dict(num_output=task["classes"], kernel_size=64, stride=32, bias_term=False)
    n.upscore = L.Deconvolution(top, convolution_param=convolution, param=[dict(lr_mult=0)])
    n.score = crop(n.upscore, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(ignore_label=255))
    net = caffe.Net(n.to_proto(), caffe.TRAIN)
    for name, arrays in harness.fcn32s_weights(task["width"], task["classes"]).items():
        for blob, values in zip(net.params[name], arrays, strict=True):
            blob.data[...] = values
    net.blobs["data"].data[...], net.blobs["label"].data[...] = x, truth

    def call():
        net.clear_param_diffs()
        net._forward_backward()

    wall, processor = harness.timed_step(call, task["calls"])
    gradients = {name: net.params[name][0].diff for name, _, _ in layers}
    harness.save_step(task, task["peer"], net.blobs["loss"].data, gradients)
    return {"seconds": [wall, processor], "peak_mb": harness.peak_mb()}


def training(task):
    """Loss and gradients of all filters and biases but the upscore's, which FCN does not train."""
    if task["peer"].endswith("caffe"):
        return training_caffe(task)
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
        backend=backend_of(task),
        progress=False,
    )
    x, truth = harness.image(task["size"]), harness.labels(task["size"], task["classes"])
    kept = {}

    def call():
        kept["results"] = None  # as torch's gradients are cleared
        kept["results"] = step(x, truth)

    wall, processor = harness.timed_step(call, task["calls"])
    harness.save_step(task, task["peer"], kept["results"][0], dict(zip(names, kept["results"][1::2], strict=True)))
    return {"seconds": [wall, processor], "peak_mb": harness.peak_mb()}


def layer_graph(case):
    """Variables for a single layer's input, filters and output gradient, and its output."""
    from deconv_legacy import engine

    x, w, g = (engine.aesara.tensor.tensor4(name, dtype="float32") for name in "xwg")
    options = {"stride": case["stride"], "border_mode": case["pad"]}
    if case["kind"] == "conv":
        return x, w, g, engine.conv(x, w, **options)
    size = [(case["size"] - 1) * case["stride"] + case["kernel"] - 2 * case["pad"]] * 2
    return x, w, g, engine.conv_input_gradient(w, x, size, **options)


def layers(task):
    from deconv_legacy import engine

    seconds = []
    for index, case in enumerate(task["cases"]):
        values, filters = harness.layer_arrays(case)
        x, w, g, y = layer_graph(case)
        backend = backend_of(task)
        forward = engine.compile([x, w], y, backend=backend, progress=False)
        backward = engine.compile(
            [x, w, g], engine.aesara.grad(None, [x, w], known_grads={y: g}), backend=backend, progress=False
        )
        result = forward(values, filters)
        np.save(Path(task["folder"]) / f"{task['peer']}_{index}.npy", result)
        gradient = np.ones_like(result)
        seconds.append(
            [
                harness.timed(partial(forward, values, filters), task["budget"]),
                harness.timed(partial(backward, values, filters, gradient), task["budget"]),
            ]
        )
    return {"seconds": seconds}


def networks(task):
    """Forward, and a whole training step that changes the parameters, of one of the three FCNs."""
    from deconv_legacy import networks as nets
    from deconv_legacy.layers import InputLayer, Network, SoftmaxLossLayer
    from deconv_legacy.training import momentum, training_function

    net = getattr(nets, task["net"])(n_classes=task["classes"], width=task["width"], rng=0)
    image = np.repeat(harness.image(task["size"]), task["batch"], axis=0)
    truth = np.repeat(harness.labels(task["size"], task["classes"]), task["batch"], axis=0)
    segment = net.function(backend=backend_of(task))
    forward = harness.timed_step(lambda: segment(image), task["calls"])
    label = InputLayer((None, 1, None, None), name="label")
    loss = Network([SoftmaxLossLayer(net["score"], label, ignore_label=255)])
    step = training_function(loss, partial(momentum, learning_rate=1e-4), backend=backend_of(task), progress=False)
    training = harness.timed_step(lambda: step(image, truth), task["calls"])
    return {"seconds": [*forward, *training], "peak_mb": harness.peak_mb()}


def gpu(task):
    """See `gpu.py`."""
    import jax

    import deconv_legacy
    from deconv_legacy import networks as nets
    from deconv_legacy.engine import aesara
    from deconv_legacy.layers import InputLayer, Network, SoftmaxLossLayer
    from deconv_legacy.training import momentum, training_function

    device = task["device"]
    put = partial(jax.device_put, device=jax.devices(device)[0])

    def served(call):
        return (lambda n: jax.block_until_ready([call() for _ in range(n)][-1])), np.asarray(call())

    def single(case, gradients, precision):
        values, filters = harness.layer_arrays(case)
        x, w, g, y = layer_graph(case)
        outputs = aesara.grad(None, [w, x], known_grads={y: g}) if gradients else [y]
        inputs = [x, w, g] if gradients else [x, w]
        function, _ = deconv_legacy.as_jax(inputs, outputs, precision=precision, device=device)
        size = [(case["size"] - 1) * case["stride"] + case["kernel"] - 2 * case["pad"]] * 2
        if case["kind"] == "conv":
            size = [(case["size"] + 2 * case["pad"] - case["kernel"]) // case["stride"] + 1] * 2
        arrays = [put(a) for a in (values, filters, np.ones((case["batch"], case["out"], *size), "float32"))]
        function, arrays = partial(jax.jit(function), {}), arrays[: len(inputs)]
        return served(lambda: function(*arrays)[0])

    def prepare(work, batch, precision, which="fcn32s"):
        if work in ("layer", "gradients"):
            return single(CASES[int(batch)], work == "gradients", precision)
        net = getattr(nets, which)(n_classes=task["classes"], width=task["width"])
        net.load(harness.fcn_weights(which, task["width"], task["classes"]))
        x, truth = (np.repeat(a, int(batch), axis=0) for a in harness.pair(task))
        backend = f"jax:{device}:{precision}"
        if work == "forward":
            function, params = deconv_legacy.as_jax(
                net.input_variables, net["score"].output, precision=precision, device=device
            )
            segment, there = jax.jit(function), put(x)
            call = partial(segment, params, there)
        elif work == "call":
            segment = net.function(backend=backend)
            call = partial(segment, x)
        else:
            label = InputLayer((None, 1, None, None), name="label")
            loss = Network([SoftmaxLossLayer(net["score"], label, ignore_label=255)])
            step = training_function(loss, partial(momentum, learning_rate=1e-9), backend=backend, progress=False)
            call = partial(step, x, truth)
        return served(call)

    harness.serve(task, f"jax {jax.__version__} on {jax.devices(device)[0].device_kind}", prepare)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    result = globals()[task["work"]](task)
    if result is not None:
        print(json.dumps(result))
