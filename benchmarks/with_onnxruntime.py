"""Worker: ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import harness
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def fcn32s(task):
    layers = harness.fcn32s_layers(task["width"], task["classes"])
    nodes, top = [], "data"
    weights = harness.fcn32s_weights(task["width"], task["classes"])
    tensors = [
        numpy_helper.from_array(array, f"{name}_{i}")
        for name, arrays in weights.items()
        for i, array in enumerate(arrays)
    ]
    for index, (name, _, pad) in enumerate(layers):
        nodes.append(helper.make_node("Conv", [top, f"{name}_0", f"{name}_1"], [name], pads=[pad] * 4))
        top = name
        if name != "score_fr":
            nodes.append(helper.make_node("Relu", [top], [f"{name}_relu"]))
            top = f"{name}_relu"
        if name.startswith("conv") and name[4] != layers[index + 1][0][4:5]:
            pool = helper.make_node(
                "MaxPool", [top], [f"{name}_pool"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1
            )
            nodes.append(pool)
            top = f"{name}_pool"
    nodes.append(helper.make_node("ConvTranspose", [top, "upscore_0"], ["upscore"], strides=[32, 32]))
    size = task["size"]
    bounds = {"starts": [19, 19], "ends": [19 + size, 19 + size], "axes": [2, 3]}
    tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in bounds.items()]
    nodes.append(helper.make_node("Slice", ["upscore", "starts", "ends", "axes"], ["score"]))
    x = harness.image(size)
    graph = helper.make_graph(
        nodes,
        "fcn32s",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task["threads"]
    content = model.SerializeToString()
    del model, graph, tensors, weights
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    seconds = harness.timed(lambda: session.run(None, {"data": x}), task["budget"])
    np.save(Path(task["folder"]) / "onnxruntime.npy", session.run(None, {"data": x})[0])
    return {"seconds": [seconds], "peak_mb": harness.peak_mb()}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"fcn32s": fcn32s}[task["work"]](task)))
