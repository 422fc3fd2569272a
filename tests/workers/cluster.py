"""Airflow with CeleryExecutor on loopback: Redis, PostgreSQL, an S3 server as the store, and workers.

What docker-compose.yaml tells Celery and the scheduler holds here too, but for how soon a silent task is given up. A
worker runs one task at a time and has scratch of its own; they share databases, store and the folder of the targets.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
import yaml

from include import sample
from include.errors import Transient
from include.orchestration import services
from include.orchestration.services import Running
from include.sample.plan import Plan
from include.settings import ROOT
from include.snapshots.bucket import Bucket
from tests.servers.buckets import Served, s3
from tests.servers.running import postgres_server, redis_server
from tests.servers.waiting import until
from tests.workers.naming import VARIABLE

EXPORTS = ("weekly-history", "daily-balances")
PLAN = Plan(customers=400, transactions=20_000)
SHARE_ROWS = 7_000  # so a run that books has three shares
STARTED, LATER = ("one", "two"), ("three",)  # workers; a test starts the later one when it needs it
# A worker that is busy gives a sign of life every 5 s (`workers.min_heartbeat_interval`).
SILENT_SECONDS = 30


@dataclass
class Worker:
    """One Celery worker of `airflow celery worker`; it takes one task at a time."""

    name: str
    environment: Mapping[str, str]
    log: Path
    scratch: Path
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def start(self) -> None:
        """Return at once: it takes tasks when it is ready."""
        words = (
            "celery",
            "worker",
            "--skip-serve-logs",
            "--celery-hostname",
            self.name,
            "--concurrency",
            "1",
        )
        environment = {**self.environment, VARIABLE: self.name, "LOYALTY_SCRATCH": str(self.scratch)}
        self.process = services._start(words, environment, self.log)

    def kill(self) -> None:
        """End it and all that it has started at once, as a machine that loses its power does."""
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        for how in (signal.SIGSTOP, signal.SIGKILL):  # what stands still starts nothing more
            for each in [main, *main.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(how)
        self.process.wait()
        self.process = None

    def end(self) -> None:
        """Let it end in order, and its children with it; nothing where it was never started."""
        services._end([self.process] if self.process else [])


@dataclass(frozen=True)
class Cluster:
    """Everything that runs, and `beside`: the environment of a command line with a state and a store of its own."""

    running: Running
    home: Path
    workers: Mapping[str, Worker]
    beside: Mapping[str, str]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by name, mapped ones as `deliver[0]`."""
        return {
            task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]": task
            for task in self.running.client.tasks(dag_id, run_id)
        }


@contextlib.contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Start all of it in `home`, which is a short path, with two workers; yield when Airflow knows its DAGs."""
    with contextlib.ExitStack() as stack:
        server = sa.make_url(stack.enter_context(postgres_server(home / "postgres")))
        urls = {name: _database(server, name) for name in ("airflow", "state", "ledger")}
        sample.load(urls["ledger"], PLAN)
        redis = stack.enter_context(redis_server(home / "redis"))
        (home / "s3").mkdir()
        served = stack.enter_context(s3(home / "s3"))
        exports = home / "exports"
        exports.mkdir()
        for name in EXPORTS:
            shutil.copy(ROOT / "include" / "exports" / f"{name}.yaml", exports)
        ledger = {
            "LOYALTY_LEDGER_URL": urls["ledger"],
            "LOYALTY_EXPORTS": str(exports),
            "LOYALTY_SETTLE_SECONDS": "1",
        }
        extra = {
            **ledger,
            **served.environment,
            "LOYALTY_STATE_URL": urls["state"],
            "LOYALTY_STORE": f"{served.url}/store",
            "LOYALTY_HOME": str(home),
            "LOYALTY_AIRFLOW_DATABASE_URL": urls["airflow"],
            "LOYALTY_SHARE_ROWS": str(SHARE_ROWS),
        }
        instead = {
            **_of_compose(),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.workers.naming.name",
            "AIRFLOW__CELERY__BROKER_URL": redis,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{urls['airflow']}",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENT_SECONDS),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            # Runs begin when a test starts them.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        }
        running = stack.enter_context(
            services.airflow(
                home / "airflow",
                services=("api-server", "scheduler", "dag-processor"),
                extra=extra,
                instead=instead,
                start_seconds=400,
            )
        )
        _write_first(served)
        workers = {name: _worker(running, home, name) for name in (*STARTED, *LATER)}
        for worker in workers.values():
            stack.callback(worker.end)
        for name in STARTED:
            workers[name].start()
        running.client.wait_for_dags(set(EXPORTS))
        yield Cluster(running, home, workers, ledger)


def _write_first(served: Served) -> None:
    """Put a file into the bucket: SeaweedFS makes its volumes then, which a client gives up waiting for if it is busy."""

    def written() -> bool:
        with contextlib.suppress(Transient):
            Bucket(f"{served.url}/beside").put_new("first", b"1", move=False)
            return True
        return False

    with pytest.MonkeyPatch.context() as patch:
        for name, value in served.environment.items():
            patch.setenv(name, value)
        until(written, "the first file in the store")


def _database(server: sa.URL, name: str) -> str:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


def _worker(running: Running, home: Path, name: str) -> Worker:
    log = running.home / "logs" / "services" / f"worker-{name}.log"
    return Worker(name, running.environment, log, home / f"scratch-{name}")


def _of_compose() -> dict[str, str]:
    """Return what docker-compose.yaml tells Celery and the scheduler, but for addresses."""
    document = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
    told: dict[str, str] = document["x-airflow"]["environment"]
    kinds = ("AIRFLOW__CELERY", "AIRFLOW__SCHEDULER__TASK")
    return {name: value for name, value in told.items() if name.startswith(kinds) and "${" not in value}
