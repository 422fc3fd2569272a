"""An installation whose dashboards have figures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.pipeline import Context
from include.settings import Settings
from include.state.runs import RunRecord
from tests.pipeline.dashboards import made
from tests.web.conftest import URL


@pytest.fixture(scope="session")
def figures_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    made.make(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures_home: Path) -> Settings:
    """A home of the test's own, in which the export has run once."""
    home = tmp_path / "home"
    shutil.copytree(figures_home, home, ignore=shutil.ignore_patterns("ledger.sqlite", "scratch"))
    monkeypatch.setenv("LOYALTY_HOME", str(home))
    monkeypatch.setenv("LOYALTY_PUBLIC_URL", URL)
    return Settings.from_environment()


@pytest.fixture
def run(settings: Settings) -> RunRecord:
    found = Context.from_settings(settings).state.runs.furthest("dashboard")
    assert found is not None
    return found
