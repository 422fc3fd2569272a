"""JSON Lines: golden files, exact numbers, and embedded JSON that cannot break a line."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

from include.formats import jsonl as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, RANDOM_ROWS, ROWS, table

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
STYLES = {
    "default": {},
    "strings": {"numbers": "string", "points": "fixed", "embedded": "string", "timezone": "Europe/Paris"},
}


def text(options: dict, rows=ROWS, columns=COLUMNS) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


@pytest.mark.parametrize("name", STYLES)
def test_golden(name):
    path = GOLDEN / f"{name}.jsonl"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(text(STYLES[name]))
    assert text(STYLES[name]) == path.read_bytes()


@given(RANDOM_ROWS)
@examples(100)
def test_every_line_is_strict_json_with_exact_numbers(rows):
    lines = text({}, rows).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        found = json.loads(line, parse_float=Decimal, parse_constant=pytest.fail)
        assert list(found) == [column.name for column in COLUMNS]
        assert found["text"] == row[1]
        assert (found["points"] is None) == (row[2] is None)
        assert row[2] is None or found["points"] * 100 == row[2]
        assert found["money"] == row[3]
        assert found["rate"] == row[4]
        assert found["count"] == row[7]
        assert found["active"] is row[8]


@pytest.mark.parametrize(
    ("held", "written"),
    [
        ('{"a": 1.10}', '{"a": 1.10}'),
        ("[1,\r\n2]", "[1,  2]"),
        ("not json", '"not json"'),
        ("NaN", '"NaN"'),
        ("", '""'),
        ("[" * 100_000, json.dumps("[" * 100_000)),
    ],
    ids=["digits kept", "one line", "no json", "no number", "empty", "too deep"],
)
def test_embedded_json(held, written):
    columns = [Column("d", FieldType.JSON)]
    assert text({}, [(held,)], columns).decode() == f'{{"d":{written}}}\n'


def test_a_column_name_is_escaped():
    columns = [Column('a"\n', FieldType.BOOLEAN)]
    assert json.loads(text({}, [(True,)], columns)) == {'a"\n': True}


@pytest.mark.parametrize("line", ['{"a":1}', '{"b":1,"a":2}', "[1]", "nonsense", '{"a":1,"b":NaN}'])
def test_reading_refuses_other_rows(tmp_path, line):
    columns = [Column("a", FieldType.INTEGER), Column("b", FieldType.INTEGER)]
    path = tmp_path / "x"
    path.write_text('{"a":1,"b":2}\n' + line + "\n")
    with path.open("rb") as file, pytest.raises(ValueError, match="row 2"):
        list(kind.read(file, columns, kind.Options()))
