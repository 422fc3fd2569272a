"""Tiers by day: how many customers have each tier at the end of each day of the period.

docs/ledger.md section 1: the last change before the day's end. The last day is what `customer_tiers` lists as of T,
and from day to day the moves of `tier_moves` lead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from include.ledger.columns import Column
from include.reports import daily, glossary, programs, tier_moves
from include.reports.engine.queried import Queried
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "tiers_by_day"
TITLE = "Tiers by day"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(KIND, ("program_id", "subledger_id", "date", "tier", "rank", "customers"))
_QUERY = f"""{tier_moves.MOVED}, step AS MATERIALIZED (
    SELECT program_id, subledger_id, date, tier_id, sum(customers) AS customers
    FROM (
        SELECT program_id, subledger_id, date, to_tier AS tier_id, customers FROM counted
        UNION ALL
        SELECT program_id, subledger_id, date, from_tier, -customers FROM counted
    )
    WHERE tier_id IS NOT NULL GROUP BY ALL
), every AS (
    SELECT held.*, date FROM (SELECT DISTINCT program_id, subledger_id, tier_id FROM step) held
    CROSS JOIN (SELECT date FROM every_day UNION ALL SELECT NULL)
), running AS (
    SELECT every.program_id, every.subledger_id, every.date, every.tier_id,
           sum(coalesce(step.customers, 0)) OVER (
               PARTITION BY every.program_id, every.subledger_id, every.tier_id ORDER BY every.date NULLS FIRST
           ) AS customers
    FROM every LEFT JOIN step
      ON step.program_id = every.program_id AND step.subledger_id = every.subledger_id
     AND step.tier_id = every.tier_id AND step.date IS NOT DISTINCT FROM every.date
)
SELECT running.program_id, subledger_id, date, coalesce(tier.name, running.tier_id) AS tier, tier.rank AS rank,
       customers::BIGINT AS customers
FROM running LEFT JOIN named tier
  ON tier.program_id = running.program_id AND tier.tier_id = running.tier_id
WHERE date IS NOT NULL
ORDER BY running.program_id, subledger_id, date, tier.rank, running.tier_id
"""

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return tier_moves.NEEDS


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the days of the period; raise BadInput for an unknown program, or without `tier_changes`."""
    assert isinstance(asked.options, Options)
    snapshot.require(KIND, {"tier_changes": ()})
    programs.check(snapshot, KIND, asked.options.programs)
    return _Tiers(asked, asked.options, snapshot, scratch)


class _Tiers(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._programs = list(options.programs) or None
        self._snapshot = snapshot

    def finish(self) -> Iterator[pa.RecordBatch]:
        days = daily.period_days(self.asked, self._snapshot)
        read = tier_moves.streams(self._snapshot, days, self.asked.start)
        return self.query(_QUERY, read, arrow_schema(_COLUMNS), programs=self._programs)
