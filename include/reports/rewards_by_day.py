"""Rewards by day: what was redeemed for which reward on each day of the period.

The rows of the redemption report (docs/ledger.md section 7), counted: points add up to what liability shows as
redeemed in the same period. What was given back of them until T stands on the day of the redemption.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.ledger.columns import Column
from include.ledger.rows import Ints
from include.reports import daily, glossary, programs, redemption
from include.reports.engine.derived import Derived, Rows
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "rewards_by_day"
TITLE = "Redemptions by reward and day"
PERIOD: Period = "required"

_FIGURES = ("redemptions", "points_cost", "points_refunded")
_COLUMNS = glossary.columns(KIND, ("program_id", "date", "reward_id", "reward_name", *_FIGURES))
_Key = tuple[str, int, str | None, str | None]

Options = programs.Options


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    return redemption.needs(redemption.Options(programs=options.programs))


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the days of the period on which something was redeemed; raise BadInput as redemption does."""
    assert isinstance(asked.options, Options)
    options = redemption.Options(programs=asked.options.programs)
    inner = Asked(asked.start, asked.end, asked.as_of, asked.known_at, options, asked.timezone)
    days = daily.period_days(asked, snapshot)

    def made(rows: Rows) -> Iterator[pa.RecordBatch]:
        sums: defaultdict[_Key, Ints] = defaultdict(lambda: np.zeros(len(_FIGURES), np.int64))
        for batch in rows:
            _count(batch, days.ends, sums)
        lines = [
            (program, days.days[day], reward, name, *figures.tolist())
            for (program, day, reward, name), figures in sorted(sums.items(), key=_order)
        ]
        names = [column.name for column in _COLUMNS]
        rows_made = [dict(zip(names, line, strict=True)) for line in lines]
        yield pa.RecordBatch.from_pylist(rows_made, schema=arrow_schema(_COLUMNS))

    return Derived(redemption.report(inner, snapshot, scratch), made)


def _count(batch: pa.RecordBatch, ends: Ints, sums: defaultdict[_Key, Ints]) -> None:
    day = np.searchsorted(ends, batch.column("redeemed_at").cast(pa.int64()).to_numpy(), side="right")
    table = pa.table({
        **{name: batch.column(name) for name in ("program_id", "reward_id", "reward_name", *_FIGURES[1:])},
        "day": pa.array(day),
    })  # fmt: skip
    keys = ("program_id", "day", "reward_id", "reward_name")
    found = table.group_by(list(keys), use_threads=False).aggregate(
        [([], "count_all"), *((name, "sum") for name in _FIGURES[1:])]
    )
    for row in found.to_pylist():
        key = tuple(row[name] for name in keys)
        sums[key] += [row["count_all"], *(row[f"{name}_sum"] for name in _FIGURES[1:])]


def _order(item: tuple[_Key, Ints]) -> tuple[bytes, int, bytes]:
    program, day, reward, _ = item[0]
    return program.encode(), day, (reward or "").encode()
