"""A stream as a file that can be read anywhere, for readers of formats whose table of contents is at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO


@contextmanager
def seekable(file: BinaryIO) -> Iterator[IO[bytes]]:
    """Give a temporary copy, which has a name, of what is left of the stream."""
    with tempfile.NamedTemporaryFile(prefix="loyalty-read-") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        copy.seek(0)
        yield copy
