"""Rule: in a real Airflow, who starts a run is mailed once, with the link; a failed and a late run are told of."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.orchestration.airflow_server import Server
from tests.servers.smtp import Mail

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
ADMIN = "admin@shop.example"  # the user `admin` at LOYALTY_USER_MAIL_DOMAIN
LATE = """
id: late-one
name: Late one
model: balance
as_of: end_of_previous_day
schedule: {{kind: daily, time: "{time}"}}
targets: [{{kind: folder, options: {{folder: late}}}}]
notify: {{late_after: 1s, rules: [{{kind: email, to: [ops@shop.example], when: [late]}}]}}
"""


def mails_of(server: Server, dag_id: str, run_id: str) -> list[Mail]:
    """The mails to who started the run that lead to its page."""
    page = f"{server.running.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    return [mail for mail in server.mail.of(ADMIN) if page in mail.body("plain")]


@dataclass(frozen=True)
class Begun:
    """The runs that the tests of this file look at, and when one is due that does not begin."""

    well: str
    failing: str
    never_pinned: str
    digest: str
    due: datetime


@pytest.fixture(scope="module")
def begun(airflow_server: Server) -> Iterator[Begun]:
    """Begin them all, and have the schedule watched of one that is paused: they wait together."""
    client = airflow_server.running.client
    late = airflow_server.exports / "late-one.yaml"
    for lead in (20, 60, 180, 360, 720):
        due = (datetime.now(UTC) + timedelta(seconds=lead)).replace(microsecond=0)
        late.write_text(LATE.format(time=f"{due:%H:%M:%S}"))
        airflow_server.wait_for_files({"late-one", "loyalty-watch"})
        client.patch("/dags/late-one", {"is_paused": True})
        watch(airflow_server)  # from now on its schedule is watched
        if datetime.now(UTC) < due:  # else the machine is busy
            break
    assert datetime.now(UTC) < due
    yield Begun(
        well=client.trigger("weekly-history", datetime(2026, 6, 1, 7, tzinfo=UTC)),
        failing=client.trigger("three-targets", as_of="2026-04-02T00:00:00Z"),
        never_pinned=client.trigger("three-targets", as_of="2999-01-01T00:00:00Z"),
        digest=client.trigger("loyalty-digest"),
        due=due,
    )
    late.unlink()


def watch(server: Server) -> list[dict[str, str]]:
    """Have Airflow look for what is late; return what is."""
    client = server.running.client
    run_id = client.trigger("loyalty-watch")
    assert client.wait_for_run("loyalty-watch", run_id, 300) == "success"
    return list(client.xcom("loyalty-watch", run_id, "watch")["late"])


def told(server: Server, dag_id: str, run_id: str, wanted: str) -> list[Mail]:
    """Wait for the end of a run, and return the mails about it."""
    assert server.running.client.wait_for_run(dag_id, run_id, 600) == wanted
    return mails_of(server, dag_id, run_id)


def test_who_starts_a_run_gets_one_mail_with_the_link(airflow_server: Server, begun: Begun) -> None:
    (letter,) = told(airflow_server, "weekly-history", begun.well, "success")
    assert letter.message["Subject"] == "Weekly history 2026-05-25 09:00 to 2026-06-01 09:00: delivered"
    links = [line for line in letter.body("plain").split() if "/loyalty/files/" in line]
    assert len(links) == 1
    assert links[0].startswith(f"{airflow_server.running.url}/loyalty/files/")
    assert ".csv.gz" in links[0]


def test_who_starts_a_run_that_fails_gets_one_mail_that_says_why(
    airflow_server: Server, begun: Begun
) -> None:
    (letter,) = told(airflow_server, "three-targets", begun.failing, "failed")
    assert letter.message["Subject"].endswith(": failed")
    body = letter.body("plain")
    assert "broken; state: failed" in body
    assert "loyalty deliveries retry" in body
    lines = (airflow_server.home / "notified.jsonl").read_text().splitlines()
    text = "failed: Balances to three places 2026-04-02: failed"
    assert [json.loads(line) for line in lines].count({"channel": "#loyalty", "text": text}) == 1


def test_the_digest_is_mailed(airflow_server: Server, begun: Begun) -> None:
    client = airflow_server.running.client
    assert client.wait_for_run("loyalty-digest", begun.digest, 300) == "success"
    (letter,) = airflow_server.mail.of("boss@shop.example")
    assert "Month-end balances" in letter.body("plain")
    assert f"{airflow_server.running.url}/dags" in letter.body("plain")


def test_a_run_that_never_was_pinned_is_told_of(airflow_server: Server, begun: Begun) -> None:
    (letter,) = told(airflow_server, "three-targets", begun.never_pinned, "failed")
    assert letter.message["Subject"] == "Balances to three places: failed"
    assert "must not be after now" in letter.body("plain")


def test_a_run_that_airflow_does_not_start_is_late(airflow_server: Server, begun: Begun) -> None:
    time.sleep(max(0, (begun.due - datetime.now(UTC)).total_seconds() + 3))
    assert begun.due.isoformat() in [each["occurrence"] for each in watch(airflow_server)]
    watch(airflow_server)
    (letter,) = airflow_server.mail.of("ops@shop.example")
    assert letter.message["Subject"].startswith("Late one: late, due ")
    assert "No run of it has begun" in letter.body("plain")
