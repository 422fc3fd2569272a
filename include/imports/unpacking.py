"""What a received file is, by its bytes and not by its name: CSV, a workbook, or one of them packed in zip or gzip.

No name in an archive becomes a path; sizes are counted while bytes come out.
"""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, BinaryIO, Literal, cast

from include.errors import BadInput, Problem
from include.imports.rows import Limits

_START_BYTES = 512
_FREE_BYTES = 16 << 20  # a file this small may be packed as well as it likes
_ZIP, _GZIP, _OLD_OFFICE = b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0"
_WORKBOOK = "xl/workbook.xml"
_EMPTY_ZIP = b"PK\x05\x06"
_BY_MACOS = "__MACOSX/"
_ENCRYPTED = 1
_SAVE_AS = "save the file as CSV UTF-8 or as .xlsx"
_BROKEN = (zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Content:
    """The content of a file: its first byte stands next. notes: sentences on how it came out of its wrapping."""

    kind: Literal["csv", "xlsx"]
    stream: BinaryIO
    notes: tuple[str, ...] = ()


@contextmanager
def content(path: Path, name: str, limits: Limits, scratch: Path | None = None) -> Iterator[Content]:
    """Give the content of a file. Raises BadInput where it is nothing that an import reads, or a bomb.

    scratch: the folder for what must be unpacked to be read; None: the system's.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        with told_when_broken(name):
            opened = _opened(stack, file, path.stat().st_size, name, limits, scratch)
        yield opened


@contextmanager
def told_when_broken(name: str) -> Iterator[None]:
    """Raise BadInput where a packed file turns out to be damaged while it is read."""
    try:
        yield
    except _BROKEN as error:
        right = f"the file is damaged or was cut off ({error}); send it again"
        raise BadInput([Problem(name, "", right, "damaged_archive")]) from error


def _opened(
    stack: ExitStack, file: BinaryIO, size: int, name: str, limits: Limits, scratch: Path | None
) -> Content:
    start = file.read(_START_BYTES)
    file.seek(0)
    if start.startswith(_GZIP):
        packed = stack.enter_context(closing(gzip.GzipFile(fileobj=file)))
        counted = _Counted(cast("IO[bytes]", packed), size, name, limits)
        return _inner(stack, counted, "unpacked with gzip", limits, scratch)
    if start.startswith((_ZIP, _EMPTY_ZIP)):
        archive = stack.enter_context(zipfile.ZipFile(file))
        if _WORKBOOK in archive.namelist():
            _check_sizes(archive.infolist(), name, limits)
            file.seek(0)
            return Content("xlsx", file)
        entry = _only_entry(archive, name, limits)
        opened = _Counted(stack.enter_context(archive.open(entry)), entry.compress_size, name, limits)
        return _inner(stack, opened, f"{PurePosixPath(entry.filename).name} of the zip", limits, scratch)
    _refuse_others(start, name)
    return Content("csv", file)


def _inner(stack: ExitStack, packed: _Counted, note: str, limits: Limits, scratch: Path | None) -> Content:
    """Return what a packed file holds. A workbook, which is read here and there, goes to a nameless file."""
    stream = io.BufferedReader(cast("io.RawIOBase", packed), 1 << 20)
    start = stream.peek(_START_BYTES)
    if start.startswith(_ZIP):
        book = stack.enter_context(TemporaryFile(dir=scratch))  # noqa: SIM115 (the stack closes it)
        shutil.copyfileobj(stream, book)
        archive = stack.enter_context(zipfile.ZipFile(book))
        if _WORKBOOK in archive.namelist():
            _check_sizes(archive.infolist(), packed.name, limits)
            book.seek(0)
            return Content("xlsx", cast("BinaryIO", book), (note,))
    if start.startswith((_ZIP, _GZIP)):
        right = "a packed file in a packed file; send the inner one"
        raise BadInput([Problem(packed.name, note, right, "packed_twice")])
    _refuse_others(start, packed.name)
    return Content("csv", cast("BinaryIO", stream), (note,))


def _only_entry(archive: zipfile.ZipFile, name: str, limits: Limits) -> zipfile.ZipInfo:
    """Return the one file in a zip; folders, and what macOS adds, are none."""
    entries = [e for e in archive.infolist() if not e.is_dir() and not e.filename.startswith(_BY_MACOS)]
    names = [entry.filename for entry in entries]
    if len(entries) != 1:
        right = "a zip must hold one file, the one to import"
        raise BadInput([Problem(name, ", ".join(names[:10]) or "no file", right, "zip_entries")])
    path = PurePosixPath(names[0].replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        right = "the name in the zip leaves its folder; pack the file again under a plain name"
        raise BadInput([Problem(name, names[0], right, "zip_path")])
    if entries[0].flag_bits & _ENCRYPTED:
        right = "the zip has a password; send it without one"
        raise BadInput([Problem(name, names[0], right, "encrypted")])
    if entries[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        right = "the zip is packed by a method that is not the usual one; pack it again as a plain zip"
        raise BadInput([Problem(name, names[0], right, "zip_method")])
    _check_sizes(entries, name, limits)
    return entries[0]


def _check_sizes(entries: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    """Refuse by what an archive says of itself; zipfile gives no more bytes of an entry than it says."""
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    _check_size(size, packed, name, limits)


def _check_size(size: int, packed: int, name: str, limits: Limits) -> None:
    if size > limits.unpacked_bytes:
        right = f"a file has at most {limits.unpacked_bytes} bytes once unpacked; split it"
        raise BadInput([Problem(name, f"{size} bytes", right, "file_too_large")])
    if size > max(_FREE_BYTES, limits.ratio * packed):
        right = f"it unpacks to more than {limits.ratio} times its size, as a zip bomb does; send it unpacked"
        raise BadInput([Problem(name, f"{size} bytes from {packed}", right, "zip_bomb")])


def _refuse_others(start: bytes, name: str) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table")):
        right = "is a web page (HTML, of a login perhaps) and no table; download the file again"
    elif text.startswith(b"<"):
        right = f"is XML and no table; {_SAVE_AS}"
    elif start.startswith(_OLD_OFFICE):
        right = f"is an old or a locked workbook; {_SAVE_AS}, without a password"
    elif start.startswith(b"%PDF"):
        right = f"is a PDF; {_SAVE_AS}"
    else:
        return
    shown = start[:40].decode("ascii", "replace") if text.startswith(b"<") else ""
    raise BadInput([Problem(name, shown, right, "not_a_table")])


class _Counted(io.RawIOBase):
    """The bytes of a packed file, counted against what it may hold."""

    def __init__(self, source: IO[bytes], packed: int, name: str, limits: Limits) -> None:
        self._source, self._packed, self.name, self._limits = source, packed, name, limits
        self._count = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill the buffer; return how many bytes came. Raises BadInput beyond the limits."""
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        _check_size(self._count, self._packed, self.name, self._limits)
        return len(data)
