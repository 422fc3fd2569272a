"""Spreadsheets that deliveries make, how tabs look, charts, and what options may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from include.errors import BadInput, Permanent, Transient
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.targets import google_sheets
from include.targets.google_sheets import Options
from include.targets.protocol import Kept, Outcome, Seen, no_progress
from tests.servers.sheets import ACCOUNT, BOOK, NAME
from tests.servers.workbook import Formula, Sheet, Workbook
from tests.targets.sheets_delivery import COLUMNS, OPTIONS, ROWS, SHOWN, deliver, google, outcomes, parcel

__all__ = ["google"]  # a fixture
FOLDER = "0FolderInASharedDrive1234567"
TEMPLATE = "1TemplateSpreadsheetIdentity000"


def create(google, sent, **more):
    options = Options.model_validate({"connection": NAME, "create": {"title": "Points {period}", **more}})
    return google_sheets.deliver(options, sent, google.secrets(), no_progress), options


def made(google) -> list[Workbook]:
    return [google.drive.books[number] for number in google.drive.files]


# Made spreadsheets


@pytest.mark.servers
def test_a_spreadsheet_is_made_once_for_each_title_and_shared(google, tmp_path):
    people = [
        {"address": "ada@acme.example", "role": "writer"},
        {"address": "all@acme.example", "kind": "group"},
    ]
    sent = parcel(tmp_path)
    receipt, options = create(google, sent, share_with=people)
    create(google, sent, share_with=people)
    create(google, parcel(tmp_path, ROWS[:1], key="k2"), share_with=people)
    create(google, parcel(tmp_path, key="k3", about={"period": "2026-03-02"}))
    first, second = made(google)
    assert (first.title, first.shown) == ("Points 2026-03-01", {"daily": SHOWN[:2]})
    assert (second.title, second.shown) == ("Points 2026-03-02", {"daily": SHOWN})
    assert google.drive.rights[first.id] == [
        {"type": "user", "role": "writer", "emailAddress": "ada@acme.example"},
        {"type": "group", "role": "reader", "emailAddress": "all@acme.example"},
    ]
    assert first.id in receipt.files[0].place
    assert google_sheets.look(options, sent, google.secrets()) is Seen.ABSENT  # another one is
    first.sheets[9] = Sheet(9, ".part-aa-20200101T000000Z-00-0", hidden=True)
    assert len(google_sheets.clean(options, google.secrets(), timedelta(days=1), Kept())) == 1


@pytest.mark.servers
@pytest.mark.parametrize("status", [500, 0])
@pytest.mark.parametrize("after", [False, True], ids=["not done", "done, and the answer lost"])
def test_a_lost_answer_makes_no_second_spreadsheet(google, tmp_path, status, after):
    google.fail(r"files\.create", status, after=after)
    google.fail(r"permissions\.create", status, after=after)
    create(google, parcel(tmp_path), share_with=[{"address": "ada@acme.example"}])
    (book,) = made(google)
    assert book.shown == {"daily": SHOWN}


@pytest.mark.servers
def test_a_template_is_copied_with_what_is_on_it(google, tmp_path):
    tab = Sheet(0, "daily")
    tab.write(0, 0, ["an example"])
    other = Sheet(5, "Summary")
    other.write(0, 0, [Formula("=SUM(daily!C:C)")])
    google.drive.books[TEMPLATE] = Workbook(
        TEMPLATE, sheets={0: tab, 5: other}, readers={ACCOUNT}, editors={"ada"}
    )
    google.drive.folders.add(FOLDER)
    place = {"template": f"https://docs.google.com/spreadsheets/d/{TEMPLATE}/edit", "folder": FOLDER}
    receipt, options = create(google, parcel(tmp_path), **place)
    assert outcomes(receipt) == [Outcome.REPLACED]
    (book,) = made(google)
    assert book.shown == {"daily": SHOWN, "Summary": [["=SUM(daily!C:C)"]]}
    assert google_sheets.test(options, google.secrets()) == []
    assert len(google.drive.files) == 1
    assert "https://www.googleapis.com/auth/drive" in google.scopes


@pytest.mark.servers
def test_what_is_missing_for_making_is_named(google, tmp_path):
    with pytest.raises(Permanent, match=rf"no such folder, or {ACCOUNT} may not write there"):
        create(google, parcel(tmp_path), folder=FOLDER)
    with pytest.raises(Permanent, match="template"):
        create(google, parcel(tmp_path), template=TEMPLATE)
    google.drive.no_storage = True
    with pytest.raises(Permanent, match="has no storage for files of its own"):
        create(google, parcel(tmp_path))
    options = Options.model_validate({"connection": NAME, "create": {"title": "x", "folder": FOLDER}})
    (problem,) = google_sheets.test(options, google.secrets())
    assert "Content manager" in problem.right
    google.fail("files.create", 0, times=100)
    with pytest.raises(Transient, match="does not make"):
        create(google, parcel(tmp_path))


@pytest.mark.servers
def test_a_first_tab_that_somebody_has_used_is_left(google, tmp_path):
    def write(method):
        if method.endswith("values.batchGet") and made(google):
            made(google)[0].sheet("Feuille 1").write(0, 0, ["mine"])
            google.before = None

    google.before = write
    create(google, parcel(tmp_path))
    (book,) = made(google)
    assert book.shown == {"Feuille 1": [["mine"]], "daily": SHOWN}


# Looks


@pytest.mark.servers
def test_a_tab_has_looks_when_it_is_made_and_people_may_change_them(google, tmp_path):
    deliver(google, parcel(tmp_path))
    tab = google.book.sheet("daily")
    assert tab.frozen == 1
    grey = {"rgbColor": {"red": 232 / 255, "green": 234 / 255, "blue": 237 / 255}}  # E8EAED
    assert tab.formats[0, 0] == {"textFormat": {"bold": True}, "backgroundColorStyle": grey}
    patterns = [
        tab.formats.get((1, column), {}).get("numberFormat", {}).get("pattern") for column in range(5)
    ]
    assert patterns == ["@", None, "#,##0.00", "#,##0.00##", "yyyy-mm-dd hh:mm:ss"]
    assert tab.widths[4] == 150
    note = tab.notes[0, 0]
    assert note.splitlines()[:3] == ["Daily points", "Period: 2026-03-01", "As of: 2026-03-02T00:00:00+00:00"]
    tab.frozen, tab.widths[4], tab.formats[0, 0] = 0, 40, {"textFormat": {"bold": False}}
    deliver(google, parcel(tmp_path, ROWS[:1], key="k2"))
    now = google.book.sheet("daily")
    assert (now.frozen, now.widths[4], now.formats[0, 0]) == (0, 40, {"textFormat": {"bold": False}})
    changed = [*COLUMNS[:4], Column("when", FieldType.INSTANT)]
    deliver(google, parcel(tmp_path, key="k3", columns=changed))
    assert google.book.sheet("daily").frozen == 1


@pytest.mark.servers
def test_looks_can_be_left_out(google, tmp_path):
    plain = {"bold": False, "background": None, "freeze": False, "formats": False, "widths": False}
    deliver(google, parcel(tmp_path), look=plain, note=False)
    tab = google.book.sheet("daily")
    assert (tab.frozen, tab.widths, tab.notes) == (0, {}, {})
    assert set(tab.formats) == {(0, column) for column in range(5)}
    assert tab.formats[0, 0] == {"textFormat": {"bold": False}}


# Charts


@pytest.mark.servers
def test_charts_are_made_once_and_follow_the_rows(google, tmp_path):
    deliver(google, parcel(tmp_path), charts={"rows": 2})
    charts = google.book.sheet("Charts").charts
    assert [chart["spec"]["title"] for chart in charts.values()] == [
        "daily: points (first 2 rows)",
        "daily: money (first 2 rows)",
    ]
    first = next(iter(charts.values()))
    first["position"] = {"overlayPosition": {"anchorCell": {"sheetId": 1, "rowIndex": 99}}}  # moved by hand
    deliver(google, parcel(tmp_path, ROWS[:1], key="k2"), charts={"rows": 2, "kind": "line"})
    moved = google.book.sheet("Charts").charts[first["chartId"]]
    assert moved["position"] == first["position"]
    spec = moved["spec"]["basicChart"]
    assert (spec["chartType"], spec["headerCount"]) == ("LINE", 1)
    tab = google.book.sheet("daily").id
    assert spec["series"][0]["series"]["sourceRange"]["sources"] == [
        {"sheetId": tab, "startRowIndex": 0, "endRowIndex": 2, "startColumnIndex": 2, "endColumnIndex": 3}
    ]
    assert len(google.book.sheet("Charts").charts) == 2
    with pytest.raises(BadInput, match="one of their own"):
        deliver(google, parcel(tmp_path, key="k3"), charts={"tab": "DAILY"}, on_edit="overwrite")
    with pytest.raises(BadInput, match="none of the columns of daily"):
        deliver(google, parcel(tmp_path, key="k4"), charts={"columns": ["spent"]})


# Options


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spreadsheet": None}, "one of the two"),
        ({"create": {"title": "x"}}, "one of the two"),
        ({"spreadsheet": "https://example.com/x"}, "between /d/ and /edit"),
        ({"mode": "upsert"}, "needs key"),
        ({"key": ["id"]}, "needs key"),
        ({"mode": "append", "charts": {}}, "in mode replace"),
        ({"tab": "{conn.x.password}"}, "known placeholders are"),
        ({"tab": "{0.__class__}"}, "known placeholders are"),
        ({"tab": "{period"}, "known placeholders are"),
        ({"tab": " "}, "a title"),
        ({"tab": ".part-x"}, "tabs in the making"),
        ({"look": {"background": "red"}}, "pattern"),
        ({"spreadsheet": None, "create": {"title": "{export}"}}, "known placeholders are"),
        (
            {"spreadsheet": None, "create": {"title": "x", "share_with": [{"address": "a@b.c\r\nBcc: d"}]}},
            "pattern",
        ),
        ({"password": "x"}, "Extra inputs"),
    ],
)
def test_options_that_cannot_be_are_named(changes, said):
    with pytest.raises(ValidationError, match=said):
        Options.model_validate({**OPTIONS, **changes})


def test_addresses_are_taken_as_people_copy_them():
    for text in (BOOK, f"https://docs.google.com/spreadsheets/d/{BOOK}/edit?gid=0#gid=0"):
        assert Options.model_validate({**OPTIONS, "spreadsheet": text}).spreadsheet == BOOK
    folder = f"https://drive.google.com/drive/u/0/folders/{FOLDER}?usp=sharing"
    assert google_sheets.Create(title="x", folder=folder).folder == FOLDER
