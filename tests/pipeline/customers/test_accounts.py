"""What one holder has in a program: tiers of each subledger, what they end with, and cards, against the reports."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.ledger.people import Name
from include.pipeline.holders.accounts import accounts_of, card_of, tiers_of
from include.pipeline.numbered import Program, program_numbered
from include.snapshots.excerpt import Holder
from tests.layouts.tiny import CLUB, D, Desk, at

ANN = Holder(Name.CUSTOMER, "ann")
_ROW = {"program_id": "p", "customer_id": "ann", "type": "earned"}
# Ann is Gold everywhere from 20 January, but Silver in `travel` from 1 February to 3 February, and then nothing there.
LEDGER: dict[str, list[dict[str, Any]]] = CLUB | {
    "tiers": [
        {"program_id": "p", "tier_id": "g", "name": "Gold", "rank": 2, "threshold_points": D(100)},
        {"program_id": "p", "tier_id": "s", "name": "Silver", "rank": 1, "threshold_points": D(50)},
        {"program_id": "p", "tier_id": "t", "name": "Flyer", "subledger_id": "travel", "rank": 1, "threshold_points": D(9)},
    ],
    "tier_changes": [
        *CLUB["tier_changes"],
        {"program_id": "p", "subledger_id": "travel", "customer_id": "ann", "changed_at": at("02-01"), "tier_id": "s"},
        {"program_id": "p", "subledger_id": "travel", "customer_id": "ann", "changed_at": at("02-03")},
    ],
    "cards": [*CLUB["cards"], {"card_id": "K3", "program_id": "p"}, {"card_id": "K4", "program_id": "other"}],
    "transactions": [
        *CLUB["transactions"],
        *({**_ROW, "transaction_id": subledger, "subledger_id": subledger, "points": D(4), "created_at": at("01-12")}
          for subledger in ("travel", "food")),
        {**_ROW, "transaction_id": "C1", "card_id": "K4", "points": D(1), "created_at": at("02-07")},
        {**_ROW, "transaction_id": "C2", "card_id": "K4", "points": D(1), "created_at": at("02-06")},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(Path(tmp_path_factory.mktemp("accounts")), LEDGER)


@pytest.fixture(scope="module")
def program(desk: Desk) -> Program:
    found = program_numbered(desk.context, 7)
    assert found is not None
    return found


def names(desk: Desk, program: Program, moment: datetime) -> dict[str, str]:
    held = tiers_of(desk.context, ANN, program, ("", "travel", "food"), moment)
    return {subledger: row["tier"] for subledger, row in held.items()}


def test_a_subledger_has_the_tier_of_its_last_change_before_else_that_of_the_program(
    desk: Desk, program: Program
):
    gold = {"": "Gold", "travel": "Gold", "food": "Gold"}
    assert names(desk, program, at("01-20")) == {}  # it holds from then on, and is not yet before
    assert names(desk, program, at("02-01")) == gold
    assert names(desk, program, at("02-02")) == gold | {"travel": "Silver"}
    assert names(desk, program, at("02-04")) == {"": "Gold", "food": "Gold"}


@pytest.mark.parametrize("day", ["01-12", "01-20", "01-21", "02-01", "02-02", "02-03", "02-04", "06-01"])
def test_tiers_are_those_of_the_report(desk: Desk, program: Program, day: str):
    found = accounts_of(desk.context, ANN, program, at(day), by="tests", tiers=True)
    assert found is not None
    held = {
        subledger: found.tiers[subledger]["tier"] if subledger in found.tiers else None
        for subledger in found.accounts
    }
    assert held == {subledger: row["tier"] for subledger, row in found.accounts.items()}


def test_what_a_tier_ends_with(desk: Desk, program: Program):
    found = accounts_of(desk.context, ANN, program, at("03-01"), by="tests", ends=True)
    assert found is not None
    # Gold ends on 20 January 2027: of A's 100 nothing is left then, of C 5, and `food` never expires.
    assert {subledger: row["active"] for subledger, row in found.ends.items()} == {"": 500, "food": 400}
    after = accounts_of(desk.context, ANN, program, datetime(2027, 2, 1, tzinfo=UTC), by="tests", ends=True)
    assert after is not None
    assert after.ends == {}


def test_tiers_follow_each_other_by_rank_in_the_subledger_they_count_for(program: Program):
    assert [step.name for step in program.ladder("")] == ["Silver", "Gold"]
    assert [step.name for step in program.ladder("travel")] == ["Flyer"]
    assert [step and step.name for step in (program.after(None, ""), program.after("s", ""), program.after("g", ""))] == [
        "Silver", "Gold", None,
    ]  # fmt: skip
    assert program.after("unknown", "") is None
    reached = [program.reached(points, "") for points in (4999, 5000, 10_000)]
    assert [step and step.name for step in reached] == [None, "Silver", "Gold"]


def test_cards_of_the_program_and_since_when(desk: Desk, program: Program):
    assert card_of(desk.context, "K9", program) is None
    owned, bare, moved = (card_of(desk.context, name, program) for name in ("K1", "K3", "K4"))
    assert owned is not None
    assert (owned.owner, owned.since) == ("bob", at("01-02"))
    assert bare is not None
    assert (bare.owner, bare.since) == (None, None)
    # It is of another program, and yet has transactions in this one, the first on 6 February.
    assert moved is not None
    assert moved.since == at("02-06")
    assert card_of(desk.context, "\0", program) is None


def test_programs_without_a_number_are_not_there(desk: Desk):
    assert program_numbered(desk.context, 8) is None


def test_nobody_has_nothing(desk: Desk, program: Program):
    assert accounts_of(desk.context, Holder(Name.CUSTOMER, "nobody"), program, None, by="tests") is None
