"""One factory: every definition becomes a DAG of the same shape.

pin -> snapshot -> render -> deliver [one mapped task per target] -> settle
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context, task

from include import formats, kinds, targets
from include.definitions.load import load, scan
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.orchestration import tasks
from include.orchestration.outcome import ATTEMPTS
from include.orchestration.parameters import parameters
from include.orchestration.timetable import LoyaltyTimetable
from include.reports import models

TAG = "export"
# Before any loyalty programme that this could report on; no run begins here, since catchup is off.
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
# Runs of one export that work at the same time, as in a backfill; its manifests still form one chain.
RUNS_AT_ONCE = 4


def export_dags(folder: Path) -> dict[str, DAG]:
    """Return the DAG of every sound, enabled definition of a folder by its id.

    A process that runs one task asks for one DAG only: then only that definition is read.
    """
    wanted = get_parsing_context().dag_id
    alone = _alone(folder, wanted) if wanted else None
    definitions = [alone] if alone else scan(folder, check=known_kinds)[0].values()
    return {one.id: build(one) for one in definitions if one.enabled}


def problems(folder: Path) -> list[Problem]:
    """Return what is wrong with the definitions of a folder that have no DAG because of it."""
    return scan(folder, check=known_kinds)[1]


def build(definition: ExportDefinition) -> DAG:
    """Return the DAG of one definition."""
    with DAG(
        definition.id,
        dag_display_name=definition.name,
        description=definition.description or definition.name,
        doc_md=documentation(definition),
        schedule=_timetable(definition),
        start_date=FIRST_DAY,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1 if definition.looks_back else RUNS_AT_ONCE,
        params=parameters(definition),
        tags=tags(definition),
        default_args={"owner": definition.owner, **ATTEMPTS},
        dagrun_timeout=timedelta(days=10),
        render_template_as_native_obj=False,
    ) as dag:

        @task(doc_md="Fix the definition's version, the interval, T and K.")
        def pin(**airflow: Any) -> list[dict[str, Any]]:
            return tasks.pin(definition, airflow)

        @task(doc_md="Make or find the snapshot of the ledger that the run reads.")
        def snapshot(run_key: str, **airflow: Any) -> str:
            return tasks.snapshot(run_key, airflow)

        @task(doc_md="Book every account, check the invariants, write the files into the store.")
        def render(run_key: str, **airflow: Any) -> Any:
            return tasks.render(run_key, airflow)

        @task(map_index_template="{{ target_name }}", doc_md="Deliver the files to one target.")
        def deliver(run_key: str, target: Mapping[str, Any], **airflow: Any) -> Any:
            return tasks.deliver(definition, run_key, target, airflow)

        @task(trigger_rule="all_done", doc_md="Record how the run ended; fail it if any part failed.")
        def settle(**airflow: Any) -> Any:
            return tasks.settle(definition, airflow)

        pinned: Any = pin()
        key = pinned["run_key"]
        made, written, settled = snapshot(key), render(key), settle()
        delivered = deliver.partial(run_key=key).expand(target=pinned)
        made >> written >> delivered >> settled
    return dag


def tags(definition: ExportDefinition) -> list[str]:
    """Return what the DAG list can be filtered by: that it is an export, its report, its kinds of target."""
    words = {TAG, *(part.model for part in definition.parts), *(target.kind for target in definition.targets)}
    return sorted(words | ({"paused"} if definition.paused else set()))


def documentation(definition: ExportDefinition) -> str:
    """Return the DAG's page in the UI: what the export is, in words and as its document."""
    import yaml

    when = definition.recurrence.describe() if definition.recurrence else "by hand"
    places = ", ".join(target.label for target in definition.targets)
    models = ", ".join(part.model for part in definition.parts)
    document = yaml.safe_dump(definition.document(), sort_keys=False, allow_unicode=True)
    return (
        f"### {definition.name}\n\n{definition.description}\n\n"
        f"**Model** {models} · **when** {when} · **to** {places} "
        f"· **owner** {definition.owner}\n\n"
        f"```yaml\n{document}```\n"
    )


def known_kinds(definition: ExportDefinition, where: str) -> list[Problem]:
    """Return a problem for each model, format or target that does not exist.

    Only names: the kinds themselves are too heavy for parsing. The first task checks their options.
    """
    asked: list[tuple[str, str, str, tuple[str, ...]]] = []
    known_models, known_formats, known_targets = models.names(), kinds.names(formats), kinds.names(targets)
    for index, part in enumerate(definition.parts):
        place = f"exports[{index}]." if definition.exports else ""
        asked.append(("model", f"{place}model", part.model, known_models))
        asked.append(("format", f"{place}file.format", part.file.format, known_formats))
    for index, target in enumerate(definition.targets):
        asked.append(("target", f"targets[{index}].kind", target.kind, known_targets))
    return [
        Problem(f"{where}: {field}", name, f"known {word}s are {', '.join(known)}", f"unknown_{word}")
        for word, field, name, known in asked
        if name not in known
    ]


def _timetable(definition: ExportDefinition) -> LoyaltyTimetable | None:
    """Return the timetable; none for an export that runs by hand only, be it for a while.

    Airflow's own pause would hold back runs by hand too, and is a switch of the UI, not of the definition.
    """
    if definition.schedule is None or definition.paused:
        return None
    return LoyaltyTimetable(definition.schedule, definition.timezone)


def _alone(folder: Path, definition_id: str) -> ExportDefinition | None:
    """Return the definition that the file of its name holds; None when it must be looked for among all."""
    path = folder / f"{definition_id}.yaml"
    if not path.is_file():
        return None
    try:
        definition = load(path, check=known_kinds)
    except BadInput:
        return None
    return definition if definition.id == definition_id else None
