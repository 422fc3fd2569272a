"""Imports as they are recorded: recognised by bytes and choices, moved only from where they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.errors import BadInput
from include.imports.effects import Receipt, Rehearsal
from include.imports.options import Mode, Options
from include.state.audit import Action
from include.state.imports import ImportState
from include.state.leases import StaleFence
from tests.state.racing import race

ADD = Options(mode=Mode.ADD, program="club")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEEN = Rehearsal(at=NOON, rows=3, done=2, skipped=1, wrong=0, points_in=Decimal("1.50"), digest="d")
RECEIPT = Receipt(
    at=NOON,
    rows=2,
    points_in=Decimal("1.50"),
    points_out=Decimal(0),
    first_transaction="a",
    last_transaction="b",
    result_sha256="r",
    undo_sha256="u",
)


def received(state, sha256="s1", name="a.csv", options=ADD, **more):
    return state.imports.receive(name=name, sha256=sha256, size=10, options=options, by="olga", **more)


def rehearsed(state, record, where=ImportState.REHEARSED):
    return state.imports.rehearsed(record.import_id, SEEN, "rows", where, by="olga")


def posted(state, record):
    rehearsed(state, record)
    state.imports.posting(record.import_id, by="paul")
    return state.imports.posted(record.import_id, RECEIPT, [{"kind": "result"}], by="paul")


def test_the_same_file_is_one_import_whoever_brings_it(remembered):
    first = received(remembered)
    again = remembered.imports.receive(name="b.csv", sha256="s1", size=10, options=ADD, by="paul")
    assert again == first
    assert (first.state, first.requested_by, first.file_name) == ("received", "olga", "a.csv")
    assert len(remembered.audit.newest(action=Action.IMPORT_RECEIVED)) == 1


def test_other_choices_and_repeats_are_other_imports(remembered):
    ids = {
        received(remembered).import_id,
        received(remembered, repeat=1).import_id,
        received(remembered, "s2").import_id,
        received(remembered, options=Options(mode=Mode.RESET, program="club")).import_id,
        received(remembered, options=Options(mode=Mode.ADD, program="club", subledger="x")).import_id,
        received(remembered, options=Options(mode=Mode.ADD, program="club", card=True)).import_id,
        received(remembered, undoes="imp-1").import_id,
    }
    assert len(ids) == 7
    assert [each.repeat for each in remembered.imports.same("s1", ADD)][:2] == [0, 0]


def test_what_was_said_is_kept_to_the_hundredth(remembered):
    record = posted(remembered, received(remembered))
    assert remembered.imports.get(record.import_id) == record
    assert (record.rehearsal, record.receipt, record.posted_by) == (SEEN, RECEIPT, "paul")
    assert (record.posted_at, record.finished) == (NOON, True)


@pytest.mark.parametrize("step", ["approve", "posting", "posted", "reopen", "give_up"])
def test_a_step_out_of_its_place_changes_nothing(remembered, step):
    record = received(remembered)
    steps = {
        "approve": lambda key: remembered.imports.approve(key, by="paul", note=""),
        "posting": lambda key: remembered.imports.posting(key, by="paul"),
        "posted": lambda key: remembered.imports.posted(key, RECEIPT, [], by="paul"),
        "reopen": remembered.imports.reopen,
        "give_up": remembered.imports.give_up,
    }
    with pytest.raises(StaleFence, match="is received: somebody else was faster"):
        steps[step](record.import_id)
    assert remembered.imports.get(record.import_id) == record
    with pytest.raises(BadInput, match="there is no such import"):
        steps[step]("imp-none")


def test_nothing_moves_what_is_posted(remembered):
    record = posted(remembered, received(remembered))
    for move in (
        lambda: rehearsed(remembered, record),
        lambda: remembered.imports.refuse(record.import_id, by="paul", reason=""),
        lambda: remembered.imports.posting(record.import_id, by="paul"),
    ):
        with pytest.raises(StaleFence):
            move()
    assert remembered.imports.get(record.import_id) == record


def test_an_approval_goes_with_the_rehearsal_that_it_was_for(remembered):
    record = received(remembered)
    rehearsed(remembered, record, ImportState.WAITING)
    approved = remembered.imports.approve(record.import_id, by="paul", note="fine")
    assert (approved.state, approved.decision, approved.decided_by) == ("rehearsed", "approved", "paul")
    again = rehearsed(remembered, record, ImportState.WAITING)
    assert (again.decision, again.decided_by, again.decided_at, again.decision_note) == (None,) * 4


def test_an_undo_closes_what_it_takes_back(remembered):
    record = posted(remembered, received(remembered))
    back = posted(remembered, received(remembered, "s2", undoes=record.import_id))
    closed = remembered.imports.get(record.import_id)
    assert (closed.state, closed.undone_by) == ("undone", back.import_id)
    assert [each.import_id for each in remembered.imports.undoing(record.import_id)] == [back.import_id]
    [told] = remembered.audit.newest(action=Action.IMPORT_UNDONE)
    assert (told.subject, told.detail) == (record.import_id, {"by": back.import_id})


def test_what_may_count_is_found_by_name_and_choices(remembered):
    first = received(remembered)
    refused = received(remembered, "s2")
    remembered.imports.refuse(refused.import_id, by="paul", reason="")
    received(remembered, "s3", options=Options(mode=Mode.RESET, program="club"))
    assert [each.import_id for each in remembered.imports.named("a.csv", ADD)] == [first.import_id]


def test_imports_are_listed_and_counted(remembered):
    records = [received(remembered, f"s{number}", f"file {number}.csv") for number in range(5)]
    remembered.imports.refuse(records[0].import_id, by="paul", reason="")
    listed = remembered.imports.list()
    assert [each.import_id for each in listed] == [each.import_id for each in reversed(records)]
    assert [each.file_name for each in remembered.imports.list(text="FILE 3")] == ["file 3.csv"]
    assert [each.file_name for each in remembered.imports.list(text="%")] == []
    assert remembered.imports.list(text=records[2].import_id[:12]) == [records[2]]
    assert len(remembered.imports.list([ImportState.REFUSED])) == 1
    assert remembered.imports.list(mode=Mode.RESET) == []
    assert len(remembered.imports.list(mode=Mode.ADD, limit=2, offset=1)) == 2
    assert remembered.imports.list(before=records[1].requested_at)[0].import_id == records[0].import_id
    assert remembered.imports.counts() == {ImportState.RECEIVED: 4, ImportState.REFUSED: 1}


def receive_one(url):
    from include import state

    return received(state.open(url)).import_id


@pytest.mark.slow
def test_many_receive_one_file_at_once(state_url, remembered):
    found = race(receive_one, [(state_url,)] * 6)
    assert len(set(found)) == 1
    assert len(remembered.audit.newest(action=Action.IMPORT_RECEIVED)) == 1
