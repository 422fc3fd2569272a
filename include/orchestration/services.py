"""Airflow on this machine as a context: its processes start together, are kept alive, and end together.

Each process leads a process group of its own, so that ending it ends the children that it made (a scheduler's
executor has many); should this process die by itself, the kernel sends each of them SIGTERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include.errors import Permanent
from include.orchestration import pools
from include.orchestration.client import Client
from include.orchestration.environment import USER, password, variables
from include.settings import ROOT

# Log servers are for workers on other machines; they would listen on every interface.
SERVICES = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
MOST_RESTARTS = 20
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Running:
    """An Airflow that answers: `environment` is for its command line, `client` for its REST interface."""

    home: Path
    url: str
    environment: dict[str, str]
    client: Client

    def command(self, *words: str, timeout: float = 120) -> str:
        """Run `airflow <words>`; return what it printed; raise Permanent with its error output if not 0."""
        done = subprocess.run(
            ["airflow", *words],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            raise Permanent(f"airflow {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout


@contextlib.contextmanager
def airflow(
    home: Path,
    *,
    port: int | None = None,
    services: tuple[str, ...] = tuple(SERVICES),
    extra: dict[str, str] | None = None,
    instead: dict[str, str] | None = None,
    start_seconds: float = 180,
) -> Iterator[Running]:
    """Migrate the database, start `services`, wait until all are healthy, yield, and end every process.

    extra: environment variables beside those of `environment.variables` (LOYALTY_*); instead: in place of
    them. Raises Permanent, with the end of the log of the process at fault, when one ends early or they are not
    healthy in time.
    """
    port = port or free_port()
    environment = {**variables(home, port, {**os.environ, **(extra or {})}), **(instead or {})}
    logs = home / "logs" / "services"
    logs.mkdir(parents=True, exist_ok=True)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        _migrate(environment, logs / "migrate.log")
        for name in services:
            started[name] = _start(SERVICES[name], environment, logs / f"{name}.log")
        client = Client(f"http://127.0.0.1:{port}", USER, password(home))
        _wait_until_healthy(client, started, logs, start_seconds)
        pools.ensure(client, environment["LOYALTY_POOL"], pools.slots())
        with _kept_alive(started, environment, logs):
            yield Running(home, client.url, environment, client)
    finally:
        _end(list(started.values()))


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _migrate(environment: dict[str, str], log: Path) -> None:
    with log.open("wb") as out:
        done = subprocess.run(
            ["airflow", "db", "migrate"], env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
    if done.returncode != 0:
        raise Permanent(f"Airflow's database could not be prepared: {_tail(log)}")


def _start(words: tuple[str, ...], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            ["airflow", *words],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing but one system call; no thread of ours holds a lock
        )


def _end_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere `_end` must do
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_healthy(
    client: Client, started: dict[str, subprocess.Popen[bytes]], logs: Path, seconds: float
) -> None:
    wanted = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
    waiting = {"api-server", *(wanted.get(name, name) for name in started)}
    until = time.monotonic() + seconds
    while waiting:
        for name, process in started.items():
            if process.poll() is not None:
                raise Permanent(
                    f"Airflow's {name} ended with {process.returncode}: {_tail(logs / f'{name}.log')}"
                )
        if time.monotonic() > until:
            late = {short: name for name, short in wanted.items()}
            tails = "\n".join(_tail(logs / f"{late.get(x, x)}.log") for x in sorted(waiting))
            raise Permanent(f"not healthy within {seconds:.0f} s: {', '.join(sorted(waiting))}\n{tails}")
        healthy = client.healthy()
        waiting -= healthy
        time.sleep(0.3)


@contextlib.contextmanager
def _kept_alive(
    started: dict[str, subprocess.Popen[bytes]], environment: dict[str, str], logs: Path
) -> Iterator[None]:
    """Start again what ends by itself: on SQLite a busy database can end a scheduler, as it may on a bad day."""
    over = threading.Event()

    def watch() -> None:
        for _ in range(MOST_RESTARTS):
            while not (ended := [name for name, process in started.items() if process.poll() is not None]):
                if over.wait(1):
                    return
            for name in ended:
                _end([started[name]])  # what it left in its group
                started[name] = _start(SERVICES[name], environment, logs / f"{name}.log")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _end(processes: list[subprocess.Popen[bytes]], grace_seconds: float = 15) -> None:
    """Ask the leaders, who end their own children in order, then make every group end."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    until = time.monotonic() + grace_seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, until - time.monotonic()))
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path, characters: int = 3000) -> str:
    return log.read_text("utf-8", "replace")[-characters:] if log.exists() else "(no log)"
