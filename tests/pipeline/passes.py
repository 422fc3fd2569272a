"""Runs that wait for one pass, and what each makes alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import yaml

from include import pipeline
from include.connections import Connection, missing
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.settings import Settings
from tests.pipeline.test_steps import AT

Define = Callable[..., ExportDefinition]
KNOWN = datetime(2026, 7, 1, tzinfo=UTC)
MARCH = {"model": "history", "period": "previous_month"}
ENCRYPTED = {"kind": "zip_aes", "options": {"password_from": "zip"}}


def resolve(name: str) -> Connection:
    if name != "zip":
        raise missing(name)
    return Connection("zip", password="correct horse battery staple 4711")


def several(define: Define) -> list[ExportDefinition]:
    """Unlike each other: one cut, two, none; a pack, other formats."""
    parts = [{"id": "balances", "model": "balance"}, {"id": "history", "model": "history"}]
    return [
        define(id="balances", fields=["holder_id", "active"]),
        define(id="history", **MARCH),
        define(id="liability", fields=["program_id", "closing"], model="liability", period="previous_month", file={"format": "jsonl"}),
        define(id="pack", model=None, period="previous_month", exports=parts, bundle="zip", file={}),
        define(id="people", model="customers", fields=["customer_id", "tier"]),
        define(id="lots", model="lots", file={"format": "xlsx"}),
    ]  # fmt: skip


def due(context: Context, *definitions: ExportDefinition, at: datetime = AT) -> list[str]:
    """Runs that are pinned and have the one snapshot of all definitions."""
    context.settings.exports.mkdir(parents=True, exist_ok=True)
    for each in definitions:
        (context.settings.exports / f"{each.id}.yaml").write_text(yaml.safe_dump(each.document()))
    keys = [pipeline.pin(context, x, occurrence=at, known_at=KNOWN).run_key for x in definitions]
    for key in keys:
        pipeline.snapshot(context, key)
    return keys


def made(context: Context, key: str) -> list[dict[str, Any]] | None:
    return context.state.runs.get(key).artefacts


def alone(settings: Settings, *definitions: ExportDefinition, at: datetime = AT) -> list[Any]:
    """What each run makes in an installation of its own, alone."""
    context, found = Context(settings, resolve), []
    for key in due(context, *definitions, at=at):
        pipeline.render(context, key)
        found.append(made(context, key))
    return found


def whom(context: Context, keys: list[str]) -> list[str]:
    """With whom each run says it was made, whatever stage was the last that it told of."""
    told = [context.state.runs.get(key).stage.partition(" ") for key in keys]
    return [rest if first in {"render", "partition", "book", "write"} else first for first, _, rest in told]


def context_chain(context: Context, definitions: list[ExportDefinition]) -> list[int]:
    return [len(context.state.chain.list(each.id)) for each in definitions]
