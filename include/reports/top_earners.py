"""Top earners: by whom most points were earned in the period, program by program.

Points of rows of type `earned` created in the period, less those of `earned_reversed` created in it: what each
customer earned on own accounts and cards. A card that nobody owns stands for itself. Only the period is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import glossary, programs
from include.reports.engine import owners, relation_rows
from include.reports.engine.joins import Batches, chosen, relation
from include.reports.engine.queried import Queried, asked_stream
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "top_earners"
TITLE = "Top earners"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(
    KIND,
    (
        "program_id",
        "program_name",
        "rank",
        "holder_kind",
        "holder_id",
        "customer_id",
        "customer_name",
        "email",
        "points_earned",
        "earning_count",
    ),
)
_OF_TRANSACTIONS = ("program_id", "customer_id", "card_id", "type", "points")
_TEXTS = [(name, pa.string()) for name in ("program_id", "customer_id", "card_id")]
_OF_ACCOUNTS = pa.schema([*_TEXTS, ("points", pa.int64()), ("count", pa.int64())])
_ACCOUNTS_QUERY = """
SELECT program_id, nullif(card_id, '') AS card_id,
       CASE WHEN nullif(card_id, '') IS NULL THEN customer_id END AS customer_id,
       sum(points) AS points, count(*) FILTER (type = 'earned') AS count
FROM transactions
WHERE type IN ('earned', 'earned_reversed') AND ($programs IS NULL OR list_contains($programs, program_id))
GROUP BY ALL
"""
_RANKED = glossary.columns(
    KIND, ("program_id", "rank", "holder_kind", "holder_id", "customer_id", "points_earned", "earning_count")
)
_QUERY = """
WITH summed AS (
    SELECT program_id, customer_id, CASE WHEN customer_id IS NULL THEN card_id END AS card_id,
           sum(points) AS points, sum(count) AS count
    FROM accounts GROUP BY ALL HAVING sum(points) > 0
), ranked AS (
    SELECT *, rank() OVER (PARTITION BY program_id ORDER BY points DESC) AS rank,
           row_number() OVER (PARTITION BY program_id ORDER BY points DESC, customer_id, card_id) AS place
    FROM summed
)
SELECT program_id, rank, CASE WHEN customer_id IS NULL THEN 'card' ELSE 'customer' END AS holder_kind,
       coalesce(customer_id, card_id) AS holder_id, customer_id,
       points AS points_earned, count AS earning_count
FROM ranked WHERE place <= $limit ORDER BY program_id, place
"""


class Options(BaseModel):
    """`limit` is how many rows a program has at most; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=100, ge=1, le=1_000_000)
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        **owners.NEEDS,
        "programs": programs.COLUMNS,
        "transactions": (*_OF_TRANSACTIONS, "created_at", "recorded_at"),
    }


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def spans(asked: Asked) -> dict[str, relation_rows.Span]:
    """Return the moments outside which no transaction is read (`models.spans`)."""
    asked = replace(asked, keep=None)
    return {"transactions": relation_rows.span(asked, RELATIONS["transactions"])}


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the top earners of the period; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _TopEarners(replace(asked, keep=None), asked.options, snapshot, scratch)


class _TopEarners(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._options = options
        self._snapshot = snapshot

    def finish(self) -> Iterator[pa.RecordBatch]:
        accounts = {"accounts": self.stored(self._accounts(), _OF_ACCOUNTS)}
        rows = self.query(_QUERY, accounts, arrow_schema(_RANKED), limit=self._options.limit)
        rows = owners.with_names(rows, self._snapshot, self.scratch)
        renamed = {"program_id": "program_id", "name": "program_name"}
        rows = self.joined(rows, relation(self._snapshot, "programs", "program_id", renamed))
        return chosen(rows, arrow_schema(_COLUMNS))

    def _accounts(self) -> Batches:
        """Yield what was earned on each account, cards under their owners; null where nobody owns one."""
        rows = {"transactions": asked_stream(self.asked, self._snapshot, "transactions", _OF_TRANSACTIONS)}
        chosen_programs = list(self._options.programs) or None
        accounts = self.query(_ACCOUNTS_QUERY, rows, _OF_ACCOUNTS, programs=chosen_programs)
        return chosen(owners.with_owners(accounts, self._snapshot, self.scratch), _OF_ACCOUNTS)
