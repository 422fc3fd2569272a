"""The rows of one relation that a run asks for, read from no more of the snapshot's files than hold them.

Rows are those that came about (`Relation.moment`) in the period, or before T where no period is asked;
transactions, of which a ledger can tell it, also only those known by K. Row groups whose statistics lie outside
what period, T and filter allow are not read; `span` says the same of whole files, for who fetches them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.definitions.fields import column_of
from include.definitions.filters import fields_of
from include.ledger.ageing import instant, moment
from include.ledger.catalog import ARROW_TYPES, PLACES, FieldType, Relation
from include.ledger.columns import Column
from include.reports import glossary
from include.reports.engine import files
from include.reports.model import Asked, LocalSnapshot
from include.shaping.filtering import bounds

_READ_ROWS = 32_768
_UTC = ZoneInfo("UTC")
_EPOCH_DAY = date(1970, 1, 1)
_RECORDED_AT = "recorded_at"


class Span(NamedTuple):
    """Instants from `low` on, and before `high`, in us; None: no bound."""

    low: int | None = None
    high: int | None = None


def span(asked: Asked, relation: Relation) -> Span:
    """Return the moments outside which no row of the relation can be asked for, by period, T and filter."""
    if relation.moment is None:
        return Span()
    least, greatest = _limits(asked, relation).get(relation.moment, (None, None))
    low = max((one for one in (asked.start, least) if one is not None), default=None)
    high = asked.as_of if greatest is None else min(asked.as_of, greatest + 1)
    everything = asked.start is None and least is None and greatest is None
    # Rows without a moment belong to the state at T, wherever they stand.
    return Span() if everything and relation.field(relation.moment).may_be_null else Span(low, high)


def rows(
    asked: Asked,
    snapshot: LocalSnapshot,
    relation: Relation,
    columns: Sequence[str],
    *,
    dictionary: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in file order with `columns`, which a ledger may lack (then nulls), in catalog types.

    Where no period is asked, rows without a moment are asked for too. Columns in `dictionary` may come encoded so.
    """
    tests = [
        name for name in (relation.moment, _RECORDED_AT) if name in relation.names and name not in columns
    ]
    read = files.batches(
        relation.name,
        snapshot.files.get(relation.name, ()),
        [*columns, *filter(None, tests)],
        batch_rows=_READ_ROWS,
        dictionary=dictionary,
        groups=row_groups(asked, relation),
    )
    for batch in read:
        kept = _kept(batch, asked, relation)
        if len(kept):
            yield kept.select(list(columns))


def row_groups(asked: Asked, relation: Relation) -> Callable[[pq.FileMetaData], list[int]]:
    """Return the test of which row groups of a file can hold rows that are asked for, by their statistics."""
    limits = _limits(asked, relation)
    if relation.moment is not None:
        low, high = span(asked, relation)
        limits[relation.moment] = (low, None if high is None else high - 1)

    def chosen(metadata: pq.FileMetaData) -> list[int]:
        places = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
        known = [
            (places[name], relation.field(name).type, limit)
            for name, limit in limits.items()
            if name in places
        ]
        groups = range(metadata.num_row_groups)
        return [group for group in groups if _may_hold(metadata.row_group(group), known)]

    return chosen


def _may_hold(
    group: pq.RowGroupMetaData, limits: Sequence[tuple[int, FieldType, tuple[int | None, int | None]]]
) -> bool:
    for place, kind, (low, high) in limits:
        found = group.column(place).statistics
        if found is None or not found.has_min_max:
            continue
        least, greatest = _units(found.min, kind), _units(found.max, kind)
        if low is not None and greatest is not None and greatest < low:
            return False
        if high is not None and least is not None and least > high:
            return False
    return True


def _kept(batch: pa.RecordBatch, asked: Asked, relation: Relation) -> pa.RecordBatch:
    tests = []
    if relation.moment is not None:
        came_about = batch.column(relation.moment)
        before = pc.less(came_about, _instant(asked.as_of))
        if asked.start is None:
            tests.append(pc.fill_null(before, True))
        else:
            tests += [before, pc.greater_equal(came_about, _instant(asked.start))]
        if _RECORDED_AT in batch.schema.names:
            known = pc.coalesce(batch.column(_RECORDED_AT), came_about)
            tests.append(pc.less_equal(known, _instant(asked.known_at)))
    if not tests:
        return batch
    mask = reduce(pc.and_, tests)
    return batch if mask.null_count == 0 and pc.all(mask).as_py() else batch.filter(mask)


def columns_of(relation: Relation) -> tuple[Column, ...]:
    """Return the fields of a relation as columns."""
    return tuple(Column(field.name, field.type, field.pii) for field in relation.fields)


def _limits(asked: Asked, relation: Relation) -> dict[str, tuple[int | None, int | None]]:
    """Return the least and the greatest value of each field that the filter lets through, both included."""
    if asked.keep is None:
        return {}
    own = columns_of(relation)
    # A model may have more columns than its relation; where they lie is not known here.
    others = [name for name in fields_of(asked.keep, own) if column_of(own, name) is None]
    columns = (*own, *glossary.columns(relation.name, others))
    start = None if asked.start is None else moment(asked.start, _UTC)
    return {
        name: bounds(
            asked.keep, name, columns, at=moment(asked.as_of, _UTC), zone=asked.timezone, start=start
        )
        for name in fields_of(asked.keep, columns)
        if name in relation.names
    }


def _units(value: Any, kind: FieldType) -> int | None:
    """Return a value of a file's statistics as `bounds` counts it; None where it has no such count."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return (value - _EPOCH_DAY).days
    if isinstance(value, Decimal):
        return int(value.scaleb(PLACES[kind]))
    return value if isinstance(value, int) else None


def _instant(moment: int) -> pa.Scalar:
    return pa.scalar(moment, pa.int64()).cast(ARROW_TYPES[FieldType.INSTANT])
