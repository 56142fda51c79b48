"""Write images.npz, the real images that the other examples train on, from scikit-learn and scikit-image.

    python examples/make_images.py          # only to make the file again; needs scikit-learn and scikit-image

``digits`` ``(1797, 8, 8)``, 0 paper to 16 ink, and ``labels``: scans of the UCI set "Optical Recognition of Handwritten
Digits" (E. Alpaydin, C. Kaynak; CC BY 4.0), as scikit-learn carries them. ``photograph`` ``(150, 225, 3)``: `chelsea`
by Stefan van der Walt (CC0), which scikit-image carries, at half its size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.data import chelsea
from sklearn.datasets import load_digits


def main() -> None:
    found, photograph = load_digits(), chelsea()[:, :450]
    half = photograph.reshape(150, 2, 225, 2, 3).mean(axis=(1, 3)).round()
    np.savez_compressed(
        Path(__file__).parent / "images.npz",
        digits=found.images.astype("uint8"),
        labels=found.target.astype("uint8"),
        photograph=half.astype("uint8"),
    )


if __name__ == "__main__":
    main()
