"""One real Airflow for all tests that need it, with a small ledger and definitions of its own.

Started when first asked for, ended with the test session. It lives in a short temporary path.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from include import sample
from include.errors import Permanent
from include.orchestration.services import Running, airflow, free_port
from include.sample.plan import Plan
from tests.servers.running import find, postgres_server
from tests.servers.smtp import MailServer, mail_server

DEFINITIONS = {
    "weekly-history": """
        id: weekly-history
        name: Weekly history
        description: Every transaction of the week with running balances.
        owner: customer care
        model: history
        timezone: Europe/Paris
        period: since_previous_occurrence
        file: {compression: gzip}
        schedule: {kind: weekly, days: [monday], time: "09:00"}
        targets: [{kind: folder, options: {folder: history}}]
    """,
    "month-end-balances": """
        id: month-end-balances
        name: Month-end balances
        description: Where every account stands when the month ends.
        owner: finance
        model: balance
        timezone: America/New_York
        as_of: end_of_this_month
        schedule: {kind: monthly, days: [15, last], time: "06:00"}
        targets: [{kind: folder, options: {folder: balances}}]
    """,
    "three-targets": """
        id: three-targets
        name: Balances to three places
        description: One of the three places is a file where a folder should be.
        owner: operations
        model: balance
        settle_delay: 15s
        targets:
          - {kind: folder, name: first, options: {folder: first}}
          - {kind: folder, name: broken, options: {folder: in-the-way/below}}
          - {kind: folder, name: last, options: {folder: last}}
        notify:
          rules: [{kind: airflow, notifier: file, arguments: {channel: "#loyalty"}}]
    """,
    "mailed-balances": """
        id: mailed-balances
        name: Balances by mail
        description: Everything in it goes as a link, with a code.
        owner: finance
        model: balance
        timezone: Europe/Paris
        targets:
          - kind: email
            options: {connection: loyalty_mail, to: [ann@shop.example, bob@shop.example], attach: never, link: code}
    """,
    "broken": """
        id: broken
        name: Broken
        model: balnce
        targets: [{kind: folder, options: {folder: x}}]
    """,
}


NOTIFIER = {
    "path": "tests.orchestration.writing_notifier.WritingNotifier",
    "arguments": {"text": "{event}: {subject}"},
}


@dataclass(frozen=True)
class Server:
    """A running Airflow, where it delivers to, the ledger that it reads, and the mail server that it knows."""

    running: Running
    home: Path
    exports: Path
    ledger_url: str
    mail: MailServer

    def wait_for_files(self, dag_ids: set[str]) -> None:
        """Have the files of definitions read until Airflow knows the DAGs; by itself it looks once a minute."""
        client = self.running.client
        token = client.get("/dags/weekly-history")["file_token"]
        for _ in range(20):
            with contextlib.suppress(Permanent):  # it is asked already, or has not come to it
                client._call("PUT", f"/parseDagFile/{token}", None)
            with contextlib.suppress(Permanent):
                client.wait_for_dags(dag_ids, 6)
                return
        client.wait_for_dags(dag_ids)

    def wait_for_backfills(self, dag_id: str) -> None:
        """Wait until no backfill of the DAG is open: Airflow allows one at a time, and tests share this server."""
        until = time.monotonic() + 300
        while any(
            each["completed_at"] is None
            for each in self.running.client.get("/backfills", dag_id=dag_id, limit=100)["backfills"]
        ):
            assert time.monotonic() < until, f"a backfill of {dag_id} does not end"
            time.sleep(0.5)


@contextlib.contextmanager
def started(home: Path):
    """Start it in `home`; its ledger is known by Airflow's connection only."""
    exports = home / "exports"
    exports.mkdir()
    for name, text in DEFINITIONS.items():
        (exports / f"{name}.yaml").write_text(
            "\n".join(line.removeprefix(" " * 8) for line in text.splitlines())
        )
    (home / "in-the-way").write_text("not a folder")
    ledger = home / "ledger.sqlite.db"
    sample.load(f"sqlite:///{ledger}", Plan(customers=120, transactions=4000))
    (home / "points-in").mkdir()
    (home / "inboxes.yaml").write_text(
        f"inboxes: [{{name: crm, mode: reset, program: club, folder: {home / 'points-in'}, quiet: 1s}}]\n"
    )
    extra = {
        "LOYALTY_HOME": str(home),
        "LOYALTY_INBOXES": str(home / "inboxes.yaml"),
        "LOYALTY_IMPORT_APPROVERS": "paul",
        # Longer than a test takes to answer a question.
        "LOYALTY_IMPORT_LOOK_SECONDS": "25",
        "LOYALTY_EXPORTS": str(exports),
        "LOYALTY_SETTLE_SECONDS": "1",
        # Runs begin when a test starts them: no run of a schedule comes between, or into a list that a test reads.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW_CONN_LOYALTY_LEDGER": f'{{"conn_type": "sqlite", "host": "{ledger}"}}',
        "AIRFLOW_CONN_LOYALTY_LEDGER_WRITE": f'{{"conn_type": "sqlite", "host": "{ledger}"}}',
    }
    port = free_port()
    extra["LOYALTY_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    services = ("api-server", "scheduler", "dag-processor")
    with contextlib.ExitStack() as stack:
        (home / "mail").mkdir()
        mail = stack.enter_context(mail_server(home / "mail"))
        extra["AIRFLOW_CONN_LOYALTY_MAIL"] = mail.variable()
        extra["LOYALTY_USER_MAIL_DOMAIN"] = "shop.example"
        extra["LOYALTY_DIGEST_EMAIL"] = "boss@shop.example"
        extra["AIRFLOW_VAR_LOYALTY_NOTIFIERS"] = json.dumps({"file": {**NOTIFIER, "leave": ["channel"]}})
        extra["LOYALTY_TEST_NOTIFIED"] = str(home / "notified.jsonl")
        if find(
            "initdb"
        ):  # as in production; on SQLite one of two writers may be told that the database is locked
            url = stack.enter_context(postgres_server(home / "postgres"))
            extra["LOYALTY_AIRFLOW_DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg2://")
        running = stack.enter_context(
            airflow(home / "airflow", port=port, services=services, extra=extra, start_seconds=400)
        )
        running.client.wait_for_dags(set(DEFINITIONS) - {"broken"})
        yield Server(running, home, exports, f"sqlite:///{ledger}", mail)


@cache
def _stack() -> contextlib.ExitStack:
    return contextlib.ExitStack()


@cache
def server() -> Server:
    """Return the one server, started when first asked for."""
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    _stack().callback(shutil.rmtree, home, ignore_errors=True)
    return _stack().enter_context(started(home))


@pytest.fixture(scope="session")
def airflow_server(request) -> Server:
    """The one running Airflow."""
    request.config.add_cleanup(_stack().close)
    return server()
