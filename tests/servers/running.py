"""Real servers for tests: started on loopback on a free port, ended by process id. Helpers, not tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

UNPRIVILEGED = "nobody"
PG_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find(program: str) -> str | None:
    """The program's path: on PATH, or among Debian's versioned PostgreSQL programs."""
    versioned = str(PG_BIN / program) if PG_BIN and (PG_BIN / program).exists() else None
    return versioned or shutil.which(program)


def _as_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", UNPRIVILEGED, "--", *command] if os.geteuid() == 0 else command


def _wait(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 180
) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _listening(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def _end(process: subprocess.Popen[bytes], how: int) -> None:
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Process:
    """A server's process, which a test may stop and start again: same command, folder and ports.

    how: the signal that ends it.
    """

    command: list[str]
    log: Path
    ready: Callable[[], bool]
    how: int
    folder: Path = Path("/")
    more: Mapping[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Return when it is ready."""
        with self.log.open("wb") as out:
            self.running = subprocess.Popen(
                self.command, stdout=out, stderr=out, cwd=self.folder, env={**os.environ, **self.more}
            )
        _wait(self.ready, self.running, self.log)

    def stop(self, how: int | None = None) -> None:
        """Return when it is gone."""
        _end(self.running, how or self.how)

    @contextmanager
    def at_work(self) -> Iterator[Process]:
        """Run it for the length of the block."""
        try:
            self.start()
            yield self
        finally:
            if hasattr(self, "running"):
                self.stop()


@contextmanager
def postgres_server(folder: Path, *, settings: dict[str, str] | None = None) -> Iterator[str]:
    """A PostgreSQL server in `folder`; yields `postgresql://postgres@127.0.0.1:PORT/postgres`."""
    with postgres_process(folder, settings=settings) as (url, _):
        yield url


@contextmanager
def postgres_process(
    folder: Path, *, settings: dict[str, str] | None = None
) -> Iterator[tuple[str, Process]]:
    """The same with its process, for tests that stop it and start it again."""
    initdb, postgres = find("initdb"), find("postgres")
    if not initdb or not postgres:
        raise FileNotFoundError("PostgreSQL is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "data", free_port()
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, UNPRIVILEGED)
        for parent in [folder, *folder.parents]:  # pytest's temporary folders are closed to other users
            if parent.stat().st_mode & 0o111 != 0o111:
                parent.chmod(parent.stat().st_mode | 0o111)
    initdb_command = [
        initdb,
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    subprocess.run(_as_user(initdb_command), check=True, capture_output=True, cwd="/")
    chosen = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "shared_buffers": "128MB",
        "maintenance_work_mem": "256MB",
        **(settings or {}),
    }
    with _postgres(postgres, data, port, chosen, folder / "postgres.log") as served:
        yield served


@contextmanager
def postgres_standby(folder: Path, primary: str, *, settings: dict[str, str]) -> Iterator[str]:
    """A standby of the server `primary` (whose `wal_level` is `replica`), streaming from it; yields its URL."""
    basebackup, postgres = find("pg_basebackup"), find("postgres")
    if not basebackup or not postgres:
        raise FileNotFoundError("PostgreSQL is not installed")
    data, port = folder / "data", free_port()
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
    command = [basebackup, "-d", primary, "-D", str(data), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    subprocess.run(_as_user(command), check=True, capture_output=True, cwd="/")
    chosen = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", **settings}
    with _postgres(postgres, data, port, chosen, folder / "postgres.log") as (url, _):
        yield url


@contextmanager
def _postgres(
    postgres: str, data: Path, port: int, settings: dict[str, str], log: Path
) -> Iterator[tuple[str, Process]]:
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    # runuser forwards signals poorly: exec through setpriv keeps one process that we can signal.
    command = [postgres, "-D", str(data), "-p", str(port), *options]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={UNPRIVILEGED}", "--clear-groups", "--", *command]
    process = Process(command, log, lambda: b"ready to accept" in log.read_bytes(), signal.SIGINT)
    try:
        with process.at_work():
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres", process
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server that keeps nothing on disk; yields `redis://127.0.0.1:PORT/0`."""
    program = find("redis-server")
    if not program:
        raise FileNotFoundError("Redis is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with Process(command, folder / "redis.log", _listening(port), signal.SIGTERM, folder).at_work():
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def mariadb_server(folder: Path, options: tuple[str, ...] = ("--skip-log-bin",)) -> Iterator[str]:
    """A MariaDB server in `folder`; yields `mysql+pymysql://root@127.0.0.1:PORT/ledger`."""
    install, server = find("mariadb-install-db"), find("mariadbd")
    if not install or not server:
        raise FileNotFoundError("MariaDB is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "data", free_port()
    user = [f"--user={'root' if os.geteuid() == 0 else os.environ.get('USER', 'mysql')}"]
    common = ["--no-defaults", f"--datadir={data}", *user]
    subprocess.run(
        [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    log = folder / "mariadb.log"
    command = [
        server, *common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M",
        "--innodb-doublewrite=0", *options,
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            _wait(_listening(port), process, log)
            import pymysql

            with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection:
                connection.cursor().execute("create database ledger character set utf8mb4")
            yield f"mysql+pymysql://root@127.0.0.1:{port}/ledger"
        finally:
            _end(process, signal.SIGTERM)
            shutil.rmtree(data, ignore_errors=True)
