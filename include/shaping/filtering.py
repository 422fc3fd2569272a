"""Which rows of a batch a filter keeps, and in which range a field of the kept rows lies.

Every condition is decided for each row alone and is true or false, never unknown: a null fulfils `is_unknown`
and the negative operators, and nothing else. Nothing is parsed out of values, and no statement is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc

from include.definitions.fields import column_of
from include.definitions.filters import Filter, plain
from include.definitions.operators import OPERATORS, TEXTS, Operator
from include.definitions.segments import Interval
from include.definitions.values import Raw, Value, typed
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping import paths, properties
from include.shaping.ranges import EVERYTHING, LEAST, MOST, Clock, Ranges, ranges, within

Mask = Callable[[pa.RecordBatch], pa.BooleanArray]
_ArrayMask = Callable[[pa.Array], pa.BooleanArray]
_NOTHING = (1, 0)


def mask(
    filter_: Filter, columns: Sequence[Column], *, at: datetime, zone: str, start: datetime | None = None
) -> Mask:
    """Return the function that says which rows of a batch are kept. `filters.problems` comes first.

    at: T, which decides what today is in `zone`; start: where the run's interval begins, for the segments that
    ask. Batches have their columns by name, dictionary-encoded or not.
    """
    written = plain(filter_, columns, Interval(start, at))
    return _mask(written, columns, Clock.at(at, zone))


def bounds(
    filter_: Filter,
    field: str,
    columns: Sequence[Column],
    *,
    at: datetime,
    zone: str,
    start: datetime | None = None,
) -> tuple[int | None, int | None]:
    """Return the least and the largest value of `field` that a kept row can have, both included.

    None: no bound. Values are as Arrow holds them: microseconds, hundredths of a point, days since 1970, units of
    the last place of money and rates. Low above high: no row is kept. Rows with null in `field` are kept only
    where there is no bound on either side.
    """
    written = plain(filter_, columns, Interval(start, at))
    low, high = _bounds(written, field, columns, Clock.at(at, zone))
    return None if low == LEAST else low, None if high == MOST else high


def _mask(filter_: Filter, columns: Sequence[Column], clock: Clock) -> Mask:
    if filter_.field is not None:
        tests = [_test(filter_.field, operator, values, columns, clock) for operator, values in filter_.tests]
        return partial(_joined, tests, pc.and_)
    parts = [_mask(part, columns, clock) for part in filter_.all or filter_.any or ()]
    return partial(_joined, parts, pc.and_ if filter_.all is not None else pc.or_)


def _joined(
    masks: Sequence[Mask], join: Callable[[pa.Array, pa.Array], pa.Array], batch: pa.RecordBatch
) -> pa.BooleanArray:
    return reduce(join, (one(batch) for one in masks))


def _test(
    field: str, operator: Operator, values: Sequence[Raw], columns: Sequence[Column], clock: Clock
) -> Mask:
    column = column_of(columns, field)
    assert column is not None, "problems() comes first"
    positive = OPERATORS[operator.opposite] if operator.opposite else operator
    wanted = [] if operator.takes == "nothing" else [typed(value, operator, column.type) for value in values]
    if column.type is FieldType.JSON:
        holds = properties.predicate(positive, wanted, clock)

        def found(batch: pa.RecordBatch) -> pa.BooleanArray:
            return paths.each(batch, columns, field, holds, pa.bool_()).fill_null(
                positive.word == "is_unknown"
            )
    else:
        decide = _decide(positive, wanted, column.type, clock)

        def found(batch: pa.RecordBatch) -> pa.BooleanArray:
            return _coded(decide, batch.column(field))

    return (lambda batch: pc.invert(found(batch))) if operator.opposite else found


def _coded(decide: _ArrayMask, array: pa.Array) -> pa.BooleanArray:
    """Decide each value of a dictionary once; a null may be an index or a value of it."""
    if not pa.types.is_dictionary(array.type):
        return decide(array)
    nothing = decide(pa.nulls(1, array.dictionary.type))[0]
    return pc.fill_null(decide(array.dictionary).take(array.indices), nothing)


def _decide(operator: Operator, values: list[Value], kind: FieldType, clock: Clock) -> _ArrayMask:
    if operator.takes == "nothing":
        return lambda array: array.is_valid() if operator.word == "has_value" else array.is_null()
    if kind in TEXTS and operator.takes == "texts":
        return partial(_matches, operator.word, [str(value) for value in values])
    if kind in TEXTS or kind is FieldType.BOOLEAN:
        wanted = pa.array(values, pa.bool_() if kind is FieldType.BOOLEAN else pa.string())
        return partial(pc.is_in, value_set=wanted)
    found = ranges(operator, values, kind, clock)
    return partial(within, kind=kind, found=found)


def _matches(word: str, texts: Sequence[str], array: pa.Array) -> pa.BooleanArray:
    match = {"contains": pc.match_substring, "starts_with": pc.starts_with, "ends_with": pc.ends_with}[word]
    return reduce(pc.or_, (match(array, text) for text in texts)).fill_null(False)


def _bounds(filter_: Filter, field: str, columns: Sequence[Column], clock: Clock) -> tuple[int, int]:
    if filter_.field is not None:
        parts = [
            _range(filter_.field, field, operator, values, columns, clock)
            for operator, values in filter_.tests
        ]
        return _both(parts)
    inner = [_bounds(part, field, columns, clock) for part in filter_.all or filter_.any or ()]
    return _both(inner) if filter_.all is not None else _hull(inner)


def _range(
    field: str,
    asked: str,
    operator: Operator,
    values: Sequence[Raw],
    columns: Sequence[Column],
    clock: Clock,
) -> tuple[int, int]:
    column = column_of(columns, field)
    assert column is not None, "problems() comes first"
    free = field != asked or operator.opposite or operator.takes == "nothing"
    if free or column.type in TEXTS | {FieldType.JSON, FieldType.BOOLEAN}:
        return EVERYTHING[0]
    found: Ranges = ranges(
        operator, [typed(value, operator, column.type) for value in values], column.type, clock
    )
    return _hull(found)


def _both(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return max(low for low, _ in parts), min(high for _, high in parts)


def _hull(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    some = [part for part in parts if part[0] <= part[1]]
    return (min(low for low, _ in some), max(high for _, high in some)) if some else _NOTHING
