"""The FCN nets as prototxts, written here by hand rules: at full width, or a fraction of it."""

from __future__ import annotations

OFFSETS = {"fcn32s": {"score": 19}, "fcn16s": {"score_pool4c": 5, "score": 27}, "fcn_alexnet": {"score": 18}}
OFFSETS["fcn8s"] = {"score_pool4c": 5, "score_pool3c": 9, "score": 31}

DEPLOY = 'layer { name: "input" type: "Input" top: "data" input_param { shape { dim: [1, 3, 500, 500] } } }\n'
# as net.py of the FCN repository writes it: shapes unknown until the layer runs
TRAIN = (
    'layer { name: "data" type: "Python" top: "data" top: "label" '
    'python_param { module: "voc_layers" layer: "VOCSegDataLayer" param_str: "{\'seed\': 1337}" } }\n'
)
LOSS = (
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" '
    "loss_param { ignore_label: 255 normalize: false } }\n"
)


class _Text:
    def __init__(self, divisor):
        self.lines, self.top, self.divisor = [], "data", divisor

    def add(self, name, kind, bottoms, rest=""):
        reads = " ".join(f'bottom: "{blob}"' for blob in bottoms)
        self.lines.append(f'layer {{ name: "{name}" type: "{kind}" {reads} top: "{name}" {rest} }}\n')
        return name

    def conv(self, name, outputs, kernel, pad=0, more=""):
        param = f"num_output: {outputs} kernel_size: {kernel} pad: {pad} {more}"
        self.top = self.add(name, "Convolution", [self.top], f"convolution_param {{ {param} }}")

    def relu(self, name):
        blob = f'bottom: "{self.top}" top: "{self.top}"'
        self.lines.append(f'layer {{ name: "{name}" type: "ReLU" {blob} }}\n')

    def pool(self, name, kernel=2):
        self.top = self.add(
            name, "Pooling", [self.top], f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: 2 }}"
        )

    def head(self, kernel, classes):
        for number, size in ((6, kernel), (7, 1)):
            self.conv(f"fc{number}", 4096 // self.divisor, size)
            self.relu(f"relu{number}")
            self.top = self.add(f"drop{number}", "Dropout", [self.top], "dropout_param { dropout_ratio: 0.5 }")
        self.conv("score_fr", classes, 1)

    def up(self, name, classes, kernel, stride):
        param = f"num_output: {classes} kernel_size: {kernel} stride: {stride} bias_term: false"
        self.top = self.add(name, "Deconvolution", [self.top], f"convolution_param {{ {param} }}")

    def crop(self, name, blob, like, offset):
        self.top = self.add(name, "Crop", [blob, like], f"crop_param {{ axis: 2 offset: {offset} }}")


def fcn(kind, divisor=1, *, train=False, pad=100, offsets=None, classes=21):
    """The text of "fcn32s", "fcn16s", "fcn8s" or "fcn_alexnet", with its channels divided by `divisor`."""
    offsets = {**OFFSETS[kind], **(offsets or {})}
    net = _Text(divisor)
    if kind == "fcn_alexnet":
        rows = ((96, 11, pad, "stride: 4"), (256, 5, 2, "group: 2"), (384, 3, 1, ""), (384, 3, 1, "group: 2"))
        for stage, (outputs, kernel, border, more) in enumerate((*rows, (256, 3, 1, "group: 2")), 1):
            net.conv(f"conv{stage}", outputs // divisor, kernel, border, more)
            net.relu(f"relu{stage}")
            if stage in (1, 2, 5):
                net.pool(f"pool{stage}", 3)
            if stage in (1, 2):
                net.top = net.add(f"norm{stage}", "LRN", [net.top], "lrn_param { local_size: 5 alpha: 1e-4 beta: .75 }")
        net.head(6, classes)
        net.up("upscore", classes, 63, 32)
        net.crop("score", "upscore", "data", offsets["score"])
    else:
        for stage, (outputs, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
            for index in range(1, count + 1):
                first = stage == index == 1
                net.conv(f"conv{stage}_{index}", outputs // divisor, 3, pad if first else 1)
                net.relu(f"relu{stage}_{index}")
            net.pool(f"pool{stage}")
        net.head(7, classes)
        stride = int(kind[3:-1])
        for pool, up in (("pool4", "upscore2"), ("pool3", "upscore_pool4"))[: {32: 0, 16: 1, 8: 2}[stride]]:
            net.up(up, classes, 4, 2)
            net.top = pool
            net.conv(f"score_{pool}", classes, 1)
            net.crop(f"score_{pool}c", f"score_{pool}", up, offsets[f"score_{pool}c"])
            net.top = net.add(f"fuse_{pool}", "Eltwise", [up, net.top], "eltwise_param { operation: SUM }")
        net.up("upscore", classes, 2 * stride, stride)
        net.crop("score", "upscore", "data", offsets["score"])
    return (TRAIN if train else DEPLOY) + "".join(net.lines) + (LOSS if train else "")
