"""Reports about one customer, or one card that nobody owns, read from the ledger now: what an API answers with.

An index gives a holder's rows in some milliseconds, whatever the size of the ledger (tests/benchmarks/api.py), so
nothing is replayed for them but their own rows. Reports are those of every export.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.connections import Secrets
from include.definitions.zones import zone
from include.errors import BadInput, Problem
from include.formats.styles import plain
from include.pipeline import process
from include.pipeline.checks import options_of
from include.pipeline.context import Context, Progress, silent
from include.pipeline.customers.look import READ_SECONDS, ROWS_IN_PLACE, is_id, opened
from include.pipeline.holders.balance import OPTIONS, at_once
from include.pipeline.privacy import erasure_secrets
from include.reports import balance, models
from include.reports.engine.files import Spool
from include.reports.engine.render import Job, render
from include.reports.model import Asked, Needs, ReportModule, arrow_schema
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots.erased import Erased
from include.snapshots.excerpt import Excerpt, Holder, Looking, TooLong
from include.snapshots.kept import Connections
from include.snapshots.names import hasher
from include.snapshots.source import Source
from include.state.tables import instant

FOLDER = "holder"
_APART = "include.pipeline.holders.reports:read_apart"
_connections = Connections()
atexit.register(_connections.close)


@dataclass(frozen=True)
class Wanted:
    """A report about a holder. Instants are microseconds UTC; as_of: None, when it is read.

    [start, end): the period of a report that has one; None: from the first row, until the as-of. columns: those that
    are read, others may hold nulls only; empty: all.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    as_of: int | None = None
    start: int | None = None
    end: int | None = None
    timezone: str = "UTC"
    columns: tuple[str, ...] = ()

    @property
    def quick(self) -> bool:
        """Whether it is answered in memory, without a report being rendered."""
        return self.model == balance.KIND and balance.Options.model_validate(dict(self.options)) == OPTIONS

    def module(self) -> tuple[ReportModule, Any]:
        """Return the report and its options; BadInput for what does not exist."""
        module = models.load(self.model, where="model")
        try:
            zone(self.timezone)
        except ValueError as error:
            right = f"must be an IANA time zone: {error}"
            raise BadInput([Problem("timezone", self.timezone, right, "unknown_time_zone")]) from None
        return module, options_of(module, self.options, "options")


@dataclass(frozen=True)
class Found:
    """What was read at `read_at`, on the ledger's clock: a table for each report, with all of its columns."""

    read_at: datetime
    tables: tuple[pa.Table, ...]


def holder_rows(context: Context, holder: Holder, wanted: Sequence[Wanted]) -> Found | None:
    """Return the rows of reports about a holder; None for whom nobody knows, and for who was erased.

    Points are hundredths. A card that somebody owns is its owner's (`customer.owner_of`). Raises Transient when the
    database cannot be reached or takes too long, BadInput for a report that does not exist or that the ledger lacks
    something of, LedgerViolation when rows are wrong.
    """
    for each in wanted:
        each.module()
    if not is_id(holder.id):
        return None
    erasures = context.state.erasures.list()
    secrets = erasure_secrets(context) if erasures else Secrets()
    try:
        if all(each.quick for each in wanted):
            erased = Erased(hasher(secrets, erasures), erasures) if erasures else None
            return _at_once(context, holder, wanted, erased)
        return _read(context, holder, wanted, secrets, most_rows=ROWS_IN_PLACE)
    except TooLong:
        found: Found | None = process.in_process(
            _APART, context.settings, holder, tuple(wanted), secrets, progress=silent
        )
        return found


def _at_once(
    context: Context, holder: Holder, wanted: Sequence[Wanted], erased: Erased | None
) -> Found | None:
    source = replace(Source.from_settings(context.settings), statement_seconds=READ_SECONDS)
    with _connections.reading(source) as reading:
        moments = [each.as_of for each in wanted]
        tables = at_once(Looking(reading, erased), holder, moments, reading.read_at, most_rows=ROWS_IN_PLACE)
        return None if tables is None else Found(instant(reading.read_at), tables)


def read_apart(
    settings: Settings, holder: Holder, wanted: Sequence[Wanted], secrets: Secrets, *, progress: Progress
) -> Found | None:
    """Read a holder of many rows in a process of its own. secrets: with the key of erased people."""
    return _read(Context(settings), holder, wanted, secrets, progress=progress)


def _read(
    context: Context,
    holder: Holder,
    wanted: Sequence[Wanted],
    secrets: Secrets,
    *,
    most_rows: int | None = None,
    progress: Progress = silent,
) -> Found | None:
    with working_folder(context.settings.scratch, FOLDER) as folder:
        with opened(context, READ_SECONDS, secrets) as ledger:
            taken = ledger.excerpt(holder, _needs(wanted), folder, most_rows=most_rows)
        return None if taken is None else _tables(taken, wanted, folder, progress)


def _needs(wanted: Sequence[Wanted]) -> Needs:
    found: dict[str, dict[str, None]] = {}
    for each in wanted:
        module, options = each.module()
        for relation, columns in module.needs(options).items():
            found.setdefault(relation, {}).update(dict.fromkeys(columns))
    return {relation: tuple(columns) for relation, columns in found.items()}


def _tables(taken: Excerpt, wanted: Sequence[Wanted], folder: Path, progress: Progress) -> Found:
    spools, jobs, schemas = [], [], []
    for number, each in enumerate(wanted):
        module, options = each.module()
        spool = Spool(folder / f"{number}.arrow")
        as_of = next(x for x in (each.as_of, each.end, taken.read_at) if x is not None)
        asked = Asked(
            start=each.start,
            end=(each.end or as_of) if module.PERIOD != "none" else None,
            as_of=as_of,
            known_at=taken.read_at,
            options=options,
            timezone=each.timezone,
            wanted=frozenset(each.columns) or None,
        )
        spools.append(spool)
        schemas.append(arrow_schema(module.columns(options)))
        jobs.append(Job(module, asked, _into(spool)))
    if taken.rows:
        render(jobs, taken.snapshot, folder, progress=progress)
    tables = tuple(
        pa.Table.from_batches(list(spool.batches()), schema)
        for spool, schema in zip(spools, schemas, strict=True)
    )
    return Found(instant(taken.read_at), tables)


def _into(spool: Spool) -> Any:
    def sink(batches: Any) -> None:
        for batch in batches:
            arrays = [plain(array) for array in batch.columns]
            spool.write(pa.RecordBatch.from_arrays(arrays, names=batch.schema.names))
        spool.close()

    return sink
