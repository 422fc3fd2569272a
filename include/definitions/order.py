"""The order of the rows: field names, the first counts most; a leading - is descending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from include.definitions.base import refuse
from include.definitions.fields import known, resolve
from include.definitions.names import FieldName, repeated
from include.errors import Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType


def keys(order: Sequence[str]) -> list[tuple[str, bool]]:
    """Return each field of an order, and whether it is descending."""
    return [(name.removeprefix("-"), name.startswith("-")) for name in order]


def _differ(order: list[str]) -> list[str]:
    twice = repeated([name for name, _ in keys(order)])
    if twice is not None:
        raise refuse("order_twice", f"{twice} is here twice; rows are ordered by it already")
    return order


def _alone(value: object) -> object:
    return [value] if isinstance(value, str) else value


Order = Annotated[
    list[FieldName],
    Field(min_length=1),
    AfterValidator(_differ),
    BeforeValidator(_alone, json_schema_input_type=FieldName | list[FieldName]),
]


def problems(order: Sequence[str], columns: Sequence[Column], *, where: str = "order") -> list[Problem]:
    """Return a problem for each field that is not there or has no order."""
    found = []
    for index, (name, _) in enumerate(keys(order)):
        column = resolve(columns, name)
        if column is None:
            found.append(Problem(f"{where}[{index}]", name, known(columns), "unknown_field"))
        elif column.type is FieldType.JSON:
            right = f"JSON has no order; name one of its properties, such as {name}.X"
            found.append(Problem(f"{where}[{index}]", name, right, "no_order"))
    return found
