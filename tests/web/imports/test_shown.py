"""Rule: who may not see personal data sees of a row what it does, and nothing that the file says of a person."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.errors import Problem
from include.imports.effects import Rehearsal, RowOutcome, RowStatus
from include.imports.options import Mode, Options
from include.state.imports import ImportRecord, ImportState
from include.web.imports.shown import HIDDEN, hidden, row, unnamed

WRONG, DONE = RowStatus.WRONG, RowStatus.DONE
NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (
            RowOutcome(
                row=2, status=WRONG, member="c1", customer="c1", message="Birthday(MM/DD) '3/3': write 03/03"
            ),
            f"Birthday(MM/DD) {HIDDEN}: write 03/03",
        ),
        (
            RowOutcome(
                row=3, status=WRONG, member="c1", customer="c1", message='Email "o\'x": is no e-mail address'
            ),
            f"Email {HIDDEN}: is no e-mail address",
        ),
        (
            RowOutcome(
                row=4, status=WRONG, member="a@b.example", message="a@b.example: nobody has this address"
            ),
            f"{HIDDEN}: nobody has this address",
        ),
        (
            RowOutcome(
                row=5,
                status=DONE,
                member="c1",
                customer="c1",
                birthday_before="03/03",
                birthday_after="04/04",
            ),
            "",
        ),
        (
            RowOutcome(row=6, status=WRONG, member="c1", customer="c1", message="Points '1e3': write 1000"),
            "Points '1e3': write 1000",
        ),
        (
            RowOutcome(
                row=7,
                status=WRONG,
                member="c1",
                customer="c1",
                message=r"Name 'J\xf6 O\'Hara': is not UTF-8; Expires at 'soon': write 2026-01-31",
            ),
            f"Name {HIDDEN}: is not UTF-8; Expires at 'soon': write 2026-01-31",
        ),
    ],
)
def test_what_is_said_of_a_person_is_hidden(outcome: RowOutcome, said: str) -> None:
    assert hidden(outcome).said == said
    assert row(outcome, personal=False)["message"] == said
    assert row(outcome, personal=True)["message"] == outcome.said


def test_who_may_see_it_is_shown_what_a_birthday_becomes() -> None:
    done = RowOutcome(
        row=2, status=DONE, member="c1", customer="c1", birthday_before="03/03", birthday_after="04/04"
    )
    assert row(done, personal=True)["message"] == "birthday 03/03 -> 04/04"
    points = RowOutcome(row=2, status=DONE, member="c1", customer="c1", points=Decimal("10.50"))
    assert row(points, personal=False)["amounts"] == ["10.5", "", ""]


def test_notes_on_a_file_that_cannot_be_read_quote_nothing_of_it() -> None:
    names = Problem(
        "p.csv: header", "jane@shop.example, 5", "the first row must name the columns", "header_missing"
    )
    quote = Problem("p.csv: row 3", "O'Hara,\"5", "a quote opens here: close it", "unclosed_quote")
    notes = (str(names), str(quote))
    unread = Rehearsal(at=NOW, rows=0, done=0, skipped=0, wrong=2, notes=notes)
    shown = unnamed(record_with(unread)).rehearsal
    assert shown is not None
    assert shown.notes == (
        f"p.csv: header: {HIDDEN}: the first row must name the columns",
        f"p.csv: row 3: {HIDDEN}: a quote opens here: close it",
    )
    read = Rehearsal(at=NOW, rows=2, done=2, skipped=0, wrong=0, notes=("the first of 2 sheets, May",))
    assert unnamed(record_with(read)).rehearsal == read


def record_with(rehearsal: Rehearsal) -> ImportRecord:
    return ImportRecord(
        import_id="imp-0123456789abcdef",
        state=ImportState.WRONG,
        options=Options(mode=Mode.ADD, program="shop"),
        file_name="p.csv",
        sha256="0" * 64,
        bytes=30,
        requested_by="olga",
        requested_at=NOW,
        rehearsal=rehearsal,
        updated_at=NOW,
    )
