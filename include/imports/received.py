"""A file as it arrives: its bytes in a folder of work, hashed and counted on the way."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from include.errors import BadInput, Problem

LARGEST_BYTES = 2 << 30  # of a file as it is sent
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Received:
    """A file in a folder of work; sha256 is that of the bytes as they were sent."""

    path: Path
    sha256: str
    bytes: int


def receive(source: BinaryIO | Path, folder: Path, *, limit: int = LARGEST_BYTES) -> Received:
    """Copy a file into the folder. Raises BadInput when it is larger than `limit` bytes."""
    digest, count, path = hashlib.sha256(), 0, folder / "received"
    with ExitStack() as stack:
        stream = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        out = stack.enter_context(path.open("wb"))
        while piece := stream.read(_COPY_BYTES):
            count += len(piece)
            if count > limit:
                right = f"a file has at most {limit} bytes; split it, or pack it with zip or gzip"
                raise BadInput([Problem("file", f"more than {limit} bytes", right, "file_too_large")])
            digest.update(piece)
            out.write(piece)
    return Received(path, digest.hexdigest(), count)
