"""What goes into the spreadsheet: the rows of the parcel's files, by tab, read as their manifest describes them."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from include.errors import BadInput, Permanent, Problem, Transient
from include.formats.hashes import file_sha256
from include.formats.manifest import SUFFIX, Manifest, ManifestFile, read_manifest
from include.formats.reading import Unpacked, unpack_bundle
from include.formats.styles import TextStyle
from include.ledger.columns import Column
from include.targets.protocol import Parcel
from include.targets.sheets.cells import Row, checked, reader_of, utc_text

if TYPE_CHECKING:
    from include.targets.google_sheets import Options

TITLE_CHARACTERS = 100
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Piece:
    """One file whose rows go to a tab."""

    path: Path
    stated: ManifestFile
    parcel_name: str


@dataclass(frozen=True)
class Table:
    """What one tab gets: the rows of one file, or of the parts of one export, one after another."""

    tab: str
    pieces: tuple[Piece, ...]
    options: Options

    @property
    def columns(self) -> list[Column]:
        """Return the columns of all its files."""
        return self.pieces[0].stated.written_columns()

    @property
    def rows(self) -> int:
        """Return how many rows its files have, without a header."""
        return sum(piece.stated.rows for piece in self.pieces)

    @property
    def header(self) -> list[str]:
        """Return the first row where there is a header."""
        return [column.name for column in self.columns]

    @property
    def height(self) -> int:
        """Return how many rows of the spreadsheet it takes, at least one."""
        return max(1, self.rows + self.options.header)

    def values(self, zone: str) -> Iterator[Row]:
        """Yield the rows, without the header, as values of cells; instants are seen in `zone`."""
        columns, number = self.columns, 0
        for piece in self.pieces:
            style = piece.stated.file_options().format_options()
            read = [
                reader_of(
                    column,
                    style if isinstance(style, TextStyle) else None,
                    zone,
                    instants=self.options.instants,
                )
                for column in columns
            ]
            try:
                with Unpacked(piece.path, piece.stated) as content:
                    for row in content.rows():
                        number += 1
                        values = [
                            None if text is None else make(text) for text, make in zip(row, read, strict=True)
                        ]
                        yield checked(values, number, columns)
            except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
                raise Permanent(f"{piece.stated.name}: cannot be read: {error}") from error


@dataclass(frozen=True)
class Delivery:
    """A parcel as tables, and what its manifest says of its age."""

    parcel: Parcel
    manifest: Manifest
    manifest_sha256: str
    tables: tuple[Table, ...]

    @property
    def key(self) -> str:
        """Return what stamps are made of: another one after a person has said that nothing arrived."""
        word = self.parcel.accepted.word if self.parcel.accepted else None
        return self.parcel.key if word is None or word.arrived else f"{self.parcel.key} {word.at.isoformat()}"

    @property
    def age(self) -> str:
        """Return what sorts deliveries of one export: its instant, then its revision."""
        moment = self.manifest.origin.as_of or self.manifest.origin.interval_end
        return f"{utc_text(moment)} {self.manifest.origin.revision:06}"

    @property
    def period(self) -> str:
        """Return what tells periods of an export apart, whatever their revision."""
        origin = self.manifest.origin
        told = [
            origin.export_id,
            *(utc_text(each) if each else "" for each in (origin.interval_start, origin.as_of)),
        ]
        return hashlib.sha256("\0".join(told).encode()).hexdigest()[:8]


@contextmanager
def delivery_of(options: Options, parcel: Parcel) -> Iterator[Delivery]:
    """Read the parcel. Raises BadInput with everything that cannot be shown."""
    with TemporaryDirectory(prefix="sheets-") as scratch:
        found = next((file for file in parcel.files if file.name.endswith(SUFFIX)), None)
        if found is None:
            right = "rows are read as the manifest describes them, and this parcel has none"
            raise BadInput([Problem("parcel", parcel.key, right, "no_manifest")])
        for file in parcel.files:
            if file_sha256(file.path) != file.sha256:
                raise Transient(
                    f"{file.path} is not the file that was rendered ({file.sha256[:12]}...); nothing was delivered"
                )
        manifest = read_manifest(found.path)
        pieces = _pieces(manifest, parcel, Path(scratch))
        tables = _tables(options, manifest, parcel, pieces)
        yield Delivery(parcel, manifest, found.sha256, tables)


def _pieces(manifest: Manifest, parcel: Parcel, scratch: Path) -> list[Piece]:
    paths = {file.name: file.path for file in parcel.files}
    sealed = [stated.name for stated in manifest.files if stated.encryption is not None]
    if sealed:
        right = (
            "is encrypted, and a sheet holds rows: leave out file.encryption, or deliver it to another target"
        )
        raise BadInput([Problem("file", name, right, "encrypted") for name in sealed])
    origin = {}
    if manifest.bundle is not None:
        origin = {stated.name: manifest.bundle.name for stated in manifest.files}
        unpack_bundle(paths[manifest.bundle.name], scratch)
        paths = {stated.name: scratch / stated.name for stated in manifest.files}
    return [
        Piece(paths[stated.name], stated, origin.get(stated.name, stated.name)) for stated in manifest.files
    ]


def _tables(options: Options, manifest: Manifest, parcel: Parcel, pieces: list[Piece]) -> tuple[Table, ...]:
    """Group the files by the tab that they go to."""
    by_tab: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_tab.setdefault(_tab_of(options, manifest, parcel, piece), []).append(piece)
    problems = []
    for tab, several in by_tab.items():
        if len({(piece.stated.columns, piece.stated.export, piece.stated.holds) for piece in several}) > 1:
            right = "several exports go to one tab; put {export} or {file} into its name"
            problems.append(Problem("tab", tab, right, "doubled_tab"))
        names = {column.name for column in several[0].stated.columns}
        problems += [
            Problem(
                "key", name, f"is none of the columns of {tab}: {', '.join(sorted(names))}", "unknown_key"
            )
            for name in options.key
            if name not in names
        ]
    if problems:
        raise BadInput(problems)
    return tuple(Table(tab, tuple(several), options) for tab, several in by_tab.items())


def _tab_of(options: Options, manifest: Manifest, parcel: Parcel, piece: Piece) -> str:
    stated = piece.stated
    more = {
        "export": stated.export or manifest.origin.export_id,
        "file": stated.name.removesuffix(stated.file_options().extension),
    }
    title = filled(options.tab, parcel, manifest, more)[:TITLE_CHARACTERS]
    return f"{title[: TITLE_CHARACTERS - 10]} (changes)" if stated.holds == "changes" else title


def filled(template: str, parcel: Parcel, manifest: Manifest, more: Mapping[str, str] | None = None) -> str:
    """Return a title with its placeholders filled in; none of the values is looked into for braces."""
    about = parcel.about
    values = {
        "id": manifest.origin.export_id,
        "name": about.name or manifest.origin.export_id,
        "period": about.period,
        "as_of": about.as_of,
        "revision": str(manifest.origin.revision),
        **(more or {}),
    }
    text = re.sub(r"\{([a-z_]+)\}", lambda match: values[match[1]], template)
    return _UNPRINTABLE.sub(" ", text).strip().lstrip(".'") or "Export"
