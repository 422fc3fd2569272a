"""What the next upkeep would take away, and what the store holds now. It changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from include.pipeline import retention
from include.pipeline.context import Context
from include.snapshots.store import Store

SHOWN = 200


class Leaving(NamedTuple):
    """The files of one run."""

    run_key: str
    definition_id: str
    as_of: datetime
    files: int
    bytes: int


@dataclass(frozen=True)
class Outlook:
    """What would go: the first files, how many runs' files and bytes in all, and snapshots.

    objects, stored: how many objects the store holds, with how many bytes. free: bytes left on its disk, None where it
    is no folder.
    """

    leaving: tuple[Leaving, ...]
    runs: int
    bytes: int
    snapshots: tuple[str, ...]
    objects: int
    stored: int
    free: int | None


def outlook(context: Context) -> Outlook:
    """Look at every run with files, and at every object of the store: minutes where there are very many."""
    leaving = [
        Leaving(
            run.run_key,
            run.definition_id,
            run.as_of,
            len(run.files),
            sum(each["bytes"] for each in run.files),
        )
        for run in retention.over(context)
    ]
    objects = stored = 0
    for entry in context.store.list():
        objects, stored = objects + 1, stored + entry.bytes
    idle = context.state.snapshots.idle(context.settings.keep_snapshots)
    return Outlook(
        tuple(leaving[:SHOWN]),
        len(leaving),
        sum(each.bytes for each in leaving),
        tuple(each.snapshot_id for each in idle),
        objects,
        stored,
        _free(context.store),
    )


def _free(store: Store) -> int | None:
    folder = store.path("any")
    if folder is None:
        return None
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
