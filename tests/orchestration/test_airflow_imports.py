"""Rule: in a real Airflow a file is imported once, from a folder or the page, after the right second person agreed."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
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
WAITING = {
    "balances.csv": "c0000001,1234",
    "no.csv": "c0000002,77",
    "yes.csv": "c0000011,41",
    "not.csv": "c0000012,42",
}


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


def question(server: Server, run_id: str, number: int = 1) -> dict[str, Any]:
    """What Airflow asks a person of the run, once it does for this time at least.

    Airflow takes an answer for the end of the task that asked, until its scheduler has heard of that; people are slower.
    """
    log = server.running.home / "logs" / "services" / "scheduler.log"
    heard = f"TaskInstance Finished: dag_id={IMPORTS_DAG}, task_id=approve, run_id={run_id},"

    def asked() -> Any:
        path = f"/dags/{IMPORTS_DAG}/dagRuns/{quote(run_id, safe='')}/hitlDetails"
        found = server.running.client.get(path, response_received="false")["hitl_details"]
        return [each for each in found if each["task_instance"]["state"] == "awaiting_input"]

    until(lambda: log.read_text("utf-8").count(heard) >= number, "the end of the task that asks", pause=0.2)
    return until(asked, "the question", pause=0.2)[0]


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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def decided(airflow_server: Server, context: Context) -> dict[str, ImportRecord]:
    """The imports of WAITING, by file name, after one look into the inbox and what people said of each."""
    inbox = airflow_server.home / "points-in"
    for name, row in WAITING.items():
        (inbox / name).write_text(f"customer_id,Points\n{row}\n")
    look(airflow_server)
    found = {each.file_name: each for each in imports.history(context) if each.file_name in WAITING}
    runs = {name: run_of(each) for name, each in found.items()}
    # Those that are answered first: a question that is old is asked again.
    question(airflow_server, runs["no.csv"])
    answer(airflow_server, "paul", runs["no.csv"], "Refuse", "wrong month")
    balances = found["balances.csv"]
    asked = question(airflow_server, runs["balances.csv"])
    assert balances.import_id in asked["subject"]
    assert "**inbox crm**" in asked["body"].replace("\\", "")
    assert "| Rows | 1 |" in asked["body"]
    assert imports.get(context, balances.import_id).state is ImportState.WAITING
    assert booked(airflow_server, balances) == []
    answer(airflow_server, "vera", runs["balances.csv"], "Approve")
    question(airflow_server, runs["balances.csv"], 2)
    assert imports.get(context, balances.import_id).state is ImportState.WAITING
    assert booked(airflow_server, balances) == []
    answer(airflow_server, "paul", runs["balances.csv"], "Approve", "seen")

    for name in ("yes.csv", "not.csv"):
        question(airflow_server, runs[name])
    by_command(airflow_server, "approve", found["yes.csv"].import_id, "--by", "vera")
    by_command(
        airflow_server, "refuse", found["not.csv"].import_id, "--by", "vera", "--reason", "wrong month"
    )
    return found


def run_of(record: ImportRecord) -> str:
    return f"inbox__{record.import_id}"


def test_a_reset_in_the_inbox_waits_for_one_who_may_approve_and_is_archived(airflow_server, context, decided):
    inbox, record = airflow_server.home / "points-in", decided["balances.csv"]
    until(
        lambda: mails(airflow_server, "paul@shop.example", "waits for a second person"), "the mail", pause=0.2
    )
    for each in decided.values():
        assert ended(airflow_server, run_of(each)) == "success"
    posted = imports.get(context, record.import_id)
    assert (posted.state, posted.decided_by, posted.decision_note) == (ImportState.POSTED, "paul", "seen")
    assert len(booked(airflow_server, record)) == 1

    (inbox / "again.csv").write_text("customer_id,Points\nc0000001,1234\n")
    look(airflow_server)
    assert not list((inbox / "taken").iterdir())
    kept = [each.name for each in (inbox / "archive").iterdir() if record.import_id in each.name]
    assert sorted(kept) == [
        f"{record.import_id}--balances.csv",
        f"{record.import_id}--balances.csv.result.csv",
    ]
    assert len(list((inbox / "refused").glob("*again.csv*.why.txt"))) == 1
    assert len(booked(airflow_server, record)) == 1


def test_a_refusal_in_airflow_ends_it(airflow_server, context, decided):
    run_id = run_of(decided["no.csv"])
    assert ended(airflow_server, run_id) == "success"
    assert states(airflow_server, run_id) == {
        "rehearse": "success",
        "approve": "skipped",
        "post": "skipped",
        "report": "success",
    }
    refused = imports.get(context, decided["no.csv"].import_id)
    assert (refused.state, refused.decision_note) == (ImportState.REFUSED, "wrong month")


def test_who_decides_on_the_command_line_leaves_no_question_open(airflow_server, context, decided):
    approved, refused = (run_of(decided[name]) for name in ("yes.csv", "not.csv"))
    assert ended(airflow_server, approved) == "success"
    assert set(states(airflow_server, approved).values()) == {"success"}
    posted = imports.get(context, decided["yes.csv"].import_id)
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
    rehearsal = newest_run(airflow_server)
    file = {"file": ("reset.csv", b"customer_id,Points\nc0000005,500\n")}
    olga.post(page, page, files=file, mode="reset", program="club")
    resetting = newest_run(airflow_server)
    record, reset = (
        next(each for each in imports.history(context) if each.file_name == name)
        for name in ("add.csv", "reset.csv")
    )
    question(airflow_server, resetting)
    here = f"{page}/{reset.import_id}"
    paul.post(f"{here}/approve", here, note="agreed")

    assert ended(airflow_server, rehearsal) == "success"
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

    assert ended(airflow_server, resetting) == "success"
    posted = imports.get(context, reset.import_id)
    assert (posted.state, posted.decided_by) == (ImportState.POSTED, "pia")


def test_a_run_that_cannot_do_it_fails_and_tells_why(airflow_server):
    client = airflow_server.running.client
    for run_id in [
        client.trigger(IMPORTS_DAG, **asked) for asked in ({}, {"import": "imp-0000000000000000"})
    ]:
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
