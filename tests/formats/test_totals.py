"""What is added up of a file, and what must never be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from include.formats import artefact
from include.formats.manifest import ManifestFile, file_entry
from include.formats.totals import Totals, moved
from include.formats.verify import _file_problems
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.formats.killed_writer import PLAIN

COLUMNS = [
    Column("program_id", FieldType.ID),
    Column("Currency", FieldType.TEXT),
    Column("points", FieldType.POINTS),
    Column("cost", FieldType.MONEY),
]
ROWS = [("a", "EUR", 100, "1.5"), ("b", "USD", 250, "2.25"), ("c", "EUR", 5, "0.5"), ("d", None, 1, "7")]


def batch(rows=ROWS) -> pa.RecordBatch:
    programs, currencies, points, costs = zip(*rows, strict=True) if rows else ((), (), (), ())
    money = pa.array([Decimal(each) for each in costs], pa.decimal128(18, 4))
    arrays = [
        pa.array(programs, pa.string()),
        pa.array(currencies, pa.string()),
        pa.array(points, pa.int64()),
        money,
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])


def entry(folder: Path, rows=ROWS) -> ManifestFile:
    return file_entry(artefact.write(folder / "x.csv", COLUMNS, [batch(rows)], PLAIN), COLUMNS, PLAIN)


def test_money_is_added_up_by_currency_and_points_in_all(tmp_path):
    found = Totals(COLUMNS)
    found.add(batch())
    found.add(batch(ROWS[:1]))
    assert found.sums == {
        "points": "4.56", "cost": "7.0000", "cost (EUR)": "3.5000", "cost (USD)": "2.2500",
    }  # fmt: skip
    assert Totals(COLUMNS).sums == {"points": "0.00", "cost": "0.0000"}


@pytest.mark.parametrize("rows", [ROWS, ROWS[:3], []], ids=["also without", "two", "none"])
def test_a_file_is_verified_against_them(tmp_path, rows):
    stated = entry(tmp_path, rows)
    assert _file_problems(tmp_path, stated) == []
    for name in stated.totals:
        wrong = stated.model_copy(update={"totals": stated.totals | {name: "1.2300"}})
        assert [each.where.rpartition(": ")[2] for each in _file_problems(tmp_path, wrong)] == [
            f"totals.{name}"
        ]


def test_a_manifest_from_before_sums_went_by_currency_is_verified_too(tmp_path):
    stated = entry(tmp_path)
    older = stated.model_copy(update={"totals": {"points": "3.56", "cost": "11.2500"}})
    assert _file_problems(tmp_path, older) == []


def test_what_moved():
    one, two = Decimal(1), Decimal(2)
    assert list(moved({"x": one, "y": one}, {"x": two, "y": one})) == [("x", one, two)]
    assert list(moved({"x (EUR)": one}, {"x (EUR)": one, "x (USD)": two})) == [("x (USD)", Decimal(0), two)]
    assert list(moved({"x": one}, {"x (EUR)": two})) == []
