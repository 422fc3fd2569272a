"""A property of a JSON column as a column: text, as it is written."""

from __future__ import annotations

import pyarrow as pa
import pytest

from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping import paths

COLUMNS = (
    Column("metadata", FieldType.JSON, pii=True),
    Column("name", FieldType.TEXT),
    Column("metadata.x", FieldType.POINTS),
)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("name", Column("name", FieldType.TEXT)),
        ("metadata", Column("metadata", FieldType.JSON, pii=True)),
        ("metadata.city", Column("metadata.city", FieldType.TEXT, pii=True)),
        ("metadata.x", Column("metadata.x", FieldType.POINTS)),
        ("metadata.", None),
        ("name.x", None),
        ("other", None),
    ],
)
def test_a_field_by_its_name(name, column):
    assert paths.resolve(COLUMNS, name) == column


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ('"Paris"', "Paris"), ('""', ""), ("1.10", "1.10"), ("1e3", "1e3"), ("12345678901234567890", "12345678901234567890"),
        ("true", "true"), ("null", None), ('["é", 1.0, null]', '["é",1.0,null]'), ('{"a": {"b": false}}', '{"a":{"b":false}}'),
        ('"1.0"', "1.0"),
    ],
)  # fmt: skip
def test_a_property_is_text_as_it_is_written(inner, text):
    document = f'{{"city": {inner}}}'
    for column in (
        pa.array([document, None, "{}", document]),
        pa.array([document, None, "{}", document]).dictionary_encode(),
    ):
        batch = pa.record_batch({"metadata": column})
        assert paths.value(batch, COLUMNS, "metadata.city").to_pylist() == [text, None, None, text]


def test_a_key_with_a_dot_comes_before_a_step():
    batch = pa.record_batch({"metadata": ['{"a.b": 1, "a": {"b": 2, "c": 3}}']})
    assert [
        paths.value(batch, COLUMNS, f"metadata.{path}").to_pylist() for path in ("a.b", "a.c", "a.c.d")
    ] == [["1"], ["3"], [None]]


def test_a_column_is_itself_and_an_unknown_one_is_an_error():
    batch = pa.record_batch({"name": ["a"]})
    assert paths.value(batch, COLUMNS, "name").to_pylist() == ["a"]
    with pytest.raises(KeyError):
        paths.value(batch, COLUMNS, "nothing")
