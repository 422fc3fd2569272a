"""Which of PostgreSQL's types can hold a field of the catalog, and how their values are sent."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import psycopg

from include.ledger.catalog import PLACES, Field, FieldType
from include.snapshots.copy_decode import Wire, WireColumn
from include.snapshots.wire import TEXTUAL

_MAY_BE_INFINITE = frozenset({"expires_at", "valid_until", "ends_at"})
EXPECTED = {
    **dict.fromkeys(TEXTUAL, "text"),
    **dict.fromkeys(PLACES, "numeric or an integer type, not a float"),
    FieldType.INSTANT: "timestamp with time zone (for example created_at AT TIME ZONE 'UTC')",
    FieldType.DATE: "date",
    FieldType.INTEGER: "an integer type",
    FieldType.BOOLEAN: "boolean",
}
_WHOLE = frozenset({"int2", "int4", "int8"})
_PLAIN_TEXT = frozenset({"text", "varchar", "bpchar", "name", "json"})  # sent as their bytes
_NO_TEXT = frozenset({"float4", "float8", "bytea"})
_AS_IS = {FieldType.INSTANT: "timestamptz", FieldType.DATE: "date", FieldType.BOOLEAN: "bool"}
_WIRES = {FieldType.INSTANT: Wire.INSTANT, FieldType.DATE: Wire.DATE, FieldType.BOOLEAN: Wire.BOOLEAN}


class Sent(NamedTuple):
    """What to select for a column, how it is sent, and whether it may have more decimals than are kept."""

    expression: str
    wire: WireColumn
    inexact: bool = False


def sent(field: Field, column: psycopg.Column) -> Sent | None:
    """Return how a column of a query is read as a field; None when its type cannot hold it."""
    name, kind = f'"{field.name}"', name_of(column)
    places, whole = PLACES.get(field.type), kind in _WHOLE
    if field.type in TEXTUAL:
        if kind in _NO_TEXT:
            return None
        return Sent(name if kind in _PLAIN_TEXT else f"{name}::text", WireColumn(Wire.TEXT))
    if places is not None and kind == "numeric":
        inexact = column.scale is None or column.scale > places
        return Sent(name, WireColumn(Wire.NUMERIC, places), inexact)
    if whole and (places is not None or field.type is FieldType.INTEGER):
        scale = f" * {10**places}" if places else ""
        return Sent(f"{name}::bigint{scale}", WireColumn(Wire.INTEGER))
    if _AS_IS.get(field.type) == kind:
        endless = kind == "timestamptz" and field.name in _MAY_BE_INFINITE
        return Sent(name, WireColumn(Wire.ENDLESS if endless else _WIRES[field.type]))
    return None


def refused(column: str, sent: WireColumn, *, inexact: bool) -> list[tuple[str, str]]:
    """Return (rule, SQL condition) of the values of a column that `copy_decode` refuses."""
    wire, places = sent
    if wire is Wire.NUMERIC:  # NaN is larger than all numbers
        found = [("not_a_number", f'abs("{column}") >= {Decimal(2**63).scaleb(-places):f}')]
        if inexact:
            found.append(("too_many_decimals", f'"{column}" <> round("{column}", {places})'))
        return found
    conditions = {
        Wire.INSTANT: ("not_an_instant", f'NOT isfinite("{column}")'),
        Wire.ENDLESS: ("not_an_instant", f"\"{column}\" = '-infinity'"),
        Wire.DATE: ("not_a_date", f'NOT isfinite("{column}")'),
    }
    return [conditions[wire]] if wire in conditions else []


def name_of(column: psycopg.Column) -> str | None:
    """Return the name of a column's type, None for a type that is not PostgreSQL's own."""
    known = psycopg.adapters.types.get(column.type_code)
    return known.name if known and known.oid == column.type_code else None
