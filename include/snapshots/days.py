"""Rows by day of recording, and the control totals by which a day is known to be as it was.

A row's day is the UTC day on which the ledger came to know it: `recorded_at`, else the relation's moment
(docs/ledger.md section 1, K). The source database computes the totals (`postgres_days`, `sql_days`); the same rows,
read, are counted here. Days are counted from 1970-01-01; rows that say no instant are of `NO_DAY`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.catalog import BOOKING_COLUMNS, Relation
from include.state.identity import code_of

DAY = timedelta(days=1)
DAY_MICROSECONDS = 86_400_000_000
NO_DAY = -(1 << 31)
FOREVER = 2_932_896  # the last day of the year 9999
MODULUS = 1 << 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Instants of other days cannot be written as dates.
_FIRST_DAY, _LAST_DAY = (datetime.min.replace(tzinfo=UTC) - EPOCH).days, FOREVER
# What booking, and all that is made of it, reads of a transaction: an append-only row changes in nothing else.
_PROVEN = {"transactions": BOOKING_COLUMNS}


class DayTotal(NamedTuple):
    """How many rows, the sum of their points in hundredths, and the sum of the hashes of their content modulo 2^64."""

    rows: int
    points: int
    content: int


class DayTotals(NamedTuple):
    """The totals of all days of a relation, as its database computes them; it holds what `formula` names.

    moments: the least and the greatest moment of a day's rows, in microseconds; a day without one is left out.
    """

    formula: str
    days: Mapping[int, DayTotal]
    moments: Mapping[int, tuple[int, int]]


class Days(NamedTuple):
    """Some days to read: ranges of days, half-open; moments, where they bound the rows; no_day: those without one."""

    ranges: tuple[tuple[int, int], ...]
    moments: tuple[int, int] | None
    no_day: bool


def told_by(relation: Relation, columns: Collection[str]) -> tuple[str, ...]:
    """Return the fields of which the first that is not null tells a row's day; none where `columns` cannot tell it."""
    if relation.moment is None or relation.moment not in columns:
        return ()
    own = ("recorded_at",) if "recorded_at" in relation.names and "recorded_at" in columns else ()
    return (*own, relation.moment)


def proven(relation: Relation, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose content the totals prove: of transactions what booking reads, else all that is read."""
    some = _PROVEN.get(relation.name)
    return tuple(name for name in columns if some is None or name in some)


def formula(*parts: object) -> str:
    """Return the name of a way to compute totals: whatever differs in it, or in our code, makes other totals."""
    text = json.dumps([*parts, code_of("ledger", "snapshots")], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def row_days(relation: Relation, rows: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Return the day of each row: int64[n]."""
    names = told_by(relation, rows.schema.names)
    known = [rows.column(name).cast(pa.int64()) for name in names]
    instants = pc.coalesce(*known) if known[0].null_count else known[0]
    missing = instants.is_null().to_numpy(zero_copy_only=False) if instants.null_count else None
    days = np.asarray(instants.fill_null(0).to_numpy(), np.int64) // DAY_MICROSECONDS
    if missing is not None:
        days[missing] = NO_DAY
    return days


def some(days: Iterable[int], moments: Mapping[int, tuple[int, int]]) -> Days:
    """Return what to read for these days; neighbours are one range."""
    wanted = sorted(set(days))
    ranges: list[tuple[int, int]] = []
    for day in (day for day in wanted if day != NO_DAY):
        if ranges and ranges[-1][1] == day:
            ranges[-1] = ranges[-1][0], day + 1
        else:
            ranges.append((day, day + 1))
    bounds = [moments[day] for day in wanted if day in moments]
    bounded = len(bounds) == len(wanted) and bool(bounds)
    hull = (min(low for low, _ in bounds), max(high for _, high in bounds)) if bounded else None
    return Days(tuple(ranges), hull, NO_DAY in wanted)


def covered(days: Days, day: int) -> bool:
    """Say whether a day is one of them."""
    return days.no_day if day == NO_DAY else any(low <= day < high for low, high in days.ranges)


def can_be_written(days: Iterable[int]) -> bool:
    """Say whether every day can be written as a date."""
    return all(day == NO_DAY or _FIRST_DAY <= day <= _LAST_DAY for day in days)


def midnight(day: int) -> datetime:
    """Return the instant at which a day begins."""
    return EPOCH + day * DAY


def instant(microseconds: int) -> datetime:
    """Return an instant from its microseconds."""
    return EPOCH + timedelta(microseconds=microseconds)
