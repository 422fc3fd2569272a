"""A snapshot that begins from an earlier one holds what a whole reading holds, and shares the files that say the same.

Guards docs/scale.md, "Incremental snapshots".
"""

import hashlib
import tempfile
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import NotYet, Permanent, Transient
from include.ledger.catalog import RELATIONS
from include.snapshots import canonical, extract, parquet, registry
from include.snapshots.days import midnight, row_days
from include.snapshots.increment import TURNS, begin
from include.snapshots.local import Damaged
from include.snapshots.mapping import Mapping
from include.snapshots.proof import load
from include.snapshots.source import Source, open_read
from include.snapshots.store import Missing
from include.state.audit import Action
from tests.snapshots.ledgers import START, Desk, ledger
from tests.state.racing import race

DAY = timedelta(days=1)
TRANSACTIONS = canonical.METADATA.tables["transactions"]
COLUMNS = (
    "transaction_id", "program_id", "customer_id", "type", "points", "created_at", "recorded_at", "expires_at",
    "reason",
)  # fmt: skip
NEEDS = {"transactions": COLUMNS, "customers": ("customer_id", "name", "registered_at")}


def row(number, day, points="1.25", **more):
    base = {"transaction_id": f"t{number:06d}", "program_id": "p", "customer_id": "c", "type": "earned"}
    return {**base, "points": Decimal(points), "created_at": START + day * DAY, **more}


def add(engine, *rows):
    with engine.begin() as connection:
        for each in rows:
            connection.execute(TRANSACTIONS.insert(), each)


def change(engine, number, **values):
    with engine.begin() as connection:
        mine = TRANSACTIONS.c.transaction_id == f"t{number:06d}"
        connection.execute(TRANSACTIONS.update().where(mine).values(**values))


def remove(engine, number):
    with engine.begin() as connection:
        connection.execute(TRANSACTIONS.delete().where(TRANSACTIONS.c.transaction_id == f"t{number:06d}"))


class Days(Desk):
    """A desk whose snapshots begin from one another; every one is asked for anew."""

    def next(self, **changes):
        asked = {"needs": NEEDS, "whole_every": timedelta(days=30)}
        last = self.state.snapshots.all_of(self.key)[0] if self.state.snapshots.sources() else None
        fresh = {} if last is None else {"not_before": last.read_at + timedelta(microseconds=1)}
        return self.take(**(asked | fresh | {"settle_delay": timedelta(0)} | changes))

    @property
    def key(self):
        return self.state.snapshots.sources()[0]

    def rows(self, manifest):
        """All rows by relation, by key: what a report can see of a snapshot."""
        with tempfile.TemporaryDirectory() as folder:
            files = extract.local(self.store, manifest, manifest.relations, Path(folder))
            key = {"transactions": "transaction_id", "customers": "customer_id"}
            return {
                name: pa.concat_tables(map(pq.read_table, paths)).sort_by(key[name]).to_pylist()
                if paths
                else []
                for name, paths in files.items()
            }

    def same_as_whole(self, manifest):
        """Compare with a whole reading of the same ledger, taken now."""
        with tempfile.TemporaryDirectory() as folder:
            whole = Desk(Path(folder), self.url)
            whole.source = self.source
            other = whole.take(needs=NEEDS)
            assert self.rows(manifest) == Days.rows(whole, other)
            assert manifest.totals == other.totals
            for name, held in manifest.relations.items():
                assert (held.rows, held.columns) == (
                    other.relations[name].rows,
                    other.relations[name].columns,
                )


@pytest.fixture
def desk(any_ledger, tmp_path):
    """Forty days with ten rows each, in files of a hundred rows."""
    engine = ledger(any_ledger, 0)
    add(engine, [row(day * 10 + place, day) for day in range(40) for place in range(10)])
    made = Days(tmp_path, any_ledger)
    made.engine = engine
    return made


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 50)
    monkeypatch.setattr(parquet, "FILE_ROWS", 100)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 50)
    monkeypatch.setattr("include.snapshots.copy_stream.BLOCK_BYTES", 2000)


def keys(manifest):
    return [file.key for file in manifest.relations["transactions"].files]


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


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", [damage, Path.unlink])
@pytest.mark.parametrize("place", [1, -1])  # a file that is shared, and one that is cut
def test_a_file_of_the_base_that_is_damaged_is_read_again(sqlite_ledger, tmp_path, how, place):
    engine = ledger(sqlite_ledger, 0)
    add(engine, [row(day * 10 + n, day) for day in range(40) for n in range(10)])
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    how(desk.store.path(keys(first)[place]))
    add(engine, row(400, 39))
    second = desk.next()
    if how is damage and place == 1:  # nobody has read it yet; whoever does takes the snapshot out of use
        with pytest.raises(Damaged):
            extract.local(desk.store, second, NEEDS, tmp_path / "l", state=desk.state)
        second = desk.next()
    desk.same_as_whole(second)
    assert keys(first)[place] not in keys(second)
    assert keys(first)[0] in keys(second)


def test_a_proof_that_is_not_what_it_was_proves_nothing(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    damage(desk.store.path(first.proof.key))
    assert load(desk.store, first.proof) is None
    assert desk.next().increment is None


def test_retention_never_takes_a_file_that_a_kept_snapshot_names(desk):
    made = [desk.next()]
    for day in range(40, 44):
        add(desk.engine, row(day * 10, day))
        made.append(desk.next(holder="backfill" if day == 41 else None))
    retired = registry.retire(desk.store, desk.state, older_than=timedelta(0))
    assert set(retired) == {made[0].id, made[1].id, made[3].id}
    named = made[2].keys() | made[4].keys()
    assert {key for key in desk.stored() if "/attempts/" in key} == named
    for kept in (made[2], made[4]):
        assert len(desk.rows(kept)["transactions"]) == kept.totals.rows
    desk.state.snapshots.unrefer(made[2].id, "backfill")
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == [made[2].id]
    assert {key for key in desk.stored() if "/attempts/" in key} == made[4].keys()
    assert registry.sweep(desk.store, desk.key, timedelta(0)) == 0
    with pytest.raises(Missing):
        registry.load(desk.store, desk.state, made[0].id)
    desk.same_as_whole(desk.next())


def test_retention_waits_while_a_snapshot_is_being_taken(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    desk.next()
    lease = desk.state.leases.acquire(f"snapshot {desk.key}", "an attempt", DAY)
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == []
    desk.state.leases.release(lease)
    assert registry.retire(desk.store, desk.state, older_than=timedelta(0)) == [first.id]


def test_a_full_disk_leaves_the_base_whole(sqlite_ledger, tmp_path, monkeypatch):
    engine = ledger(sqlite_ledger, 0)
    add(engine, [row(day * 10 + n, day) for day in range(40) for n in range(10)])
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    before = desk.stored()
    add(engine, row(400, 39))
    writing = parquet.pq.ParquetWriter.write_table

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", full)
    with pytest.raises(Permanent, match="No space left"):
        desk.next()
    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", writing)
    assert desk.stored() == before
    second = desk.next()
    assert second.increment.base == first.id
    desk.same_as_whole(second)


def test_only_a_snapshot_without_the_same_people_is_begun_from(sqlite_ledger, tmp_path):
    ledger(sqlite_ledger, 10)
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    asked = {"read_at": first.read_at + DAY, "whole_every": 9 * DAY, "scratch": tmp_path}
    assert begin(desk.store, desk.state, desk.key, erasures=None, **asked).manifest == first
    assert begin(desk.store, desk.state, desk.key, erasures="another", **asked) is None


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


def test_shared_files_are_what_their_manifests_say(desk):
    desk.next()
    add(desk.engine, row(400, 39))
    for file in (each for held in desk.next().relations.values() for each in held.files):
        assert hashlib.sha256(desk.store.read(file.key)).hexdigest() == file.sha256


def test_postgres_and_others_say_the_same_of_a_ledger(desk):
    """Counts and points of every day, whatever computes them."""
    with open_read(desk.source) as reading:
        found = reading.day_totals("transactions", COLUMNS)
    first = (START - midnight(0)).days
    assert {day - first: total[:2] for day, total in found.days.items()} == dict.fromkeys(
        range(40), (10, 1250)
    )


@pytest.mark.slow
def test_many_processes_begin_one_snapshot(sqlite_ledger, tmp_path):
    engine = ledger(sqlite_ledger, 0)
    add(engine, [row(day * 10 + n, day) for day in range(40) for n in range(10)])
    desk = Days(tmp_path, sqlite_ledger)
    first = desk.next()
    add(engine, row(400, 39))
    after = first.read_at + timedelta(microseconds=1)
    made = race(next_until_there, [(tmp_path, sqlite_ledger, after) for _ in range(6)])
    assert set(made) == {f"{desk.key}-2"}
    second = registry.load(desk.store, desk.state, made[0])
    assert second.increment.base == first.id
    assert {key for key in desk.stored() if "/attempts/" in key} == first.keys() | second.keys()
    desk.same_as_whole(second)


def next_until_there(folder, url, after):
    desk = Days(folder, url)
    while True:
        try:
            return desk.next(not_before=after).id
        except NotYet:
            time.sleep(0.05)


@pytest.mark.servers
def test_a_server_that_goes_away_meanwhile_leaves_the_base_whole(postgres_ledger, tmp_path):
    engine = ledger(postgres_ledger, 0)
    add(engine, [row(day * 10 + n, day) for day in range(40) for n in range(10)])
    desk = Days(tmp_path, postgres_ledger)
    first = desk.next()
    before = desk.stored()
    add(engine, row(400, 39))

    def ended(stage, *_):
        if stage == "snapshot customers":
            with engine.connect() as connection:
                mine = "pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()"
                connection.exec_driver_sql(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"
                )

    with pytest.raises(Transient):
        desk.next(progress=ended)
    assert desk.stored() == before
    second = desk.next()
    assert second.increment.base == first.id
    desk.same_as_whole(second)


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
