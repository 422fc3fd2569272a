"""What a ledger's URL may be, and that an error about it shows no secret (docs/sources.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from include import sample
from include.errors import BadInput, Transient
from include.snapshots.source import Source, open_read, parse_url, public_url


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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:CAN@RY/x@127.0.0.1:1/d",
        "postgresql://u:CAN@RY@127.0.0.1:1/d",
        "postgresql://u:CAN@RY:x@127.0.0.1:1/d",
        "postgresql://u:CAN@RY?x@127.0.0.1:1/d",
        "postgresql://u/v:CANRY@127.0.0.1:1/d",
        "postgresql:///u:CANRY@127.0.0.1:1/d",
        "mysql+pymysql://u:CAN@RY/x@127.0.0.1:1/d",
        "mysql+pymysql://u@corp:CAN@RY@127.0.0.1:1/d",
        "host=127.0.0.1 user=u password=CANRY",
    ],
)
def test_a_password_that_is_not_escaped_is_not_shown(url: str) -> None:
    with pytest.raises(BadInput) as error, open_read(Source(url)):
        pass
    (problem,) = error.value.problems
    assert problem.code == "bad_url"
    assert "@ as %40, / as %2F" in problem.right
    assert error.value.__cause__ is None
    for shown in (str(error.value), public_url(url)):
        assert "CAN" not in shown
        assert "RY" not in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p%40s%2Fs@h/d", "postgresql://u@h/d"),
        ("postgresql://u:p/s?s:s@h/d", "postgresql://u@h/d"),
        ("postgresql://u@corp:pass@h/d", "postgresql://u%40corp@h/d"),
        ("postgresql://u@h/a%40b", "postgresql://u@h/a%40b"),
        ("postgresql:///d?password=p@ss", "postgresql:///d"),
        ("mssql+pyodbc:///?odbc_connect=PWD=p@ss", "mssql+pyodbc:///"),
        ("sqlite:////data/a@b/ledger.sqlite", "sqlite:////data/a%40b/ledger.sqlite"),
    ],
)
def test_an_at_sign_that_hides_nothing_is_read(url: str, shown: str) -> None:
    assert parse_url(url).get_backend_name() == url.split(":")[0].split("+")[0]
    assert public_url(url) == shown
