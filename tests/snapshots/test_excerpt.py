"""Rows of one customer, straight out of a ledger of any kind: whole accounts, bound values, an end to the waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from include.errors import BadInput, Transient
from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.people import Name
from include.snapshots import excerpt as excerpts
from include.snapshots import postgres_some
from include.snapshots.excerpt import Excerpt, Holder, looking
from include.snapshots.mapping import Mapping
from include.snapshots.reading import Which
from include.snapshots.source import Source, open_read
from tests.pipeline.people import MAIL, WHO, fill

pytestmark = pytest.mark.slow  # a whole ledger, or hundreds of small transactions

NEEDS = {
    "transactions": BOOKING_COLUMNS,
    "customers": ("customer_id", "email"),
    "vouchers": ("voucher_id", "code", "customer_id"),
}
HOSTILE = [
    "' OR 1=1 --",
    "%",
    "_",
    "\\",
    '"',
    "a'b\"c",
    "$1",
    ":x",
    "{}",
    "[]",
    "x" * 400,
    "日本",
    "\U0001f600",
    "\n",
    " ",
]


@pytest.fixture
def household(any_ledger: str) -> str:
    fill(any_ledger)
    return any_ledger


def taken(url: str, folder: Path, who: Holder, source: Source | None = None) -> Excerpt | None:
    with looking(source or Source(url), None) as ledger:
        return ledger.excerpt(who, NEEDS, folder)


def ids(found: Excerpt, relation: str = "transactions", column: str = "transaction_id") -> list[str]:
    rows: list[str] = pq.read_table(found.snapshot.files[relation][0]).column(column).to_pylist()
    return sorted(rows)


def test_a_customers_rows_and_those_of_the_owned_cards(household: str, tmp_path: Path) -> None:
    found = taken(household, tmp_path, Holder(Name.CUSTOMER, WHO))
    assert found is not None
    assert ids(found) == ["t0", "t1", "t2", "t3", "t7"]
    assert (found.rows, sorted(found.cards)) == (5, ["card-own", "card-shared"])
    assert ids(found, "customers", "customer_id") == [WHO]
    assert ids(found, "vouchers", "voucher_id") == ["v1", "v2"]


def test_a_card_of_nobody_and_whom_nobody_knows(household: str, tmp_path: Path) -> None:
    found = taken(household, tmp_path, Holder(Name.CARD, "card-free"))
    assert found is not None
    assert ids(found) == ["t4"]
    for name in ("nobody", WHO.upper(), f"{WHO} ", *HOSTILE):
        assert taken(household, tmp_path, Holder(Name.CUSTOMER, name)) is None, name


@pytest.mark.parametrize("fit", ["is", "begins", "folded", "contains"])
def test_values_are_values_whatever_they_look_like(household: str, fit: Any) -> None:
    with open_read(Source(household), values=False) as reading:
        for value in HOSTILE:
            for relation, column in (("customers", "customer_id"), ("customers", "email")):
                which = Which(column, (value,), fit)
                rows = [
                    row
                    for batch in reading.stream_some(relation, (column,), which)
                    for row in batch.to_pylist()
                ]
                assert rows == [], (fit, value)
        # The database transaction is as it was: nothing broke, nothing changed.
        assert sum(len(batch) for batch in reading.stream("customers", ("customer_id",))) == 3


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Which("customer_id", (WHO, "customer-0003", "nobody")), [WHO, "customer-0003"]),
        (Which("customer_id", ("customer-000",), "begins"), [WHO, "customer-0002", "customer-0003"]),
        (Which("customer_id", ("customer-000",), "begins", 2), [WHO, "customer-0002"]),
        (Which("customer_id", ("ustomer",), "begins"), []),
        (Which("email", (MAIL.upper(),), "folded"), [WHO]),
        (Which("name", ("MARTIN",), "contains"), [WHO, "customer-0002"]),
        (Which("name", ("mart%",), "contains"), []),
        (Which("phone", ("+33100000001",)), [WHO, "customer-0002"]),
    ],
)
def test_which_rows(household: str, which: Which, expected: list[str]) -> None:
    with open_read(Source(household), values=False) as reading:
        columns = tuple(dict.fromkeys(("customer_id", which.column)))
        rows = [
            row["customer_id"]
            for batch in reading.stream_some("customers", columns, which)
            for row in batch.to_pylist()
        ]
    assert sorted(rows) == expected


def test_several_looks_on_one_reading_and_one_left_early(household: str) -> None:
    with open_read(Source(household), values=False) as reading:
        first = reading.stream_some(
            "transactions", ("transaction_id", "customer_id"), Which("customer_id", (WHO,))
        )
        next(first)
        first.close()
        for _ in range(3):
            rows = list(
                reading.stream_some("cards", ("card_id",), Which("card_id", ("card-own", "card-free")))
            )
            assert sum(map(len, rows)) == 2


INTEGERS = """
CREATE TABLE points (id INTEGER PRIMARY KEY, member INTEGER, card INTEGER, kind VARCHAR(20), amount INTEGER, at VARCHAR(40));
CREATE TABLE members (id INTEGER PRIMARY KEY, mail VARCHAR(80));
CREATE TABLE plastic (id INTEGER PRIMARY KEY, member INTEGER);
INSERT INTO members VALUES (7, 'Seven@x.org'), (70, 'seventy@x.org'), (8, NULL);
INSERT INTO plastic VALUES (1, 7), (2, NULL);
INSERT INTO points VALUES (1, 7, NULL, 'earned', 100, '2026-01-01T00:00:00+00:00'), (2, 70, NULL, 'earned', 5, '2026-01-01T00:00:00+00:00'),
  (3, 8, 1, 'earned', 3, '2026-01-02T00:00:00+00:00'), (4, 7, 2, 'earned', 1, '2026-01-02T00:00:00+00:00'), (5, 7, NULL, 'redeemed', -40, '2026-01-03T00:00:00+00:00')
"""  # fmt: skip


def mapped(url: str) -> Source:
    """A ledger whose ids are numbers."""
    kind = sa.make_url(url).get_backend_name()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in INTEGERS.strip().split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    at = "at::timestamptz" if kind == "postgresql" else "at"
    queries = {
        "programs": "SELECT 'p' AS program_id, 'P: one' AS name, 'EUR' AS currency, 'UTC' AS time_zone",
        "customers": "SELECT id AS customer_id, mail AS email FROM members",
        "cards": "SELECT id AS card_id, member AS customer_id FROM plastic",
        "transactions": f"SELECT id AS transaction_id, 'p' AS program_id, member AS customer_id, card AS card_id, kind AS type, amount AS points, {at} AS created_at FROM points",
    }
    return Source(url, Mapping(queries, "numbers.yaml"))


def test_a_mapped_ledger_whose_ids_are_numbers(any_ledger: str, tmp_path: Path) -> None:
    source = mapped(any_ledger)
    found = taken(any_ledger, tmp_path, Holder(Name.CUSTOMER, "7"), source)
    assert found is not None
    assert ids(found) == ["1", "3", "5"]  # 3 is on the card that 7 owns; 4 is on one that nobody owns
    for name in ("07", "7.0", "+7", " 7", "7 ", "7e0", "x", "99999999999999999999", "-7"):
        assert taken(any_ledger, tmp_path, Holder(Name.CUSTOMER, name), source) is None, name


@pytest.mark.servers
def test_postgres_finds_numbers_and_texts_by_their_indexes(postgres_ledger: str) -> None:
    from include.snapshots.postgres import PostgresReading

    source = mapped(postgres_ledger)
    engine = sa.create_engine(postgres_ledger.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO points SELECT n, n, NULL, 'earned', 1, '2026-01-01' FROM generate_series(100, 20000) n"
        )
        connection.exec_driver_sql("CREATE INDEX ON points (member)")
        connection.exec_driver_sql("ANALYZE points")
    engine.dispose()
    with open_read(source, values=False) as reading:
        assert isinstance(reading, PostgresReading)
        which = Which("customer_id", ("777",))
        [batch] = reading.stream_some("transactions", ("transaction_id", "customer_id"), which)
        assert batch.column("transaction_id").to_pylist() == ["777"]
        origin = reading._origins["transactions"]
        condition = postgres_some.condition(origin, reading._types["transactions", "customer_id"], which)
        plan = reading._rows(f"EXPLAIN SELECT 1 FROM {origin.clause} WHERE {condition}")
    assert "Index" in str(plan)


def test_a_read_that_takes_too_long_is_ended(any_ledger: str) -> None:
    fill(any_ledger)
    many = "FROM customers a" + "".join(f", transactions {name}" for name in "bcdefghij")
    queries = {
        name: f"SELECT * FROM {name}" for name in ("programs", "transactions")
    } | {"customers": f"SELECT MAX(CONCAT(a.customer_id, b.transaction_id)) AS customer_id {many} WHERE b.points <> j.points + 7"}  # fmt: skip
    if any_ledger.startswith("sqlite"):
        queries["customers"] = queries["customers"].replace(
            "CONCAT(a.customer_id, b.transaction_id)", "a.customer_id || b.transaction_id"
        )
    source = replace(Source(any_ledger, Mapping(queries, "slow.yaml")), statement_seconds=2)
    with pytest.raises(Transient), looking(source, None) as ledger:
        ledger.table("customers", ("customer_id",), Which("customer_id", ("x",)))


def test_more_cards_than_are_looked_at(
    sqlite_ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_ledger)
    monkeypatch.setattr(excerpts, "MOST_CARDS", 1)
    with pytest.raises(BadInput, match="cards"):
        taken(sqlite_ledger, tmp_path, Holder(Name.CUSTOMER, WHO))


def test_ids_in_several_statements(
    sqlite_ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_ledger)
    monkeypatch.setattr(excerpts, "IDS_AT_ONCE", 1)
    found = taken(sqlite_ledger, tmp_path, Holder(Name.CUSTOMER, WHO))
    assert found is not None
    assert ids(found) == ["t0", "t1", "t2", "t3", "t7"]


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_any_text_is_looked_for_as_it_is(household_of_texts: Callable[[str], list[str]], text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert household_of_texts(text) == []
    assert household_of_texts(WHO) == [WHO]


@pytest.fixture(scope="module")
def household_of_texts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('texts') / 'ledger.sqlite'}"
    fill(url)

    def look(text: str) -> list[str]:
        with looking(Source(url), None) as ledger:
            return (
                ledger.table("customers", ("customer_id",), Which("customer_id", (text,)))
                .column(0)
                .to_pylist()
            )

    return look
