"""The google_sheets target when Google or the network is in the way: named, bounded, and never twice or half."""

from __future__ import annotations

import json
import threading
import time
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
from google.auth import _exponential_backoff

from include.errors import BadInput, LoyaltyError, Permanent, Transient
from include.targets import google_sheets
from include.targets.google_sheets import Options
from include.targets.protocol import no_progress
from include.targets.sheets import client
from tests.servers import sheets
from tests.servers.sheets import ACCOUNT
from tests.servers.workbook import Sheet, Workbook
from tests.targets.sheets_delivery import (
    BEFORE,
    MODES,
    OPTIONS,
    ROWS,
    SHOWN,
    check_whole,
    deliver,
    earlier,
    google,
    parcel,
    rest,
    staged,
)

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers
STEPS = ["get", "batchUpdate", "batchGet"]


# Google says no for now


@pytest.mark.parametrize("mode", MODES)
def test_what_is_busy_is_asked_again_as_late_as_it_says(google, tmp_path, monkeypatch, mode):
    staged(monkeypatch)
    waited = []
    monkeypatch.setattr(client.time, "sleep", waited.append)
    earlier(google, tmp_path, mode)
    google.fail("spreadsheets", 429, times=3, retry_after=7)
    google.fail("values.batchUpdate", 429, times=2)
    google.fail("batchUpdate", 429, times=2, retry_after=2)
    google.fail("batchGet", 503, times=2)
    deliver(google, rest(tmp_path, mode), **MODES[mode])
    check_whole(google)
    assert waited.count(7) == 3
    assert waited.count(2) == 2


@pytest.mark.parametrize("status", [429, 500, 503, 0])
@pytest.mark.parametrize("step", STEPS)
def test_what_stays_busy_ends_in_time(google, tmp_path, monkeypatch, status, step):
    staged(monkeypatch)
    earlier(google, tmp_path, "replace")
    before = google.book.shown
    google.fail(step, status, times=1000)
    with pytest.raises(Transient, match="try again later"):
        deliver(google, parcel(tmp_path))
    assert len(google.asked) < 50
    assert google.book.shown == before
    google.faults.clear()
    deliver(google, parcel(tmp_path))
    check_whole(google)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["inline", "staged"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [503, 0])
@pytest.mark.parametrize("after", [False, True], ids=["not done", "done, and the answer lost"])
def test_each_request_may_fail_and_nothing_is_done_twice(
    google, tmp_path, monkeypatch, way, mode, status, after
):
    if way == "staged":
        staged(monkeypatch)
    earlier(google, tmp_path, mode)
    begun, sent = google.book.sheets, rest(tmp_path, mode)
    for number in range(20):
        google.book.sheets = deepcopy(begun)
        fault = google.fail("spreadsheets", status, after=after, skip=number)
        try:
            deliver(google, sent, **MODES[mode])
        except Transient:
            assert google.book.shown in ({"Sheet1": [], "daily": BEFORE}, {"Sheet1": [], "daily": SHOWN})
        google.faults.clear()
        deliver(google, sent, **MODES[mode])
        check_whole(google)
        if fault.times:
            break
    else:
        pytest.fail("the delivery has more requests than were tried")


def test_a_late_request_changes_nothing_twice(google, tmp_path, monkeypatch):
    """The first append hangs at Google, is given up, is sent again; then the first one is carried out too."""
    earlier(google, tmp_path, "append")
    batches = []
    original = Workbook.batch

    def batch(self, requests):
        batches.append(requests)
        return original(self, requests)

    monkeypatch.setattr(Workbook, "batch", batch)
    sent = rest(tmp_path, "append")
    deliver(google, sent, mode="append")
    with pytest.raises(Exception, match=r"metadata id \d+ is already in use"):
        google.book.batch(batches[-1])
    check_whole(google)


@pytest.mark.slow
def test_a_frozen_server_ends_in_time(google, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    earlier(google, tmp_path, "append")
    fault = google.fail(r"spreadsheets\.batchUpdate", 0, times=100, freeze=threading.Event())
    began = time.monotonic()
    with pytest.raises(Transient, match="does not carry it out"):
        deliver(google, rest(tmp_path, "append"), mode="append", timeout_seconds=1)
    assert time.monotonic() - began < 100
    fault.times = 0
    fault.freeze.set()
    deliver(google, rest(tmp_path, "append"), mode="append")
    check_whole(google)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_whose_answer_is_lost_is_looked_for_and_not_sent_again(google, tmp_path, mode):
    earlier(google, tmp_path, mode)
    google.fail(r"spreadsheets\.batchUpdate", 0, after=True)
    deliver(google, rest(tmp_path, mode), **MODES[mode])
    check_whole(google)
    assert google.methods.count("sheets.spreadsheets.batchUpdate") == 1


@pytest.mark.parametrize("way", ["inline", "staged"])
@pytest.mark.parametrize("mode", MODES)
def test_readers_see_what_was_before_or_the_whole_at_every_moment(google, tmp_path, monkeypatch, way, mode):
    if way == "staged":
        staged(monkeypatch)
    earlier(google, tmp_path, mode)
    seen = []
    google.before = lambda _method: seen.append(google.book.shown)
    deliver(google, rest(tmp_path, mode), **MODES[mode])
    states = [{"Sheet1": [], "daily": BEFORE}, {"Sheet1": [], "daily": SHOWN}]
    assert len(seen) >= 2
    assert all(shown in states for shown in seen)
    check_whole(google)


# Google says no


def test_a_sheet_that_is_not_shared_says_with_whom_to_share_it(google, tmp_path):
    google.book.editors = {"somebody@acme.example"}
    with pytest.raises(Permanent, match=rf"not shared with {ACCOUNT}; open it, choose Share"):
        deliver(google, parcel(tmp_path))
    (problem,) = google_sheets.test(Options.model_validate(OPTIONS), google.secrets())
    assert ACCOUNT in problem.right
    google.book.readers = {ACCOUNT}
    (problem,) = google_sheets.test(Options.model_validate(OPTIONS), google.secrets())
    assert "make that address an Editor" in problem.right
    said = google.secrets().scrub(str(problem))
    assert ACCOUNT in said
    key = json.loads(google.connection().extra["keyfile_dict"])
    for extra in (json.dumps(key), key):
        scrubbed = google.secrets(google.connection(keyfile_dict=extra)).scrub(
            f"{ACCOUNT} {key['private_key']}"
        )
        assert scrubbed == f"{ACCOUNT} ***"


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (404, {}, "no such spreadsheet"),
        (403, {"details": [{"reason": "SERVICE_DISABLED"}]}, "API is not enabled"),
        (403, {"details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}, "consent again"),
        (400, {"message": "This operation is not supported for this document"}, "Save as Google Sheets"),
        (400, {"message": "Request payload size exceeds the limit: 1 bytes."}, "lower request_megabytes"),
        (400, {"message": "You are trying to edit a protected cell or object."}, f"let {ACCOUNT} edit it"),
        (400, {"message": "something new"}, "something new"),
        (401, {}, "login is not accepted"),
    ],
)
def test_refusals_are_named_and_stop_at_once(google, tmp_path, status, error, said):
    google.fail(".", status, error=error, times=3)
    with pytest.raises(Permanent, match=said):
        deliver(google, parcel(tmp_path))
    assert len(google.methods) <= 2
    assert google.book.shown == {"Sheet1": []}


def test_a_quota_that_drive_calls_forbidden_is_no_refusal(google, tmp_path):
    google.fail("get$", 403, error={"errors": [{"reason": "userRateLimitExceeded"}]}, times=2)
    deliver(google, parcel(tmp_path))
    check_whole(google)


def test_a_protected_tab_is_named(google, tmp_path):
    deliver(google, parcel(tmp_path, ROWS[:1]))
    google.book.sheet("daily").protected = True
    with pytest.raises(Permanent, match="remove the protection"):
        deliver(google, parcel(tmp_path, key="key2"))
    assert google.book.sheet("daily").table() == BEFORE


@pytest.mark.parametrize("way", ["inline", "staged"])
def test_a_full_spreadsheet_is_known_before_anything_is_sent(google, tmp_path, monkeypatch, way):
    if way == "staged":
        staged(monkeypatch)
    google.book.sheets[7] = Sheet(7, "Big", height=1_000_000, width=10 - 1)
    google.book.sheets[8] = Sheet(8, "Bigger", height=97_397, width=10)
    room = 10_000_000 - sum(sheet.height * sheet.width for sheet in google.book.sheets.values())
    rows = [(f"c{number}", None, 0, None, None) for number in range(room // 5)]
    with pytest.raises(Permanent, match=r"Google allows 10,000,000\. Remove tabs"):
        deliver(google, parcel(tmp_path, rows))
    assert google.methods == ["sheets.spreadsheets.get"]
    deliver(google, parcel(tmp_path, rows[: room // 10 - 2]))


def test_a_token_that_ends_is_renewed_and_a_wrong_key_is_named(google, tmp_path, monkeypatch):
    monkeypatch.setattr(_exponential_backoff, "time", SimpleNamespace(sleep=lambda _seconds: None))

    def expire(method):
        if method.endswith("batchUpdate"):
            google.tokens.clear()
            google.before = None

    google.before = expire
    deliver(google, parcel(tmp_path))
    check_whole(google)
    for wrong in (google.connection(number=1), google.user(refresh_token="other")):
        with pytest.raises(Permanent, match=r"no access token \(invalid_grant\).*check its key"):
            google_sheets.deliver(
                Options.model_validate(OPTIONS), parcel(tmp_path, key="k"), google.secrets(wrong), no_progress
            )
    google.token_status = 500
    with pytest.raises(LoyaltyError, match="token"):
        deliver(google, parcel(tmp_path, key="k3"))


def test_connections_hold_keys_in_every_form_of_airflow(google, tmp_path):
    key = google.connection().extra["keyfile_dict"]
    (tmp_path / "key.json").write_text(key)
    old = "extra__google_cloud_platform__"
    forms = (
        {"keyfile_dict": json.loads(key)},
        {"keyfile_dict": None, "key_path": str(tmp_path / "key.json")},
        {"keyfile_dict": None, f"{old}keyfile_dict": key},
        {"keyfile_dict": "", f"{old}key_path": str(tmp_path / "key.json")},
    )
    for number, form in enumerate(forms):
        assert (
            google_sheets.test(Options.model_validate(OPTIONS), google.secrets(google.connection(**form)))
            == []
        ), number
    google.book.editors = {"person@acme.example"}
    assert google_sheets.test(Options.model_validate(OPTIONS), google.secrets(google.user())) == []
    person = google.connection(delegate_to="person@acme.example")
    assert google_sheets.test(Options.model_validate(OPTIONS), google.secrets(person)) == []
    assert {scope.rpartition("/")[2] for scope in google.scopes} == {"spreadsheets", "drive.file"}
    wrong = {"not JSON": "{", "no key": "", "no private key": '{"type": "service_account"}', "a list": "[]"}
    for form in wrong.values():
        (problem,) = google_sheets.test(
            Options.model_validate(OPTIONS), google.secrets(google.connection(keyfile_dict=form))
        )
        assert problem.code in {"bad_credentials", "missing_credentials"}
    with pytest.raises(BadInput, match="no such connection"):
        google_sheets.deliver(
            Options.model_validate(OPTIONS),
            parcel(tmp_path),
            replace(google.secrets(), connections={}),
            no_progress,
        )


def test_nobody_listening_is_transient(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.001)
    with sheets.google() as running:
        secrets = running.secrets()
    with pytest.raises(Transient, match="token service does not answer"):
        google_sheets.deliver(Options.model_validate(OPTIONS), parcel(tmp_path), secrets, no_progress)
