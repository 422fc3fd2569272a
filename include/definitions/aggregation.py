"""Aggregation: rows become groups, and each field says what becomes of its values.

Every field names a function and at least one is `group`, as in Antavo's exports; count counts rows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.definitions.base import Strict, refuse
from include.definitions.fields import known, resolve
from include.definitions.names import FieldName, Line, repeated
from include.definitions.operators import NUMBERS
from include.errors import Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType

Function = Literal["group", "count", "sum", "average", "min", "max"]

_SCALARS = frozenset(FieldType) - {FieldType.JSON}
TYPES: dict[Function, frozenset[FieldType]] = {
    "group": _SCALARS,
    "count": frozenset(FieldType),
    "sum": NUMBERS,
    "average": NUMBERS,
    "min": _SCALARS,
    "max": _SCALARS,
}
MEANINGS: dict[Function, str] = {
    "group": "rows with the same value make one row; null is a value of its own",
    "count": "how many rows the group has, whatever the field; every count gives the same",
    "sum": "the exact sum; null where all are null",
    "average": "the exact average of what is not null, rounded half up (away from zero) at the last place of "
    "the type: points 2, money 4, rates 8; of integers it is a rate",
    "min": "the smallest value; text by its UTF-8 bytes, false before true",
    "max": "the largest value",
}


class Aggregated(Strict):
    """One column of the file."""

    field: FieldName
    """Column of the model; `metadata.city` is one property of a JSON column."""
    function: Function
    """What becomes of its values in a group."""
    header: Line | None = None
    """Its header in the file; left out, the field's name for a group, else such as `sum of points`."""

    @property
    def title(self) -> str:
        """The header that stands in the file."""
        default = self.field if self.function == "group" else f"{self.function} of {self.field}"
        return self.header or default

    @property
    def shows_values(self) -> bool:
        """Whether values of the field stand in the file, and not only what was computed of them."""
        return self.function in ("group", "min", "max")


def _rules(fields: list[Aggregated]) -> list[Aggregated]:
    if not any(field.function == "group" for field in fields):
        raise refuse("no_group", "needs at least one field with function: group, which says what one row is")
    twice = repeated([unicodedata.normalize("NFC", field.title) for field in fields])
    if twice is not None:
        raise refuse("header_twice", f"the header {twice} is here twice; give one of them another")
    return fields


Aggregation = Annotated[list[Aggregated], Field(min_length=1), AfterValidator(_rules)]


def type_of(function: Function, kind: FieldType) -> FieldType:
    """Return the type of the result of a function on a type of field."""
    if function == "count":
        return FieldType.INTEGER
    return FieldType.RATE if function == "average" and kind is FieldType.INTEGER else kind


def problems(
    aggregation: Sequence[Aggregated], columns: Sequence[Column], *, where: str = "aggregation"
) -> list[Problem]:
    """Return a problem for each field that is not there, or whose type has no such function."""
    found = []
    for index, chosen in enumerate(aggregation):
        column = resolve(columns, chosen.field)
        if column is None:
            found.append(Problem(f"{where}[{index}].field", chosen.field, known(columns), "unknown_field"))
        elif column.type not in TYPES[chosen.function]:
            able = ", ".join(name for name, types in TYPES.items() if column.type in types)
            right = f"{chosen.field} is {column.type.value}, for which there are {able}"
            found.append(
                Problem(f"{where}[{index}].function", chosen.function, right, "function_not_for_type")
            )
    return found
