"""Rule: every figure in a delivered file is what a replay in plain Python says, for each kind of database.

The replay (tests/ledger/reference.py) shares nothing with the product but docs/ledger.md. What lies between both is all
of a run: the ledger's tables, the reading of them, the snapshot, booking, the reports, the files, and the delivery.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from include import pipeline
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.settings import Settings
from include.snapshots import canonical
from tests.ledger import reference
from tests.ledger.random_ledger import random_ledger
from tests.ledger.reference import Outcome, Posted

ACCOUNTS = 150
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = ("balance", "history", "lots", "allocations")
MORE = {
    "history": {
        "options": {"profile": "all"},
        "fields": [
            "transaction_id", "subledger_id", "customer_id", "card_id", "points_change", "balance_before",
            "balance_after", "confirmed_points",
        ]
    }
}  # fmt: skip
CENT = Decimal("0.01")
KINDS = ("debit", "repayment", "posted_expiry", "expiry")  # the first three as the replay numbers them
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]
Row = dict[str, str]


def instant(number: int | None) -> datetime | None:
    return None if number is None else BEGIN + timedelta(days=number)


def many_ledgers(seed: int) -> list[Posted]:
    """Accounts of up to 24 rows. Ids are the account's and the row's, as an id stands once in a ledger."""
    random, rows = Random(seed), list[Posted]()
    for number in range(ACCOUNTS):
        account = f"{number:03}"
        found = random_ledger(random, account)
        rows += [replace(row, id=_id(row.id, account), related=_id(row.related, account)) for row in found]
    random.shuffle(rows)
    return rows


def _id(name: str | None, account: str) -> str | None:
    """PostgreSQL takes no text with a NUL; what stands for it sorts as it does."""
    return None if name is None else f"{account}-{name.replace(chr(0), chr(1))}"


def fill(url: str, rows: list[Posted]) -> None:
    """Every third account is a card's that nobody owns, the others are customers'; some have a purse of their own."""
    engine = sa.create_engine(url)
    canonical.create(engine)
    tables = canonical.METADATA.tables
    accounts = [f"{number:03}" for number in range(ACCOUNTS)]
    with engine.begin() as connection:
        program = {"program_id": "p", "name": "P", "currency": "EUR", "time_zone": "UTC"}
        connection.execute(tables["programs"].insert(), [program])
        connection.execute(
            tables["customers"].insert(), [{"customer_id": each, "name": each} for each in accounts]
        )
        cards = [{"card_id": f"card-{each}", "program_id": "p"} for each in accounts if is_card(each)]
        connection.execute(tables["cards"].insert(), cards)
        connection.execute(tables["transactions"].insert(), [
            {"transaction_id": row.id, "program_id": "p", "customer_id": row.account, "type": row.type,
             "card_id": f"card-{row.account}" if is_card(row.account) else None, "subledger_id": purse(row.account),
             "points": row.points * CENT, "created_at": instant(row.created_at), "activates_at": instant(row.activates_at),
             "expires_at": instant(row.expires_at), "related_transaction_id": row.related}
            for row in rows
        ])  # fmt: skip
    engine.dispose()


def is_card(account: str) -> bool:
    return int(account) % 3 == 0


def purse(account: str) -> str:
    return "bonus" if int(account) % 4 == 0 else ""


def account_of(row: Row) -> str:
    account = (row.get("card_id") or row.get("holder_id") or row["customer_id"]).removeprefix("card-")
    assert row["subledger_id"] == purse(account)
    return account


def cents(row: Row, *names: str) -> tuple[int, ...]:
    return tuple(int(Decimal(row[name]) / CENT) for name in names)


def number(text: str) -> float:
    return (datetime.fromisoformat(text) - BEGIN) / timedelta(days=1)


def delivered(
    context: Context, define: Callable[..., ExportDefinition], folder: Path, at: int
) -> dict[str, list[Row]]:
    file = {"name": "{export}_{as_of}", "compression": "none"}
    pack: dict[str, Any] = {
        "exports": [{"id": each, "model": each, "file": file, **MORE.get(each, {})} for each in PARTS],
        "model": None, "file": {}, "schedule": None, "timezone": "UTC", "as_of": "occurrence",
    }  # fmt: skip
    run = pipeline.pin(context, define(**pack), as_of=instant(at)).run_key
    pipeline.snapshot(context, run)
    pipeline.render(context, run)
    found = {}
    for each in pipeline.deliver(context, run, 0)["files"]:
        if each["name"].endswith(".csv"):
            with (folder / each["name"]).open(encoding="utf-8-sig", newline="") as opened:
                found[each["name"].partition("_")[0]] = list(csv.DictReader(opened))
    assert found.keys() == set(PARTS)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_is_the_replays(
    any_ledger: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    tmp_path: Path,
    seed: int,
) -> None:
    rows = many_ledgers(seed)
    fill(any_ledger, rows)
    context = Context(settings_for(any_ledger))
    for at in (1, 4, 15, 60):
        files = delivered(context, define, tmp_path / "delivered", at)
        wanted = reference.replay(rows, at)
        assert balances(files["balance"]) == {account: balance(each) for account, each in wanted.items()}
        assert history(files["history"]) == {account: each.history for account, each in wanted.items()}
        remaining = {lot: left for each in wanted.values() for lot, left in each.remaining.items()}
        points = {row.id: row.points for row in rows}
        assert {row["lot_id"]: cents(row, "points", "remaining") for row in files["lots"]} == {
            lot: (points[lot], left) for lot, left in remaining.items() if points[lot]
        }
        allocated = [
            each for outcome in wanted.values() for each in [*outcome.allocations, *expiries(outcome)]
        ]
        assert sorted(map(allocation, files["allocations"])) == sorted(allocated)


def balance(outcome: Outcome) -> tuple[Any, ...]:
    last = None if outcome.last_activity_at is None else float(outcome.last_activity_at)
    figures = (outcome.active, outcome.pending, outcome.expired, outcome.spent, outcome.debt)
    return (*figures, outcome.lifetime_earned, last)


def balances(rows: list[Row]) -> dict[str, tuple[Any, ...]]:
    names = ("active", "pending", "expired", "spent", "negative_balance", "lifetime_earned")
    found = {
        account_of(row): (
            *cents(row, *names),
            number(row["last_activity_at"]) if row["last_activity_at"] else None,
        )
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def expiries(outcome: Outcome) -> Iterator[tuple[str, str, int, int, int]]:
    changes = {name: change for name, change, _, _ in outcome.history}
    for name, at in outcome.expiry_at.items():
        yield name, name.removeprefix("expiry:"), -changes[name], at, KINDS.index("expiry")


def history(rows: list[Row]) -> dict[str, list[tuple[str, int, int, int]]]:
    """The rows of each account in the file's order, whose balances chain."""
    found: dict[str, list[tuple[str, int, int, int]]] = {}
    for row in rows:
        change, before, after, confirmed = cents(
            row, "points_change", "balance_before", "balance_after", "confirmed_points"
        )
        own = found.setdefault(account_of(row), [])
        assert before == (own[-1][3] if own else 0)
        own.append((row["transaction_id"], change, confirmed, after))
    return found


def allocation(row: Row) -> tuple[str, str, int, float, int]:
    (points,) = cents(row, "points")
    return row["debit_id"], row["lot_id"], points, number(row["allocated_at"]), KINDS.index(row["kind"])
