"""Run a stage in a process of its own: allocators keep what a stage took, and a crash of one stays there.

The process is a fresh interpreter that imports only the stage: neither Airflow nor the command line come with it.
Secrets travel to it as a `Secrets` argument, through the pipe; its environment holds none of ours.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from include.acting import acting, acting_name
from include.connections import Secrets, public_environment
from include.errors import Transient, portable
from include.lifeline import end_with
from include.pipeline.context import Progress
from include.pipeline.scrubbing import scrubbed
from include.settings import ROOT

# Allocators that give memory back, and one arena for all threads; read when a process starts.
MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
# Arrow looks for pandas when it first makes an array of a list: a third of a second and 30 MiB that no stage needs.
_WITHOUT_PANDAS = """
import sys
class WithoutPandas:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, WithoutPandas())
"""


def in_process(stage: str, *arguments: Any, progress: Progress) -> Any:
    """Return what the function `module:name` returns for `(*arguments, progress=...)`, computed in a new process.

    Arguments, results and errors travel by pickle, errors with the secrets in them hidden. Raises what the function
    raised, and Transient when the process was killed (out of memory, for example). The process ends when this one
    does.
    """
    ours, theirs = Pipe()
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    call = f"{_WITHOUT_PANDAS}from {__name__} import child; child({theirs.fileno()}, {os.getpid()})"
    environment = {**MEMORY, **public_environment(), "PYTHONPATH": paths}
    with (
        subprocess.Popen([sys.executable, "-c", call], pass_fds=[theirs.fileno()], env=environment) as child,
        ours,
    ):
        theirs.close()
        try:
            ours.send((stage, arguments, acting_name()))
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
    end_with(parent)
    pipe = Connection(descriptor)

    def report(stage: str, rows_done: int, rows_total: int | None) -> None:
        pipe.send(("progress", (stage, rows_done, rows_total)))

    stage, arguments, who = pipe.recv()
    module, name = stage.split(":")
    _open_many_files()
    try:
        work: Callable[..., Any] = getattr(importlib.import_module(module), name)
        gc.freeze()  # what is imported is no garbage until the end: to look through it again and again takes time
        with acting(who):
            result = work(*arguments, progress=report)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
        secrets = next((each for each in arguments if isinstance(each, Secrets)), None)
        pipe.send(("error", carried(error, secrets)))
    else:
        pipe.send(("result", result))
    pipe.close()
    gc.unfreeze()


def carried(error: BaseException, secrets: Secrets | None) -> BaseException:
    """Return the error with its traceback as a note and its secrets hidden; what cannot travel becomes its text."""

    def scrub(text: str) -> str:
        return secrets.scrub(text) if secrets else text

    note = scrub("".join(traceback.format_exception(error)))
    try:
        hidden = scrubbed(error, scrub)
    except Exception:  # noqa: BLE001 - an error whose like cannot be made from a text alone
        hidden = RuntimeError(scrub(f"{type(error).__name__}: {error}"))
    return portable(hidden, note)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _open_many_files() -> None:
    """Allow as many open files as the system does: a stage over 100 million members writes a thousand at a time."""
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, most):  # where the limit says so, it is another one that counts
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
