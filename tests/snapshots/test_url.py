"""What a ledger's URL may be, and that an error about it shows no secret (docs/sources.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from include import sample
from include.errors import BadInput, Transient
from include.snapshots.source import Source, open_read, public_url


@pytest.mark.parametrize("url", ["nonsense", "postgresqll://h/d", "sqlite:////nowhere/at/all.sqlite"])
def test_a_wrong_url_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput), open_read(Source(url)):
        pass


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@127.0.0.1:1/d", "mysql+pymysql://u:secret@127.0.0.1:1/d"]
)
def test_an_unreachable_server_is_transient_and_shows_no_secret(url: str) -> None:
    with pytest.raises(Transient) as error, open_read(Source(url)):
        pass
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(BadInput, match="not a database"), open_read(Source(f"sqlite:///{path}")):
        pass


def test_public_url_hides_secrets() -> None:
    shown = public_url("postgresql://u:p%40ss@h:5/d?sslmode=require&sslpassword=s3cret")
    assert shown == "postgresql://u@h:5/d?sslmode=require"


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("mssql+pyodbc://u:secret@h/d", "pyodbc"),
        ("mysql://u:secret@h/d", "mysqlclient, or write mysql+pymysql://"),
        ("snowflake://u:secret@acc/d", "snowflake-sqlalchemy"),
        ("bigquery://project/d", "sqlalchemy-bigquery"),
    ],
)
def test_a_package_that_is_missing_is_named(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyodbc", "MySQLdb"):
        monkeypatch.setitem(sys.modules, module, None)
    for use in (lambda: open_read(Source(url)).__enter__(), lambda: sample.load(url)):
        with pytest.raises(BadInput) as error:
            use()
        (problem,) = error.value.problems
        assert problem.code == "no_driver"
        assert problem.where.startswith(public_url(url))
        assert problem.right == f"install {package} (docs/sources.md, What to install)"
        assert "secret" not in str(error.value)
