"""What the examples share: their options, the real images beside them (images.npz), and drawing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["digits", "draw", "draw_images", "labels", "options", "photograph"]

IMAGES = Path(__file__).parent / "images.npz"  # make_images.py says where they are from


def options(text: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """``--quick`` and ``--out``; `text` is the example's own docstring."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little work: few steps, NumPy instead of compiled code")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the pictures (default: here)")
    return parser.parse_args(argv)


def draw(path: Path, paint: Callable[[Any], None], size: tuple[float, float] = (8, 4)) -> Path | None:
    """Save what `paint` does to a matplotlib figure; without matplotlib say so and go on."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print(f"matplotlib is not installed: {path.name} is not drawn (pip install matplotlib)")
        return None
    figure = Figure(figsize=size, layout="constrained")
    paint(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path)
    print(f"drawn: {path}")
    return path


def draw_images(path: Path, rows: dict[str, Sequence[np.ndarray]], size: float = 1.0, **how: Any) -> Path | None:
    """Rows of pictures, each row under its name, 0 black to 1 white in all; `how` goes to matplotlib's imshow."""
    columns = max(len(images) for images in rows.values())

    def paint(figure: Any) -> None:
        # room for the first row's name
        figure.get_layout_engine().set(h_pad=0.14, rect=(0, 0, 1, 1 - 0.12 / figure.get_figheight()))
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for line in axes:
            for axis in line:
                axis.set_axis_off()
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            # a long name must not widen the first column
            line[0].text(0, 1.06, name, transform=line[0].transAxes, fontsize=9, in_layout=False)
            for axis, image in zip(line, images, strict=False):
                axis.imshow(image, **{"cmap": "gray", "interpolation": "nearest", "vmin": 0, "vmax": 1, **how})

    return draw(path, paint, (size * max(columns, 4), (size + 0.25) * len(rows) + 0.12))


def digits() -> np.ndarray:
    """1797 handwritten digits, ``(1797, 8, 8)``, 0 paper to 1 ink."""
    return (np.load(IMAGES)["digits"] / 16).astype("float32")


def labels() -> np.ndarray:
    """Which digit each of `digits` is, ``(1797,)``."""
    return np.load(IMAGES)["labels"].astype("int32")


def photograph() -> np.ndarray:
    """A photograph of a cat, ``(150, 225, 3)``, 0 to 1."""
    return (np.load(IMAGES)["photograph"] / 255).astype("float32")
