"""What a person does about deliveries at the command line: look, resolve, retry, send again, test, try targets."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from include import kinds, targets
from tests.cli.test_cli import DEFINITION, Loyalty, files, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]  # fixtures
AS_OF = "2026-06-01T00:00+02:00"
RUN = ["export", "run", "balances", "--as-of", AS_OF, "--deliver"]
NAME = "balances_2026-06-01.csv.gz"
BOTH = DEFINITION + "  - {kind: folder, name: copy, options: {folder: copy}}\n"


def deliveries(loyalty: Loyalty, *asked: str) -> list[dict[str, Any]]:
    done = loyalty("deliveries", "list", *asked, "--json")
    assert done.code == 0, done.error
    return json.loads(done.out)


@pytest.fixture
def taken(home: Path) -> Path:
    """Somebody else's file under the name that the run's has."""
    path = home / "delivered" / NAME
    path.parent.mkdir()
    path.write_text("somebody else's")
    return path


@pytest.mark.slow
def test_a_conflict_is_listed_shown_resolved_and_told(loyalty: Loyalty, taken: Path) -> None:
    assert loyalty(*RUN).code == 1
    [waiting] = deliveries(loyalty, "--waiting")
    key = waiting["key"][:12]
    assert (waiting["state"], waiting["definition_id"], waiting["is_live"]) == ("conflict", "balances", False)
    shown = loyalty("deliveries", "show", key).out
    for words in (
        f"Delivery {key} to folder (times are UTC)",
        "of balances, as of 2026-05-31 22:00:00",
        "conflict: its name is taken; it waits for a person",
        "exists with other content",
        "attempts  1, the last by",
        NAME,
        "first attempt",
        "its name is taken there (attempt 1), by ",
        "Something else has the name of a file of this delivery. Look at it there.",
        f"When it is out of the way: loyalty deliveries retry {key}",
        f'loyalty deliveries resolve {key} --arrived --note "who said so"',
    ):
        assert words in shown, shown
    done = loyalty("deliveries", "resolve", key, "--arrived", "--note", "Bob has it from us by hand")
    assert done.code == 0, done.error
    assert "says that it arrived: Bob has it from us by hand" in done.out
    shown = loyalty("deliveries", "show", key).out
    assert re.search(r"said to have arrived: Bob has it from us by hand, by \S+", shown)
    assert re.search(r"\S+ says that it arrived: Bob has it from us by hand \(2\d{3}-\d\d-\d\d ", shown)
    assert "What to do" not in shown
    [run] = json.loads(loyalty("runs", "--json").out)
    assert run["status"] == "done"
    again = loyalty("deliveries", "resolve", key, "--not-arrived")
    assert again.code == 2
    assert "it is confirmed" in again.error
    assert taken.read_text() == "somebody else's"


@pytest.mark.slow
def test_what_did_not_arrive_is_retried_and_the_run_is_done(loyalty: Loyalty, taken: Path) -> None:
    assert loyalty(*RUN).code == 1
    [waiting] = deliveries(loyalty, "--state", "conflict")
    key = waiting["key"]
    assert loyalty("deliveries", "retry", key).code == 1  # the name is still taken
    done = loyalty("deliveries", "resolve", key, "--not-arrived", "--json")
    told = json.loads(done.out)
    assert (told["state"], told["may_have_sent"], told["receipt"]["word"]["arrived"]) == (
        "failed",
        False,
        False,
    )
    assert f"loyalty deliveries retry {key[:12]}" in told["next_step"]
    taken.unlink()
    done = loyalty("deliveries", "retry", key[:8])
    assert done.code == 0, done.error
    assert "folder: confirmed" in done.out
    assert NAME in done.out
    assert json.loads(loyalty("runs", "--json").out)[0]["status"] == "done"
    told = json.loads(loyalty("deliveries", "show", key, "--json").out)
    assert [entry["action"] for entry in told["history"]] == [
        "delivery_conflict", "delivery_reopened", "delivery_conflict", "resolved", "delivery_reopened", "delivered",
    ]  # fmt: skip
    assert deliveries(loyalty, "--waiting") == []


@pytest.mark.slow
def test_deliveries_are_found_by_what_one_knows(loyalty: Loyalty, home: Path) -> None:
    (home / "exports" / "balances.yaml").write_text(BOTH)
    assert loyalty(*RUN).code == 0
    [one, two] = deliveries(loyalty)
    assert {one["target"], two["target"]} == {"folder", "copy"}
    for asked, count in (
        (["--target", "copy"], 1), (["--export", "balances"], 2), (["--export", "other"], 0),
        (["--run", one["run_key"]], 2), (["--state", "confirmed", "--state", "failed"], 2),
        (["--state", "failed"], 0), (["--since", "2026-01-01"], 2), (["--since", "2100-01-01"], 0),
        (["--limit", "1"], 1),
    ):  # fmt: skip
        assert len(deliveries(loyalty, *asked)) == count, asked
    table = loyalty("deliveries", "list").out
    assert "2026-05-31 22:00:00" in table
    assert "copy" in table
    for asked, words in (
        (["list", "--state", "lost"], "states are claimed, confirmed, conflict"),
        (["list", "--since", "yesterday"], "must be an instant"),
        (["show", "zzz"], "no delivery begins so"),
        (["resolve", one["key"]], "say --arrived or --not-arrived"),
        (["retry", one["key"]], "it is confirmed"),
    ):
        refused = loyalty("deliveries", *asked)
        assert (refused.code, words in refused.error) == (2, True), refused


@pytest.mark.slow
def test_a_run_is_sent_again_and_as_a_test(loyalty: Loyalty, home: Path) -> None:
    (home / "exports" / "balances.yaml").write_text(BOTH)
    none = loyalty("export", "send", "balances")
    assert none.code == 2
    assert "has no run with files yet" in none.error
    assert loyalty(*RUN).code == 0
    (home / "copy" / NAME).unlink()
    same = loyalty("export", "send", "balances")
    assert same.code == 0, same.error
    assert NAME not in files(home / "copy")
    again = json.loads(loyalty("export", "send", "balances", "--to", "copy", "--again", "--json").out)
    assert again["sent"]["copy"]["files"][0]["outcome"] == "created"
    assert files(home / "copy") == files(home / "delivered")
    assert [each["sending"] for each in deliveries(loyalty, "--target", "copy")] == [0, 1]
    [_, repeated] = deliveries(loyalty, "--target", "copy")
    assert "again, the 1. time" in loyalty("deliveries", "show", repeated["key"]).out
    test = loyalty("export", "send", "balances", "--run", again["run"][:9], "--test-to", str(home / "mine"))
    assert test.code == 0, test.error
    assert files(home / "mine") == [f"TEST_{NAME}", f"TEST_{NAME}.manifest.json"]
    assert len(deliveries(loyalty)) == 3
    for asked, words in (
        (["--run", "abc", "--latest"], "not both"),
        (["--test-to", "x", "--again"], "a test goes to no target"),
        (["--to", "elsewhere", "--to", "there"], "2 problems"),
        (["--run", "nope"], "must be `latest`"),
    ):
        refused = loyalty("export", "send", "balances", *asked)
        assert (refused.code, words in refused.error) == (2, True), refused


@pytest.mark.slow
def test_one_target_that_fails_is_told_and_the_others_have_it(loyalty: Loyalty, home: Path) -> None:
    (home / "exports" / "balances.yaml").write_text(BOTH)
    (home / "copy").write_text("a file where a folder should be")
    assert loyalty("export", "run", "balances", "--as-of", AS_OF).code == 0
    failed = loyalty("export", "send", "balances")
    assert failed.code == 1
    assert "copy: " in failed.error
    assert NAME in files(home / "delivered")
    (home / "copy").unlink()
    assert loyalty("export", "send", "balances").code == 0
    assert json.loads(loyalty("runs", "--json").out)[0]["status"] == "done"


def test_targets_are_tried_and_what_is_missing_is_said(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "blocked").write_text("a file where a folder should be")
    (home / "exports" / "balances.yaml").write_text(
        DEFINITION
        + "  - {kind: folder, name: blocked, options: {folder: blocked}}\n"
        + "  - {kind: sftp, name: acme, options: {connection: acme}}\n"
        + "  - {kind: sftp, name: down, options: {connection: down}}\n"
    )
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        down = {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": port,
            "login": "x",
            "password": "t0p-secret-word",
        }
        down["extra"] = {"host_key": "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43}
        monkeypatch.setenv("AIRFLOW_CONN_DOWN", json.dumps(down))
        tried = loyalty("target", "test", "balances")
    assert tried.code == 1
    assert "can deliver" in tried.out
    assert f"127.0.0.1:{port}: no connection" in tried.error
    assert "make it in Airflow under Admin > Connections with the id acme" in tried.error
    assert "blocked" in tried.error
    assert "t0p-secret-word" not in tried.out + tried.error
    assert files(home / "delivered") == []
    good = loyalty("target", "test", "balances", "--target", "folder", "--json")
    assert (good.code, json.loads(good.out)) == (0, [{"target": "folder", "kind": "folder", "problems": []}])
    unknown = loyalty("target", "test", str(home / "exports" / "balances.yaml"), "--target", "nowhere")
    assert unknown.code == 2
    assert "targets of balances are folder, blocked, acme, down" in unknown.error
    audited = json.loads(loyalty("audit", "list", "--action", "target_tested", "--json").out)
    assert {each["subject"] for each in audited} == {"folder", "blocked", "acme", "down"}


def test_every_kind_of_target_tells_its_options(loyalty: Loyalty) -> None:
    listed = json.loads(loyalty("target", "list", "--json").out)
    assert [each["kind"] for each in listed] == list(kinds.names(targets))
    table = loyalty("target", "list").out
    for kind in kinds.names(targets):
        assert kind in table
        shown = loyalty("target", "show", kind)
        assert shown.code == 0
        for option in kinds.load(targets, kind, where="test").Options.model_fields:
            assert option in shown.out
    assert "known target kinds are" in loyalty("target", "show", "pigeon").error
