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
from include.reports import glossary, owners, programs, relation_rows
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.queried import Queried, asked_stream, stream

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
_NEEDS: Needs = {
    "programs": ("program_id", "name"),
    "cards": owners.NEEDS["cards"],
    "customers": ("customer_id", "name", "email"),
}
_OF_TRANSACTIONS = ("program_id", "customer_id", "card_id", "type", "points")
_QUERY = """
WITH of_accounts AS (
    SELECT program_id, nullif(card_id, '') AS card_id,
           CASE WHEN nullif(card_id, '') IS NULL THEN customer_id END AS customer_id,
           sum(points) AS points, count(*) FILTER (type = 'earned') AS count
    FROM transactions
    WHERE type IN ('earned', 'earned_reversed')
      AND ($programs IS NULL OR list_contains($programs, program_id))
    GROUP BY ALL
), owned AS (
    SELECT of_accounts.* REPLACE (nullif(coalesce(of_accounts.customer_id, card.customer_id), '') AS customer_id)
    FROM of_accounts LEFT JOIN cards card ON card.card_id = of_accounts.card_id
), summed AS (
    SELECT program_id, customer_id, CASE WHEN customer_id IS NULL THEN card_id END AS card_id,
           sum(points) AS points, sum(count) AS count
    FROM owned GROUP BY ALL HAVING sum(points) > 0
), ranked AS (
    SELECT *, rank() OVER (PARTITION BY program_id ORDER BY points DESC) AS rank,
           row_number() OVER (PARTITION BY program_id ORDER BY points DESC, customer_id, card_id) AS place
    FROM summed
)
SELECT ranked.program_id, program.name AS program_name, ranked.rank,
       CASE WHEN ranked.customer_id IS NULL THEN 'card' ELSE 'customer' END AS holder_kind,
       coalesce(ranked.customer_id, ranked.card_id) AS holder_id, ranked.customer_id,
       customer.name AS customer_name, customer.email,
       ranked.points AS points_earned, ranked.count AS earning_count
FROM ranked
LEFT JOIN programs program ON program.program_id = ranked.program_id
LEFT JOIN customers customer ON customer.customer_id = ranked.customer_id
WHERE ranked.place <= $limit
ORDER BY ranked.program_id, ranked.place
"""


class Options(BaseModel):
    """`limit` is how many rows a program has at most; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=100, ge=1, le=1_000_000)
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        **_NEEDS,
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
        self._streams = {name: stream(snapshot, name, needed) for name, needed in _NEEDS.items()}
        self._streams["transactions"] = asked_stream(asked, snapshot, "transactions", _OF_TRANSACTIONS)

    def finish(self) -> Iterator[pa.RecordBatch]:
        chosen = list(self._options.programs) or None
        return self.query(_QUERY, self._streams, programs=chosen, limit=self._options.limit)
