"""The google_sheets target killed with -9 at every message of its protocol."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from include.connections import Connection
from tests.servers.sheets import BOOK, NAME
from tests.servers.workbook import Sheet
from tests.targets.kills import EVERY, KILLS
from tests.targets.sheets_delivery import (
    BEFORE,
    MODES,
    OPTIONS,
    SHOWN,
    check_whole,
    deliver,
    earlier,
    google,
    rest,
)

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers


def kill(google, task):
    """Deliver in a process of its own that kills itself at a point; return how it ended, and what it printed."""
    command = [sys.executable, "-m", "tests.targets.killed_sheet"]
    done = subprocess.run(command, input=json.dumps(task), text=True, capture_output=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize("way", ["inline", "staged"])
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_at_any_message_shows_nothing_partial_and_the_next_delivery_is_the_only_one(
    google, tmp_path, way, mode
):
    sent = rest(tmp_path, mode, key="a1")
    connection: Connection = google.connection()
    task = {
        "options": {**OPTIONS, **MODES[mode]},
        "connection": {"name": NAME, "conn_type": connection.conn_type, "extra": dict(connection.extra)},
        "source": str(sent.files[0].path.parent),
        "key": sent.key,
        "inline": way == "inline",
        "point": 10**6,
    }
    earlier(google, tmp_path, mode)
    points = int(kill(google, task).stdout)
    check_whole(google)
    step = 1 if EVERY else max(1, points * len(MODES) * 2 // KILLS)
    seen = set()
    for point in sorted({*range(0, points, step), points - 1}):
        google.book.sheets = {0: Sheet(0, "Sheet1")}
        google.drive.books = {BOOK: google.book}
        earlier(google, tmp_path, mode)
        assert kill(google, {**task, "point": point}).returncode == -signal.SIGKILL
        shown = google.book.shown
        assert shown in ({"Sheet1": [], "daily": BEFORE}, {"Sheet1": [], "daily": SHOWN})
        seen.add(len(shown["daily"]))
        deliver(google, sent, **MODES[mode])
        check_whole(google)
    assert seen == {len(BEFORE), len(SHOWN)}
    print(f"{mode}, {way}: {points} points, killed at every {step}")
