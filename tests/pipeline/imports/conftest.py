"""A small ledger of each kind that imports write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.imports.desk import Desk, fill


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def write_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, empty ledger that imports may write."""
    url: str = request.getfixturevalue(f"{request.param}_ledger")
    return url


@pytest.fixture
def desk(write_url: str, tmp_path: Path) -> Desk:
    """Imports into a ledger where ann has 100 points."""
    fill(write_url)
    return Desk(write_url, tmp_path / "home")
