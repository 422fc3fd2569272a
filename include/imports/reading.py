"""A received file as typed rows: opened, its header understood, its rows streamed in batches with their problems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from include.errors import BadInput, Problem
from include.imports import header, modes
from include.imports.csv_records import Records
from include.imports.header import DELIMITERS, Header
from include.imports.modes.mode import ModeFile
from include.imports.rows import LIMITS, Batch, Limits, Raw
from include.imports.typed import Typed
from include.imports.unpacking import Content, content, told_when_broken
from include.imports.workbook import Workbook

_COLUMNS = 1000


@dataclass
class ImportFile:
    """A file whose header is right. notes: sentences on how it was read. Its rows can be read once."""

    name: str
    kind: Literal["csv", "xlsx"]
    header: Header
    mode: ModeFile
    notes: tuple[str, ...]
    _raw: Iterator[Raw]
    _typed: Typed

    @property
    def columns(self) -> dict[str, str]:
        """Return by field the header that it is read from."""
        return {field: self.header.names[place] for field, place in self.header.columns.items()}

    @property
    def ignored(self) -> tuple[str, ...]:
        """Return the headers that this mode does not read, in order."""
        return self.header.ignored

    def batches(self) -> Iterator[Batch]:
        """Yield every row in order. Blank rows are none, but count in `row`.

        Raises BadInput where the rest of the file cannot be read, and where there is no row at all.
        """
        rows = 0
        with told_when_broken(self.name):
            raw = next(self._raw, None)
        while raw is not None:
            batch = self._typed.batch(raw)
            rows += batch.rows.num_rows
            if batch.rows.num_rows:
                yield batch
            with told_when_broken(self.name):
                raw = next(self._raw, None)
        self._typed.forget()
        if not rows:
            right = "there is a header and no row under it"
            raise BadInput([Problem(self.name, "", right, "no_rows")])


@contextmanager
def open_file(
    path: Path,
    *,
    name: str,
    mode: str,
    now: datetime,
    keep_repeats: bool = False,
    limits: Limits = LIMITS,
    scratch: Path | None = None,
) -> Iterator[ImportFile]:
    """Give a file, opened and its header checked.

    now (with a zone): when points begin that begin at once, which durations count from. keep_repeats: rows that
    stand twice are meant. scratch: the folder for what must be unpacked to be read; None: the system's. Raises BadInput
    with all problems of the file's form and header.
    """
    chosen = modes.load(mode)
    with content(path, name, limits, scratch) as opened:
        with told_when_broken(name):
            found, notes, raw = _table(opened, name, chosen, limits)
        typed = Typed(found, chosen, now, keep_repeats=keep_repeats)
        unread = (f"columns that are not read: {', '.join(found.ignored)}",) if found.ignored else ()
        yield ImportFile(name, opened.kind, found, chosen, notes + unread, raw, typed)


def _table(
    opened: Content, name: str, mode: ModeFile, limits: Limits
) -> tuple[Header, tuple[str, ...], Iterator[Raw]]:
    if opened.kind == "xlsx":
        book = Workbook(opened.stream, name)
        found = _header(book.first(), name, mode)
        return found, opened.notes + book.notes, book.batches(len(found.names))
    records = Records(opened.stream, name, limits.record_bytes)
    line = records.first()
    if "\0" in line:
        right = "the first row holds NUL bytes, so this is no text file; save it as CSV UTF-8"
        raise BadInput([Problem(f"{name}: header", line[:40], right, "nul_byte")])
    try:
        cells, delimiter = header.split(line, mode)
    except ValueError as error:
        right = "the first row is not CSV; each header stands in quotes as a whole, or has none"
        raise BadInput([Problem(f"{name}: header", line, right, "header_not_csv")]) from error
    found = _header(cells, name, mode)
    encoding = () if records.encoding == "utf-8" else ("in UTF-16",)
    separated = (DELIMITERS[delimiter],) if DELIMITERS[delimiter] else ()
    return found, opened.notes + encoding + separated, records.batches(len(found.names), delimiter)


def _header(cells: list[str], name: str, mode: ModeFile) -> Header:
    if not any(cell.strip() for cell in cells):
        right = "the file is empty, or its first row is; the first row names the columns"
        raise BadInput([Problem(name, "", right, "empty_file")])
    if len(cells) > _COLUMNS:
        right = f"a file has at most {_COLUMNS} columns"
        raise BadInput([Problem(f"{name}: header", f"{len(cells)} columns", right, "too_many_columns")])
    found, problems = header.header_of(cells, mode, name)
    if problems:
        raise BadInput(problems)
    return found
