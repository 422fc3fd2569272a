"""Processes forked from the tests' own: for work that is killed, stopped or measured on its way."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

# Longer than any such work takes, so that one that hangs fails its test and not the whole run.
LONGEST_SECONDS = 300


def forked(work: Callable[[], int | None], *, failing: dict[type[Exception], int] | None = None) -> int:
    """Fork a process that does this and never comes back; returns its id.

    It ends with what the work returns, 0 for None, with the code of an error named in `failing`, otherwise with 9.
    """
    child = os.fork()
    if child:
        return child
    try:
        # What the tests have left as garbage is not this process's: a JVM's objects would talk on a shared socket.
        gc.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
        os._exit(work() or 0)
    except Exception as error:
        for kind, code in (failing or {}).items():
            if isinstance(error, kind):
                os._exit(code)
        raise
    finally:
        os._exit(9)


def ended(child: int) -> int:
    """Wait for a forked process: its exit code, or minus the signal that killed it."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code != -signal.SIGALRM, f"a forked process did not end in {LONGEST_SECONDS} s"
    return code


def kill_at(module: Any, name: str, number: int) -> None:
    """Let this process be killed when `module.name` is called for the n-th time."""
    calls, genuine = count(1), getattr(module, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return genuine(*arguments, **options)

    setattr(module, name, counted)
