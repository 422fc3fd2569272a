"""Bytes through a process of its own: for libraries that encrypt from file to file and hold Python's lock meanwhile.

The process reads what to encrypt from its standard input and writes the result to its standard output, so memory
stays flat and nothing in clear is on disk. What it needs to know comes first on its standard input, never in its
arguments or environment.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import IO

from include.connections import public_environment
from include.errors import Permanent
from include.settings import ROOT

INPUT, OUTPUT = "/dev/stdin", "/dev/stdout"
_PIECE_BYTES = 1 << 20
_LENGTH_BYTES = 8


def through(work: str, known: object, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what the function `module:name` makes of the chunks: called with `known`, it copies INPUT to OUTPUT.

    Raises Permanent when it fails, and what `chunks` raises; the process is ended then.
    """
    call = f"from {__name__} import child; child({work!r})"
    environment = {**public_environment(), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", call],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        made: SimpleQueue[bytes] = SimpleQueue()
        collector = Thread(target=_collect, args=(process.stdout, made), daemon=True)
        collector.start()
        try:
            try:
                message = pickle.dumps(known)
                _write(process.stdin, len(message).to_bytes(_LENGTH_BYTES, "big") + message)
                for chunk in chunks:
                    _write(process.stdin, chunk)
                    while not made.empty():
                        yield made.get()
                process.stdin.close()
            except BrokenPipeError:
                raise Permanent(_ending(work, process)) from None
            while piece := made.get():
                yield piece
        except BaseException:
            process.kill()
            collector.join()  # it reads what is closed next
            raise
        if process.wait() != 0:
            raise Permanent(_ending(work, process))


def child(work: str) -> None:
    """Be the new process."""
    size = int.from_bytes(_exactly(_LENGTH_BYTES), "big")
    known = pickle.loads(_exactly(size))  # noqa: S301 - from our own parent
    module, name = work.split(":")
    getattr(importlib.import_module(module), name)(known)


def first_line(error: BaseException) -> str:
    """Return what an error of the Rust libraries says, without the stack that follows it."""
    return str(error).strip().partition("\n")[0]


def _exactly(size: int) -> bytes:
    """Read so many bytes of standard input and no more: what follows is for the library."""
    held = b""
    while len(held) < size:
        piece = os.read(0, size - len(held))
        if not piece:
            raise EOFError("the parent has gone")
        held += piece
    return held


def _collect(stream: IO[bytes], made: SimpleQueue[bytes]) -> None:
    while piece := stream.read(_PIECE_BYTES):
        made.put(piece)
    made.put(b"")


def _write(stream: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[stream.write(view) :]


def _ending(work: str, process: subprocess.Popen[bytes]) -> str:
    """Return why the process ended; its errors hold no secret, since libraries do not quote keys."""
    assert process.stderr is not None
    said = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
    told = next((line for line in said if "Error: " in line), said[-1] if said else "it said nothing")
    return f"{work.partition(':')[0].rpartition('.')[2]}: encrypting failed ({process.wait()}): {told}"
