"""FCN-32s forward at 1x3x500x500 beside torch and ONNX Runtime: the same weights, outputs compared, fresh processes in
turn, best wall time and peak memory of each, and the sgemm rate of the same minute.

    python benchmarks/fcn32s.py --peer-python PYTHON_WITH_TORCH_AND_ONNXRUNTIME
"""

from __future__ import annotations

import json

import harness
import numpy as np

GFLOP = 362.7  # multiply-adds of all layers at full width and 500x500, counted twice


def main() -> None:
    parser = harness.parser(__doc__.splitlines()[0], "deconv_legacy,torch,torch channels_last,onnxruntime")
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--budget", type=float, default=8.0, help="seconds of calls in each process")
    options = parser.parse_args()
    work = {key: getattr(options, key) for key in ("size", "width", "classes", "budget")}
    rate = harness.sgemm_rate(options.threads)
    results, folder = harness.in_turn({"work": "fcn32s", **work}, options)
    rate = max(rate, harness.sgemm_rate(options.threads))

    ours = np.load(folder / "deconv_legacy.npy")
    base = [run["seconds"][0] for run in results["deconv_legacy"]]
    print(f"sgemm {rate:.0f} GFLOP/s; at that rate FCN-32s takes {GFLOP / rate:.2f} s" if options.width == 1 else "")
    print(f"{'':22s} {'best s':>8s} {'median s':>9s} {'peak MB':>8s} {'ours/it':>8s} {'max diff':>9s}")
    rows = {}
    for peer, runs in results.items():
        seconds = [run["seconds"][0] for run in runs]
        output = np.load(folder / f"{peer}.npy")
        rows[peer] = {
            "best": min(seconds),
            "median": harness.median(seconds),
            "peak_mb": max(run["peak_mb"] for run in runs),
            "ratio": harness.median([a / b for a, b in zip(base, seconds, strict=True)]),
            "difference": float(np.abs(output - ours).max() / np.abs(ours).max()),
        }
        row = rows[peer]
        print(
            f"{peer:22s} {row['best']:8.2f} {row['median']:9.2f} {row['peak_mb']:8.0f} {row['ratio']:8.2f} "
            f"{row['difference']:9.1e}"
        )
    if options.json:
        options.json.write_text(json.dumps({"sgemm": rate, "options": work, "peers": rows}, indent=1))


if __name__ == "__main__":
    main()
