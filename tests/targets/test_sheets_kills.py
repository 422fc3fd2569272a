"""The google_sheets target killed with -9 at every message of its protocol."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.servers.sheets import BOOK
from tests.targets.killed_request import killed_at
from tests.targets.kills import EVERY, KILLS
from tests.targets.sheets_delivery import (
    BEFORE,
    MODES,
    SHOWN,
    check_whole,
    deliver,
    earlier,
    google,
    rest,
    staged,
)

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers


@pytest.mark.slow
@pytest.mark.parametrize("way", ["inline", "staged"])
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_at_any_message_shows_nothing_partial_and_the_next_delivery_is_the_only_one(
    google, tmp_path, monkeypatch, way, mode
):
    if way == "staged":
        staged(monkeypatch)
    earlier(google, tmp_path, mode)
    begun, sent, count = google.book.sheets, rest(tmp_path, mode, key="a1"), tmp_path / "count"

    def killed(point: int) -> bool:
        google.book.sheets = deepcopy(begun)
        google.drive.books = {BOOK: google.book}
        return killed_at(point, lambda: deliver(google, sent, **MODES[mode]), count)

    assert not killed(10**6)
    check_whole(google)
    points = int(count.read_text())
    step = 1 if EVERY else max(1, points * len(MODES) * 2 // KILLS)
    seen = set()
    for point in sorted({*range(0, points, step), points - 1}):
        assert killed(point)
        shown = google.book.shown
        assert shown in ({"Sheet1": [], "daily": BEFORE}, {"Sheet1": [], "daily": SHOWN})
        seen.add(len(shown["daily"]))
        deliver(google, sent, **MODES[mode])
        check_whole(google)
    assert seen == {len(BEFORE), len(SHOWN)}
    print(f"{mode}, {way}: {points} points, killed at every {step}")
