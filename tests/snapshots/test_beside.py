"""Two connections that read the same state of one PostgreSQL ledger at the same time."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from include.errors import Transient
from include.snapshots import attempt, canonical
from include.snapshots.source import Source, open_read
from tests.snapshots.ledgers import Desk, ledger, transactions

pytestmark = pytest.mark.servers


def rows(reading, relation):
    return sum(len(batch) for batch in reading.stream(relation, [f"{relation[:-1]}_id"]))


def test_both_see_the_ledger_as_it_was_when_the_first_began(postgres_ledger):
    engine = ledger(postgres_ledger, rows=100)
    tables = canonical.METADATA.tables
    with open_read(Source(postgres_ledger)) as reading:
        with engine.begin() as connection:
            connection.execute(tables["transactions"].insert(), transactions(100, 50))
            connection.execute(tables["customers"].insert(), [{"customer_id": "new"}])
        with reading.beside() as other:
            assert other is not None
            first, second = (
                reading.stream("transactions", ["points"]),
                other.stream("customers", ["customer_id"]),
            )
            assert len(next(first)) == 100  # while both streams are open
            assert [len(batch) for batch in second] == [1]
            assert not list(first)
        assert rows(reading, "customers") == 1
    with open_read(Source(postgres_ledger)) as later:
        assert (rows(later, "transactions"), rows(later, "customers")) == (150, 2)


def test_a_server_that_gives_no_second_connection_is_read_by_one(postgres_ledger, tmp_path):
    engine = ledger(postgres_ledger, rows=100)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP ROLE IF EXISTS reads_once"))
        connection.execute(sa.text("CREATE ROLE reads_once LOGIN CONNECTION LIMIT 1"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads_once"))
    once = sa.make_url(postgres_ledger).set(username="reads_once").render_as_string(hide_password=False)
    with open_read(Source(once)) as reading, reading.beside() as other:
        assert other is None
        assert rows(reading, "transactions") == 100
    assert {name: held.rows for name, held in Desk(tmp_path, once).take().relations.items()} == {
        "transactions": 100,
        "customers": 1,
    }


@pytest.mark.parametrize("broken", ["transactions", "customers"])
def test_an_error_of_either_ends_both_and_leaves_nothing(postgres_ledger, tmp_path, monkeypatch, broken):
    ledger(postgres_ledger, rows=100)
    desk, threads = Desk(tmp_path, postgres_ledger), set()
    real = attempt.Attempt._stream

    def stream(self, reading, relation, *rest, **options):
        threads.add(threading.current_thread().name)
        if relation == broken:
            raise Transient(f"{relation}: the connection is gone")
        return real(self, reading, relation, *rest, **options)

    monkeypatch.setattr(attempt.Attempt, "_stream", stream)
    with pytest.raises(Transient, match=f"{broken}: the connection is gone"):
        desk.take()
    assert len(threads) == 2
    assert not list(tmp_path.rglob("*.parquet"))
    monkeypatch.undo()
    assert desk.take().relations["transactions"].rows == 100
