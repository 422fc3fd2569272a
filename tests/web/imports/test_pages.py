"""What the pages of imports show and do: each step by who may, and nothing by who may not."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest

from include.errors import BadInput
from include.imports.modes import modes
from include.imports.options import Mode
from include.pipeline import attention, imports
from include.pipeline.imports import keeping
from include.pipeline.imports.asking import who_asked
from include.state import grants
from include.state.audit import Action
from include.state.imports import ImportState
from tests.web.exports.conftest import dag_runs, told
from tests.web.imports.conftest import PAGE, upload
from tests.web.posting import OWN, post, read, text_of, token

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

FILE = b"customer_id,Points\nc0000001,100\nc0000002,-5\n"


@pytest.fixture
def olga(browser):
    return browser("olga", "ADMIN")


@pytest.fixture
def paul(browser):
    return browser("paul", "ADMIN")


def confs() -> list[dict]:
    return [run.conf for run in dag_runs("loyalty-imports")]


def place(record) -> str:
    return f"{PAGE}/{record.import_id}"


def test_a_file_is_taken_and_airflow_is_asked_to_rehearse_it(olga, context, program, dag):
    answer = upload(olga, FILE, program=program)
    (record,) = imports.history(context)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith(f"/imports/{record.import_id}")
    assert "Airflow rehearses it" in told(olga, answer)
    assert (record.state, record.requested_by, record.file_name) == (
        ImportState.RECEIVED,
        "olga",
        "points.csv",
    )
    assert b"".join(imports.original(context, record.import_id)) == FILE
    assert confs() == [{"import": record.import_id}]
    page = read(olga.get(place(record)))
    assert page.xpath("//*[@id='import']/@hx-trigger") == ["every 2s"]


def test_the_same_file_leads_to_the_import_that_it_made(olga, context, program, dag, received):
    record = received(FILE.decode())
    answer = upload(olga, FILE, program=program)
    assert "This file came before" in told(olga, answer)
    assert [each.import_id for each in imports.history(context)] == [record.import_id]
    assert confs() == []


def test_the_same_name_with_other_bytes_is_asked_about(olga, context, program, dag, received):
    received(FILE.decode())
    other = FILE + b"c0000003,7\n"
    answer = upload(olga, other, program=program)
    page = read(answer, 422)
    assert "with other bytes" in page.text_content()
    assert page.xpath("//*[@data-asked='same_name_new_bytes']/@hidden") == []
    script = olga.post(
        PAGE,
        data={"form_token": token(olga, PAGE), "mode": "add", "program": program},
        files={"file": ("points.csv", other)},
        headers={**OWN, "hx-request": "true"},
    )
    assert (script.status_code, script.headers["loyalty-problems"]) == (422, "same_name_new_bytes")
    assert len(imports.history(context)) == 1
    upload(olga, other, program=program, renewed="yes")
    assert len(imports.history(context)) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "undo"}, "choose what the rows mean"),
        ({"mode": ""}, "choose what the rows mean"),
        ({"program": ""}, "choose the program"),
        ({"program": "no-such"}, "no-such"),
    ],
)
def test_what_is_wrong_with_the_form_is_said_and_nothing_is_kept(olga, context, program, dag, fields, said):
    answer = upload(olga, FILE, **{"program": program, **fields})
    assert said in text_of(answer, 422)
    assert imports.history(context) == []


def test_no_file_is_said(olga, context, dag):
    answer = olga.post(PAGE, data={"form_token": token(olga, PAGE), "mode": "birthday"}, headers=OWN)
    assert "choose the file to import" in text_of(answer, 422)


def test_a_file_larger_than_a_form_is_taken(olga, context, program, dag):
    rows = b"".join(b"c%07d,1\n" % (1 + number % 20) for number in range(300_000))
    assert upload(olga, b"customer_id,Points\n" + rows, program=program).status_code == 303
    (record,) = imports.history(context)
    assert record.bytes > 2 * 1024 * 1024


def test_who_may_not_import_sends_no_byte(browser, context, program, dag):
    for role in ("VIEWER", "USER", "OP"):
        client = browser("vera", role)
        answer = client.post(PAGE, data={"mode": "add"}, files={"file": ("a.csv", FILE)}, headers=OWN)
        assert answer.status_code == 403
        assert "no right to import points" in answer.text
    assert imports.history(context) == []


def test_a_role_that_was_granted_the_right_and_may_run_the_dag_imports(
    browser, context, program, dag, monkeypatch
):
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    for role in ("viewer", "user"):
        context.state.grants.grant(role, "import", by="ann")
    assert browser("vera", "VIEWER").get(PAGE).status_code == 403
    uma = browser("uma", "USER")
    assert upload(uma, FILE, program=program).status_code == 303
    assert read(uma.get("/loyalty/exports")).xpath("//nav//a[. = 'Imports']")


def test_the_rehearsal_is_shown_per_row_and_in_total(olga, received):
    shown = text_of(olga.get(place(received())))
    assert "This is a rehearsal: nothing is posted yet." in shown
    assert "Points in 100 Points out -5" in shown
    assert re.search(r"2 c0000001 c0000001 100 [\d,.]+ [\d,.]+ done", shown)
    assert "Post 2 rows" in shown


def test_posting_is_asked_for_and_airflow_told(olga, context, dag, received):
    record = received()
    assert who_asked(context, record) is None
    post(olga, f"{place(record)}/post", place(record))
    assert who_asked(context, imports.get(context, record.import_id)) == "olga"
    assert confs() == [{"import": record.import_id}]
    shown = text_of(olga.get(place(record)))
    assert "It is to be posted" in shown
    assert "Post 2 rows" not in shown


def test_one_who_asked_before_a_new_rehearsal_has_not_asked_for_it(olga, context, dag, received):
    record = received()
    post(olga, f"{place(record)}/post", place(record))
    again = imports.rehearse(context, record.import_id)
    assert who_asked(context, again) is None


def test_wrong_rows_can_be_looked_at_alone_and_nothing_posted(olga, received):
    record = received("customer_id,Points\nc0000001,100\nnobody,5\nc0000002,abc\n")
    shown = text_of(olga.get(place(record)))
    assert "2 rows of 3 are wrong, so nothing can be posted" in shown
    assert "Post" not in [each.text_content() for each in read(olga.get(place(record))).xpath("//button")]
    assert len(read(olga.get(f"{place(record)}?only=wrong")).xpath("//tbody/tr")) == 2
    assert post(olga, f"{place(record)}/post", place(record)).status_code == 409


def test_a_file_that_cannot_be_read_says_why(olga, received):
    shown = text_of(olga.get(place(received("a;b\n1;2\n"))))
    assert "cannot be read, so nothing can be posted" in shown
    assert "header" in shown


def test_a_reset_waits_for_somebody_else(olga, paul, context, dag, received):
    record = received("customer_id,Points\nc0000001,100\n", mode=Mode.RESET)
    assert record.state is ImportState.WAITING
    mine = read(olga.get(place(record)))
    assert "Somebody else who may import must look" in mine.text_content()
    assert not mine.xpath("//form[contains(@action, '/approve')]")
    own = post(olga, f"{place(record)}/approve", place(record))
    assert "a second person must look at the rehearsal" in text_of(own, 422)
    assert imports.get(context, record.import_id).state is ImportState.WAITING

    told_him = told(paul, post(paul, f"{place(record)}/approve", place(record), note="agreed by phone"))
    assert "Approved, with your name" in told_him
    approved = imports.get(context, record.import_id)
    assert (approved.decision, approved.decided_by, approved.decision_note) == (
        "approved",
        "paul",
        "agreed by phone",
    )
    assert confs() == [{"import": record.import_id}]
    again = post(paul, f"{place(record)}/approve", place(record))
    assert again.status_code == 422


def test_a_reset_whose_balances_changed_is_to_be_rehearsed_again(olga, paul, context, dag, received, program):
    record = received("customer_id,Points\nc0000001,100\n", mode=Mode.RESET)
    imports.approve(context, record.import_id, by="paul")
    other = received("customer_id,Points\nc0000001,3\n", name="other.csv")
    imports.post(context, other.import_id, by="olga")
    with pytest.raises(BadInput):
        imports.post(context, record.import_id, by="paul")
    page = olga.get(place(record))
    assert "Have it rehearsed again" in text_of(page)
    assert read(page).xpath("//*[@id='import']/@hx-trigger") == []
    assert "Balances have changed" in text_of(olga.get("/loyalty/attention"))
    post(olga, f"{place(record)}/rehearse", place(record))
    assert confs() == [{"import": record.import_id}]


def test_refusing_ends_it(olga, paul, context, dag, received):
    record = received("customer_id,Points\nc0000001,100\n", mode=Mode.RESET)
    post(paul, f"{place(record)}/refuse", place(record), note="wrong month")
    assert imports.get(context, record.import_id).state is ImportState.REFUSED
    assert "refused by paul" in text_of(olga.get(PAGE)).casefold()
    assert "wrong month" in text_of(olga.get(place(record)))
    assert confs() == []


def test_what_is_posted_can_be_taken_back_and_imported_again(olga, context, dag, received):
    record = received()
    imports.post(context, record.import_id, by="olga")
    shown = text_of(olga.get(place(record)))
    assert "Take it back" in shown
    post(olga, f"{place(record)}/undo", place(record))
    post(olga, f"{place(record)}/again", place(record))
    newest = imports.history(context)[0]
    assert (newest.repeat, newest.sha256) == (1, record.sha256)
    assert confs() == [{"import": record.import_id, "undo": True}, {"import": newest.import_id}]
    made = imports.undo(context, record.import_id, by="olga")
    assert made.import_id in text_of(olga.get(place(record)))
    assert record.import_id in text_of(olga.get(place(made)))


def test_what_a_file_says_of_members_is_for_who_brought_it_and_who_may_see_it(
    browser, context, dag, received, monkeypatch
):
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    context.state.grants.grant("user", "import", by="ann")
    record = received("Email,Points\nnobody@shop.example,5\n", by="uma")
    uma, ugo = browser("uma", "USER"), browser("ugo", "USER")
    assert "nobody@shop.example" in uma.get(place(record)).text
    assert uma.get(f"{place(record)}/files/original").content.startswith(b"Email")
    hidden = ugo.get(place(record))
    assert "nobody@shop.example" not in hidden.text
    assert "for who brought the file" in hidden.text
    for kind in ("original", "result"):
        assert ugo.get(f"{place(record)}/files/{kind}").status_code == 403
    headless = received("nobody@shop.example,5\n", by="uma")
    assert "nobody@shop.example" in uma.get(place(headless)).text
    page = ugo.get(place(headless)).text
    assert "nobody@shop.example" not in page
    assert "the first row must name the columns" in page
    context.state.grants.grant("user", "personal", by="ann")
    assert "nobody@shop.example" in ugo.get(place(record)).text


def test_files_that_were_removed_are_offered_no_more_and_the_page_says_why(olga, context, dag, received):
    posted = received()
    imports.post(context, posted.import_id, by="olga")
    wrong = received("customer_id,Points\nnobody,1\n", name="wrong.csv")
    for record in (posted, wrong):
        keeping._remove(context, record.import_id)
        shown = olga.get(place(record))
        assert "Its files were removed: their time was over, or somebody in them was erased." in text_of(
            shown
        )
        for offered in ("/files/", "Take it back", "Import it again", "Rehearse again"):
            assert offered not in shown.text
        for kind in ("original", "result", "undo"):
            answer = olga.get(f"{place(record)}/files/{kind}")
            assert (answer.status_code, "Its files were removed" in answer.text) == (410, True)
        assert context.state.audit.newest(action=Action.DOWNLOADED, subject=record.import_id) == []
    form = {"form_token": token(olga, PAGE)}
    for record, do in ((posted, "undo"), (posted, "again"), (wrong, "rehearse")):
        answer = olga.post(f"{place(record)}/{do}", data=form, headers=OWN)
        assert answer.status_code == 410
    assert confs() == []


def test_files_are_downloaded_and_that_is_told(olga, context, received):
    record = received()
    for kind in ("original", "result"):
        answer = olga.get(f"{place(record)}/files/{kind}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
    assert olga.get(f"{place(record)}/files/undo").status_code == 404
    assert olga.get(f"{place(record)}/files/other").status_code == 404
    seen = context.state.audit.newest(action=Action.DOWNLOADED, subject=record.import_id)
    assert sorted(each.detail["file"] for each in seen) == ["original", "result"]
    imports.post(context, record.import_id, by="olga")
    assert b"c0000001" in olga.get(f"{place(record)}/files/undo").content
    result = olga.get(f"{place(record)}/files/result").text.splitlines()
    assert len(result) == 3


def test_templates_are_downloaded(olga, ledger):
    for name in modes():
        assert olga.get(f"{PAGE}/templates/{name}.csv").text.count("\n") >= 2
        book = openpyxl.load_workbook(io.BytesIO(olga.get(f"{PAGE}/templates/{name}.xlsx").content))
        assert book.active.max_row >= 2
    for name in ("undo.csv", "add.exe", "add", "../add.csv"):
        assert olga.get(f"{PAGE}/templates/{name}").status_code == 404


def test_the_history_is_searched(olga, received):
    received(name="january.csv")
    received("customer_id,Points\nc0000003,1\n", name="february.csv", by="paul")
    assert [*read(olga.get(PAGE)).xpath("//tbody//th/a/text()")] == ["february.csv", "january.csv"]
    assert [*read(olga.get(f"{PAGE}?q=JAN")).xpath("//tbody//th/a/text()")] == ["january.csv"]
    assert [*read(olga.get(f"{PAGE}?q=paul")).xpath("//tbody//th/a/text()")] == ["february.csv"]
    assert "No import is like that" in text_of(olga.get(f"{PAGE}?state=posted"))
    assert olga.get(f"{PAGE}?state=no-such&page=-4&q=%25").status_code == 200


@pytest.mark.parametrize(
    "import_id", ["imp-0000000000000000", "imp", "é" * 20, "'; drop table x --", "%2e%2e"]
)
def test_an_import_that_nobody_knows_is_not_found(olga, ledger, import_id):
    assert olga.get(f"{PAGE}/{import_id}").status_code == 404


def test_an_import_that_is_off_says_how_it_is_turned_on(browser, installation, monkeypatch, dag):
    monkeypatch.setenv("LOYALTY_LEDGER_URL", f"sqlite:///{installation.home / 'ledger.sqlite'}")
    shown = text_of(browser("olga", "ADMIN").get(PAGE))
    assert "LOYALTY_LEDGER_WRITE_URL" in shown
    assert "Import a file" not in shown


def test_a_ledger_that_is_only_read_takes_no_file_and_says_why(browser, context, dag, monkeypatch):
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", "mysql+pymysql://reader@ledger.example/points")
    olga = browser("olga", "ADMIN")
    shown = olga.get(PAGE)
    assert "Points can be imported into ledgers in PostgreSQL and SQLite; this one is in MySQL" in text_of(
        shown
    )
    assert "Import a file" not in shown.text
    sent = olga.post(
        PAGE, headers=OWN, files={"file": ("a.csv", b"x")}, data={"mode": "add", "program": "club"}
    )
    assert (sent.status_code, "this one is in MySQL or MariaDB" in sent.text) == (409, True)
    assert context.state.imports.list([]) == []


def test_what_waits_or_is_wrong_needs_attention_of_who_may_import(
    olga, browser, context, received, monkeypatch
):
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    attention.forget()
    waiting = received("customer_id,Points\nc0000001,100\n", mode=Mode.RESET)
    received("customer_id,Points\nnobody,5\n", name="wrong.csv")
    fresh = received()
    page = read(olga.get("/loyalty/attention"))
    links = page.xpath("//a[. = 'Look at it']/@href")
    assert len(links) == 2
    assert f"../loyalty/imports/{waiting.import_id}" in links or any(
        waiting.import_id in each for each in links
    )
    assert "2" in olga.get("/loyalty/attention/count").text
    context.state.grants.grant("viewer", "administer", by="ann")
    assert "Look at it" not in browser("vera", "VIEWER").get("/loyalty/attention").text
    later = datetime.now(UTC) + timedelta(days=2)
    found = {each.subject for each in attention.collect(context, attention.Visible(), later)}
    assert fresh.import_id in found


def test_a_role_that_may_only_administer_does_not_count_imports(browser, context, received, monkeypatch):
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    attention.forget()
    context.state.grants.grant("viewer", "administer", by="ann")
    before = browser("vera", "VIEWER").get("/loyalty/attention/count").text
    received("customer_id,Points\nc0000001,100\n", mode=Mode.RESET)
    assert browser("vera", "VIEWER").get("/loyalty/attention/count").text == before
