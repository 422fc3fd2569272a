"""Zstandard: one frame with a checksum, made on one thread, so that its bytes depend on the content alone.

(And on the version of the library, which is pinned: another version may choose other matches.)
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import IO

import zstandard

LEVEL = 3


def compressed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frame of blocks that are all of one size, but for the last."""
    stream = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, threads=0).compressobj()
    for block in blocks:
        if piece := stream.compress(block):
            yield piece
    yield stream.flush()


class Reader(io.RawIOBase):
    """The content of a frame; reading raises ValueError where the frame is damaged."""

    def __init__(self, source: IO[bytes]) -> None:
        self._stream = zstandard.ZstdDecompressor().stream_reader(source, closefd=False)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill the buffer; return how many bytes there were, 0 at the end."""
        try:
            return self._stream.readinto(buffer)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
