"""The export `dashboard`, run once on a small ledger, for whoever draws from its files."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from include import sample
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.pipeline import Context, pin, render, snapshot
from include.pipeline.checks import load_definitions
from include.settings import ROOT, Settings
from include.state.runs import RunRecord
from tests.stages import in_this_process

PLAN = sample.Plan(customers=300, transactions=6_000)
WHEN = datetime.fromisoformat("2026-06-23T01:30:00+02:00")  # so that figures end with 22 June 2026


def settings_in(folder: Path) -> Settings:
    return Settings.from_environment({"LOYALTY_HOME": str(folder), "LOYALTY_SETTLE_SECONDS": "0"})


def shipped(**other: Any) -> ExportDefinition:
    """The definition that ships."""
    document = load_definitions(ROOT / "include" / "exports")["dashboard"].document() | other
    return from_document(document, where="dashboard.yaml")


def make(folder: Path) -> RunRecord:
    """Make a ledger below the folder, and run the export on it."""
    settings = settings_in(folder)
    sample.load(f"sqlite:///{folder / 'ledger.sqlite'}", PLAN)
    with in_this_process():
        return run(Context(settings), shipped())


def run(context: Context, definition: ExportDefinition, when: datetime = WHEN) -> RunRecord:
    """Make the files; nothing is delivered, and what is drawn is what the store has."""
    pinned = pin(context, definition, occurrence=when)
    snapshot(context, pinned.run_key)
    render(context, pinned.run_key)
    return context.state.runs.get(pinned.run_key)


def lines(context: Context, of: RunRecord, part: str) -> list[dict[str, Any]]:
    """The rows of a file as a reader of ours would read them, in no way of the code under test."""
    [entry] = [each for each in of.files if each.get("export") == part]
    text = context.store.read(entry["key"]).decode()
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in text.splitlines()]
