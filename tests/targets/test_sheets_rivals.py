"""The google_sheets target beside others: people who write, attempts that were thought dead, the janitor."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.errors import NeedsPerson, Transient
from include.targets import google_sheets
from include.targets.google_sheets import Options
from include.targets.protocol import Kept, Outcome, Receipt, Word
from tests.servers.workbook import Sheet
from tests.targets.sheets_delivery import (
    BEFORE,
    MODES,
    OPTIONS,
    SHOWN,
    check_whole,
    deliver,
    earlier,
    google,
    outcomes,
    parcel,
    rest,
    staged,
)

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers


def test_somebody_who_writes_in_the_very_moment_is_noticed(google, tmp_path):
    def write(method):
        if method.endswith("batchGet"):
            google.book.sheet("daily").write(1, 0, ["in the moment"])

    google.before = write
    with pytest.raises(NeedsPerson, match="does not hold what was sent"):
        deliver(google, parcel(tmp_path))
    google.before = None
    assert outcomes(deliver(google, parcel(tmp_path))) == [Outcome.ALREADY_THERE]


def test_an_attempt_that_was_thought_dead_cannot_publish(google, tmp_path, monkeypatch):
    """It has filled its hidden tab; another one delivers; its own step then comes too late."""
    staged(monkeypatch)
    earlier(google, tmp_path, "append")
    sent, done = rest(tmp_path, "append"), []

    def other(method):
        if method.endswith("values.batchUpdate") and not done:
            done.append(method)
            deliver(google, sent, mode="append")

    google.before = other
    with pytest.raises(Transient, match="changed meanwhile"):
        deliver(google, sent, mode="append")
    check_whole(google)
    assert outcomes(deliver(google, sent, mode="append")) == [Outcome.ALREADY_THERE]


def test_an_attempt_that_was_thought_dead_cannot_publish_what_another_one_is_filling(
    google, tmp_path, monkeypatch
):
    """The first has filled its tab and hangs before its step; the second has made its own tab, and not filled it yet."""
    staged(monkeypatch)
    earlier(google, tmp_path, "replace")
    sent, filling, late = parcel(tmp_path), threading.Event(), threading.Event()
    steps = []

    def before(method):
        steps.append(method.rpartition("spreadsheets.")[2])
        if steps.count("batchUpdate") == 2 and method.endswith("spreadsheets.batchUpdate"):
            filling.wait(60)
        if steps.count("values.batchUpdate") == 2 and method.endswith("values.batchUpdate"):
            filling.set()
            late.wait(60)

    google.before = before
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(deliver, google, sent)
        while steps.count("batchUpdate") < 2:
            time.sleep(0.01)
        second = pool.submit(deliver, google, sent)
        with pytest.raises(Transient, match="changed meanwhile"):
            first.result(30)
        assert google.book.shown == {"Sheet1": [], "daily": BEFORE}
        late.set()
        assert outcomes(second.result(30)) == [Outcome.REPLACED]
    check_whole(google)


@pytest.mark.parametrize("way", ["inline", "staged"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_row_that_somebody_adds_in_the_very_moment_is_not_overwritten(
    google, tmp_path, monkeypatch, way, mode
):
    if way == "staged":
        staged(monkeypatch)
    earlier(google, tmp_path, mode)
    google.book.sheet("daily").height = 100
    asked = []

    def write(method):
        asked.append(method)
        if asked.count("sheets.spreadsheets.batchUpdate") == (2 if way == "staged" else 1):
            google.before = None
            google.book.sheet("daily").write(2, 0, ["by hand"])

    google.before = write
    deliver(google, rest(tmp_path, mode), **MODES[mode])
    table = google.book.sheet("daily").table()
    assert sorted(map(str, table)) == sorted(map(str, [*SHOWN, ["by hand"]]))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_many_attempts_at_once_make_one_delivery(google, tmp_path, monkeypatch, mode):
    staged(monkeypatch)
    earlier(google, tmp_path, mode)
    sent = rest(tmp_path, mode)

    def attempt(_):
        for _ in range(40):
            try:
                return outcomes(deliver(google, sent, **MODES[mode]))
            except (Transient, NeedsPerson):
                continue
        return []

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(attempt, range(10)))
    assert all(found)
    check_whole(google)


def test_the_janitor_removes_hidden_tabs_of_the_dead_only(google, tmp_path):
    old, key = datetime.now(UTC) - timedelta(days=2), "a" * 32
    names = {
        1: f".part-{key}-{old:%Y%m%dT%H%M%SZ}-0a1b-0",
        2: f".part-{'b' * 32}-{old:%Y%m%dT%H%M%SZ}-0a1b-0",  # an attempt is at work
        3: f".part-{key}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-0a1b-0",
        4: ".part-notes of somebody",
    }
    for number, name in names.items():
        google.book.sheets[number] = Sheet(number, name, hidden=True)
    options = Options.model_validate(OPTIONS)
    kept = Kept(live=frozenset({"b" * 32}))
    removed = google_sheets.clean(options, google.secrets(), timedelta(days=1), kept)
    assert [name.rpartition(": ")[2] for name in removed] == [names[1]]
    assert set(google.book.sheets) == {0, 2, 3, 4}
    assert google_sheets.clean(options, google.secrets(), timedelta(days=1), kept) == []


def test_trying_leaves_nothing(google):
    assert google_sheets.test(Options.model_validate(OPTIONS), google.secrets()) == []
    assert google.book.shown == {"Sheet1": []}
    assert len(google.book.sheets) == 1


def test_after_a_persons_word_that_nothing_arrived_it_is_sent_again(google, tmp_path):
    sent = parcel(tmp_path)
    deliver(google, sent, mode="append")
    said = Word(arrived=False, by="ada", at=datetime(2026, 3, 3, tzinfo=UTC))
    receipt = Receipt(target="google_sheets", key=sent.key, files=(), word=said)
    for _ in range(2):
        deliver(google, replace(sent, accepted=receipt), mode="append")
    assert google.book.sheet("daily").table() == [*SHOWN, *SHOWN[1:]]
