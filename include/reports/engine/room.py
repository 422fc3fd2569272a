"""Memory that is given back: of freed blocks, and of the numbers of an account that is too large for memory.

Such numbers are arrays in scratch files, mapped into memory. A thread gives their pages back to the kernel as
soon as many are resident, so that memory does not follow the rows of one account, whatever code walks over the
arrays. What is given back stays in its file, and mostly in the kernel's cache.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

RESIDENT_BYTES = 8 << 20
# What a process may hold before freed memory goes back. Pages that are needed again cost time: of 10 million rows,
# giving them back after each partition took some 7 of 87 s, and the next one held as much again.
_HELD_BYTES = 320 << 20
_HELD_BYTES_BETWEEN = 448 << 20
_SECONDS = 0.002
_STATM = Path("/proc/self/statm")
_RESIDENT, _IN_FILES = 1, 2  # its fields: pages that are resident, and those of them that lie in files


class Room:
    """Gives zeroed arrays, each in an unnamed file of `folder` that goes with it. Close it, or use it as a context.

    resident: about how many bytes of all arrays together stay in memory.
    """

    def __init__(self, folder: Path, resident: int = RESIDENT_BYTES) -> None:
        self._folder = folder
        self._resident = resident
        self._maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, count: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return `count` zeros."""
        bytes_count = count * np.dtype(dtype).itemsize
        if not bytes_count:
            return np.zeros(0, dtype)
        with TemporaryFile(dir=self._folder) as file:
            # Reserved, so that a full disk is an error here and not the end of the process at some later write.
            os.posix_fallocate(file.fileno(), 0, bytes_count)
            mapped = mmap.mmap(file.fileno(), bytes_count)
        with self._lock:
            self._maps.add(mapped)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="room", daemon=True)
                self._thread.start()
        return np.frombuffer(mapped, dtype)

    def close(self) -> None:
        """Stop giving pages back; arrays live on as long as they are used."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        least = _bytes(_IN_FILES)
        while not self._closed.wait(_SECONDS):
            now = _bytes(_IN_FILES)
            least = min(least, now)
            if now - least >= self._resident or now == 0:
                self._give_back_all()
                least = _bytes(_IN_FILES)

    def _give_back_all(self) -> None:
        with self._lock:
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


def give_back(*, between: bool = False) -> None:
    """Return freed memory to the system, where much is held: the C library keeps what lies between blocks in use.

    between: the like of what ended comes next and needs the same blocks, so that more may be held.
    """
    if not 0 < _bytes(_RESIDENT) < (_HELD_BYTES_BETWEEN if between else _HELD_BYTES):
        pa.default_memory_pool().release_unused()


def _bytes(field: int) -> int:
    """Return the bytes of a field of statm, 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
