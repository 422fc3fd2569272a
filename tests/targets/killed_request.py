"""A delivery by HTTP in a process of its own that kills itself at a point."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.forks import ended, forked


def killed_at(point: int, deliver: Callable[[], object], count: Path) -> bool:
    """Deliver in a forked process; whether it killed itself, else `count` says how many points there are.

    point: before the n-th piece of a request that goes out (half of it goes), or after the n-th reply has begun to
    come in.
    """

    def work() -> None:
        passed = _watched(point)
        deliver()
        count.write_text(str(passed()))

    how = ended(forked(work))
    assert how in (0, -signal.SIGKILL)
    return how != 0


def _watched(point: int) -> Callable[[], int]:
    """Let this process be killed at the point; returns what tells how many it has passed."""
    passed = 0
    whole, begun = http.client.HTTPConnection.send, http.client.HTTPConnection.getresponse

    def is_it() -> bool:
        nonlocal passed
        passed += 1
        return passed == point + 1

    def send(self, data):
        if is_it():
            view = memoryview(data) if isinstance(data, bytes) else data
            whole(self, view[: len(view) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, data)

    def getresponse(self):
        answer = begun(self)
        if is_it():
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    http.client.HTTPConnection.send = send
    http.client.HTTPConnection.getresponse = getresponse
    return lambda: passed
