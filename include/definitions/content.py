"""What one file of an export holds: the model, the columns, the format; an export has one, a pack several."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from include.definitions.base import Strict, refuse
from include.definitions.file import File
from include.definitions.names import FieldName, Identifier, Kind, Line, Options, repeated


def _field_alone(value: object) -> object:
    """`points` is short for `{field: points}`."""
    return {"field": value} if isinstance(value, str) else value


class FieldChoice(Strict):
    """One column of the file."""

    field: FieldName
    """Column of the model, or of the layout; `metadata.city` is one property of a JSON column."""
    header: Line | None = None
    """Its header in the file; the column's own name when left out."""

    @property
    def title(self) -> str:
        """The header that stands in the file."""
        return self.header or self.field


Chosen = Annotated[FieldChoice, BeforeValidator(_field_alone, json_schema_input_type=FieldName | FieldChoice)]


class Content(Strict):
    """What one file holds and is like: the rows, how they are shaped, and the format."""

    options: Options
    """Options of the model."""
    fields: list[Chosen] | None = Field(None, min_length=1)
    """Columns in the order of the file: a column alone, or a mapping; left out, all of the model's."""
    file: File = Field(default_factory=lambda: File.model_validate({}))
    """What the file is like."""

    @field_validator("fields")
    @classmethod
    def _headers_differ(cls, value: list[FieldChoice] | None) -> list[FieldChoice] | None:
        twice = repeated([unicodedata.normalize("NFC", choice.title) for choice in value or []])
        if twice:
            raise refuse("header_twice", f"the header {twice} is here twice; give one of them another")
        return value


class Part(Content):
    """One export of a pack."""

    id: Identifier
    """Tells it apart within the pack; `{export}` in file names."""
    model: Kind
    """What is exported: a report, or a relation of the ledger."""

    def named(self, template: str) -> Part:
        """Return it with a file name: its own template, or else this one."""
        file = self.file if self.file.name else self.file.model_copy(update={"name": template})
        return self.model_copy(update={"file": file})
