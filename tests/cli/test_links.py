"""`loyalty links`: who can download what, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

from include import state
from tests.cli.test_cli import Loyalty, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]


def test_links_are_shown_without_their_tokens_and_ended_by_their_ids(
    loyalty: Loyalty, home: Path, monkeypatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    remembered = state.open(f"sqlite:///{home / 'state.sqlite'}")
    tokens = [
        remembered.links.make(run_key=run * 64, file="weekly.csv", recipient=f"{name}@shop.example")
        for run, name in (("a", "jane"), ("b", "joe"))
    ]
    shown = loyalty("links", "list")
    assert shown.code == 0
    assert "jane@shop.example" in shown.out
    assert "joe@shop.example" in shown.out
    assert not any(token in shown.out for token in tokens)
    [jane] = json.loads(loyalty("links", "list", "--run", "aaa", "--json").out)
    assert (jane["recipient"], jane["state"]) == ("jane@shop.example", "active")
    assert json.loads(loyalty("links", "list", "--recipient", "nobody@shop.example", "--json").out) == []

    ended = loyalty("links", "revoke", jane["id"])
    assert ended.code == 0
    assert "weekly.csv for jane@shop.example is revoked" in ended.out
    assert remembered.links.find(tokens[0]).state == "revoked"
    assert remembered.links.find(tokens[1]).state == "active"
    assert remembered.audit.newest()[0].actor == "ann"
    unknown = loyalty("links", "revoke", "zzz")
    assert unknown.code == 2
    assert "no link begins so" in unknown.error
