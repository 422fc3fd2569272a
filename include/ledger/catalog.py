"""The one catalog of the ledger: relations, fields, types, meaning, PII mark (docs/ledger.md section 2).

Database tables, the mapping's checks, snapshots, reference pages and pages for people are all made from it.
A new relation is one more entry in a file of `include/ledger/relations/`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from include.ledger.fields import PLACES, Field, FieldType, Relation
from include.ledger.relations import RELATIONS

__all__ = [
    "ARROW_TYPES",
    "BOOKING_COLUMNS",
    "PLACES",
    "RELATIONS",
    "Field",
    "FieldType",
    "Relation",
    "arrow_schema",
]

# How each type of field travels.
ARROW_TYPES: dict[FieldType, pa.DataType] = {
    FieldType.ID: pa.string(),
    FieldType.TEXT: pa.string(),
    FieldType.ENUM: pa.string(),
    FieldType.JSON: pa.string(),
    FieldType.POINTS: pa.int64(),  # hundredths of a point
    FieldType.MONEY: pa.decimal128(18, 4),
    FieldType.RATE: pa.decimal128(18, 8),
    FieldType.INSTANT: pa.timestamp("us", tz="UTC"),
    FieldType.DATE: pa.date32(),
    FieldType.INTEGER: pa.int64(),
    FieldType.BOOLEAN: pa.bool_(),
}

# What booking reads of a transaction, in catalog order. Every report's `needs` contains them.
BOOKING_COLUMNS = (
    "transaction_id",
    "program_id",
    "subledger_id",
    "customer_id",
    "card_id",
    "type",
    "points",
    "created_at",
    "recorded_at",
    "activates_at",
    "expires_at",
    "related_transaction_id",
)


def arrow_schema(relation: Relation, columns: Sequence[str] | None = None) -> pa.Schema:
    """Return the Arrow schema of a relation: all its fields, or `columns` in that order (else KeyError)."""
    fields = [relation.field(name) for name in (relation.names if columns is None else columns)]
    return pa.schema([pa.field(field.name, ARROW_TYPES[field.type]) for field in fields])
