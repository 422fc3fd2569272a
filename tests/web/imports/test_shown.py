"""Rule: who may not see personal data sees of a row what it does, and nothing that the file says of a person."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.imports.effects import RowOutcome, RowStatus
from include.web.imports.shown import HIDDEN, hidden, row

WRONG, DONE = RowStatus.WRONG, RowStatus.DONE


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
