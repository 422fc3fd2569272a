"""Sending the files of a finished run once more, as they are stored: nothing is made anew, and no schedule moves.

What was confirmed is not sent again, unless somebody asks for that: then it is a sending of its own, with a number,
under which everybody who asks at the same moment finds the same one. The run, what was delivered last, and the chain of
manifests stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from include.acting import actor
from include.errors import BadInput, LoyaltyError, Problem
from include.pipeline.artefacts import refuse_gone
from include.pipeline.context import Context, Progress, silent
from include.pipeline.deliver import deliver, targets_of
from include.pipeline.resolving import follow, position_of
from include.state.audit import Action
from include.state.deliveries import Delivery, DeliveryState
from include.state.runs import RunRecord

LATEST = "latest"
_RUNS_LOOKED_AT = 1000


class Sending(NamedTuple):
    """One target to send to: its place in the run's definition, its label, and the number of the sending."""

    position: int
    label: str
    number: int


def find_run(
    context: Context, definition_id: str, wanted: str = LATEST, *, as_test: bool = False
) -> RunRecord:
    """Return the run of an export whose files can be sent: the one about the latest T, or whose key begins so.

    as_test: a dry run will do. Raises BadInput when there is none, more than one, or when it has no files to send,
    Permanent when they were removed since.
    """
    runs = context.state.runs.list(definition_id=definition_id, looks=False, limit=_RUNS_LOOKED_AT)
    if wanted == LATEST:
        kept = [run for run in runs if run.files and run.files_gone_at is None]
        finished = [run for run in kept if as_test or not run.dry_run]
        if not finished:
            more = " --dry-run" if as_test else ""
            right = f"has no run with files yet: make one with `loyalty export run{more}`, or trigger it"
            raise BadInput([Problem("export", definition_id, right, "no_run")])
        return max(finished, key=lambda run: (run.as_of, run.revision, run.known_at))
    run = the_one(runs, definition_id, wanted)
    refuse_gone(run)
    if not run.files or (run.dry_run and not as_test):
        why = "a dry run" if run.files else f"one without files: {run.skipped or run.status.value}"
        right = f"must be a run whose files were made to be sent, and this is {why}"
        raise BadInput([Problem("run", wanted, right, "nothing_to_deliver")])
    return run


def the_one(runs: Sequence[RunRecord], definition_id: str, wanted: str) -> RunRecord:
    """Return the run whose key begins so; BadInput when there is none, or more than one."""
    found = [run for run in runs if wanted and run.run_key.startswith(wanted)]
    if len(found) != 1:
        right = (
            "more than one run begins so: give more of the key"
            if found
            else f"must be `{LATEST}`, or how the key of a run of {definition_id} begins; `loyalty runs` lists them"
        )
        raise BadInput([Problem("run", wanted, right, "unknown_run")])
    return found[0]


def plan(
    context: Context, run: RunRecord, labels: Sequence[str] | None = None, *, again: bool = False
) -> list[Sending]:
    """Return what to send to these targets, None for all; with `again` also to those that have confirmed it.

    The number is that of the last sending while that is not confirmed. Raises BadInput for all unknown targets at once.
    """
    chosen = [target.label for target in targets_of(run)] if labels is None else list(dict.fromkeys(labels))
    problems: list[Problem] = []
    found = []
    for label in chosen:
        try:
            found.append((position_of(run, label), label))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    last = _last_sendings(context.state.deliveries.list(run_key=run.run_key))
    sendings = [Sending(position, label, _number(last.get(label), again=again)) for position, label in found]
    detail = {"targets": {each.label: each.number for each in sendings}, "again": again}
    context.state.audit.write(actor(), Action.SENT_AGAIN, run.run_key, detail)
    return sendings


def resend(
    context: Context, run: RunRecord, sendings: Sequence[Sending], progress: Progress = silent
) -> dict[str, dict[str, Any] | LoyaltyError]:
    """Send to every target, one that fails does not stop the others; return receipt or error by its label."""
    found: dict[str, dict[str, Any] | LoyaltyError] = {}
    for each in sendings:
        try:
            found[each.label] = deliver(context, run.run_key, each.position, progress, sending=each.number)
        except LoyaltyError as error:
            found[each.label] = error
    follow(context, run.run_key, [each.label for each in sendings])
    return found


def _last_sendings(deliveries: Sequence[Delivery]) -> dict[str, Delivery]:
    return {each.target: each for each in sorted(deliveries, key=lambda one: one.sending)}


def _number(last: Delivery | None, *, again: bool) -> int:
    if last is None:
        return 0
    return last.sending + (1 if again and last.state is DeliveryState.CONFIRMED else 0)
