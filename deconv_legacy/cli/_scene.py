"""Drawings of rectangles, lines and words, written as SVG or, with Pillow, as PNG."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deconv_legacy.caffe._files import replacing
from deconv_legacy.errors import MismatchError, MissingExtraError

__all__ = ["Scene"]


@dataclass
class Scene:
    """A drawing of `width` by `height` units; shapes are drawn in the order in which they are added."""

    width: float
    height: float
    shapes: list[tuple[str, tuple[float, ...], str, str]] = field(default_factory=list)

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self.shapes.append(("rectangle", (x, y, width, height), fill, ""))

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str = "#888888") -> None:
        self.shapes.append(("line", (x, y, to_x, to_y), colour, ""))

    def words(self, x: float, y: float, text: str, colour: str = "#222222") -> None:
        """Around (x, y)."""
        self.shapes.append(("words", (x, y), colour, text))

    def svg(self) -> str:
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" font-family="sans-serif" font-size="12">',
            f'<rect width="{self.width:g}" height="{self.height:g}" fill="white"/>',
        ]
        for kind, numbers, colour, text in self.shapes:
            if kind == "rectangle":
                x, y, w, h = numbers
                lines.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{colour}" stroke="white"/>')
            elif kind == "line":
                x, y, u, v = numbers
                lines.append(f'<line x1="{x:g}" y1="{y:g}" x2="{u:g}" y2="{v:g}" stroke="{colour}"/>')
            else:
                x, y = numbers
                where = f'x="{x:g}" y="{y + 4:g}" text-anchor="middle"'
                lines.append(f'<text {where} fill="{colour}">{html.escape(text)}</text>')
        return "\n".join([*lines, "</svg>\n"])

    def image(self) -> Any:
        """As a Pillow image, twice as large."""
        try:
            from PIL import Image, ImageDraw
        except ImportError as error:
            raise MissingExtraError("Pillow", "caffe", "a PNG") from error
        scale = 2
        picture = Image.new("RGB", (round(self.width * scale), round(self.height * scale)), "white")
        pen = ImageDraw.Draw(picture)
        for kind, numbers, colour, text in self.shapes:
            placed = [n * scale for n in numbers]
            if kind == "rectangle":
                x, y, w, h = placed
                pen.rectangle((x, y, x + w, y + h), fill=colour, outline="white")
            elif kind == "line":
                pen.line(placed, fill=colour, width=scale)
            else:
                pen.text((placed[0], placed[1]), text, fill=colour, anchor="mm", font_size=12 * scale)
        return picture

    def save(self, path: str | Path) -> None:
        """By its ending: ``.svg`` or ``.png``."""
        ending = Path(path).suffix
        if ending not in (".svg", ".png"):
            raise MismatchError(f"{path}: a drawing is .svg or .png")
        with replacing(path) as beside:
            if ending == ".svg":
                beside.write_text(self.svg(), encoding="utf-8")
            else:
                self.image().save(beside, format="PNG")
