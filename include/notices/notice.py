"""A notice: what happened, in sentences and tables for people, and as facts for machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from include.definitions.model import ExportDefinition
from include.definitions.notify import Event
from include.definitions.occasion import name_values
from include.definitions.periods import Interval
from include.state.deliveries import DeliveryState
from include.state.runs import RunRecord

NOT_TRIED = "not tried"
WAITING = (DeliveryState.UNCERTAIN.value, DeliveryState.CONFLICT.value)
TITLES: dict[Event, str] = {
    "finished": "delivered",
    "restated": "restated",
    "skipped": "nothing was sent",
    "failed": "failed",
    "uncertain": "waits for a person",
    "late": "late",
}
_STATES = {
    DeliveryState.CONFIRMED.value: "delivered",
    DeliveryState.UNCERTAIN.value: "nobody can tell whether it arrived",
    DeliveryState.CONFLICT.value: "other content stands under its name",
    DeliveryState.FAILED.value: "failed",
    NOT_TRIED: "not tried",
    **dict.fromkeys(("claimed", "ready", "sending"), "not finished"),
}
_AFTER_A_FAILURE = "Read the log of that step, put right what it names, and start the run again."
# A person reads no more of it in a mail; the record has all.
MOST_ROWS = 20
MOST_CHARACTERS = 500


class Table(BaseModel):
    """Rows of texts under a head; `title` says of what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    """Positions of columns of numbers."""


class Notice(BaseModel):
    """What somebody is told. `facts` are the same for machines; `page` is where a person with a login sees more.

    files: names of the run's files that a link may be offered for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str
    title: str
    said: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    todo: tuple[str, ...] = ()
    page: str | None = None
    page_name: str = "The run in Airflow"
    run_key: str | None = None
    files: tuple[str, ...] = ()
    facts: dict[str, JsonValue] = Field(default_factory=dict)


def event_of(run: RunRecord, deliveries: dict[str, dict[str, Any]], failure: str | None) -> Event:
    """Return what became of a run that was settled. deliveries: as in its summary."""
    states = {each["state"] for each in deliveries.values()}
    if states & set(WAITING):
        return "uncertain"
    if failure or states - {DeliveryState.CONFIRMED.value} or not run.artefacts:
        return "failed"
    if run.skipped:
        return "skipped"
    return "restated" if run.revision else "finished"


def of_run(
    run: RunRecord,
    deliveries: dict[str, dict[str, Any]],
    failure: str | None,
    page: str | None = None,
    todo: Sequence[str] = (),
) -> Notice:
    """Return the notice of a run that was settled. todo: what to do about its deliveries, in sentences."""
    definition = ExportDefinition.model_validate(run.definition)
    event = event_of(run, deliveries, failure)
    # A file that is split by a field is called by the field's values, and those may be about one person.
    named = not any(part.file.split and part.file.split.field for part in definition.parts)
    data = [each for each in run.files if "rows" in each]
    contents = (
        [(each["name"], each["rows"], each["totals"]) for each in data]
        if named
        else _by_export(definition, data)
    )
    title = "made, not delivered (dry run)" if run.dry_run and event == "finished" else TITLES[event]
    said = [period_of(definition, run), *([_cut(failure)] if failure else [])]
    if run.skipped:
        said.append(f"Nothing was sent: {run.skipped}.")
    said += dict.fromkeys(note for each in data for note in each.get("told", ()))
    if run.revision:
        said.append(f"This is revision {run.revision}: it states anew what was delivered before.")
    return Notice(
        event=event,
        title=f"{definition.name} {_label(definition, run)}: {title}",
        said=tuple(said),
        tables=tuple(table for table in (_files(contents), _targets(deliveries, named=named)) if table.rows),
        todo=(*([_AFTER_A_FAILURE] if failure else []), *todo),
        page=page,
        run_key=run.run_key,
        files=tuple(each["name"] for each in data) if named else (),
        facts=_facts(run, event, deliveries, contents, failure),
    )


def unpinned(definition: ExportDefinition, failure: str, page: str | None = None) -> Notice:
    """Return the notice of a run that failed before anything of it was recorded."""
    return Notice(
        event="failed",
        title=f"{definition.name}: {TITLES['failed']}",
        said=("The run failed before its period was fixed, so nothing was made.", _cut(failure)),
        todo=("Put right what the message names, then start the run again in Airflow.",),
        page=page,
        facts={"export": definition.id, "name": definition.name, "failure": _cut(failure)},
    )


def late(
    definition: ExportDefinition,
    occurrence: datetime,
    deadline: datetime,
    run: RunRecord | None,
    page: str | None,
) -> Notice:
    """Return the notice of a scheduled run that is not done at its deadline. run: as far as there is one."""
    due, until = (shown(moment, definition.timezone) for moment in (occurrence, deadline))
    if run is None:
        stands = "No run of it has begun. Is the DAG paused, or the scheduler down?"
    elif run.status == "failed":
        stands = "Its run failed and was not made again."
    else:
        done = f", {run.rows_done:,} rows" if run.rows_done else ""
        stands = f"Its run is under way: {run.stage or run.status.value}{done}."
    return Notice(
        event="late",
        title=f"{definition.name}: {TITLES['late']}, due {due}",
        said=(f"The run of {due} should have been done by {until}.", stands),
        todo=("Look at the run in Airflow, or start it by hand.",),
        page=page,
        run_key=run.run_key if run else None,
        facts={
            "export": definition.id,
            "name": definition.name,
            "occurrence": occurrence.isoformat(),
            "deadline": deadline.isoformat(),
            "run": run.run_key if run else None,
            "status": run.status.value if run else None,
        },
    )


def shown(moment: datetime, timezone: str) -> str:
    """Return `2026-03-09 09:00 Europe/Paris`, with seconds only where there are some."""
    local = moment.astimezone(ZoneInfo(timezone)).replace(microsecond=0)
    return f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + f" {timezone}"


def period_of(definition: ExportDefinition, run: RunRecord) -> str:
    """Return the sentence that says which period or instant a run is about."""
    if run.end is None:
        return f"As of {shown(run.as_of, definition.timezone)}."
    start = f"from {shown(run.start, definition.timezone)}" if run.start else "from the beginning"
    return f"Period: {start} up to {shown(run.end, definition.timezone)}."


def _label(definition: ExportDefinition, run: RunRecord) -> str:
    """Return the period as file names have it, made for reading."""
    interval = Interval(run.start, run.end) if run.end else None
    occurrence = run.occurrence or run.as_of
    values = name_values(definition, occurrence=occurrence, interval=interval, as_of=run.as_of)
    return readable(values["period"])


def readable(label: str) -> str:
    """Return a period's label as people write it: `2026-05-25 09:00 to 2026-06-01 09:00:30`."""
    to_the_second = re.sub(r"T(\d\d)(\d\d)(?=\d)", r" \1:\2:", label.replace("_", " to "))
    return re.sub(r"T(\d\d)(\d\d)", r" \1:\2", to_the_second)


def _by_export(
    definition: ExportDefinition, data: list[dict[str, Any]]
) -> list[tuple[str, int, dict[str, str]]]:
    """Return the figures of the files of each export together, without the files' names."""
    together: dict[str, list[dict[str, Any]]] = {}
    for each in data:
        together.setdefault(each.get("export") or definition.id, []).append(each)
    return [
        (f"{export} ({len(files)} files)", sum(each["rows"] for each in files), _added(files))
        for export, files in together.items()
    ]


def _added(files: Iterable[dict[str, Any]]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for each in files:
        for column, total in each["totals"].items():
            sums[column] = sums.get(column, Decimal(0)) + Decimal(total)
    return {column: str(total) for column, total in sums.items()}


def _files(contents: list[tuple[str, int, dict[str, str]]]) -> Table:
    rows = [
        (name, f"{count:,}", "; ".join(f"{column} {Decimal(total):,}" for column, total in totals.items()))
        for name, count, totals in contents[:MOST_ROWS]
    ]
    if len(contents) > MOST_ROWS:
        rest = contents[MOST_ROWS:]
        rows.append((f"and {len(rest)} more", f"{sum(each[1] for each in rest):,}", ""))
    return Table(title="Files", head=("file", "rows", "totals"), rows=tuple(rows), numbers=(1,))


def _targets(deliveries: dict[str, dict[str, Any]], *, named: bool) -> Table:
    rows = []
    for label, each in deliveries.items():
        files = (each["receipt"] or {}).get("files") or [{}]
        where = (
            files[0].get("place", "") if each["state"] == DeliveryState.CONFIRMED.value else each["message"]
        )
        rows.append((label, _STATES.get(each["state"], each["state"]), _cut(where or "") if named else ""))
    return Table(title="Targets", head=("target", "state", "where, or why not"), rows=tuple(rows))


def _facts(
    run: RunRecord,
    event: Event,
    deliveries: dict[str, dict[str, Any]],
    contents: list[tuple[str, int, dict[str, str]]],
    failure: str | None,
) -> dict[str, JsonValue]:
    return {
        "export": run.definition_id,
        "name": str(run.definition.get("name", run.definition_id)),
        "run": run.run_key,
        "event": event,
        "start": run.start.isoformat() if run.start else None,
        "end": run.end.isoformat() if run.end else None,
        "as_of": run.as_of.isoformat(),
        "revision": run.revision,
        "dry_run": run.dry_run,
        "rows": sum(count for _, count, _ in contents),
        "totals": {name: dict(totals) for name, _, totals in contents},
        "deliveries": {label: str(each["state"]) for label, each in deliveries.items()},
        "failure": _cut(failure) if failure else None,
        "skipped": run.skipped,
    }


def _cut(text: str) -> str:
    """Return the text, its beginning when it is longer than a person reads."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."
