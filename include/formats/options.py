"""What a definition says about its file: format, the format's options, compression; checked all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include import formats, kinds
from include.errors import BadInput, Problem
from include.formats import compression
from include.formats.compression import Kind
from include.ledger.columns import Column


class Format(Protocol):
    """What a format's file offers; its name is what a definition says."""

    KIND: str
    EXTENSION: str
    MEDIA_TYPE: str
    Options: type[BaseModel]

    def encode(
        self, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Any
    ) -> Iterator[bytes]:
        """Yield the file's bytes, also when there are no rows; they do not depend on how rows are batched."""

    def read(self, file: BinaryIO, columns: Sequence[Column], options: Any) -> Iterator[Sequence[str | None]]:
        """Yield the rows of a file, read by another library than wrote it: the text of each cell, or None.

        Numbers come with a decimal point, and texts as they were before neutralising. Raises ValueError that
        says in which row the file is not what `columns` and `options` describe.
        """


class FileOptions(BaseModel):
    """The file of an export. `options` are those of the format's own model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = "csv"
    options: Mapping[str, Any] = Field(default_factory=dict)
    compression: Kind = "gzip"

    def kind(self) -> Format:
        """Return the module of the format."""
        return cast("Format", kinds.load(formats, self.format, where="file.format"))

    def format_options(self) -> BaseModel:
        """Return the format's options with their defaults filled in."""
        return self.kind().Options.model_validate(dict(self.options))

    @property
    def extension(self) -> str:
        """The end of the file's name: `.csv.gz`."""
        return self.kind().EXTENSION + compression.EXTENSIONS[self.compression]

    @property
    def media_type(self) -> str:
        """The media type of the file as it is delivered."""
        return compression.MEDIA_TYPES[self.compression] or self.kind().MEDIA_TYPE


def file_problems(document: object, where: str = "file") -> list[Problem]:
    """Return everything that is wrong with the `file` part of a definition; empty when it can be used."""
    if isinstance(document, Mapping):  # the name's template is the definition's business
        document = {key: value for key, value in document.items() if key != "name"}
    try:
        file = FileOptions.model_validate(document)
    except ValidationError as error:
        found = _problems(error, where)
        if not isinstance(document, Mapping) or any(problem.where == f"{where}.options" for problem in found):
            return found
        # The rest is wrong in its own right; the format's options can be told in the same breath.
        inner = {key: document[key] for key in ("format", "options") if key in document}
        return [*found, *_option_problems(inner, where)]
    return _option_problems(file.model_dump(), where)


def file_options(document: object, where: str = "file") -> FileOptions:
    """Return the checked options; raise BadInput with all problems."""
    if problems := file_problems(document, where):
        raise BadInput(problems)
    known = {key: value for key, value in dict(document).items() if key != "name"}  # type: ignore[call-overload]
    return FileOptions.model_validate(known)


def _option_problems(document: Mapping[str, Any], where: str) -> list[Problem]:
    name = document.get("format", "csv")
    if not isinstance(name, str):
        return []
    try:
        module = cast("Format", kinds.load(formats, name, where=f"{where}.format"))
    except BadInput as error:
        return list(error.problems)
    try:
        module.Options.model_validate(dict(document.get("options", {})))
    except ValidationError as error:
        return _problems(error, f"{where}.options", tuple(module.Options.model_fields))
    return []


def _problems(error: ValidationError, where: str, known: Sequence[str] = ()) -> list[Problem]:
    known = known or tuple(FileOptions.model_fields)
    problems = []
    for detail in error.errors():
        place = ".".join([where, *(str(step) for step in detail["loc"])])
        right = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            right = f"is not known here; known are {', '.join(known)}"
        value = detail["input"] if detail["loc"] else ""
        problems.append(Problem(place, str(value), right, detail["type"]))
    return problems
