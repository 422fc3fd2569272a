"""The google_sheets target: rows on a tab, in each mode, once, never half, never over what people wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import ANY

import pytest

from include.errors import BadInput, NeedsPerson
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.targets import google_sheets
from include.targets.google_sheets import Options
from include.targets.protocol import Outcome, Receipt, Seen, Word
from include.targets.sheets import loading
from include.targets.sheets.stamping import KEPT
from tests.servers.workbook import MOST_METADATA
from tests.targets.sheets_delivery import (
    COLUMNS,
    HEADER,
    OPTIONS,
    ROWS,
    SHOWN,
    again,
    deliver,
    google,
    outcomes,
    parcel,
    stamp_of,
)

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers


def look(google, sent, **options):
    return google_sheets.look(Options.model_validate({**OPTIONS, **options}), sent, google.secrets())


def test_a_new_tab_holds_the_rows_as_what_they_are(google, tmp_path):
    sent = parcel(tmp_path)
    assert look(google, sent) is Seen.ABSENT
    receipt = deliver(google, sent)
    tab = google.book.sheet("daily")
    assert tab.table() == SHOWN
    assert not tab.hidden
    assert outcomes(receipt) == [Outcome.CREATED]
    (file,) = receipt.files
    assert (file.name, file.sha256) == (sent.files[0].name, sent.files[0].sha256)
    assert file.place.endswith(f"#gid={tab.id}")
    assert look(google, sent) is Seen.SAME
    assert google.book.shown.keys() == {"Sheet1", "daily"}
    # One look, one step, one reading back.
    assert [name.rpartition(".")[2] for name in google.methods[1:4]] == ["get", "batchUpdate", "batchGet"]


@pytest.fixture(params=["with the step", "by a hidden tab"])
def way(request, monkeypatch):
    """Few rows travel with the step, many come by a hidden tab; what readers see is the same."""
    if request.param == "by a hidden tab":
        monkeypatch.setattr(loading, "INLINE_BYTES", 0)


def fewer(*places: int) -> list[tuple]:
    return [ROWS[place] for place in places]


@pytest.mark.usefixtures("way")
def test_replacing_keeps_the_tab_and_what_is_not_the_tables(google, tmp_path):
    deliver(google, parcel(tmp_path))
    tab = google.book.sheet("daily")
    tab.width = 8
    tab.write(0, 6, ["mine", "=B2"])
    receipt = deliver(google, parcel(tmp_path, fewer(1), key="key2"))
    assert outcomes(receipt) == [Outcome.REPLACED]
    now = google.book.sheet("daily")
    assert now.id == tab.id
    assert now.table() == [[*HEADER, None, "mine", "=B2"], SHOWN[2]]
    assert len([mark for mark in now.metadata.values() if mark["metadataKey"] == "loyalty_delivery"]) == 1
    assert all(not sheet.hidden for sheet in google.book.sheets.values())


@pytest.mark.usefixtures("way")
def test_more_rows_and_columns_make_the_tab_grow(google, tmp_path):
    deliver(google, parcel(tmp_path, fewer(0), columns=COLUMNS))
    wider = [*COLUMNS, Column("tier", FieldType.ENUM)]
    rows = [(f"c{number}", "x", number, None, None, "gold") for number in range(2000)]
    deliver(google, parcel(tmp_path, rows, key="key2", columns=wider))
    tab = google.book.sheet("daily")
    assert (tab.height, tab.width) == (2001, 6)
    assert tab.table()[-1] == ["c1999", "x", 19.99, None, None, "gold"]
    deliver(google, parcel(tmp_path, fewer(0), key="key3"))
    assert tab.table()[0][5:] == ["tier"]  # of the object before
    assert google.book.sheet("daily").table() == SHOWN[:2]


@pytest.mark.usefixtures("way")
def test_the_same_delivery_again_asks_once_and_changes_nothing(google, tmp_path):
    sent = parcel(tmp_path)
    deliver(google, sent)
    before, asked = google.book.shown, len(google.methods)
    assert outcomes(deliver(google, sent)) == [Outcome.ALREADY_THERE]
    assert google.methods[asked:] == ["sheets.spreadsheets.get"]
    assert google.book.shown == before


def test_another_delivery_of_the_same_rows_brings_none(google, tmp_path):
    deliver(google, parcel(tmp_path))
    asked = len(google.asked)
    assert outcomes(deliver(google, parcel(tmp_path, key="key2"))) == [Outcome.ALREADY_THERE]
    assert stamp_of(google, "daily")["key"] == "key2"
    assert sum(size for _, size in google.asked[asked:]) < 4000


def test_what_people_wrote_is_for_a_person(google, tmp_path):
    deliver(google, parcel(tmp_path))
    google.book.sheet("daily").write(2, 1, ["Grace"])
    before, sent = google.book.shown, parcel(tmp_path, fewer(0), key="key2")
    assert look(google, sent) is Seen.OTHER
    with pytest.raises(NeedsPerson, match=r"somebody has changed its rows.*on_edit: overwrite"):
        deliver(google, sent)
    assert google.book.shown == before
    assert outcomes(deliver(google, sent, on_edit="overwrite")) == [Outcome.REPLACED]
    assert google.book.sheet("daily").table() == SHOWN[:2]


@pytest.mark.parametrize("written", [(4, 2), (0, 0), (3, 4)])
def test_a_cell_below_above_or_in_an_empty_one_is_seen(google, tmp_path, written):
    deliver(google, parcel(tmp_path))
    google.book.sheet("daily").height = 10
    google.book.sheet("daily").write(*written, ["mine"])
    with pytest.raises(NeedsPerson):
        deliver(google, parcel(tmp_path, fewer(0), key="key2"))


def test_sorting_is_no_change(google, tmp_path):
    deliver(google, parcel(tmp_path))
    rows = google.book.sheet("daily").rows
    rows[1], rows[3] = rows[3], rows[1]
    assert outcomes(deliver(google, parcel(tmp_path, fewer(0), key="key2"))) == [Outcome.REPLACED]


def test_rows_that_no_delivery_brought_are_not_overwritten(google, tmp_path):
    google.book.sheet("Sheet1").write(0, 0, ["somebody's"])
    sent = parcel(tmp_path)
    with pytest.raises(NeedsPerson, match="no delivery has put there"):
        deliver(google, sent, tab="sheet1")
    deliver(google, sent, tab="sheet1", on_edit="overwrite")
    assert google.book.sheet("Sheet1").table() == SHOWN


def test_a_later_delivery_is_not_replaced_by_an_earlier_one(google, tmp_path):
    deliver(google, parcel(tmp_path))
    late = parcel(tmp_path, fewer(0), key="key0", as_of=datetime(2026, 3, 1, tzinfo=UTC))
    with pytest.raises(NeedsPerson, match=r"later delivery.*\{period\}"):
        deliver(google, late)
    assert google.book.sheet("daily").table() == SHOWN
    deliver(google, late, on_older="overwrite")
    assert google.book.sheet("daily").table() == SHOWN[:2]
    deliver(google, parcel(tmp_path, key="key3", as_of=datetime(2026, 3, 1, tzinfo=UTC), revision=1))
    assert google.book.sheet("daily").table() == SHOWN


def test_a_renamed_tab_is_followed(google, tmp_path):
    deliver(google, parcel(tmp_path))
    google.book.sheet("daily").title = "Punkte, l'été"
    deliver(google, parcel(tmp_path, fewer(0), key="key2"))
    assert google.book.shown == {"Sheet1": [], "Punkte, l'été": SHOWN[:2]}


# Append


@pytest.mark.usefixtures("way")
def test_appending_adds_each_delivery_once(google, tmp_path):
    first, second = parcel(tmp_path, fewer(0, 1)), parcel(tmp_path, fewer(2), key="key2")
    for sent in (first, first, second, first, second):
        deliver(google, sent, mode="append")
    assert google.book.sheet("daily").table() == SHOWN
    assert look(google, first, mode="append") is Seen.SAME
    deliver(google, again(second, "key3"), mode="append")
    assert google.book.sheet("daily").table() == [*SHOWN, SHOWN[3]]
    assert all(not sheet.hidden for sheet in google.book.sheets.values())


@pytest.mark.usefixtures("way")
def test_a_restatement_is_not_added_to_the_rows_that_it_restates(google, tmp_path):
    """A restatement of March, which is there, waits; one of February, which was skipped at first, does not."""
    february = {"as_of": datetime(2026, 2, 2, tzinfo=UTC), "revision": 1}
    deliver(google, parcel(tmp_path, fewer(0, 1)), mode="append")
    restated = parcel(tmp_path, key="key2", revision=1)
    assert look(google, restated, mode="append") is Seen.OTHER
    with pytest.raises(NeedsPerson, match=r"has the rows of 2026-03-01 already, .* would add them once more"):
        deliver(google, restated, mode="append")
    deliver(google, parcel(tmp_path, fewer(2), key="key3", **february), mode="append")
    assert google.book.sheet("daily").table() == SHOWN
    word = Word(arrived=False, by="ann", at=datetime(2026, 3, 3, tzinfo=UTC))
    wanted = replace(restated, accepted=Receipt(target="google_sheets", key="key2", files=(), word=word))
    deliver(google, wanted, mode="append")
    assert google.book.sheet("daily").table() == [*SHOWN, *SHOWN[1:]]


def test_what_an_older_version_wrote_down_may_be_of_any_period(google, tmp_path, monkeypatch):
    deliver(google, parcel(tmp_path), mode="append")
    for mark in google.book.sheet("daily").metadata.values():
        value = json.loads(mark["metadataValue"])
        mark["metadataValue"] = json.dumps({name: each for name, each in value.items() if name != "of"})
    other = {"as_of": datetime(2026, 2, 2, tzinfo=UTC), "revision": 1}
    with pytest.raises(NeedsPerson, match="once more"):
        deliver(google, parcel(tmp_path, key="key2", **other), mode="append")


@pytest.mark.usefixtures("way")
def test_appending_goes_below_what_people_wrote(google, tmp_path):
    tab = google.book.sheet("Sheet1")
    tab.write(0, 0, HEADER)
    tab.write(1, 0, ["by hand"])
    deliver(google, parcel(tmp_path), mode="append", tab="Sheet1")
    assert google.book.sheet("Sheet1").table() == [HEADER, ["by hand"], *SHOWN[1:]]


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_other_columns_are_for_a_person(google, tmp_path, mode):
    google.book.sheet("Sheet1").write(0, 0, ["id", "points"])
    more = {"mode": mode, "tab": "Sheet1", "key": ["id"] if mode == "upsert" else []}
    assert look(google, parcel(tmp_path), **more) is Seen.OTHER
    with pytest.raises(
        NeedsPerson, match="its first row is id, points, and the export's columns are id, name"
    ):
        deliver(google, parcel(tmp_path), **more)
    assert google.book.shown == {"Sheet1": [["id", "points"]]}


def test_stamps_of_many_appends_stay_within_what_google_keeps(google, tmp_path, monkeypatch):
    monkeypatch.setattr("include.targets.sheets.appending.KEPT", 3)
    sent = parcel(tmp_path, fewer(2))
    for number in range(6):
        deliver(google, again(sent, f"key{number}"), mode="append")
    tab = google.book.sheet("daily")
    assert len(tab.metadata) == 3 + 1 + 1  # the last three before, the new one, and the tab's own mark
    assert stamp_of(google, "daily") == {"n": 6, "key": "key5", "of": ANY}
    assert len(tab.table()) == 7
    # 301 of the longest stamps, and the tab's own mark with a name of 100 characters.
    longest = len("loyalty_delivery") + len(json.dumps({"n": 10**9, "key": "k" * 16, "of": "f" * 8}))
    assert (KEPT + 1) * longest + 200 < MOST_METADATA


# Upsert


@pytest.mark.usefixtures("way")
def test_upserting_changes_adds_and_removes_nothing(google, tmp_path):
    upsert = {"mode": "upsert", "key": ["id"]}
    deliver(google, parcel(tmp_path, fewer(0, 1)), **upsert)
    tab = google.book.sheet("daily")
    tab.rows[1], tab.rows[2] = tab.rows[2], tab.rows[1]  # sorted by hand
    tab.width = 8
    tab.write(1, 6, ["a remark"])
    changed = ("007", "Ada L.", 9900, None, None)
    sent = parcel(tmp_path, [*fewer(2), changed], key="key2")
    for _ in range(2):
        deliver(google, sent, **upsert)
    assert google.book.sheet("daily").table() == [
        HEADER,
        [*SHOWN[2], None, "a remark"],
        ["007", "Ada L.", 99],
        SHOWN[3],
    ]
    assert all(not sheet.hidden for sheet in google.book.sheets.values())


def test_upserting_what_is_there_writes_only_the_stamp(google, tmp_path):
    upsert = {"mode": "upsert", "key": ["id", "name"]}
    deliver(google, parcel(tmp_path), **upsert)
    deliver(google, parcel(tmp_path, key="key2"), **upsert)
    assert google.book.sheet("daily").table() == SHOWN
    assert stamp_of(google, "daily")["key"] == "key2"


def test_keys_that_are_there_twice_are_named(google, tmp_path):
    upsert = {"mode": "upsert", "key": ["id"]}
    with pytest.raises(BadInput, match=r"row 3.*there twice"):
        deliver(google, parcel(tmp_path, fewer(0, 1, 0)), **upsert)
    deliver(google, parcel(tmp_path), **upsert)
    google.book.sheet("daily").write(3, 0, ["007"])
    with pytest.raises(NeedsPerson, match="rows 2 and 4 have the same id"):
        deliver(google, parcel(tmp_path, key="key2"), **upsert)
    with pytest.raises(BadInput, match="none of the columns of daily"):
        deliver(google, parcel(tmp_path, key="key3"), mode="upsert", key=["card"])
