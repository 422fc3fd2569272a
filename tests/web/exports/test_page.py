"""The page of an export, and of one run: what they show, to whom, and in which odd states."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from include.state.deliveries import DeliveryState
from include.state.identity import delivery_key
from include.state.runs import RunStatus
from include.state.tables import EXPORT_EDITS
from tests.pipeline.made_runs import finished
from tests.web.exports.conftest import press, told
from tests.web.exports.made import export, run

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

ROWS = [("club", "ann", 100), ("club", "bob", 250)]
MORE = [("club", "ann", 150), ("club", "cid", 75), ("club", "dee", 25)]
PAGE = "/loyalty/exports/daily"


@pytest.fixture
def context(installation):
    return installation.context


@pytest.fixture
def admin(browser):
    return browser("olga", "ADMIN")


@pytest.fixture
def daily(context):
    return export(context, "daily")


def text(answer, status=200):
    assert answer.status_code == status, answer.text
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]))


def delivered(context, made, target="folder", state="confirmed", receipt=None, message=None, **more):
    """A delivery of a run in some state."""
    key = delivery_key(made.run_key, target)
    deliveries = context.state.deliveries
    claim = deliveries.claim(key, "worker", timedelta(minutes=1), run_key=made.run_key, target=target)
    deliveries.ready(claim, sha256="a" * 64, rows=2, totals={})
    if state == "confirmed":
        deliveries.confirmed(
            claim, receipt or {"target": "folder", "key": key, "files": [], "recipients": []}
        )
    elif state != "ready":
        getattr(deliveries, state)(claim, message or "why it did not", **more)
    return key


def test_an_export_without_runs(admin, daily):
    page = text(admin.get(PAGE))
    assert "Every day at 06:00 Europe/Paris, balance as of that moment, CSV, to folder daily." in page
    assert "No runs yet" in page
    assert "Totals of each run" not in page
    assert "Run now" in page


def test_what_a_run_has_made_is_there_with_its_totals_and_who_has_it(admin, context, daily):
    first = finished(context, daily.document, {None: ROWS})
    second = finished(context, daily.document, {None: MORE}, day=1)
    place = {"name": "a.csv", "place": "/in/a.csv", "bytes": 34, "sha256": "b" * 64, "outcome": "created"}
    people = [{"address": f"p{n}@shop.example", "answer": "accepted", "said": "250 OK"} for n in range(300)]
    delivered(
        context, second, receipt={"target": "folder", "key": "k", "files": [place], "recipients": people}
    )
    answer = admin.get(PAGE)
    page = text(answer)
    assert "3.50" not in page.partition("Totals of each run")[2].partition("Runs")[0]
    assert re.search(r"points\s+2\.50\s+-1\.00", page)
    assert answer.text.count("<polyline") == 2  # of rows and of points
    assert f"/files/{second.run_key}/" in answer.text
    assert f"/runs/{first.run_key}" in answer.text
    assert "p0@shop.example" in page
    assert "295 more recipients" in page
    assert "b" * 64 in page
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


def test_a_run_at_work_is_asked_again_and_one_that_is_over_is_not(admin, context, daily):
    at_work = run(context, "daily")
    context.state.runs.progress(at_work.run_key, "render", 1200, 3400)
    shown = admin.get(f"{PAGE}/runs", headers={"hx-request": "true"})
    assert "every 3s" in shown.text
    assert "render: 1,200 of 3,400 rows" in text(admin.get(PAGE))
    one = admin.get(f"{PAGE}/runs/{at_work.run_key}", headers={"hx-request": "true"})
    assert "every 3s" in one.text
    assert "hx-refresh" not in one.headers
    context.state.runs.finish(at_work.run_key, RunStatus.FAILED, {"failure": "snapshot: the ledger is away"})
    over = admin.get(f"{PAGE}/runs", headers={"hx-request": "true"})
    assert "every" not in over.text
    assert "the ledger is away" in over.text
    assert (
        admin.get(f"{PAGE}/runs/{at_work.run_key}", headers={"hx-request": "true"}).headers["hx-refresh"]
        == "true"
    )


def test_pages_of_runs_hold_every_run_once(admin, context, daily):
    for day in range(23):
        finished(context, daily.document, {None: ROWS}, day=day)
    keys = [
        key
        for page in (1, 2)
        for key in re.findall(r'id="pick-([0-9a-f]{12})"', admin.get(f"{PAGE}?page={page}").text)
    ]
    assert len(keys) == len(set(keys)) == 23
    assert "Page 2 of 2" in text(admin.get(f"{PAGE}?page=2"))
    assert admin.get(f"{PAGE}?page=0").status_code == 422
    assert text(admin.get(f"{PAGE}?page=99"))


def test_long_messages_names_in_every_script_and_markup_stay_texts(admin, context):
    name = "<img src=x onerror=alert(1)> Ünïcödé 表示 {{ 7*7 }}"
    odd = export(context, "odd", name=name[:150], description="d" * 2000, owner="<i>o</i>")
    made = run(context, "odd")
    message = "<script>alert(1)</script>\n" + "a very long line " * 2000
    context.state.runs.finish(made.run_key, RunStatus.FAILED, {"failure": message})
    for path in ("", f"/runs/{made.run_key}", "/versions", "/yaml", "/delete"):
        answer = admin.get(f"/loyalty/exports/{odd.definition_id}{path}")
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "<i>o</i>" not in answer.text
        assert "{{ 7*7 }}" in html.unescape(answer.text) or path.startswith("/runs")


def test_an_export_that_is_known_no_more_says_why_and_breaks_no_page(admin, context):
    export(context, "odd")
    sound = admin.get("/loyalty/exports/odd").text
    for document, why in (
        ({**context.state.exports.get("odd").document, "model": "balances"}, "balances"),
        (["no", "mapping"], "mapping"),
    ):
        with context.state.database.write() as connection:
            mine = EXPORT_EDITS.c.definition_id == "odd"
            connection.execute(EXPORT_EDITS.update().where(mine).values(document=document))
        page = " ".join(text(admin.get("/loyalty/exports/odd")).split())
        assert "This export cannot run as it is: edit it" in page
        assert why in page.partition("This export cannot run")[2]
        for path in ("", "/edit", "/versions", "/yaml", "/delete", "/compare"):
            assert admin.get(f"/loyalty/exports/odd{path}").status_code == 200, path
        assert admin.get("/loyalty/exports/odd/clone").status_code in (404, 409)
        assert admin.get("/loyalty/exports").status_code == 200
    assert "cannot run as it is" not in sound


def test_files_that_are_gone_have_no_link_and_say_why(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    context.state.runs.files_gone(made.run_key, "erasure", {})
    page = admin.get(f"{PAGE}/runs/{made.run_key}")
    assert "they held a customer who was erased" in text(page)
    links = re.findall(rf'href="[^"]*/files/{made.run_key}/([^"]+)"', page.text)
    assert [each.endswith("manifest.json") for each in links] == [True]
    assert "removed" in text(admin.get(PAGE))
    lost = finished(context, daily.document, {None: ROWS}, day=1)
    context.store.delete(lost.files[0]["key"])
    assert "does not hold" in text(admin.get(f"{PAGE}/runs/{lost.run_key}"))


def test_personal_files_are_no_link_for_who_may_not_have_them(admin, browser, context):
    export(context, "people", model="customers", fields=["customer_id", "email"], as_of="end_of_previous_day")
    document = context.state.exports.get("people").document
    made = finished(context, document, {None: ROWS})
    name = made.files[0]["name"]
    for path in ("/loyalty/exports/people", f"/loyalty/exports/people/runs/{made.run_key}"):
        assert f'{made.run_key}/{name}"' in admin.get(path).text
        seen = browser("vera", "VIEWER").get(path)
        assert f'{made.run_key}/{name}"' not in seen.text
        assert "personal data" in seen.text


def test_a_run_tells_everything_that_was_pinned(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    again = finished(context, daily.document, {None: MORE}, revision=1)
    context.state.runs.pin_snapshot(made.run_key, "0f5a3b-7")
    page = text(admin.get(f"{PAGE}/runs/{made.run_key}"))
    for shown in (
        made.run_key,
        "0f5a3b-7",
        made.files[0]["sha256"],
        "manifest",
        "Not tried: folder",
        "v" * 12,
    ):
        assert shown in page
    assert again.run_key[:12] in page.partition("Other revisions")[2]
    assert "revision 1" in text(admin.get(f"{PAGE}/runs/{again.run_key}"))


@pytest.mark.parametrize(
    ("state", "words", "buttons"),
    [
        ("failed", "Put right what the message says", ["retry"]),
        ("uncertain", "Ask the receiver", ["retry", "arrived", "absent"]),
        ("conflict", "Something else has the name", ["retry", "arrived", "absent"]),
        ("ready", "it is being delivered right now", []),
        ("confirmed", "arrived", []),
    ],
)
def test_every_state_of_a_delivery_says_what_to_do(admin, browser, context, daily, state, words, buttons):
    made = finished(context, daily.document, {None: ROWS})
    delivered(context, made, state=state)
    address = f"{PAGE}/runs/{made.run_key}"
    page = admin.get(address)
    assert words in text(page)
    assert re.findall(r'name="do" value="(\w+)"', page.text) == buttons
    seen = browser("vera", "VIEWER").get(address)
    assert words in text(seen)
    assert 'name="do"' not in seen.text


def test_a_persons_word_is_written_down_with_their_name(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    key = delivered(context, made, state="uncertain")
    address = f"{PAGE}/runs/{made.run_key}"
    fence = str(context.state.deliveries.get(key).fence)
    answer = press(
        admin, address, f"{address}/deliveries/{key}", do="arrived", note="Jane at the bank", fence=fence
    )
    assert "Written down, with your name" in told(admin, answer)
    found = context.state.deliveries.get(key)
    assert found.state is DeliveryState.CONFIRMED
    assert found.receipt["word"] | {"at": ""} == {
        "arrived": True,
        "by": "olga",
        "at": "",
        "note": "Jane at the bank",
    }
    page = text(admin.get(address))
    assert "olga says that it arrived: Jane at the bank" in page
    assert "said to have arrived: Jane at the bank, by olga" in page


def test_a_word_about_what_has_moved_meanwhile_changes_nothing(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    key = delivered(context, made, state="uncertain")
    address = f"{PAGE}/runs/{made.run_key}"
    seen = context.state.deliveries.get(key).fence
    context.state.deliveries.reopen(key, by="jane")
    answer = press(admin, address, f"{address}/deliveries/{key}", do="arrived", fence=str(seen))
    assert answer.status_code == 422
    assert "look again" in answer.text
    assert context.state.deliveries.get(key).state is DeliveryState.FAILED
    long = press(admin, address, f"{address}/deliveries/{key}", do="absent", note="x\ny" * 300)
    assert long.status_code == 422


def test_addresses_that_lead_nowhere(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    other = export(context, "other")
    for path in (
        "/loyalty/exports/nothing", "/loyalty/exports/%00", f"{PAGE}/runs/{'0' * 64}", f"{PAGE}/runs/x",
        f"/loyalty/exports/{other.definition_id}/runs/{made.run_key}", f"{PAGE}/versions?a=1&b=99",
        "/loyalty/exports/nothing/backfill", "/loyalty/exports/..%2f..",
    ):  # fmt: skip
        assert admin.get(path).status_code == 404, path
    token = {"do": "retry"}
    address = f"{PAGE}/runs/{made.run_key}"
    assert press(admin, address, f"{address}/deliveries/{'0' * 64}", **token).status_code == 404
    assert press(admin, address, f"{address}/deliveries/%00", **token).status_code == 404


def test_who_may_not_see_an_export_learns_nothing_of_it(browser, context):
    export(context, "month-end")
    made = run(context, "month-end")
    care = browser("care")
    for path in (
        "",
        "/runs",
        f"/runs/{made.run_key}",
        "/yaml",
        "/versions",
        "/compare?a=x&b=y",
        "/airflow",
        "/backfill",
        "/delete",
    ):
        answer = care.get(f"/loyalty/exports/month-end{path}")
        assert answer.status_code == 403, path
        assert "Month end" not in answer.text
        missing = care.get(f"/loyalty/exports/nothing{path.replace(made.run_key, '0' * 64)}")
        assert missing.status_code == 403, path
        assert browser().get(f"/loyalty/exports/month-end{path}").status_code == 303
    for path in (
        "/run",
        "/send",
        "/resend",
        "/restate",
        "/hold",
        "/pause",
        "/delete",
        "/backfill",
        "/versions",
    ):
        assert care.post(f"/loyalty/exports/month-end{path}").status_code == 403, path
        assert care.get(f"/loyalty/exports/month-end{path}").status_code in {403, 405}


def test_every_post_needs_the_form_of_our_own_page(admin, context, daily):
    admin.get(PAGE)
    made = run(context, "daily")
    before = len(list(context.state.audit.entries()))
    for path in ("/run", "/send", "/resend", "/restate", "/hold", "/pause", "/delete", "/backfill", "/versions",
                 f"/runs/{made.run_key}/deliveries/{'0' * 64}"):  # fmt: skip
        assert admin.post(f"{PAGE}{path}", data={"do": "pause"}).status_code == 403, path
        evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert admin.post(f"{PAGE}{path}", data={"do": "pause"}, headers=evil).status_code == 403
    assert len(list(context.state.audit.entries())) == before


def test_the_yaml_is_the_export_again(admin, context, daily):
    from include.definitions.document import parse_yaml
    from include.definitions.load import from_document

    answer = admin.get(f"{PAGE}/yaml?download=true")
    assert answer.headers["content-disposition"].startswith('attachment; filename="daily.yaml"')
    assert (
        from_document(parse_yaml(answer.text, where="x"), where="x").document()
        == from_document(daily.document, where="x").document()
    )
    assert "data-copy" in admin.get(f"{PAGE}/yaml").text


def test_a_broken_file_and_a_disabled_export_say_so(admin, context, monkeypatch, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    sound = "id: filed\nname: Filed\nmodel: balance\ntargets: [{kind: folder, options: {folder: filed}}]\n"
    (folder / "filed.yaml").write_text(sound)
    monkeypatch.setenv("LOYALTY_EXPORTS", str(folder))
    from include.web import _app

    _app.cache_clear()
    page = text(admin.get("/loyalty/exports/filed"))
    assert "in the file filed.yaml" in page.replace("  ", " ")
    assert "Clone to edit" in page
    assert admin.get("/loyalty/exports/filed/delete").status_code == 409
    (folder / "filed.yaml").write_text(sound + "enabled: false\n")
    off = admin.get("/loyalty/exports/filed")
    assert "Switched off" in text(off)
    assert '/run"' not in off.text
    (folder / "filed.yaml").write_text(sound.replace("balance", "balnce"))
    assert "has problems, so the export does not run" in text(admin.get("/loyalty/exports/filed"))
