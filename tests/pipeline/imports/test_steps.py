"""From a file to the ledger: all of it or nothing, once, and by two people where it must be."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include.errors import BadInput, NeedsPerson, NotYet
from include.pipeline import imports
from include.pipeline.imports import steps
from include.settings import Settings
from include.state.audit import Action
from tests.pipeline.imports.desk import ANN, CLUB, Desk

FILE = "customer_id,points,reason\nann,100,thanks\nbob,-300,\n"


def codes(caught: pytest.ExceptionInfo[BadInput]) -> list[str]:
    return [each.code for each in caught.value.problems]


def test_a_file_is_booked_as_adjustments_of_the_ledger(desk: Desk) -> None:
    before = datetime.now(UTC)
    record = desk.run(FILE)
    assert record.state == "posted"
    first, second = desk.booked(record)
    at = first.pop("created_at")
    assert before <= at <= datetime.now(UTC)
    assert first == {
        "transaction_id": f"{record.import_id}-00000002",
        "program_id": CLUB,
        "subledger_id": "",
        "customer_id": ANN,
        "type": "adjusted",
        "points": Decimal("100.00"),
        "reason": "thanks",
        "source": "import",
        "admin_user": "olga",
        "import_id": record.import_id,
    }
    assert (second["customer_id"], second["points"], second["created_at"]) == ("bob", Decimal("-300.00"), at)
    assert record.receipt is not None
    assert (record.receipt.at, record.receipt.rows) == (at, 2)
    assert (record.receipt.points_in, record.receipt.points_out) == (Decimal(100), Decimal(-300))
    assert record.receipt.last_transaction == f"{record.import_id}-00000003"


def test_nothing_of_a_file_with_a_wrong_row_is_booked(desk: Desk) -> None:
    record = desk.run(FILE + "nobody,1,\n")
    assert record.state == "wrong"
    assert desk.why(record) == {4: "no customer has this id or e-mail address"}
    assert [(each[3], each[4]) for each in desk.rows(record)] == [(100, 200), (0, -300), (None, None)]
    with pytest.raises(BadInput) as caught:
        imports.post(desk.context, record.import_id, by="olga")
    assert codes(caught) == ["rows_wrong"]
    assert desk.booked(record) == []


def test_a_file_that_cannot_be_read_says_why(desk: Desk) -> None:
    record = desk.rehearse("<!DOCTYPE html><html></html>")
    assert record.state == "wrong"
    assert record.rehearsal is not None
    assert any("HTML" in note for note in record.rehearsal.notes)


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        (["bob,9999999999999999.99,"], 1),
        (["bob,9999999999999999.99,"] * 12, 1),
        (["bob,9999999999999999.99,", "bob,0.01,"], 1),
        (["bob,9999999999999999.99,", "bob,-9999999999999999.99,"], 1),
        (["ann,9999999999999899.99,"], 1),  # she has 100
        (["ann,9999999999999900.00,"], 0),
    ],
)
def test_no_account_gets_more_than_booking_could_add_up(desk: Desk, lines: list[str], right: int) -> None:
    text = "".join(f"{line}{at}\n" for at, line in enumerate(lines))
    record = desk.rehearse(f"customer_id,points,reason\n{text}")
    told = "an account holds, and a file moves of one account, at most 9999999999999999.99 points"
    assert list(desk.why(record).values()) == [told] * (len(lines) - right)
    if right == len(lines):
        posted = desk.agree(record)
        back = imports.undo(desk.context, posted.import_id, by="olga")
        assert desk.agree(back).state == "posted"


@pytest.mark.parametrize(
    ("text", "noted"),
    [("customer_id,points\nann,5\n", True), ("customer_id,program,points\nann,club,5\n", False)],
)
def test_balances_that_may_be_sums_of_several_programs_are_noted(desk: Desk, text: str, noted: bool) -> None:
    record = desk.rehearse(text, "reset")
    assert record.rehearsal is not None
    note = "no row says its program, and the ledger has 2: the balances are taken as those of club alone"
    assert any(each.startswith(note) for each in record.rehearsal.notes) is noted


@pytest.mark.parametrize("mode", ["add", "reset"])
def test_a_balance_that_is_no_longer_the_expected_one_is_looked_at_again(desk: Desk, mode: str) -> None:
    # expected 100, rehearsed; 7 come in; posted: the row was meant for 100
    record = desk.rehearse("customer_id,points,expected_balance\nann,10,100\nbob,5,\n", mode)
    desk.run("customer_id,points\nann,7\n", name="meanwhile.csv")
    with pytest.raises(BadInput, match="one balance has changed since the rehearsal"):
        desk.agree(record)
    assert desk.booked(record) == []
    assert imports.get(desk.context, record.import_id).state == "received"
    again = imports.rehearse(desk.context, record.import_id)
    assert desk.why(again)[2].startswith("the balance is 107.00 now, and was 100.00")


def test_points_that_expired_while_they_waited_are_looked_at_again(desk: Desk) -> None:
    record = desk.rehearse("customerprofileid,amount,validityDuration\nann,5,1s\nbob,5,1Y\n", "points")
    assert record.state == "rehearsed"
    time.sleep(1.2)
    with pytest.raises(BadInput, match="points of the file have expired since the rehearsal"):
        desk.agree(record)
    assert desk.booked(record) == []


def test_the_same_file_again_is_recognised(desk: Desk) -> None:
    record = desk.run(FILE)
    assert desk.run(FILE, name="renamed.csv") == record
    assert imports.post(desk.context, record.import_id, by="olga") == record
    assert len(desk.ledger(source="import")) == 2


def test_the_same_file_is_booked_again_only_when_that_is_said(desk: Desk) -> None:
    first = desk.run(FILE)
    second = desk.run(FILE, again=True)
    assert (second.repeat, second.state) == (1, "posted")
    assert second.import_id != first.import_id
    assert len(desk.ledger(source="import")) == 4


def test_the_same_bytes_for_another_subledger_are_another_import(desk: Desk) -> None:
    first = desk.run(FILE)
    assert desk.run(FILE, subledger="bonus").import_id != first.import_id


def test_the_same_name_with_new_bytes_is_asked_about(desk: Desk) -> None:
    record = desk.run(FILE)
    with pytest.raises(BadInput) as caught:
        desk.receive("customer_id,points\nann,5\n")
    assert codes(caught) == ["same_name_new_bytes"]
    assert record.import_id in str(caught.value)
    assert desk.run("customer_id,points\nann,5\n", renewed=True).state == "posted"


def test_the_same_file_twice_in_one_breath_is_one_import(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both look whether it is known before either of them has said that it is."""
    record = desk.receive(FILE)
    monkeypatch.setattr(type(desk.context.state.imports), "same", lambda *_: [])
    assert desk.receive(FILE).import_id == record.import_id


def test_a_corrected_file_is_not_asked_about(desk: Desk) -> None:
    desk.run("customer_id,points\nnobody,5\n")
    assert desk.run("customer_id,points\nann,5\n").state == "posted"


def test_neither_who_made_the_key_that_asked_nor_a_key_not_made_for_it_is_a_second_person(desk: Desk) -> None:
    keys = desk.context.state.keys
    key = keys.make("shop (till)", ["imports:write", "imports:approve"], by="Olga").record.actor
    own = keys.make("another of olga's", ["imports:approve"], by="olga").record.actor
    other = keys.make("other", ["imports:write"], by="paul").record.actor
    record = desk.rehearse("customer_id,points\nann,5\n", "reset", by=key)
    for name in ("olga", key, own, other):
        with pytest.raises(BadInput) as caught:
            imports.approve(desk.context, record.import_id, by=name)
        assert codes(caught) == ["second_person"]
    assert imports.approve(desk.context, record.import_id, by="paul").decided_by == "paul"


def test_a_key_that_another_person_made_for_it_is_a_second_person(desk: Desk) -> None:
    key = desk.context.state.keys.make("controlling", ["imports:approve"], by="paul").record.actor
    record = desk.rehearse("customer_id,points\nann,5\n", "reset", by="olga")
    assert imports.approve(desk.context, record.import_id, by=key).decided_by == key
    pauls = desk.rehearse("customer_id,points\nann,6\n", "reset", by="Paul", name="pauls.csv")
    with pytest.raises(BadInput) as caught:
        imports.approve(desk.context, pauls.import_id, by=key)
    assert codes(caught) == ["second_person"]


def test_a_large_file_waits_for_a_second_person(desk: Desk) -> None:
    desk = Desk(desk.url, desk.settings.scratch.parent, import_approval_rows=1)
    record = desk.rehearse(FILE)
    assert record.state == "waiting"
    with pytest.raises(NeedsPerson, match="a person other than olga must approve"):
        imports.post(desk.context, record.import_id, by="olga")
    with pytest.raises(BadInput) as caught:
        imports.approve(desk.context, record.import_id, by=" Olga")
    assert codes(caught) == ["second_person"]
    approved = imports.approve(desk.context, record.import_id, by="paul", note="checked")
    assert (approved.decided_by, approved.decision, approved.decision_note) == ("paul", "approved", "checked")
    assert imports.post(desk.context, record.import_id, by="olga").state == "posted"


def test_a_new_rehearsal_needs_a_new_approval(desk: Desk) -> None:
    desk = Desk(desk.url, desk.settings.scratch.parent, import_approval_rows=1)
    record = desk.rehearse(FILE)
    imports.approve(desk.context, record.import_id, by="paul")
    again = imports.rehearse(desk.context, record.import_id)
    assert (again.state, again.decided_by) == ("waiting", None)


def test_what_was_refused_is_not_booked(desk: Desk) -> None:
    record = desk.rehearse(FILE)
    refused = imports.refuse(desk.context, record.import_id, by="paul", reason="no")
    assert (refused.state, refused.decision_note) == ("refused", "no")
    with pytest.raises(BadInput) as caught:
        imports.post(desk.context, record.import_id, by="olga")
    assert codes(caught) == ["refused"]
    assert desk.run(FILE).state == "refused"
    assert desk.run(FILE, again=True).state == "posted"


def test_what_nobody_rehearsed_is_not_booked(desk: Desk) -> None:
    record = desk.receive(FILE)
    with pytest.raises(BadInput) as caught:
        imports.post(desk.context, record.import_id, by="olga")
    assert codes(caught) == ["not_rehearsed"]


def test_a_rehearsal_changes_nothing(desk: Desk) -> None:
    before = desk.ledger()
    assert desk.rehearse(FILE).state == "rehearsed"
    assert desk.ledger() == before


def test_an_import_that_somebody_works_on_is_left_alone(desk: Desk) -> None:
    record = desk.rehearse(FILE)
    lease = desk.context.state.leases.acquire(f"import:{record.import_id}", "somebody", timedelta(hours=2))
    assert lease is not None
    with pytest.raises(NotYet):
        imports.post(desk.context, record.import_id, by="olga")
    desk.context.state.leases.release(lease)
    assert imports.post(desk.context, record.import_id, by="olga").state == "posted"


def test_every_step_is_in_the_audit_chain_and_names_no_member(desk: Desk) -> None:
    record = desk.run("customer_id,points,expected_balance\nann,5,100\n", "reset")
    told = [each for each in desk.context.state.audit.entries() if each.subject == record.import_id]
    assert [each.action for each in told] == [
        Action.IMPORT_RECEIVED, Action.IMPORT_REHEARSED, Action.IMPORT_APPROVED, Action.IMPORT_POSTED,
    ]  # fmt: skip
    assert [each.actor for each in told] == ["olga", "olga", "paul", "paul"]
    assert not any("ann" in str(each.detail) for each in told)


def test_files_of_an_import(desk: Desk) -> None:
    record = desk.rehearse(FILE)
    assert [each["kind"] for each in imports.files(desk.context, record.import_id)] == [
        "rehearsal",
        "original",
    ]
    assert imports.undo_file(desk.context, record.import_id) is None
    record = desk.agree(record)
    result, undo = (
        b"".join(chunks or ()).decode()
        for chunks in (
            imports.result_file(desk.context, record.import_id),
            imports.undo_file(desk.context, record.import_id),
        )
    )
    own = record.import_id
    assert result.splitlines() == [
        "row,customer_id,email,card_id,subledger_id,points,status,message,balance_before,balance_after,transaction_id",
        f"2,ann,,,,100.00,done,,100.00,200.00,{own}-00000002",
        f"3,bob,,,,-300.00,done,,0.00,-300.00,{own}-00000003",
    ]
    assert undo.splitlines() == [
        "customer_id,card_id,subledger_id,points,reason",
        f"ann,,,-100.00,takes back {own}",
        f"bob,,,300.00,takes back {own}",
    ]
    assert b"".join(imports.original(desk.context, own)).decode() == FILE


@pytest.mark.slow
def test_a_large_file_is_worked_on_in_a_process_of_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_BYTES_IN_PLACE", 0)
    record = desk.run(FILE)
    assert record.state == "posted"
    assert len(desk.booked(record)) == 2


def test_an_unknown_program_is_refused_at_once(desk: Desk) -> None:
    with pytest.raises(BadInput) as caught:
        desk.receive(FILE, program="nothing")
    assert codes(caught) == ["unknown_program"]
    assert "club, other" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ledger_write_url": ""}, "set LOYALTY_LEDGER_WRITE_URL"),
        ({"ledger_mapping": Path("mapping.yaml")}, "this ledger is mapped"),
        ({"ledger_write_url": "mysql+pymysql://u@h/d"}, "this one is in MySQL or MariaDB, from which"),
        (
            {"ledger_write_url": "", "ledger_url": "mariadb+pymysql://u@h/d"},
            "this one is in MariaDB, from which",
        ),
    ],
)
def test_imports_that_are_off_say_how_to_turn_them_on(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    desk = Desk(f"sqlite:///{tmp_path / 'none.sqlite'}", tmp_path / "home")
    desk.context = replace(desk.context, settings=replace(desk.settings, **change))
    with pytest.raises(BadInput, match=said) as caught:
        desk.receive(FILE)
    assert codes(caught) == ["imports_off"]
    assert imports.why_not_writable(desk.context)


def test_only_the_embedded_ledger_is_written_without_being_told() -> None:
    assert Settings.from_environment({}).ledger_write_url == Settings.from_environment({}).ledger_url
    other = Settings.from_environment({"LOYALTY_LEDGER_URL": "postgresql://h/d"})
    assert other.ledger_write_url == ""
    said = {"LOYALTY_LEDGER_URL": "postgresql://h/d", "LOYALTY_LEDGER_WRITE_URL": "postgresql://w@h/d"}
    assert Settings.from_environment(said).ledger_write_url == "postgresql://w@h/d"
