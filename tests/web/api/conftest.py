"""A ledger of twenty customers, and the APIs over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from include import sample
from include.pipeline import Context
from include.sample.plan import Plan
from include.settings import Settings
from include.web.app import create
from tests.stages import in_this_process
from tests.web.api.asking import Asking


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a ledger of twenty customers; nobody writes to it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('api') / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=20, transactions=400))
    return url


@pytest.fixture(scope="session")
def built() -> FastAPI:
    """The application of all tests that have a context of their own."""
    return create(
        Context.from_settings(Settings.from_environment()), lambda _: pytest.fail("nobody's access")
    )


@pytest.fixture
def asking(sampled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: FastAPI) -> Asking:
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", sampled)
    monkeypatch.setenv("LOYALTY_SETTLE_SECONDS", "0")
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    return Asking(Context.from_settings(Settings.from_environment()), built)


@pytest.fixture(scope="module")
def inline() -> Iterator[None]:
    """Run stages in this process: a module that makes dozens of reports would start as many others."""
    with in_this_process():
        yield
