"""A relation with columns that lookups add beside its own fields: one row each, in the order of the keys.

Lookups that nobody reads are not made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports.engine import joins, relation_rows
from include.reports.engine.joins import Batches
from include.reports.engine.queried import Queried
from include.reports.model import Asked, LocalSnapshot
from include.reports.relation import filled, in_key_order


@dataclass(frozen=True)
class Part:
    """Columns that one lookup gives; `reads` are those of the relation that it needs."""

    gives: Sequence[str]
    reads: Sequence[str]
    join: Callable[[Batches], Batches]


class Widened(Queried):
    """The report of a relation; models say what is added."""

    def __init__(
        self, asked: Asked, snapshot: LocalSnapshot, scratch: Path, columns: Sequence[Column], relation: str
    ) -> None:
        super().__init__(asked, scratch, columns)
        self.relation = RELATIONS[relation]
        self.snapshot = snapshot

    def parts(self) -> Sequence[Part]:
        """Return the lookups, in order: one may read what an earlier one gave."""
        raise NotImplementedError

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Return the relation's rows that are asked for, with what the lookups give."""
        parts = [part for part in self.parts() if self.asked.wants(*part.gives)]
        needed = {name for part in parts for name in part.reads}
        own = [
            column
            for column in relation_rows.columns_of(self.relation)
            if self.asked.wants(column.name) or column.name in needed
        ]
        # The filter may speak of columns that only lookups give.
        asked = replace(self.asked, keep=None)
        rows = in_key_order(asked, self.snapshot, self.relation, own, self.scratch, dictionaries=not parts)
        for part in parts:
            rows = part.join(rows)
        for batch in rows:
            yield filled(batch, self.columns)

    def named(self, relation: str, key: str, renamed: Mapping[str, str]) -> Part:
        """Return the lookup of a relation by a key that both have; `renamed`: the columns' names, by its own."""
        side = joins.relation(
            self.snapshot, relation, key, {key: key, **renamed}, first_by=next(iter(renamed))
        )
        return Part(tuple(renamed.values()), (key,), lambda rows: self.joined(rows, side))


def changed(rows: Batches, name: str, value: Callable[[pa.RecordBatch], pa.Array]) -> Batches:
    """Yield rows with a column set to what `value` gives for each batch, added where there is none."""
    for batch in rows:
        place = batch.schema.get_field_index(name)
        made = value(batch)
        yield batch.append_column(name, made) if place < 0 else batch.set_column(place, name, made)


def counted(rows: Batches, names: Sequence[str]) -> Batches:
    """Yield rows in which columns are 0, or false, where a lookup found nothing."""
    for batch in rows:
        filled_in = batch
        for name in names:
            place = batch.schema.get_field_index(name)
            column = batch.column(place)
            nothing = pa.scalar(0, pa.int8()).cast(column.type)
            filled_in = filled_in.set_column(place, name, pc.fill_null(column, nothing))
        yield filled_in
