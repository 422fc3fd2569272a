"""Tier moves: how many customers went from which tier to which on each day of the period.

docs/ledger.md section 1: a tier holds from the change on, until the customer's next change. A customer who changes
twice in a day moves twice; a change to the tier that the customer has already is no move.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from include.ledger.columns import Column
from include.reports import daily, glossary, programs
from include.reports.engine.queried import Queried, Stream, stream
from include.reports.horizon import Horizon
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "tier_moves"
TITLE = "Moves between tiers by day"
PERIOD: Period = "required"

NEEDS: Needs = {
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id"),
    "tiers": ("program_id", "tier_id", "name", "rank"),
    "programs": programs.COLUMNS,
}
_COLUMNS = glossary.columns(KIND, ("program_id", "subledger_id", "date", "from_tier", "to_tier", "customers"))
_DAYS = pa.schema([("date", pa.date32()), ("begin", pa.int64()), ("finish", pa.int64())])
# Each move on its day; what was before the period has no day.
MOVED = """
WITH every_day AS MATERIALIZED (SELECT * FROM days), named AS MATERIALIZED (SELECT * FROM tiers), changed AS (
    SELECT program_id, coalesce(subledger_id, '') AS subledger_id, changed_at, tier_id AS to_tier,
           lag(tier_id) OVER (
               PARTITION BY program_id, coalesce(subledger_id, ''), customer_id ORDER BY changed_at
           ) AS from_tier
    FROM tier_changes
    WHERE changed_at < make_timestamptz($as_of::BIGINT)
      AND ($programs IS NULL OR list_contains($programs, program_id))
), counted AS (
    SELECT program_id, subledger_id, date, from_tier, to_tier, count(*) AS customers
    FROM changed LEFT JOIN every_day
      ON epoch_us(changed_at) >= every_day.begin AND epoch_us(changed_at) < every_day.finish
    WHERE from_tier IS DISTINCT FROM to_tier
    GROUP BY ALL
)
"""
_QUERY = f"""{MOVED}
SELECT counted.program_id, subledger_id, date, coalesce(old.name, from_tier) AS from_tier,
       coalesce(new.name, to_tier) AS to_tier, customers
FROM counted
LEFT JOIN named old ON old.program_id = counted.program_id AND old.tier_id = from_tier
LEFT JOIN named new ON new.program_id = counted.program_id AND new.tier_id = to_tier
WHERE date IS NOT NULL
ORDER BY counted.program_id, subledger_id, date, old.rank, from_tier, new.rank, to_tier
"""

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return NEEDS


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the moves of the period; raise BadInput for an unknown program, or without `tier_changes`."""
    assert isinstance(asked.options, Options)
    snapshot.require(KIND, {"tier_changes": ()})
    programs.check(snapshot, KIND, asked.options.programs)
    return _Moves(asked, asked.options, snapshot, scratch)


def streams(snapshot: LocalSnapshot, days: Horizon, start: int | None) -> dict[str, Stream]:
    """Return what `MOVED` reads; `start` is where the first of the days begins (us), None: from the beginning."""
    ends = days.ends.tolist()
    begins = [-(2**62) if start is None else start, *ends[:-1]]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(days.days, pa.date32()), pa.array(begins), pa.array(ends)], schema=_DAYS
    )
    read = {name: stream(snapshot, name, NEEDS[name]) for name in ("tier_changes", "tiers")}
    return {**read, "days": Stream(_DAYS, lambda: iter([batch]))}


class _Moves(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._programs = list(options.programs) or None
        self._snapshot = snapshot

    def finish(self) -> Iterator[pa.RecordBatch]:
        days = daily.period_days(self.asked, self._snapshot)
        read = streams(self._snapshot, days, self.asked.start)
        return self.query(_QUERY, read, arrow_schema(_COLUMNS), programs=self._programs)
