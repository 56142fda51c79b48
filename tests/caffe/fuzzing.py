"""Mutated nets and weights: `test_fuzz` tries a few thousand, ``python tests/caffe/fuzzing.py N`` any number.

Every one must end in a DeconvLegacyError or in a valid result.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from deconv_legacy import caffe
from deconv_legacy.caffe import _state, build_net, parse_net, parse_solver, read_layers
from deconv_legacy.caffe.caffemodel import read_mean, read_model_net, read_solverstate
from deconv_legacy.caffe.convert import read_any_weights
from deconv_legacy.errors import DeconvLegacyError

DATA = Path(__file__).parents[1] / "data" / "caffe"

MANY = """name: "many"
input: "data" input_dim: [1, 3, 12, 10]
layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { lr_mult: 1 name: "w" } param { lr_mult: 2 }
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 1 dilation: 1 group: 1
                            weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" } layer { name: "sc" type: "Scale" bottom: "c" top: "c" }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 3 alpha: 1e-4 } }
layer { name: "u" type: "Deconvolution" bottom: "n" top: "u"
        convolution_param { num_output: 4 kernel_h: 4 kernel_w: 4 stride: 2 group: 4 bias_term: false } }
layer { name: "k" type: "Crop" bottom: "u" bottom: "c" top: "k" crop_param { axis: 2 offset: 1 } }
layer { name: "s" type: "Slice" bottom: "k" top: "s1" top: "s2" slice_param { axis: 1 slice_point: 1 } }
layer { name: "j" type: "Concat" bottom: "s1" bottom: "s2" top: "j" concat_param { axis: 1 } }
layer { name: "e" type: "Eltwise" bottom: "j" bottom: "k" top: "e" eltwise_param { operation: SUM coeff: [1, -1] } }
layer { name: "t" type: "Tile" bottom: "e" top: "t" tile_param { axis: 1 tiles: 2 } }
layer { name: "v" type: "Reshape" bottom: "t" top: "v" reshape_param { shape { dim: [0, -1, 4] } } }
layer { name: "f" type: "InnerProduct" bottom: "v" top: "f" inner_product_param { num_output: 5 axis: 1 } }
layer { name: "a" type: "ArgMax" bottom: "f" top: "a" argmax_param { top_k: 2 } }
layer { name: "m" type: "Reduction" bottom: "e" top: "m" reduction_param { axis: 1 coeff: 2 } }
layer { name: "o" type: "Softmax" bottom: "f" top: "o" include { phase: TEST } }
"""

NUMBERS = ["0", "-1", "1", "2", "7", "255", "65536", "2147483647", "4294967295", "-2147483648", "9223372036854775807",
           "1e30", "-0.5", "nan", "inf", "1" * 40, "0x7fffffff", "true", "MAX", '"2"']  # fmt: skip


def texts():
    nets = [path.read_text() for path in sorted(DATA.glob("layers/*/net.prototxt"))]
    return [MANY] * 8 + [(DATA / "legacy/v1_small/v1.prototxt").read_text(), *nets]


def mutated_text(rng, text):
    """The text with one to three things changed; often numbers only, so that it still is a net."""
    kinds = [8] if rng.random() < 0.5 else range(9)
    for _ in range(int(rng.integers(1, 4))):
        kind, at = rng.choice(kinds), int(rng.integers(max(len(text), 1)))
        words = list(re.finditer(r"\w+|[{}:\[\]\"]", text))
        if not words:
            return text
        word, other = (words[int(rng.integers(len(words)))] for _ in range(2))
        if kind == 0:
            text = text[:at]
        elif kind == 1:
            text = (
                text[:at] + chr(int(rng.choice([0, 10, 34, 39, 92, 123, 125, 233, 0x4E00, 0xDC80, 45, 58]))) + text[at:]
            )
        elif kind == 2:
            text = text[:at] + text[at + int(rng.integers(1, 30)) :]
        elif kind == 3:  # a word for another
            text = text[: word.start()] + other.group() + text[word.end() :]
        elif kind == 4:  # a word less
            text = text[: word.start()] + text[word.end() :]
        elif kind == 5:  # lines twice, or elsewhere
            lines = text.split("\n")
            line = lines[int(rng.integers(len(lines)))]
            lines.insert(int(rng.integers(len(lines) + 1)), line)
            text = "\n".join(lines)
        else:  # most often a number
            found = list(re.finditer(r"(?<=[ \[])-?\d[\w.+-]*", text))
            if found:
                number = found[int(rng.integers(len(found)))]
                text = text[: number.start()] + str(rng.choice(NUMBERS)) + text[number.end() :]
    return text


def mutated_bytes(rng, raw):
    raw = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        kind, at = rng.integers(6), int(rng.integers(max(len(raw), 1)))
        # what says sizes and names lies at the front, mostly
        at = at % 400 if rng.random() < 0.5 else at
        if not raw:
            break
        at = min(at, len(raw) - 1)
        if kind == 0:
            del raw[at:]
        elif kind == 1:
            raw[at] = int(rng.integers(256))
        elif kind == 2:
            raw[at] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            del raw[at : at + int(rng.integers(1, 12))]
        elif kind == 4:
            raw[at:at] = rng.integers(0, 256, int(rng.integers(1, 8)), np.uint8).tobytes()
        else:
            raw[at : at + 5] = b"\xff\xff\xff\xff\x7f"
    return bytes(raw)


def try_text(rng, text, forward):
    phase = int(rng.integers(2))
    net = parse_net(text, allow_unknown=bool(rng.integers(2)))
    str(net)
    if rng.random() < 0.5:
        build_net(net, phase, free=False)
        return
    made = caffe.Net(net, phase)
    if rng.random() < forward and sum(blob.count for blob in made.blobs.values()) < 10**6:
        made.forward()


def try_solver(rng, text):
    parse_solver(text)


def try_file(path):
    """All readers on the bytes of a file; the first refusal ends it."""
    for layer in read_layers(path):
        for blob in layer.blobs:
            if blob is not None:
                float(np.asarray(blob.data).sum(dtype=np.float64))
    read_model_net(path, allow_unknown=True)
    read_any_weights(path)


SOLVER = 'net: "x" base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 10 max_iter: 100 test_iter: 3 solver_type: ADAM'


def run(count, seed, seconds=0, forward=0.0):
    """Try `count` mutated inputs, and a share of the nets that build forward: how many ended how.

    An ending that may not be raises AssertionError; the input is kept in a file.
    """
    rng, ends = np.random.default_rng(seed), Counter()
    sources = texts()
    models = sorted(DATA.glob("**/*.caffemodel"), key=lambda path: path.stat().st_size)[:20]
    models = [path.read_bytes() for path in models]
    states = [path.read_bytes() for path in sorted(DATA.glob("solver/*/*.solverstate"))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        file = Path(folder) / "mutated.bin"
        for number in range(count):
            which = rng.random()
            if which < 0.55:
                what, text = "text", mutated_text(rng, sources[int(rng.integers(len(sources)))])
                call = lambda text=text: try_text(rng, text, forward)  # noqa: E731
            elif which < 0.6:
                what, text = "solver", mutated_text(rng, SOLVER)
                call = lambda text=text: try_solver(rng, text)  # noqa: E731
            else:
                raw = models[int(rng.integers(len(models)))] if which < 0.95 or not states else states[0]
                what, text = "file", mutated_bytes(rng, raw)
                file.unlink(missing_ok=True)
                file.write_bytes(text)
                reader = try_file if which < 0.95 else read_solverstate if which < 0.98 else read_mean
                call = lambda reader=reader: reader(file)  # noqa: E731
            try:
                with _alarm(seconds):
                    call()
                ends[what, "valid"] += 1
            except DeconvLegacyError as error:
                assert str(error).strip(), "an error without words"
                if what == "file":
                    assert str(file) in str(error), f"the error does not name the file: {error}"
                ends[what, type(error).__name__] += 1
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                where = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{number}"
                where.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
                raise AssertionError(f"{type(error).__name__}: {error} from the {what} in {where}") from error
    return ends


@contextlib.contextmanager
def _alarm(seconds):
    def ring(*_):
        raise TimeoutError(f"no end after {seconds} s")

    if seconds:
        signal.signal(signal.SIGALRM, ring)
        signal.alarm(seconds)
    try:
        yield
    finally:
        if seconds:
            signal.alarm(0)


if __name__ == "__main__":
    import resource

    _state.set_backend("numpy")
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    total, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found, ends = 0, Counter()
    for seed in range(start, start + (total + 199) // 200):
        try:
            ends += run(200, seed, seconds=60, forward=0.1)
        except AssertionError as error:
            found += 1
            print(f"seed {seed}: {str(error)[:600]}", flush=True)
    print(found, "failures;", dict(ends))
