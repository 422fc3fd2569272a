"""What the tasks of our DAGs do: read the run's circumstances, call the pipeline's step, say little.

XCom carries a run's key, target names and counts, never rows. Heavy imports stay inside the functions: this
module is imported whenever a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.errors import Permanent
from include.orchestration.connections import airflow_connection
from include.orchestration.ledger import ledger_environment
from include.orchestration.outcome import waiting_when_early
from include.orchestration.parameters import asked

if TYPE_CHECKING:
    from include.definitions.model import ExportDefinition
    from include.pipeline import Context
    from include.pipeline.context import Progress

STAGES = ("pin", "snapshot", "render", "deliver")
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
    wish = asked(airflow["params"], definition)
    positions = {target.label: index for index, target in enumerate(definition.targets)}
    with waiting_when_early():
        record = pipeline.pin(
            _context(),
            definition,
            occurrence=run.logical_date or run.run_after,
            as_of=wish.as_of,
            start=wish.start,
            end=wish.end,
            dry_run=wish.dry_run,
            backfill=str(getattr(run.run_type, "value", run.run_type)) == "backfill",
            requested_by=run.triggering_user_name,
        )
    airflow["ti"].xcom_push("run_key", record.run_key)
    airflow["ti"].xcom_push("run", record.model_dump(mode="json", include=SHOWN))
    chosen = [] if wish.dry_run else [positions[label] for label in wish.targets or positions]
    return [{"position": position, "name": definition.targets[position].label} for position in chosen]


def snapshot(run_key: str, airflow: Mapping[str, Any]) -> str:
    """Make or find the snapshot that the run reads; return its id. Waits, without a slot, for its maker."""
    from include import pipeline

    with waiting_when_early():
        return str(pipeline.snapshot(_context(), run_key, _progress(airflow)))


def render(run_key: str, airflow: Mapping[str, Any]) -> Any:
    """Make the files in the store; return what they are (keys, rows, bytes, hashes)."""
    from include import pipeline

    with waiting_when_early():
        return pipeline.render(_context(), run_key, _progress(airflow))


def deliver(run_key: str, target: Mapping[str, Any], airflow: Mapping[str, Any]) -> Any:
    """Deliver the files to one target; return its receipt."""
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from include import pipeline

    current: Any = get_current_context()
    current["target_name"] = target["name"]  # the label of this task in the grid
    with waiting_when_early():
        receipt = pipeline.deliver(_context(), run_key, int(target["position"]), _progress(airflow))
    if "skipped" in receipt:
        raise AirflowSkipException(receipt["skipped"])
    return receipt


def settle(airflow: Mapping[str, Any]) -> Any:
    """Record how the run ended and return its summary; raise Permanent when any part of it failed."""
    from include import pipeline

    # Asked for here, not given as arguments: those must exist, and a `pin` that failed has left none.
    run_key = airflow["ti"].xcom_pull(task_ids="pin", key="run_key")
    chosen = airflow["ti"].xcom_pull(task_ids="pin")
    states = stage_states(airflow)
    failed = [name for name, state in sorted(states.items()) if state == "failed"]
    if run_key is None or chosen is None:
        raise Permanent(f"nothing was pinned ({states.get('pin')}): the log of the task pin says why")
    early = [name for name in failed if not name.startswith("deliver")]
    asked_for = [int(target["position"]) for target in chosen]
    summary = pipeline.settle(_context(), run_key, asked_for, failure=f"{early[0]} failed" if early else None)
    if failed:
        # The pipeline judges by its own records; this task may have died before it could write any.
        raise Permanent(f"failed: {', '.join(failed)}; their logs say why")
    return summary


def upkeep() -> Any:
    """Keep the installation small; return what was done."""
    from include import pipeline

    return pipeline.upkeep(_context())


def stage_states(airflow: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of every earlier task of the run; mapped ones as `deliver[0]`, `deliver[1]`."""
    instance, run = airflow["ti"], airflow["dag_run"]
    found = instance.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], task_ids=list(STAGES))
    states = found.get(run.run_id, {})
    return {
        f"deliver[{task.removeprefix('deliver_')}]" if task.startswith("deliver_") else task: str(state)
        for task, state in states.items()
    }


def _context() -> Context:
    from include.pipeline import Context
    from include.settings import Settings

    settings = Settings.from_environment(ledger_environment(os.environ))
    return Context.from_settings(settings, airflow_connection)


def _progress(airflow: Mapping[str, Any]) -> Progress:
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
