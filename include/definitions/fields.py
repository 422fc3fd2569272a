"""A field by its name: a column, or one property of a JSON column (`metadata.city`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.ledger.columns import Column
from include.ledger.fields import FieldType


def column_of(columns: Iterable[Column], name: str) -> Column | None:
    """Return the column that a field is read from: the one of that name, or the JSON column before the dot."""
    head, dot, rest = name.partition(".")
    found = None
    for column in columns:
        if column.name == name:
            return column
        if dot and rest and column.name == head and column.type is FieldType.JSON:
            found = column
    return found


def resolve(columns: Iterable[Column], name: str) -> Column | None:
    """Return a field as a column, None where there is none. A property of a JSON column is text."""
    column = column_of(columns, name)
    if column is None or column.name == name:
        return column
    return Column(name, FieldType.TEXT, column.pii)


def known(columns: Sequence[Column]) -> str:
    """Return the sentence that lists the fields there are."""
    names = [f"{x.name} (and {x.name}.X)" if x.type is FieldType.JSON else x.name for x in columns]
    return f"no such field; there are {', '.join(names)}"
