"""Groups are what plain Python and Decimal make of the rows, exactly."""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.definitions.content import Content
from include.errors import BadInput
from include.ledger.catalog import ARROW_TYPES
from include.ledger.columns import Column
from include.ledger.fields import PLACES, FieldType
from include.shaping.aggregating import aggregated, aggregated_columns
from tests.shaping.cells import CELLS, COLUMNS, array

NUMBERS = (FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER)
LARGEST = {FieldType.POINTS: Decimal("92233720368547758.07"), FieldType.INTEGER: Decimal(2**63 - 1)}


def aggregation(*fields):
    document = [dict(zip(("field", "function", "header"), field, strict=False)) for field in fields]
    return Content.model_validate({"aggregation": document}).aggregation


def run(columns, chosen, batches, scratch) -> list[dict]:
    return [row for batch in aggregated(batches, columns, chosen, scratch) for row in batch.to_pylist()]


def number(kind: FieldType):
    whole = 10**18 if kind not in LARGEST else 10**17
    return st.integers(-whole + 1, whole - 1).map(lambda n: Decimal(n).scaleb(-PLACES.get(kind, 0)))


def shown(kind: FieldType, value):
    """A result as Arrow gives it: points in hundredths, integers whole, the rest Decimal."""
    return int(value.scaleb(2)) if value is not None and kind is FieldType.POINTS else value


def average(values: list[Decimal], places: int) -> Decimal | None:
    with localcontext(prec=60):
        return (
            (sum(values) / len(values)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
            if values
            else None
        )


@settings(max_examples=60)
@given(st.sampled_from(NUMBERS).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(
    st.tuples(st.sampled_from(["b", "a", "é", "", None]), st.none() | number(kind)), max_size=12))), st.integers(1, 4))  # fmt: skip
@pytest.mark.slow
def test_numbers_are_added_and_averaged_exactly(tmp_path_factory, given_rows, size):
    kind, rows = given_rows
    columns = (Column("tier", FieldType.TEXT), Column("value", kind))
    chosen = aggregation(
        ("tier", "group"), *(("value", one) for one in ("count", "sum", "average", "min", "max"))
    )
    batches = [
        pa.record_batch({"value": array(kind, [row[1] for row in some]), "tier": pa.array([row[0] for row in some], pa.string())})
        for some in (rows[first : first + size] for first in range(0, len(rows), size))
    ]  # fmt: skip
    groups = defaultdict(list)
    for tier, value in rows:
        groups[tier].append(value)
    expected = []
    places = 8 if kind is FieldType.INTEGER else PLACES[kind]
    for tier in sorted(groups, key=lambda name: (name is None, (name or "").encode())):
        some = [value for value in groups[tier] if value is not None]
        expected.append({
            "tier": tier,
            "count of value": len(groups[tier]),
            "sum of value": shown(kind, sum(some) if some else None),
            "average of value": shown(kind, average(some, places)),
            "min of value": shown(kind, min(some, default=None)),
            "max of value": shown(kind, max(some, default=None)),
        })  # fmt: skip
    assert run(columns, chosen, batches, tmp_path_factory.getbasetemp()) == expected


@pytest.mark.parametrize("kind", [kind for kind in FieldType if kind is not FieldType.JSON], ids=str)
def test_groups_smallest_and_largest_of_every_type(kind, tmp_path):
    column = Column("x", kind)
    chosen = aggregation(("x", "group"), ("x", "count"), ("x", "min"), ("x", "max"))
    cells = [*CELLS[kind], *CELLS[kind][:2]]
    batch = pa.record_batch({"x": array(kind, cells)})
    found = list(aggregated([batch], (column,), chosen, tmp_path))
    table = pa.Table.from_batches(found)
    values = batch.column(0).to_pylist()
    order = sorted(
        {v for v in values if v is not None}, key=lambda v: v.encode() if isinstance(v, str) else v
    )
    assert table.column("x").to_pylist() == [*order, None]
    assert table.column("min of x").to_pylist() == table.column("max of x").to_pylist() == [*order, None]
    assert table.column("count of x").to_pylist() == [values.count(value) for value in [*order, None]]
    assert table.schema.field("x").type == ARROW_TYPES[kind]
    assert table.schema.field("max of x").type == ARROW_TYPES[kind]


def test_smallest_and_largest_over_all_nulls_and_texts(tmp_path):
    batch = pa.record_batch({"id": ["a"] * 3 + ["b"], "text": ["é", "z", None, None]})
    chosen = aggregation(("id", "group"), ("text", "min"), ("text", "max"))
    assert run(COLUMNS, chosen, [batch], tmp_path) == [
        {"id": "a", "min of text": "z", "max of text": "é"},
        {"id": "b", "min of text": None, "max of text": None},
    ]


def test_columns_say_type_header_and_person():
    columns = (
        Column("email", FieldType.TEXT, pii=True),
        Column("points", FieldType.POINTS),
        Column("n", FieldType.INTEGER),
    )
    chosen = aggregation(
        ("email", "group"), ("email", "max"), ("email", "count"), ("points", "sum", "Points"), ("points", "average"), ("n", "average"),
    )  # fmt: skip
    assert aggregated_columns(columns, chosen) == (
        Column("email", FieldType.TEXT, pii=True),
        Column("max of email", FieldType.TEXT, pii=True),
        Column("count of email", FieldType.INTEGER),
        Column("Points", FieldType.POINTS),
        Column("average of points", FieldType.POINTS),
        Column("average of n", FieldType.RATE),
    )


@pytest.mark.parametrize(
    ("cells", "rounded"),
    [
        (["0.01", "0.02"], 2),  # 0.015 -> 0.02
        (["-0.01", "-0.02"], -2),  # -0.015 -> -0.02: away from zero
        (["0.01", "0.01", "0.02"], 1),  # 0.01333...
        (["10", None], 1000),  # nulls do not count
    ],
)
def test_an_average_is_rounded_half_up(cells, rounded, tmp_path):
    batch = pa.record_batch({"id": ["a"] * len(cells), "points": array(FieldType.POINTS, cells)})
    chosen = aggregation(("id", "group"), ("points", "average"))
    assert run(COLUMNS, chosen, [batch], tmp_path) == [{"id": "a", "average of points": rounded}]


@pytest.mark.parametrize("kind", LARGEST, ids=str)
def test_a_sum_beyond_64_bits_is_an_error_and_never_wraps(kind, tmp_path):
    largest = LARGEST[kind]
    last = Decimal(1).scaleb(-PLACES.get(kind, 0))
    chosen = aggregation(("id", "group"), (kind.value, "sum", "all"))

    def total(*cells):
        return run(
            COLUMNS,
            chosen,
            [pa.record_batch({"id": ["a"] * len(cells), kind.value: array(kind, cells)})],
            tmp_path,
        )

    assert total(largest, largest, -largest) == [{"id": "a", "all": 2**63 - 1}], (
        "what is between does not matter"
    )
    with pytest.raises(BadInput, match="aggregation: 'all': a sum is larger than its type holds"):
        total(largest, last)


def test_money_sums_need_more_than_18_digits(tmp_path):
    cells = ["99999999999999.9999"] * 1000
    batch = pa.record_batch({"id": ["a"] * 1000, "money": array(FieldType.MONEY, cells)})
    [found] = aggregated([batch], COLUMNS, aggregation(("id", "group"), ("money", "sum")), tmp_path)
    assert found.column("sum of money").to_pylist() == [Decimal("99999999999999999.9000")]
    assert found.column("sum of money").type == pa.decimal128(38, 4)


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_a_part_of_a_batch_has_its_own_values(kind, tmp_path):
    # before  1, 2, null, 4, 5 in one batch
    # apply   sum and average of the last three alone -> 9 and 4.5
    whole = pa.record_batch({
        "id": ["a"] * 5, kind.value: array(kind, [cell and Decimal(cell) for cell in ("1", "2", None, "4", "5")]),
    })  # fmt: skip
    chosen = aggregation(("id", "group"), (kind.value, "sum", "all"), (kind.value, "average", "mean"))
    [found] = run(COLUMNS, chosen, [whole.slice(2)], tmp_path)
    assert found["all"] == shown(kind, Decimal(9))
    assert found["mean"] == shown(kind, Decimal("4.5"))


def test_no_rows_make_no_groups(tmp_path):
    assert run(COLUMNS, aggregation(("id", "group"), ("points", "sum")), [], tmp_path) == []


def test_a_property_of_json_groups(tmp_path):
    batch = pa.record_batch({"json": ['{"a": 1}', '{"a": "1"}', "{}", None], "points": [1, 2, 3, 4]})
    chosen = aggregation(("json.a", "group", "A"), ("points", "sum"))
    assert run(COLUMNS, chosen, [batch], tmp_path) == [
        {"A": "1", "sum of points": 3},
        {"A": None, "sum of points": 7},
    ]
    assert list(tmp_path.iterdir()) == []
