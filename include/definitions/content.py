"""What one file of an export holds: the model, the columns, the format; an export has one, a pack several."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from include.definitions.aggregation import Aggregation
from include.definitions.base import Strict, refuse
from include.definitions.conditions import Compare
from include.definitions.file import File
from include.definitions.filters import Filter
from include.definitions.names import FieldName, Identifier, Kind, LayoutName, Line, Options, repeated
from include.definitions.order import Order
from include.definitions.privacy import Privacy


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
    filters: Filter | None = None
    """Which rows: a filter, or a list of filters that must all hold; left out, every row."""
    layout: LayoutName | None = None
    """The columns of an existing system, by name, such as `voucherify.customer`."""
    fields: list[Chosen] | None = Field(None, min_length=1)
    """Columns in the order of the file: a column alone, or a mapping; left out, those of the layout, else all of the
    model's that are not personal or that `privacy` protects."""
    aggregation: Aggregation | None = None
    """Instead of `fields`: columns of groups of rows, each with its function."""
    order: Order | None = None
    """Fields that decide the order of the rows, a leading - is descending; left out, the model's order."""
    limit: int | None = Field(None, ge=1)
    """At most so many rows, the first ones in that order."""
    compare: Compare | None = None
    """Compare each file with the one delivered last."""
    privacy: Privacy | None = None
    """What happens to personal data on its way into the file."""
    file: File = Field(default_factory=lambda: File.model_validate({}))
    """What the file is like."""

    @property
    def named_fields(self) -> list[str] | None:
        """The fields whose values stand in the file by the author's word, None where neither list is given."""
        if self.aggregation is not None:
            return [chosen.field for chosen in self.aggregation if chosen.shows_values]
        return None if self.fields is None else [choice.field for choice in self.fields]

    @model_validator(mode="after")
    def _fields_or_aggregation(self) -> Self:
        if self.fields is not None and self.aggregation is not None:
            right = "an aggregation names its own fields: leave out fields"
            raise refuse("fields_and_aggregation", right, at="fields")
        return self

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
    if_missing: Literal["fail", "leave_out"] = "fail"
    """Where the ledger lacks a relation that the model needs: the run fails, or makes the other files of the pack, and
    its manifest says what was left out."""

    def named(self, template: str, **file: str) -> Part:
        """Return it with a file name, its own template or else this one, and with other keys of `file`."""
        update = {"name": self.file.name or template, **file}
        return self.model_copy(update={"file": self.file.model_copy(update=update)})
