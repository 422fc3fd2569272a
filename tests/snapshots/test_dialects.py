"""What is sent to databases that need a licence or an account, word for word, through SQLAlchemy's own dialects.

SQL Server's dialect is SQLAlchemy's; those of Snowflake and BigQuery are where scripts/extra.sh puts them, without the
clients that they import, which speak to nobody here. The database is a recorder that answers with the columns asked for.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from include.errors import BadInput
from include.ledger.catalog import RELATIONS
from include.settings import ROOT
from include.snapshots import mapping, sql
from include.snapshots.reading import Which
from include.snapshots.source import Source, open_read

INSTALLED = ROOT / ".venv" / "dialects"
READ_AT = 1_767_225_600_000_000  # 2026-01-01
NEEDED = {
    "programs": ("program_id", "name", "currency", "time_zone"),
    "customers": ("customer_id",),
    "transactions": ("transaction_id", "program_id", "customer_id", "type", "points", "created_at"),
}


class Recorder(ModuleType):
    """A database driver that keeps what it is told. Every table has the columns that a ledger must have."""

    paramstyle: str
    version = "5.0.0"
    Error = DatabaseError = OperationalError = InterfaceError = ProgrammingError = type(
        "Error", (Exception,), {}
    )

    def __init__(self, upper: bool) -> None:
        super().__init__("recorder")
        self.said: list[str] = []
        self.codes: dict[str, object] = {}
        self.upper = upper
        self.Cursor = Cursor

    def connect(self, *_: Any, **__: Any) -> Any:
        return self

    def cursor(self, *_: Any) -> Cursor:
        return Cursor(self)

    def add_output_converter(self, *_: Any) -> None: ...
    def autocommit(self, _on: bool) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Cursor:
    arraysize, rowcount, lastrowid = 1, -1, None

    def __init__(self, database: Recorder) -> None:
        self._database = database
        self.description: Any = None
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, text: str, parameters: Any = None) -> None:
        shown = f"{text} <- {parameters}" if parameters else text
        self._database.said.append(" ".join(shown.split()))
        self.description, self._rows = None, []
        if text.lstrip().upper().startswith("SELECT"):
            relation = next((name for name in NEEDED if name in text.lower()), None)
            names = NEEDED[relation] if relation and "SELECT *" in text else ("value",)
            self.description = [
                (name.upper() if self._database.upper else name, self._database.codes.get(name), *[None] * 5)
                for name in names
            ]
            self._rows = [] if relation else [(READ_AT,)]

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    fetchall = fetchmany

    def close(self) -> None: ...


def dialect_packages() -> None:
    """Make the dialects of Snowflake and BigQuery importable; what they import of their clients is a stand-in."""
    if not INSTALLED.is_dir():
        reason = "the dialects of Snowflake and BigQuery are not installed: scripts/extra.sh dialects"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Recorder]]:
    engine = sa.create_engine

    def take(name: str) -> Recorder:
        recorder = Recorder(upper=name == "snowflake")
        recorder.paramstyle = "qmark" if name == "mssql" else "pyformat"
        if name in {"snowflake", "bigquery"}:
            dialect_packages()
            monkeypatch.syspath_prepend(str(INSTALLED))
            _stand_in(monkeypatch, name)

        def made(url: Any, **more: Any) -> Any:
            found = engine(url, module=recorder, **more)
            found.dialect.initialize = lambda _connection: None
            return found

        monkeypatch.setattr(sql.sa, "create_engine", made)
        monkeypatch.setattr(sql.sa, "inspect", lambda _: MagicMock(get_table_names=lambda: [*NEEDED]))
        return recorder

    return take


def _stand_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    package = {"snowflake": "snowflake.connector", "bigquery": "google.cloud.bigquery"}[name]
    finder = _StandIns(package)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    for known in [
        each for each in sys.modules if each.startswith((package, "snowflake", "sqlalchemy_bigquery"))
    ]:
        monkeypatch.delitem(sys.modules, known)
    if name == "snowflake":
        dialect = importlib.import_module("snowflake.sqlalchemy").dialect
    else:
        dialect = importlib.import_module("sqlalchemy_bigquery").BigQueryDialect
        monkeypatch.setattr(
            dialect, "create_connect_args", lambda *_: ((), {})
        )  # it would look for an account
    monkeypatch.setitem(sa.dialects.registry.impls, name, lambda: dialect)


class _StandIns:
    """Finds whatever is imported of a package: a module in which every name is there."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == self._package or name.startswith(f"{self._package}."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        made = MagicMock(name=spec.name)
        made.__path__, made.__spec__, made.__name__ = [], spec, spec.name
        return made

    def exec_module(self, module: Any) -> None: ...


URLS = {
    "mssql": "mssql+pyodbc://reader:secret@host/loyalty?driver=ODBC+Driver+18+for+SQL+Server",
    "snowflake": "snowflake://reader:secret@account/loyalty/public",
    "bigquery": "bigquery://project/loyalty",
}
OPENED = {
    "mssql": ["SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"],
    "snowflake": ["ALTER SESSION SET TIMEZONE = 'UTC', STATEMENT_TIMEOUT_IN_SECONDS = 21600"],
    "bigquery": [],
}
CLOCK = {
    "mssql": "SELECT DATEDIFF_BIG(MICROSECOND, '1970-01-01', SYSUTCDATETIME())",
    "snowflake": "SELECT DATE_PART(EPOCH_MICROSECOND, CURRENT_TIMESTAMP())",
    "bigquery": "SELECT UNIX_MICROS(CURRENT_TIMESTAMP())",
}
READ = {
    "mssql": "SELECT [transaction_id], [points] FROM [transactions]",
    "snowflake": 'SELECT "TRANSACTION_ID", "POINTS" FROM "TRANSACTIONS" '
    "AT(TIMESTAMP => '2026-01-01 00:00:00.000000+00:00'::TIMESTAMP_TZ)",
    "bigquery": "SELECT `transaction_id`, `points` FROM `transactions` "
    "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:00.000000+00:00'",
}
SOME = {
    "mssql": "SELECT TOP 5 [transaction_id] FROM [transactions] WHERE CHARINDEX(?, LOWER([transaction_id])) > 0",
    "snowflake": READ["snowflake"].replace(', "POINTS"', "")
    + ' WHERE CHARINDEX(%(wanted_0)s, LOWER("TRANSACTION_ID")) > 0 LIMIT 5',
    "bigquery": READ["bigquery"].replace(", `points`", "")
    + " WHERE INSTR(LOWER(`transaction_id`), %(wanted_0:STRING)s) > 0 LIMIT 5",
}

MAPPED = {
    "snowflake": 'SELECT "CUSTOMER_ID" FROM ( SELECT * FROM customers '
    "AT(TIMESTAMP => '2026-01-01 00:00:00.000000+00:00'::TIMESTAMP_TZ) ) mapped",
    "bigquery": "SELECT `customer_id` FROM ( SELECT * FROM customers "
    "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:00.000000+00:00' ) mapped",
}


@pytest.mark.parametrize("name", URLS)
def test_all_relations_are_read_of_one_state(database: Callable[[str], Recorder], name: str) -> None:
    recorder = database(name)
    with open_read(Source(URLS[name])) as reading:
        assert reading.read_at == READ_AT
        assert recorder.said[: len(OPENED[name]) + 1] == [*OPENED[name], CLOCK[name]]
        list(reading.stream("transactions", ["transaction_id", "points"]))
        assert recorder.said[-1] == READ[name]
        list(
            reading.stream_some(
                "transactions", ["transaction_id"], Which("transaction_id", ("é",), "contains", 5)
            )
        )
        assert recorder.said[-1].split(" <- ")[0] == SOME[name]
    assert (recorder.said[-1] == "ROLLBACK") is (name == "mssql")


@pytest.mark.parametrize(("name", "code"), [("mssql", float), ("snowflake", 1), ("bigquery", "FLOAT")])
def test_floats_are_refused_by_the_type_codes_of_the_drivers(
    database: Callable[[str], Recorder], name: str, code: object
) -> None:
    database(name).codes["points"] = code
    with pytest.raises(BadInput, match=r"column points: 'FLOAT.*not a float"), open_read(Source(URLS[name])):
        pass


@pytest.mark.parametrize("name", ["snowflake", "bigquery"])
def test_a_mapped_query_says_where_it_reads_of_the_read_point(
    database: Callable[[str], Recorder], name: str
) -> None:
    recorder = database(name)
    queries = {relation: f"SELECT * FROM {relation}" for relation in NEEDED}
    with pytest.raises(BadInput) as found, open_read(_mapped(name, queries), values=False):
        pass
    assert [problem.code for problem in found.value.problems] == ["not_of_read_point"] * len(NEEDED)
    travel = {"snowflake": "AT(TIMESTAMP => :read_at)", "bigquery": "FOR SYSTEM_TIME AS OF :read_at"}[name]
    dated = {key: f"{query} {travel}" for key, query in queries.items()}
    with open_read(_mapped(name, dated), values=False) as reading:
        list(reading.stream("customers", ["customer_id"]))
    assert recorder.said[-1] == MAPPED[name]


def _mapped(name: str, queries: dict[str, str]) -> Source:
    assert set(queries) <= set(RELATIONS)
    return Source(URLS[name], mapping.parse({"relations": queries}, "ledger.yaml"))
