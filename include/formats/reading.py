"""Reading back a file that was delivered: its bytes as they were before compression, and its rows as texts."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, cast

from include.formats import zstd
from include.formats.manifest import ManifestFile


class Unpacked(io.RawIOBase):
    """The unpacked bytes of a file, hashed as they are read. A context manager."""

    def __init__(self, path: Path, stated: ManifestFile) -> None:
        self._stated = stated
        self._stack = ExitStack()
        self._source: IO[bytes] = self._stack.enter_context(path.open("rb"))
        self.hash = hashlib.sha256()
        self.bytes = 0
        if stated.compression == "gzip":
            self._enter(cast("IO[bytes]", gzip.GzipFile(fileobj=self._source)))
        elif stated.compression == "zip":
            archive = self._stack.enter_context(zipfile.ZipFile(self._source))
            names = archive.namelist()
            if len(names) != 1:
                raise ValueError(f"a zip of one entry has {len(names)}")
            self._enter(archive.open(names[0]))
        elif stated.compression == "zstd":
            self._enter(cast("IO[bytes]", zstd.Reader(self._source)))

    def _enter(self, source: IO[bytes]) -> None:
        self._source = source
        self._stack.callback(source.close)

    def rows(self) -> Iterator[Sequence[str | None]]:
        """Yield the rows as the texts of their cells, parsed by another library than wrote them.

        Raises ValueError that names the row where the file is not what its manifest describes.
        """
        file = self._stated.file_options()
        buffered = cast("BinaryIO", io.BufferedReader(self, 1 << 20))
        return file.kind().read(buffered, self._stated.written_columns(), file.format_options())

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill the buffer; return how many bytes came, 0 at the end."""
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self.hash.update(data)
        self.bytes += len(data)
        return len(data)

    def drain(self) -> None:
        """Read what the parser left, so that the hash is that of the whole."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        # The parser closes its stream at its end; the hash needs what comes after, so `__exit__` closes.
        """Do nothing yet."""

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def unpack_bundle(path: Path, folder: Path) -> None:
    """Lay the files of an archive into a folder, under their bare names. Raises zipfile's errors and OSError."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as source, (folder / Path(entry.filename).name).open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
