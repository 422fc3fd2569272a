"""Liability by month: the liability report of each of the last months, the newest one until T.

docs/ledger.md section 6. Each row is the row that the liability report has for that month, to the last place, as
known at K; a month opens with what the one before closed with. Months are those of the definition's time zone; the
newest is not over where T lies within it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.definitions.periods import first_of, months_before
from include.definitions.zones import last_day_before, start_of, zone
from include.ledger.ageing import instant
from include.ledger.columns import Column
from include.reports import glossary, liability
from include.reports.engine.several import Several
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report

KIND = "liability_by_month"
TITLE = "Points liability by month"
PERIOD: Period = "none"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH = "month"


class Options(BaseModel):
    """The last `months` months, the one that holds T included; the rest is as in liability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    months: int = Field(default=13, ge=1, le=36)
    programs: tuple[str, ...] = ()
    method: Literal["cost", "deferred_revenue"] | None = None
    rate_source: Literal["program_rates", "chain_ladder"] | None = None


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    return liability.needs(_inner(options))


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order: those of liability, the month after the program."""
    own = liability.columns(_inner(options))
    return (*own[:3], *glossary.columns(KIND, [_MONTH]), *own[3:])


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the months up to `as_of`, the oldest first; raise BadInput as liability does."""
    options = Options.model_validate(asked.options.model_dump())
    reports = []
    for start, end in pairwise(month_starts(asked, options.months)):
        folder = scratch / f"until-{end}"
        folder.mkdir()
        inner = Asked(start, end, end, asked.known_at, _inner(options), asked.timezone)
        reports.append((liability.report(inner, snapshot, folder), _Named(_month(start, asked.timezone))))
    return Several(reports)


def month_starts(asked: Asked, count: int) -> list[int]:
    """Return where the last `count` local months before T begin, and T (us)."""
    where = zone(asked.timezone)
    newest = first_of("month", last_day_before(_EPOCH + timedelta(microseconds=asked.as_of), where))
    firsts = [months_before(newest, back) for back in range(count - 1, -1, -1)]
    return [*(instant(start_of(first, where)) for first in firsts), asked.as_of]


class _Named:
    def __init__(self, month: date) -> None:
        self._month = f"{month:%Y-%m}"

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.add_column(3, _MONTH, pa.array([self._month] * len(batch), pa.string()))


def _month(start: int, timezone: str) -> date:
    return (_EPOCH + timedelta(microseconds=start)).astimezone(zone(timezone)).date()


def _inner(options: Options) -> liability.Options:
    return liability.Options(
        programs=options.programs, method=options.method, rate_source=options.rate_source
    )
