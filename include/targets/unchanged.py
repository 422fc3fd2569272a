"""Is a local file still what was hashed? By what the file system says of it; else by hashing it once more.

A file is hashed when a delivery begins, and read again while it goes out. Hashing it twice costs a tenth of an upload
on loopback, so a file that the file system says nobody touched since is taken for the same.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

# Two changes within one step of a file system's clock look like one; the longest step that is in use is 2 s (FAT).
_CLOCK_STEP_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What the file system says of a file: every change of its bytes, however made, changes one of these."""

    device: int
    inode: int
    bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return the stamp that is in this answer."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file that is hashed next; None where it changed so lately that a stamp proves nothing."""
    found = Stamp.of(path.stat())
    newest = max(found.modified_ns, found.changed_ns)
    return found if newest < time.time_ns() - _CLOCK_STEP_NS else None


class Reading:
    """A file as it is read: each piece is shown to `take`, and `holds` says in the end whether it was the file.

    stamp: of the file when its hash was found; None: the pieces are hashed, each while the next one is on its way.
    """

    def __init__(self, file: BinaryIO, sha256: str, stamp: Stamp | None, beside: ThreadPoolExecutor) -> None:
        self._file, self._sha256, self._stamp, self._beside = file, sha256, stamp, beside
        self._digest = hashlib.sha256()
        self._hashed: Future[None] | None = None

    def take(self, piece: bytes) -> None:
        """Hear the next piece."""
        if self._stamp is None:
            self._wait()
            self._hashed = self._beside.submit(self._digest.update, piece)

    def holds(self) -> bool:
        """Say whether all that was taken, up to the end of the file, is what was hashed before."""
        if self._stamp is not None:
            return Stamp.of(os.fstat(self._file.fileno())) == self._stamp
        self._wait()
        return self._digest.hexdigest() == self._sha256

    def _wait(self) -> None:
        if self._hashed is not None:
            self._hashed.result()


@contextmanager
def reading(path: Path, sha256: str, stamp: Stamp | None) -> Iterator[tuple[BinaryIO, Reading]]:
    """Open a file to be sent, with what tells whether it is the file of that hash."""
    with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
        yield file, Reading(file, sha256, stamp, beside)
