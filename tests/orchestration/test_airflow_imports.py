"""Rule: in a real Airflow a file is imported once, from a folder or the page, after the right second person agreed."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from include.imports.options import Mode, Options
from include.orchestration.client import Client
from include.orchestration.imports import INBOX_ID
from include.pipeline import Context, imports
from include.settings import IMPORTS_DAG, ROOT, Settings
from include.state.imports import ImportRecord, ImportState
from tests.orchestration.airflow_server import Server
from tests.servers.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
PATIENCE = 300
# Airflow takes an answer in the second after a question for the end of the task that asked; people are slower.
SETTLED = 10


@pytest.fixture
def context(airflow_server: Server) -> Context:
    """What the pipeline sees of the server's state and ledger."""
    return Context.from_settings(
        Settings.from_environment(
            {
                "LOYALTY_HOME": str(airflow_server.home),
                "LOYALTY_LEDGER_URL": airflow_server.ledger_url,
                "LOYALTY_LEDGER_WRITE_URL": airflow_server.ledger_url,
            }
        )
    )


def login(server: Server, user: str) -> str:
    """The login of another user: the admin's token with another name, signed by the server's own key."""
    client = server.running.client
    client.get("/dags", limit=1)
    token = client._token
    claims = jwt.decode(token, options={"verify_signature": False})
    key = server.running.environment["AIRFLOW__API_AUTH__JWT_SECRET"]
    headers = jwt.get_unverified_header(token)
    return jwt.encode({**claims, "sub": user}, key, headers["alg"], headers={"kid": headers.get("kid")})


def client_of(server: Server, user: str) -> Client:
    made = Client(server.running.url, user, "")
    made._token = login(server, user)
    return made


def question(server: Server, run_id: str) -> dict[str, Any]:
    """What Airflow asks a person of the run, once it does."""

    def asked() -> Any:
        path = f"/dags/{IMPORTS_DAG}/dagRuns/{quote(run_id, safe='')}/hitlDetails"
        found = server.running.client.get(path, response_received="false")["hitl_details"]
        return [each for each in found if each["task_instance"]["state"] == "awaiting_input"]

    found = until(asked, "the question", pause=0.5)[0]
    time.sleep(SETTLED)
    return found


def answer(server: Server, user: str, run_id: str, option: str, note: str = "") -> None:
    path = f"/dags/{IMPORTS_DAG}/dagRuns/{quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"
    client_of(server, user).patch(path, {"chosen_options": [option], "params_input": {"note": note}})


def by_command(server: Server, *words: str) -> None:
    """What somebody does on the command line, who has no login of Airflow."""
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = own | {
        "LOYALTY_HOME": str(server.home),
        "LOYALTY_LEDGER_URL": server.ledger_url,
        "LOYALTY_LEDGER_WRITE_URL": server.ledger_url,
    }
    command = [sys.executable, "-m", "include.cli", "imports", *words]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)


def look(server: Server) -> None:
    """One look into the inbox, by Airflow."""
    run_id = server.running.client.trigger(INBOX_ID)
    assert server.running.client.wait_for_run(INBOX_ID, run_id, PATIENCE) == "success"


def states(server: Server, run_id: str) -> dict[str, str]:
    return {each["task_id"]: each["state"] for each in server.running.client.tasks(IMPORTS_DAG, run_id)}


def ended(server: Server, run_id: str) -> str:
    return server.running.client.wait_for_run(IMPORTS_DAG, run_id, PATIENCE)


def booked(server: Server, record: ImportRecord) -> list[tuple[Any, ...]]:
    with sqlite3.connect(server.ledger_url.removeprefix("sqlite:///")) as ledger:
        found = "SELECT customer_id, points FROM transactions WHERE import_id = ? ORDER BY customer_id"
        return ledger.execute(found, [record.import_id]).fetchall()


def mails(server: Server, to: str, words: str) -> list[Any]:
    return [each for each in server.mail.of(to) if words in str(each.message["Subject"])]


def test_a_reset_in_the_inbox_waits_for_one_who_may_approve_and_is_archived(airflow_server, context):
    inbox = airflow_server.home / "points-in"
    (inbox / "balances.csv").write_text("customer_id,Points\nc0000001,1234\n")
    look(airflow_server)
    record = next(each for each in imports.history(context) if each.file_name == "balances.csv")
    run_id = f"inbox__{record.import_id}"
    asked = question(airflow_server, run_id)
    assert record.import_id in asked["subject"]
    assert "**inbox crm**" in asked["body"].replace("\\", "")
    assert "| Rows | 1 |" in asked["body"]
    assert imports.get(context, record.import_id).state is ImportState.WAITING
    assert booked(airflow_server, record) == []
    until(
        lambda: mails(airflow_server, "paul@shop.example", "waits for a second person"), "the mail", pause=0.5
    )

    answer(airflow_server, "vera", run_id, "Approve")
    time.sleep(2)
    question(airflow_server, run_id)
    assert imports.get(context, record.import_id).state is ImportState.WAITING
    assert booked(airflow_server, record) == []

    answer(airflow_server, "paul", run_id, "Approve", "seen")
    assert ended(airflow_server, run_id) == "success"
    posted = imports.get(context, record.import_id)
    assert (posted.state, posted.decided_by, posted.decision_note) == (ImportState.POSTED, "paul", "seen")
    assert len(booked(airflow_server, record)) == 1

    look(airflow_server)
    assert not list((inbox / "taken").iterdir())
    assert [each.name for each in sorted((inbox / "archive").iterdir())] == [
        f"{record.import_id}--balances.csv",
        f"{record.import_id}--balances.csv.result.csv",
    ]
    (inbox / "again.csv").write_text("customer_id,Points\nc0000001,1234\n")
    look(airflow_server)
    assert len(list((inbox / "refused").glob("*.why.txt"))) == 1
    assert len(booked(airflow_server, record)) == 1


def test_a_refusal_in_airflow_ends_it(airflow_server, context):
    (airflow_server.home / "points-in" / "no.csv").write_text("customer_id,Points\nc0000002,77\n")
    look(airflow_server)
    record = next(each for each in imports.history(context) if each.file_name == "no.csv")
    run_id = f"inbox__{record.import_id}"
    question(airflow_server, run_id)
    answer(airflow_server, "paul", run_id, "Refuse", "wrong month")
    assert ended(airflow_server, run_id) == "success"
    assert states(airflow_server, run_id) == {
        "rehearse": "success",
        "approve": "skipped",
        "post": "skipped",
        "report": "success",
    }
    refused = imports.get(context, record.import_id)
    assert (refused.state, refused.decision_note) == (ImportState.REFUSED, "wrong month")


def test_who_decides_on_the_command_line_leaves_no_question_open(airflow_server, context):
    waiting = {}
    for name, row in (("yes.csv", "c0000011,41\n"), ("not.csv", "c0000012,42\n")):
        (airflow_server.home / "points-in" / name).write_text(f"customer_id,Points\n{row}")
    look(airflow_server)
    for record in imports.history(context):
        if record.file_name in {"yes.csv", "not.csv"}:
            waiting[record.file_name] = record.import_id
            question(airflow_server, f"inbox__{record.import_id}")
    by_command(airflow_server, "approve", waiting["yes.csv"], "--by", "vera")
    by_command(airflow_server, "refuse", waiting["not.csv"], "--by", "vera", "--reason", "wrong month")

    approved, refused = (f"inbox__{waiting[name]}" for name in ("yes.csv", "not.csv"))
    assert ended(airflow_server, approved) == "success"
    assert set(states(airflow_server, approved).values()) == {"success"}
    posted = imports.get(context, waiting["yes.csv"])
    assert (posted.state, posted.decided_by) == (ImportState.POSTED, "vera")
    assert len(booked(airflow_server, posted)) == 1
    assert ended(airflow_server, refused) == "success"
    assert states(airflow_server, refused)["post"] == "skipped"
    path = f"/dags/{IMPORTS_DAG}/dagRuns/~/hitlDetails"
    open_ones = airflow_server.running.client.get(path, response_received="false")["hitl_details"]
    assert not [each for each in open_ones if each["task_instance"]["dag_run_id"] in {approved, refused}]


class Browser:
    """A user on the pages of the running server."""

    def __init__(self, server: Server, user: str) -> None:
        self._client = httpx.Client(
            base_url=server.running.url,
            cookies={"_token": login(server, user)},
            headers={"sec-fetch-site": "same-origin", "accept": "text/html"},
            timeout=60,
        )

    def post(self, path: str, page: str, files: Any = None, **fields: str) -> httpx.Response:
        shown = self._client.get(page)
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', shown.text)
        assert found, shown.text
        answered = self._client.post(path, data={"form_token": found[1], **fields}, files=files)
        assert answered.status_code == 303, answered.text
        return answered


def newest_run(server: Server) -> str:
    return server.running.client.runs(IMPORTS_DAG)[-1]["dag_run_id"]


def test_the_page_has_it_rehearsed_posted_and_approved_by_another(airflow_server, context):
    olga, paul = Browser(airflow_server, "olga"), Browser(airflow_server, "pia")
    page = "/loyalty/imports"
    file = {"file": ("add.csv", b"customer_id,Points\nc0000003,11\nc0000004,-1\n")}
    olga.post(page, page, files=file, mode="add", program="club")
    record = next(each for each in imports.history(context) if each.file_name == "add.csv")
    assert ended(airflow_server, newest_run(airflow_server)) == "success"
    assert imports.get(context, record.import_id).state is ImportState.REHEARSED
    assert booked(airflow_server, record) == []

    by_hand = airflow_server.running.client.trigger(IMPORTS_DAG, **{"import": record.import_id})
    assert ended(airflow_server, by_hand) == "success"
    assert states(airflow_server, by_hand)["post"] == "skipped"
    assert booked(airflow_server, record) == []

    here = f"{page}/{record.import_id}"
    olga.post(f"{here}/post", here)
    assert ended(airflow_server, newest_run(airflow_server)) == "success"
    assert imports.get(context, record.import_id).posted_by == "olga"
    assert [customer for customer, _ in booked(airflow_server, record)] == ["c0000003", "c0000004"]
    until(lambda: mails(airflow_server, "olga@shop.example", "posted"), "the mail", pause=0.5)

    file = {"file": ("reset.csv", b"customer_id,Points\nc0000005,500\n")}
    olga.post(page, page, files=file, mode="reset", program="club")
    record = next(each for each in imports.history(context) if each.file_name == "reset.csv")
    run_id = newest_run(airflow_server)
    question(airflow_server, run_id)
    here = f"{page}/{record.import_id}"
    paul.post(f"{here}/approve", here, note="agreed")
    assert ended(airflow_server, run_id) == "success"
    posted = imports.get(context, record.import_id)
    assert (posted.state, posted.decided_by) == (ImportState.POSTED, "pia")


def test_a_run_that_cannot_do_it_fails_and_tells_why(airflow_server):
    client = airflow_server.running.client
    for asked in ({}, {"import": "imp-0000000000000000"}):
        run_id = client.trigger(IMPORTS_DAG, **asked)
        assert ended(airflow_server, run_id) == "failed"
        assert states(airflow_server, run_id)["post"] == "upstream_failed"


def test_what_needs_no_second_person_is_posted_from_an_inbox_at_once(airflow_server, context, tmp_path):
    from include.pipeline.imports.asking import ask

    (tmp_path / "few.csv").write_text("customer_id,Points\nc0000006,3\n")
    options = Options(mode=Mode.ADD, program="club")
    record = imports.receive(context, tmp_path / "few.csv", name="few.csv", options=options, by="inbox crm")
    ask(context, record.import_id, "inbox crm", standing=True)
    run_id = airflow_server.running.client.trigger(IMPORTS_DAG, **{"import": record.import_id})
    assert ended(airflow_server, run_id) == "success"
    assert imports.get(context, record.import_id).posted_by == "inbox crm"
