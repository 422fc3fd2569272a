"""Transactions: every row as the ledger has it, with the number that other systems know its program by.

Rows are those known by K, of the period or before T. Neither balances nor expiries: `history` has these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import glossary, programs
from include.reports.engine import relation_rows
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report
from include.reports.relation import NoOptions, filled, in_key_order

KIND = "transactions"
TITLE = "Transactions"
PERIOD: Period = "optional"
Options = NoOptions

_RELATION = RELATIONS[KIND]
_EXTERNAL = "program_external_id"
_COLUMNS = glossary.columns(KIND, (*_RELATION.names, _EXTERNAL))


def needs(options: NoOptions) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {KIND: _RELATION.names, "programs": ("program_id", "external_id")}


def columns(options: NoOptions) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def spans(asked: Asked) -> dict[str, relation_rows.Span]:
    """Return the moments outside which no transaction is read (`models.spans`)."""
    return {KIND: relation_rows.span(asked, _RELATION)}


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the rows of the period, or before `as_of`, in the order of their ids."""
    return _Transactions(asked, snapshot, scratch)


class _Transactions:
    def __init__(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = ()
        self.kept: tuple[Kept, ...] = ()
        self._asked = asked
        self._snapshot = snapshot
        self._scratch = scratch

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        asked, numbers = self._asked, None
        own = relation_rows.columns_of(_RELATION)
        wanted = [column for column in own if asked.wants(column.name)]
        if asked.wants(_EXTERNAL):
            numbers = programs.externals(self._snapshot)
            wanted = [column for column in own if asked.wants(column.name) or column.name == "program_id"]
        for batch in in_key_order(asked, self._snapshot, _RELATION, wanted, self._scratch):
            if numbers is None:
                yield filled(batch, _COLUMNS)
            else:
                found = programs.external(batch.column("program_id"), numbers)
                yield filled(batch.append_column(_EXTERNAL, found), _COLUMNS)
