"""What the tasks of our DAGs do: read the run's circumstances, call the pipeline's step, say little.

XCom carries a run's key, target names and counts, never rows. Heavy imports stay inside the functions: this
module is imported whenever a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.errors import Permanent
from include.orchestration import aside
from include.orchestration.connections import airflow_connection
from include.orchestration.ledger import ledger_environment, writing_environment
from include.orchestration.notifiers import airflow_notifier
from include.orchestration.occasion import FAILURE, is_backfill, occasion, pages, telling
from include.orchestration.outcome import patiently
from include.orchestration.parameters import asked

if TYPE_CHECKING:
    from include.definitions.model import ExportDefinition
    from include.orchestration.parameters import Asked
    from include.pipeline import Context
    from include.pipeline.context import Progress
    from include.state.runs import RunRecord

LOG = logging.getLogger(__name__)

STAGES = ("pin", "snapshot", "split", "share", "render", "deliver")
_MAPPED = ("share", "deliver")
# What the UI shows of a run.
SHOWN = {"run_key", "definition_version", "as_of", "start", "end", "known_at", "dry_run"}
# A progress bar needs no more; each write is a call to the API server.
PROGRESS_SECONDS = 2.0


def pin(definition: ExportDefinition, airflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fix what this run reports; return the targets to deliver to, and leave its key as the XCom `run_key`.

    The occurrence is the run's logical date. A run that was triggered without one is about the moment of the
    trigger, which stays the same when the task is tried again.
    """
    from include import pipeline

    run = airflow["dag_run"]
    with telling("pin", airflow):
        wish = asked(airflow["params"], definition)
    if wish.test_targets:
        airflow["ti"].xcom_push("run_key", "")
        return aside.targets_to_try(definition, wish)
    if wish.resend is not None:
        with telling("pin", airflow):
            found, sent = aside.resent(open_context(), definition, wish, run.triggering_user_name)
        return _leave(found, sent, airflow)
    if wish.restate is not None:
        return _restated(definition, wish, airflow)
    positions = {target.label: index for index, target in enumerate(definition.targets)}
    with telling("pin", airflow):
        record = patiently(
            lambda: pipeline.pin(
                open_context(),
                definition,
                occurrence=run.logical_date or run.run_after,
                as_of=wish.as_of,
                start=wish.start,
                end=wish.end,
                dry_run=wish.dry_run or wish.test_to is not None,
                backfill=is_backfill(run),
                requested_by=run.triggering_user_name,
            )
        )
    if wish.test_to is not None:
        return _leave(record, [aside.as_test(wish.test_to)], airflow)
    chosen = [] if wish.dry_run else [positions[label] for label in wish.targets or positions]
    named = [{"position": position, "name": definition.targets[position].label} for position in chosen]
    return _leave(record, named, airflow)


def _restated(definition: ExportDefinition, wish: Asked, airflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Pin the restatement of the run that was asked for; it goes to those of its own targets that have the period."""
    from include.pipeline.deliver import targets_of
    from include.pipeline.resolving import position_of
    from include.pipeline.restate import find, reached, restatement

    context = open_context()
    with telling("pin", airflow):
        found = find(context, definition, wish.restate or "")
        record = restatement(context, found.run_key, requested_by=airflow["dag_run"].triggering_user_name)
        wanted = wish.targets
        places = [position_of(record, x) for x in wanted] if wanted else reached(context, record)
    named = [{"position": at, "name": targets_of(record)[at].label} for at in places]
    return _leave(record, named, airflow)


def _leave(
    record: RunRecord, chosen: list[dict[str, Any]], airflow: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Leave the run's key for the other tasks, and what the UI shows of it; return the targets."""
    airflow["ti"].xcom_push("run_key", record.run_key)
    airflow["ti"].xcom_push("run", record.model_dump(mode="json", include=SHOWN))
    return chosen


def snapshot(run_key: str, airflow: Mapping[str, Any]) -> str:
    """Make or find the snapshot that the run reads; return its id. Waits, without a slot, for its maker."""
    from include import pipeline

    if aside.makes_nothing(airflow["params"]):
        return ""
    with telling("snapshot", airflow):
        return patiently(lambda: str(pipeline.snapshot(open_context(), run_key, progress_of(airflow))))


def split(run_key: str, airflow: Mapping[str, Any]) -> list[dict[str, int]]:
    """Return the shares in which the run is rendered; none where one task renders it."""
    from include import pipeline

    if aside.makes_nothing(airflow["params"]):
        return []
    with telling("render", airflow):
        return pipeline.shares_of(open_context(), run_key)


def share(run_key: str, part: Mapping[str, int], airflow: Mapping[str, Any]) -> dict[str, Any]:
    """Make one share of the run; return where it lies, and its hash."""
    from airflow.sdk import get_current_context

    from include import pipeline

    current: Any = get_current_context()
    current["share_name"] = f"{part['number'] + 1} of {part['count']}"  # the label of this task in the grid
    number, count = part["number"], part["count"]
    with telling("render", airflow):
        return patiently(
            lambda: pipeline.render_share(open_context(), run_key, number, count, progress_of(airflow))
        )


def render(run_key: str, airflow: Mapping[str, Any], shares: Iterable[Mapping[str, Any]] = ()) -> Any:
    """Make the files in the store, of shares where there are any; return what they are (keys, rows, bytes, hashes).

    Takes runs along that read the same snapshot. Waits, without a slot, where another task has taken this one along.
    """
    from include import pipeline

    if aside.makes_nothing(airflow["params"]):
        return []
    progress, made = progress_of(airflow), list(shares)
    with telling("render", airflow):
        return patiently(lambda: pipeline.render(open_context(), run_key, progress, made, with_others=True))


def deliver(
    definition: ExportDefinition, run_key: str, target: Mapping[str, Any], airflow: Mapping[str, Any]
) -> Any:
    """Deliver the files to one target, or do there what else was asked; return its receipt."""
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from include import pipeline

    current: Any = get_current_context()
    current["target_name"] = target["name"]  # the label of this task in the grid
    context, progress = open_context(), progress_of(airflow)
    who = airflow["dag_run"].triggering_user_name
    receipt = patiently(
        lambda: (
            aside.done(context, definition, run_key, target, progress, who)
            if aside.DO in target
            else pipeline.deliver(context, run_key, int(target["position"]), progress)
        )
    )
    if "skipped" in receipt:
        raise AirflowSkipException(receipt["skipped"])
    return receipt


def settle(definition: ExportDefinition, airflow: Mapping[str, Any]) -> Any:
    """Record how the run ended, tell who should know, and return the summary.

    Raises Permanent when any part of the run failed.
    """
    from include import pipeline
    from include.pipeline import notify

    # Asked for here, not given as arguments: those must exist, and a `pin` that failed has left none.
    run_key = airflow["ti"].xcom_pull(task_ids="pin", key="run_key")
    chosen = airflow["ti"].xcom_pull(task_ids="pin")
    states = stage_states(airflow)
    failed = [name for name, state in sorted(states.items()) if state == "failed"]
    context = open_context()
    when = occasion(definition, airflow, context.settings.public_url)
    if run_key is None or chosen is None:
        why = airflow["ti"].xcom_pull(task_ids="pin", key=FAILURE) or "pin failed. Its log says more."
        notify.send(context, notify.failed_early(context, definition, why, when))
        raise Permanent(f"nothing was pinned ({states.get('pin')}): the log of the task pin says why")
    if aside.makes_nothing(airflow["params"]):
        summary = aside.settled(context, run_key, chosen)
        if failed:
            raise Permanent(f"failed: {', '.join(failed)}; their logs say why")
        return summary
    early = [name for name in failed if not name.startswith("deliver")]
    asked_for = [int(target["position"]) for target in chosen]
    failure = None
    if early:
        failure = _said_by(airflow, early[0]) or f"{early[0]} failed"
    summary = pipeline.settle(context, run_key, asked_for, failure=failure, occasion=when)
    if failed:
        # The pipeline judges by its own records; this task may have died before it could write any.
        raise Permanent(f"failed: {', '.join(failed)}; their logs say why")
    return summary


def upkeep() -> Any:
    """Keep the installation small; return what was done."""
    from include.pipeline.upkeep import upkeep

    return upkeep(open_context())


def to_look_at() -> list[str]:
    """Return the keys of the delivered runs whose periods are looked at again today."""
    from include.pipeline.exports import known
    from include.pipeline.restate import delivered, todays
    from include.targets.known_kinds import known_kinds

    context = open_context()
    sound = known(context, check=known_kinds).values()
    asked = [each for each in sound if each.enabled and each.restate.last]
    keys = [run.run_key for each in asked for run in delivered(context, each, each.restate.last)]
    found = todays(keys, datetime.now(UTC).date())
    if len(found) < len(keys):
        LOG.warning("%s of %s periods are looked at today; each has its turn", len(found), len(keys))
    return found


def look_again(run_key: str, airflow: Mapping[str, Any]) -> dict[str, Any]:
    """Make a delivered period again; return the run of the export's DAG that delivers what changed.

    What could not be delivered one day has another run the next. Skips where nothing changed.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from include.pipeline import restate

    progress = progress_of(airflow)
    again = patiently(lambda: restate.look_again(open_context(), run_key, progress, with_others=True))
    if again.skipped:
        raise AirflowSkipException(again.skipped)
    return {
        "trigger_dag_id": again.definition_id,
        "trigger_run_id": f"restatement__{again.run_key}__{airflow['dag_run'].run_after:%Y-%m-%d}",
        "conf": {"restate": again.run_key},
    }


def watch() -> Any:
    """Tell of late runs and send what is due; return both."""
    from include.pipeline.watch import watch as look

    context = open_context()
    return look(context, base=pages(context.settings.public_url))


def digest(since: datetime, until: datetime) -> Any:
    """Mail the digest of [since, until); return what became of it."""
    from include.pipeline.digest import send

    context = open_context()
    return send(context, since, until, pages(context.settings.public_url))


def stage_states(airflow: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of every earlier task of the run; mapped ones as `deliver[0]`, `share[1]`."""
    instance, run = airflow["ti"], airflow["dag_run"]
    found = instance.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], task_ids=list(STAGES))
    states = found.get(run.run_id, {})
    return {_named(task): str(state) for task, state in states.items()}


def _named(task: str) -> str:
    name, _, place = task.rpartition("_")
    return f"{name}[{place}]" if name in _MAPPED else task


def _said_by(airflow: Mapping[str, Any], name: str) -> str | None:
    """Return why a task failed, as it left it."""
    task, _, place = name.rstrip("]").partition("[")
    mapped = {"map_indexes": int(place)} if place else {}
    said: str | None = airflow["ti"].xcom_pull(task_ids=task, key=FAILURE, **mapped)
    return said


def open_context(*, writing: bool = False) -> Context:
    """Return what every step needs, with Airflow's connections. writing: also how imports write to the ledger."""
    from include.pipeline import Context
    from include.settings import Settings

    environment = writing_environment if writing else ledger_environment
    settings = Settings.from_environment(environment(os.environ))
    return Context.from_settings(settings, airflow_connection, airflow_notifier)


def progress_of(airflow: Mapping[str, Any]) -> Progress:
    """Return a function that writes progress where the UI and REST read it while the task runs."""
    store = airflow.get("task_state_store")
    last = 0.0
    last_stage = ""

    def report(stage: str, rows_done: int, rows_total: int | None) -> None:
        nonlocal last, last_stage
        now = time.monotonic()
        done = rows_total is not None and rows_done >= rows_total
        if store is None or (stage == last_stage and not done and now - last < PROGRESS_SECONDS):
            return
        last, last_stage = now, stage
        # A hiccup of the API server must not cost a run that goes well.
        with contextlib.suppress(Exception):
            store.set("progress", {"stage": stage, "rows_done": rows_done, "rows_total": rows_total})

    return report
