"""Taking imports back, lot by lot."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import BadInput
from include.pipeline import imports
from tests.pipeline.imports.desk import ANN, BOB, FAR, START, Desk, earned, fill, row

pytestmark = pytest.mark.slow


def taken_back(desk: Desk, text: str, mode: str = "add") -> list[tuple[object, ...]]:
    posted = desk.run(text, mode)
    back = desk.agree(imports.undo(desk.context, posted.import_id, by="olga"))
    assert back.state == "posted"
    assert imports.get(desk.context, posted.import_id).state == "undone"
    assert imports.get(desk.context, posted.import_id).undone_by == back.import_id
    return [
        (x["type"], x["points"], x.get("expires_at"), x["related_transaction_id"][-8:])
        for x in desk.booked(back)
    ]


def test_points_go_back_from_their_own_lot(write_url: str, tmp_path: Path) -> None:
    # before: A 100, which expires first; the import brings B 40, without an end
    # undo:   a debit would take A; the reversal takes B
    soon = START + timedelta(days=36_500)
    fill(write_url, [earned(ANN, "100", expires_at=soon)])
    desk = Desk(write_url, tmp_path / "home")
    assert taken_back(desk, "customer_id,points\nann,40\n") == [
        ("earned_reversed", Decimal("-40.00"), None, "00000002")
    ]
    look = desk.run("customer_id,points\nann,-100\n", name="spend.csv")
    [(_, _, _, before, after, _)] = desk.rows(look)
    assert (before, after) == (100, 0)


def test_points_that_are_still_pending_go_back(desk: Desk) -> None:
    text = f"customerprofileid,amount,startdate\nann,40,{FAR.isoformat()}\n"
    assert taken_back(desk, text, "points") == [("earned_reversed", Decimal("-40.00"), None, "00000002")]
    look = desk.rehearse("customer_id,points\nann,1\n", name="look.csv").rehearsal
    assert look is not None
    assert (look.balance_before, look.pending_before) == (100, 0)


def test_points_that_were_deducted_come_back_with_the_dates_of_their_lots(
    write_url: str, tmp_path: Path
) -> None:
    # before: A 30 until the end of days, B 50 without an end
    # import: -100 uses A 30, B 50, and 20 are owed
    # undo:   30 with A's end, 50 without, and the 20 that were owed
    fill(write_url, [earned(ANN, "30", expires_at=FAR), earned(ANN, "50")])
    desk = Desk(write_url, tmp_path / "home")
    found = taken_back(desk, "customer_id,points\nann,-100\n")
    assert sorted(found, key=lambda each: str(each[1])) == [
        ("adjusted", Decimal("20.00"), None, "00000002"),
        ("adjusted", Decimal("30.00"), FAR, "00000002"),
        ("adjusted", Decimal("50.00"), None, "00000002"),
    ]
    look = desk.rehearse("customer_id,points\nann,1\n", name="look.csv").rehearsal
    assert look is not None
    assert look.balance_before == 80


def test_pending_points_that_were_taken_back_are_pending_again(desk: Desk) -> None:
    # import: 40 that start at the end of days -> undo -> undo of the undo: 40 that start at the end of days
    text = f"customerprofileid,amount,startdate\nann,40,{FAR.isoformat()}\n"
    posted = desk.run(text, "points")
    gone = desk.agree(imports.undo(desk.context, posted.import_id, by="olga"))
    again = desk.agree(imports.undo(desk.context, gone.import_id, by="olga"))
    [booked] = desk.booked(again)
    assert (booked["type"], booked["points"], booked["activates_at"]) == ("adjusted", 40, FAR)
    look = desk.rehearse("customer_id,points\nann,1\n", name="look.csv").rehearsal
    assert look is not None
    assert (look.balance_before, look.pending_before) == (100, 40)


def test_lots_that_were_used_otherwise_since_the_rehearsal_are_looked_at_again(desk: Desk) -> None:
    # before:    100 without an end
    # import:    -150 uses the 100, 50 are owed -> its undo is rehearsed: 150 without dates
    # meanwhile: 80 with an end come in, 50 of which repay what is owed
    # post:      50 of those come back with their end: that is not what was rehearsed
    posted = desk.run("customer_id,points\nann,-150\n")
    back = imports.undo(desk.context, posted.import_id, by="olga")
    text = f"customerprofileid,amount,expirydate\nann,80,{FAR.isoformat()}\n"
    desk.run(text, "points", name="meanwhile.csv")
    with pytest.raises(BadInput, match="lots that rows of the import used were changed") as refused:
        imports.post(desk.context, back.import_id, by="olga")
    assert [each.code for each in refused.value.problems] == ["rehearse_again"]
    back = imports.rehearse(desk.context, back.import_id)
    assert desk.agree(back).state == "posted"
    assert {(x["points"], x.get("expires_at")) for x in desk.booked(back)} == {(100, None), (50, FAR)}


def test_bookings_that_use_no_lot_of_it_do_not_hold_up_an_undo(desk: Desk) -> None:
    posted = desk.run("customer_id,points\nann,-30\n")
    back = imports.undo(desk.context, posted.import_id, by="olga")
    desk.run("customer_id,points\nann,7\nbob,3\n", name="meanwhile.csv")
    assert desk.agree(back).state == "posted"


def test_taking_back_a_reset_needs_a_second_person(desk: Desk) -> None:
    posted = desk.run("customer_id,points\nann,30\n", "reset")
    back = imports.undo(desk.context, posted.import_id, by="olga")
    assert back.state == "waiting"
    with pytest.raises(BadInput, match="whoever asked"):
        imports.approve(desk.context, back.import_id, by="olga")
    assert desk.agree(back).state == "posted"
    assert desk.rows(back) == [(1, "done", Decimal("70.00"), Decimal(30), Decimal(100), "")]


def test_so_does_taking_back_that_taking_back(desk: Desk) -> None:
    posted = desk.run("customer_id,points\nann,30\n", "reset")
    back = desk.agree(imports.undo(desk.context, posted.import_id, by="olga"))
    assert imports.undo(desk.context, back.import_id, by="olga").state == "waiting"


def test_birthdays_become_what_they_were(desk: Desk) -> None:
    posted = desk.run("customer_id,Birthday(MM/DD)\nann,12/24\nbob,12/24\n", "birthday")
    back = desk.agree(imports.undo(desk.context, posted.import_id, by="olga"))
    assert back.state == "posted"
    people = {each["customer_id"]: each.get("birthday") for each in desk.ledger("customers")}
    assert (people[ANN], people[BOB]) == ("03/03", None)


def test_a_birthday_that_somebody_changed_since_stays(desk: Desk) -> None:
    posted = desk.run("customer_id,Birthday(MM/DD)\nann,12/24\n", "birthday")
    desk.run("customer_id,Birthday(MM/DD)\nann,05/05\n", "birthday", name="other.csv")
    back = imports.undo(desk.context, posted.import_id, by="olga")
    assert (back.state, desk.why(back)) == ("wrong", {2: "the birthday was changed since the import"})


def test_an_import_is_taken_back_once(desk: Desk) -> None:
    posted = desk.run("customer_id,points\nann,40\n")
    first = imports.undo(desk.context, posted.import_id, by="olga")
    assert imports.undo(desk.context, posted.import_id, by="paul").import_id == first.import_id
    desk.agree(first)
    with pytest.raises(BadInput, match="only an import that is posted can be taken back"):
        imports.undo(desk.context, posted.import_id, by="olga")


def test_what_is_not_posted_cannot_be_taken_back(desk: Desk) -> None:
    record = desk.rehearse("customer_id,points\nann,40\n")
    with pytest.raises(BadInput, match="it is rehearsed: only an import that is posted"):
        imports.undo(desk.context, record.import_id, by="olga")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.integers(-9_000, 9_000)), min_size=1, max_size=6))
def test_an_import_and_its_undo_leave_every_balance(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("undo")
    url = f"sqlite:///{folder / 'ledger.sqlite'}"
    fill(url, [earned(ANN, "50", expires_at=FAR), earned(BOB, "5"), row(BOB, "-9", type="redeemed", day=1)])
    desk = Desk(url, folder / "home")
    lines = "".join(
        f"{who},{Decimal(points).scaleb(-2)},line {at}\n" for at, (who, points) in enumerate(moves)
    )
    posted = desk.run("customer_id,points,reason\n" + lines)
    desk.agree(imports.undo(desk.context, posted.import_id, by="olga"))
    look = desk.rehearse("customer_id,points\nann,1\nbob,1\n", name="look.csv")
    assert [(each[3], each[4]) for each in desk.rows(look)] == [(50, 51), (-4, -3)]
