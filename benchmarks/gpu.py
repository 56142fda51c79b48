"""FCN-32s at 500x500 on a GPU beside torch and cuDNN: forward and a training step with momentum, in float32, TF32 and
bfloat16, by batch. One process for each peer; one after another they compile, and then they are timed in turn.

    python benchmarks/gpu.py --json results/gpu.json

A case is ``WORK/BATCH/PRECISION``: ``forward`` from an array on the device to one there; ``call`` from a NumPy array to
a NumPy array; ``step`` from NumPy arrays to the loss; or ``layer/NUMBER/PRECISION`` and ``gradients/NUMBER/PRECISION``,
one of the layers of `layers.py`, on the device. With --device cpu it runs without a GPU, to try it.
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
    parser.add_argument("--patience", type=float, default=600, help="seconds after which a peer makes no more cases")
    options = parser.parse_args()
    folder, cases, peers = Path(tempfile.mkdtemp()), options.cases.split(","), options.peers.split(",")
    work = {
        key: getattr(options, key) for key in ("size", "width", "classes", "device", "threads", "budget", "patience")
    }
    task = {**work, "work": "gpu", "cases": cases, "folder": str(folder)}
    only = {peer: chosen.split(",") for peer, chosen in (text.split("=") for text in options.only)}
    workers: dict[str, subprocess.Popen] = {}
    failed = {}
    try:
        for peer in peers:
            chosen = only.get(peer, cases)
            workers[peer] = start(peer, {**task, "peer": peer, "cases": chosen}, options)
            ready = answer(workers[peer])
            failed[peer] = {**dict.fromkeys(set(cases) - set(chosen)), **ready["failed"]}
            print(f"{peer}: {ready.get('versions', '')} {ready['failed'] or ''}", flush=True)
        rows = measure(workers, failed, cases, options, folder)
    finally:
        for worker in workers.values():
            worker.kill()
    if options.json:
        options.json.write_text(json.dumps({"options": work, "rows": rows}, indent=1))


def start(peer: str, task: dict[str, Any], options: Any) -> subprocess.Popen:
    python = sys.executable if peer.startswith("deconv_legacy") else options.peer_python
    command = [python, str(harness.HERE / harness.WORKERS[peer]), json.dumps(task)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(worker: subprocess.Popen) -> dict[str, Any]:
    """The worker's next line of JSON; other lines are passed on."""
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("{"):
            return json.loads(line)
        print(line, end="", file=sys.stderr)
    return {"failed": dict.fromkeys(["all"], f"the worker ended with status {worker.wait()}")}


def measure(
    workers: dict[str, subprocess.Popen], failed: dict[str, Any], cases: list[str], options: Any, folder: Path
) -> list[dict[str, Any]]:
    rows = []
    first, *others = workers
    print(f"{'case':40s}" + "".join(f"{peer:>24s}" for peer in workers) + "   ms, and ours / it; largest difference")
    for case in cases:
        seconds: dict[str, list[float]] = {peer: [] for peer in workers}
        for _ in range(options.rounds):
            for peer, worker in workers.items():
                if "all" in failed[peer] or case in failed[peer]:
                    continue
                assert worker.stdin is not None
                print(case, file=worker.stdin, flush=True)
                seconds[peer].append(answer(worker)["seconds"])
        best = {peer: min(values) for peer, values in seconds.items() if values}
        work, number, precision = case.split("/")
        name = case
        if work in ("layer", "gradients"):
            name = f"{layers.CASES[int(number)]['name']} {work} {precision}"
        text, row = f"{name:40s}", {"case": name, "ms": {peer: 1e3 * s for peer, s in best.items()}, "difference": {}}
        for peer in workers:
            ratio = f"{best[first] / best[peer]:7.2f}" if peer in best and first in best else " " * 7
            text += f"{1e3 * best[peer]:17.2f}{ratio}" if peer in best else f"{'-':>24s}"
        for peer in others:
            ours, theirs = (folder / f"{name}_{case.replace('/', '_')}.npy" for name in (first, peer))
            if ours.exists() and theirs.exists():
                a, b = np.load(ours), np.load(theirs)
                row["difference"][peer] = float(np.abs(a - b).max() / np.abs(b).max())
                text += f"   {row['difference'][peer]:.1e}"
        rows.append(row)
        print(text, flush=True)
    return rows


if __name__ == "__main__":
    main()
