"""How one export becomes several files."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from include.definitions.base import Strict, refuse
from include.definitions.names import Line


class Split(Strict):
    """Into what files the rows go: exactly one of `rows`, `bytes` and `field`."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """The most rows of a file."""
    together: Line | None = None
    """With `rows`: a column whose equal values, where rows follow each other, are never torn apart."""
    bytes: Annotated[int, Field(ge=1024)] | None = None
    """The most bytes of a file before compression; it ends with a whole row. For text formats."""
    field: Line | None = None
    """The column whose every value gets a file of its own."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """The most files that one run may make; more is an error, for it is hardly ever meant."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.rows, self.bytes, self.field)) != 1:
            raise refuse("split_by_what", "must hold exactly one of rows, bytes and field")
        if self.together is not None and self.rows is None:
            raise refuse("together_without_rows", "together goes with rows")
        return self
