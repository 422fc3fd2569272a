"""What a field and a relation of the ledger are. It imports nothing heavy: DAG files need the names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class FieldType(StrEnum):
    """What a field holds; `catalog.ARROW_TYPES` says how it travels."""

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


# Decimal places that a type keeps; what has more is a violation, never rounded.
PLACES: dict[FieldType, int] = {FieldType.POINTS: 2, FieldType.MONEY: 4, FieldType.RATE: 8}


@dataclass(frozen=True)
class Field:
    """One field of a relation.

    required: a ledger must have the column, and no row may hold null there, unless `nullable` says so.
    values: all that an enum may hold. pii: data about a person.
    """

    name: str
    type: FieldType
    required: bool
    meaning: str
    values: tuple[str, ...] = ()
    pii: bool = False
    nullable: bool = False

    @property
    def may_be_null(self) -> bool:
        """Whether rows may hold null."""
        return self.nullable or not self.required


@dataclass(frozen=True)
class Relation:
    """One relation of the ledger; `key` names the fields that identify a row (a null counts as '').

    moment: the instant that says when a row came about, which periods go by; None where rows have none.
    """

    name: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    meaning: str
    required: bool = False
    moment: str | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all fields, in order."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """Return the field of that name; KeyError when there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def need(name: str, kind: FieldType, meaning: str, *values: str, nullable: bool = False) -> Field:
    """Return a field that a ledger must have; never null, unless `nullable`."""
    return Field(name, kind, True, meaning, values, nullable=nullable)


def may(name: str, kind: FieldType, meaning: str, *values: str, pii: bool = False) -> Field:
    """Return a field that a ledger may lack, or leave null."""
    return Field(name, kind, False, meaning, values, pii)
