"""docs/reference/ledger.md is what the catalog says."""

from __future__ import annotations

from include.ledger.describe import markdown
from include.settings import ROOT


def test_the_page_has_not_drifted() -> None:
    page = ROOT / "docs" / "reference" / "ledger.md"
    assert page.read_text() == markdown() + "\n", "loyalty ledger describe > docs/reference/ledger.md"
