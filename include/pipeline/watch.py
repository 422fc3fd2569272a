"""Watch for runs that are late: what the schedules say, compared with what the state knows.

It asks no scheduler, so it finds runs that never began as well: a paused DAG, a scheduler that was down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.definitions.model import ExportDefinition
from include.definitions.occasion import as_of_for, interval_for
from include.notices.installation import Installation
from include.notices.notice import late
from include.notices.recipients import recipients
from include.pipeline import exports, notify
from include.pipeline.answers import asked_exports
from include.pipeline.context import Context, settle_delay
from include.state.runs import RunRecord, RunStatus

# Who was away for longer hears of the last days only.
LOOKS_BACK = timedelta(days=3)
MOST_OCCURRENCES = 2000


@dataclass(frozen=True)
class Due:
    """A scheduled run and when it should be done. `run` is the newest attempt at it, None where there is none."""

    definition: ExportDefinition
    occurrence: datetime
    deadline: datetime
    run: RunRecord | None


def watch(context: Context, now: datetime | None = None, base: str | None = None) -> dict[str, Any]:
    """Tell who should know of every run that is late, once, and send what is due of all notices.

    Exports that programs asked for, and that a process left which is no more, are made then (`asked_exports.resume`).

    now: for tests. base: address of Airflow's pages. Returns the late runs, what was sent, and how many were made.
    """
    found = list(late_runs(context, now or datetime.now(UTC)))
    installation = Installation.from_settings(context.settings)
    for due in found:
        page = f"{base}/dags/{due.definition.id}" if base else None
        notice = late(due.definition, due.occurrence, due.deadline, due.run, page)
        to = recipients(due.definition, installation, "late")
        subject = f"{due.definition.id} {due.occurrence.isoformat()}"
        notify.put(context, notice, subject, to, due.definition.id)
    told = [{"export": due.definition.id, "occurrence": due.occurrence.isoformat()} for due in found]
    sent = notify.send(context)
    return {"late": told, "notices": sent, "made_exports": asked_exports.resume(context)}


def late_runs(context: Context, now: datetime, *, watching: bool = True) -> Iterator[Due]:
    """Yield every scheduled run whose deadline has passed within the last days and that is not done.

    watching: schedules that are new or were changed are watched from now on; else this changes nothing.
    """
    known = {} if watching else context.state.notices.watched()
    installation = Installation.from_settings(context.settings)
    for definition in exports.known(context).values():
        after = definition.notify.late_after or installation.late_after
        if after is None or definition.recurrence is None or not definition.enabled or definition.paused:
            continue
        schedule = json.dumps(definition.recurrence.document(), sort_keys=True)
        hashed = hashlib.sha256(schedule.encode()).hexdigest()
        if watching:
            since = context.state.notices.watched_since(definition.id, hashed)
        else:
            before, since = known.get(definition.id, ("", now))
            since = since if before == hashed else now
        patience = settle_delay(context.settings, definition) + after
        looked_at = set()
        for occurrence, deadline in _passed(definition, patience, since, now):
            as_of = as_of_for(definition, occurrence)
            if as_of in looked_at:
                continue  # one run is what both ask for, such as every day of `this_month`
            looked_at.add(as_of)
            runs = _runs_of(context, definition, occurrence)
            if not any(run.status is RunStatus.DONE for run in runs):
                yield Due(definition, occurrence, deadline, runs[0] if runs else None)


def _passed(
    definition: ExportDefinition, patience: timedelta, since: datetime, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the occurrences since the schedule is watched whose deadline has passed lately, the newest first.

    A run cannot be done before its T: the deadline counts from T where that comes after the occurrence.
    """
    assert definition.recurrence is not None
    before = now
    for _ in range(MOST_OCCURRENCES):
        occurrence = definition.recurrence.previous_before(before)
        if occurrence is None or occurrence < since:
            return
        before = occurrence
        deadline = max(occurrence, as_of_for(definition, occurrence)) + patience
        if deadline <= now - LOOKS_BACK:
            return
        if deadline <= now:
            yield occurrence, deadline


def _runs_of(context: Context, definition: ExportDefinition, occurrence: datetime) -> list[RunRecord]:
    """Return the runs that report what this occurrence reports, whoever started them, the newest first."""
    as_of, interval = as_of_for(definition, occurrence), interval_for(definition, occurrence)
    about = (as_of, interval.start if interval else None, interval.end if interval else None)
    since = min(occurrence, as_of)
    made = context.state.runs.list(definition_id=definition.id, since=since, limit=1000)
    return [
        run
        for run in made
        if not run.dry_run and (run.occurrence == occurrence or (run.as_of, run.start, run.end) == about)
    ]
