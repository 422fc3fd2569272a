"""Telling the installation's webhook that an export which a program asked for is there, or could not be made.

It hears what `LOYALTY_NOTIFY_WHEN` names, as of every other export: signed, and under the same id when it comes again.
No mail is sent: who asked is a program, which asks how far its export is.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from include.definitions.notify import Event, covers
from include.notices.installation import Installation
from include.notices.notice import Notice
from include.pipeline import notify
from include.pipeline.context import Context
from include.state.asked_exports import AskedExport, AskedStatus
from include.state.notices import Address

LOG = logging.getLogger(__name__)
_EVENTS: dict[AskedStatus, Event] = {AskedStatus.DONE: "finished", AskedStatus.ERROR: "failed"}
_SAID = {AskedStatus.DONE: "is there", AskedStatus.ERROR: "could not be made"}
# A message may repeat what was asked for; where that was personal, only who asked reads it.
_WITHHELD = "Why, its own message says to who asked for it."


def prepare(context: Context, export: AskedExport, status: AskedStatus, message: str | None) -> list[str]:
    """Put what is to be told of an export that ends so into the outbox; return the notices' keys. Never raises."""
    event = _EVENTS[status]
    try:
        installation = Installation.from_settings(context.settings)
        if installation.webhook is None or not covers(installation.when, event):
            return []
        to = [Address("webhook", installation.webhook, {"connection": installation.webhook})]
        why = _WITHHELD if message and export.personal else message
        run = context.state.runs.get(export.run_key) if export.run_key else None
        entry = next((each for each in run.files if "rows" in each), None) if run else None
        return notify.put(context, _notice(event, export, status, why, entry), export.export_id, to, None)
    except Exception:
        LOG.exception("%s: nobody could be told of the export", export.export_id)
        return []


def _notice(
    event: Event, export: AskedExport, status: AskedStatus, why: str | None, entry: dict[str, Any] | None
) -> Notice:
    made: dict[str, Any] = entry or {}
    facts: dict[str, JsonValue] = {
        "export": export.export_id,
        "object": export.kind,
        "status": status.name,
        "requested_by": export.requested_by,
        "requested_at": _written(export.created_at),
        "as_of": _written(export.as_of),
        "run": export.run_key,
        **{name: made.get(name) for name in ("rows", "bytes", "sha256")},
        "failure": why,
    }
    return Notice(
        event=event,
        title=f"Export {export.export_id} ({export.kind}) {_SAID[status]}",
        said=(f"Asked for by {export.requested_by}.", *([why] if why else [])),
        facts=facts,
    )


def _written(moment: datetime) -> str:
    return moment.isoformat()
