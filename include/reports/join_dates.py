"""Join dates: when each customer joined each program.

That is the first sign before T of the customer in the program: a transaction of the own accounts or cards, or a
tier. Where the ledger has one program, the registration counts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from include.ledger.columns import Column
from include.reports import glossary, programs
from include.reports.engine import owners
from include.reports.engine.joins import Batches, chosen
from include.reports.engine.queried import BEFORE, Queried, asked_stream, stream
from include.reports.engine.replay import INSTANT
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema
from include.reports.relation import filled

KIND = "join_dates"
TITLE = "Join dates"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(KIND, ("program_id", "program_external_id", "customer_id", "joined_at"))
_NEEDS: Needs = {
    "tier_changes": ("program_id", "customer_id", "changed_at"),
    "customers": ("customer_id", "registered_at"),
}
_OF_TRANSACTIONS = ("program_id", "customer_id", "card_id", "created_at")
_SEEN = pa.schema([("program_id", pa.string()), ("customer_id", pa.string()), ("seen_at", INSTANT)])
_OF_ACCOUNTS = pa.schema([*_SEEN, ("card_id", pa.string())])
_ACCOUNTS_QUERY = """
SELECT program_id, CASE WHEN nullif(card_id, '') IS NULL THEN nullif(customer_id, '') END AS customer_id,
       nullif(card_id, '') AS card_id, min(created_at) AS seen_at
FROM transactions GROUP BY ALL
"""
_QUERY = f"""
SELECT program_id, customer_id, min(seen_at) AS joined_at
FROM (
    SELECT program_id, customer_id, seen_at FROM seen
    UNION ALL
    SELECT program_id, customer_id, changed_at FROM tier_changes
    WHERE changed_at < make_timestamptz($as_of::BIGINT)
    UNION ALL
    SELECT $one_program, customer_id, registered_at FROM customers
    WHERE $one_program IS NOT NULL AND registered_at IS NOT NULL AND {BEFORE.format("registered_at")}
)
WHERE nullif(customer_id, '') IS NOT NULL AND ($programs IS NULL OR list_contains($programs, program_id))
GROUP BY ALL ORDER BY program_id, customer_id
"""

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        **_NEEDS,
        "cards": owners.NEEDS["cards"],
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
        self._snapshot = snapshot

    def finish(self) -> Iterator[pa.RecordBatch]:
        numbers = programs.externals(self._snapshot)
        one_program = next(iter(numbers)) if len(numbers) == 1 else None
        streams = {name: stream(self._snapshot, name, needed) for name, needed in _NEEDS.items()}
        streams["seen"] = self.stored(self._seen(), _SEEN)
        schema = arrow_schema([column for column in _COLUMNS if column.name != "program_external_id"])
        values = {"programs": self._programs, "one_program": one_program}
        for batch in self.query(_QUERY, streams, schema, **values):
            found = programs.external(batch.column("program_id"), numbers)
            yield filled(batch.append_column("program_external_id", found), _COLUMNS)

    def _seen(self) -> Batches:
        """Yield the first row of each account, cards under their owners; null where nobody owns one."""
        rows = {"transactions": asked_stream(self.asked, self._snapshot, "transactions", _OF_TRANSACTIONS)}
        accounts = self.query(_ACCOUNTS_QUERY, rows, _OF_ACCOUNTS)
        return chosen(owners.with_owners(accounts, self._snapshot, self.scratch), _SEEN)
