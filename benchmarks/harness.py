"""Runs the same work in several libraries, each in fresh processes, in turn, and compares.

A *peer* is a worker script and the Python that runs it. A worker reads one JSON object from the command line (the work,
the number of threads, a folder) and prints one JSON object in its last line: ``seconds`` (a list for each piece of
work), and for whole nets ``peak_mb``. Outputs are left as ``.npy`` files in the folder, for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
WORKERS = {
    "deconv_legacy": "ours.py",
    "deconv_legacy caffe": "ours.py",
    "deconv_legacy jax": "ours.py",
    "torch": "with_torch.py",
    "torch channels_last": "with_torch.py",
    "torch compile": "with_torch.py",
    "onnxruntime": "with_onnxruntime.py",
}


def parser(description: str, peers: str) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--peers", default=peers, help="names, separated by commas: " + ", ".join(WORKERS))
    result.add_argument("--peer-python", default=sys.executable, help="a Python that has torch and onnxruntime")
    result.add_argument("--threads", type=int, default=2)
    result.add_argument("--rounds", type=int, default=3, help="processes of each peer, in turn")
    result.add_argument("--json", type=Path, help="also write the figures to this file")
    return result


def run(peer: str, work: dict[str, Any], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One fresh process of one peer."""
    python = sys.executable if peer.startswith("deconv_legacy") else options.peer_python
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = str(options.threads)
    task = {**work, "peer": peer, "threads": options.threads, "folder": str(folder)}
    done = subprocess.run(
        [python, str(HERE / WORKERS[peer]), json.dumps(task)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def in_turn(work: dict[str, Any], options: argparse.Namespace) -> tuple[dict[str, list[dict[str, Any]]], Path]:
    """`options.rounds` times each peer, A B C A B C ...; their results, and the folder with their outputs."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark"))
    results: dict[str, list[dict[str, Any]]] = {peer: [] for peer in options.peers.split(",")}
    for _ in range(options.rounds):
        for peer, runs in results.items():
            runs.append(run(peer, work, options, folder))
    return results, folder


def sgemm_rate(threads: int) -> float:
    """GFLOP/s of scipy's sgemm on 2048x2048, in a process of its own."""
    code = (
        "import numpy, time, scipy.linalg.blas as b\n"
        "a = numpy.asfortranarray(numpy.random.rand(2048, 2048).astype('f'))\n"
        "def once():\n t = time.perf_counter(); b.sgemm(1, a, a); return time.perf_counter() - t\n"
        "once(); print(2 * 2048**3 / min(once() for _ in range(5)) / 1e9)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    return float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout)


def median(values: list[float]) -> float:
    return statistics.median(values)


def timed(function: Any, seconds: float = 1.0, least: int = 3) -> float:
    """Best time of a call: at least `least` calls, and as many as fit into `seconds`."""
    function()
    best, end, calls = float("inf"), time.perf_counter() + seconds, 0
    while calls < least or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
        calls += 1
    return best


def timed_step(step: Any, calls: int) -> tuple[float, float]:
    """Best wall and processor seconds of a call, after one that does not count."""
    step()
    wall, processor = [], []
    for _ in range(calls):
        start = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return min(wall), min(processor)


def serve(task: dict[str, Any], versions: str, prepare: Any) -> None:
    """Worker of `gpu.py`: answers each line of input, ``versions``, or ``make``, ``time`` or ``drop`` and a case.

    ``prepare(case)`` returns ``run(n)``, which makes n calls and waits for them, and a result to compare.
    """
    runs = {}
    for line in sys.stdin:
        order, _, case = line.strip().partition(" ")
        answer: Any = versions
        if order == "make":
            start = time.perf_counter()
            try:
                runs[case], result = prepare(*case.split("/"))
                np.save(Path(task["folder"]) / f"{task['peer']}_{case.replace('/', '_')}.npy", result)
                answer = time.perf_counter() - start
            except Exception as error:  # whatever it is, the other cases and peers go on, and the row says it
                answer = f"{type(error).__name__}: {error}"[:500]
        elif order == "time":
            answer = timed(lambda run=runs[case]: run(5), task["budget"]) / 5
        elif order == "drop":
            del runs[case]
        print(json.dumps({"answer": answer}), flush=True)


def peak_mb() -> float:
    """Peak memory of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


# The work


def fcn32s_layers(width: float = 1.0, classes: int = 21) -> list[tuple[str, tuple[int, ...], int]]:
    """Name, filter shape and pad of FCN-32s's convolutions; a pooling follows the last of each stage."""
    layers, channels = [], 3
    for stage, widths in enumerate(((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3), 1):
        for i, n in enumerate(widths, 1):
            n = round(n * width)
            layers.append((f"conv{stage}_{i}", (n, channels, 3, 3), 1 if layers else 100))
            channels = n
    wide = round(4096 * width)
    layers += [
        ("fc6", (wide, channels, 7, 7), 0),
        ("fc7", (wide, wide, 1, 1), 0),
        ("score_fr", (classes, wide, 1, 1), 0),
    ]
    return layers


def fcn32s_weights(width: float = 1.0, classes: int = 21) -> dict[str, list[np.ndarray]]:
    """Seeded weights that keep the scale of the activations, and a dense upscore."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape, _ in fcn32s_layers(width, classes):
        weights[name] = [_filters(rng, shape), rng.standard_normal(shape[0], dtype=np.float32) * np.float32(0.01)]
    weights["upscore"] = [rng.standard_normal((classes, classes, 64, 64), dtype=np.float32) * np.float32(0.01)]
    return weights


def _filters(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))


SKIPS = {  # net -> (upscore, stride, pooling that is scored and added, offset of its crop, or of the last crop)
    "fcn32s": [("upscore", 32, None, 19)],
    "fcn16s": [("upscore2", 2, "pool4", 5), ("upscore16", 16, None, 27)],
    "fcn8s": [("upscore2", 2, "pool4", 5), ("upscore_pool4", 2, "pool3", 9), ("upscore8", 8, None, 31)],
}


def fcn_weights(net: str, width: float, classes: int) -> dict[str, list[np.ndarray]]:
    """Those of FCN-32s, and what the skips of FCN-16s and 8s have besides."""
    weights, rng = fcn32s_weights(width, classes), np.random.default_rng(4)
    del weights["upscore"]
    channels = {"pool3": round(256 * width), "pool4": round(512 * width)}
    for up, stride, pool, _ in SKIPS[net]:
        weights[up] = [_filters(rng, (classes, classes, 2 * stride, 2 * stride))]
        if pool is not None:
            weights[f"score_{pool}"] = [_filters(rng, (classes, channels[pool], 1, 1)), np.zeros(classes, np.float32)]
    return weights


def labels(size: int, classes: int) -> np.ndarray:
    """(1, 1, size, size) of float32, a tenth of them 255."""
    rng = np.random.default_rng(3)
    found = rng.integers(0, classes, (1, 1, size, size))
    return np.where(rng.random(found.shape) < 0.1, 255, found).astype(np.float32)


def image(size: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, 3, size, size), dtype=np.float32)


def pair(task: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its labels."""
    return image(task["size"]), labels(task["size"], task["classes"])


def save_step(task: dict[str, Any], peer: str, loss: float, gradients: dict[str, np.ndarray]) -> None:
    """What two peers' training steps are compared by: the loss, and some numbers of each filter's gradient."""
    some = {name: gradient.ravel()[:: max(1, gradient.size // 10007)].copy() for name, gradient in gradients.items()}
    np.savez(Path(task["folder"]) / f"{peer}.npz", loss=loss, **some)


def layer_arrays(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Input and filters of a single-layer case; filters ``(out, in, k, k)``, of a deconvolution ``(in, out, k, k)``."""
    rng = np.random.default_rng(2)
    first, second = (case["out"], case["in"]) if case["kind"] == "conv" else (case["in"], case["out"])
    x = rng.standard_normal((case["batch"], case["in"], case["size"], case["size"]), dtype=np.float32)
    w = rng.standard_normal((first, second, case["kernel"], case["kernel"]), dtype=np.float32)
    return x, w * np.float32(1 / np.sqrt(case["in"] * case["kernel"] ** 2))
