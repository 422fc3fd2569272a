"""What a filter keeps is what plain Python keeps: every operator, every type, nulls, zones, and any tree of them."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.definitions.filters import Filter, problems
from include.definitions.operators import OPERATORS
from include.errors import LedgerViolation
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping.filtering import bounds, mask
from include.shaping.ranges import units
from tests.shaping.cells import AT, CELLS, COLUMNS, TODAY, ZONE, array, plain, values_for
from tests.shaping.reference import holds

PAIRS = [(word, kind) for word, operator in OPERATORS.items() for kind in FieldType if kind in operator.types]


def read(document) -> Filter:
    one = Filter.model_validate(document)
    assert problems(one, COLUMNS) == []
    return one


def kept(document, batch, **keys) -> list[bool]:
    found = mask(read(document), COLUMNS, at=AT, zone=ZONE, **keys)(batch)
    assert found.null_count == 0
    assert found.type == pa.bool_()
    return found.to_pylist()


@pytest.mark.parametrize(("word", "kind"), PAIRS, ids=str)
def test_every_operator_on_every_type(word, kind):
    cells = CELLS[kind]
    batches = [pa.record_batch({kind.value: array(kind, cells)})]
    batches.append(pa.record_batch({kind.value: batches[0].column(0).dictionary_encode()}))
    batches.append(
        pa.record_batch({kind.value: pa.concat_arrays([batches[0].column(0)] * 2)}).slice(len(cells))
    )
    values = values_for(word, kind)
    several = [values] if OPERATORS[word].most > 1 else []
    for value in (*values, *several):
        wanted = value if isinstance(value, list) else [value]
        expected = [holds(word, plain(kind, cell), wanted, kind, TODAY, ZONE) for cell in cells]
        for batch in batches:
            assert kept({"field": kind.value, word: value}, batch) == expected, value
    assert (
        word in ("is_unknown", "not_in", "is_not", "not_contain")
        or not kept(
            {"field": kind.value, word: values[0]}, pa.record_batch({kind.value: array(kind, [None])})
        )[0]
    )


LEAVES = st.sampled_from(PAIRS).flatmap(
    lambda pair: st.lists(
        st.sampled_from(values_for(*pair)), min_size=1, max_size=1 if OPERATORS[pair[0]].most == 1 else 3
    ).map(lambda values: {"field": pair[1].value, pair[0]: values[0] if pair[0] in ("has_value", "is_unknown") else values})
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(lambda word, parts: {word: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=12,
)  # fmt: skip
ROWS = st.lists(st.tuples(*(st.sampled_from(CELLS[kind]) for kind in FieldType)), min_size=1, max_size=8)


def expected(document, row) -> bool:
    for word, join in (("all", all), ("any", any)):
        if word in document:
            return join(expected(part, row) for part in document[word])
    kind = FieldType(document["field"])
    [(word, values)] = ((word, values) for word, values in document.items() if word != "field")
    cell = plain(kind, row[list(FieldType).index(kind)])
    return holds(word, cell, values if isinstance(values, list) else [values], kind, TODAY, ZONE)


def batch_of(rows) -> pa.RecordBatch:
    cells = zip(*rows, strict=True)
    return pa.record_batch(
        {kind.value: array(kind, some) for kind, some in zip(FieldType, cells, strict=True)}
    )


@settings(max_examples=150)
@given(TREES, ROWS)
@pytest.mark.slow
def test_any_tree_keeps_what_plain_python_keeps(document, rows):
    assert kept(document, batch_of(rows)) == [expected(document, row) for row in rows]


NUMERIC = [
    kind
    for kind in FieldType
    if kind not in (FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.JSON, FieldType.BOOLEAN)
]


@settings(max_examples=150)
@given(TREES, ROWS, st.sampled_from(NUMERIC))
@pytest.mark.slow
def test_every_kept_row_lies_in_the_bounds(document, rows, kind):
    low, high = bounds(read(document), kind.value, COLUMNS, at=AT, zone=ZONE)
    batch = batch_of(rows)
    found = batch.filter(pa.array(kept(document, batch))).column(kind.value)
    if low is not None or high is not None:
        assert found.null_count == 0
    for value in units(found.drop_null(), kind).tolist():
        assert low is None or low <= value
        assert high is None or value <= high


def us(*parts) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("document", "low", "high"),
    [
        ({"field": "instant", "is_days_ago": 1}, us(2026, 3, 28, 23), us(2026, 3, 29, 22) - 1),
        ({"field": "instant", "before": "2026-03-29"}, None, us(2026, 3, 28, 23) - 1),
        ({"field": "instant", "after": "2026-03-29"}, us(2026, 3, 29, 22), None),
        ([{"field": "instant", "after": "2026-01-31"}, {"field": "instant", "before": "2026-03-01"}], us(2026, 1, 31, 23), us(2026, 2, 28, 23) - 1),
        ({"any": [{"field": "instant", "is": "2026-01-01T00:00:00Z"}, {"field": "instant", "is": "2026-01-02T00:00:00Z"}]}, us(2026, 1, 1), us(2026, 1, 2)),
        ({"any": [{"field": "instant", "is": "2026-01-01T00:00:00Z"}, {"field": "points", "is": 1}]}, None, None),
        ([{"field": "instant", "after": "2026-03-01"}, {"field": "instant", "before": "2026-01-01"}], us(2026, 3, 1, 23), us(2025, 12, 31, 23) - 1),
        ({"field": "instant", "is_not": "2026-03-29"}, None, None),
    ],
)  # fmt: skip
def test_bounds_are_worked_by_hand(document, low, high):
    """Paris is at +1 until 29 March 2026, 01:00 UTC, and at +2 afterwards."""
    assert bounds(read(document), "instant", COLUMNS, at=AT, zone=ZONE) == (low, high)


def test_a_backfill_has_the_days_of_its_own_t():
    batch = pa.record_batch({"instant": array(FieldType.INSTANT, [datetime(2026, 1, 31, 12, tzinfo=UTC)])})
    yesterday = read({"field": "instant", "is_days_ago": 1})
    for at, found in ((datetime(2026, 2, 1, tzinfo=UTC), True), (datetime(2026, 2, 2, tzinfo=UTC), False)):
        assert mask(yesterday, COLUMNS, at=at, zone="UTC")(batch).to_pylist() == [found]
    # The last instant of 31 January in UTC is 1 February in Paris.
    late = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    assert mask(yesterday, COLUMNS, at=late, zone="UTC")(batch).to_pylist() == [False]
    assert mask(yesterday, COLUMNS, at=late, zone=ZONE)(batch).to_pylist() == [True]


@given(
    st.sampled_from(
        ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]
    ),
    st.integers(us(2011, 1, 1), us(2027, 1, 1)).map(
        lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    ),
    st.integers(-800, 800),
    st.integers(0, 12),
    st.sampled_from([word for word, operator in OPERATORS.items() if operator.takes == "days"]),
)
def test_days_are_local_days_whatever_their_length(zone, at, hours, count, word):
    from zoneinfo import ZoneInfo

    cell = at + timedelta(hours=hours)
    today = at.astimezone(ZoneInfo(zone)).date()
    batch = pa.record_batch({"instant": array(FieldType.INSTANT, [cell])})
    one = Filter.model_validate({"field": "instant", word: count})
    found = mask(one, COLUMNS, at=at, zone=zone)(batch).to_pylist()
    assert found == [holds(word, cell, [count], FieldType.INSTANT, today, zone)]


def test_several_operators_beside_a_field_must_all_hold():
    batch = pa.record_batch({"points": array(FieldType.POINTS, ["1", "5", "10"])})
    assert kept({"field": "points", "more_than": 1, "less_than": 10}, batch) == [False, True, False]


COLUMN = (Column("metadata", FieldType.JSON),)
METADATA = [
    '{"city": "Paris", "age": 18, "tags": ["vip", 7], "a.b": "x", "a": {"b": "y", "c": {"d": 1.50}}, "big": 12345678901234567890.10}',
    '{"city": null, "age": "18", "tags": []}',
    "{}",
    None,
    "[1, 2]",
]


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"field": "metadata.city", "is": "Paris"}, [0]),
        ({"field": "metadata.city", "is_unknown": True}, [1, 2, 3, 4]),
        ({"field": "metadata.city", "is_not": "Paris"}, [1, 2, 3, 4]),
        ({"field": "metadata.age", "more_than_equal": 18}, [0]),
        ({"field": "metadata.age", "is": "18"}, [1]),
        ({"field": "metadata.tags", "contains": ["vip", "x"]}, [0]),
        ({"field": "metadata.tags", "contains": 7}, [0]),
        ({"field": "metadata.tags", "count": 0}, [1]),
        ({"field": "metadata.tags", "count_more": 1}, [0]),
        ({"field": "metadata.a.b", "is": "x"}, [0]),
        ({"field": "metadata.a.c.d", "is": 1.5}, [0]),
        ({"field": "metadata.big", "is": "12345678901234567890.10"}, []),
        ({"field": "metadata.big", "more_than": "12345678901234567890"}, [0]),
        ({"field": "metadata", "count": 2}, [4]),
        ({"field": "metadata", "count_less": 1}, [2]),
    ],
)
def test_properties_of_json(document, found):
    one = Filter.model_validate(document)
    assert problems(one, COLUMN) == []
    batch = pa.record_batch({"metadata": pa.array(METADATA)})
    kept = mask(one, COLUMN, at=AT, zone=ZONE)(batch).to_pylist()
    assert [index for index, keep in enumerate(kept) if keep] == found


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": Infinity}', "[" * 100_000])
def test_text_that_is_no_json_is_a_violation_that_names_the_column(text):
    one = Filter.model_validate({"field": "metadata.a", "is": "b"})
    with pytest.raises(LedgerViolation, match="metadata is not JSON"):
        mask(one, COLUMN, at=AT, zone=ZONE)(pa.record_batch({"metadata": [text]}))


def test_segments_ask_about_the_runs_interval():
    columns = [Column("registered_at", FieldType.INSTANT)]
    instants = [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
        None,
    ]
    batch = pa.record_batch({"registered_at": array(FieldType.INSTANT, instants)})
    start, at = instants[0], instants[2]
    for segment, found in (("new", [True, False, False, False]), ("returning", [False, True, False, False])):
        one = Filter.model_validate({"segment": segment})
        assert mask(one, columns, at=at, zone=ZONE, start=start)(batch).to_pylist() == found


def test_active_and_inactive_share_out_everybody():
    columns = [Column("last_activity_at", FieldType.INSTANT)]
    days = [*(AT - timedelta(days=n, hours=1) for n in range(60)), None]
    batch = pa.record_batch({"last_activity_at": array(FieldType.INSTANT, days)})
    active, inactive = (
        mask(Filter.model_validate({"segment": name}), columns, at=AT, zone=ZONE)(batch).to_pylist()
        for name in ("active", "inactive")
    )
    assert [not one for one in active] == inactive
    # T begins 30 March in Paris, and 30 days before that is 28 February: from 22:00 on that day on, 30 of these.
    assert sum(active) == 30
    assert days[29].date() == date(2026, 2, 28)


@pytest.mark.parametrize("kind", [FieldType.ID, FieldType.POINTS, FieldType.INSTANT], ids=str)
@pytest.mark.slow
def test_fifty_thousand_values_cost_little(kind):
    start = datetime(1900, 1, 1, tzinfo=UTC)
    values = {
        FieldType.ID: [f"c{n}" for n in range(50_000)],
        FieldType.POINTS: list(range(0, 100_000, 2)),
        FieldType.INSTANT: [(start + timedelta(days=2 * n)).date().isoformat() for n in range(50_000)],
    }[kind]
    cells = {
        FieldType.ID: pa.array([f"c{n}" for n in range(40_000, 60_000)]),
        FieldType.POINTS: pa.array(range(0, 2_000_000, 100)),
        FieldType.INSTANT: pa.array(range(0, 20_000 * 86_400_000_000, 86_400_000_000)).cast(
            pa.timestamp("us", "UTC")
        ),
    }[kind]
    batch = pa.record_batch({kind.value: cells})
    one = Filter.model_validate({"field": kind.value, "in": values})
    begin = time.process_time()
    keep = mask(one, COLUMNS, at=AT, zone="UTC")
    prepared = time.process_time()
    for _ in range(10):
        found = keep(batch)
    assert time.process_time() - prepared < 0.5, "200,000 rows"
    assert prepared - begin < 3
    assert sum(found.to_pylist()) == 10_000
