"""A snapshot that begins from an earlier one holds what a whole reading holds: what is new, late, changed or gone.

Guards docs/scale.md, "Incremental snapshots".
"""

import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ledger.catalog import RELATIONS
from include.snapshots import canonical
from include.snapshots.days import midnight, row_days
from include.snapshots.increment import TURNS
from include.snapshots.mapping import Mapping
from include.snapshots.source import Source, open_read
from include.state.audit import Action
from tests.snapshots.days import (
    COLUMNS,
    DAY,
    NEEDS,
    TRANSACTIONS,
    Days,
    add,
    change,
    forty_days,
    keys,
    remove,
    row,
    small_files,
)
from tests.snapshots.ledgers import START, ledger


@pytest.fixture
def desk(any_ledger, tmp_path):
    return forty_days(any_ledger, tmp_path)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_files(monkeypatch)


def test_what_is_new_is_read_and_the_rest_is_shared(desk):
    first = desk.next()
    assert (first.rows_read, first.increment, first.whole_at) == (401, None, first.read_at)
    add(desk.engine, row(400, 39), row(401, 40))
    second = desk.next()
    assert (second.rows_read, second.increment.base, second.whole_at) == (12, first.id, first.read_at)
    assert keys(second)[:-2] == keys(first)[:-1]  # of the last file a day is cut out
    assert [file.rows for file in second.relations["transactions"].files][-1] == 12
    assert second.relations["customers"].files == first.relations["customers"].files
    desk.same_as_whole(second)
    third = desk.next()
    assert (third.rows_read, keys(third), third.increment.differs) == (0, keys(second), None)
    desk.same_as_whole(third)


def test_rows_that_an_append_only_ledger_does_not_have_are_found_and_told(desk, caplog):
    """Before: forty days of ten rows. Applied: one late, one changed, one gone, one of today. After: told by name."""
    first = desk.next()
    add(desk.engine, row(900, 3), row(901, 45, recorded_at=first.read_at + DAY))
    change(desk.engine, 55, points=Decimal("7.00"))
    remove(desk.engine, 123)
    second = desk.next()
    told = second.increment
    assert (told.late, told.changed, told.removed, told.days_read) == (1, 1, 1, 4)
    assert set(told.examples) == {"t000900", "t000055", "t000123"}
    assert told.earliest == START + 3 * DAY
    assert told.differs["changed"] == 1
    assert "1 came late, 1 changed, 1 are gone, the first of 2026-01-04" in caplog.text
    [entry] = desk.state.audit.newest(action=Action.SNAPSHOT_TAKEN, limit=1)
    assert entry.detail["differs"] == told.differs
    assert second.rows_read == 11 + 10 + 9 + 1
    desk.same_as_whole(second)


@pytest.mark.parametrize(
    "values",
    [
        {"points": Decimal("1.26")},
        {"type": "adjusted"},
        {"customer_id": "d"},
        {"expires_at": START + 99 * DAY},
        {"created_at": START + timedelta(hours=1)},
        {"recorded_at": START + timedelta(hours=1)},
    ],
)
def test_a_change_of_what_is_booked_is_found_where_counts_and_days_are_the_same(desk, values):
    desk.next()
    change(desk.engine, 5, **values)
    second = desk.next()
    assert (second.increment.changed, second.rows_read) == (1, 10)
    desk.same_as_whole(second)


def test_two_rows_that_swap_their_points_are_found(desk):
    change(desk.engine, 5, points=Decimal("2.00"))
    desk.next()
    change(desk.engine, 5, points=Decimal("1.25"))
    change(desk.engine, 6, points=Decimal("2.00"))
    second = desk.next()
    assert second.increment.changed == 2
    desk.same_as_whole(second)


def test_changed_customers_are_read_again(desk):
    customers = canonical.METADATA.tables["customers"]
    with desk.engine.begin() as connection:
        many = [{"customer_id": f"x{n}", "name": "A", "registered_at": START + n * DAY} for n in range(20)]
        connection.execute(customers.insert(), many)
    desk.next()
    with desk.engine.begin() as connection:
        connection.execute(customers.update().where(customers.c.customer_id == "x7").values(name="B"))
    second = desk.next()
    assert second.rows_read == 1
    desk.same_as_whole(second)


def test_the_ledger_is_read_whole_when_it_should_be(desk):
    first = desk.next()
    with desk.engine.begin() as connection:  # most days differ
        connection.execute(TRANSACTIONS.update().values(points=Decimal("3.00")))
    made = desk.next()
    assert made.rows_read == 400
    desk.same_as_whole(made)
    for changes in (
        {"whole_every": timedelta(microseconds=1)},
        {"needs": {**NEEDS, "transactions": (*COLUMNS, "order_id")}},
        {"whole_every": timedelta(0)},
    ):
        before, made = made, desk.next(**changes)
        assert made.rows_read >= 400, changes
        assert not set(keys(made)) & {*keys(before), *keys(first)}
    assert made.proof is None


def test_days_that_were_long_over_are_proven_in_turn(desk):
    """Of the last 10,000 days each is proven: all. Of the last one: a change is found within seven snapshots."""
    desk.next()
    change(desk.engine, 55, points=Decimal("7.00"))
    add(desk.engine, row(400, 0, recorded_at=desk.state.snapshots.all_of(desk.key)[0].read_at))
    found = [desk.next(proof_days=1) for _ in range(TURNS)]
    assert sorted(made.increment.changed for made in found) == [0] * (TURNS - 1) + [1]
    assert found[0].rows_read in (1, 11)  # what was recorded today is read at once
    assert sum(made.rows_read for made in found) == 11
    desk.same_as_whole(found[-1])
    change(desk.engine, 56, points=Decimal("7.00"))
    assert desk.next(proof_days=10_000).increment.changed == 1


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "late", "change", "remove", "text"]),
        st.integers(0, 15),
        st.integers(-500, 500).filter(bool),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.integers(-3, 12), max_size=40), st.lists(EVENTS, min_size=1, max_size=3))
def test_any_ledger_and_any_changes_give_what_a_whole_reading_gives(days, rounds):
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/ledger.sqlite"
        engine = ledger(url, 0)
        rows = [row(number, day, str(Decimal(number + 1) / 4)) for number, day in enumerate(days)]
        if rows:
            add(engine, rows)
        desk, number = Days(Path(name), url), len(rows)
        desk.next()
        for events in rounds:
            for kind, at, points in events:
                value = Decimal(points) / 100
                if kind in ("add", "late"):
                    recorded = None if kind == "add" else START + 20 * DAY
                    add(engine, row(number, at, str(value), recorded_at=recorded))
                    number += 1
                elif kind == "change":
                    change(engine, at, points=value)
                elif kind == "remove":
                    remove(engine, at)
                else:
                    change(engine, at, related_transaction_id=f"r{points}", expires_at=START + at * DAY)
            desk.same_as_whole(desk.next())


def test_a_row_is_of_the_day_on_which_it_was_recorded():
    at = pa.array([START, START, None], pa.timestamp("us", "UTC"))
    late = pa.array([None, START + 3 * DAY, None], pa.timestamp("us", "UTC"))
    rows = pa.record_batch([at, late], ["created_at", "recorded_at"])
    days = row_days(RELATIONS["transactions"], rows).tolist()
    assert [midnight(day) for day in days[:2]] == [START, START + 3 * DAY]
    assert days[2] < -1_000_000


def test_postgres_and_others_say_the_same_of_a_ledger(desk):
    """Counts and points of every day, whatever computes them."""
    with open_read(desk.source) as reading:
        found = reading.day_totals("transactions", COLUMNS)
    first = (START - midnight(0)).days
    assert {day - first: total[:2] for day, total in found.days.items()} == dict.fromkeys(
        range(40), (10, 1250)
    )


def test_a_mapped_ledger_is_begun_from_too(any_ledger, tmp_path):
    """Queries instead of tables; on SQLite their instants are text and their points have decimals."""
    engine = ledger(any_ledger, 0)
    add(engine, [row(day * 10 + place, day) for day in range(40) for place in range(10)])
    made = "created_at, points"
    if engine.dialect.name == "sqlite":
        made = "strftime('%Y-%m-%dT%H:%M:%S+00:00', created_at / 1000000, 'unixepoch') AS created_at"
        made += ", points / 100.0 AS points"
    queries = {
        "programs": "SELECT program_id, name, currency, time_zone FROM programs",
        "customers": "SELECT customer_id FROM customers",
        "transactions": f"SELECT transaction_id, program_id, customer_id, type, {made} FROM transactions",
    }
    desk = Days(tmp_path, any_ledger)
    desk.source = Source(any_ledger, Mapping(queries, "mapping.yaml"))
    first = desk.next()
    add(engine, row(400, 39), row(401, 40))
    change(engine, 55, points=Decimal("7.00"))
    second = desk.next()
    assert (first.rows_read, second.rows_read) == (401, 10 + 11 + 1 + 1)  # customers say no day
    assert (second.increment.late, second.increment.changed) == (2, 1)  # nothing says when they were recorded
    desk.same_as_whole(second)
