"""JSON: golden files, one array that any parser takes, exact numbers."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given

from include.formats import json as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, RANDOM_ROWS, ROWS, table

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
STYLES = {"default": {}, "strings": {"numbers": "string", "points": "fixed", "embedded": "string"}}
PAIR = [Column("a", FieldType.INTEGER), Column("b", FieldType.INTEGER)]


def text(options: dict, rows=ROWS, columns=COLUMNS) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


@pytest.mark.parametrize("name", STYLES)
def test_golden(name):
    path = GOLDEN / f"{name}.json"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(text(STYLES[name]))
    assert text(STYLES[name]) == path.read_bytes()


@given(RANDOM_ROWS)
@examples(100)
def test_it_is_one_array_with_exact_numbers(rows):
    found = json.loads(text({}, rows), parse_float=Decimal, parse_constant=pytest.fail)
    assert [list(one) for one in found] == [[column.name for column in COLUMNS]] * len(rows)
    for one, row in zip(found, rows, strict=True):
        assert (one["text"], one["count"], one["money"]) == (row[1], row[7], row[3])
        assert (one["points"] is None) == (row[2] is None)
        assert row[2] is None or one["points"] * 100 == row[2]


def test_more_rows_than_a_piece_are_one_array():
    found = json.loads(text({}, [(number, number) for number in range(20_000)], PAIR))
    assert found == [{"a": number, "b": number} for number in range(20_000)]


def test_an_engine_reads_it(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(text({}, [(1, 2), (3, None)], PAIR))
    assert duckdb.sql(f"select a, b from read_json('{path}')").fetchall() == [(1, 2), (3, None)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin"),
        (b'[\n{"a":1,"b":2}\n', "not closed"),
        (b'[\n{"a":1,"b":2}\n{"a":1,"b":2}\n]\n', "row 1 is not followed"),
        (b'[\n{"a":1,"b":2},\n]\n', "row 1 is not JSON"),
        (b'[\n{"a":1,"b":2}\n]\n{}', "follows the array"),
        (b'[\n{"a":1}\n]\n', "row 1 does not have"),
    ],
)
def test_reading_refuses_other_files(content, words):
    with pytest.raises(ValueError, match=words):
        list(kind.read(io.BytesIO(content), PAIR, kind.Options()))
