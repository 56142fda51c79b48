"""A training step of FCN-32s at 1x3x500x500 beside torch: loss and gradients with the same weights, compared; fresh
processes in turn, best wall and processor time and peak memory of each. "caffe" is the same net as a prototxt, through
caffe.Net, as a solver runs it.

    python benchmarks/fcn32s_training.py --peer-python PYTHON_WITH_TORCH

With one thread, processor time is what wall time would be on an idle machine, about; it is what the ratio is of.
"""

from __future__ import annotations

import json

import harness
import numpy as np

GFLOP = 3 * 362.7  # forward, and two products of the same size backward


def main() -> None:
    parser = harness.parser(__doc__.splitlines()[0], "deconv_legacy,deconv_legacy caffe,torch")
    parser.set_defaults(threads=1, rounds=2)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--calls", type=int, default=1, help="calls that count, in each process")
    options = parser.parse_args()
    work = {key: getattr(options, key) for key in ("size", "width", "classes", "calls")}
    results, folder = harness.in_turn({"work": "training", **work}, options)
    ours = np.load(folder / "deconv_legacy.npz")
    base = [run["seconds"][1] for run in results["deconv_legacy"]]
    print(f"{'':22s} {'wall s':>8s} {'processor s':>12s} {'peak MB':>8s} {'ours/it':>8s} {'max diff':>9s}")
    rows = {}
    for peer, runs in results.items():
        theirs = np.load(folder / f"{peer}.npz")
        rows[peer] = {
            "wall": min(run["seconds"][0] for run in runs),
            "processor": min(run["seconds"][1] for run in runs),
            "peak_mb": max(run["peak_mb"] for run in runs),
            "ratio": harness.median([a / run["seconds"][1] for a, run in zip(base, runs, strict=True)]),
            "difference": max(float(np.abs(theirs[k] - ours[k]).max() / np.abs(ours[k]).max()) for k in ours.files),
        }
        row = rows[peer]
        print(
            f"{peer:22s} {row['wall']:8.2f} {row['processor']:12.2f} {row['peak_mb']:8.0f} {row['ratio']:8.2f} "
            f"{row['difference']:9.1e}"
        )
    if options.json:
        options.json.write_text(json.dumps({"options": work, "peers": rows}, indent=1))


if __name__ == "__main__":
    main()
