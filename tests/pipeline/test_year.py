"""A weekly and a month-end definition over a year: periods tile, figures tie out, and bytes can be made again."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.settings import Settings

BEGIN, END = datetime(2025, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)
KNOWN_AT = datetime(2026, 7, 1, tzinfo=UTC)
HISTORY = {
    "id": "weekly", "model": "history", "period": "previous_week",
    "schedule": {"kind": "weekly", "days": ["monday"], "time": "09:00"},
}  # fmt: skip
LIABILITY = {
    "id": "month-end", "model": "liability", "period": "this_month",
    "schedule": {"kind": "monthly", "days": ["last"], "time": "06:00"},
}  # fmt: skip


def made(context: Context, definition: ExportDefinition, occurrence: datetime) -> tuple[Any, bytes]:
    run = pipeline.pin(context, definition, occurrence=occurrence, known_at=KNOWN_AT)
    pipeline.snapshot(context, run.run_key)
    (data, _) = pipeline.render(context, run.run_key)
    return run, context.store.read(data["key"])


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))


@pytest.mark.slow
def test_a_year_of_weeks_tiles_and_is_the_same_when_made_again(
    ledger_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    definition = define(**HISTORY)
    occurrences = list(definition.recurrence.occurrences(BEGIN, END))  # type: ignore[union-attr]
    assert len(occurrences) in {52, 53}
    first = Context(settings_for(ledger_url, "first"))
    weeks = [made(first, definition, occurrence) for occurrence in occurrences]
    assert all(one.end == other.start for (one, _), (other, _) in itertools.pairwise(weeks))
    # Every fourth, backwards, on another machine, months later: the same bytes.
    second = Context(settings_for(ledger_url, "second"))
    again = [made(second, definition, occurrence)[1] for occurrence in reversed(occurrences[::4])]
    assert again[::-1] == [content for _, content in weeks[::4]]
    # Balances of an account continue from week to week.
    last: dict[tuple[str, ...], str] = {}
    seen = 0
    for _, content in weeks:
        for row in rows(content):
            account = row["program_id"], row["subledger_id"], row["card_id"] or row["customer_id"]
            assert last.get(account, row["balance_before"]) == row["balance_before"], row
            last[account] = row["balance_after"]
            seen += 1
    assert seen > 1000


@pytest.mark.slow
def test_a_year_of_month_ends_rolls_forward(
    ledger_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    definition = define(**LIABILITY)
    context = Context(settings_for(ledger_url))
    occurrences = list(definition.recurrence.occurrences(BEGIN, END))  # type: ignore[union-attr]
    assert len(occurrences) == 12
    closing: dict[str, Decimal] = {}
    for occurrence in occurrences:
        run, content = made(context, definition, occurrence)
        assert run.end > occurrence
        assert run.end.astimezone(definition.recurrence.zone).day == 1  # type: ignore[union-attr]
        for row in rows(content):
            assert Decimal(row["difference"]) == 0
            if row["program_id"] in closing:
                assert Decimal(row["opening"]) == closing[row["program_id"]]
            closing[row["program_id"]] = Decimal(row["closing"])
    assert len(closing) == 2
