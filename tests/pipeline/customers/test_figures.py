"""A look at one customer has the numbers of the exports, to the hundredth, at any instant and with any filter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline.customers import look as customers
from include.pipeline.customers.figures import Figures, View
from include.pipeline.customers.look import look
from include.pipeline.customers.picked import ENTRIES_PER_PAGE, Filter
from include.settings import Settings
from include.snapshots.excerpt import Holder
from include.state.tables import instant, microseconds
from tests.pipeline.customers.looks import BY, ZONE, of, seen
from tests.pipeline.customers.whole import Whole

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes


def every_entry(context: Context, holder: Holder, at: int, **shown: Any) -> list[dict[str, Any]]:
    """The transactions of all pages, the oldest first."""
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        figures = seen(context, holder, at=at, shown=Filter(page=page, **shown)).figures
        rows += figures.entries
        if len(rows) >= figures.entries_total or not figures.entries:
            assert len(rows) == figures.entries_total
            return rows[::-1]
        page += 1


def by_instant(rows: list[dict[str, Any]], moment: str) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row[moment])


def same_as_exports(context: Context, ledger: Whole, at: int, holders: list[str], scratch: Path) -> None:
    """Whatever the page shows of these is what the reports of the whole ledger say of them."""
    reports = {
        name: ledger.report(name, at, ZONE, scratch)
        for name in (
            "balance",
            "customer balance",
            "history",
            "lots",
            "allocations",
            "projection",
            "redemption",
        )
    }
    for who in holders:
        of_whole = {name: [row for row in rows if ledger.of(row) == who] for name, rows in reports.items()}
        holder = Holder(Name.CARD, who.removeprefix("card ")) if who.startswith("card ") else of(who)
        figures = seen(context, holder, at=at, all_lots=True).figures
        assert figures.accounts == of_whole["balance"], who
        assert figures.projected == of_whole["projection"], who
        assert sorted(figures.lots, key=str) == sorted(of_whole["lots"], key=str), who
        assert figures.lots_open == sum(row["remaining"] > 0 for row in of_whole["lots"])
        assert every_entry(context, holder, at) == by_instant(of_whole["history"], "created_at"), who
        ids = {row["transaction_id"] for row in figures.entries} | {row["lot_id"] for row in figures.lots}
        traced = [row for row in of_whole["allocations"] if {row["debit_id"], row["lot_id"]} & ids]
        assert figures.traced == traced, who
        newest = by_instant(of_whole["redemption"], "redeemed_at")[::-1][:ENTRIES_PER_PAGE]
        assert sorted(figures.redeemed, key=str) == sorted(newest, key=str), who
        # What a program's accounts add up to is what the export of customers says.
        for row in of_whole["customer balance"]:
            of_program = [one for one in figures.accounts if one["program_id"] == row["program_id"]]
            for name in ("active", "pending", "expired", "spent", "negative_balance", "points_balance"):
                assert sum(one[name] for one in of_program) == row[name], (who, name)


def some_holders(ledger: Whole, at: int, scratch: Path, every: int) -> list[str]:
    """Holders of all kinds: with and without cards, and cards that nobody owns."""
    found = {ledger.of(row) for row in ledger.report("balance", at, ZONE, scratch)}
    named = sorted(who for who in found if who is not None)
    alone = [who for who in named if who.startswith("card ")]
    owning = sorted({who for who in ledger.owners.values() if who is not None and who in found})
    return sorted({*named[::every], *alone[:2], *owning[:2]})


def test_a_page_shows_what_the_exports_say(context: Context, ledger: Whole, tmp_path: Path) -> None:
    at = microseconds(datetime(2026, 6, 15, 22, tzinfo=UTC))
    holders = some_holders(ledger, at, tmp_path, 60)
    assert any(who.startswith("card ") for who in holders)
    assert any(who in holders for who in ledger.owners.values())
    same_as_exports(context, ledger, at, holders, tmp_path)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2023, 9, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        datetime(2025, 3, 29, 23, tzinfo=UTC),  # midnight in Paris, on the day of a change of clocks
        datetime(2026, 7, 1, tzinfo=UTC),
        datetime(2027, 5, 1, tzinfo=UTC),  # a projection
    ],
)
def test_it_does_so_at_any_instant_for_everybody(
    context: Context, ledger: Whole, tmp_path: Path, at: datetime
) -> None:
    moment = microseconds(at)
    same_as_exports(context, ledger, moment, some_holders(ledger, moment, tmp_path, 25), tmp_path)


def test_at_the_very_instant_of_a_row_it_is_not_there_yet(
    context: Context, ledger: Whole, tmp_path: Path
) -> None:
    now = ledger.read_at
    history = ledger.report("history", now, ZONE, tmp_path)
    row = next(
        row for row in history if row["type"] == "redeemed" and row["card_id"] is None and row["customer_id"]
    )
    holder = of(str(ledger.of(row)))
    at = microseconds(row["created_at"])
    ids = [entry["transaction_id"] for entry in every_entry(context, holder, at)]
    later = [entry["transaction_id"] for entry in every_entry(context, holder, at + 1)]
    assert row["transaction_id"] not in ids
    assert row["transaction_id"] in later


def test_before_the_first_row_there_is_nothing_and_nothing_is_wrong(
    context: Context, ledger: Whole, tmp_path: Path
) -> None:
    who = some_holders(ledger, ledger.read_at, tmp_path, 100)[0]
    figures = seen(context, of(who), at=0).figures
    assert (figures.accounts, figures.lots, figures.entries, figures.projected) == ([], [], [], [])


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        ({"types": ("redeemed", "expired")}, lambda row: row["type"] in {"redeemed", "expired"}),
        ({"program": "club"}, lambda row: row["program_id"] == "club"),
        ({"subledger": "base"}, lambda row: row["subledger_id"] == "base"),
        ({"subledger": ""}, lambda row: row["subledger_id"] == ""),
        ({"text": "POINTS for"}, lambda row: "points for" in (row["reason"] or "").lower()),
        (
            {"since": microseconds(datetime(2025, 1, 1, tzinfo=UTC)), "before": microseconds(datetime(2026, 1, 1, tzinfo=UTC))},
            lambda row: row["created_at"].year == 2025,
        ),
        ({"text": "(.*"}, lambda row: False),  # a text is no pattern
    ],
)  # fmt: skip
def test_filters_keep_what_they_say(
    context: Context, ledger: Whole, busy: Holder, shown: dict[str, Any], holds: Callable[[Any], bool]
) -> None:
    everything = every_entry(context, busy, ledger.read_at)
    kept = every_entry(context, busy, ledger.read_at, **shown)
    assert kept == [row for row in everything if holds(row)]


def test_open_lots_come_first_what_expires_next_before(context: Context, busy: Holder) -> None:
    lots = seen(context, busy).figures.lots
    still = [row for row in lots if row["remaining"] > 0]
    assert lots[: len(still)] == still
    ends = [row["expires_at"] for row in still if row["expires_at"]]
    assert ends == sorted(ends)
    assert all(row["expires_at"] is None for row in still[len(ends) :])


def test_a_long_history_is_booked_apart_and_shows_the_same(
    context: Context, busy: Holder, monkeypatch: pytest.MonkeyPatch, inline: None
) -> None:
    here = seen(context, busy, at=microseconds(datetime(2026, 7, 1, tzinfo=UTC)))
    monkeypatch.setattr(customers, "ROWS_IN_PLACE", 10)
    apart = seen(context, busy, at=microseconds(datetime(2026, 7, 1, tzinfo=UTC)))
    assert apart.large
    assert not here.large
    assert apart.figures == here.figures


def test_a_process_of_its_own_does_it_too(
    context: Context, busy: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = microseconds(datetime(2026, 7, 1, tzinfo=UTC))
    here = seen(context, busy, at=at)
    monkeypatch.setattr(customers, "ROWS_IN_PLACE", 10)
    assert seen(context, busy, at=at).figures == here.figures
    assert not [path for path in context.settings.scratch.iterdir() if path.is_dir()]


def test_the_zone_is_that_of_the_program_with_most_transactions(
    context: Context, ledger: Whole, busy: Holder, tmp_path: Path
) -> None:
    figures = seen(context, busy, zone="").figures
    assert figures.zone in figures.zones.values()
    assert figures.zones == {"club": "Europe/Paris", "travel": "America/New_York"}


def test_a_ledger_with_the_least_there_can_be(
    sqlite_ledger: str, settings_for: Callable[..., Settings]
) -> None:
    engine = sa.create_engine(sqlite_ledger)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE programs (program_id TEXT, name TEXT, currency TEXT, time_zone TEXT)",
            "CREATE TABLE customers (customer_id TEXT)",
            "CREATE TABLE transactions (transaction_id TEXT, program_id TEXT, customer_id TEXT, type TEXT, points INTEGER, created_at INTEGER)",
            "INSERT INTO programs VALUES ('p', 'P', 'EUR', 'EST')",
            "INSERT INTO transactions VALUES ('t1', 'p', 'c', 'earned', 1000, 1000000), ('t2', 'p', 'c', 'redeemed', -400, 2000000)",
            "INSERT INTO customers VALUES ('c'), ('idle')",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    context = Context(settings_for(sqlite_ledger))
    figures = look(context, of("c"), View(), by=BY)
    assert figures is not None
    assert [row["active"] for row in figures.figures.accounts] == [6_00]
    assert figures.figures.zone == "UTC"  # EST is no zone of a place
    assert [row["lot_id"] for row in figures.figures.traced] == ["t1"]
    idle = look(context, of("idle"), View(), by=BY)
    assert idle is not None
    assert (idle.rows, idle.figures.accounts, idle.figures.entries) == (0, [], [])
    assert instant(idle.figures.at) - datetime.now(UTC) < timedelta(minutes=1)
    assert isinstance(idle.figures, Figures)
