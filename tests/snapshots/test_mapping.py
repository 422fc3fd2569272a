"""A mapping file lets another database serve as the ledger; what is wrong with it is said at once, all of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.errors import BadInput, LoyaltyError, Permanent
from include.settings import ROOT
from include.snapshots import canonical
from include.snapshots.check import check
from include.snapshots.mapping import load
from include.snapshots.source import Source, open_read
from tests.snapshots.test_source import JANUARY, MICROSECOND, us

KINDS = {
    "sqlite": {"points": "numeric", "at": "text", "value": "'2026-01-01T01:00:00+01:00'"},
    "postgresql": {"points": "numeric", "at": "timestamptz", "value": "'2026-01-01T01:00:00+01:00'"},
    "mysql": {"points": "decimal(12,3)", "at": "datetime(6)", "value": "'2026-01-01 00:00:00'"},
}
QUERIES = """
relations:
  programs: SELECT 'p' AS program_id, 'P' AS name, 'EUR' AS currency, 'UTC' AS time_zone
  customers: SELECT member AS customer_id, mail AS email FROM members
  transactions: |
    SELECT number AS transaction_id, 'p' AS program_id, member AS customer_id, 'earned' AS type,
           points, happened AS created_at, 'a:b' AS reason
    FROM moves WHERE kind LIKE 'ear%'
"""


def other_database(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    kind = KINDS[engine.dialect.name]
    with engine.begin() as connection:
        connection.exec_driver_sql("create table members (member varchar(20), mail varchar(20))")
        connection.exec_driver_sql("insert into members values ('m1', 'a@example.com')")
        connection.exec_driver_sql(
            f"create table moves (number integer, member varchar(20), kind varchar(9), points {kind['points']}, happened {kind['at']})"
        )
        connection.exec_driver_sql(f"insert into moves values (7, 'm1', 'earn', 12.5, {kind['value']})")
    return engine


def source(url: str, tmp_path: Path, text: str = QUERIES) -> Source:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    return Source(url, load(path))


def test_other_tables_serve_as_the_ledger(any_ledger: str, tmp_path: Path) -> None:
    other_database(any_ledger)
    with open_read(source(any_ledger, tmp_path)) as reading:
        assert reading.relations == ("programs", "customers", "transactions")
        columns = ["transaction_id", "customer_id", "points", "created_at", "reason", "expires_at"]
        rows = pa.Table.from_batches(reading.stream("transactions", columns)).to_pylist()
        before = sum(
            b.num_rows for b in reading.stream("transactions", ["points"], created_before=us(JANUARY))
        )
        after = sum(
            b.num_rows
            for b in reading.stream("transactions", ["points"], created_before=us(JANUARY + MICROSECOND))
        )
    assert rows == [
        {
            "transaction_id": "7",
            "customer_id": "m1",
            "points": 1250,
            "created_at": JANUARY,
            "reason": "a:b",
            "expires_at": None,
        }
    ]
    assert (before, after) == (0, 1)


def test_all_that_is_wrong_is_said_at_once(any_ledger: str, tmp_path: Path) -> None:
    other_database(any_ledger)
    text = (
        QUERIES.replace("mail AS email", "mail AS e_mail")
        .replace("'earned' AS type,", "")
        .replace(", 'UTC' AS time_zone", "")
    )
    with pytest.raises(BadInput) as error, open_read(source(any_ledger, tmp_path, text)):
        pass
    problems = {(p.code, p.where.split("query ")[1]) for p in error.value.problems}
    assert problems == {
        ("missing_column", "programs, column time_zone"),
        ("missing_column", "transactions, column type"),
        ("unknown_column", "customers"),
    }


def test_a_null_key_is_refused_at_the_start(any_ledger: str, tmp_path: Path) -> None:
    engine = other_database(any_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into moves (member, kind, points) values ('m1', 'earn', 1)")
    with pytest.raises(BadInput) as error, open_read(source(any_ledger, tmp_path)):
        pass
    assert {(p.code, p.where.split("column ")[1]) for p in error.value.problems} == {
        ("null_key", "transaction_id"),
        ("null_key", "created_at"),
    }


def test_the_check_names_the_rows_with_null_keys(any_ledger: str, tmp_path: Path) -> None:
    engine = other_database(any_ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into moves (number, member, kind, points) values (8, 'm1', 'earn', 1)"
        )
    violations = check(source(any_ledger, tmp_path))
    assert [(v.rule, v.row_ids, v.blocking) for v in violations] == [("null_created_at", ("8",), True)]


@pytest.mark.parametrize("kind", [pytest.param("postgres", marks=pytest.mark.servers), "sqlite"])
def test_a_wrong_type_is_refused_at_the_start(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{kind}_ledger")
    other_database(url)
    text = QUERIES.replace("happened AS created_at", "'yesterday' AS created_at").replace(
        "           points,", "           'many' AS points,"
    )
    with pytest.raises(BadInput) as error, open_read(source(url, tmp_path, text)):
        pass
    assert {(p.code, p.where.split("column ")[1]) for p in error.value.problems} == {
        ("wrong_type", "points"),
        ("wrong_type", "created_at"),
    }


def sqlite_numbers(url: str, points: str, created_at: str) -> str:
    """A SQLite table with hundredths and microseconds, as canonical ones have, and the mapping of two expressions."""
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("create table moves (cents integer, us integer)")
        connection.exec_driver_sql(f"insert into moves values (1010, {us(JANUARY + MICROSECOND)}), (-1, 0)")
    return f"""
relations:
  programs: SELECT 'p' AS program_id, 'P' AS name, 'EUR' AS currency, 'UTC' AS time_zone
  customers: SELECT 'm' AS customer_id
  transactions: |
    SELECT rowid AS transaction_id, 'p' AS program_id, 'm' AS customer_id, 'adjusted' AS type,
           {points} AS points, {created_at} AS created_at FROM moves
"""


def test_what_sqlite_wants_for_an_instant_is_said(sqlite_ledger: str, tmp_path: Path) -> None:
    text = sqlite_numbers(sqlite_ledger, "cents", "us")
    with pytest.raises(BadInput) as error, open_read(source(sqlite_ledger, tmp_path, text)):
        pass
    (problem,) = error.value.problems
    assert problem.where == "mapping.yaml, query transactions, column created_at"
    assert "on SQLite text with a zone, such as 2026-01-31T12:00:00Z" in problem.right
    (found,) = [each for each in check(source(sqlite_ledger, tmp_path, text)) if each.blocking]
    assert (found.rule, found.count) == ("not_an_instant", 2)
    assert "on SQLite text with a zone" in found.sentence


def test_sqlites_hundredths_and_microseconds_in_a_query(sqlite_ledger: str, tmp_path: Path) -> None:
    """The expressions of docs/sources.md."""
    at = "strftime('%Y-%m-%dT%H:%M:%S', us / 1000000, 'unixepoch') || printf('.%06dZ', us % 1000000)"
    for expression in ("cents / 100.0", at):
        assert f"`{expression}`" in (ROOT / "docs" / "sources.md").read_text("utf-8")
    text = sqlite_numbers(sqlite_ledger, "cents / 100.0", at)
    with open_read(source(sqlite_ledger, tmp_path, text)) as reading:
        (batch,) = reading.stream("transactions", ["points", "created_at"])
    assert batch.to_pylist() == [
        {"points": 1010, "created_at": JANUARY + MICROSECOND},
        {"points": -1, "created_at": canonical.EPOCH},
    ]


def test_a_query_that_does_not_run_is_bad_input(any_ledger: str, tmp_path: Path) -> None:
    other_database(any_ledger)
    with (
        pytest.raises(BadInput, match="nowhere") as error,
        open_read(source(any_ledger, tmp_path, QUERIES.replace("FROM moves", "FROM nowhere"))),
    ):
        pass
    assert [p.code for p in error.value.problems] == ["bad_query"]


def test_all_queries_that_do_not_run_are_named_with_what_the_others_lack(
    any_ledger: str, tmp_path: Path
) -> None:
    other_database(any_ledger)
    text = (
        QUERIES.replace("FROM members", "FROM memberz")
        .replace("happened AS", "happend AS")
        .replace("'UTC' AS time_zone", "'UTC' AS zone")
    )
    with pytest.raises(BadInput) as error, open_read(source(any_ledger, tmp_path, text)):
        pass
    found = [(p.code, p.where.split("query ")[1]) for p in error.value.problems]
    assert found == [
        ("bad_query", "customers"),
        ("bad_query", "transactions"),
        ("missing_column", "programs, column time_zone"),
        ("unknown_column", "programs"),
    ]
    assert "memberz" in error.value.problems[0].value
    assert "happend" in error.value.problems[1].value


@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=pytest.mark.servers) for name in ("postgres", "mariadb")]
)
@pytest.mark.parametrize("also", ["", "a query that does not run"])
def test_rights_that_are_missing_are_all_named(
    kind: str, also: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = sa.make_url(request.getfixturevalue(f"{kind}_ledger"))
    role, may = f"reader_{url.database}", {"postgres": "login password 'x'", "mariadb": "identified by 'x'"}
    engine = other_database(url.render_as_string(hide_password=False))
    text = QUERIES.replace("'EUR' AS", "'EUR' AZ") if also else QUERIES
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create user {role} {may[kind]}")
        if kind == "mariadb":
            connection.exec_driver_sql(f"grant insert on * to {role}")
    try:
        reader = url.set(username=role, password="x").render_as_string(hide_password=False)
        with pytest.raises(LoyaltyError) as error, open_read(source(reader, tmp_path, text)):
            pass
    finally:
        with engine.begin() as connection:
            if kind == "mariadb":
                connection.exec_driver_sql(f"revoke insert on * from {role}")
            connection.exec_driver_sql(f"drop user {role}")
    assert type(error.value) is (BadInput if also else Permanent)
    said = str(error.value)
    for query, relation in (("customers", "members"), ("transactions", "moves")):
        assert f"query {query}: " in said
        assert f"table {relation}" in said or f"`{relation}`" in said
    assert said.count(f"the role {role} needs SELECT on what this reads: GRANT SELECT ON ... TO {role}") == 2
    assert said.count("write a query that runs") == bool(also)


@pytest.mark.servers
def test_rights_that_are_missing_on_canonical_tables_are_all_named(postgres_ledger: str) -> None:
    engine = sa.create_engine(postgres_ledger)
    canonical.create(engine)
    role = f"reader_{engine.url.database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create user {role} login")
        connection.exec_driver_sql(f"grant select on programs, transactions to {role}")
    reader = engine.url.set(username=role).render_as_string(hide_password=False)
    try:
        with pytest.raises(Permanent) as error, open_read(Source(reader)):
            pass
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop owned by {role}; drop user {role}")
    assert "table customers: 'permission denied for table customers'" in str(error.value)
    assert "table cards: " in str(error.value)
    assert "table programs" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("relations: {}\nmore: 1", "bad_mapping"),
        ("- a", "bad_mapping"),
        ("relations:\n  transaction: SELECT 1", "unknown_relation"),
        ("relations:\n  transactions: ''", "bad_query"),
        ("relations:\n  orders: SELECT 1\n  orders: SELECT 2", "bad_yaml"),
        ("relations: &a\n  orders: SELECT 1\nmore: *a", "bad_yaml"),
        ("relations: !!python/object:os.system {}", "bad_yaml"),
        ("relations: {", "bad_yaml"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        load(path)
    assert [p.code for p in error.value.problems] == [code]


def test_the_hash_is_of_the_queries_not_of_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(QUERIES)
    first = load(path).sha256
    path.write_text("# a comment\n" + QUERIES.replace("programs: SELECT", "programs:   SELECT"))
    assert load(path).sha256 == first
    path.write_text(QUERIES.replace("'EUR'", "'USD'"))
    assert load(path).sha256 != first


def test_canonical_values_survive_their_decorators(any_ledger: str) -> None:
    """The same Python value comes back through SQLAlchemy as went in; what cannot be kept is refused."""
    engine = sa.create_engine(any_ledger)
    canonical.create(engine)
    table = canonical.METADATA.tables["program_rates"]
    values = {"program_id": "p", "valid_from": JANUARY + MICROSECOND, "cost_per_point": Decimal("0.12345678")}
    with engine.begin() as connection:
        connection.execute(sa.insert(table).values(**values))
        row = connection.execute(
            sa.select(table.c.program_id, table.c.valid_from, table.c.cost_per_point)
        ).one()
        assert row._asdict() == values
        for wrong in (
            {"valid_from": JANUARY.replace(tzinfo=None)},
            {"cost_per_point": Decimal("0.123456789")},
        ):
            with pytest.raises(sa.exc.StatementError, match=r"time zone|decimals"):
                connection.execute(sa.insert(table).values(**{**values, **wrong}))
