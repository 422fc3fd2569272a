"""What `open_read` guarantees on DuckDB: a file that is only read, in one state, exactly (docs/sources.md)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from include.errors import BadInput, Transient
from include.snapshots import mapping
from include.snapshots.reading import Which
from include.snapshots.source import Source, open_read
from tests.snapshots.ledgers import Desk, ledger
from tests.snapshots.test_source import JANUARY, MICROSECOND, fill, read, transaction, us


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.duckdb"


@pytest.fixture
def url(file: Path) -> str:
    return f"duckdb:///{file}"


def test_every_type_arrives_exact(url: str) -> None:
    engine = fill(
        url,
        transactions=[
            transaction("é😀", "-0.01", JANUARY + MICROSECOND, details='{"a": "ü"}'),
            transaction("later", "99999999999.99", JANUARY),
        ],
        customers=[{"customer_id": "d", "birthdate": dt.date(1990, 2, 28)}],
        rewards=[{"reward_id": "r", "name": "R", "value": Decimal("-12.3456")}],
        vouchers=[{"voucher_id": "v", "code": "V", "active": True, "redemption_count": 2**40}],
    )
    engine.dispose()
    first, second = read(url).to_pylist()
    assert (first["transaction_id"], first["points"]) == ("é😀", -1)
    assert (first["created_at"], first["details"]) == (JANUARY + MICROSECOND, '{"a": "ü"}')
    assert second["points"] == 9999999999999
    assert read(url, "customers").to_pylist()[0]["birthdate"] == dt.date(1990, 2, 28)
    assert read(url, "rewards").to_pylist()[0]["value"] == Decimal("-12.3456")
    voucher = read(url, "vouchers").to_pylist()[0]
    assert (voucher["active"], voucher["redemption_count"]) == (True, 2**40)
    assert read(url, created_before=us(JANUARY + MICROSECOND)).column("transaction_id").to_pylist() == [
        "later"
    ]


def test_nothing_is_written_and_the_clock_is_now(url: str) -> None:
    fill(url).dispose()
    with open_read(Source(url)) as reading:
        assert abs(reading.read_at - us(dt.datetime.now(dt.UTC))) < 60_000_000
        assert not reading.is_replica
        with pytest.raises(sa.exc.DBAPIError, match="read-only"):
            reading._connection.exec_driver_sql("DELETE FROM customers")


def test_some_rows_are_found(url: str) -> None:
    fill(url, transactions=[transaction("a_1"), transaction("A_2"), transaction("b")]).dispose()
    found = {}
    with open_read(Source(url)) as reading:
        for fit, value in (("is", "b"), ("begins", "a"), ("folded", "A_2"), ("contains", "_")):
            which = Which("transaction_id", (value,), fit, limit=5)
            rows = list(reading.stream_some("transactions", ["transaction_id"], which))
            found[fit] = sorted(value for batch in rows for value in batch.column(0).to_pylist())
        reading.rest()
        reading.again()
    assert found == {"is": ["b"], "begins": ["a_1"], "folded": ["A_2"], "contains": ["A_2", "a_1"]}


def test_a_mapped_ledger(file: Path, url: str) -> None:
    """Instants without a zone are refused: a query says of which zone they are."""
    with duckdb.connect(str(file)) as there:
        there.execute(
            "create table moves (id bigint, member varchar, points decimal(9, 1), moved_at timestamp)"
        )
        there.execute("insert into moves values (7, 'm', 2.5, '2026-01-01 12:00:00')")
    query = "SELECT id AS transaction_id, 'p' AS program_id, member AS customer_id, 'earned' AS type, points, {} AS created_at FROM moves"
    others = {
        "programs": "SELECT 'p' AS program_id, 'P' AS name, 'EUR' AS currency, 'UTC' AS time_zone",
        "customers": "SELECT DISTINCT member AS customer_id FROM moves",
    }

    def mapped(at: str) -> Source:
        document = {"relations": {**others, "transactions": query.format(at)}}
        return Source(url, mapping.parse(document, "ledger.yaml"))

    with pytest.raises(BadInput, match="without a time zone"), open_read(mapped("moved_at")):
        pass
    with open_read(mapped("moved_at AT TIME ZONE 'Europe/Paris'")) as reading:
        (batch,) = reading.stream("transactions", ["transaction_id", "points", "created_at"])
    noon = dt.datetime(2026, 1, 1, 11, tzinfo=dt.UTC)
    assert batch.to_pylist() == [{"transaction_id": "7", "points": 250, "created_at": noon}]


@pytest.mark.parametrize("points", ["10.1::DOUBLE", "10.5::FLOAT", "id / 100"])
def test_floats_are_refused_by_name(file: Path, url: str, points: str) -> None:
    with duckdb.connect(str(file)) as there:
        there.execute("create table moves (id bigint, moved_at timestamptz)")
    document = {
        "relations": {
            "programs": "SELECT 'p' AS program_id, 'P' AS name, 'EUR' AS currency, 'UTC' AS time_zone",
            "customers": "SELECT 'm' AS customer_id",
            "transactions": f"SELECT id AS transaction_id, 'p' AS program_id, 'm' AS customer_id, 'earned' AS type, {points} AS points, moved_at AS created_at FROM moves",
        }
    }
    source = Source(url, mapping.parse(document, "ledger.yaml"))
    with pytest.raises(BadInput) as error, open_read(source, values=False):
        pass
    (problem,) = error.value.problems
    assert problem.where == "ledger.yaml, query transactions, column points"
    assert problem.value in {"FLOAT", "DOUBLE"}
    assert problem.right == "select it as DECIMAL or an integer type, not a float"


def test_a_file_that_somebody_writes_to_is_transient(file: Path, url: str) -> None:
    """DuckDB lets one process write, or several read: ours comes back when the writer is done."""
    import subprocess
    import sys

    fill(url).dispose()
    writing = (
        f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", writing], stdin=-1, stdout=-1) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(Transient, match=r"(?i)lock"), open_read(Source(url)):
            pass
        writer.communicate()
    with open_read(Source(url)) as reading:
        assert reading.has("customers")


def test_what_is_no_ledger_is_bad_input(file: Path, url: str) -> None:
    with pytest.raises(BadInput, match="there is no such DuckDB file"), open_read(Source(url)):
        pass
    file.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(BadInput), open_read(Source(url)):
        pass


def test_a_snapshot(tmp_path: Path, url: str) -> None:
    ledger(url, rows=300).dispose()
    made = Desk(tmp_path, url).take()
    assert (made.totals.rows, made.totals.points) == (300, 300 * 125)
