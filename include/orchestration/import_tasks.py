"""What the tasks of the DAGs of imports do: call the pipeline's step, say little. XCom carries ids and counts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from include.errors import BadInput, LoyaltyError, Permanent, Problem
from include.orchestration.outcome import patiently
from include.orchestration.tasks import open_context, progress_of

if TYPE_CHECKING:
    from include.state.imports import ImportRecord

STAGES = ("rehearse", "approve", "post")
FAILURE = "failure"
_LONGEST_FAILURE = 1000  # characters


def rehearse(airflow: Mapping[str, Any]) -> dict[str, Any]:
    """Rehearse the import that was asked for, or make the one that takes it back; leave its id as XCom `import_id`."""
    from include.pipeline import imports
    from include.state.imports import ImportState

    context, params = open_context(writing=True), airflow["params"]
    who = airflow["dag_run"].triggering_user_name or "schedule"

    def rehearsed() -> ImportRecord:
        if params["undo"]:
            return imports.undo(context, params["import"], by=who, progress=progress_of(airflow))
        found = imports.get(context, params["import"])
        # Whoever agreed to a rehearsal agreed to that one.
        if found.state in {ImportState.RECEIVED, ImportState.WRONG}:
            return imports.rehearse(context, found.import_id, progress=progress_of(airflow))
        return found

    with _telling(airflow):
        if not params["import"]:
            right = "the id of an import, as the page Imports shows it"
            raise BadInput([Problem("import", "", right, "no_import")])
        found = patiently(rehearsed)
    airflow["ti"].xcom_push("import_id", found.import_id)
    return _shown(found)


def post(import_id: str, airflow: Mapping[str, Any]) -> dict[str, Any]:
    """Post an import that was approved, or that somebody with the right asked to post; skip what nobody did."""
    from airflow.sdk.exceptions import AirflowSkipException

    from include.pipeline import imports
    from include.pipeline.imports.asking import who_asked
    from include.state.imports import ImportState

    context = open_context(writing=True)
    record = imports.get(context, import_id)
    who = record.decided_by if record.decision == "approved" else who_asked(context, record)
    if record.state is ImportState.WRONG:
        raise AirflowSkipException("its rows are wrong: the rehearsal says of each what is right")
    if record.finished and record.state is not ImportState.POSTED:
        raise AirflowSkipException(f"it is {record.state.value}")
    if who is None:
        raise AirflowSkipException("it is rehearsed; nobody has asked to post it yet")
    with _telling(airflow):
        return _shown(
            patiently(lambda: imports.post(context, import_id, by=who, progress=progress_of(airflow)))
        )


def report(airflow: Mapping[str, Any]) -> Any:
    """Tell who should know; raise Permanent when a step failed."""
    from include.pipeline import imports
    from include.pipeline.imports.telling import tell

    run, instance = airflow["dag_run"], airflow["ti"]
    states = instance.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], task_ids=list(STAGES))
    failed = [name for name, state in states.get(run.run_id, {}).items() if str(state) == "failed"]
    import_id = instance.xcom_pull(task_ids="rehearse", key="import_id") or airflow["params"]["import"]
    context = open_context(writing=True)
    try:
        record = imports.get(context, import_id)
    except BadInput:
        raise Permanent("there is no such import: the log of the task rehearse says more") from None
    failure = None
    if failed:
        said = instance.xcom_pull(task_ids=failed[0], key=FAILURE)
        failure = said or f"{failed[0]} failed. Its log says more."
    told = tell(context, record, failure=failure, attempt=run.run_id)
    if failed:
        raise Permanent(f"failed: {', '.join(failed)}; their logs say why")
    return {**_shown(record), "told": len(told)}


def inboxes() -> list[str]:
    """Return the names of the inboxes."""
    from include.pipeline import inbox

    return [each.name for each in inbox.inboxes(open_context(writing=True).settings)]


def look(name: str) -> dict[str, Any]:
    """Look into one inbox; return what was found, and the imports to run."""
    from dataclasses import asdict

    from airflow.sdk import get_current_context

    from include.pipeline import inbox

    current: Any = get_current_context()
    current["inbox_name"] = name
    context = open_context(writing=True)
    wanted = next((each for each in inbox.inboxes(context.settings) if each.name == name), None)
    if wanted is None:
        raise Permanent(f"there is no inbox {name} any more")
    return asdict(inbox.look(context, wanted))


def runs_of(looked: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the runs that import what the inboxes hold; one that has begun is not begun again."""
    wanted = dict.fromkeys(each for found in looked if found for each in found["to_run"])
    return [{"trigger_run_id": f"inbox__{each}", "conf": {"import": each}} for each in wanted]


@contextlib.contextmanager
def _telling(airflow: Mapping[str, Any]) -> Iterator[None]:
    """Leave the reason of a failure as the XCom `failure`; what our errors say is right names no member."""
    try:
        yield
    except BadInput as error:
        said = "; ".join(dict.fromkeys(problem.right for problem in error.problems))
        airflow["ti"].xcom_push(FAILURE, said[:_LONGEST_FAILURE])
        raise
    except LoyaltyError as error:
        airflow["ti"].xcom_push(FAILURE, str(error)[:_LONGEST_FAILURE])
        raise


def _shown(record: ImportRecord) -> dict[str, Any]:
    figures = record.rehearsal
    counts = {"rows": figures.rows, "wrong": figures.wrong} if figures else {}
    return {"import": record.import_id, "state": record.state.value, **counts}
