"""Earned and redeemed: points given and taken on each day of the period, by people or by rules.

Given: rows of type `earned`, and adjustments upwards; taken: `redeemed`, and adjustments downwards. What is taken
back (`earned_reversed`, `redemption_refunded`) is not subtracted. A row is by people when it names no rule, and
names who made it by hand (`admin_user`) or came through `web-ui` or `import`; every other is by rules. Only the
period is read, and nothing is booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import daily, glossary, programs
from include.reports.engine import relation_rows
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "earned_redeemed"
TITLE = "Earned and redeemed by day"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(
    KIND,
    ("program_id", "date", "earned_manual", "earned_rules", "redeemed_manual", "redeemed_rules"),
)
_OF_TRANSACTIONS = ("program_id", "type", "points", "created_at", "source", "admin_user", "rule_name")
_BY_PEOPLE = pa.array(["web-ui", "import"])

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {"transactions": (*_OF_TRANSACTIONS, "recorded_at"), "programs": programs.COLUMNS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def spans(asked: Asked) -> dict[str, relation_rows.Span]:
    """Return the moments outside which no transaction is read (`models.spans`)."""
    return {"transactions": relation_rows.span(replace(asked, keep=None), RELATIONS["transactions"])}


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the days of the period; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _EarnedRedeemed(asked, programs.ids(snapshot, asked.options.programs), snapshot)


class _EarnedRedeemed:
    cuts: tuple[Cut, ...] = ()
    kept: tuple[Kept, ...] = ()

    def __init__(self, asked: Asked, chosen: list[str], snapshot: LocalSnapshot) -> None:
        self._asked = replace(asked, keep=None)
        self._programs = chosen
        self._snapshot = snapshot

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        asked = self._asked
        horizon = daily.period_days(asked, self._snapshot)
        figures = np.zeros((4, len(self._programs), len(horizon.days)), np.int64)
        rows = relation_rows.rows(asked, self._snapshot, RELATIONS["transactions"], _OF_TRANSACTIONS)
        for batch in rows:
            place = pc.index_in(batch.column("program_id"), value_set=pa.array(self._programs, pa.string()))
            program = place.fill_null(-1).to_numpy()
            created = batch.column("created_at").cast(pa.int64()).to_numpy()
            day = np.searchsorted(horizon.ends, created, side="right")
            points = batch.column("points").to_numpy()
            manual = _is_manual(batch)
            for taken, kind in enumerate(("earned", "redeemed")):
                counts = (program >= 0) & _counts(batch, kind, points)
                for by_rules, who in enumerate((manual, ~manual)):
                    some = counts & who
                    figure = figures[2 * taken + by_rules]
                    np.add.at(figure, (program[some], day[some]), np.abs(points[some]))
        yield from daily.table(self._programs, horizon, figures, _COLUMNS)


def _counts(batch: pa.RecordBatch, kind: str, points: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows gave points (`earned`), or took them (`redeemed`)."""
    adjusted = _mask(pc.equal(batch.column("type"), "adjusted"))
    adjusted &= points > 0 if kind == "earned" else points < 0
    return _mask(pc.equal(batch.column("type"), kind)) | adjusted


def _is_manual(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    by_hand = _says(batch, "admin_user") | _mask(pc.is_in(batch.column("source"), value_set=_BY_PEOPLE))
    return by_hand & ~_says(batch, "rule_name")


def _says(batch: pa.RecordBatch, name: str) -> NDArray[np.bool_]:
    return _mask(pc.greater(pc.binary_length(batch.column(name)), 0))


def _mask(values: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
