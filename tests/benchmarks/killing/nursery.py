"""A process that has imported everything and no thread, and forks one attempt after the other: `... nursery MODULE`.

Each line of standard input is an attempt, as JSON: `point` to kill it at, or `after` so many seconds, or neither, and
what MODULE's `attempt(task, points)` wants. Each line of standard output says how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Self

from tests.benchmarks.killing.points import Points

LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class End:
    """How an attempt ended. killed: at which point, "a moment" for a time; said: else what it returned or raised.

    points: how many it passed, where it came to its end.
    """

    killed: str = ""
    said: str = ""
    points: int = 0


class Nursery:
    """The process, seen from the one that has the servers. A context manager."""

    def __init__(self, module: str, python: str = sys.executable) -> None:
        command = [python, "-m", "tests.benchmarks.killing.nursery", module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def attempt(self, **task: Any) -> End:
        """Let one attempt be made."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery ended")
        return End(**json.loads(line))


def _forked(module: Any, task: dict[str, Any]) -> dict[str, Any]:
    hear, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(hear)
        try:
            points = Points(task.get("point"), lambda label: _write(tell, {"killed": label}))
            said = module.attempt(task, points)
            _write(tell, {"said": said, "points": points.passed})
            os._exit(0)
        finally:
            os._exit(9)
    os.close(tell)
    return _ended(child, hear, task.get("after"))


def _ended(child: int, hear: int, after: float | None) -> dict[str, Any]:
    """Wait for the attempt, and kill it in time."""
    end = time.monotonic() + (LONGEST_SECONDS if after is None else after)
    told = b""
    with os.fdopen(hear, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
            if not (piece := pipe.read(65_536)):
                break
            told += piece
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told += pipe.read() or b""
            if not told:
                return {"killed": "a moment"} if after is not None else {"said": "hung"}
            return json.loads(told)
    os.waitpid(child, 0)
    return json.loads(told) if told else {"said": "died"}


def _write(pipe: int, document: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(document).encode())


if __name__ == "__main__":
    print_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anybody prints must not look like an answer
    loaded = importlib.import_module(sys.argv[1])
    gc.freeze()  # a collection would copy all pages into each fork
    for line in sys.stdin:
        print_to.write(json.dumps(_forked(loaded, json.loads(line))) + "\n")
        print_to.flush()
    os._exit(0)
