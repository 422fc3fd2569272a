"""`check` names every violation of docs/ledger.md section 3 rule 8, with row ids, on every database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import sqlalchemy as sa

from include.errors import LedgerViolation
from include.snapshots import canonical
from include.snapshots.check import Violation, check
from include.snapshots.mapping import Mapping
from include.snapshots.source import Source, open_read
from tests.snapshots.test_source import JANUARY, fill, transaction

DAY = dt.timedelta(days=1)


def found(url: str, limit: int = 20) -> dict[str, Violation]:
    return {violation.rule: violation for violation in check(Source(url), limit)}


def rows_of(url: str) -> dict[str, tuple[str, ...]]:
    return {rule: violation.row_ids for rule, violation in found(url).items()}


def test_a_clean_ledger_has_no_violation(any_ledger: str) -> None:
    fill(any_ledger, transactions=[
        transaction("earn", "10", expires_at=JANUARY + 10 * DAY),
        transaction("spend", "-4", JANUARY + DAY, type="redeemed"),
    ], redemptions=[{"redemption_id": "r", "transaction_id": "spend", "customer_id": "c", "redeemed_at": JANUARY}])  # fmt: skip
    assert check(Source(any_ledger)) == []


@pytest.mark.slow
def test_an_empty_ledger_has_no_violation(any_ledger: str) -> None:
    fill(any_ledger)
    assert check(Source(any_ledger)) == []


@pytest.mark.slow
def test_blocking_rules_of_values(any_ledger: str) -> None:
    fill(any_ledger, transactions=[
        transaction("good"),
        transaction("type", type="gift"),
        transaction("sign", "-5"),
        transaction("sign2", "5", type="redeemed"),
        transaction("program", program_id=""),
        transaction("holder", customer_id=None),
    ])  # fmt: skip
    blocking = {rule: v.row_ids for rule, v in found(any_ledger).items() if v.blocking}
    assert blocking == {
        "unknown_type": ("type",),
        "wrong_sign": ("sign", "sign2"),
        "empty_program_id": ("program",),
        "null_holder": ("holder",),
    }


def _loose_transactions(engine: sa.Engine) -> None:
    """Replace the canonical table by one without constraints, as a system that does not check has."""
    kinds = {
        "sqlite": ("integer", "integer"),
        "postgresql": ("numeric", "timestamptz"),
        "mysql": ("decimal(30,10)", "datetime(6)"),
    }
    points, instant = kinds[engine.dialect.name]
    text = ("transaction_id", "program_id", "customer_id", "type")
    columns = ", ".join(
        [*(f"{name} varchar(20)" for name in text), f"points {points}", f"created_at {instant}"]
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("drop table transactions")
        connection.exec_driver_sql(f"create table transactions ({columns})")


def _put(engine: sa.Engine, *rows: tuple[str | None, str | None, str | None, str]) -> None:
    scaled = engine.dialect.name == "sqlite"
    table = sa.table("transactions", *(sa.column(x) for x in ("transaction_id", "program_id", "customer_id", "type", "points")),
                     sa.column("created_at", canonical.Instant()))  # fmt: skip
    with engine.begin() as connection:
        for transaction_id, program, customer, points in rows:
            stored = (
                float(Decimal(points) * 100)
                if scaled and "." in points and len(points.split(".")[1]) > 2
                else Decimal(points)
            )
            if scaled and isinstance(stored, Decimal):
                stored = int(stored * 100)
            values = {"transaction_id": transaction_id, "program_id": program, "customer_id": customer}
            connection.execute(
                sa.insert(table).values(**values, type="earned", points=stored, created_at=JANUARY)
            )


@pytest.mark.slow
def test_blocking_rules_that_a_loose_table_lets_in(any_ledger: str) -> None:
    engine = fill(any_ledger)
    _loose_transactions(engine)
    _put(engine, ("twice", "p", "c", "1"), ("twice", "p", "c", "1"), ("decimals", "p", "c", "1.005"),
         ("no program", None, "c", "1"), (None, "p", "c", "2"), ("fine", "p", "c", "1.25"))  # fmt: skip
    violations = found(any_ledger)
    assert {rule: v.row_ids for rule, v in violations.items() if v.blocking} == {
        "duplicate_transaction_id": ("twice",),
        "null_program_id": ("no program",),
        "null_transaction_id": ("(null)",),
        "not_a_scaled_integer" if engine.dialect.name == "sqlite" else "too_many_decimals": ("decimals",),
    }
    with pytest.raises(LedgerViolation), open_read(Source(any_ledger)) as reading:
        list(reading.stream("transactions", ["transaction_id", "program_id", "points"]))


@pytest.mark.slow
def test_an_instant_without_zone_in_a_mapped_sqlite_ledger(sqlite_ledger: str) -> None:
    engine = fill(sqlite_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table moves (id, who, n, at)")
        rows = [(f"m{n}", "c", 1.25, "2026-01-01T00:00:00+00:00") for n in range(2000)]
        connection.exec_driver_sql(
            "insert into moves values (?, ?, ?, ?)", [*rows, ("bad", "c", 2, "2026-01-01 10:00:00")]
        )
    queries = {
        "programs": "select program_id, name, currency, time_zone from programs",
        "customers": "select customer_id from customers",
        "transactions": "select id as transaction_id, 'p' as program_id, who as customer_id, 'earned' as type, n as points, at as created_at from moves",
    }
    violations = check(Source(sqlite_ledger, Mapping(queries, "m.yaml")))
    assert [(v.rule, v.row_ids, v.blocking) for v in violations] == [("instant_without_zone", ("bad",), True)]


@pytest.mark.slow
def test_reported_problems_of_booking(any_ledger: str) -> None:
    fill(any_ledger, customers=[{"customer_id": x} for x in "cdef"], transactions=[
        transaction("A", "100", expires_at=JANUARY + DAY),
        transaction("B", "80", JANUARY + 5 * DAY),
        transaction("reverse expired", "-100", JANUARY + 6 * DAY, type="earned_reversed", related_transaction_id="A"),
        transaction("reverse nothing", "-1", JANUARY + 7 * DAY, type="earned_reversed"),
        transaction("reverse elsewhere", "-1", JANUARY, type="earned_reversed", related_transaction_id="A", customer_id="d"),
        transaction("early", "-1", JANUARY, type="adjusted", customer_id="e"),
        transaction("zero", "0", customer_id="f"),
        transaction("refund", "1", type="redemption_refunded", customer_id="f"),
        transaction("excess", "-9", JANUARY + DAY, type="expired", customer_id="f"),
    ])  # fmt: skip
    assert {rule: set(row_ids) for rule, row_ids in rows_of(any_ledger).items()} == {
        "reversal_of_expired": {"reverse expired"},
        "reversal_target_missing": {"reverse elsewhere", "reverse nothing"},
        "debit_before_any_earn": {"early", "reverse elsewhere"},
        "zero_points": {"zero"},
        "without_expiry": {"refund"},
        "expired_more_than_outstanding": {"excess"},
    }


@pytest.mark.slow
def test_references_that_lead_nowhere(any_ledger: str) -> None:
    fill(
        any_ledger,
        cards=[{"card_id": "k", "customer_id": "ghost"}],
        transactions=[
            transaction("t0"),
            transaction("t1", program_id="q"),
            transaction("t2", customer_id="ghost"),
            transaction("t3", card_id="no card", order_id="no order", related_transaction_id="no row"),
            transaction("t4", "-1", type="redeemed", created_at=JANUARY + DAY),
        ],
        redemptions=[
            {"redemption_id": "r", "transaction_id": "t1", "customer_id": "c", "redeemed_at": JANUARY}
        ],
    )
    violations = check(Source(any_ledger))
    assert not [v for v in violations if v.blocking]
    assert {(v.relation, v.rule): v.row_ids for v in violations} == {
        ("cards", "unknown_customer_id"): ("k",),
        ("transactions", "unknown_program_id"): ("t1",),
        ("transactions", "unknown_customer_id"): ("t2",),
        ("transactions", "unknown_card_id"): ("t3",),
        ("transactions", "unknown_order_id"): ("t3",),
        ("transactions", "unknown_related_transaction_id"): ("t3",),
        ("transactions", "redeemed_without_redemption"): ("t4",),
        ("redemptions", "redemption_of_another_type"): ("r",),
    }


@pytest.mark.slow
def test_stated_balances(any_ledger: str) -> None:
    fill(
        any_ledger,
        customers=[
            {"customer_id": "c", "stated_balance": Decimal("12.50")},
            {"customer_id": "d", "stated_balance": Decimal(1)},
        ],
        cards=[
            {"card_id": "k", "customer_id": "c", "stated_balance": Decimal("2.25")},
            {"card_id": "l", "stated_balance": Decimal(7)},
        ],
        transactions=[transaction("own", "10.25"), transaction("card", "2.25", card_id="k")],
    )
    violations = [
        (v.relation, v.row_ids) for v in check(Source(any_ledger)) if v.rule == "stated_balance_differs"
    ]
    assert violations == [("cards", ("l",)), ("customers", ("d",))]


@pytest.mark.slow
def test_a_row_of_the_future_and_bad_programs(sqlite_ledger: str) -> None:
    tomorrow = dt.datetime.now(dt.UTC) + DAY
    fill(
        sqlite_ledger,
        programs=[{"program_id": "p", "name": "P", "currency": "euro", "time_zone": "EST5"}],
        transactions=[transaction("late", at=tomorrow), transaction("odd", recorded_at=JANUARY - DAY)],
    )
    assert rows_of(sqlite_ledger) == {
        "bad_currency": ("p",),
        "bad_time_zone": ("p",),
        "created_in_the_future": ("late",),
        "recorded_before_created": ("odd",),
    }


@pytest.mark.slow
def test_the_limit_keeps_the_count(sqlite_ledger: str) -> None:
    fill(sqlite_ledger, transactions=[transaction(f"t{n}", "0") for n in range(9)])
    violation = found(sqlite_ledger, limit=3)["zero_points"]
    assert (violation.count, violation.blocking) == (9, False)
    assert len(violation.row_ids) == 3
