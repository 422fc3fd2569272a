"""What is asked of Spark: a report of one snapshot, and how its accounts are spread over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from include.definitions.zones import zone
from include.errors import BadInput, Problem
from include.pipeline.checks import options_of
from include.pipeline.context import Context
from include.pipeline.previews.preview import newest_of
from include.reports import models
from include.reports.model import Asked, ReportModule
from include.snapshots import registry
from include.snapshots.manifest import SnapshotManifest
from include.state import identity
from include.state.tables import microseconds

# A task takes so many transactions, on average: what it starts with, the other relations above all, is then little.
ROWS_PER_TASK = 2_000_000


@dataclass(frozen=True)
class Question:
    """A report as of `as_of`, of `[start, as_of)` where a start is given; known_at: by default all that is settled.

    options: of the report, as a definition has them. snapshot_id: by default the newest that holds what is read.
    """

    report: str
    as_of: datetime
    start: datetime | None = None
    known_at: datetime | None = None
    options: Mapping[str, Any] | None = None
    timezone: str = "UTC"
    snapshot_id: str | None = None


@dataclass(frozen=True)
class Plan:
    """What every task is told. scratch: a folder on each machine. code: of the driver, which tasks must have too."""

    report: str
    asked: Asked
    manifest: SnapshotManifest
    store_url: str
    scratch: Path
    tasks: int
    code: str

    @property
    def module(self) -> ReportModule:
        """Return the report's module."""
        return models.load(self.report, where="report")

    @property
    def is_of_accounts(self) -> bool:
        """Return whether ranges of accounts are reported each by itself; else the driver joins them."""
        return models.of_accounts(self.module, self.asked.options)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of transactions that the report reads."""
        return self.module.needs(self.asked.options)["transactions"]


def plan(context: Context, question: Question, *, tasks: int | None = None) -> Plan:
    """Return the plan; raises BadInput with all that is wrong with the question, Missing without its snapshot.

    tasks: by default one for every 2 million transactions.
    """
    module = models.load(question.report, where="report")
    options = options_of(module, dict(question.options or {}), "options")
    if "transactions" not in module.needs(options):
        right = "must be a report of booked accounts; this one is made by `loyalty export run`"
        raise BadInput([Problem("report", question.report, right, "not_booked")])
    manifest = _snapshot(context, question, module, options)
    known_at = question.known_at or manifest.read_at - context.settings.settle_delay
    if problems := _problems(question, module, manifest, known_at, context.settings.settle_delay):
        raise BadInput(problems)
    asked = Asked(
        start=None if question.start is None else microseconds(question.start),
        end=None if module.PERIOD == "none" else microseconds(question.as_of),
        as_of=microseconds(question.as_of),
        known_at=microseconds(known_at),
        options=options,
        timezone=question.timezone,
    )
    rows = manifest.relations["transactions"].rows
    return Plan(
        report=question.report,
        asked=asked,
        manifest=manifest,
        store_url=context.settings.store_url,
        scratch=context.settings.scratch,
        tasks=tasks or max(1, -(-rows // ROWS_PER_TASK)),
        code=code(),
    )


@cache
def code() -> str:
    """Return the version of the code that this process runs."""
    return identity.code_version()


def _snapshot(
    context: Context, question: Question, module: ReportModule, options: BaseModel
) -> SnapshotManifest:
    needs = module.needs(options)
    if question.snapshot_id is None:
        found = newest_of(context, needs)
        if found is None:
            right = "there is none that holds what the report reads: make one with `loyalty snapshot`"
            raise BadInput([Problem("snapshot", "", right, "no_snapshot")])
        return found
    manifest = registry.load(context.store, context.state, question.snapshot_id)
    if not manifest.covers(needs):
        right = f"does not hold all columns that {question.report} reads: {needs}"
        raise BadInput([Problem("snapshot", question.snapshot_id, right, "snapshot_lacks_columns")])
    return manifest


def _problems(
    question: Question,
    module: ReportModule,
    manifest: SnapshotManifest,
    known_at: datetime,
    settle_delay: timedelta,
) -> list[Problem]:
    problems = []
    for where, moment in (("as_of", question.as_of), ("known_at", known_at)):
        if not manifest.serves(moment, settle_delay):
            right = f"must not lie after {manifest.read_at - settle_delay}: up to it, snapshot {manifest.id} is settled"
            problems.append(Problem(where, str(moment), right, "after_snapshot"))
    if module.PERIOD == "none" and question.start is not None:
        problems.append(Problem("start", str(question.start), "this report is of one instant", "no_period"))
    if question.start is not None and question.start >= question.as_of:
        problems.append(Problem("start", str(question.start), "must lie before as_of", "start_after_end"))
    try:
        zone(question.timezone)
    except ValueError as error:
        problems.append(Problem("timezone", question.timezone, str(error), "unknown_time_zone"))
    return problems
