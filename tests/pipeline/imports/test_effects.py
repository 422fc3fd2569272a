"""What a rehearsal says, and what posting then does: balances, debts, pending points, tiers, liability, resets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include.errors import BadInput
from include.pipeline import imports
from tests.pipeline.imports.desk import ANN, BOB, CAT, FAR, Desk, earned, fill, row

NOTHING = Decimal("0.00")


def D(text: str) -> Decimal:
    return Decimal(text)


def test_the_effect_of_a_file_is_told_before_anything_happens(write_url: str, tmp_path: Path) -> None:
    # ann (Gold) 100 active, 50 pending; bob owes 30; each point costs 0.01.
    # +40.50 for ann, -200 for ann, +20 for bob:
    #   balances     100 - 30 = 70 before; 100 + 40.50 - 200 = -59.50 and -30 + 20 = -10: -69.50 after
    #   outstanding  100 + 50 = 150 before; ann 0 + 50, bob 0: 50 after; (50 - 150) x 0.01 = -1.00
    pending = earned(ANN, "50", activates_at=FAR)
    fill(write_url, [earned(ANN, "100"), pending, earned(BOB, "10"), row(BOB, "-40", type="redeemed", day=1)])
    desk = Desk(write_url, tmp_path / "home")
    record = desk.rehearse("customer_id,points\nann,40.5\nann,-200\nbob,20\ncat,0\n")
    seen = record.rehearsal
    assert seen is not None
    assert (seen.rows, seen.done, seen.skipped, seen.wrong) == (4, 3, 1, 0)
    assert (seen.members, seen.accounts, seen.debts) == (2, 2, 2)
    assert (seen.points_in, seen.points_out) == (D("60.50"), D("-200"))
    assert (seen.balance_before, seen.balance_after) == (70, D("-69.50"))
    assert (seen.pending_before, seen.pending_after) == (50, 50)
    assert {(each.tier, each.members, each.points) for each in seen.tiers} == {
        ("Gold", 1, D("-159.50")),
        (None, 1, D("20")),
    }
    assert seen.tier_changes == 0
    [owed] = seen.liability
    assert (owed.currency, owed.outstanding_before, owed.outstanding_after, owed.money) == (
        "EUR",
        150,
        50,
        D("-1.00"),
    )
    assert desk.rows(record) == [
        (2, "done", D("40.50"), D(100), D("140.50"), ""),
        (3, "done", D(-200), D("140.50"), D("-59.50"), ""),
        (4, "done", D(20), D(-30), D(-10), ""),
        (5, "skipped", None, NOTHING, NOTHING, "0 points: there is nothing to book"),
    ]
    desk.agree(record)
    after = desk.rehearse("customer_id,points\nann,1\nbob,1\n", name="look.csv").rehearsal
    assert after is not None
    assert (after.balance_before, after.pending_before) == (seen.balance_after, seen.pending_after)
    assert desk.ledger("tier_changes", customer_id=ANN)[0]["tier_id"] == "g"
    assert len(desk.ledger("tier_changes")) == 1


def test_a_reset_sets_what_is_active_less_debt_and_leaves_pending_points(
    write_url: str, tmp_path: Path
) -> None:
    fill(
        write_url, [earned(ANN, "100"), earned(ANN, "50", activates_at=FAR), row(BOB, "-40", type="redeemed")]
    )
    desk = Desk(write_url, tmp_path / "home")
    text = "customer_id,points\nann,30\nbob,25.5\ncat,0\n"
    record = desk.rehearse(text, "reset")
    assert record.state == "waiting"  # any reset needs a second person
    assert desk.rows(record) == [
        (2, "done", D(-70), D(100), D(30), ""),
        (3, "done", D("65.50"), D(-40), D("25.50"), ""),
        (4, "skipped", None, NOTHING, NOTHING, "the balance is this already"),
    ]
    booked = desk.booked(desk.agree(record))
    assert [(each["type"], each["points"]) for each in booked] == [
        ("adjusted", D("-70.00")),
        ("adjusted", D("65.50")),
    ]
    again = desk.rehearse(text, "reset", again=True)
    assert [each[1] for each in desk.rows(again)] == ["skipped"] * 3
    assert again.state == "rehearsed"
    assert desk.agree(again).state == "posted"
    assert again.rehearsal is not None
    look = desk.rehearse("customer_id,points\nann,1\n", name="look.csv").rehearsal
    assert look is not None
    assert look.pending_before == 50


def test_a_reset_minds_the_balance_that_the_export_had(desk: Desk) -> None:
    record = desk.rehearse("customer_id,points,expected_balance\nann,30,99.5\nbob,1,0\n", "reset")
    said = "the balance is 100.00 now, and was 99.50 when the file was made: export again"
    assert (record.state, desk.why(record)) == ("wrong", {2: said})


def test_a_reset_is_refused_when_a_balance_changes_after_the_rehearsal(desk: Desk) -> None:
    record = desk.rehearse("customer_id,points\nann,30\nbob,5\n", "reset")
    desk.insert(earned(BOB, "1", day=3))
    with pytest.raises(
        BadInput, match="one balance has changed since the rehearsal: rehearse again"
    ) as caught:
        desk.agree(record)
    assert [each.code for each in caught.value.problems] == ["rehearse_again"]
    assert desk.booked(record) == []
    again = imports.rehearse(desk.context, record.import_id)
    assert (again.state, again.decided_by) == ("waiting", None)
    assert desk.rows(again)[1] == (3, "done", D(4), D(1), D(5), "")
    assert desk.agree(again).state == "posted"


def test_a_change_of_others_does_not_stop_a_reset(desk: Desk) -> None:
    record = desk.rehearse("customer_id,points\nann,30\n", "reset")
    desk.insert(earned(BOB, "1", day=3), earned(ANN, "1", day=3, subledger_id="miles"))
    assert desk.agree(record).state == "posted"


def test_a_member_stands_once_in_a_reset(desk: Desk) -> None:
    record = desk.rehearse("customer_id,email,points\nann,,30\n,ann@example.com,40\nbob,,1\n", "reset")
    said = "this member is in several rows of the file: say one of them"
    assert desk.why(record) == {2: said, 3: said}


def test_birthdays_are_written_and_nothing_else(desk: Desk) -> None:
    before = desk.ledger()
    record = desk.run(
        "email,Birthday(MM/DD)\nann@example.com,03/03\nBOB@example.com,12/24\ncat@example.com,02/29\nbond@example.com,\n",
        "birthday",
    )
    assert desk.why(record) == {
        2: "the birthday is this already",
        5: "the row has no birthday: nothing is changed",
    }
    becomes = {each.row: each.said for each in imports.rows(desk.context, record.import_id, limit=9)}
    assert (becomes[3], becomes[4]) == ("birthday none -> 12/24", "birthday none -> 02/29")
    people = {each["customer_id"]: each.get("birthday") for each in desk.ledger("customers")}
    assert (people[ANN], people[BOB], people[CAT]) == ("03/03", "12/24", "02/29")
    assert desk.ledger() == before
    assert imports.post(desk.context, record.import_id, by="olga") == record


def test_birthdays_that_changed_meanwhile_are_rehearsed_again(desk: Desk) -> None:
    record = desk.rehearse("customer_id,Birthday(MM/DD)\nann,12/24\nbob,12/24\n", "birthday")
    other = desk.run("customer_id,Birthday(MM/DD)\nbob,01/01\n", "birthday", name="other.csv")
    assert other.state == "posted"
    with pytest.raises(BadInput, match="birthdays have changed since the rehearsal: rehearse again"):
        desk.agree(record)
    people = {each["customer_id"]: each.get("birthday") for each in desk.ledger("customers")}
    assert (people[ANN], people[BOB]) == ("03/03", "01/01")


def test_points_of_talon_one_begin_and_end_as_they_say(desk: Desk) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
    text = (
        "customerprofileid,amount,startdate,expirydate,validityDuration,subledgerid,reason\n"
        f"ann,10,immediate,unlimited,,,\nann,20,{soon.isoformat()},,30D,miles,spring\n"
    )
    record = desk.run(text, "points")
    first, second = desk.booked(record)
    assert (first.get("activates_at"), first.get("expires_at"), first["points"]) == (None, None, D("10.00"))
    assert (second["activates_at"], second["expires_at"]) == (soon, soon + timedelta(days=30))
    assert (second["subledger_id"], second["reason"]) == ("miles", "spring")
    [always, limited] = imports.rows(desk.context, record.import_id)
    assert (always.said, always.starts, always.expires) == ("", None, None)
    assert (limited.starts, limited.expires) == (soon, soon + timedelta(days=30))
    until = f"{soon + timedelta(days=30):%Y-%m-%d %H:%M} UTC"
    assert limited.said == f"usable from {soon:%Y-%m-%d %H:%M} UTC until {until}"
    assert record.rehearsal is not None
    assert (record.rehearsal.pending_after, record.rehearsal.balance_after) == (20, 110)


def test_points_that_nobody_could_use_are_wrong(desk: Desk) -> None:
    text = "customerprofileid,amount,startdate,expirydate\nann,10,immediate,2026-02-01T00:00:00Z\n"
    record = desk.rehearse(text, "points")
    assert record.state == "wrong"
    assert len(desk.why(record)) == 1
