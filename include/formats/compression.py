"""Compression: none, gzip, zip, zstd. The bytes depend on the content alone: no time, no name, no thread count.

gzip is one member. Its stream is cut into blocks of one size, deflated apart from each other on threads by
`deflate`, which gives the same bytes on every processor, each ending at a byte boundary, and joined; the checksum
is that of the whole. zip holds one entry dated 1980-01-01, with ZIP64 fields from the start, since a stream does
not know how long it will be.

The modules with compiled code are imported by who deflates: most that import this one only ask for names.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

import numpy as np
from isal import isal_zlib

from include.formats import zstd
from include.formats.parallel import ordered_map

Kind = Literal["none", "gzip", "zip", "zstd"]
EXTENSIONS: dict[Kind, str] = {"none": "", "gzip": ".gz", "zip": ".zip", "zstd": ".zst"}
MEDIA_TYPES: dict[Kind, str | None] = {
    "none": None,
    "gzip": "application/gzip",
    "zip": "application/zip",
    "zstd": "application/zstd",
}
BLOCK_BYTES = 1 << 20
_GZIP_HEADER = bytes([31, 139, 8, 0, 0, 0, 0, 0, 0, 255])  # deflate, no name, time 0, system unknown
_ZIP_VERSION, _ZIP_FLAGS, _ZIP_METHOD, _ZIP_TIME, _ZIP_DATE = 45, 0x0808, 8, 0, 0x21
_MAX32 = 0xFFFFFFFF


def compress(kind: Kind, chunks: Iterable[bytes], entry_name: str) -> Iterator[bytes]:
    """Yield the compressed stream of `chunks`; `entry_name` is the file's name inside a zip."""
    if kind == "none":
        return iter(chunks)
    if kind == "gzip":
        return _gzip(chunks)
    if kind == "zstd":
        return zstd.compressed(b"".join(parts) for parts in _blocks(chunks))
    return _zip(chunks, entry_name)


def _blocks(chunks: Iterable[bytes]) -> Iterator[Sequence[memoryview]]:
    """Yield the same bytes in blocks of BLOCK_BYTES, the last one shorter, each in the parts that it came in."""
    held: list[memoryview] = []
    free = BLOCK_BYTES
    for chunk in chunks:
        view = memoryview(chunk)
        while len(view) >= free:
            yield [*held, view[:free]]
            view, held, free = view[free:], [], BLOCK_BYTES
        if len(view):
            held.append(view)
            free -= len(view)
    if held:
        yield held


class Deflated:
    """The checksum and length of everything deflated so far."""

    crc32 = 0
    bytes = 0
    deflated_bytes = 0


class _Workplace(threading.local):
    """What a thread deflates in, made once."""

    def __init__(self) -> None:
        from include.formats.deflate import room

        self.content = np.empty(BLOCK_BYTES, np.uint8)
        self.room = room(BLOCK_BYTES)


@cache
def _workplace() -> _Workplace:
    return _Workplace()


def _deflate_block(parts: Sequence[memoryview]) -> tuple[bytes, int, int]:
    from include.formats.deflate import deflate

    place, size = _workplace(), 0
    for part in parts:
        place.content[size : size + len(part)] = np.frombuffer(part, np.uint8)
        size += len(part)
    content = place.content[:size]
    return deflate(content, place.room), isal_zlib.crc32(content), size


def deflated(chunks: Iterable[bytes], total: Deflated) -> Iterator[bytes]:
    """Yield a whole deflate stream; `total` is right when it has ended."""
    from include.formats.deflate import STREAM_END

    _workplace()  # one for all threads that come
    for piece, crc32, size in ordered_map(_deflate_block, _blocks(chunks)):
        total.crc32 = isal_zlib.crc32_combine(total.crc32, crc32, size)
        total.bytes += size
        total.deflated_bytes += len(piece)
        yield piece
    total.deflated_bytes += len(STREAM_END)
    yield STREAM_END


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    total = Deflated()
    yield _GZIP_HEADER
    yield from deflated(chunks, total)
    yield struct.pack("<II", total.crc32, total.bytes & _MAX32)


def _zip(chunks: Iterable[bytes], entry_name: str) -> Iterator[bytes]:
    name = entry_name.encode()
    total = Deflated()
    # Sizes and checksum follow the data (flag 8); the empty ZIP64 field says that they have 8 bytes each.
    common = struct.pack("<HHHHH", _ZIP_VERSION, _ZIP_FLAGS, _ZIP_METHOD, _ZIP_TIME, _ZIP_DATE)
    local_extra = struct.pack("<HHQQ", 1, 16, 0, 0)
    header = b"PK\x03\x04" + common + struct.pack("<IIIHH", 0, _MAX32, _MAX32, len(name), len(local_extra))
    header += name + local_extra
    yield header
    yield from deflated(chunks, total)
    sizes = struct.pack("<QQ", total.deflated_bytes, total.bytes)
    descriptor = b"PK\x07\x08" + struct.pack("<I", total.crc32) + sizes
    yield descriptor
    directory_at = len(header) + total.deflated_bytes + len(descriptor)
    extra = struct.pack("<HHQQ", 1, 16, total.bytes, total.deflated_bytes)
    made_by = (3 << 8) | _ZIP_VERSION
    entry = b"PK\x01\x02" + struct.pack("<H", made_by) + common
    entry += struct.pack(
        "<IIIHHHHHII", total.crc32, _MAX32, _MAX32, len(name), len(extra), 0, 0, 0, 0o644 << 16, 0
    )
    entry += name + extra
    yield entry
    fields = (44, made_by, _ZIP_VERSION, 0, 0, 1, 1, len(entry), directory_at)
    yield b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", *fields)
    yield b"PK\x06\x07" + struct.pack("<IQI", 0, directory_at + len(entry), 1)
    yield b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, _MAX32, _MAX32, 0)


def decompress(kind: Kind, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip stream, piece by piece; raises ValueError for damage or a short end."""
    if kind == "none":
        yield from chunks
        return
    stream = isal_zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            piece = stream.decompress(chunk, 1 << 20)
            while piece:
                yield piece
                piece = stream.decompress(stream.unconsumed_tail, 1 << 20)
            if stream.unused_data:
                raise ValueError("bytes after the end of the gzip member")
    except isal_zlib.error as error:  # type: ignore[misc]
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError("the gzip stream ends early")
