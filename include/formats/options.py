"""What a definition says about its file: format, the format's options, compression; checked all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include import formats, kinds
from include.definitions.base import strictly
from include.definitions.problems import right_of
from include.errors import BadInput, Problem
from include.formats import compression
from include.formats.compression import Kind
from include.formats.encryption import EncryptionOptions
from include.ledger.columns import Column

PACKED = frozenset({"parquet", "xlsx"})  # formats that compress their content themselves


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
    compression: Kind = Field(
        "gzip", description="gzip, but none for a format that compresses its content itself."
    )
    encryption: EncryptionOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _default(cls, document: Any) -> Any:
        if not isinstance(document, Mapping) or document.get("compression") is not None:
            return document
        return {**document, "compression": "none" if document.get("format") in PACKED else "gzip"}

    def kind(self) -> Format:
        """Return the module of the format."""
        return cast("Format", kinds.load(formats, self.format, where="file.format"))

    def format_options(self) -> BaseModel:
        """Return the format's options with their defaults filled in."""
        return self.kind().Options.model_validate(dict(self.options))

    @property
    def extension(self) -> str:
        """The end of the file's name: `.csv.gz`, `.csv.gz.gpg`."""
        sealed = self.encryption.module().EXTENSION if self.encryption else ""
        return self.kind().EXTENSION + compression.EXTENSIONS[self.compression] + sealed

    @property
    def media_type(self) -> str:
        """The media type of the file as it is delivered."""
        if self.encryption is not None:
            return self.encryption.module().MEDIA_TYPE
        return compression.MEDIA_TYPES[self.compression] or self.kind().MEDIA_TYPE


def file_problems(document: object, where: str = "file") -> list[Problem]:
    """Return everything that is wrong with the `file` part of a definition; empty when it can be used."""
    if isinstance(document, Mapping):
        document = _of_one_file(document)
    try:
        file = FileOptions.model_validate(document)
    except ValidationError as error:
        found = _problems(error, where)
        if not isinstance(document, Mapping) or any(problem.where == f"{where}.options" for problem in found):
            return found
        # The rest is wrong in its own right; the format's options can be told in the same breath.
        inner = {key: document[key] for key in ("format", "options") if key in document}
        return [*found, *_option_problems(inner, where)]
    return [*_option_problems(file.model_dump(), where), *_encryption_problems(file.encryption, where)]


def file_options(document: object, where: str = "file") -> FileOptions:
    """Return the checked options; raise BadInput with all problems."""
    if problems := file_problems(document, where):
        raise BadInput(problems)
    return FileOptions.model_validate(_of_one_file(dict(document)))  # type: ignore[call-overload]


def _of_one_file(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is about one file: its name, and into how many it is split, are the definition's business."""
    return {key: value for key, value in document.items() if key not in {"name", "split"}}


def _option_problems(document: Mapping[str, Any], where: str) -> list[Problem]:
    name = document.get("format", "csv")
    if not isinstance(name, str):
        return []
    try:
        module = cast("Format", kinds.load(formats, name, where=f"{where}.format"))
    except BadInput as error:
        return list(error.problems)
    try:
        strictly(module.Options, document.get("options", {}))
    except ValidationError as error:
        return _problems(error, f"{where}.options", tuple(module.Options.model_fields))
    return []


def _encryption_problems(encryption: EncryptionOptions | None, where: str) -> list[Problem]:
    if encryption is None:
        return []
    try:
        model = encryption.module().Options
    except BadInput as error:
        return [
            Problem(f"{where}.encryption.kind", each.value, each.right, each.code) for each in error.problems
        ]
    try:
        strictly(model, encryption.options)
    except ValidationError as error:
        return _problems(error, f"{where}.encryption.options", tuple(model.model_fields))
    return []


def _problems(error: ValidationError, where: str, known: Sequence[str] = ()) -> list[Problem]:
    known = known or tuple(FileOptions.model_fields)
    problems = []
    for detail in error.errors():
        place = ".".join([where, *(str(step) for step in detail["loc"])])
        right = right_of(detail)
        if detail["type"] == "extra_forbidden":
            right = f"is not known here; known are {', '.join(known)}"
        value = detail["input"] if detail["loc"] else ""
        problems.append(Problem(place, str(value), right, detail["type"]))
    return problems
