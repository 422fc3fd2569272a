"""Restatements: a delivered period looked at again with what is known now. What was delivered is never changed.

A restatement is a run of its own: the same definition as delivered, the same T and interval, a later K, and the next
revision. Where its rows are the delivered ones it sends nothing. Else its files go to the targets that have the period,
under names that tell the revision, and say what changed. A period that was skipped is looked at in the same way: where
its definition's conditions would send it by now, its first files go to all targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.pipeline.context import Context, Progress, settle_delay, silent
from include.pipeline.deliver import targets_of
from include.pipeline.pin import KNOWLEDGE_GRID, latest_known
from include.pipeline.render import render
from include.pipeline.resend import LATEST, the_one
from include.pipeline.snapshot import snapshot
from include.state.identity import request_key
from include.state.runs import RunRecord, RunStatus

_RUNS_LOOKED_AT = 1000
# Airflow's `max_map_length` is 1024.
MOST_LOOKS = 1000
# Keys are hashes: the share of a day is about the same each day, and this is more than six times how it varies.
_ROOM = 200


def delivered(context: Context, definition: ExportDefinition, last: int) -> list[RunRecord]:
    """Return the newest revision of each of the last periods that were delivered, or skipped, on schedule.

    The newest period comes first.
    """
    found: dict[tuple[datetime | None, datetime], RunRecord] = {}
    done = context.state.runs.list(
        definition_id=definition.id, status=RunStatus.DONE, looks=False, limit=_RUNS_LOOKED_AT
    )
    for run in done:
        if (_was_delivered(run) or _was_skipped(run)) and run.occurrence is not None:
            period = run.start, run.as_of
            if period not in found or found[period].revision < run.revision:
                found[period] = run
    return sorted(found.values(), key=lambda run: run.as_of, reverse=True)[:last]


def todays(run_keys: Sequence[str], day: date) -> list[str]:
    """Return which of so many periods are looked at on a day: all of them, unless Airflow maps no task over so many.

    Then each has its turn once in as many days as it takes.
    """
    if len(run_keys) <= MOST_LOOKS:
        return list(run_keys)
    days = -(-len(run_keys) // (MOST_LOOKS - _ROOM))
    turn = day.toordinal() % days
    return [key for key in run_keys if int(key[:8], 16) % days == turn][:MOST_LOOKS]


def find(context: Context, definition: ExportDefinition, wanted: str) -> RunRecord:
    """Return the run to restate: `latest`, or the one whose key begins so; BadInput when there is none, or several."""
    if wanted != LATEST:
        runs = context.state.runs.list(definition_id=definition.id, looks=False, limit=_RUNS_LOOKED_AT)
        return the_one(runs, definition.id, wanted)
    for run in delivered(context, definition, 1):
        return run
    raise BadInput(
        [Problem("run", wanted, f"no run of {definition.id} was delivered on schedule yet", "unknown_run")]
    )


def restatement(context: Context, run_key: str, *, requested_by: str | None = None) -> RunRecord:
    """Return the run that looks at the period of a delivered one again, from its newest delivered revision on.

    A restatement of the period that is not over is continued: its files may be at a target already, under names that
    no other may take. Within one quarter of an hour it is the same run. Raises BadInput for a run that was neither
    delivered nor skipped.
    """
    wanted = context.state.runs.get(run_key)
    runs = context.state.runs.of_period(wanted)
    done = [each for each in runs if _was_delivered(each)] or [each for each in runs if _was_skipped(each)]
    if not done or not (_was_delivered(wanted) or _was_skipped(wanted) or wanted.revision):
        right = (
            "a run whose files were delivered, or that was skipped; one that failed is tried again instead"
        )
        raise BadInput([Problem("run", run_key, right, "nothing_to_restate")])
    run = max(done, key=lambda each: each.revision)
    if begun := _begun(runs, run.revision):
        return begun
    definition = ExportDefinition.model_validate(run.definition)
    known_at = max(run.known_at, latest_known(datetime.now(UTC), settle_delay(context.settings, definition)))
    again = run.model_copy(
        update={
            "run_key": "",
            "known_at": known_at,
            "revision": 1 + max((each.revision for each in runs if each.files), default=0),
            "requested_by": requested_by,
        }
    )
    asked = request_key(
        again.definition_id, again.definition_version, as_of=again.as_of, start=again.start, end=again.end,
        known_at=known_at, revision=again.revision, dry_run=False,
    )  # fmt: skip
    kept = {name: getattr(again, name) for name in _KEPT}
    return context.state.runs.pin(RunRecord(request_key=asked, **kept))


_KEPT = (
    "definition_id", "definition_version", "definition", "occurrence", "start", "end", "as_of", "known_at", "revision",
    "requested_by",
)  # fmt: skip


def _was_delivered(run: RunRecord) -> bool:
    return run.status is RunStatus.DONE and bool(run.files) and not run.dry_run


def _was_skipped(run: RunRecord) -> bool:
    """Whether nothing was sent of a period at first, as its definition's conditions say."""
    return run.status is RunStatus.DONE and bool(run.skipped) and not run.revision and not run.dry_run


def _begun(runs: Sequence[RunRecord], newest: int) -> RunRecord | None:
    """Return the oldest restatement after the newest delivered revision that is not over; runs: the newest first.

    One that died before its files were made is left behind, and so is one whose files are gone.
    """
    lately = datetime.now(UTC) - KNOWLEDGE_GRID

    def is_open(run: RunRecord) -> bool:
        if run.files:
            return run.status is not RunStatus.DONE and run.files_gone_at is None
        making = run.artefacts is None and run.status in (RunStatus.PINNED, RunStatus.RUNNING)
        return making and (run.updated_at or lately) > lately

    return next((each for each in reversed(runs) if each.revision > newest and is_open(each)), None)


def reached(context: Context, run: RunRecord) -> list[int]:
    """Return the places of the targets that a restatement goes to: those that have its period, all where none has."""
    done = [each for each in context.state.runs.of_period(run) if _was_delivered(each)]
    if not done:
        return list(range(len(targets_of(run))))
    have = {label for each in done for label in (each.summary or {}).get("deliveries", {})}
    return [at for at, target in enumerate(targets_of(run)) if target.label in have]


def look_again(
    context: Context,
    run_key: str,
    progress: Progress = silent,
    *,
    requested_by: str | None = None,
    with_others: bool = False,
) -> RunRecord:
    """Return the restatement of a delivered run, rendered. One that changes nothing is settled, and `skipped` says so.

    with_others: as of `render`. Raises NotYet while somebody else makes the snapshot, and what the steps raise.
    """
    run = restatement(context, run_key, requested_by=requested_by)
    snapshot(context, run.run_key, progress)
    render(context, run.run_key, progress, with_others=with_others)
    run = context.state.runs.get(run.run_key)
    return _nothing_new(context, run) if run.skipped else run


def _nothing_new(context: Context, run: RunRecord) -> RunRecord:
    """Close a restatement that changes nothing. Nobody is told: it is looked for every day."""
    if run.snapshot_id:
        context.state.snapshots.unrefer(run.snapshot_id, run.run_key)
    return context.state.runs.finish(run.run_key, RunStatus.DONE, {"status": "done", "skipped": run.skipped})
