"""Run a stage in a process of its own: allocators keep what a stage took, and a crash of one stays there."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from include.errors import Transient
from include.pipeline.context import Progress

# Allocators that give memory back, and one arena for all threads; read when a process starts.
MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


def in_process(work: Callable[..., Any], *arguments: Any, progress: Progress) -> Any:
    """Return `work(*arguments, progress=...)`, computed in a new process.

    Arguments, results and errors travel by pickle. Raises what `work` raised, and Transient when the process was
    killed (out of memory, for example). The process ends when this one does.
    """
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=_child, args=(theirs, os.getpid(), work, arguments))
    child.start()
    theirs.close()
    try:
        while True:
            kind, value = ours.recv()
            if kind == "progress":
                progress(*value)
            elif kind == "error":
                raise value
            else:
                return value
    except EOFError:
        child.join()
        raise Transient(f"{work.__name__}: its process ended with {_ending(child.exitcode)}") from None
    finally:
        ours.close()
        child.join(5)
        if child.is_alive():
            child.kill()
            child.join()


def _child(pipe: Connection, parent: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _end_with(parent)

    def report(stage: str, rows_done: int, rows_total: int | None) -> None:
        pipe.send(("progress", (stage, rows_done, rows_total)))

    try:
        result = work(*arguments, progress=report)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
        pipe.send(("error", _portable(error)))
    else:
        pipe.send(("result", result))
    finally:
        pipe.close()


def _portable(error: BaseException) -> BaseException:
    """Return the error with its traceback as a note; one that pickle cannot carry becomes its text."""
    import pickle
    import traceback

    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - any failure means that it cannot travel
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with(parent: int) -> None:
    """Ask the kernel (Linux) to end this process when its parent is gone."""
    try:
        import ctypes

        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)
    except OSError:
        return
    if os.getppid() != parent:
        os._exit(1)


def _ending(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
