"""Whom a row means: by card, else by customer id, else by case-folded e-mail address; nobody and two are errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import BadInput
from include.pipeline import imports
from include.pipeline.erasure import erase
from include.pipeline.erasure.holding import Held
from include.pipeline.imports import keeping as import_keeping
from tests.pipeline.imports.desk import Desk, fill

UNKNOWN = "no customer has this id or e-mail address"
MATCHES = [
    ("customer_id,points\nann,1\n", "ann"),
    ("customer_id,points\n007,1\n", "007"),
    ("email,points\nANN@EXAMPLE.COM,1\n", "ann"),
    ("email,points\nMAX@STRASSE.EXAMPLE,1\n", "strasse"),
    ("email,points\nmax@straße.example,1\n", "strasse"),
    ("customer_id,email,points\nann,ANN@example.com,1\n", "ann"),
    ("customer_id,email,points\nbob,nobody@example.com,1\n", "bob"),  # an address of before
    ("customer_id,email,points\nbob,twin@example.com,1\n", "bob"),  # the id decides whose it is meant to be
    ("customer_id,email,points\nnew-id,cat@example.com,1\n", "cat"),  # nobody has the id
    ("customer_id,program_id,points\nann,club,1\n", "ann"),
    ("customer_id,program_id,points\nann,7,1\n", "ann"),
]
MISSES = [
    ("customer_id,points\nANN,1\n", UNKNOWN),
    ("customer_id,points\n7,1\n", UNKNOWN),
    ("email,points\nnobody@example.com,1\n", UNKNOWN),
    (
        "email,points\ntwin@example.com,1\n",
        "several customers have this e-mail address: give the customer id",
    ),
    (
        "customer_id,email,points\nbob,ann@example.com,1\n",
        "the customer id is one customer's, and the e-mail address another's: leave out the wrong one",
    ),
    ("customer_id,points\ngone,1\n", "this customer was erased"),
    ("email,points\nGone@example.com,1\n", "this customer was erased"),
    (
        "customer_id,program_id,points\nann,other,1\n",
        "the row is of another program than the one that was chosen for this import",
    ),
    ("card_id,points\nk9,1\n", "no card has this number"),
    ("card_id,points\nk5,1\n", "this card is of another program"),
]
pytestmark = pytest.mark.slow


def test_rows_find_their_members(desk: Desk) -> None:
    for text, customer in MATCHES:
        record = desk.run(text, renewed=True)
        assert [each["customer_id"] for each in desk.booked(record)] == [customer], text


def test_rows_that_find_nobody_or_several_say_so(desk: Desk) -> None:
    for text, message in MISSES:
        record = desk.rehearse(text, renewed=True)
        assert (record.state, desk.why(record)) == ("wrong", {2: message}), text


def test_points_of_cards_are_booked_on_cards(desk: Desk) -> None:
    record = desk.run("card_id,points\nk2,10\nk4,20\n")
    assert [(each["card_id"], each.get("customer_id")) for each in desk.booked(record)] == [
        ("k2", "bob"),
        ("k4", None),
    ]


def test_birthdays_are_of_those_whose_cards_are_named_whatever_the_program(desk: Desk) -> None:
    text = "card_id,Birthday(MM/DD)\n"
    assert desk.run(f"{text}k2,12/24\nk5,05/06\n", "birthday").state == "posted"
    people = {each["customer_id"]: each.get("birthday") for each in desk.ledger("customers")}
    assert (people["ann"], people["bob"]) == ("05/06", "12/24")
    wrong = desk.rehearse(f"{text}k4,12/24\nk9,12/24\n", "birthday", renewed=True)
    assert desk.why(wrong) == {2: "this card belongs to no customer", 3: "no card has this number"}


def test_members_with_one_card_are_found_by_it_where_that_was_chosen(desk: Desk) -> None:
    record = desk.run("customer_id,points\nann,10\n", card=True)
    assert [(each["card_id"], each["customer_id"]) for each in desk.booked(record)] == [("k1", "ann")]
    wrong = desk.rehearse("customer_id,points\nbob,1\ncat,1\n", card=True, renewed=True)
    assert desk.why(wrong) == {
        2: "this customer has several cards of the program: give the card's number",
        3: "this customer has no card of the program",
    }


def test_somebody_who_was_erased_here_is_refused(desk: Desk) -> None:
    erase.erase(desk.context, customer="ann", by="olga")
    for number, text in enumerate(
        ("customer_id,points\nann,1\n", "email,points\nANN@example.com,1\n", "card_id,points\nk1,1\n")
    ):
        record = desk.rehearse(text, name=f"{number}.csv")
        assert desk.why(record) == {2: "this customer was erased"}, text


def test_somebody_who_was_erased_after_the_rehearsal_is_not_booked(desk: Desk) -> None:
    record = desk.rehearse("customer_id,points\nann,1\n")
    erase.ask(desk.context, customer="ann", by="olga")
    with pytest.raises(BadInput, match="a member was erased since the rehearsal: rehearse again"):
        desk.agree(record)
    assert desk.booked(record) == []
    again = imports.rehearse(desk.context, record.import_id)
    assert (again.state, desk.why(again)) == ("wrong", {2: "this customer was erased"})


def test_a_subledger_is_the_one_of_the_row_else_the_one_that_was_chosen(
    sqlite_ledger: str, tmp_path: Path
) -> None:
    fill(sqlite_ledger)
    desk = Desk(sqlite_ledger, tmp_path / "home")
    record = desk.run("customer_id,subledger_id,points\nann,,1\nann,miles,2\n", subledger="bonus")
    assert [each["subledger_id"] for each in desk.booked(record)] == ["bonus", "miles"]


def test_files_with_somebody_who_is_erased_go_and_what_was_booked_stays(desk: Desk) -> None:
    ann, bob = desk.run("customer_id,points\nann,1\n"), desk.run("customer_id,points\nbob,1\n", renewed=True)
    waiting = desk.rehearse("email,points\nAnn@example.com,5\n", "reset", name="ann.csv")
    unread = desk.receive("card_id,points\nk2,1\n", name="unread.csv")
    looked = {record.import_id: held for record, held in erase.look(desk.context, customer="ann").imports}
    named = dict.fromkeys((ann.import_id, waiting.import_id), Held.NAMED)
    assert looked == named | {unread.import_id: Held.MAYBE}
    erase.erase(desk.context, customer="ann", by="olga")
    found = {each.import_id: each for each in imports.history(desk.context)}
    assert (found[ann.import_id].files, found[ann.import_id].state) == ([], "posted")
    assert {found[each.import_id].state for each in (waiting, unread)} == {"refused"}
    assert erase.look(desk.context, customer="ann").imports == ()
    assert found[bob.import_id].files
    kept = {entry.key.split("/")[1] for entry in desk.context.store.list("imports")}
    assert kept == {bob.import_id}
    assert len(desk.booked(ann)) == 1
    with pytest.raises(BadInput, match="Its files were removed"):
        imports.undo(desk.context, ann.import_id, by="olga")


def test_files_of_imports_go_when_their_time_is_over(desk: Desk) -> None:
    wrong = desk.rehearse("customer_id,points\nnobody,1\n", name="wrong.csv")
    record, open_one = (
        desk.run("customer_id,points\nann,1\n"),
        desk.rehearse("customer_id,points\nann,2\n", name="b.csv"),
    )
    assert import_keeping.retire(desk.context) == []
    later = replace(desk.context, settings=replace(desk.settings, keep_files=timedelta(seconds=-1)))
    assert set(import_keeping.retire(later)) == {record.import_id, wrong.import_id}
    with pytest.raises(BadInput, match="Its files were removed: their time was over"):
        imports.rehearse(desk.context, wrong.import_id)
    assert imports.get(desk.context, record.import_id).files == []
    assert {entry.key.split("/")[1] for entry in desk.context.store.list("imports")} == {open_one.import_id}
