"""Erasing from the command line: what it would touch, doing it, and the list that names nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from tests.cli.test_cli import Loyalty, home, ledger_file, loyalty
from tests.cli.test_imports import own, written

__all__ = ["home", "ledger_file", "loyalty", "own"]  # fixtures
DEFINITION = """
id: members
name: Members
model: customers
owner: Jane
fields: [customer_id, name, email]
file: {compression: none}
schedule: {kind: daily, time: "06:00"}
targets:
  - {kind: folder, options: {folder: delivered}}
"""


@pytest.fixture
def members(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home, with an export of customers, and the key of erasures in the environment."""
    (home / "exports" / "members.yaml").write_text(DEFINITION)
    monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_ERASURE", json.dumps({"password": "k" * 40}))
    return home


@pytest.mark.slow
def test_a_dry_run_then_the_erasure_then_the_list(loyalty: Loyalty, members: Path, ledger_file: Path) -> None:
    assert loyalty("export", "run", "members", "--deliver").code == 0
    with sa.create_engine(f"sqlite:///{ledger_file}").connect() as connection:
        sql = "SELECT customer_id, email FROM customers ORDER BY 1 LIMIT 1"
        who, email = connection.exec_driver_sql(sql).one()

    [looked] = json.loads(loyalty("erase", who, "--dry-run", "--json").out)
    assert looked["state"] is None
    assert looked["ledger"]["customers"] >= 1
    assert [(run["export"], run["named"]) for run in looked["runs"]] == [("members", True)]
    shown = loyalty("erase", "--email", email.upper(), "--dry-run")
    assert "stored files (removed)" in shown.out
    assert "nothing was changed" in shown.error
    assert json.loads(loyalty("erasures", "list", "--json").out) == []

    done = loyalty("erase", who, "--by", "privacy office", "--reason", "ticket 17", "--json")
    assert done.code == 0
    [erased] = json.loads(done.out)
    assert (erased["state"], erased["requested_by"], erased["reason"]) == (
        "done",
        "privacy office",
        "ticket 17",
    )
    assert erased["done"]["files_removed"] == 1
    assert erased["done"]["snapshots_renewed"] == 1
    listed = loyalty("erasures", "list")
    assert erased["pseudonym"] in listed.out
    assert who not in listed.out + done.out

    assert loyalty("snapshot").code == 0  # in a process of its own, which gets the key through its pipe
    for path in (members / "store" / "snapshots").rglob("*.parquet"):
        assert who not in str(pq.read_table(path).to_pylist())

    again = loyalty("export", "run", "members", "--revision", "1", "--deliver", "--json")
    assert again.code == 0, again.error
    [path] = {str(p) for p in (members / "delivered").glob("*.csv") if who not in p.read_text()}
    assert erased["pseudonym"] in Path(path).read_text()


@pytest.mark.slow
def test_what_is_wrong_is_told_and_nothing_is_changed(
    loyalty: Loyalty, members: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, said in [
        (["erase"], "give ids of customers, or --email, or --card"),
        (["erase", "nobody"], "'nobody': is in neither the ledger"),
        (["erase", "nobody", "--dry-run"], "'nobody': is in neither the ledger"),
        (["erase", "--email", "nobody@example.com"], "no customer of the ledger has this address"),
    ]:
        done = loyalty(*arguments)
        assert (done.code, said in " ".join(done.error.split())) == (2, True), done
    monkeypatch.delenv("AIRFLOW_CONN_LOYALTY_ERASURE")
    done = loyalty("erase", "nobody")
    assert done.code == 2
    assert "there is no such connection" in done.error
    assert json.loads(loyalty("erasures", "list", "--json").out) == []


@pytest.mark.slow
def test_a_dry_run_lists_imports_whose_files_go_and_those_that_are_refused(
    loyalty: Loyalty, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_ERASURE", json.dumps({"password": "k" * 40}))
    for name, mode, row in [
        ("posted", "add", "ann,40"),
        ("waits", "reset", "ann,5"),
        ("else", "add", "bob,1"),
    ]:
        file = written(own, f"customer_id,points\n{row}\n", f"{name}.csv")
        loyalty("import", file, "--mode", mode, "--program", "club", "--by", "olga")
    ids = {
        each["file_name"]: each["import_id"] for each in json.loads(loyalty("imports", "list", "--json").out)
    }
    [looked] = json.loads(loyalty("erase", "ann", "--dry-run", "--json").out)
    said = {
        each["import_id"]: (each["file_name"], each["refused"], each["named"]) for each in looked["imports"]
    }
    assert said == {
        ids["posted.csv"]: ("posted.csv", False, True),
        ids["waits.csv"]: ("waits.csv", True, True),
    }
    shown = " ".join(loyalty("erase", "ann", "--dry-run").out.split())
    assert "import's files (removed)" in shown
    assert "import's files (removed), import refused" in shown
