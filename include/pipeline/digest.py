"""The digest: one notice about all exports over some days, for who does not want one for each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.ledger.fields import FieldType
from include.notices.installation import Installation
from include.notices.notice import Notice, Table, shown
from include.notices.recipients import email
from include.pipeline import exports, notify
from include.pipeline.checks import model_of
from include.pipeline.context import Context
from include.reports.adding import ADDING
from include.state.deliveries import Delivery, DeliveryState
from include.state.runs import RunRecord, RunStatus

EVENT = "digest"
_MOST = 100_000


def digest(context: Context, since: datetime, until: datetime, base: str | None = None) -> Notice:
    """Return what happened to every enabled export in [since, until), what waits for a person, and what comes next."""
    zone = Installation.from_settings(context.settings).timezone
    made = context.state.runs.list(since=since, looks=False, limit=_MOST)
    runs = [run for run in made if run.created_at and run.created_at < until and not run.dry_run]
    told = context.state.notices.list(event="late", since=since, limit=_MOST)
    late = Counter(
        export for export, _ in {(n.definition_id, str(n.notice)) for n in told if n.created_at < until}
    )
    waiting = _waiting(context)
    definitions = {one.id: one for one in exports.known(context).values() if one.enabled}
    rows = [
        _row(context, one, [run for run in runs if run.definition_id == one.id], late[one.id], zone, until)
        for one in definitions.values()
    ]
    done = sum(run.status is RunStatus.DONE for run in runs)
    failed = sum(run.status is RunStatus.FAILED for run in runs)
    first, last = (moment.astimezone(ZoneInfo(zone)) for moment in (since, until))
    return Notice(
        event=EVENT,
        title=f"Exports from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {len(runs)} runs, {failed} failed",
        said=(
            f"From {shown(since, zone)} up to {shown(until, zone)}: {len(runs)} runs, {done} done, {failed} failed.",
            f"Deliveries that wait for a person: {len(waiting)}.",
        ),
        tables=(Table(title="Exports", head=_HEAD, rows=tuple(rows), numbers=(1, 2, 3, 4, 5)),),
        todo=tuple(_sentence(run, delivery) for delivery, run in waiting),
        page=f"{base}/dags" if base else None,
        facts={
            "since": since.isoformat(),
            "until": until.isoformat(),
            "runs": len(runs),
            "done": done,
            "failed": failed,
            "waiting": [delivery.key for delivery, _ in waiting],
        },
    )


def send(context: Context, since: datetime, until: datetime, base: str | None = None) -> list[dict[str, Any]]:
    """Send the digest to whom LOYALTY_DIGEST_EMAIL names, once for each `until`; return what became of it."""
    installation = Installation.from_settings(context.settings)
    to = [email(address, installation.mail) for address in installation.digest]
    subject = f"digest up to {until.astimezone(UTC).isoformat()}"
    return notify.send(context, notify.put(context, digest(context, since, until, base), subject, to, None))


_HEAD = ("export", "runs", "done", "failed", "nothing to send", "late", "last file", "totals", "next run")


def _row(
    context: Context,
    definition: ExportDefinition,
    runs: list[RunRecord],
    late: int,
    zone: str,
    until: datetime,
) -> tuple[str, ...]:
    skipped = sum(bool(run.skipped) for run in runs)
    done = sum(run.status is RunStatus.DONE for run in runs) - skipped
    failed = sum(run.status is RunStatus.FAILED for run in runs)
    last = _last(context, definition.id)
    recurrence = None if definition.paused else definition.recurrence
    after = recurrence.next_after(until) if recurrence else None
    return (
        definition.name,
        str(len(runs)),
        str(done),
        str(failed),
        str(skipped),
        str(late),
        ""
        if last is None
        else f"{sum(each.get('rows', 0) for each in _data(last)):,} rows, {shown(last.as_of, zone)}",
        "" if last is None else _totals(last),
        shown(after, zone) if after else "by hand",
    )


def _last(context: Context, definition_id: str) -> RunRecord | None:
    """Return the last run that sent something."""
    done = context.state.runs.list(definition_id=definition_id, status=RunStatus.DONE, looks=False, limit=50)
    return next((run for run in done if run.files and not run.dry_run), None)


def _data(run: RunRecord) -> list[dict[str, Any]]:
    """Return the files of a run that are more than a list of what changed."""
    return [each for each in run.files if each.get("holds") != "changes"]


def _totals(run: RunRecord) -> str:
    """Return the sums of a run's files that mean something, by export and column; of money by currency."""
    adding = _adding(run)
    sums: dict[str, Decimal] = {}
    for each in _data(run):
        totals: Mapping[str, str] = each.get("totals", {})
        for name, total in totals.items():
            inside, _, column = name.rpartition(": ")  # in an archive or a workbook
            export = each.get("export") or (inside if inside in adding else next(iter(adding), ""))
            header, currency, _ = column.rpartition(" (")
            kind = adding.get(export, {}).get(header if currency else column)
            if kind is not None and (kind is FieldType.MONEY) == bool(currency):
                shown_as = f"{export}: {column}" if len(adding) > 1 else column
                sums[shown_as] = sums.get(shown_as, Decimal(0)) + Decimal(total)
    return "; ".join(f"{name} {total:,}" for name, total in sums.items())


def _adding(run: RunRecord) -> dict[str, dict[str, FieldType]]:
    """Return by export the headers of figures that may be added over rows, with what they are.

    Of a layout's columns none is known; neither is a definition that today's code does not read any more.
    """
    try:
        definition = ExportDefinition.model_validate(run.definition)
        return {part.id: _headers(part) for part in definition.parts}
    except (ValidationError, BadInput):
        return {}


def _headers(part: Part) -> dict[str, FieldType]:
    module, options = model_of(part)
    types = {column.name: column.type for column in module.columns(options)}
    adding = {name: types[name] for name in ADDING.get(part.model, ()) if name in types}
    if part.layout is not None:
        return {}
    if part.aggregation is not None:
        summed = [each for each in part.aggregation if each.function == "sum"]
        return {each.title: adding[each.field] for each in summed if each.field in adding}
    if part.fields is None:
        return adding
    return {each.title: adding[each.field] for each in part.fields if each.field in adding}


def _waiting(context: Context) -> list[tuple[Delivery, RunRecord]]:
    states = (DeliveryState.UNCERTAIN, DeliveryState.CONFLICT)
    found = context.state.deliveries.list(states=states)
    return [(each, context.state.runs.get(each.run_key)) for each in found]


def _sentence(run: RunRecord, delivery: Delivery) -> str:
    name = run.definition.get("name", run.definition_id)
    return (
        f"{name}, target {delivery.target}, is {delivery.state.value} since {delivery.updated_at:%Y-%m-%d}: "
        f"loyalty deliveries show {delivery.key[:12]} says what to do."
    )
