"""What a report is: the instants it asks at, the files it reads, and the protocol that every report follows.

A report module is one file of this package; siblings keep this order of parts:
`KIND`, `TITLE`, `PERIOD`, `Options`, `needs`, `columns`, `report`. `render.render` is what runs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel

from include.errors import BadInput, Problem
from include.ledger.catalog import ARROW_TYPES
from include.ledger.columns import Column

if TYPE_CHECKING:
    from include.definitions.filters import Filter
    from include.reports.engine.kept import Kept
    from include.reports.engine.replay import BookedPartition

Period = Literal["none", "required", "optional"]
Needs = dict[str, tuple[str, ...]]

# Rows leave in slices of this many: text copied for one slice stays small (docs/architecture.md, Engine).
SLICE_ROWS = 15_000


@dataclass(frozen=True)
class Cut:
    """A state that is asked for: rows created before `as_of` and recorded by `known_at`, us since the epoch.

    Expiries and activations are replayed up to `as_of`, or up to `until` where that is set: a projection, the
    same rules without new rows (docs/ledger.md section 4). `allocations` asks booking to keep them; it does not
    tell cuts apart.
    """

    as_of: int
    known_at: int
    until: int | None = None
    allocations: bool = field(default=False, compare=False)

    @property
    def book_at(self) -> int:
        """Return the instant up to which expiries and activations happen."""
        return self.as_of if self.until is None else self.until


@dataclass(frozen=True)
class Asked:
    """What one run asks of a report. `as_of` equals `end` when a period is asked; instants are us.

    wanted: the columns that anybody reads; others may hold nulls only (None: all are read). keep: rows that do
    not fulfil it may be left out, to read less; whoever asks filters again.
    """

    start: int | None
    end: int | None
    as_of: int
    known_at: int
    options: BaseModel
    timezone: str
    wanted: frozenset[str] | None = None
    keep: Filter | None = None

    def wants(self, *columns: str) -> bool:
        """Return whether anybody reads one of these columns."""
        return self.wanted is None or not self.wanted.isdisjoint(columns)

    @property
    def cut(self) -> Cut:
        """Return the cut at `as_of`."""
        return Cut(self.as_of, self.known_at)


MISSING = frozenset({"missing_relation", "missing_column"})
"""The codes of problems that say what the ledger lacks."""


@dataclass(frozen=True)
class LocalSnapshot:
    """A snapshot's files on this machine, by relation, and the columns that the ledger really has."""

    files: Mapping[str, Sequence[Path]]
    columns: Mapping[str, tuple[str, ...]]

    def has(self, relation: str, *columns: str) -> bool:
        """Return whether the ledger has the relation, with all these columns."""
        return relation in self.columns and set(columns) <= set(self.columns[relation])

    def require(self, report: str, needs: Mapping[str, Sequence[str]]) -> None:
        """Raise one BadInput that names every relation and column which `report` cannot do without."""
        problems = [
            Problem(
                f"report {report}",
                relation if relation not in self.columns else f"{relation}.{column}",
                "the ledger does not have it, and this report needs it",
                "missing_relation" if relation not in self.columns else "missing_column",
            )
            for relation, columns in needs.items()
            for column in (columns if relation in self.columns else ("",))
            if not self.has(relation, *((column,) if column else ()))
        ]
        if problems:
            raise BadInput(problems)


class Report(Protocol):
    """One asked report while it is being rendered.

    `on_partition` is called for every partition in order of account hash, and within a partition for every cut
    in the order of `cuts`; what it returns is written in that order. `finish` gives what can only be known at
    the end. Batches have the names and physical types of the module's `columns(options)`; a column may be a
    dictionary of that type, which spares copies of what stands in many rows.
    """

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Return the states that the report needs; one pass serves all reports that ask for the same.

        None: the report needs no booking, and `finish` gives all of its rows.
        """
        ...

    @property
    def kept(self) -> Sequence[Kept]:
        """Return all that `on_partition` changes, in an order that every report of this module has.

        Partitions may be seen by several processes, each of which gives what it kept.
        """
        ...

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        """Take one partition as booked at `cuts[cut_index]`; return the rows that can be written already."""
        ...

    def finish(self) -> Iterable[pa.RecordBatch]:
        """Return the rest of the rows."""
        ...


class ReportModule(Protocol):
    """What a report's file declares.

    One may also declare `of_accounts(options)`: whether each row is about one account, and rows leave in the order of
    accounts. Then its rows for all accounts are those for ranges of the account hash, one range after another, and
    the ranges can be reported on different machines.

    Two declarations let it begin from a checkpoint (`engine.checkpoint`). `of_figures(options)`: whether the figures of
    accounts are enough; its report then has `on_figures(accounts, first)`, which takes a batch of them
    (`engine.figures.COLUMNS`) in place of a partition; `first` is the place of the first one. `of_changes(asked)`: the
    instant (us) such that only accounts with rows or expiries from then on have rows in the report; None: all have.
    """

    KIND: str
    TITLE: str
    PERIOD: Period
    Options: type[BaseModel]

    def needs(self, options: Any) -> Needs:
        """Return the relations and columns that the report reads where the ledger has them."""
        ...

    def columns(self, options: Any) -> tuple[Column, ...]:
        """Return the output columns in order."""
        ...

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
        """Return the report; raise BadInput when the ledger lacks what it cannot do without."""
        ...


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of the batches that a report with these columns gives."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in columns])
