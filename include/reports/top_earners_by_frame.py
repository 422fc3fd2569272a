"""Top earners by frame: by whom most points were earned in each of several time frames that end before T.

Each frame holds the rows that the top earners report has for it. Frames are periods of whole local days: none holds
the day of T. Only the longest frame is read, and nothing is booked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.definitions import periods
from include.definitions.zones import zone
from include.ledger.ageing import instant
from include.ledger.columns import Column
from include.reports import glossary, top_earners
from include.reports.engine import relation_rows
from include.reports.engine.several import Several
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report

KIND = "top_earners_by_frame"
TITLE = "Top earners by time frame"
PERIOD: Period = "none"

Frame = Literal[
    "previous_day", "last_7_days", "last_30_days", "last_90_days", "last_3_months", "last_12_months",
    "month_to_date", "previous_month", "year_to_date", "previous_year",
]  # fmt: skip
FRAMES: tuple[Frame, ...] = (
    "previous_day", "last_7_days", "last_30_days", "last_90_days", "last_3_months", "last_12_months",
    "month_to_date", "previous_month", "year_to_date", "previous_year",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN = glossary.columns(KIND, ("frame", "period_start", "period_end"))


class Options(BaseModel):
    """`frames` are kinds of period; `limit` is how many rows each has for a program; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: tuple[Frame, ...] = Field(default=FRAMES, min_length=1)
    limit: int = Field(default=100, ge=1, le=10_000)
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:
    """Return the relations and columns that the model reads where the ledger has them."""
    return top_earners.needs(_inner(options))


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order."""
    return (*_OWN, *top_earners.columns(_inner(options)))


def spans(asked: Asked) -> dict[str, relation_rows.Span]:
    """Return the moments outside which no transaction is read (`models.spans`)."""
    starts = [start for _, start, _ in _frames(asked)]
    return {"transactions": relation_rows.Span(min(starts), asked.as_of)}


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the frames in turn; raise BadInput for a program that the ledger does not have."""
    reports = []
    for frame, start, end in _frames(asked):
        folder = scratch / frame
        folder.mkdir()
        inner = Asked(start, end, end, asked.known_at, _inner(asked.options), asked.timezone)
        made = _Framed(frame, start, end)
        reports.append((top_earners.report(inner, snapshot, folder), made))
    return Several(reports)


def _frames(asked: Asked) -> list[tuple[str, int, int]]:
    """Return each frame with where it begins and ends (us)."""
    assert isinstance(asked.options, Options)
    moment, where = _EPOCH + timedelta(microseconds=asked.as_of), zone(asked.timezone)
    found: list[tuple[str, int, int]] = []
    for frame in asked.options.frames:
        interval = periods.period(periods.Period(kind=frame), moment, where)
        assert interval is not None
        assert interval.start is not None
        found.append((frame, instant(interval.start), instant(interval.end)))
    return found


class _Framed:
    """Puts the frame before each row."""

    def __init__(self, frame: str, start: int, end: int) -> None:
        self._values = (frame, start, end)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for place, (value, column) in enumerate(zip(self._values, _OWN, strict=True)):
            array = pa.array([value] * len(batch))
            kind = pa.string() if place == 0 else pa.timestamp("us", "UTC")
            batch = batch.add_column(place, column.name, array.cast(kind))
        return batch


def _inner(options: BaseModel) -> top_earners.Options:
    assert isinstance(options, Options)
    return top_earners.Options(limit=options.limit, programs=options.programs)
