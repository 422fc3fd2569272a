"""Run a stage in a process of its own: allocators keep what a stage took, and a crash of one stays there.

The process is a fresh interpreter that imports only the stage: neither Airflow nor the command line come with it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from include.errors import Transient
from include.pipeline.context import Progress
from include.settings import ROOT

# Allocators that give memory back, and one arena for all threads; read when a process starts.
MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


def in_process(stage: str, *arguments: Any, progress: Progress) -> Any:
    """Return what the function `module:name` returns for `(*arguments, progress=...)`, computed in a new process.

    Arguments, results and errors travel by pickle. Raises what the function raised, and Transient when the process
    was killed (out of memory, for example). The process ends when this one does.
    """
    ours, theirs = Pipe()
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    call = f"from {__name__} import child; child({theirs.fileno()}, {os.getpid()})"
    environment = {**MEMORY, **os.environ, "PYTHONPATH": paths}
    with (
        subprocess.Popen([sys.executable, "-c", call], pass_fds=[theirs.fileno()], env=environment) as child,
        ours,
    ):
        theirs.close()
        try:
            ours.send((stage, arguments))
            while True:
                kind, value = ours.recv()
                if kind == "progress":
                    progress(*value)
                    continue
                if kind == "error":
                    raise value  # noqa: TRY301 - it comes from the other process
                return value
        except (EOFError, ConnectionResetError, BrokenPipeError):
            raise Transient(f"{stage}: its process ended with {_ending(child.wait())}") from None
        except BaseException:
            child.kill()
            raise


def child(descriptor: int, parent: int) -> None:
    """Be the new process: work for what comes through the pipe with this file descriptor."""
    _end_with(parent)
    pipe = Connection(descriptor)

    def report(stage: str, rows_done: int, rows_total: int | None) -> None:
        pipe.send(("progress", (stage, rows_done, rows_total)))

    stage, arguments = pipe.recv()
    module, name = stage.split(":")
    try:
        work: Callable[..., Any] = getattr(importlib.import_module(module), name)
        result = work(*arguments, progress=report)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
        pipe.send(("error", _portable(error)))
    else:
        pipe.send(("result", result))
    pipe.close()


def _portable(error: BaseException) -> BaseException:
    """Return the error with its traceback as a note; one that pickle cannot carry becomes its text."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - any failure means that it cannot travel
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with(parent: int) -> None:
    """Ask the kernel (Linux) to end this process when its parent is gone."""
    import ctypes

    with contextlib.suppress(OSError):
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
