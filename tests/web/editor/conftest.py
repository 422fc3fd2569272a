"""Who uses the form, and on what."""

from __future__ import annotations

import time

import pytest

from include import sample
from include.definitions.model import ExportDefinition
from include.pipeline import snapshot_ahead
from include.sample.plan import Plan


@pytest.fixture
def context(installation):
    return installation.context


@pytest.fixture
def anna(browser):
    return browser("anna", "ADMIN")


@pytest.fixture
def ledger(context):
    """A ledger of 50 customers, and a snapshot of what an export of customers reads."""
    sample.load(context.settings.ledger_url, Plan(customers=50, transactions=500))
    targets = [{"kind": "folder", "options": {"folder": "x"}}]
    customers = {"id": "people", "name": "People", "model": "customers", "targets": targets}
    making = snapshot_ahead.make(context, ExportDefinition.model_validate(customers))
    until = time.monotonic() + 60
    while making.running:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not making.failure
