"""`loyalty key` and `loyalty grant`: what is made, told once, listed, refused and ended, and in whose name."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from include import state
from include.state import State
from tests.cli.test_cli import Loyalty, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]


@pytest.fixture
def remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("LOGNAME", "ann")
    return state.open(f"sqlite:///{home / 'state.sqlite'}")


def test_a_key_is_told_once_and_works_until_it_is_revoked(
    loyalty: Loyalty, home: Path, remembered: State
) -> None:
    asked = ("--scope", "runs:read", "--scope", "files:read", "--export", "balances", "--days", "7")
    made = loyalty("key", "create", "warehouse", *asked, "--per-minute", "60")
    assert made.code == 0, made.error
    key = made.out.strip()
    record = remembered.keys.authenticate(key)
    assert record is not None
    assert (record.name, record.exports, record.per_minute) == ("warehouse", ("balances",), 60)
    assert (sorted(record.scopes), record.created_by) == (["files:read", "runs:read"], "ann")
    assert record.expires_at - record.created_at == timedelta(days=7)
    assert record.id in made.error

    [shown] = json.loads(loyalty("key", "list", "--json").out)
    assert (shown["id"], shown["status"], shown["scopes"]) == (
        record.id,
        "active",
        ["files:read", "runs:read"],
    )
    assert "warehouse" in loyalty("key", "list").out
    secret = key.rpartition(f"{record.id}_")[2]
    assert secret not in loyalty("key", "list").out + json.dumps(shown)

    ended = loyalty("key", "revoke", record.id)
    assert (ended.code, ended.out.strip()) == (0, f"{record.id}: warehouse is revoked")
    assert remembered.audit.newest()[0].actor == "ann"
    assert state.open(f"sqlite:///{home / 'state.sqlite'}").keys.authenticate(key) is None
    again = loyalty("key", "revoke", "no-such-key")
    assert (again.code, "the id of a key" in again.error) == (2, True)


def test_a_key_as_json_holds_the_key_and_the_usual_limits(loyalty: Loyalty, remembered: State) -> None:
    made = json.loads(loyalty("key", "create", "robot", "--scope", "runs:read", "--json").out)
    record = remembered.keys.authenticate(made["key"])
    assert record is not None
    assert (record.exports, record.per_minute) == ((), 600)
    assert record.expires_at - record.created_at == timedelta(days=90)


def test_all_that_is_wrong_with_a_key_is_said_at_once(loyalty: Loyalty, remembered: State) -> None:
    wrong = ("--scope", "everything", "--export", "nowhere", "--days", "732", "--per-minute", "0")
    refused = loyalty("key", "create", " ", *wrong)
    assert (refused.code, refused.out) == (2, "")
    for part in ("who uses the key", "scopes are", "'nowhere'", "at most 731 days", "1 to 60000 requests"):
        assert part in refused.error
    assert loyalty("key", "create", "x", "--scope", "runs:read", "--days", "0").code == 2
    assert "at least one of" in loyalty("key", "create", "robot").error
    assert remembered.keys.list() == []


def test_rights_are_granted_to_roles_listed_and_taken_away(loyalty: Loyalty, remembered: State) -> None:
    assert loyalty("grant", "add", "OP", "edit", "--export", "balances").out.strip() == "OP: edit balances"
    assert loyalty("grant", "add", "op", "edit", "--export", "balances").out.strip().endswith(", as before")
    assert loyalty("grant", "add", "finance", "personal").out.strip() == "finance: personal all exports"
    assert remembered.grants.allowed(["op"], "edit", "balances")
    assert not remembered.grants.allowed(["op"], "edit", "another")
    found = json.loads(loyalty("grant", "list", "--json").out)
    assert [(each["role"], each["right"], each["definition_id"], each["granted_by"]) for each in found] == [
        ("finance", "personal", "*", "ann"),
        ("op", "edit", "balances", "ann"),
    ]
    assert "finance" in loyalty("grant", "list").out

    # It was granted for one export, so it is not there to be revoked for all.
    missing = loyalty("grant", "revoke", "op", "edit")
    assert (missing.code, "loyalty grant list" in missing.error) == (2, True)
    assert loyalty("grant", "revoke", "Op", "edit", "--export", "balances").code == 0
    assert [each.role for each in remembered.grants.list()] == ["finance"]
    assert remembered.audit.newest()[0].actor == "ann"


def test_all_that_cannot_be_granted_is_said_at_once(loyalty: Loyalty, remembered: State) -> None:
    refused = loyalty("grant", "add", "admin", "rule", "--export", "nowhere")
    assert refused.code == 2
    for part in ("admin, which has every right", "one of edit, personal, import, administer", "'nowhere'"):
        assert part in refused.error
    assert remembered.grants.list() == []
