"""Connections in use, without what is secret in them; trying them sends nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.pipeline import health
from include.state.audit import Action
from tests.web.posting import post, text_of

PAGE = "/loyalty/administration/connections"
SECRET = "c4nary-s3cret"


@pytest.fixture
def exports(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(folder))
    document = {
        "id": "nightly",
        "name": "Nightly",
        "model": "balance",
        "targets": [
            {"kind": "sftp", "name": "bank", "options": {"connection": "bank_sftp", "folder": "in"}},
            {"kind": "sftp", "name": "lost", "options": {"connection": "lost_sftp", "folder": "in"}},
        ],
    }
    (folder / "nightly.yaml").write_text(json.dumps(document))
    connection = {"conn_type": "sftp", "host": "127.0.0.1", "port": 9, "login": "me", "password": SECRET}
    monkeypatch.setenv(
        "AIRFLOW_CONN_BANK_SFTP", json.dumps(connection | {"extra": {"host_key": "ssh-ed25519 AAAA"}})
    )
    return folder


@pytest.fixture
def admin(exports, browser):
    return browser("admin", "ADMIN")


def test_each_connection_says_who_uses_it_and_what_is_wrong(admin):
    told = text_of(admin.get(PAGE))
    assert "bank_sftp sftp 127.0.0.1:9 nightly : delivers to bank" in told
    assert "lost_sftp not usable there is no such connection" in told
    assert SECRET not in admin.get(PAGE).text


def test_a_test_says_what_is_missing_and_shows_no_secret(admin, installation):
    answer = post(admin, f"{PAGE}/bank_sftp/test", PAGE)
    assert "1 of 1 try found a problem" in text_of(answer)
    assert SECRET not in answer.text
    told = installation.context.state.audit.newest(action=Action.TARGET_TESTED)
    assert [(each.actor, each.subject) for each in told] == [("admin", "bank")]
    assert "problems" in text_of(admin.get(PAGE))


def test_a_connection_that_no_target_uses_cannot_be_tried(admin):
    assert post(admin, f"{PAGE}/other/test", PAGE).status_code == 422


def test_the_ledger_is_tried(admin, installation):
    assert "found a problem" in text_of(post(admin, "/loyalty/administration/ledger/test", PAGE))
    (entry,) = installation.context.state.audit.newest(action=Action.TARGET_TESTED)
    assert (entry.subject, entry.actor) == ("ledger", "admin")


def test_the_state_says_how_it_is(admin):
    assert "sqlite answers" in text_of(admin.get(PAGE))


@pytest.mark.parametrize(
    ("host", "shown"),
    [("https://u:p@h.example/secret?k=v", "https://h.example"), ("h.example/secret", "h.example"), ("", "")],
)
def test_of_a_host_only_the_host_is_shown(host, shown):
    assert health._host(host) == shown
