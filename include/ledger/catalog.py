"""The one catalog of the ledger: relations, fields, types, meaning, PII mark (docs/ledger.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class FieldType(StrEnum):
    """What a field holds; `ARROW_TYPES` says how it travels."""

    ID = "id"
    TEXT = "text"
    ENUM = "enum"
    JSON = "json"
    POINTS = "points"
    MONEY = "money"
    RATE = "rate"
    INSTANT = "instant"
    DATE = "date"
    INTEGER = "integer"
    BOOLEAN = "boolean"


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


@dataclass(frozen=True)
class Field:
    """One field of a relation."""

    name: str
    type: FieldType
    required: bool
    meaning: str
    values: tuple[str, ...] = ()
    pii: bool = False


@dataclass(frozen=True)
class Relation:
    """One relation of the ledger; `key` names the fields that identify a row."""

    name: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    meaning: str
    required: bool = False
