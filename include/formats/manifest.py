"""The manifest beside the files of a run: what is in them, where that came from, which manifest came before.

It is delivered after its files, so a manifest that can be seen speaks of files that are whole. Its bytes are
canonical: the same facts give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_serializer

from include.errors import BadInput, Problem
from include.formats.artefact import Artefact, write_whole
from include.formats.compression import Kind
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

SUFFIX = ".manifest.json"
SIGNED = SUFFIX + ".asc"
_HASH = r"^[0-9a-f]{64}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Origin(_Part):
    """Where the content came from: the run, its definition, its snapshot, its instants (all UTC)."""

    export_id: str
    definition_version: str
    run_key: str
    revision: int = 0
    snapshot_id: str
    code_version: str
    as_of: AwareDatetime | None = Field(None, description="T: rows created before it are in the state.")
    known_at: AwareDatetime | None = Field(None, description="K: rows recorded up to it are known.")
    interval_start: AwareDatetime | None = None
    interval_end: AwareDatetime | None = Field(None, description="The interval is half-open.")
    notes: tuple[str, ...] = Field(
        (), description="Sentences on what the figures rest on, such as a ledger without recorded_at."
    )

    @field_serializer("as_of", "known_at", "interval_start", "interval_end", when_used="json")
    def _utc(self, instant: datetime | None) -> str | None:
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z") if instant else None


class ManifestColumn(_Part):
    """One column of a file."""

    name: str
    type: FieldType


class Changes(_Part):
    """What changed in an export since the delivery before, whose manifest has the hash `against`."""

    against: str = Field(pattern=_HASH)
    added: int = Field(ge=0)
    removed: int = Field(ge=0)
    changed: int = Field(ge=0)
    sentence: str


class ManifestFile(_Part):
    """One file: its name, its bytes, how it is written, and what its rows add up to."""

    name: str
    export: str | None = Field(None, description="Which export of a pack it is.")
    holds: Literal["rows", "changes"] = "rows"
    changes: Changes | None = Field(None, description="Of the whole export, where its definition compares.")
    format: str
    options: dict[str, Any] = Field(
        description="All options of the format, also those left at their default."
    )
    compression: Kind
    media_type: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_HASH)
    encryption: str | None = Field(None, description="How it is encrypted; the bytes differ each time.")
    plain_bytes: int | None = Field(None, ge=0, description="Before encryption, where it is encrypted.")
    plain_sha256: str | None = Field(None, pattern=_HASH)
    uncompressed_bytes: int = Field(ge=0)
    uncompressed_sha256: str = Field(pattern=_HASH)
    columns: tuple[ManifestColumn, ...]
    rows: int = Field(ge=0)
    totals: dict[str, str] = Field(
        description="Exact sum of each points and money column; of money one for each currency that the file names."
    )
    id_column: str | None
    id_hash_total: str | None = Field(
        description="Sum of the 64-bit hashes of the ids, modulo 2**64, in hex."
    )

    def written_columns(self) -> list[Column]:
        """Return the columns as the format takes them."""
        return [Column(column.name, column.type) for column in self.columns]

    def file_options(self) -> FileOptions:
        """Return how the file was written."""
        return FileOptions(format=self.format, options=self.options, compression=self.compression)


class Bundle(_Part):
    """One archive that holds all files."""

    name: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_HASH)


class Manifest(_Part):
    """All of it; `previous_manifest_sha256` is the hash of the bytes of the export's manifest before it."""

    manifest: Literal[2] = 2
    name: str = Field(description="What the run is called; the name of its only file, where it has one.")
    origin: Origin
    files: tuple[ManifestFile, ...] = Field(min_length=1)
    bundle: Bundle | None = Field(None, description="The archive that holds the files, where there is one.")
    alerts: tuple[str, ...] = Field((), description="Totals that moved further than the definition allows.")
    sequence: int = Field(ge=1)
    previous_manifest_sha256: str | None = Field(None, pattern=_HASH)

    def canonical(self) -> bytes:
        """Return the manifest's bytes: JSON with sorted keys, two spaces, UTF-8, one line end."""
        document = self.model_dump(mode="json")
        return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()

    def sha256(self) -> str:
        """Return the hash that the next manifest names."""
        return hashlib.sha256(self.canonical()).hexdigest()


def file_entry(
    artefact: Artefact, columns: Sequence[Column], file: FileOptions, *, export: str | None = None
) -> ManifestFile:
    """Return what the manifest says of a file; it will be delivered under the artefact's own name."""
    return ManifestFile(
        name=artefact.path.name,
        export=export,
        format=file.format,
        options=file.format_options().model_dump(mode="json"),
        compression=file.compression,
        media_type=file.media_type,
        bytes=artefact.bytes,
        sha256=artefact.sha256,
        encryption=file.encryption.kind if file.encryption else None,
        plain_bytes=artefact.plain_bytes if file.encryption else None,
        plain_sha256=artefact.plain_sha256 if file.encryption else None,
        uncompressed_bytes=artefact.uncompressed_bytes,
        uncompressed_sha256=artefact.uncompressed_sha256,
        columns=tuple(ManifestColumn(name=column.name, type=column.type) for column in columns),
        rows=artefact.rows,
        totals=artefact.totals,
        id_column=artefact.id_column,
        id_hash_total=artefact.id_hash_total,
    )


def manifest_of(
    files: Sequence[ManifestFile],
    origin: Origin,
    *,
    sequence: int,
    previous: str | None,
    name: str | None = None,
    bundle: Bundle | None = None,
    alerts: Sequence[str] = (),
) -> Manifest:
    """Return the manifest of these files; `name` may be left out where there is one."""
    return Manifest(
        name=name or files[0].name,
        origin=origin,
        files=tuple(files),
        bundle=bundle,
        alerts=tuple(alerts),
        sequence=sequence,
        previous_manifest_sha256=previous,
    )


def is_about(name: str) -> bool:
    """Whether a delivered file is a manifest or its signature, and not data."""
    return name.endswith((SUFFIX, SIGNED))


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest into `folder` under its name and SUFFIX, whole or not at all."""
    path = folder / (manifest.name + SUFFIX)
    write_whole(path, [manifest.canonical()])
    return path


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file; raise BadInput with everything that is wrong with it."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(
            [Problem(str(path), path.name, f"cannot be read: {error.strerror}", "no_manifest")]
        ) from error
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            if detail["type"] == "json_invalid":
                problems.append(Problem(path.name, "", f"is no manifest: {detail['msg']}", "bad_manifest"))
                continue
            where = f"{path.name}: " + ".".join(str(step) for step in detail["loc"])
            problems.append(Problem(where, str(detail["input"]), detail["msg"], "bad_manifest"))
        raise BadInput(problems) from error
