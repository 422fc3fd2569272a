"""Order is what Python's stable sort gives: UTF-8 bytes, nulls last both ways, ties as they came."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.definitions.order import problems
from include.errors import LedgerViolation
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping.ordering import ordered
from tests.shaping.cells import CELLS, COLUMNS, array

ORDERED = [kind for kind in FieldType if kind is not FieldType.JSON]
ROWS = st.lists(st.tuples(*(st.sampled_from(CELLS[kind]) for kind in FieldType)), max_size=12)
ORDERS = st.lists(st.sampled_from(ORDERED), min_size=1, max_size=3, unique=True).flatmap(
    lambda kinds: st.tuples(*(st.sampled_from([kind.value, f"-{kind.value}"]) for kind in kinds))
)


def batches_of(rows, size: int):
    for first in range(0, len(rows), size):
        cells = zip(*rows[first : first + size], strict=True)
        arrays = [array(kind, some) for kind, some in zip(FieldType, cells, strict=True)]
        arrays[1] = arrays[1].dictionary_encode()  # each batch has a dictionary of its own
        yield pa.RecordBatch.from_arrays(arrays, names=[kind.value for kind in FieldType])


def sort_key(kind: FieldType, cell):
    if isinstance(cell, str):
        return (
            Decimal(cell)
            if kind in (FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER)
            else cell.encode()
        )
    return cell


@settings(max_examples=60)
@given(ROWS, ORDERS, st.integers(1, 5))
@pytest.mark.slow
def test_rows_leave_as_pythons_stable_sort_has_them(tmp_path_factory, rows, order, size):
    expected = rows
    for name in reversed(order):
        kind = FieldType(name.removeprefix("-"))
        place = list(FieldType).index(kind)
        some = [row for row in expected if row[place] is not None]
        some = sorted(some, key=lambda row: sort_key(kind, row[place]), reverse=name.startswith("-"))
        expected = some + [row for row in expected if row[place] is None]
    found = list(ordered(batches_of(rows, size), COLUMNS, order, tmp_path_factory.getbasetemp()))
    wanted = list(batches_of(expected, max(1, len(expected))))
    if not rows:
        assert found == []
        return
    assert found[0].schema.names == [kind.value for kind in FieldType]
    plain = wanted[0].set_column(1, "text", wanted[0].column(1).dictionary_decode())
    assert pa.Table.from_batches(found).to_pylist() == plain.to_pylist()
    assert [field.type for field in found[0].schema] == [field.type for field in plain.schema]


def test_ties_keep_their_order_over_many_rows(tmp_path):
    count = 100_000
    batches = (
        pa.record_batch({"id": pa.array([f"{n % 7}" for n in range(first, first + 1000)]), "integer": pa.array(range(first, first + 1000))})
        for first in range(0, count, 1000)
    )  # fmt: skip
    table = pa.Table.from_batches(ordered(batches, COLUMNS, ["-id"], tmp_path))
    assert table.column("integer").to_pylist() == sorted(range(count), key=lambda n: (-(n % 7), n))
    assert list(tmp_path.iterdir()) == [], "nothing is left in scratch"


def test_a_property_of_json_orders_as_text(tmp_path):
    texts = ['{"a": "b"}', "{}", '{"a": 10}', '{"a": 9}']
    batch = pa.record_batch({"json": texts})
    found = list(ordered([batch], COLUMNS, ["json.a"], tmp_path))
    assert [row["json"] for row in found[0].to_pylist()] == [texts[2], texts[3], texts[0], texts[1]]


def test_what_the_rows_raise_comes_out_as_it_is(tmp_path):
    def rows():
        yield pa.record_batch({"id": ["a"]})
        raise LedgerViolation("account 7")

    with pytest.raises(LedgerViolation, match="account 7"):
        list(ordered(rows(), COLUMNS, ["id"], tmp_path))


def test_what_cannot_be_ordered_by():
    found = [
        str(problem)
        for problem in problems(
            ["id", "-json", "nothing"], (Column("id", FieldType.ID), Column("json", FieldType.JSON))
        )
    ]
    assert found == [
        "order[1]: 'json': JSON has no order; name one of its properties, such as json.X",
        "order[2]: 'nothing': no such field; there are id, json (and json.X)",
    ]
