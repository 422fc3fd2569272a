"""One factory: every definition becomes a DAG of the same shape.

pin -> snapshot -> render -> deliver [one mapped task per target] -> settle

Where an installation renders large snapshots in shares: snapshot -> split -> share [one mapped task each] -> render.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from airflow.sdk import DAG, get_parsing_context, task

from include.definitions.model import ExportDefinition
from include.orchestration import pools, tasks
from include.orchestration.catalogue import Entry, entry, of_shard
from include.orchestration.outcome import ATTEMPTS
from include.orchestration.parameters import parameters
from include.orchestration.shards import shard_of
from include.orchestration.timetable import LoyaltyTimetable
from include.settings import LONGEST_RUN, Settings

TAG = "export"
WINDING_DOWN = "deleted"
# Before any loyalty programme that this could report on; no run begins here, since catchup is off.
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
# Runs of one export that work at the same time, as in a backfill; its manifests still form one chain.
RUNS_AT_ONCE = 4


def export_dags(settings: Settings, file: str) -> dict[str, DAG]:
    """Return the DAG of every sound, enabled definition of files and pages that is of a DAG file's shard, by its id.

    A process that runs one task asks for one DAG only: then only that definition is read, whatever its shard.
    """
    wanted = get_parsing_context().dag_id
    if wanted:
        alone = entry(settings, wanted)
        return {wanted: _of(alone, settings)} if alone else {}
    return {id_: _of(each, settings) for id_, each in of_shard(settings, shard_of(file)).items()}


def _of(each: Entry, settings: Settings) -> DAG:
    return build(each.definition, each.source, winds_down=each.winds_down, in_shares=settings.share_rows > 0)


def build(
    definition: ExportDefinition,
    source: Literal["yaml", "ui"] = "yaml",
    *,
    winds_down: bool = False,
    in_shares: bool = False,
) -> DAG:
    """Return the DAG of one definition. winds_down: only for the runs that are open; none begins by itself.

    in_shares: with the tasks that render a large snapshot in shares; of a small one there are none.
    """
    with DAG(
        definition.id,
        dag_display_name=definition.name,
        description=definition.description or definition.name,
        doc_md=documentation(definition),
        schedule=None if winds_down else _timetable(definition),
        start_date=FIRST_DAY,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1 if definition.looks_back else RUNS_AT_ONCE,
        tags=[*tags(definition), source, *([WINDING_DOWN] if winds_down else [])],
        default_args={"owner": definition.owner, **ATTEMPTS},
        dagrun_timeout=LONGEST_RUN,
        render_template_as_native_obj=False,
    ) as dag:

        @task(doc_md="Fix the definition's version, the interval, T and K.")
        def pin(**airflow: Any) -> list[dict[str, Any]]:
            return tasks.pin(definition, airflow)

        @task(pool=pools.heavy(), doc_md="Make or find the snapshot of the ledger that the run reads.")
        def snapshot(run_key: str, **airflow: Any) -> str:
            return tasks.snapshot(run_key, airflow)

        @task(doc_md="Cut a large snapshot into shares, stretches of accounts.")
        def split(run_key: str, **airflow: Any) -> list[dict[str, int]]:
            return tasks.split(run_key, airflow)

        @task(
            pool=pools.heavy(),
            map_index_template="{{ share_name }}",
            doc_md="Book the accounts of one share, and check the invariants.",
        )
        def share(run_key: str, part: Mapping[str, int], **airflow: Any) -> dict[str, Any]:
            return tasks.share(run_key, part, airflow)

        @task(
            pool=pools.heavy(),
            trigger_rule="none_failed"
            if in_shares
            else "all_success",  # of a small snapshot no share is made
            doc_md="Book every account, check the invariants, write the files into the store.",
        )
        def render(run_key: str, shares: Sequence[Mapping[str, Any]] = (), **airflow: Any) -> Any:
            return tasks.render(run_key, airflow, shares)

        @task(map_index_template="{{ target_name }}", doc_md="Deliver the files to one target.")
        def deliver(run_key: str, target: Mapping[str, Any], **airflow: Any) -> Any:
            return tasks.deliver(definition, run_key, target, airflow)

        @task(trigger_rule="all_done", doc_md="Record how the run ended; fail it if any part failed.")
        def settle(**airflow: Any) -> Any:
            return tasks.settle(definition, airflow)

        pinned: Any = pin()
        key = pinned["run_key"]
        made, settled = snapshot(key), settle()
        if in_shares:
            parts: Any = split(key)
            shares: Any = share.partial(run_key=key).expand(part=parts)
            written = render(key, shares)
            made >> parts
        else:
            written = render(key)
        delivered = deliver.partial(run_key=key).expand(target=pinned)
        made >> written >> delivered >> settled
    # Not an argument of the DAG: each task would get a copy of its own, and storing those took most of the time of
    # parsing. A run's tasks see the DAG's parameters all the same.
    dag.params.update(parameters(definition))
    return dag


def tags(definition: ExportDefinition) -> list[str]:
    """Return what the DAG list can be filtered by: that it is an export, its report, its kinds of target."""
    words = {TAG, *(part.model for part in definition.parts), *(target.kind for target in definition.targets)}
    return sorted(words | ({"paused"} if definition.paused else set()))


def documentation(definition: ExportDefinition) -> str:
    """Return the DAG's page in the UI: what the export is, in words and as its document."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    when = definition.recurrence.describe() if definition.recurrence else "by hand"
    places = ", ".join(target.label for target in definition.targets)
    models = ", ".join(part.model for part in definition.parts)
    document = yaml.dump(definition.document(), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return (
        f"### {definition.name}\n\n{definition.description}\n\n"
        f"**Model** {models} · **when** {when} · **to** {places} "
        f"· **owner** {definition.owner}\n\n"
        f"```yaml\n{document}```\n"
    )


def _timetable(definition: ExportDefinition) -> LoyaltyTimetable | None:
    """Return the timetable; none for an export that runs by hand only, be it for a while.

    Airflow's own pause would hold back runs by hand too, and is a switch of the UI, not of the definition.
    """
    if definition.schedule is None or definition.paused:
        return None
    return LoyaltyTimetable(definition.schedule, definition.timezone)
