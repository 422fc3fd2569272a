"""Rule: what is started together stays up together and ends together, children of children included."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from include.errors import Permanent
from include.orchestration import services

pytestmark = pytest.mark.slow

# Stands for a service: writes down its own number and its child's, and lives on.
STUB = """#!/bin/sh
sleep 300 &
echo "$$ $!" >>"$STARTED"
wait
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    stub = tmp_path / "airflow"
    stub.write_text(STUB)
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STARTED": str(tmp_path / "started")}


def started(environment: dict[str, str], count: int) -> list[list[int]]:
    """Wait until the stub has started `count` times; return each start's process and child."""
    until = time.monotonic() + 120
    while True:
        file = Path(environment["STARTED"])
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= count:
            return [[int(number) for number in line.split()] for line in lines]
        assert time.monotonic() < until, lines
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(process: int) -> bool:
    """A signal has been sent; the kernel acts on it in its own time."""
    until = time.monotonic() + 60
    while alive(process) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(process)


def test_a_service_that_dies_is_started_again_and_leaves_no_child(environment, tmp_path):
    processes = {"scheduler": services._start(("scheduler",), environment, tmp_path / "log")}
    with services._kept_alive(processes, environment, tmp_path):
        ((first, child),) = started(environment, 1)
        os.kill(first, signal.SIGKILL)
        _, (second, second_child) = started(environment, 2)
        assert gone(child)
        assert alive(second)
    services._end(list(processes.values()))
    assert gone(second)
    assert gone(second_child)


def test_ending_on_purpose_starts_nothing_again(environment, tmp_path):
    processes = {"scheduler": services._start(("scheduler",), environment, tmp_path / "log")}
    with services._kept_alive(processes, environment, tmp_path):
        started(environment, 1)
    services._end(list(processes.values()))
    time.sleep(1.5)
    assert len(started(environment, 1)) == 1


def test_one_that_ends_at_once_is_named_with_the_end_of_its_log(environment, tmp_path):
    (tmp_path / "airflow").write_text("#!/bin/sh\necho no such table: job\nexit 3\n")
    processes = {"scheduler": services._start(("scheduler",), environment, tmp_path / "scheduler.log")}
    processes["scheduler"].wait()
    client = services.Client("http://127.0.0.1:9", "admin", "x")
    with pytest.raises(Permanent, match=r"scheduler ended with 3: no such table: job"):
        services._wait_until_healthy(client, processes, tmp_path, 5)
