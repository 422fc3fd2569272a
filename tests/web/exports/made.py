"""Exports and runs of a test, made by the doors that pages and runs use, without a ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.definitions.load import from_document
from include.pipeline import Context
from include.state.exports import Export
from include.state.runs import RunRecord


def export(context: Context, definition_id: str, author: str = "admin", **keys: Any) -> Export:
    """An export made in the pages: daily at six in Paris to a folder, unless keys say otherwise."""
    document = {
        "id": definition_id,
        "name": definition_id.replace("-", " ").capitalize(),
        "model": "balance",
        "timezone": "Europe/Paris",
        "owner": "finance",
        "schedule": {"kind": "daily", "time": "06:00"},
        "targets": [{"kind": "folder", "options": {"folder": definition_id}}],
        **keys,
    }
    document = {name: value for name, value in document.items() if value is not None}
    return context.state.exports.create(from_document(document, where=definition_id), author)


def run(context: Context, definition_id: str) -> RunRecord:
    """A run that has just been pinned."""
    instant = datetime(2026, 3, 1, tzinfo=UTC)
    pinned = RunRecord(
        definition_id=definition_id,
        definition_version="v" * 64,
        definition={"id": definition_id, "timezone": "Europe/Paris"},
        as_of=instant,
        known_at=instant,
    )
    return context.state.runs.pin(pinned)


def finished(context: Context, definition_id: str, size: int = 1_400_000) -> RunRecord:
    """A run whose file of that many bytes was delivered."""
    made = run(context, definition_id)
    file = {"name": "a.csv", "sha256": "0" * 64, "bytes": size, "media_type": "text/csv", "key": "a"}
    rest = {"rows": 1, "totals": {}, "notes": []}
    manifest = file | rest | {"name": "manifest.json", "bytes": 100}
    context.state.runs.pin_artefacts(made.run_key, [file | rest, manifest])
    from include.state.runs import RunStatus

    return context.state.runs.finish(made.run_key, RunStatus.DONE)
