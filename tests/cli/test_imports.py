"""Imports from the command line: into the embedded ledger, and what each step says."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from include.pipeline import Context
from include.settings import Settings
from tests.cli.test_cli import Loyalty, home, ledger_file, loyalty
from tests.pipeline.imports.desk import fill

__all__ = ["home", "ledger_file", "loyalty"]  # fixtures
pytestmark = pytest.mark.slow


@pytest.fixture
def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home, with a ledger of its own."""
    monkeypatch.delenv("LOYALTY_LEDGER_URL")
    fill(f"sqlite:///{home / 'ledger.sqlite'}")
    return home


def written(folder: Path, text: str, name: str = "points.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_is_rehearsed_posted_listed_and_taken_back(loyalty: Loyalty, own: Path) -> None:
    file = written(own, "customer_id,points\nann,40\n")
    command = ("import", file, "--mode", "add", "--program", "club")
    dry = loyalty(*command, "--dry-run")
    assert dry.code == 0
    assert "100.00 -> 140.00" in dry.out
    assert "nothing was booked" in dry.error
    assert (loyalty(*command).code, loyalty(*command).error.strip()) == (
        0,
        "it was posted before: nothing was done",
    )
    [record] = json.loads(loyalty("imports", "list", "--json").out)
    assert (record["state"], record["file_name"], record["options"]["mode"]) == (
        "posted",
        "points.csv",
        "add",
    )
    own_id = record["import_id"]
    assert f"2,ann,,,,40.00,done,,100.00,140.00,{own_id}-00000002" in loyalty("imports", "file", own_id).out
    assert "ann,,,-40.00" in loyalty("imports", "file", own_id, "undo").out
    undone = loyalty("imports", "undo", own_id)
    assert (undone.code, undone.error.strip()) == (0, "posted")
    assert "140.00 -> 100.00" in undone.out
    shown = json.loads(loyalty("imports", "show", own_id, "--json").out)
    assert (shown["state"], shown["rows"][0]["customer"]) == ("undone", "ann")


def test_wrong_rows_are_shown_and_nothing_is_booked(loyalty: Loyalty, own: Path) -> None:
    file = written(own, "customer_id,points\nann,40\nnobody,1\nann,1e3\n")
    done = loyalty("import", file, "--mode", "add", "--program", "club")
    assert done.code == 2
    assert "no customer has this id or e-mail address" in done.out
    assert "1 to book, 0 skipped, 2 wrong" in done.out


def test_a_reset_waits_for_somebody_else(loyalty: Loyalty, own: Path) -> None:
    file = written(own, "customer_id,points\nann,40\n")
    asked = loyalty("import", file, "--mode", "reset", "--program", "club", "--by", "olga")
    assert asked.code == 0
    assert "a second person must approve it" in asked.error
    [record] = json.loads(loyalty("imports", "list", "--json").out)
    assert loyalty("imports", "post", record["import_id"]).code == 1
    refused = loyalty("imports", "approve", record["import_id"], "--by", "olga")
    assert refused.code == 2
    assert "a second person must look" in refused.error
    approved = loyalty("imports", "approve", record["import_id"], "--by", "paul", "--note", "seen")
    assert approved.error.strip() == "posted"
    told = [line.split("│")[1:3] for line in approved.out.splitlines() if " by " in line]
    found = {who.strip(): re.sub(r"[0-9]{2,4}", "#", when.strip()) for who, when in told}
    assert found == {
        "asked by": "olga, #-#-# #:#:# UTC",
        "approved by": "paul, #-#-# #:#:# UTC",
        "posted by": "paul, #-#-# #:#:# UTC",
    }


def test_templates_import_as_they_are_read(loyalty: Loyalty, own: Path) -> None:
    to = own / "template.csv"
    assert loyalty("imports", "template", "add", "--to", str(to)).code == 0
    done = loyalty("import", str(to), "--mode", "add", "--program", "club", "--dry-run")
    assert done.code == 2  # its members are examples, and all that is wrong
    assert "no customer has this id or e-mail address" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "missing.csv", "--mode", "add", "--program", "club"), "there is no such file"),
        (("imports", "show", "imp-none"), "there is no such import"),
        (("imports", "file", "imp-none", "sideways"), "known are result, undo, original"),
    ],
)
def test_mistakes_are_told(loyalty: Loyalty, own: Path, arguments: tuple[str, ...], said: str) -> None:
    done = loyalty(*arguments)
    assert done.code == 2
    assert said in done.error


def test_a_ledger_in_mysql_is_not_written_and_that_is_said(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", "mysql+pymysql://reader@ledger.example/points")
    done = loyalty(
        "import", written(home, "customer_id,points\nann,40\n"), "--mode", "add", "--program", "club"
    )
    assert done.code == 2
    assert "points can be imported into ledgers in PostgreSQL and SQLite; this one is in MySQL" in done.error


def test_who_should_know_of_an_import_is_told_unless_it_is_a_dry_run(
    loyalty: Loyalty, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_NOTIFY_WEBHOOK", "their_hook")
    monkeypatch.setenv("LOYALTY_NOTIFY_WHEN", "finished failed uncertain skipped")

    def told() -> list[str]:
        found = Context.from_settings(Settings.from_environment()).state.notices.list()
        return sorted(each.event for each in found)

    command = ("import", written(own, "customer_id,points\nann,40\n"), "--mode", "reset", "--program", "club")
    loyalty(*command, "--by", "olga", "--dry-run")
    assert told() == []
    loyalty(*command, "--by", "olga")
    assert told() == ["uncertain"]
    [record] = json.loads(loyalty("imports", "list", "--json").out)
    loyalty("imports", "approve", record["import_id"], "--by", "paul")
    assert told() == ["finished", "uncertain"]
    other = written(own, "customer_id,points\nann,50\n", "other.csv")
    loyalty("import", other, "--mode", "reset", "--program", "club", "--by", "olga")
    newest = json.loads(loyalty("imports", "list", "--json").out)[0]
    loyalty("imports", "refuse", newest["import_id"], "--by", "paul")
    wrong = written(own, "customer_id,points\nnobody,1\n", "wrong.csv")
    loyalty("import", wrong, "--mode", "add", "--program", "club")
    assert told() == ["failed", "finished", "skipped", "uncertain", "uncertain"]


def test_a_ledger_that_is_not_ours_is_not_written(loyalty: Loyalty, home: Path) -> None:
    file = written(home, "customer_id,points\nann,40\n")
    done = loyalty("import", file, "--mode", "add", "--program", "club")
    assert done.code == 2
    assert "imports are turned off: set LOYALTY_LEDGER_WRITE_URL" in done.error


def test_what_is_being_posted_is_named_and_left_alone(loyalty: Loyalty, own: Path) -> None:
    loyalty(
        "import",
        written(own, "customer_id,points\nann,40\n"),
        "--mode",
        "add",
        "--program",
        "club",
        "--dry-run",
    )
    context = Context.from_settings(Settings.from_environment())
    [record] = context.state.imports.list()
    context.state.imports.posting(record.import_id, by="olga")
    lease = context.state.leases.acquire(f"import:{record.import_id}", "worker", timedelta(minutes=2))
    assert lease is not None
    with context.state.leases.kept(lease, timedelta(minutes=2)):
        told = loyalty("imports", "resume")
    assert (told.code, told.error.splitlines()[0]) == (0, "0 imports were finished")
    assert f"{record.import_id} is being posted" in told.error
    assert "1 imports were finished" in loyalty("imports", "resume").error
