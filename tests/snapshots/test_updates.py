"""Relations whose rows change in place are not read whole where the mapping vouches for `updated_at`.

Guards docs/scale.md, "Rows that change".
"""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import BadInput
from include.snapshots import canonical, extract, mapping, parquet, updates
from include.snapshots.mapping import Mapping
from include.snapshots.source import Source
from tests.snapshots.ledgers import Desk, ledger

DAY = timedelta(days=1)
CUSTOMERS = canonical.METADATA.tables["customers"]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NEEDS = {"customers": ("customer_id", "name"), "transactions": ("transaction_id", "points", "created_at")}


class Members(Desk):
    """A mapped ledger of a hundred customers, in files of twenty, all updated long ago."""

    def __init__(self, folder, url, trusted=frozenset({"customers"})):
        super().__init__(folder, url)
        self.engine = ledger(url, 0)
        instant = "updated_at"
        if self.engine.dialect.name == "sqlite":
            instant = "strftime('%Y-%m-%dT%H:%M:%S+00:00', updated_at / 1000000, 'unixepoch') AS updated_at"
        queries = {
            "programs": "SELECT program_id, name, currency, time_zone FROM programs",
            "customers": f"SELECT customer_id, name, {instant} FROM customers",
            "transactions": "SELECT transaction_id, program_id, customer_id, type, points, created_at FROM transactions",
        }
        self.source = Source(url, Mapping(queries, "mapping.yaml", trusted))
        self.write(CUSTOMERS.delete())
        self.add(*range(100), at=LONG_AGO)

    def write(self, statement, *rows):
        with self.engine.begin() as connection:
            connection.execute(statement, *rows)

    def add(self, *numbers, at=None):
        rows = [
            {"customer_id": f"c{n:03d}", "name": "Ada", "updated_at": at or datetime.now(UTC)}
            for n in numbers
        ]
        self.write(CUSTOMERS.insert(), rows)

    def change(self, number, **values):
        mine = CUSTOMERS.c.customer_id == f"c{number:03d}"
        self.write(CUSTOMERS.update().where(mine).values(**values))

    def remove(self, number):
        self.write(CUSTOMERS.delete().where(CUSTOMERS.c.customer_id == f"c{number:03d}"))

    def next(self, **changes):
        last = self.state.snapshots.all_of(self.key)[0] if self.state.snapshots.sources() else None
        fresh = {} if last is None else {"not_before": last.read_at + timedelta(microseconds=1)}
        asked = {"needs": NEEDS, "whole_every": 30 * DAY, "settle_delay": timedelta(0)}
        return self.take(**(asked | fresh | changes))

    @property
    def key(self):
        return self.state.snapshots.sources()[0]

    def names(self, manifest):
        files = extract.local(self.store, manifest, ["customers"], self.folder / manifest.id)["customers"]
        rows = pa.concat_tables(map(pq.read_table, files)).to_pylist()
        assert len(rows) == len({row["customer_id"] for row in rows}) == manifest.relations["customers"].rows
        return {row["customer_id"]: row["name"] for row in rows}

    def truth(self):
        with self.engine.connect() as connection:
            return {row.customer_id: row.name for row in connection.execute(CUSTOMERS.select())}


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(parquet, "FILE_ROWS", 20)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 10)
    monkeypatch.setattr("include.snapshots.copy_stream.BLOCK_BYTES", 500)


@pytest.fixture
def members(any_ledger, tmp_path):
    return Members(tmp_path, any_ledger)


def files(manifest):
    return {file.key for file in manifest.relations["customers"].files}


def test_what_was_updated_is_read_and_the_rest_is_shared(members):
    """Before: 100 customers. Applied: one renamed, one new. After: two rows read, all files but one shared."""
    first = members.next()
    assert first.rows_read == 100
    members.change(7, name="Eva", updated_at=datetime.now(UTC))
    members.add(100)
    second = members.next()
    assert second.rows_read == 2
    assert len(files(first) - files(second)) == 1
    assert members.names(second) == members.truth()
    assert members.names(second)["c007"] == "Eva"
    third = members.next()  # rows of the last day are read again
    assert (third.rows_read, members.names(third)) == (2, members.truth())


def test_a_row_that_does_not_say_when_is_always_read(members):
    members.next()
    members.change(7, name="Eva", updated_at=None)
    second = members.next()
    assert (second.rows_read, members.names(second)["c007"]) == (1, "Eva")


def test_where_rows_are_gone_all_are_read(members, caplog):
    members.next()
    members.remove(7)
    members.add(100)
    second = members.next()
    assert members.names(second) == members.truth()
    assert second.rows_read >= 100
    assert "101 rows are known, and there are 100; it is read whole" in caplog.text


def test_who_is_not_vouched_for_is_read_whole(any_ledger, tmp_path):
    """A change that did not set `updated_at` is what trust is about."""
    members = Members(tmp_path, any_ledger, frozenset())
    members.next()
    members.change(7, name="Eva")
    second = members.next()
    assert (second.rows_read, members.names(second)["c007"]) == (100, "Eva")


def test_all_are_read_when_other_columns_are_wanted_or_a_file_is_gone_or_too_many_changed(
    sqlite_ledger, tmp_path, monkeypatch
):
    members = Members(tmp_path, sqlite_ledger)
    first = members.next()
    assert members.next(needs=NEEDS | {"customers": ("customer_id", "updated_at")}).rows_read == 100
    first = members.next()
    members.store.path(min(files(first))).unlink()
    again = members.next()
    assert (again.rows_read, members.names(again)) == (100, members.truth())
    monkeypatch.setattr(updates, "MOST_ROWS", 3)
    for number in range(4):
        members.change(number, name="Eva", updated_at=datetime.now(UTC))
    last = members.next()
    assert (last.rows_read, members.names(last)) == (100, members.truth())


def test_a_file_of_the_base_that_is_damaged_is_read_again(sqlite_ledger, tmp_path):
    members = Members(tmp_path, sqlite_ledger)
    path = members.store.path(max(files(members.next())))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    members.change(7, name="Eva", updated_at=datetime.now(UTC))
    again = members.next()
    assert (again.rows_read, members.names(again)) == (100, members.truth())


def test_what_is_wrong_with_it_is_told_at_once():
    queries = {"customers": "SELECT 1"}
    document = {"relations": queries, "trust_updated_at": ["customers", "transactions", "cards"]}
    with pytest.raises(BadInput) as told:
        mapping.parse(document, "mapping.yaml")
    can = "relations that have `updated_at` are customers, cards, vouchers, orders"
    assert [(problem.where, problem.value, problem.right) for problem in told.value.problems] == [
        ("mapping.yaml: trust_updated_at", "transactions", can),
        ("mapping.yaml: trust_updated_at", "cards", "give a query for it too"),
    ]
    with pytest.raises(BadInput, match="write a list of relations"):
        mapping.parse(document | {"trust_updated_at": "customers"}, "mapping.yaml")


def test_a_query_without_it_is_told_when_the_ledger_is_opened(any_ledger, tmp_path):
    members = Members(tmp_path, any_ledger)
    queries = {**members.source.mapping.queries, "customers": "SELECT customer_id, name FROM customers"}
    members.source = Source(any_ledger, Mapping(queries, "mapping.yaml", frozenset({"customers"})))
    with pytest.raises(BadInput, match=r"customers, column updated_at: 'missing': trust_updated_at needs it"):
        members.next()
