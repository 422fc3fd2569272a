"""What `open_read` guarantees on SQLite, PostgreSQL and MariaDB alike (docs/ledger.md sections 1 and 2)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.errors import BadInput, LedgerViolation, Transient
from include.ledger.catalog import RELATIONS, arrow_schema
from include.snapshots import canonical, mapping
from include.snapshots.source import Source, open_read

JANUARY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


def us(moment: dt.datetime) -> int:
    return (moment - canonical.EPOCH) // MICROSECOND


def fill(url: str, **rows: list[dict[str, object]]) -> sa.Engine:
    """Make the canonical tables and put one program, one customer and `rows` in."""
    engine = sa.create_engine(url)
    canonical.create(engine)
    base: dict[str, list[dict[str, object]]] = {
        "programs": [{"program_id": "p", "name": "P", "currency": "EUR", "time_zone": "Europe/Paris"}],
        "customers": [{"customer_id": "c"}],
    }
    with engine.begin() as connection:
        for name, values in {**base, **rows}.items():
            for value in values:
                connection.execute(sa.insert(canonical.METADATA.tables[name]).values(**value))
    return engine


def transaction(
    transaction_id: str, points: str = "10.25", at: dt.datetime = JANUARY, **more: object
) -> dict[str, object]:
    base = {"transaction_id": transaction_id, "program_id": "p", "customer_id": "c", "type": "earned"}
    return {**base, "points": Decimal(points), "created_at": at, **more}


def read(url: str, relation: str = "transactions", columns: tuple[str, ...] = (), **more: int) -> pa.Table:
    with open_read(Source(url)) as reading:
        chosen = columns or RELATIONS[relation].names
        return pa.Table.from_batches(
            reading.stream(relation, chosen, **more), arrow_schema(RELATIONS[relation], chosen)
        )


def test_every_type_arrives_exact(any_ledger: str) -> None:
    fill(
        any_ledger,
        transactions=[
            transaction("é😀", "-0.01", JANUARY + MICROSECOND, details='{"a": "ü"}', expires_at=None)
        ],
        customers=[
            {
                "customer_id": "c",
                "birthdate": dt.date(1990, 2, 28),
                "stated_balance": Decimal("99999999999.99"),
            }
        ],
        rewards=[{"reward_id": "r", "name": "R", "value": Decimal("-12.3456")}],
        program_rates=[{"program_id": "p", "valid_from": JANUARY, "cost_per_point": Decimal("0.00000001")}],
        vouchers=[{"voucher_id": "v", "code": "V", "active": True, "redemption_count": 2**40}],
    )
    row = read(any_ledger).to_pylist()[0]
    assert row["transaction_id"] == "é😀"
    assert row["points"] == -1
    assert row["created_at"] == JANUARY + MICROSECOND
    assert row["details"] == '{"a": "ü"}'
    assert row["expires_at"] is None
    customer = read(any_ledger, "customers").to_pylist()[0]
    assert (customer["birthdate"], customer["stated_balance"]) == (dt.date(1990, 2, 28), 9999999999999)
    assert read(any_ledger, "rewards").to_pylist()[0]["value"] == Decimal("-12.3456")
    assert read(any_ledger, "program_rates").to_pylist()[0]["cost_per_point"] == Decimal("0.00000001")
    voucher = read(any_ledger, "vouchers").to_pylist()[0]
    assert (voucher["active"], voucher["redemption_count"]) == (True, 2**40)


def test_created_before_is_half_open(any_ledger: str) -> None:
    fill(
        any_ledger,
        transactions=[transaction("before", at=JANUARY - MICROSECOND), transaction("at", at=JANUARY)],
    )
    ids = read(any_ledger, columns=("transaction_id",), created_before=us(JANUARY))[
        "transaction_id"
    ].to_pylist()
    assert ids == ["before"]


def test_rows_written_after_the_start_are_not_seen(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction("a")])
    with open_read(Source(postgres_ledger)) as reading:
        with engine.begin() as connection:
            connection.execute(
                sa.insert(canonical.METADATA.tables["transactions"]).values(**transaction("b"))
            )
        rows = sum(batch.num_rows for batch in reading.stream("transactions", ["transaction_id"]))
        again = sum(batch.num_rows for batch in reading.stream("transactions", ["points"]))
    assert (rows, again) == (1, 1)


def test_the_clock_is_now(any_ledger: str) -> None:
    fill(any_ledger)
    with open_read(Source(any_ledger)) as reading:
        assert abs(reading.read_at - us(dt.datetime.now(dt.UTC))) < 60_000_000


def test_a_left_stream_can_be_followed_by_another(any_ledger: str) -> None:
    fill(any_ledger, transactions=[transaction(str(n)) for n in range(50)])
    with open_read(Source(any_ledger)) as reading:
        first = reading.stream("transactions", ["transaction_id"])
        next(first)
        first.close()
        assert sum(b.num_rows for b in reading.stream("customers", ["customer_id"])) == 1


def test_missing_optional_columns_are_null_and_required_ones_are_all_named(any_ledger: str) -> None:
    engine = sa.create_engine(any_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table programs (program_id varchar(9), name varchar(9), currency varchar(9), time_zone varchar(9))"
        )
        connection.exec_driver_sql("create table customers (email varchar(9))")
    with pytest.raises(BadInput) as error, open_read(Source(any_ledger)):
        pass
    assert {problem.code for problem in error.value.problems} == {"missing_relation", "missing_column"}
    assert any("table transactions" in problem.where for problem in error.value.problems)
    assert any("column customer_id" in problem.where for problem in error.value.problems)
    fill_missing = "create table transactions (transaction_id varchar(9), program_id varchar(9), customer_id varchar(9), type varchar(9), points {}, created_at {})"
    kinds = {
        "sqlite": ("integer", "integer"),
        "postgresql": ("numeric(18,2)", "timestamptz"),
        "mysql": ("decimal(18,2)", "datetime(6)"),
    }
    with engine.begin() as connection:
        connection.exec_driver_sql(fill_missing.format(*kinds[engine.dialect.name]))
        connection.exec_driver_sql("alter table customers add column customer_id varchar(9)")
        connection.exec_driver_sql("insert into customers (customer_id) values ('c')")
    with open_read(Source(any_ledger)) as reading:
        assert reading.relations == ("programs", "customers", "transactions")
        assert reading.columns("customers") == ("customer_id", "email")
        assert not reading.has("cards")
        rows = pa.Table.from_batches(
            reading.stream("customers", ["customer_id", "birthdate", "stated_balance"])
        )
        assert rows.to_pylist() == [{"customer_id": "c", "birthdate": None, "stated_balance": None}]
        with pytest.raises(BadInput, match="cards"):
            next(reading.stream("cards", ["card_id"]))
        with pytest.raises(BadInput, match="nonsense"):
            next(reading.stream("customers", ["nonsense"]))


def test_postgres_without_zone_or_with_floats_is_refused(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "alter table transactions alter created_at type timestamp, alter points type float8"
        )
    with pytest.raises(BadInput) as error, open_read(Source(postgres_ledger)):
        pass
    assert sorted(p.where.split("column ")[1] for p in error.value.problems) == ["created_at", "points"]


def test_mariadb_floats_are_refused_by_name(mariadb_ledger: str) -> None:
    """Its protocol shows six digits of a FLOAT: 100000.5 arrives as 100000."""
    engine = fill(mariadb_ledger, transactions=[transaction("a", "100000.5")])
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table transactions modify points float")
        connection.exec_driver_sql("alter table rewards modify value double")
        connection.exec_driver_sql("alter table vouchers modify redemption_count float")
    with pytest.raises(BadInput) as error, open_read(Source(mariadb_ledger)):
        pass
    found = [(p.where.split("table ")[1], p.value, p.right) for p in error.value.problems]
    assert found == [
        ("transactions, column points", "FLOAT", "select it as DECIMAL or an integer type, not a float"),
        ("rewards, column value", "DOUBLE", "select it as DECIMAL or an integer type, not a float"),
        ("vouchers, column redemption_count", "FLOAT", "select it as an integer type, not a float"),
    ]


def test_sqlite_reals_are_what_was_typed(sqlite_ledger: str, tmp_path: Path) -> None:
    """SQLite knows no decimals: a mapped ledger may hold points as REAL."""
    engine = fill(sqlite_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table moves (number integer, points real)")
        connection.exec_driver_sql("insert into moves values (1, 100000.1), (2, 1234567.75), (3, 5)")
    queries = {name: f"SELECT * FROM {name}" for name in ("programs", "customers")}
    queries["transactions"] = (
        "SELECT number AS transaction_id, 'p' AS program_id, 'c' AS customer_id, 'earned' AS type, points, "
        "'2026-01-01T00:00:00Z' AS created_at FROM moves"
    )
    source = Source(sqlite_ledger, mapping.parse({"relations": queries}, "ledger.yaml"))
    with open_read(source) as reading:
        (batch,) = reading.stream("transactions", ["points"])
    assert batch.column("points").to_pylist() == [10000010, 123456775, 500]


def test_postgres_never_rounds(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction("a")])
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table transactions alter points type numeric")
    assert read(postgres_ledger)["points"].to_pylist() == [1025]
    with engine.begin() as connection:
        connection.exec_driver_sql("update transactions set points = 10.255")
    with pytest.raises(LedgerViolation, match="more decimals"):
        read(postgres_ledger)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("points = 'NaN'", "transactions b: points 'NaN' is no number"),
        ("created_at = '-infinity'", "transactions b: created_at .* is no instant"),
        ("program_id = null", "transactions b: program_id is null"),
    ],
)
def test_postgres_names_the_row_that_it_refuses(postgres_ledger: str, change: str, message: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction(name) for name in "abc"])
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table transactions alter program_id drop not null")
        connection.exec_driver_sql(f"update transactions set {change} where transaction_id = 'b'")
    with pytest.raises(LedgerViolation, match=message):
        read(postgres_ledger)
    with open_read(Source(postgres_ledger)) as reading:
        rows = pa.Table.from_batches(
            reading.stream_lenient("transactions", ["transaction_id", change.split()[0]])
        )
        listed = [found.row_id for found in reading.invalid("transactions")]
    assert dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))["b"] is None
    assert listed == ([] if "null" in change else ["b"])


def test_postgres_lists_all_that_it_refuses(postgres_ledger: str) -> None:
    engine = fill(
        postgres_ledger,
        transactions=[transaction("a"), transaction("b", expires_at=JANUARY)],
        customers=[{"customer_id": "d", "birthdate": dt.date(1990, 2, 28)}],
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table transactions alter points type numeric")
        connection.exec_driver_sql("update transactions set points = 10.255, created_at = 'infinity'")
        connection.exec_driver_sql(
            "update transactions set expires_at = '-infinity' where transaction_id = 'b'"
        )
        connection.exec_driver_sql("update transactions set points = 1e30 where transaction_id = 'b'")
        connection.exec_driver_sql("update customers set birthdate = 'infinity', stated_balance = 'NaN'")
    with open_read(Source(postgres_ledger)) as reading:
        found = {tuple(value) for name in ("transactions", "customers") for value in reading.invalid(name)}
    assert found == {
        ("too_many_decimals", "transactions", "points", "a", "10.255"),
        ("not_an_instant", "transactions", "created_at", "a", "infinity"),
        ("not_a_number", "transactions", "points", "b", "1" + "0" * 30),
        ("not_an_instant", "transactions", "created_at", "b", "infinity"),
        ("not_an_instant", "transactions", "expires_at", "b", "-infinity"),
        ("not_a_date", "customers", "birthdate", "d", "infinity"),
        ("not_a_number", "customers", "stated_balance", "d", "NaN"),
    }


def test_postgres_asks_nothing_else_while_a_stream_is_read(postgres_ledger: str) -> None:
    fill(postgres_ledger, transactions=[transaction("a")])
    with open_read(Source(postgres_ledger)) as reading:
        stream = reading.stream("transactions", ["transaction_id"])
        next(stream)
        with pytest.raises(RuntimeError, match="still open"):
            list(reading.invalid("transactions"))


def test_postgres_gives_rows_without_a_column_that_it_has(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction(name) for name in "abc"])
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table transactions drop column details")
    assert read(postgres_ledger, columns=("details",)).to_pylist() == [{"details": None}] * 3


def test_postgres_types_that_are_no_text_come_as_text(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction("a", reason="x", details='{"a": 1}')])
    with engine.begin() as connection:
        for statement in (
            "create type colour as enum ('red')",
            "create domain short as varchar(9)",
            "alter table transactions alter details type jsonb using details::jsonb",
            "alter table transactions alter reason type colour using 'red'::colour",
            "alter table transactions alter source type uuid using '00000000-0000-0000-0000-000000000001'::uuid",
            "alter table transactions alter order_id type numeric using 12.50",
            "alter table transactions alter import_id type short using 'é'",
            "alter table transactions alter points type smallint using 12",
        ):
            connection.exec_driver_sql(statement)
    row = read(postgres_ledger).to_pylist()[0]
    assert (row["details"], row["reason"], row["order_id"], row["import_id"]) == (
        '{"a": 1}',
        "red",
        "12.50",
        "é",
    )
    assert (row["source"], row["points"]) == ("00000000-0000-0000-0000-000000000001", 1200)


def test_postgres_text_is_utf8_whatever_the_client_is_set_to(
    postgres_ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgres_ledger, transactions=[transaction("é")])
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert read(postgres_ledger)["transaction_id"].to_pylist() == ["é"]


def test_postgres_infinite_expiry_is_never(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction("a")])
    with engine.begin() as connection:
        connection.exec_driver_sql("update transactions set expires_at = 'infinity'")
    assert read(postgres_ledger)["expires_at"].to_pylist() == [None]


def test_postgres_tells_the_oldest_open_transaction(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger)
    engine.dispose()
    with open_read(Source(postgres_ledger)) as reading:
        assert reading.oldest_open_transaction() == reading.read_at
    with engine.connect() as other:
        other.execute(sa.text("select 1"))
        with open_read(Source(postgres_ledger)) as reading:
            oldest = reading.oldest_open_transaction()
            assert oldest is not None
            assert oldest < reading.read_at


def test_a_lost_connection_is_transient(postgres_ledger: str) -> None:
    engine = fill(postgres_ledger, transactions=[transaction(str(n)) for n in range(10)])
    others = "pid <> pg_backend_pid() and datname = current_database()"
    with open_read(Source(postgres_ledger)) as reading:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"
            )
        with pytest.raises(Transient):
            list(reading.stream("transactions", ["transaction_id"]))


def test_sqlite_refuses_a_null_key_with_its_row(sqlite_ledger: str) -> None:
    engine = fill(sqlite_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop table transactions")
        connection.exec_driver_sql(
            "create table transactions (transaction_id, program_id, customer_id, type, points, created_at)"
        )
        connection.exec_driver_sql("insert into transactions values ('t1', null, 'c', 'earned', 100, 0)")
    with pytest.raises(LedgerViolation, match="transactions t1: program_id is null"):
        read(sqlite_ledger)


def test_one_open_stream_at_a_time(postgres_ledger: str) -> None:
    fill(postgres_ledger, transactions=[transaction("a")])
    with open_read(Source(postgres_ledger)) as reading:
        stream = reading.stream("transactions", ["transaction_id"])
        next(stream)
        with pytest.raises(RuntimeError, match="still open"):
            next(reading.stream("customers", ["customer_id"]))
