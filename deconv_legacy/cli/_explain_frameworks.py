"""One deconvolution in the words of each framework, and whether the framework, where it is installed, agrees."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconv_legacy import geometry, reference
from deconv_legacy.errors import SizeError

__all__ = ["FRAMEWORKS", "Call", "check", "translate"]

IN, OUT = 3, 2
"""Channels of the layer that is tried."""


@dataclass(frozen=True)
class Call:
    """A deconvolution of one kernel, stride, ... for both axes.

    Attributes
    ----------
    n, size
        Sizes of the input and of the output.
    before, after
        Pads of the forward convolution.
    """

    n: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    size: int

    @property
    def smallest(self) -> int:
        rule = (self.kernel, self.stride, (self.before, self.after), self.dilation)
        size = geometry.deconv_output_size(self.n, *rule)
        assert size is not None
        return size

    @property
    def extra(self) -> int:
        """What other frameworks call output_padding."""
        return self.size - self.smallest

    @property
    def even(self) -> bool:
        return self.before == self.after

    def is_same(self) -> bool:
        """Whether TensorFlow's SAME means these pads at this size."""
        try:
            same = geometry.resolve_pads("same", self.size, self.kernel, self.stride, self.dilation)
            smaller = geometry.conv_output_size(self.size, self.kernel, self.stride, "same", self.dilation)
        except SizeError:
            return False
        return same == (self.before, self.after) and smaller == self.n

    def is_valid(self) -> bool:
        return (self.before, self.after) == (0, 0)


def _cut(call: Call) -> str:
    """What is left to do where a framework has no such pads: an unpadded deconvolution, cropped."""
    end = call.before + call.size
    full = geometry.deconv_output_size(call.n, call.kernel, call.stride, 0, call.dilation)
    zeros = f" of {end} cells, zeros behind its {full}," if full is not None and full < end else ""
    return f"[{call.before}:{end}]{zeros} on both spatial axes"


def _ours(c: Call) -> str:
    pads = c.before if c.even else [(c.before, c.after)] * 2
    return (
        f"DeconvolutionLayer(x, (in, out, {c.kernel}, {c.kernel}), {c.stride}, {pads}"
        + (f", output_size={c.size}" if c.extra else "")
        + (f", dilation={c.dilation}" if c.dilation > 1 else "")
        + ")"
    )


def _theano(c: Call) -> str:
    if not c.even:
        return f"border_mode takes no pads ({c.before}, {c.after}); use input_shape of the padded size, then {_cut(c)}"
    return (
        f"conv2d_grad_wrt_inputs(x, W, input_shape=(N, out, {c.size}, {c.size}), "
        f"filter_shape=(in, out, {c.kernel}, {c.kernel}), border_mode=({c.before}, {c.before}), "
        f"subsample=({c.stride}, {c.stride})"
        + (f", filter_dilation=({c.dilation}, {c.dilation})" if c.dilation > 1 else "")
        + ")"
    )


def _lasagne(c: Call) -> str:
    if c.dilation > 1 or not c.even:
        return "TransposedConv2DLayer has neither dilation nor pads that differ"
    size = f", output_size={c.size}" if c.extra else ""
    return f"TransposedConv2DLayer(x, out, {c.kernel}, {c.stride}, crop={c.before}{size})"


def _caffe(c: Call) -> str:
    if not c.even:
        return f"Deconvolution without pad, then Crop to {c.size} with offset {c.before}"
    if c.extra:
        return f"Deconvolution without pad, then Crop to {c.size} with offset {c.before} (pad gives {c.smallest} only)"
    dilation = f" dilation: {c.dilation}" if c.dilation > 1 else ""
    return (
        f"convolution_param {{ num_output: out kernel_size: {c.kernel} stride: {c.stride} pad: {c.before}{dilation} }}"
    )


def _torch(c: Call) -> str:
    if not c.even or c.extra >= max(c.stride, c.dilation):
        return f"ConvTranspose2d(in, out, {c.kernel}, {c.stride}), then {_cut(c)}"
    more = (f", output_padding={c.extra}" if c.extra else "") + (f", dilation={c.dilation}" if c.dilation > 1 else "")
    return f"ConvTranspose2d(in, out, {c.kernel}, {c.stride}, padding={c.before}{more})"


def _tf(c: Call) -> str:
    if c.dilation > 1:
        return "tf.nn.conv2d_transpose of TF 1 has no dilations"
    padding = '"SAME"' if c.is_same() else '"VALID"' if c.is_valid() else None
    if padding is None:
        pair = f"[{c.before}, {c.after}]"
        padding = f"[[0, 0], {pair}, {pair}, [0, 0]]"
    return (
        f"tf.nn.conv2d_transpose(x, W, output_shape=[N, {c.size}, {c.size}, out], "
        f"strides=[1, {c.stride}, {c.stride}, 1], padding={padding})"
    )


def _keras(c: Call) -> str:
    dilation = f", dilation_rate={c.dilation}" if c.dilation > 1 else ""
    for padding, fits in (("same", c.is_same()), ("valid", c.is_valid())):
        if not fits:
            continue
        rule = (c.n, c.kernel, c.stride, padding, c.dilation)
        if geometry.deconv_default_size(*rule, convention="tf") == c.size:
            return f'Conv2DTranspose(out, {c.kernel}, {c.stride}, padding="{padding}"{dilation})'
        for extra in range(c.stride):
            with contextlib.suppress(SizeError):
                if geometry.deconv_default_size(*rule, convention="keras", output_padding=extra) == c.size:
                    more = f", output_padding={extra}{dilation}"
                    return f'Conv2DTranspose(out, {c.kernel}, {c.stride}, padding="{padding}"{more})'
    return f'Conv2DTranspose(out, {c.kernel}, {c.stride}, padding="valid"{dilation}), then {_cut(c)}'


def _onnx(c: Call) -> str:
    return (
        f"ConvTranspose(kernel_shape=[{c.kernel}, {c.kernel}], strides=[{c.stride}, {c.stride}], "
        f"pads=[{c.before}, {c.before}, {c.after}, {c.after}], output_padding=[{c.extra}, {c.extra}]"
        + (f", dilations=[{c.dilation}, {c.dilation}]" if c.dilation > 1 else "")
        + ")"
    )


FRAMEWORKS: dict[str, tuple[Callable[[Call], str], str, str]] = {
    "ours": (_ours, "(in, out / groups, rows, columns)", "True: convolves, False: correlates"),
    "theano": (_theano, "(in, out, rows, columns)", "convolves"),
    "lasagne": (_lasagne, "(in, out, rows, columns)", "correlates unless flip_filters"),
    "caffe": (_caffe, "(in, out / group, rows, columns)", "correlates"),
    "torch": (_torch, "(in, out / groups, rows, columns)", "correlates"),
    "tf": (_tf, "(rows, columns, out, in)", "correlates"),
    "keras": (_keras, "(rows, columns, out, in)", "correlates"),
    "onnx": (_onnx, "(in, out / group, rows, columns)", "correlates"),
}
"""Name -> its call, the layout of its filters, and what its forward convolution does with them."""


def translate(call: Call) -> list[dict[str, str]]:
    """The call in every framework.

    >>> translate(Call(4, 3, 2, 1, 1, 1, 8))[4]["call"]
    'ConvTranspose2d(in, out, 3, 2, padding=1, output_padding=1)'
    """
    return [
        {"framework": name, "call": words(call), "filters": layout, "convention": flip}
        for name, (words, layout, flip) in FRAMEWORKS.items()
    ]


def check(name: str, call: Call) -> dict[str, Any]:
    """Run the call of a framework on random numbers and compare it with the reference; ``error`` None where the
    framework is not installed or cannot be called so."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, IN, call.n, call.n)).astype("float32")
    w = rng.standard_normal((IN, OUT, call.kernel, call.kernel)).astype("float32")
    pads = (call.before, call.after)
    wanted = reference.conv_input_grad(w, x, [call.size] * 2, call.stride, [pads] * 2, call.dilation)
    if name not in _RUN:
        return {"framework": name, "error": None, "note": "cannot be run from here"}
    try:
        version, made = _RUN[name](call, x, w)
    except ImportError as error:
        return {"framework": name, "error": None, "note": f"{error.name or name} is not installed: not checked"}
    if made.shape != wanted.shape:
        return {"framework": name, "error": float("inf"), "note": f"{version} gives {made.shape}, not {wanted.shape}"}
    return {"framework": name, "error": float(np.abs(made - wanted).max() / np.abs(wanted).max()), "note": version}


def _library(name: str) -> Any:
    """A framework to compare with: never needed, asked when it is there."""
    return importlib.import_module(name)


def _run_ours(c: Call, x: np.ndarray, w: np.ndarray) -> tuple[str, np.ndarray]:
    from deconv_legacy import __version__, engine
    from deconv_legacy.layers import DeconvolutionLayer, InputLayer

    data = InputLayer(x.shape)
    pads = [(c.before, c.after)] * 2
    options: dict[str, Any] = {"output_size": c.size, "dilation": c.dilation, "filter_flip": False, "W": w}
    layer = DeconvolutionLayer(data, w.shape, c.stride, pads, **options)
    return f"deconv_legacy {__version__}", engine.compile([data.output], layer.output, backend="numpy")(x)


def _run_torch(c: Call, x: np.ndarray, w: np.ndarray) -> tuple[str, np.ndarray]:
    torch = _library("torch")
    arrays, options = (torch.from_numpy(x), torch.from_numpy(w)), {"stride": c.stride, "dilation": c.dilation}
    function = torch.nn.functional.conv_transpose2d
    if c.even and c.extra < max(c.stride, c.dilation):
        y = function(*arrays, padding=c.before, output_padding=c.extra, **options).numpy()
    else:
        y = _cropped(c, function(*arrays, **options).numpy())
    return f"torch {torch.__version__}", y


def _cropped(c: Call, y: np.ndarray) -> np.ndarray:
    """Of an unpadded result the cells that are wanted, zeros where there are none."""
    missing = max(c.before + c.size - y.shape[2], 0)
    y = np.pad(y, [(0, 0), (0, 0), (0, missing), (0, missing)])
    return y[:, :, c.before : c.before + c.size, c.before : c.before + c.size]


def _run_tf(c: Call, x: np.ndarray, w: np.ndarray) -> tuple[str, np.ndarray]:
    tf = _library("tensorflow")
    padding: Any = "SAME" if c.is_same() else "VALID" if c.is_valid() else None
    padding = [[0, 0], *[[c.before, c.after]] * 2, [0, 0]] if padding is None else padding
    y = tf.nn.conv2d_transpose(
        x.transpose(0, 2, 3, 1),
        w.transpose(2, 3, 1, 0),
        output_shape=[1, c.size, c.size, OUT],
        strides=[1, c.stride, c.stride, 1],
        padding=padding,
        **({"dilations": c.dilation} if c.dilation > 1 else {}),
    )
    return f"TensorFlow {tf.__version__}", np.asarray(y).transpose(0, 3, 1, 2)


def _run_keras(c: Call, x: np.ndarray, w: np.ndarray) -> tuple[str, np.ndarray]:
    keras = _library("keras")
    words = _keras(c)
    padding = "same" if '"same"' in words else "valid"
    extra = re.search(r"output_padding=(\d+)", words)
    options: dict[str, Any] = {
        "padding": padding,
        "dilation_rate": c.dilation,
        "use_bias": False,
        "data_format": "channels_last",
    }
    options["output_padding"] = int(extra[1]) if extra else None
    layer = keras.layers.Conv2DTranspose(OUT, c.kernel, c.stride, **options)
    layer.build((1, c.n, c.n, IN))
    layer.set_weights([w.transpose(2, 3, 1, 0)])
    y = np.asarray(layer(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    return f"Keras {keras.__version__}", _cropped(c, y) if "then" in words else y


def _run_onnx(c: Call, x: np.ndarray, w: np.ndarray) -> tuple[str, np.ndarray]:
    runtime = _library("onnxruntime")
    helper = _library("onnx.helper")
    floats = 1  # onnx.TensorProto.FLOAT
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        kernel_shape=[c.kernel] * 2,
        strides=[c.stride] * 2,
        dilations=[c.dilation] * 2,
        pads=[c.before, c.before, c.after, c.after],
        output_padding=[c.extra] * 2,
    )
    ends = [helper.make_tensor_value_info(n, floats, s) for n, s in (("x", x.shape), ("w", w.shape), ("y", [None] * 4))]
    graph = helper.make_graph([node], "deconvolution", ends[:2], ends[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return f"onnxruntime {runtime.__version__}", session.run(None, {"x": x, "w": w})[0]


_RUN: dict[str, Callable[[Call, np.ndarray, np.ndarray], tuple[str, np.ndarray]]] = {
    "ours": _run_ours,
    "torch": _run_torch,
    "tf": _run_tf,
    "keras": _run_keras,
    "onnx": _run_onnx,
}
