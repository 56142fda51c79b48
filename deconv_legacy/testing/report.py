"""The report of a comparison as one HTML file: the table, and a picture of each blob's error."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from pathlib import Path

import numpy as np

from deconv_legacy.caffe._files import replacing
from deconv_legacy.testing.compare import HEADER, Comparison, row_of
from deconv_legacy.testing.digest import thumbnail
from deconv_legacy.testing.measure import Measure
from deconv_legacy.testing.recording import StoredArray

__all__ = ["error_map", "heat", "png", "write_report"]

_STYLE = """
body { font: 14px sans-serif; margin: 2em; color: #222 } table { border-collapse: collapse }
th, td { padding: 2px 10px; text-align: left; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }
.differs, .shape, .missing { background: #fdd } .same { color: #777 }
figure { display: inline-block; margin: 1em 1em 0 0; vertical-align: top } img { image-rendering: pixelated }
figcaption { font-size: 12px; max-width: 300px }
"""


def png(pixels: np.ndarray) -> bytes:
    """A PNG of ``(rows, columns, 3)`` uint8.

    >>> png(np.zeros((2, 3, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    rows, columns = pixels.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = np.ascontiguousarray(pixels, np.uint8).reshape(rows, -1)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def heat(plane: np.ndarray, top: float | None = None) -> np.ndarray:
    """``(rows, columns)`` of numbers from 0 as black, red, yellow, white ``(rows, columns, 3)``."""
    plane = np.nan_to_num(np.asarray(plane, np.float64), nan=np.inf, posinf=np.inf)
    finite = plane[np.isfinite(plane)]
    top = (float(finite.max()) if finite.size else 1.0) if top is None else top
    level = np.clip(plane / top if top > 0 else np.where(plane > 0, 1.0, 0.0), 0, 1)
    return (255 * np.clip(np.stack([3 * level, 3 * level - 1, 3 * level - 2], axis=-1), 0, 1)).astype(np.uint8)


def error_map(recorded: StoredArray, other: StoredArray) -> tuple[np.ndarray, str] | None:
    """The error as a plane, and what it is: the largest over channels where both are whole, else between thumbnails."""
    if recorded.shape != other.shape or len(recorded.shape) != 4 or not all(recorded.shape):
        return None
    if recorded.values is not None and other.values is not None:
        with np.errstate(invalid="ignore"):
            gap = np.abs(recorded.values[0].astype(np.float64) - other.values[0])
        return np.where(np.isnan(gap), np.inf, gap).max(axis=0), "largest over the channels"
    small = [s.digest.thumbnail if s.values is None else thumbnail(s.values) for s in (recorded, other)]
    if small[0] is None or small[1] is None:
        return None
    return np.abs(small[0].astype(np.float64) - small[1]), "between means over channels and blocks"


def write_report(found: Comparison, path: str | Path, title: str = "Comparison") -> None:
    """Write `found` as one self-contained HTML file, with pictures of the errors of blobs that are not the same."""
    lines = ["".join(f"<th>{name}</th>" for name in HEADER)]
    for m in (*found.blobs, *found.gradients, *(m for m in found.params if not m.ok)):
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row_of(m))
        lines.append(f'<tr class="{m.verdict}">{cells}</tr>')
    pictures = [_figure(found, m) for m in found.blobs if m.verdict != "same"]
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in (*found.settings, *found.unmatched))
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(found.summary())}</p>"
        f"<ul>{notes}</ul><table>{''.join(lines)}</table>{''.join(filter(None, pictures))}</html>\n"
    )
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _figure(found: Comparison, m: Measure) -> str | None:
    if found.recorded is None or found.now is None or m.name not in found.now.blobs:
        return None
    drawn = error_map(found.recorded.blobs[m.name], found.now.blobs[m.name])
    if drawn is None:
        return None
    plane, what = drawn
    picture = base64.b64encode(png(heat(plane))).decode()
    width = min(max(plane.shape[1], 200), 480)
    caption = f"{m.name}: {m.verdict}; white is {np.max(plane, initial=0):.2g} ({what})"
    return (
        f'<figure><img width="{width}" alt="error of {html.escape(m.name)}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
