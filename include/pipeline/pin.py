"""Pin: fix, once, everything that decides a run's bytes: the definition's version, the interval, T and K."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.definitions.model import ExportDefinition, Target, version
from include.definitions.occasion import as_of_for, interval_for
from include.definitions.periods import Interval
from include.errors import BadInput, NotYet, Problem
from include.pipeline.checks import check, model_of, refuse_cut_segments
from include.pipeline.context import Context, settle_delay
from include.pipeline.privacy import secrets_of
from include.snapshots.manifest import source_key
from include.snapshots.source import public_url
from include.state.identity import request_key
from include.state.runs import RunRecord, RunStatus

# K falls on this grid, so that runs which start together read one snapshot.
KNOWLEDGE_GRID = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pin(
    context: Context,
    definition: ExportDefinition,
    *,
    occurrence: datetime | None = None,
    as_of: datetime | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    known_at: datetime | None = None,
    dry_run: bool = False,
    backfill: bool = False,
    revision: int = 0,
    requested_by: str | None = None,
) -> RunRecord:
    """Return the run for an occurrence, or for an as-of or interval by hand; the one pinned first, if there is one.

    requested_by: who asked for it, None for the schedule.

    Raises BadInput for a definition or instants that cannot be, and for a run that was made from the sample ledger
    where another one is read now; NotYet before T plus the settle delay.
    """
    problems = [
        *check(definition, definition.id),
        *_request_problems(as_of, start, end),
    ]
    if problems:
        raise BadInput(problems)
    secrets_of(context, definition)  # what it refuses, it refuses before anything is read
    if definition.follows_deliveries and occurrence is not None and as_of is None and end is None:
        # What was delivered last has moved on since this run was first made.
        pinned = context.state.runs.of_occurrence(
            definition.id, version(definition), occurrence, revision=revision, dry_run=dry_run
        )
        if pinned is not None:
            return _of_this_ledger(context, pinned)
    now = datetime.now(UTC)
    by_hand = as_of is not None or end is not None
    interval, moment = _when(context, definition, occurrence or now, as_of, start, end, backfill=backfill)
    delay = settle_delay(context.settings, definition)
    _refuse_too_early(definition, moment, now, delay, by_hand=by_hand)
    if known_at is not None and known_at > now - delay:
        right = (
            f"must be at or before {now - delay:%Y-%m-%dT%H:%M:%SZ} (now less the settle delay of {delay})"
        )
        raise BadInput([Problem("known_at", known_at.isoformat(), right, "known_at_in_future")])
    run = RunRecord(
        definition_id=definition.id,
        definition_version=version(definition),
        definition=definition.document(),
        occurrence=None if by_hand else (occurrence or now),
        start=interval.start if interval else None,
        end=interval.end if interval else None,
        as_of=moment,
        known_at=known_at or max(moment, latest_known(now, delay)),
        revision=revision,
        dry_run=dry_run,
        requested_by=requested_by,
    )
    if known_at is not None:
        key = request_key(
            run.definition_id,
            run.definition_version,
            as_of=run.as_of,
            start=run.start,
            end=run.end,
            known_at=known_at,
            revision=revision,
            dry_run=dry_run,
        )
        run = run.model_copy(update={"request_key": key})
    return _of_this_ledger(context, context.state.runs.pin(run))


def _of_this_ledger(context: Context, run: RunRecord) -> RunRecord:
    """Return the run; BadInput for one that was made from the sample ledger where another one is read now."""
    settings = context.settings
    if run.snapshot_id is None or settings.sample_url in {"", settings.ledger_url}:
        return run
    snapshot = context.state.snapshots.get(run.snapshot_id)
    if snapshot is not None and snapshot.source_key == source_key(public_url(settings.sample_url), None):
        right = (
            "this run was made from the sample ledger before: give your own ledger a LOYALTY_HOME (or a state and a "
            "store) of its own, where no figures of the sample are"
        )
        raise BadInput([Problem("ledger", public_url(settings.ledger_url), right, "run_of_the_sample")])
    return run


def latest_known(now: datetime, delay: timedelta) -> datetime:
    """Return the newest K that a run can have: on the grid, and before what may still be written."""
    settled = now - delay
    return settled - (settled - EPOCH) % KNOWLEDGE_GRID


def _when(
    context: Context,
    definition: ExportDefinition,
    occurrence: datetime,
    as_of: datetime | None,
    start: datetime | None,
    end: datetime | None,
    *,
    backfill: bool,
) -> tuple[Interval | None, datetime]:
    """Return the reporting interval, where there is one, and T."""
    # A pack may have a period though all that it holds is about the end of it: names and segments know it.
    if definition.period is None and all(model_of(part)[0].PERIOD == "none" for part in definition.parts):
        if end is not None:
            right = f"{definition.parts[0].model} is about one instant: give an as-of instead"
            raise BadInput([Problem("end", end.isoformat(), right, "period_not_possible")])
        return None, (as_of or as_of_for(definition, occurrence)).astimezone(UTC)
    if end is not None:
        interval: Interval | None = Interval(start and start.astimezone(UTC), end.astimezone(UTC))
    else:
        last = None if backfill else _delivered_until(context, definition, occurrence)
        interval = interval_for(definition, occurrence, last_delivered_end=last)
        if as_of is not None:
            interval = Interval(interval.start if interval else None, as_of.astimezone(UTC))
    if interval is None:
        return None, as_of_for(definition, occurrence)
    if interval.start is not None and interval.start >= interval.end:
        if as_of is not None and end is None:
            right = f"the period begins {interval.start.isoformat()}: for another one give its start and end"
            raise BadInput([Problem("as_of", as_of.isoformat(), right, "as_of_before_period")])
        right = f"the period must start before it ends, {interval.end.isoformat()}"
        raise BadInput([Problem("start", interval.start.isoformat(), right, "start_after_end")])
    if interval.start is not None:
        refuse_cut_segments(definition)
    return interval, interval.end


def _delivered_until(context: Context, definition: ExportDefinition, occurrence: datetime) -> datetime | None:
    """Return the end of the newest period that was delivered before the occurrence, to every target.

    While none was, it is where the first of the periods begins that were tried without a gap until now. What somebody
    asked for by its instants, or for some targets only, stands beside the row of periods.
    """
    if not definition.follows_deliveries:
        return None
    runs = context.state.runs.list(definition_id=definition.id, looks=False, limit=1000)
    row = [run for run in runs if run.occurrence is not None and not run.dry_run]
    begins = {run.end: run.start for run in row if run.end is not None and run.end < occurrence}
    done = [
        run.end for run in row if run.status is RunStatus.DONE and run.end in begins and _reached_all(run)
    ]
    until = max((end for end in done or begins if end), default=None)
    while not done and until in begins:
        until = begins[until]
    return until


def _reached_all(run: RunRecord) -> bool:
    everywhere = {Target.model_validate(each).label for each in run.definition.get("targets", ())}
    asked = set((run.summary or {}).get("deliveries", {}))
    # A restatement that found nothing new says nothing of who has the period.
    return everywhere <= asked or (bool(run.skipped) and not run.revision)


def _refuse_too_early(
    definition: ExportDefinition, moment: datetime, now: datetime, delay: timedelta, *, by_hand: bool
) -> None:
    if moment > now and by_hand:
        right = f"must not be after now, {now:%Y-%m-%dT%H:%M:%SZ}; a projection looks ahead from a past as-of"
        raise BadInput([Problem("as_of", moment.isoformat(), right, "as_of_in_future")])
    if moment + delay > now:
        message = f"{definition.id}: rows up to {moment.isoformat()} may still be written; reading waits {delay} longer"
        raise NotYet(message, moment + delay)


def _request_problems(as_of: datetime | None, start: datetime | None, end: datetime | None) -> list[Problem]:
    problems = [
        Problem(name, value.isoformat(), "needs a zone, such as 2026-01-31T00:00:00Z", "instant_without_zone")
        for name, value in (("as_of", as_of), ("start", start), ("end", end))
        if value is not None and value.tzinfo is None
    ]
    if as_of is not None and end is not None and as_of != end:
        right = f"with a period, the as-of is its end, {end.isoformat()}: give one of the two"
        problems.append(Problem("as_of", as_of.isoformat(), right, "period_and_as_of"))
    if start is not None and end is None:
        problems.append(Problem("start", start.isoformat(), "needs an end too", "end_missing"))
    return problems
