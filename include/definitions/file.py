"""The file of an export: format, compression, encryption, split, name."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from include.definitions.base import Strict, refuse
from include.definitions.names import Kind, Options
from include.definitions.naming import template_problems
from include.definitions.split import Split

NAME = "{id}_{period}"
PACK_NAME = "{id}_{export}_{period}"


class FileEncryption(Strict):
    """How the file is encrypted."""

    kind: Kind
    """Kind of encryption."""
    options: Options
    """Options of the kind: recipients, signature, where a password is."""


class File(Strict):
    """What the file is like."""

    format: Kind = "csv"
    """Kind of format."""
    options: Options
    """Options of the format."""
    compression: Literal["none", "gzip", "zip", "zstd"] | None = None
    """How the file is compressed; by default gzip, and none for xlsx and parquet, which compress their content."""
    encryption: FileEncryption | None = None
    """How the file is encrypted, after compression; left out, not at all."""
    split: Split | None = None
    """Into what files the rows go; left out, all into one."""
    name: str | None = None
    """Template of its name, by default `{id}_{period}`, in a pack `{id}_{export}_{period}`; the extension is added."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        problems = template_problems(value) if value is not None else []
        if problems:
            raise refuse(problems[0][0], "; ".join(right for _, right in problems))
        return value

    @model_validator(mode="after")
    def _names_parts(self) -> Self:
        if self.split is None and "{part}" in (self.name or ""):
            raise refuse(
                "part_without_split", "{part} in a name needs a split: a file that is not split has no parts"
            )
        return self
