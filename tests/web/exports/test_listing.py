"""The list of exports shows what the reader may see, as they asked for it, and moves while a run is at work."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from include.state.exports import LastRun, Status
from include.state.runs import RunStatus
from include.web.exports.listing import LONGEST_TEXT, PER_PAGE, Asked, _news
from tests.web.exports.made import export, finished, run

LIST = "/loyalty/exports"


@pytest.fixture(autouse=True)
def no_files(tmp_path, monkeypatch):
    """No YAML file brings an export."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))


@pytest.fixture
def admin(browser):
    return browser("admin", "ADMIN")


def read(answer, status: int = 200):
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def names(page) -> list[str]:
    return [each.text_content() for each in page.xpath("//tbody//th/a")]


def cell(page, label: str, row: int = 0) -> str:
    return " ".join(
        page.xpath("//tbody/tr")[row].xpath(f"*[@data-label='{label}']")[0].text_content().split()
    )


def test_who_has_not_logged_in_is_led_to_the_login(browser):
    for path in (LIST, "/loyalty/processing?id=a", "/loyalty/dags/a"):
        assert browser().get(path).status_code == 303
        assert browser().get(path, headers={"accept": "application/json"}).status_code == 401


def test_a_row_says_everything(admin, installation):
    state = installation.context.state
    export(
        installation.context,
        "month-end",
        "olga",
        model="history",
        targets=[
            {"kind": "folder", "name": "finance", "options": {"folder": "f"}},
            {"kind": "folder", "name": "partner", "options": {"folder": "p"}},
        ],
    )
    made = finished(installation.context, "month-end", size=1_400_000)
    claim = state.deliveries.claim(
        "k" * 64, "me", timedelta(minutes=1), run_key=made.run_key, target="finance"
    )
    state.deliveries.failed(claim, "the folder is full")
    page = read(admin.get(LIST))
    assert names(page) == ["Month end"]
    assert page.xpath("//tbody//th/a")[0].get("href") == "./exports/month-end"
    assert cell(page, "Status") == "Active Finished"
    assert cell(page, "Model") == "History"
    assert [text.strip() for text in page.xpath("//select[@id='model']/option/text()")] == [
        "Any model",
        "History",
    ]
    assert page.xpath("//select[@id='target']/optgroup/@label") == ["Kind", "Name"]
    offered = page.xpath("//select[@id='target']/optgroup/option")
    assert [each.get("value") for each in offered] == ["folder", "finance", "partner"]
    assert offered[0].text == "Folder of this installation, or a bucket by URL"
    assert cell(page, "Created by") == "olga"
    assert cell(page, "Filesize") == "1.4 MB"
    assert re.fullmatch(r"\w{3} \d{1,2} \w{3} \d{4} 06:00 Europe/Paris", cell(page, "Next run"))
    [next_run] = page.xpath("//*[@data-label='Next run']//time")
    assert next_run.get("data-zone") == "Europe/Paris"  # a script adds the viewer's
    delivered = cell(page, "Last delivery")
    assert delivered.startswith("finance failed ")
    assert delivered.endswith("partner not yet")
    assert page.get_element_by_id("count").text_content() == "1 to 1 of 1 export"


ONCE = {"kind": "once", "date": "2030-01-01", "time": "06:00"}


@pytest.mark.parametrize(
    ("keys", "status", "following"),
    [
        ({"schedule": None}, "Pending", "By hand"),
        ({"schedule": ONCE}, "Pending", "Tue 1 Jan 2030 06:00 Europe/Paris"),
        ({"schedule": ONCE | {"date": "2020-01-01"}}, "Pending", "No further run"),
        ({"schedule": ONCE, "paused": True}, "Pending", "Paused"),
        ({"paused": True}, "Inactive", "Paused"),
        ({"enabled": False}, "Inactive", "Switched off"),
        ({"schedule": {"kind": "weekly", "days": ["monday"], "time": "06:00"}}, "Active", "Mon "),
    ],
)
def test_what_has_never_run_says_how_it_stands_and_what_comes(admin, installation, keys, status, following):
    export(installation.context, "one", **keys)
    page = read(admin.get(LIST))
    assert cell(page, "Status") == status
    assert cell(page, "Next run").startswith(following)


def test_only_what_the_reader_may_see(browser, installation):
    for definition_id in ("month-end", "weekly-history"):
        export(installation.context, definition_id, owner=f"owner of {definition_id}")
        run(installation.context, definition_id)
    finance = browser("finance")
    page = read(finance.get(LIST))
    assert names(page) == ["Month end"]
    assert "1 to 1 of 1 export" in page.text_content()
    assert "owner of weekly-history" not in page.text_content()
    moving = finance.get("/loyalty/processing", params={"id": ["month-end", "weekly-history"]}).text
    assert "status-month-end" in moving
    assert "weekly-history" not in moving
    assert names(read(finance.get(LIST, params={"q": "weekly"}))) == []


def test_new_export_is_offered_to_who_may_make_one(browser, installation):
    export(installation.context, "month-end")
    assert "./exports/new" in browser("admin", "ADMIN").get(LIST).text
    for user, role in (("olga", "OP"), ("uma", "USER"), ("finance", "VIEWER")):
        assert "/exports/new" not in browser(user, role).get(LIST).text


def test_without_exports_the_page_says_what_to_do_first(browser):
    page = read(browser("admin", "ADMIN").get(LIST))
    assert "No exports yet" in page.text_content()
    assert page.xpath("//*[contains(@class, 'empty')]//a")[0].get("href") == "./exports/new"
    page = read(browser("finance").get(LIST))
    assert "Ask an administrator" in page.text_content()
    assert not page.xpath("//*[contains(@class, 'empty')]//a")


def test_where_nothing_matches_the_way_back_is_shown(admin, installation):
    export(installation.context, "one")
    page = read(admin.get(LIST, params={"q": "nothing like it"}))
    assert "No export matches" in page.text_content()
    assert page.xpath("//*[contains(@class, 'empty')]//a")[0].get("href") == "./exports"
    assert page.get_element_by_id("q").get("value") == "nothing like it"


def test_search_looks_in_names_ids_and_descriptions(admin, installation):
    export(installation.context, "one", name="Été", description="for the auditor")
    export(installation.context, "two", name="Winter")
    for text, found in (("ÉTÉ", ["Été"]), ("AUDIT", ["Été"]), ("two", ["Winter"]), ("win two", ["Winter"])):
        assert names(read(admin.get(LIST, params={"q": text}))) == found


def test_filters_add_up_and_stay_in_the_form(admin, installation):
    export(installation.context, "one", owner="finance", model="history")
    export(installation.context, "two", owner="care", model="history")
    export(installation.context, "three", owner="care", paused=True)
    sftp = {"kind": "sftp", "name": "bank", "options": {"connection": "bank", "path": "/in"}}
    export(installation.context, "four", targets=[sftp])
    for params, found in (
        ({"model": "history"}, {"One", "Two"}),
        ({"model": "history", "owner": "care"}, {"Two"}),
        ({"status": "Inactive"}, {"Three"}),
        ({"status": "Active", "owner": "care"}, {"Two"}),
        ({"target": "sftp"}, {"Four"}),
        ({"target": "bank"}, {"Four"}),
        ({"status": "", "model": "", "target": "", "owner": ""}, {"One", "Two", "Three", "Four"}),
    ):
        page = read(admin.get(LIST, params=params))
        assert set(names(page)) == found, params
        chosen = {each.get("name"): each.value for each in page.xpath("//form[@id='filters']//select")}
        assert chosen == {"status": "", "model": "", "target": "", "owner": ""} | params


def test_headings_sort_and_say_so(admin, installation):
    for name in ("Bravo", "alpha", "Charlie"):
        export(installation.context, name.lower(), name=name)
    page = read(admin.get(LIST))
    assert names(page) == ["Charlie", "alpha", "Bravo"]  # the newest first
    assert [each.text_content() for each in page.xpath("//*[@aria-sort='descending']")] == ["Created at"]
    link = page.get_element_by_id("by-name")
    page = read(admin.get(link.get("href").replace(".", "/loyalty", 1)))
    assert names(page) == ["alpha", "Bravo", "Charlie"]
    assert [each.text_content() for each in page.xpath("//*[@aria-sort='ascending']")] == ["Name"]
    link = page.get_element_by_id("by-name")
    page = read(admin.get(link.get("href").replace(".", "/loyalty", 1)))
    assert names(page) == ["Charlie", "Bravo", "alpha"]
    assert [each.text_content() for each in page.xpath("//*[@aria-sort]")] == ["Name"]


def test_every_heading_can_be_asked_for(admin, installation):
    export(installation.context, "one")
    for link in read(admin.get(LIST)).xpath("//thead//a"):
        page = read(admin.get(link.get("href").replace(".", "/loyalty", 1)))
        assert [each.text_content() for each in page.xpath("//*[@aria-sort]")] == [link.text_content()]


def test_pages(admin, installation):
    for number in range(PER_PAGE + 2):
        export(installation.context, f"export-{number:02}")
    first = read(admin.get(LIST, params={"sort": "name", "descending": "false", "q": "export"}))
    assert len(names(first)) == PER_PAGE
    assert first.get_element_by_id("count").text_content() == "1 to 50 of 52 exports"
    [following] = first.xpath("//a[@rel='next']")
    second = read(admin.get(following.get("href").replace(".", "/loyalty", 1)))
    assert names(second) == ["Export 50", "Export 51"]
    assert second.get_element_by_id("count").text_content() == "51 to 52 of 52 exports"
    assert names(
        read(admin.get(LIST, params={"page": 9999, "sort": "name", "descending": "false"}))
    ) == names(second)


def test_a_script_gets_the_table_alone_and_the_address_to_show(admin, installation):
    export(installation.context, "one")
    asked = {"q": "one", "status": "", "sort": "created_at", "descending": "true"}
    answer = admin.get(LIST, params=asked, headers={"hx-request": "true"})
    assert answer.headers["hx-replace-url"] == "./exports?q=one"
    assert answer.headers["vary"].lower().count("hx-request") == 1
    assert "<html" not in answer.text
    assert 'hx-swap-oob="innerHTML:#count"' in answer.text
    assert names(html.fragment_fromstring(answer.text, create_parent=True)) == ["One"]
    back = {"hx-request": "true", "hx-history-restore-request": "true"}
    assert "<html" in admin.get(LIST, headers=back).text


def test_a_run_at_work_is_asked_about_until_it_is_over(admin, installation):
    state = installation.context.state
    export(installation.context, "quick")
    export(installation.context, "still")
    made = run(installation.context, "quick")
    state.runs.progress(made.run_key, "book", 1200, 4800)
    page = read(admin.get(LIST))
    quick = page.get_element_by_id("status-quick")
    assert quick.text_content().split()[:2] == ["Active", "Processing"]
    assert quick.xpath(".//progress")[0].get("value") == "0.25"
    assert "Book: 1,200 of 4,800 rows" in quick.text_content()
    work = page.get_element_by_id("work")
    assert work.get("hx-get") == "./processing?id=quick"
    assert work.get("hx-trigger") == "every 2s"

    state.runs.progress(made.run_key, "book", 2400, 4800)
    moving = admin.get("/loyalty/processing?id=quick").text
    assert "2,400 of 4,800 rows" in moving
    assert 'hx-get="./processing?id=quick"' in moving

    state.runs.finish(made.run_key, RunStatus.FAILED)
    over = admin.get("/loyalty/processing?id=quick").text
    assert "hx-get" not in over
    assert "Quick: Failed." in over  # said aloud
    assert read(admin.get(LIST)).get_element_by_id("work").get("hx-get") is None


def test_a_run_whose_rows_nobody_knows_shows_no_share(admin, installation):
    export(installation.context, "one")
    made = run(installation.context, "one")
    installation.context.state.runs.progress(made.run_key, "snapshot", 500)
    status = read(admin.get(LIST)).get_element_by_id("status-one")
    assert status.xpath(".//progress")[0].get("value") is None
    assert "Snapshot: 500 rows" in status.text_content()
    assert "left" not in status.text_content()


NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("done", "total", "began", "updated", "news"),
    [
        # 1,000 of 4,000 rows in 10 s: 30 s for the rest
        (1000, 4000, 10, 0, "Book: 1,000 of 4,000 rows, about 30 s left"),
        (0, None, 10, 0, "Book"),
        (7, None, 10, 0, "Book: 7 rows"),
        (0, 4000, 10, 0, "Book: 0 of 4,000 rows"),  # no pace yet
        (1000, 4000, 0, 0, "Book: 1,000 of 4,000 rows"),  # too early to tell
        (5000, 4000, 10, 0, "Book: 4,000 of 4,000 rows, a few seconds left"),
        (1000, 4000, 310, 300, "Book: 1,000 of 4,000 rows, no news for 5 min"),
    ],
)
def test_news_are_never_made_up(done, total, began, updated, news):
    at = NOW - timedelta(seconds=updated)
    last = LastRun("k" * 64, "running", "book", NOW - timedelta(seconds=began), done, total, None, NOW, at)
    assert _news(last, NOW) == news


def test_a_run_that_has_its_files_delivers_them():
    last = LastRun("k" * 64, "rendered", "write", NOW, 5, 5, 100, NOW, NOW)
    assert _news(last, NOW) == "Delivering"


def test_a_run_that_has_not_begun_waits():
    assert _news(LastRun("k" * 64, "pinned", "", None, 0, None, None, NOW, NOW), NOW) == "Waiting"


@pytest.mark.parametrize(
    "params",
    [
        {"status": "Nonsense"},
        {"sort": "name; DROP TABLE loyalty_exports"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "1e3"},
        {"page": "9" * 30},
        {"descending": "maybe"},
        {"q": "x" * (LONGEST_TEXT + 1)},
    ],
)
def test_an_address_that_nobody_made_is_refused(admin, params):
    page = read(admin.get(LIST, params=params), 422)
    assert "address of this page is not right" in page.text_content()


@pytest.mark.parametrize(
    "text",
    [
        "'; --",
        "%",
        "_",
        "\\",
        '"><script>alert(1)</script>',
        "\x00\x1b[0m",
        "\u202egnp.exe",
        "{{ 7*7 }}",
        "é" * 200,
    ],
)
def test_the_worst_texts_find_nothing_and_stay_texts(admin, installation, text):
    export(installation.context, "one")
    for name in ("q", "model", "target", "owner"):
        answer = admin.get(LIST, params={name: text})
        read(answer)
        assert "<script>alert" not in answer.text
    assert names(read(admin.get(LIST, params={"q": text}))) in ([], ["One"])


def test_nothing_of_an_export_is_rendered_unescaped(admin, installation):
    worst = "<img src=x onerror=alert(1)> {{ 7*7 }} \u202e"
    export(
        installation.context,
        "one",
        "<b>olga</b>@shop.example",
        name="<i>n</i>",
        owner="<u>o</u>",
        description=worst,
    )
    page = read(admin.get(LIST))
    assert names(page) == ["<i>n</i>"]
    assert cell(page, "Created by") == "<b>olga</b>@shop.example"
    assert not page.xpath("//tbody//i | //tbody//u | //tbody//b | //tbody//img | //select//u")


@given(
    st.builds(
        Asked,
        q=st.text(max_size=LONGEST_TEXT),
        status=st.sampled_from([None, *Status]),
        model=st.text(max_size=20),
        owner=st.text(max_size=20),
        sort=st.sampled_from(["name", "created_at", "next_at"]),
        descending=st.booleans(),
        page=st.integers(1, 1_000_000),
    )
)
def test_an_address_says_what_was_asked_for(asked):
    assert Asked.model_validate(dict(parse_qsl(asked.address()))) == asked


def test_the_tab_of_a_dag_leads_to_its_export_or_says_that_there_is_none(browser, installation):
    export(installation.context, "month-end")
    answer = browser("admin", "ADMIN").get("/loyalty/dags/month-end")
    assert (answer.status_code, answer.headers["location"]) == (303, "../exports/month-end")
    page = read(browser("admin", "ADMIN").get("/loyalty/dags/upkeep"))
    assert "upkeep is not an export" in page.text_content()
    assert browser("finance").get("/loyalty/dags/upkeep").status_code == 403
