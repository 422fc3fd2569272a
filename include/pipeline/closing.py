"""Closing runs whose process died before it could settle them, so that they say so and keep no snapshot for ever."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError

from include.errors import NeedsPerson, Permanent
from include.pipeline.context import Context
from include.pipeline.settle import settle
from include.state.runs import RunRecord, RunStatus

# Longer than any step, all attempts at it and the waits between them.
FORSAKEN = timedelta(days=2)
UNREADABLE = "its process ended, and its definition cannot be read any more"


def close_forsaken(context: Context, older_than: timedelta = FORSAKEN) -> list[str]:
    """Settle runs that nobody settled and to which nothing has happened for so long; return their keys.

    One that was on its way has failed, and says so; one whose files all arrived is done. Files that were made and never
    to be sent stay, and their run lets go of its snapshot. Asking for such a run again continues it.
    """
    at_work = {each.run_key for each in context.state.deliveries.live()}
    idle = [run for run in context.state.runs.idle(older_than) if run.run_key not in at_work]
    return [run.run_key for run in idle if _close(context, run, older_than)]


def _close(context: Context, run: RunRecord, older_than: timedelta) -> bool:
    """Settle the run, or let go of its snapshot alone; return whether it was settled."""
    failure = None
    if run.status is not RunStatus.RENDERED:
        step = f" (the last it said was {run.stage!r})" if run.stage else ""
        failure = (
            f"its process ended{step}, and for {older_than.days} days nothing has happened; run it again, and it "
            "continues from there"
        )
    elif not context.state.deliveries.list(run_key=run.run_key, limit=1):
        if run.snapshot_id:
            context.state.snapshots.unrefer(run.snapshot_id, run.run_key)
        return False
    try:
        settle(context, run.run_key, failure=failure)
    except (NeedsPerson, Permanent):
        return True  # it has failed, as it says
    except ValidationError:  # its definition is of a version that this one does not read any more
        summary = {"status": "failed", "files": run.files, "deliveries": {}, "failure": failure or UNREADABLE}
        context.state.runs.finish(run.run_key, RunStatus.FAILED, summary)
        if run.snapshot_id:
            context.state.snapshots.unrefer(run.snapshot_id, run.run_key)
    return True
