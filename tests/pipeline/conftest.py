"""A small sample ledger, and a context that works in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include import sample
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.settings import ROOT, Settings
from tests.stages import in_this_process

PLAN = sample.Plan(customers=300, transactions=6_000)


@pytest.fixture(scope="session")
def ledger_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite ledger of 6,000 transactions that ends on 2026-07-01; nobody writes to it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}"
    sample.load(url, PLAN)
    return url


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Settings for a ledger, with state, store and scratch in a folder of their own."""

    def make(ledger_url: str, home: str = "home", settle_delay: timedelta = timedelta(0)) -> Settings:
        folder = tmp_path / home
        folder.mkdir(exist_ok=True)
        return Settings(
            ledger_url=ledger_url,
            ledger_mapping=None,
            state_url=f"sqlite:///{folder / 'state.sqlite'}",
            store_url=f"file://{folder / 'store'}",
            scratch=folder / "scratch",
            exports=folder / "exports",
            keys=folder / "keys",
            settle_delay=settle_delay,
            page_folders=(os.environ.get("LOYALTY_HOME", str(ROOT / "var")), str(tmp_path)),
        )

    return make


@pytest.fixture
def context(ledger_url: str, settings_for: Callable[..., Settings]) -> Context:
    return Context(settings_for(ledger_url))


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., ExportDefinition]:
    """A definition with a folder target below the test's folder; keywords replace keys."""

    def make(**keys: Any) -> ExportDefinition:
        document: dict[str, Any] = {
            "id": "balances",
            "name": "Balances",
            "model": "balance",
            "timezone": "Europe/Paris",
            "schedule": {"kind": "daily", "time": "06:00"},
            "file": {"compression": "gzip"},
            "targets": [{"kind": "folder", "options": {"folder": str(tmp_path / "delivered")}}],
        }
        return from_document(document | keys, where="test.yaml")

    return make


@pytest.fixture
def inline() -> Iterator[None]:
    """Run stages in this process: the stages are what is tested, a hundred times; test_process tests the other."""
    with in_this_process():
        yield


@pytest.fixture
def small(tmp_path: Path, settings_for: Callable[..., Settings]) -> Context:
    """A household with cards, a voucher for one, a referral and a change of a name; somebody else; a card of nobody."""
    from tests.pipeline.people import fill, key_of_erased

    url = f"sqlite:///{tmp_path / 'small.sqlite'}"
    fill(url)
    return Context(settings_for(url), key_of_erased)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def at_work(
    request: pytest.FixtureRequest, ledger_url: str, settings_for: Callable[..., Settings]
) -> Context:
    """A context whose state is in each kind of database."""
    from tests.pipeline.passes import resolve  # which imports what imports this file

    settings = settings_for(ledger_url)
    if request.param == "postgresql":
        settings = replace(settings, state_url=request.getfixturevalue("postgres_ledger"))
    return Context(settings, resolve)
