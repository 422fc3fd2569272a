"""The small texts that name things in a definition, and what each may look like."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from include.definitions.base import refuse

IDENTIFIER = r"[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?"
KIND = r"[a-z][a-z0-9_]{0,62}"
LAYOUT = r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}"


def _identifier(value: str) -> str:
    if not re.fullmatch(IDENTIFIER, value):
        right = "must be 1 to 64 lower-case letters, digits, - and _, with a letter or digit at both ends"
        raise refuse("bad_identifier", right)
    return value


def _kind(value: str) -> str:
    if not re.fullmatch(KIND, value):
        raise refuse("bad_kind", "must be a name of lower-case letters, digits and _")
    return value


def _layout(value: str) -> str:
    if not re.fullmatch(LAYOUT, value):
        raise refuse("bad_layout", "must be a system and a layout of it, such as voucherify.customer")
    return value


def _line(value: str) -> str:
    if not 1 <= len(value) <= 200 or not value.isprintable() or value != value.strip():
        raise refuse("bad_text", "must be one line of 1 to 200 printable characters")
    return value


Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    Field(examples=["daily-balances"], json_schema_extra={"pattern": f"^{IDENTIFIER}$"}),
]
Kind = Annotated[str, AfterValidator(_kind), Field(json_schema_extra={"pattern": f"^{KIND}$"})]
Line = Annotated[str, AfterValidator(_line), Field(json_schema_extra={"minLength": 1, "maxLength": 200})]
Options = Annotated[dict[str, JsonValue], Field(default_factory=dict)]
FieldName = Line
LayoutName = Annotated[str, AfterValidator(_layout), Field(json_schema_extra={"pattern": f"^{LAYOUT}$"})]


def repeated(values: list[str]) -> str | None:
    """Return the first value that stands in the list twice."""
    return next((value for index, value in enumerate(values) if value in values[:index]), None)
