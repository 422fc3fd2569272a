"""The file of an export: format, compression, encryption, name."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from include.definitions.base import Strict, refuse
from include.definitions.names import Kind, Options
from include.definitions.naming import template_problems

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
    compression: Literal["none", "gzip", "zip"] = "gzip"
    """How the file is compressed."""
    encryption: FileEncryption | None = None
    """How the file is encrypted, after compression; left out, not at all."""
    name: str | None = None
    """Template of its name, by default `{id}_{period}`, in a pack `{id}_{export}_{period}`; the extension is added."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        problems = template_problems(value) if value is not None else []
        if problems:
            raise refuse(problems[0][0], "; ".join(right for _, right in problems))
        return value
