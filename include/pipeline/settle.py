"""Settle: write down how a run ended, and say so loudly when any part of it did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.errors import NeedsPerson, Permanent
from include.pipeline import notify
from include.pipeline.context import Context
from include.pipeline.deliver import targets_of
from include.pipeline.notify import Occasion
from include.pipeline.run_shares import clear_shares
from include.state.deliveries import DeliveryState
from include.state.identity import delivery_key
from include.state.runs import RunStatus


def settle(
    context: Context,
    run_key: str,
    targets: Sequence[int] | None = None,
    *,
    failure: str | None = None,
    occasion: Occasion | None = None,
) -> dict[str, Any]:
    """Return the run's summary: status, files, for each target its state, receipt and message, and who was told.

    targets: places of the targets that were asked for, None for all. failure: what stopped an earlier step.
    occasion: who asked this time, where the run can be looked at.
    Deliveries are read from the record, not from the caller. Raises NeedsPerson when one waits for a person, and
    Permanent when any target did not get its files.
    """
    run = context.state.runs.get(run_key)
    deliveries: dict[str, dict[str, Any]] = {}
    for index, target in enumerate(targets_of(run)):
        if run.dry_run or run.skipped or (targets is not None and index not in targets):
            continue
        record = context.state.deliveries.get(delivery_key(run_key, target.label))
        deliveries[target.label] = {
            "state": record.state.value if record else "not tried",
            "receipt": record.receipt if record else None,
            "message": record.message if record else None,
        }
    missing = {name: each for name, each in deliveries.items() if each["state"] != DeliveryState.CONFIRMED}
    rendered = bool(run.artefacts)
    status = RunStatus.FAILED if failure or missing or not rendered else RunStatus.DONE
    summary = {
        "status": status.value,
        "files": run.files,
        "skipped": run.skipped,
        "deliveries": deliveries,
        "failure": failure,
    }
    told = notify.prepare(context, run, deliveries, failure, occasion)
    context.state.runs.finish(run_key, status, summary)
    if context.settings.share_rows:
        clear_shares(context, run_key)
    if run.snapshot_id:
        context.state.snapshots.unrefer(run.snapshot_id, run_key)
    notify.send(context, told)
    summary["notices"] = notify.told(context, run_key)
    if summary["notices"]:
        context.state.runs.note(run_key, notices=summary["notices"])
    if status is RunStatus.DONE:
        return summary
    states = [f"{name}: {each['state']}: {each['message'] or 'no message'}" for name, each in missing.items()]
    sentence = f"{run.definition_id}: " + (
        "; ".join([*([failure] if failure else []), *states]) or "no file was made"
    )
    waiting = {DeliveryState.UNCERTAIN.value, DeliveryState.CONFLICT.value}
    if any(each["state"] in waiting for each in missing.values()):
        raise NeedsPerson(sentence)
    raise Permanent(sentence)
