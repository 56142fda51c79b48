"""The HTML report: one file, with pictures that other programs can read."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from deconv_legacy.testing import Recording, compare
from deconv_legacy.testing.recording import StoredArray
from deconv_legacy.testing.report import heat, png, write_report


def test_a_png_is_what_pillow_reads():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_heat_rises_from_black_to_white():
    colours = heat(np.array([[0, 1, 2, 3, np.inf, np.nan]]))[0].astype(int)
    assert colours[0].tolist() == [0, 0, 0] and colours[3].tolist() == [255] * 3
    assert (np.diff(colours.sum(axis=1)) >= 0).all() and colours[5].tolist() == [255] * 3


@pytest.mark.parametrize("full", [True, False], ids=["whole", "digests"])
def test_the_report_shows_where_the_error_is(tmp_path, full):
    a = np.random.default_rng(0).standard_normal((1, 3, 20, 30)).astype("float32")
    b = a.copy()
    b[0, 1, 4, 25] += 9
    sides = []
    for array in (a, b):
        recording = Recording.from_arrays({"score <&>": array, "same": a})
        recording.blobs = {n: StoredArray.of(s.values, full=full) for n, s in recording.blobs.items()}
        sides.append(recording)
    write_report(compare(*sides), tmp_path / "r.html", "a & b")
    text = (tmp_path / "r.html").read_text()
    assert "score &lt;&amp;&gt;" in text and "a &amp; b" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 1
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[0])))).sum(axis=2)
    assert drawn.shape == (20, 30) and np.unravel_index(drawn.argmax(), drawn.shape) == (4, 25)
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
