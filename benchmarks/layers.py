"""Single layers, forward and backward, beside torch: FCN's upscores, DCGAN, U-Net, VGG's convolutions.

python benchmarks/layers.py --peer-python PYTHON_WITH_TORCH
"""

from __future__ import annotations

import json

import harness
import numpy as np


def case(name, kind, batch, channels, outputs, size, kernel, stride, pad):
    return {
        "name": name, "kind": kind, "batch": batch, "in": channels, "out": outputs, "size": size,
        "kernel": kernel, "stride": stride, "pad": pad,
    }  # fmt: skip


CASES = [
    case("upscore 64/32", "deconv", 1, 21, 21, 16, 64, 32, 0),
    case("upscore 16/8", "deconv", 1, 21, 21, 70, 16, 8, 0),
    case("upscore 4/2", "deconv", 1, 21, 21, 34, 4, 2, 0),
    case("DCGAN 5x5/2, 4x4", "deconv", 64, 1024, 512, 4, 5, 2, 2),
    case("DCGAN 5x5/2, 16x16", "deconv", 64, 256, 128, 16, 5, 2, 2),
    case("DCGAN 5x5/2 to 3", "deconv", 64, 128, 3, 32, 5, 2, 2),
    case("U-Net 2x2/2", "deconv", 1, 256, 128, 64, 2, 2, 0),
    case("VGG conv1_2", "conv", 1, 64, 64, 224, 3, 1, 1),
    case("VGG conv3_2", "conv", 1, 256, 256, 56, 3, 1, 1),
    case("VGG conv5_1", "conv", 1, 512, 512, 14, 3, 1, 1),
]


def main() -> None:
    parser = harness.parser(__doc__.splitlines()[0], "deconv_legacy,torch")
    parser.add_argument("--budget", type=float, default=0.5, help="seconds of calls for each figure")
    options = parser.parse_args()
    results, folder = harness.in_turn({"work": "layers", "cases": CASES, "budget": options.budget}, options)
    peers = [peer for peer in results if peer != "deconv_legacy"]
    print(f"sgemm {harness.sgemm_rate(options.threads):.0f} GFLOP/s")
    rows = []
    for index, item in enumerate(CASES):
        ours = np.load(folder / f"deconv_legacy_{index}.npy")
        for direction, which in (("forward", 0), ("backward", 1)):
            times = {peer: [run["seconds"][index][which] for run in runs] for peer, runs in results.items()}
            row = {"case": item["name"], "direction": direction, "ms": 1e3 * min(times["deconv_legacy"])}
            text = f"{item['name']:20s} {direction:8s} {row['ms']:9.2f} ms"
            for peer in peers:
                ratio = harness.median([a / b for a, b in zip(times["deconv_legacy"], times[peer], strict=True)])
                other = np.load(folder / f"{peer}_{index}.npy")
                row[peer] = ratio
                text += f"   {ratio:5.2f} x {peer}, diff {np.abs(other - ours).max() / np.abs(ours).max():.0e}"
            rows.append(row)
            print(text)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
