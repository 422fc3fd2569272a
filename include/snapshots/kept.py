"""Connections to a ledger that are kept for the next quick look: opening one costs more than what it then reads.

Between two looks nothing of the database is held but the connection. What is known of the ledger's tables is looked at
anew after a minute, so a column that comes or goes is seen then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from include.errors import LoyaltyError
from include.snapshots.reading import Reading
from include.snapshots.source import Source, open_read

MOST = 8
SECONDS = 60.0
_Key = tuple[str, str | None, int]


@dataclass
class _Kept:
    reading: Reading
    stack: ExitStack
    until: float


@dataclass
class Connections:
    """The connections that a process keeps, by source; those of a parent process are not ours to use."""

    _idle: dict[_Key, list[_Kept]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: int = 0

    @contextmanager
    def reading(self, source: Source) -> Iterator[Reading]:
        """Open a database transaction, as `open_read` does, on a connection that is there or a new one."""
        key = source.url, source.mapping_sha256, source.statement_seconds
        kept = self._again(key) or _opened(source)
        try:
            yield kept.reading
            kept.reading.rest()
        except BaseException:
            kept.stack.close()
            raise
        self._give_back(key, kept)

    def close(self) -> None:
        """Close those that nobody uses now."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in (each for some in idle.values() for each in some):
            kept.stack.close()

    def _again(self, key: _Key) -> _Kept | None:
        while (kept := self._taken(key)) is not None:
            if kept.until > time.monotonic():
                try:
                    kept.reading.again()
                except LoyaltyError:  # the database was restarted meanwhile, for example
                    kept.stack.close()
                    continue
                return kept
            kept.stack.close()
        return None

    def _taken(self, key: _Key) -> _Kept | None:
        with self._lock:
            if self._process != os.getpid():
                self._idle, self._process = {}, os.getpid()
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def _give_back(self, key: _Key, kept: _Kept) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if len(idle) < MOST:
                idle.append(kept)
                return
        kept.stack.close()


def _opened(source: Source) -> _Kept:
    with ExitStack() as stack:
        reading = stack.enter_context(open_read(source, values=False))
        return _Kept(reading, stack.pop_all(), time.monotonic() + SECONDS)
