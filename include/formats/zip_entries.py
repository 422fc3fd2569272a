"""A zip archive of several entries as a stream: dated 1980-01-01, so that the same contents give the same bytes.

What belongs here: the archives that are file formats themselves (XLSX). Their readers know no ZIP64, so an entry, and
all of it, ends at 4 GiB. (A file that is compressed for its delivery is one entry, in `compression`.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from include.errors import BadInput, Problem
from include.formats.compression import Deflated, deflated

_VERSION, _FLAGS, _METHOD, _TIME, _DATE = 20, 0x0808, 8, 0, 0x21  # sizes follow the data; names are UTF-8
_COMMON = struct.pack("<HHHHH", _VERSION, _FLAGS, _METHOD, _TIME, _DATE)
_UNIX, _MODE = 3 << 8, 0o644 << 16
_MOST = 0xFFFFFFFF


class ZipEntries:
    """Give each entry in turn, then `end`; what they yield, one after the other, is the archive."""

    def __init__(self) -> None:
        self._directory: list[bytes] = []
        self._at = 0

    def entry(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield an entry. Raises BadInput where it grows beyond what the archive can hold."""
        encoded, begins, total = name.encode(), self._at, Deflated()
        yield self._gone(b"PK\x03\x04" + _COMMON + struct.pack("<IIIHH", 0, 0, 0, len(encoded), 0) + encoded)
        for piece in deflated(chunks, total):
            if total.bytes > _MOST or self._at > _MOST:
                right = "the file grows beyond the 4 GiB that a workbook can hold; split it, or choose fewer fields"
                raise BadInput([Problem(name, f"{total.bytes:,} bytes", right, "workbook_too_large")])
            yield self._gone(piece)
        sizes = struct.pack("<III", total.crc32, total.deflated_bytes, total.bytes)
        yield self._gone(b"PK\x07\x08" + sizes)
        about = struct.pack("<HHHHHII", len(encoded), 0, 0, 0, 0, _MODE, begins)
        made_by = struct.pack("<H", _UNIX | _VERSION)
        self._directory.append(b"PK\x01\x02" + made_by + _COMMON + sizes + about + encoded)

    def end(self) -> bytes:
        """Return the directory, with which the archive ends."""
        directory, count = b"".join(self._directory), len(self._directory)
        return directory + struct.pack(
            "<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), self._at, 0
        )

    def _gone(self, data: bytes) -> bytes:
        self._at += len(data)
        return data
