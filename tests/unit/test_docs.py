from __future__ import annotations

from pathlib import Path

from bridge.settings_table import table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_settings_page_is_what_the_settings_are():
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    between = page.partition("<!-- settings:begin")[2].partition("-->\n")[2]

    assert between.partition("<!-- settings:end -->")[0] == table()
