"""FCN-32s, 16s and 8s at 500x500 on a GPU beside torch and cuDNN: forward and a training step with momentum, in
float32, TF32 and bfloat16, by batch. One process for each peer. Case by case, one peer after another compiles it, and
then they are timed in turn; each row is printed and written at once, so that a run that ends early leaves what it had.

    python benchmarks/gpu.py --json results/gpu.json

A case is ``WORK/BATCH/PRECISION``, or ``WORK/BATCH/PRECISION/NET`` for another net than fcn32s: ``forward`` from an
array on the device to one there; ``call`` from a NumPy array to a NumPy array; ``step`` from NumPy arrays to the loss.
Or it is ``layer/NUMBER/PRECISION`` or ``gradients/NUMBER/PRECISION``, one of the layers of `layers.py`, on the device.
With --device cpu it runs without a GPU, to try it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
import layers
import numpy as np

PRECISIONS = ("float32", "tf32", "bfloat16")
CASES = [
    *(f"forward/{batch}/{precision}" for precision in PRECISIONS for batch in (1, 8)),
    *(f"step/1/{precision}" for precision in PRECISIONS),
    "call/1/float32",
    *(f"{work}/1/tf32/{net}" for net in ("fcn16s", "fcn8s") for work in ("forward", "step")),
    *(f"{work}/{i}/float32" for i in range(len(layers.CASES)) for work in ("layer", "gradients")),
]


def main() -> None:
    parser = harness.parser(__doc__.splitlines()[0], "deconv_legacy jax,torch,torch channels_last,torch compile")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument(
        "--only", action="append", default=[], metavar="PEER=CASES", help="cases of one peer, where it runs not all"
    )
    parser.add_argument("--device", default="gpu", choices=("gpu", "cpu"))
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--budget", type=float, default=0.3, help="seconds of calls for each figure")
    options = parser.parse_args()
    folder, cases, peers = Path(tempfile.mkdtemp()), options.cases.split(","), options.peers.split(",")
    work = {key: getattr(options, key) for key in ("size", "width", "classes", "device", "threads", "budget")}
    task = {**work, "work": "gpu", "folder": str(folder)}
    only = {peer: chosen.split(",") for peer, chosen in (text.split("=") for text in options.only)}
    workers = {peer: start(peer, {**task, "peer": peer}, options) for peer in peers}
    rows = []
    print(f"{'case':40s}" + "".join(f"{peer:>24s}" for peer in peers) + "   ms, and ours / it; largest difference")
    try:
        versions = {peer: ask(worker, "versions") for peer, worker in workers.items()}
        print(*versions.values(), sep="; ", flush=True)
        for case in cases:
            chosen = {peer: worker for peer, worker in workers.items() if case in only.get(peer, cases)}
            rows.append(measure(case, chosen, peers, options.rounds, folder))
            if options.json:
                report = {"options": work, "versions": versions, "rows": rows}
                options.json.write_text(json.dumps(report, indent=1))
    finally:
        for worker in workers.values():
            worker.kill()


def start(peer: str, task: dict[str, Any], options: Any) -> subprocess.Popen:
    python = sys.executable if peer.startswith("deconv_legacy") else options.peer_python
    command = [python, str(harness.HERE / harness.WORKERS[peer]), json.dumps(task)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker: subprocess.Popen, order: str) -> Any:
    """What the worker says to an order: a line of JSON, whatever else it prints before."""
    assert worker.stdin is not None and worker.stdout is not None
    print(order, file=worker.stdin, flush=True)
    for line in worker.stdout:
        if line.startswith("{"):
            return json.loads(line)["answer"]
        print(line, end="", file=sys.stderr)
    raise SystemExit(f"a worker ended with status {worker.wait()}")


def measure(
    case: str, workers: dict[str, subprocess.Popen], peers: list[str], rounds: int, folder: Path
) -> dict[str, Any]:
    """One row: milliseconds of a call, seconds until the first was done, and the difference to ours."""
    made = {peer: ask(worker, f"make {case}") for peer, worker in workers.items()}
    ready = {peer: worker for peer, worker in workers.items() if isinstance(made[peer], float)}
    seconds: dict[str, list[float]] = {peer: [] for peer in ready}
    for _ in range(rounds):
        for peer, worker in ready.items():
            seconds[peer].append(ask(worker, f"time {case}"))
    for worker in ready.values():
        ask(worker, f"drop {case}")
    best = {peer: min(values) for peer, values in seconds.items()}
    work, number, precision = case.split("/")[:3]
    name = case
    if work in ("layer", "gradients"):
        name = f"{layers.CASES[int(number)]['name']} {work} {precision}"
    difference = {}
    first, text = peers[0], f"{name:40s}"
    for peer in peers:
        ratio = f"{best[first] / best[peer]:7.2f}" if peer in best and first in best else " " * 7
        text += f"{1e3 * best[peer]:17.2f}{ratio}" if peer in best else f"{'-':>24s}"
    for peer in peers[1:]:
        if peer in best and first in best:
            a, b = (np.load(folder / f"{name}_{case.replace('/', '_')}.npy") for name in (first, peer))
            difference[peer] = float(np.abs(a - b).max() / np.abs(b).max())
            text += f"   {difference[peer]:.1e}"
    print(text, *(f"{peer}: {why}" for peer, why in made.items() if peer not in ready), flush=True)
    ms = {peer: 1e3 * value for peer, value in best.items()}
    return {"case": name, "ms": ms, "made_s": made, "difference": difference}


if __name__ == "__main__":
    main()
