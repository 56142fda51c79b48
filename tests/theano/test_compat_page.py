"""docs/compat-theano.md says what is there."""

import compat_page
import pytest

from deconv_legacy.engine import aesara
from deconv_legacy.theano import drift


@pytest.mark.skipif(not aesara.__version__.startswith("2.9.4"), reason="the page was written for Aesara 2.9.4")
def test_the_page_is_up_to_date():
    assert compat_page.PAGE.read_text() == compat_page.page(), "run python tests/theano/compat_page.py"


def test_the_page_names_every_bridge():
    rows = compat_page.PAGE.read_text().partition("## Bridges")[2].partition("\n## ")[0]
    assert [name for name in drift.BRIDGES if f"| `{name}` |" not in rows] == []
