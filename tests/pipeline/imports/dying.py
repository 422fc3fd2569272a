"""An attempt at an import in a process of its own, which may kill itself at a point of it. A helper, not a test.

It is forked by `tests/benchmarks/killing/nursery.py`, which imported all of this before. The points are those of the
fault matrix: seen, parsed, staged, posting (in the middle of the database transaction), committed (but not archived),
archived (but not marked).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from include.errors import NotYet
from include.imports import members, postgres, sqlite
from include.pipeline import imports
from include.pipeline.imports import stage as import_stage
from include.state.imports import ImportRecord, Imports
from tests.pipeline.imports.desk import Desk

POINTS = ("seen", "parsed", "staged", "posting", "committed", "archived")


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Make the process die when it comes to the point."""
    if point == "seen":  # the store has the file, the record is not there yet
        Imports.receive = die  # type: ignore[method-assign]
    elif point == "parsed":
        members.match = die
    elif point == "staged":  # the rows lie in the store
        Imports.rehearsed = die  # type: ignore[method-assign]
    elif point == "posting":
        for session in (postgres.PostgresSession, sqlite.SqliteSession):
            session.commit = die  # type: ignore[attr-defined]
    elif point == "committed":
        import_stage.archive = die  # type: ignore[assignment]
    elif point == "archived":
        Imports.posted = die  # type: ignore[method-assign]


def again(desk: Desk, content: bytes, mode: str) -> ImportRecord:
    """Do all that there is to do for a file."""
    record = desk.receive(content, mode)
    record = imports.rehearse(desk.context, record.import_id) if record.state == "received" else record
    if record.state == "waiting":
        record = imports.approve(desk.context, record.import_id, by="paul")
    return imports.post(desk.context, record.import_id, by="olga")


def attempt(task: dict[str, Any], _points: Any) -> str:
    """Do it in this process, which is forked for it."""
    desk = Desk(task["url"], Path(task["folder"]))
    arm(task["place"])
    for _ in range(200):
        try:
            return again(desk, task["text"].encode(), task["mode"]).state
        except NotYet:
            time.sleep(0.1)
    return "the lease of a dead attempt never ended"
