"""FCN-32s, FCN-16s and FCN-8s by backend: forward, and a training step with momentum, beside torch. Wall and processor
seconds of the best call, in fresh processes in turn; images per second by batch.

    python benchmarks/backends.py --width 0.25 --batches 1,2 --peer-python PYTHON_WITH_TORCH
"""

from __future__ import annotations

import json

import harness


def main() -> None:
    parser = harness.parser(__doc__.split(". ")[0], "deconv_legacy,deconv_legacy jax,torch")
    parser.add_argument("--nets", default="fcn32s,fcn16s,fcn8s")
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--batches", default="1")
    parser.add_argument("--calls", type=int, default=3, help="of each function in each process")
    options = parser.parse_args()
    rows = []
    print(f"{'net':8s} {'batch':>5s} {'peer':20s} {'forward: wall s':>16s} {'cpu s':>7s} {'images/s':>9s}", end="")
    print(f"{'step: wall s':>14s} {'cpu s':>7s} {'peak MB':>8s}")
    for net in options.nets.split(","):
        for batch in map(int, options.batches.split(",")):
            work = {key: getattr(options, key) for key in ("size", "width", "classes", "calls")}
            results, _ = harness.in_turn({"work": "networks", "net": net, "batch": batch, **work}, options)
            for peer, runs in results.items():
                best = [min(values) for values in zip(*(run["seconds"] for run in runs), strict=True)]
                peak = max(run["peak_mb"] for run in runs)
                rows.append({"net": net, "batch": batch, "peer": peer, "seconds": best, "peak_mb": peak})
                print(f"{net:8s} {batch:5d} {peer:20s} {best[0]:16.3f} {best[1]:7.3f} {batch / best[0]:9.2f}", end="")
                print(f"{best[2]:14.3f} {best[3]:7.3f} {peak:8.0f}")
    if options.json:
        options.json.write_text(json.dumps({"options": work, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
