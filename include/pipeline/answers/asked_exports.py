"""Exports that programs ask for through an API: kept at once, made a moment later by the steps of every run.

An export's run is a dry run: it delivers nothing, has no place in a chain of manifests and stands in no digest. Who
asked fetches its file. It belongs to nobody's process: whoever works next, after a restart too, takes up what is left;
where nobody asks, the watch does (`resume`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from include.acting import acting, actor
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import BadInput, LedgerViolation, LoyaltyError, NotYet, Permanent, Transient
from include.pipeline import notify
from include.pipeline.answers import asked_telling
from include.pipeline.checks import check, personal_parts, personal_uses
from include.pipeline.context import Context, settle_delay
from include.pipeline.pin import pin
from include.pipeline.previews.preview import newest
from include.pipeline.removal import remove_files
from include.pipeline.render import render
from include.pipeline.settle import settle
from include.pipeline.snapshot import snapshot
from include.state.asked_exports import AskedExport, AskedStatus
from include.state.leases import Heartbeat, StaleFence
from include.state.tables import MICROSECOND

LOG = logging.getLogger(__name__)
AT_ONCE = 2
"""So many exports are made at once by one process; others wait."""
MOST_OPEN = 100
"""So many exports may wait for one program; it is told to come back."""
MOST_ATTEMPTS = 5
KEPT = timedelta(days=30)
"""So long an export, its file and its record are kept after it was made, failed or was deleted."""
LEFT = timedelta(minutes=2)
"""What was not touched for so long, and is nobody's, was left by a process that is no more."""
RESUMING = timedelta(minutes=10)
"""So long what was left is taken up before the rest waits for the next time."""
_LEASE = timedelta(minutes=1)
_PAUSES = tuple(timedelta(seconds=each) for each in (2, 10, 60, 300, 900))
_POLL_SECONDS = 1.0


def sound(document: dict[str, Any]) -> ExportDefinition:
    """Return the definition of an export that is asked for; BadInput with all problems, named from `export`."""
    return from_document(document, where="export", check=check)


def personal(definition: ExportDefinition) -> tuple[str, ...]:
    """Return what is personal in a sound definition: `fields`, `filters`, `order`; empty where nothing is."""
    uses = {key for part in definition.parts for key, names in personal_uses(part).items() if names}
    return tuple(sorted(uses | ({"fields"} if personal_parts(definition) else set())))


def ask(
    context: Context,
    definition: ExportDefinition,
    *,
    owner: str,
    by: str,
    kind: str,
    asked: dict[str, Any],
) -> AskedExport | None:
    """Keep what was asked for and return it; None where this owner has too many that wait.

    owner: whose it is. by: who acts, for the audit chain. kind and asked: what was asked for in the API's own words.
    """
    return context.state.asked_exports.add(
        definition.id,
        owner=owner,
        requested_by=by,
        kind=kind,
        asked=asked,
        definition=definition.document(),
        personal=bool(personal(definition)),
        as_of=_as_of(context, definition),
        most_open=MOST_OPEN,
    )


def delete(context: Context, export_id: str, *, owner: str | None, by: str) -> bool:
    """Delete an export and its files; say whether there was one. What is being made goes when it is made."""
    gone = context.state.asked_exports.delete(export_id, owner=owner)
    if gone is not None and gone.run_key is not None and not gone.is_open:
        _clear(context, gone, by)
    return gone is not None


def resume(context: Context) -> int:
    """Make what no process works at, without anybody asking for it; return how many were made here."""
    until = time.monotonic() + RESUMING.total_seconds()
    return work(context, lambda: time.monotonic() > until, left=LEFT)


def retire(context: Context) -> list[str]:
    """Forget exports that were over for longer than they are kept, with their files; return their ids."""
    over = context.state.asked_exports.over(datetime.now(UTC) - KEPT)
    for export in over:
        if export.run_key is not None:
            _clear(context, export, actor(), "retention")
        context.state.asked_exports.forget(export.export_id)
    return [each.export_id for each in over]


def work(context: Context, stop: Callable[[], bool] = lambda: False, left: timedelta = timedelta(0)) -> int:
    """Make exports until none is left, also those whose maker died; return how many were made here.

    left: only those to which nothing has happened for so long.
    """
    made = 0
    while not stop():
        due = context.state.asked_exports.waiting(idle=left // MICROSECOND)
        taken = sum(1 for each in due if not stop() and _taken(context, each))
        made += taken
        if not taken:
            return made
    return made


def _taken(context: Context, export_id: str) -> bool:
    """Make one export unless somebody else does; say whether it moved."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    leases = context.state.leases
    lease = leases.acquire(f"asked-export:{export_id}", owner, _LEASE)
    if lease is None:
        return False
    with leases.kept(lease, _LEASE) as beat:
        export = context.state.asked_exports.get(export_id)
        if export is None or not export.is_open:
            return False
        # Who lost it leaves it to whoever has it now.
        with acting(export.requested_by), contextlib.suppress(StaleFence):
            _tried(context, export, beat)
    return True


def _tried(context: Context, export: AskedExport, beat: Heartbeat) -> None:
    """Make the export; write down how that ended, or when it is tried again."""
    asked = context.state.asked_exports
    try:
        _made(context, export, beat)
    except StaleFence:
        raise
    except NotYet as early:
        wait = max(early.until - datetime.now(UTC), timedelta(seconds=_POLL_SECONDS))
        asked.put_off(export.export_id, min(wait, _PAUSES[-1]) // MICROSECOND, failed=False)
    except Transient as trouble:
        if export.attempts + 1 >= MOST_ATTEMPTS:
            _failed(context, export, beat, str(trouble))
            return
        asked.put_off(export.export_id, _PAUSES[export.attempts] // MICROSECOND, failed=True)
    except (BadInput, LedgerViolation, Permanent) as wrong:
        _failed(context, export, beat, str(wrong))
    except Exception as broken:
        LOG.exception("%s could not be made", export.export_id)
        _failed(context, export, beat, type(broken).__name__)


def _made(context: Context, export: AskedExport, beat: Heartbeat) -> None:
    definition = ExportDefinition.model_validate(export.definition)
    run = pin(
        context,
        definition,
        as_of=export.as_of,
        known_at=export.as_of,
        dry_run=True,
        requested_by=export.requested_by,
    )
    context.state.asked_exports.begin(export.export_id, run.run_key)
    snapshot(context, run.run_key)
    beat.check()
    render(context, run.run_key)
    beat.check()
    settle(context, run.run_key)
    beat.check()
    _ended(context, export, AskedStatus.DONE)
    if context.state.asked_exports.is_deleted(export.export_id):
        _clear(context, export.model_copy(update={"run_key": run.run_key}), export.requested_by)


def _failed(context: Context, export: AskedExport, beat: Heartbeat, message: str) -> None:
    """Write down that it cannot be made, and close its run where there is one."""
    beat.check()
    found = context.state.asked_exports.get(export.export_id)
    LOG.warning("%s could not be made: %s", export.export_id, message)
    if found is not None and found.run_key is not None:
        with contextlib.suppress(LoyaltyError):  # it has failed, as it says
            settle(context, found.run_key, failure=message)
    _ended(context, export, AskedStatus.ERROR, message)


def _ended(context: Context, export: AskedExport, status: AskedStatus, message: str | None = None) -> None:
    """Write down how it ended, and tell of it: first kept to be told, so that no crash between loses it."""
    asked = context.state.asked_exports
    now = asked.get(export.export_id)
    told = [] if now is None else asked_telling.prepare(context, now, status, message)
    asked.finish(export.export_id, status, message)
    notify.send(context, told)


def _clear(context: Context, export: AskedExport, by: str, why: str = "deleted") -> None:
    assert export.run_key is not None
    run = context.state.runs.get(export.run_key)
    if run.artefacts and run.files_gone_at is None:
        with acting(by):
            remove_files(context, export.run_key, why)


def _as_of(context: Context, definition: ExportDefinition) -> datetime:
    """Return T and K: the latest that a snapshot serves which is young enough, else the latest that is settled now."""
    now, delay = datetime.now(UTC), settle_delay(context.settings, definition)
    found = newest(context, definition)
    if found is not None and found.read_at >= now - context.settings.answer_age:
        return found.read_at - delay
    return now - delay


class Makers:
    """Threads of a process that make exports while there are any; none where there is nothing to do."""

    def __init__(self, context: Context, most: int = AT_ONCE) -> None:
        self._context = context
        self._free = threading.BoundedSemaphore(most)
        self._stopped = threading.Event()

    def wake(self) -> None:
        """See to it that somebody looks for work: another thread, unless all are at work."""
        if not self._stopped.is_set() and self._free.acquire(blocking=False):
            threading.Thread(target=self._work, name="asked-exports", daemon=True).start()

    def stop(self) -> None:
        """Begin no other export."""
        self._stopped.set()

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                work(self._context, self._stopped.is_set)
                if not self._context.state.asked_exports.any_open():
                    return
                self._stopped.wait(_POLL_SECONDS)  # what is put off, or in work elsewhere, may fall to us
        except Exception:
            LOG.exception("exports that programs asked for wait until somebody asks again")
        finally:
            self._free.release()
