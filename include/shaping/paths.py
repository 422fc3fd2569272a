"""One property of a JSON column as a field (`metadata.city`), anywhere a field may stand.

`metadata.a.b` is the property named `a.b`, or else `b` of what `a` holds. As a column a property is text: a text
as it is, a number as it is written, true and false, a list or object as JSON; null where it is absent or null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from include.definitions.fields import column_of, resolve
from include.errors import LedgerViolation
from include.ledger.columns import Column

__all__ = ["Number", "each", "resolve", "source", "value"]


class Number(str):
    """A JSON number as it is written: exact, whatever its size."""

    __slots__ = ()


def source(columns: Sequence[Column], name: str) -> str:
    """Return the name of the column that a field is read from; KeyError where there is none."""
    column = column_of(columns, name)
    if column is None:
        raise KeyError(name)
    return column.name


def value(batch: pa.RecordBatch, columns: Sequence[Column], name: str) -> pa.Array:
    """Return a field of a batch whose columns go by their names; a property as text."""
    if source(columns, name) == name:
        return batch.column(name)
    return each(batch, columns, name, _text, pa.string())


def each(
    batch: pa.RecordBatch,
    columns: Sequence[Column],
    name: str,
    make: Callable[[Any], object],
    kind: pa.DataType,
) -> pa.Array:
    """Return what `make` gives for a JSON column, or a property of one; null where there is null.

    Every distinct text is read once. Raises LedgerViolation for text that is not JSON.
    """
    head = source(columns, name)
    coded = batch.column(head)
    if not pa.types.is_dictionary(coded.type):
        coded = coded.dictionary_encode()
    path = name[len(head) + 1 :]
    made = []
    for text in coded.dictionary.to_pylist():
        found = None if text is None else _parse(text, head)
        found = _property(found, path) if path else found
        made.append(None if found is None else make(found))
    return pa.array(made, kind).take(coded.indices)


def _parse(text: str, column: str) -> Any:
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise LedgerViolation(f"{column} is not JSON: {text[:200]!r}") from None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _property(found: Any, path: str) -> Any:
    if not isinstance(found, dict):
        return None
    if path in found:
        return found[path]
    head, dot, rest = path.partition(".")
    return _property(found.get(head), rest) if dot else None


def _text(found: Any) -> str:
    return str(found) if isinstance(found, str) else _json(found)


def _json(found: Any) -> str:
    """Return JSON as text, with numbers as they were written."""
    if isinstance(found, Number):
        return str(found)
    if isinstance(found, dict):
        inner = ",".join(f"{_json(key)}:{_json(part)}" for key, part in found.items())
        return f"{{{inner}}}"
    if isinstance(found, list):
        return f"[{','.join(map(_json, found))}]"
    return json.dumps(found, ensure_ascii=False)
