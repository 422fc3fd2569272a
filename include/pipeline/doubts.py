"""What snapshots and full replays found that should not be: told for some days, in the list of what needs somebody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from include.pipeline.context import Context
from include.state.audit import Action

TOLD = timedelta(days=2)
_LOOKED_AT = 50
Doubt = tuple[str, str, str, datetime]
"""The snapshot, what happened, what to do about it, and when it was found."""


def found(context: Context, now: datetime) -> Iterator[Doubt]:
    """Yield what was found in the last days."""
    yield from _changed(context, now)
    for entry in context.state.audit.newest(action=Action.CHECKPOINT_DIFFERS, limit=_LOOKED_AT):
        if now - entry.at < TOLD:
            accounts = entry.detail["accounts"]
            happened = (
                f"Figures of {accounts} accounts that began from a checkpoint differ from a full replay."
            )
            what = (
                "What was delivered of this run is the full replay. Restate what was delivered since the one before, "
                "set LOYALTY_CHECKPOINT_DAYS to 0, and tell who maintains this product."
            )
            yield entry.subject, happened, what, entry.at


def _changed(context: Context, now: datetime) -> Iterator[Doubt]:
    """Yield the snapshots that found transactions changed or gone, which no ledger should do."""
    for entry in context.state.audit.newest(action=Action.SNAPSHOT_TAKEN, limit=_LOOKED_AT):
        found = entry.detail.get("differs")
        if found is None or now - entry.at >= TOLD or not (found["changed"] is None or _counted(found)):
            continue
        happened = f"{found['changed']} transactions were changed and {found['removed']} are gone"
        if found["changed"] is None:
            happened = (
                "Days of the ledger that were over are not as they were, in more rows than were compared"
            )
        happened += f": {', '.join(found['examples'])}." if found["examples"] else "."
        what = (
            "Ask who changed the ledger, which is append-only. Periods that were delivered can be restated."
        )
        yield entry.subject, happened, what, entry.at


def _counted(found: dict[str, Any]) -> int:
    return int(found["changed"]) + int(found["removed"])
