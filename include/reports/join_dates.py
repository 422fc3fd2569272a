"""Join dates: when each customer joined each program.

That is the first sign before T of the customer in the program: a transaction of the own accounts or cards, or a
tier. Where the ledger has one program, the registration counts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.ledger.columns import Column
from include.reports import files, glossary, owners, programs
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.queried import BEFORE, Queried, asked_stream, stream

KIND = "join_dates"
TITLE = "Join dates"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(KIND, ("program_id", "program_external_id", "customer_id", "joined_at"))
_NEEDS: Needs = {
    "programs": ("program_id", "external_id"),
    "cards": owners.NEEDS["cards"],
    "tier_changes": ("program_id", "customer_id", "changed_at"),
    "customers": ("customer_id", "registered_at"),
}
_OF_TRANSACTIONS = ("program_id", "customer_id", "card_id", "created_at")
_QUERY = f"""
WITH first_rows AS (
    SELECT program_id, customer_id, nullif(card_id, '') AS card_id, min(created_at) AS at
    FROM transactions GROUP BY ALL
), all_programs AS MATERIALIZED (SELECT program_id, external_id FROM programs)
SELECT seen.program_id, program.external_id AS program_external_id, seen.customer_id, min(seen.at) AS joined_at
FROM (
    SELECT first_rows.program_id,
           CASE WHEN first_rows.card_id IS NULL THEN first_rows.customer_id ELSE owned.customer_id END AS customer_id,
           first_rows.at
    FROM first_rows LEFT JOIN cards owned ON owned.card_id = first_rows.card_id
    UNION ALL
    SELECT program_id, customer_id, min(changed_at) FROM tier_changes
    WHERE changed_at < make_timestamptz($as_of::BIGINT) GROUP BY ALL
    UNION ALL
    SELECT (SELECT min(program_id) FROM all_programs), customer_id, registered_at FROM customers
    WHERE $one_program AND registered_at IS NOT NULL AND {BEFORE.format("registered_at")}
) seen
LEFT JOIN all_programs program ON program.program_id = seen.program_id
WHERE nullif(seen.customer_id, '') IS NOT NULL
  AND ($programs IS NULL OR list_contains($programs, seen.program_id))
GROUP BY ALL ORDER BY seen.program_id, seen.customer_id
"""


class Options(BaseModel):
    """`programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        **_NEEDS,
        "programs": (*programs.COLUMNS, "external_id"),
        "transactions": (*_OF_TRANSACTIONS, "recorded_at"),
    }


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the join dates before `as_of`; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _JoinDates(asked, asked.options, snapshot, scratch)


class _JoinDates(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._programs = list(options.programs) or None
        self._one_program = files.row_count(snapshot.files.get("programs", ())) == 1
        self._streams = {name: stream(snapshot, name, needed) for name, needed in _NEEDS.items()}
        self._streams["transactions"] = asked_stream(asked, snapshot, "transactions", _OF_TRANSACTIONS)

    def finish(self) -> Iterator[pa.RecordBatch]:
        return self.query(_QUERY, self._streams, programs=self._programs, one_program=self._one_program)
