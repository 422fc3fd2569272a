"""Connections are kept between looks, see what was written meanwhile, and are given up when they are no good."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from include import sample
from include.errors import Transient
from include.sample.plan import Plan
from include.snapshots import kept
from include.snapshots.kept import Connections
from include.snapshots.reading import Which
from include.snapshots.source import Source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=10, transactions=50))
    return Source(url)


def names(connections: Connections, source: Source) -> set[str]:
    with connections.reading(source) as reading:
        return {
            row["name"]
            for batch in reading.stream("customers", ["customer_id", "name"])
            for row in batch.to_pylist()
        }


def rename(source: Source) -> None:
    engine = sa.create_engine(source.url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE customers SET name = 'Renamed'"))
    engine.dispose()


def opened(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """The sources that are really opened."""
    found: list[Source] = []
    real = kept.open_read

    def counted(source: Source, **how: bool):
        found.append(source)
        return real(source, **how)

    monkeypatch.setattr(kept, "open_read", counted)
    return found


def test_a_connection_serves_again_and_sees_what_is_new(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, connections = opened(monkeypatch), Connections()
    names(connections, source)
    with connections.reading(source) as reading:
        before = reading.read_at
    rename(source)
    assert names(connections, source) == {"Renamed"}
    with connections.reading(source) as reading:
        assert reading.read_at >= before
        assert (
            len(list(reading.stream_some("customers", ["customer_id"], Which("customer_id", ("c0000001",)))))
            == 1
        )
    assert len(times) == 1
    connections.close()


def test_two_looks_at_once_have_a_connection_each(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    times, connections = opened(monkeypatch), Connections()
    with connections.reading(source), connections.reading(source):
        pass
    assert len(times) == 2
    connections.close()


def test_what_failed_is_not_kept(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    times, connections = opened(monkeypatch), Connections()
    with pytest.raises(ZeroDivisionError), connections.reading(source):
        _ = 1 // 0
    names(connections, source)
    assert len(times) == 2
    connections.close()


def test_an_old_connection_and_one_of_a_parent_are_opened_anew(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, connections = opened(monkeypatch), Connections()
    names(connections, source)
    monkeypatch.setattr(kept, "SECONDS", -1.0)
    connections.close()
    names(connections, source)
    names(connections, source)
    assert len(times) == 3
    monkeypatch.setattr(kept, "SECONDS", 60.0)
    connections.close()
    names(connections, source)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    names(connections, source)
    assert len(times) == 5


def test_a_connection_that_the_database_has_cut_is_replaced(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, connections = opened(monkeypatch), Connections()
    with connections.reading(source) as reading:
        monkeypatch.setattr(reading, "again", cut)
    assert names(connections, source)
    assert len(times) == 2
    connections.close()


def cut() -> None:
    raise Transient("the database was restarted")


@pytest.mark.servers
@pytest.mark.slow
def test_postgresql_sees_what_is_new_and_is_opened_anew_when_it_was_cut(
    postgres_ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample.load(postgres_ledger, Plan(customers=10, transactions=50))
    times, connections, source = opened(monkeypatch), Connections(), Source(postgres_ledger)
    assert len(names(connections, source)) > 1
    engine = sa.create_engine(postgres_ledger)
    with engine.begin() as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
        assert connection.execute(sa.text(waiting)).scalar_one() == 0
        connection.execute(sa.text("UPDATE customers SET name = 'Renamed'"))
    assert names(connections, source) == {"Renamed"}
    assert len(times) == 1
    with engine.begin() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(sa.text(cut))
    engine.dispose()
    assert names(connections, source) == {"Renamed"}
    assert len(times) == 2
    connections.close()


def test_what_the_driver_cannot_read_is_an_error_of_ours(source: Source) -> None:
    engine = sa.create_engine(source.url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE customers SET name = CAST(x'ff' AS TEXT)"))
    engine.dispose()
    with pytest.raises(Transient, match="decode"):
        names(Connections(), source)


def test_one_statement_serves_other_values_and_other_columns(source: Source) -> None:
    with Connections().reading(source) as reading:
        ids = [
            each for batch in reading.stream("customers", ["customer_id"]) for each in batch[0].to_pylist()
        ]
        for some in (ids[:1], ids[1:2], ids[:2], ids):
            for columns in (["customer_id"], ["customer_id", "name"]):
                found = reading.stream_some("customers", columns, Which("customer_id", tuple(some)))
                rows = [row for batch in found for row in batch.to_pylist()]
                assert sorted(row["customer_id"] for row in rows) == sorted(some)
                assert all(set(row) == set(columns) for row in rows)
