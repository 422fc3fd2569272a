"""Rule: how a run ended decides who hears of it, and what they read; worked cases for each event."""

from __future__ import annotations

import json

import pytest

from include.pipeline import notify
from include.pipeline.notify import Occasion
from tests.notices.conftest import DATA, END, RUN, Desk, definition
from tests.servers.receiver import Receiver
from tests.servers.smtp import MailServer

pytestmark = pytest.mark.servers
OPS = "ops@shop.example"
ANN = "ann@shop.example"


def rules(*when: str) -> dict[str, object]:
    return {"rules": [{"kind": "email", "to": [OPS], **({"when": list(when)} if when else {})}]}


def test_a_run_by_hand_tells_who_asked_with_figures_places_and_page(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition())
    desk.delivered(run, "desk")
    desk.delivered(run, "books")
    summary = desk.settle(run, requested_by=ANN, login=True)
    (letter,) = mail.mails
    assert letter.recipient == ANN
    assert letter.message["Subject"] == "Weekly history 2026-02-23 to 2026-03-01: delivered"
    assert letter.message["Auto-Submitted"] == "auto-generated"
    # 1,234 rows and 120,450.50 points are those of the file.
    assert letter.body("plain").replace("\r\n", "\n") == (
        "Period: from 2026-02-23 00:00 Europe/Paris up to 2026-03-02 00:00 Europe/Paris.\n\n"
        "4 added, 1 removed, 0 changed\n\n"
        "Files:\n- history_2026-W09.csv.gz; rows: 1,234; totals: points 120,450.50\n\n"
        "Targets:\n"
        "- desk; state: delivered; where, or why not: desk/history_2026-W09.csv.gz\n"
        "- books; state: delivered; where, or why not: books/history_2026-W09.csv.gz\n\n"
        "The run in Airflow:\nhttps://airflow.example/dags/x/runs/y\n"
    )
    assert '<a href="https://airflow.example/dags/x/runs/y">' in letter.body()
    told = {"event": "finished", "channel": "email", "recipient": ANN, "state": "sent"}
    assert [{key: each[key] for key in told} for each in summary["notices"]] == [told]


def test_a_link_for_who_has_a_login_and_one_with_a_code_for_who_has_none(
    desk: Desk, mail: MailServer
) -> None:
    desk.public_url = "https://loyalty.example"
    run = desk.run(definition())
    for label in ("desk", "books"):
        desk.delivered(run, label)
    desk.settle(run, requested_by=ANN, login=True)
    desk.settle(run, requested_by=OPS, login=False)
    (with_login,), (with_code,) = mail.of(ANN), mail.of(OPS)
    assert f"https://loyalty.example/loyalty/files/{run.run_key}/{DATA['name']}" in with_login.body("plain")
    address = next(line for line in with_code.body("plain").split() if "/loyalty/d/" in line)
    token = address.rpartition("/")[2]
    link = desk.context.state.links.find(token)
    assert link is not None
    assert (link.recipient, link.file) == (OPS, DATA["name"])
    stored = json.dumps([n.model_dump(mode="json") for n in desk.context.state.notices.list()])
    assert token not in stored  # only its hash is kept


@pytest.mark.parametrize(
    ("how", "event", "word"),
    [("failed", "failed", "failed"), ("uncertain", "uncertain", "waits for a person"), ("conflict", "uncertain", "waits for a person")],
)  # fmt: skip
def test_what_somebody_must_do_is_said(desk: Desk, mail: MailServer, how: str, event: str, word: str) -> None:
    run = desk.run(definition(notify=rules()))
    desk.delivered(run, "desk")
    desk.delivered(run, "books", how, "the disk is full")
    desk.settle(run)
    (letter,) = mail.mails
    assert letter.message["Subject"] == f"Weekly history 2026-02-23 to 2026-03-01: {word}"
    body = letter.body("plain")
    assert "the disk is full" in body
    assert "What to do:" in body
    assert "loyalty deliveries retry" in body
    assert ("loyalty deliveries resolve" in body) is (event == "uncertain")
    assert desk.told() == [(event, "email", OPS, "sent")]


def test_a_step_that_failed_is_named(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify=rules()), files=[])
    desk.settle(run, failure="render failed: a setting or a right must be put right.")
    (letter,) = mail.mails
    assert "render failed" in letter.body("plain")
    assert letter.message["Subject"] == "Weekly history 2026-02-23 to 2026-03-01: failed"


def test_a_run_that_failed_before_it_was_recorded_is_told_of(desk: Desk, mail: MailServer) -> None:
    one = definition(notify=rules())
    when = Occasion(requested_by=ANN, name=RUN, page="https://airflow.example/run")
    for _ in range(2):
        keys = notify.failed_early(
            desk.context, one, "pin failed: as_of: '2999': must not be after now", when
        )
        notify.send(desk.context, keys)
    assert sorted(mail.recipient for mail in mail.mails) == [ANN, OPS]
    assert "must not be after now" in mail.mails[0].body("plain")


def test_nothing_to_send_is_told_to_who_wants_to_know(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify=rules("skipped")), files=[{"skipped": "no file has a row"}])
    desk.settle(run)
    assert [mail.message["Subject"] for mail in mail.mails] == [
        "Weekly history 2026-02-23 to 2026-03-01: nothing was sent"
    ]
    assert "no file has a row" in mail.mails[0].body("plain")


def test_a_restatement_says_so(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify=rules("finished")), revision=1)
    for label in ("desk", "books"):
        desk.delivered(run, label)
    desk.settle(run)
    assert desk.told() == [("restated", "email", OPS, "sent")]
    assert "revision 1" in mail.mails[0].body("plain")


@pytest.mark.parametrize(
    ("when", "event", "heard"),
    [
        ((), "finished", False),
        (("finished",), "finished", True),
        (("failed",), "uncertain", True),
        (("uncertain",), "failed", False),
        (("late",), "failed", False),
    ],
)
def test_a_rule_covers_what_it_names(desk: Desk, when: tuple[str, ...], event: str, heard: bool) -> None:
    run = desk.run(definition(notify=rules(*when)))
    desk.delivered(run, "desk")
    desk.delivered(run, "books", {"finished": "confirmed"}.get(event, event), "x")
    desk.settle(run)
    assert [each[0] for each in desk.told()] == ([event] if heard else [])


def test_the_installation_tells_of_every_export(desk: Desk, mail: MailServer, hook: Receiver) -> None:
    desk.notify = {"LOYALTY_NOTIFY_EMAIL": f"{OPS}, {ANN}", "LOYALTY_NOTIFY_WEBHOOK": "chat"}
    desk.connections["chat"] = hook.connection()
    run = desk.run(definition(notify=rules()))
    desk.delivered(run, "desk", "failed", "gone")
    desk.settle(run)
    # OPS is named by the definition too, and hears of it once.
    assert desk.told() == [
        ("failed", "email", ANN, "sent"),
        ("failed", "email", OPS, "sent"),
        ("failed", "webhook", "chat", "sent"),
    ]
    assert len(mail.mails) == 2
    (request,) = hook.requests
    sent = json.loads(request.body)
    assert (sent["type"], sent["id"], sent["data"]["export"]) == (
        "loyalty.export.failed",
        request.id,
        "weekly-history",
    )
    assert sent["data"]["deliveries"] == {"desk": "failed", "books": "not tried"}
    assert (sent["data"]["rows"], sent["data"]["totals"]) == (1234, {DATA["name"]: {"points": "120450.50"}})
    assert request.headers["webhook-signature"].startswith("v1,")


def test_of_a_dry_run_only_who_asked_hears(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify=rules("finished")), dry_run=True)
    desk.settle(run, requested_by=ANN)
    (letter,) = mail.mails
    assert letter.recipient == ANN
    assert "made, not delivered" in letter.message["Subject"]


def test_of_a_backfill_one_failure_a_day_is_told_and_nothing_else(desk: Desk) -> None:
    one = definition(notify=rules("finished", "failed"))
    for day in range(3):
        run = desk.run(
            one, known_at=END.replace(day=2 + day), as_of=END.replace(day=2 + day), end=None, start=None
        )
        desk.delivered(run, "desk", "failed" if day else "confirmed", "gone")
        if not day:
            desk.delivered(run, "books")
        desk.settle(run, requested_by=ANN, backfill=True, name=f"backfill-{day}")
    assert desk.told() == [("failed", "email", OPS, "sent")]


@pytest.mark.parametrize(
    ("user", "settings", "address"),
    [
        ("ann@shop.example", {}, "ann@shop.example"),
        ("ann", {}, None),
        ("ann", {"LOYALTY_USER_MAIL_DOMAIN": "shop.example"}, "ann@shop.example"),
        ("ann\r\nBcc: x@y.example", {"LOYALTY_USER_MAIL_DOMAIN": "shop.example"}, None),
        ("ann@shop.example", {"LOYALTY_NOTIFY_REQUESTER": "false"}, None),
        (None, {"LOYALTY_USER_MAIL_DOMAIN": "shop.example"}, None),
    ],
)
def test_the_address_of_who_asked(
    desk: Desk, mail: MailServer, user: str | None, settings: dict[str, str], address: str | None
) -> None:
    desk.notify = settings
    run = desk.run(definition())
    for label in ("desk", "books"):
        desk.delivered(run, label)
    desk.settle(run, requested_by=user)
    assert [mail.recipient for mail in mail.mails] == ([address] if address else [])


def test_a_definition_can_leave_who_asked_alone(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify={"requester": False}))
    for label in ("desk", "books"):
        desk.delivered(run, label)
    desk.settle(run, requested_by=ANN)
    assert mail.mails == []


def test_files_called_by_values_of_a_field_are_counted_not_named(desk: Desk, mail: MailServer) -> None:
    one = definition(file={"split": {"field": "customer_id"}}, notify=rules("finished"))
    files = [{**DATA, "name": f"history_C{number}.csv.gz"} for number in (17, 18)]
    run = desk.run(one, files=[*files, MANIFEST_OF_TWO])
    desk.delivered(run, "desk")
    desk.delivered(run, "books")
    desk.settle(run)
    (letter,) = mail.mails
    # 2 files of 1,234 rows and 120,450.50 points each.
    assert "weekly-history (2 files); rows: 2,468; totals: points 240,901.00" in letter.body("plain")
    stored = json.dumps([n.model_dump(mode="json") for n in desk.context.state.notices.list()])
    assert "C17" not in letter.content.decode() + stored


MANIFEST_OF_TWO = {
    "name": "history.manifest.json",
    "sha256": "b" * 64,
    "bytes": 9,
    "media_type": "application/json",
    "key": "artefacts/z",
}


def test_html_shows_texts_as_texts(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(name="<b>Tom & Jerry</b>", notify=rules("finished")))
    for label in ("desk", "books"):
        desk.delivered(run, label)
    desk.settle(run)
    assert (
        "<h2 style='font-size:18px'>&lt;b&gt;Tom &amp; Jerry&lt;/b&gt; 2026-02-23 to 2026-03-01: delivered</h2>"
        in mail.mails[0].body()
    )


def test_who_asked_and_stands_in_a_rule_as_well_is_told_once(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify=rules("failed")), requested_by=OPS)
    desk.delivered(run, "desk")
    desk.delivered(run, "books", "failed", "the disk is full")
    desk.settle(run, requested_by=OPS, login=True)
    # Somebody has the delivery tried again by hand, and it fails as before: nobody asks for the run anew.
    desk.settle(run, requested_by=OPS, name="")
    assert [letter.recipient for letter in mail.mails] == [OPS]
