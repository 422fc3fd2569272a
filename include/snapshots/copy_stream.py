"""The bytes of one COPY TO STDOUT (FORMAT binary), taken from libpq in blocks of whole rows by compiled code.

A driver that makes an object of every row, or calls a reader for every value, takes longer than the server
needs to send them: that was most of the time of an extraction.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
from llvmlite import binding
from numba import int32, intp, types, void
from numpy.typing import NDArray
from psycopg import errors, pq

from include.ledger.compiled import compiled

BLOCK_BYTES = 4 << 20
_FULL = 0  # PQgetCopyData says -1 at the end and -2 when it failed

_next_row: Any = types.ExternalFunction("PQgetCopyData", int32(intp, intp, int32))
_free_row: Any = types.ExternalFunction("PQfreemem", void(intp))
_copy_bytes: Any = types.ExternalFunction("memcpy", intp(intp, intp, intp))


def _bind() -> None:
    """Let compiled code find the libpq that psycopg itself uses: its extension module is linked with it."""
    if pq.__impl__ == "python":
        raise ImportError("psycopg is installed without its compiled part: install psycopg[binary]")
    libpq = ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)
    for name in ("PQgetCopyData", "PQfreemem"):
        binding.add_symbol(name, ctypes.cast(getattr(libpq, name), ctypes.c_void_p).value)


_bind()


class CopyStream:
    """One COPY on a connection that is in a database transaction; nothing else may be asked until it ends."""

    def __init__(self, connection: psycopg.Connection, sql: str) -> None:
        """Start the copy; raises psycopg.Error when the server refuses."""
        self._pgconn: Any = connection.pgconn  # its pointer is documented, but not in its protocol
        self._row = np.zeros(
            2, np.int64
        )  # the address and the bytes of a row that did not fit into its block
        self.is_open = False
        result = self._pgconn.exec_(f"COPY ({sql}) TO STDOUT (FORMAT binary)".encode())
        if result.status != pq.ExecStatus.COPY_OUT:
            raise errors.error_from_result(result)
        self.is_open = True

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """Yield uint8 arrays of whole rows, each good until the next; psycopg.Error when the copy breaks off."""
        block = np.empty(BLOCK_BYTES, np.uint8)
        while self.is_open:
            used, state = _fill(self._pgconn.pgconn_ptr, block, self._row)
            if state != _FULL:
                self._finish()
            if used:
                yield block[:used]
            if self._row[1] > block.size:
                block = np.empty(int(self._row[1]), np.uint8)

    def drain(self) -> None:
        """Read the rest and throw it away: to cancel would end the database transaction."""
        for _ in self.blocks():
            pass

    def _finish(self) -> None:
        self.is_open = False
        failed = None
        while (result := self._pgconn.get_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = failed or errors.error_from_result(result)
        if self._pgconn.status == pq.ConnStatus.BAD and failed is None:
            failed = psycopg.OperationalError(self._pgconn.get_error_message())
        if failed is not None:
            raise failed


def compile_now() -> None:
    """Compile what takes rows from libpq, without a server: libpq gives nothing of a connection that is none."""
    _fill(0, np.empty(1, np.uint8), np.zeros(2, np.int64))


@compiled
def _fill(connection: int, block: NDArray[np.uint8], row: NDArray[np.int64]) -> tuple[int, int]:
    """Put rows into the block until the next one does not fit; return the bytes used and why it stopped."""
    used = 0
    while True:
        if row[1] == 0:
            length = _next_row(connection, row.ctypes.data, np.int32(0))
            if length < 0:
                return used, length
            row[1] = length
        if used + row[1] > block.size:
            return used, _FULL
        _copy_bytes(block.ctypes.data + used, row[0], row[1])
        _free_row(row[0])
        used += row[1]
        row[1] = 0
